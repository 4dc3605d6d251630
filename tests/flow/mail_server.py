"""A mail server and a chat on this machine: real SMTP with STARTTLS and logins, and HTTP without signatures."""

from __future__ import annotations

import asyncio
import ipaddress
import json
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from pathlib import Path
from typing import Any

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from flow.follower import Receiver, listening
from flow.shelf_world import CLOCK

USER, PASSWORD = "oneshelf", "hush-hush-little-mailbox"


@dataclass
class MailServer:
    """What came in. `refuses`: recipients; `answer`: to every mail; `parting`: when somebody goes."""

    port: int = 0
    is_tls: bool = False
    answer: str = "250 taken"
    parting: str = "221 Bye"
    refuses: set[str] = field(default_factory=set)
    mails: list[EmailMessage] = field(default_factory=list)
    was_encrypted: list[bool] = field(default_factory=list)
    users: list[str] = field(default_factory=list)

    async def handle_RCPT(
        self, _server: SMTP, _session: Session, envelope: Envelope, address: str, _options: list[str]
    ) -> str:
        if address in self.refuses:
            return "550 nobody of this name"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, _server: SMTP, session: Session, envelope: Envelope) -> str:
        assert isinstance(envelope.content, bytes)
        mail = message_from_bytes(envelope.content, policy=default)
        assert isinstance(mail, EmailMessage)
        self.mails.append(mail)
        self.was_encrypted.append(session.ssl is not None or self.is_tls)
        return self.answer

    async def handle_QUIT(self, _server: SMTP, _session: Session, _envelope: Envelope) -> str:
        return self.parting

    @property
    def subjects(self) -> list[str]:
        return [str(mail["subject"]) for mail in self.mails]

    def authenticate(self, _server: Any, _session: Any, _envelope: Any, _mechanism: str, told: Any) -> AuthResult:
        assert isinstance(told, LoginPassword)
        self.users.append(told.login.decode())
        return AuthResult(success=(told.login, told.password) == (USER.encode(), PASSWORD.encode()), handled=False)


@asynccontextmanager
async def serving(
    *, certificate: Path | None = None, needs_login: bool = False, is_tls: bool = False
) -> AsyncIterator[MailServer]:
    """A mail server; with a certificate it asks for STARTTLS, or speaks TLS from the first byte on."""
    handler = MailServer(is_tls=is_tls)
    tls = None
    if certificate is not None:
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(certificate)

    def greet() -> SMTP:
        return SMTP(
            handler,
            hostname="localhost",
            tls_context=None if is_tls else tls,
            require_starttls=tls is not None and not is_tls,
            auth_required=needs_login,
            authenticator=handler.authenticate if needs_login else None,
        )

    loop = asyncio.get_running_loop()
    server = await loop.create_server(greet, "127.0.0.1", 0, ssl=tls if is_tls else None)
    handler.port = server.sockets[0].getsockname()[1]
    try:
        yield handler
    finally:
        server.close()
        await server.wait_closed()


def certificate_of(directory: Path, name: str = "localhost") -> tuple[Path, ssl.SSLContext]:
    """A certificate with its key, and what trusts it and nothing else."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    at = CLOCK.now()
    names = x509.SubjectAlternativeName([x509.DNSName(name), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(at - timedelta(hours=1))
        .not_valid_after(at + timedelta(days=1))
        .add_extension(names, critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = made.public_bytes(serialization.Encoding.PEM)
    form = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    path = directory / "certificate.pem"
    path.write_bytes(pem + key.private_bytes(*form))
    return path, ssl.create_default_context(cadata=pem.decode())


class Chat(Receiver):
    """Takes messages as Slack does: whoever knows the URL may write, and nothing is signed."""

    def verify(self, body: bytes, headers: dict[str, str]) -> dict[str, Any]:
        assert "webhook-signature" not in headers
        document: dict[str, Any] = json.loads(body)
        return document

    @property
    def texts(self) -> list[str]:
        return [message["text"] for message in self.taken]


@asynccontextmanager
async def chatting(**named: Any) -> AsyncIterator[Chat]:
    async with listening(kind=Chat, **named) as chat:
        assert isinstance(chat, Chat)
        yield chat
