"""Where mail about alerts goes, and through whose server."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from oneshelf.errors import MalformedError

RECIPIENTS_MAX = 50
# No quoted names, no comments, no line breaks: what every server takes (a part of RFC 5321).
_ADDRESS = re.compile(
    r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[A-Za-z0-9](?:[A-Za-z0-9.-]{0,250}[A-Za-z0-9])?", re.ASCII
)
_HOST = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9.-]{0,250}[A-Za-z0-9])?", re.ASCII)


class Security(StrEnum):
    """How the connection is encrypted: after a greeting, from its first byte on, or not at all."""

    STARTTLS = "starttls"
    TLS = "tls"
    NONE = "none"


_PORTS = {Security.STARTTLS: 587, Security.TLS: 465, Security.NONE: 25}


@dataclass(frozen=True, slots=True, kw_only=True)
class Mailbox:
    """`user`: as whom the server is asked, '' for nobody; the password is kept elsewhere."""

    server: str
    port: int
    security: Security
    sender: str
    recipients: tuple[str, ...]
    user: str = ""

    @property
    def address(self) -> str:
        """As it is shown."""
        return f"mailto:{','.join(self.recipients)}"


def mailbox_from(
    server: str, *, security: Security, sender: str, recipients: Iterable[str], user: str, has_password: bool
) -> Mailbox:
    """The mailbox, looked through. `server`: HOST or HOST:PORT. Raises MalformedError."""
    host, colon, port = server.partition(":")
    if not _HOST.fullmatch(host):
        raise MalformedError("--server is a name such as smtp.example or smtp.example:587")
    if colon and not (port.isascii() and port.isdigit() and 1 <= int(port[:6]) <= 65_535):
        raise MalformedError(f"the port of --server must be a number from 1 to 65535, such as {host}:587")
    wanted = tuple(dict.fromkeys(recipients))
    if not 1 <= len(wanted) <= RECIPIENTS_MAX:
        raise MalformedError(f"name 1 to {RECIPIENTS_MAX} recipients with --to, such as --to ops@shop.example")
    for what, text in (("--from", sender), *(("--to", one) for one in wanted)):
        if not _ADDRESS.fullmatch(text):
            raise MalformedError(f"{what} takes one address such as ops@shop.example, in ASCII and without a name")
    if not user.isascii() or not user.isprintable() or len(user) > 320:
        raise MalformedError("--user must be printable ASCII of at most 320 characters")
    if bool(user) != has_password:
        raise MalformedError("give both --user and its password (--password-env NAME), or neither")
    if has_password and security is Security.NONE:
        raise MalformedError(
            "a password is never sent unencrypted: use --security starttls or tls, or leave out --user"
        )
    number = int(port) if colon else _PORTS[security]
    return Mailbox(server=host, port=number, security=security, sender=sender, recipients=wanted, user=user)
