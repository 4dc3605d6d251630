"""One mail through somebody's server: to the address that was checked, encrypted as was said, with a deadline."""

from __future__ import annotations

import asyncio
import hashlib
import smtplib
import socket
import ssl
from collections.abc import Sequence
from datetime import datetime
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from typing import Any

from oneshelf.domain import alert_words
from oneshelf.domain.delivery import Reply
from oneshelf.domain.event import Event
from oneshelf.domain.identity import printable
from oneshelf.domain.mailbox import Mailbox, Security
from oneshelf.telemetry import get_logger

WORDS_LENGTH_MAX = 200
_TAKEN = 250

log = get_logger(__name__)


def written(mailbox: Mailbox, events: Sequence[Event], *, at: datetime) -> EmailMessage:
    """The mail about these alerts. Written again, of the same ones, it has the same id: whoever has it can tell."""
    message = EmailMessage(policy=SMTP)
    message["From"], message["To"] = mailbox.sender, ", ".join(mailbox.recipients)
    message["Subject"] = alert_words.subject(events)
    message["Date"] = format_datetime(at)
    named = hashlib.sha256("\n".join(event.event_id for event in events).encode()).hexdigest()[:32]
    message["Message-ID"] = f"<{named}@{mailbox.sender.rpartition('@')[2]}>"
    # Nobody's holiday note comes back.
    message["Auto-Submitted"] = "auto-generated"
    message.set_content(alert_words.text(events))
    return message


async def mail(
    mailbox: Mailbox, message: EmailMessage, *, address: str, password: str, tls: ssl.SSLContext, deadline_s: float
) -> Reply:
    """One attempt, in a thread. Whatever the server says is an answer. Raises OSError where it is not reached.

    The deadline is of each answer of the server; the whole has the caller's.
    """
    return await asyncio.to_thread(_mail, mailbox, message, address, password, tls, deadline_s)


def _mail(
    mailbox: Mailbox, message: EmailMessage, address: str, password: str, tls: ssl.SSLContext, deadline_s: float
) -> Reply:
    try:
        with _connected(mailbox, address, tls, deadline_s) as server:
            if mailbox.security is Security.STARTTLS:
                server.starttls(context=tls)
            if mailbox.user:
                server.login(mailbox.user, password)
            refused = server.send_message(message)
    except smtplib.SMTPRecipientsRefused as failure:
        code, said = next(iter(failure.recipients.values()))
        return Reply(code, f"no recipient was taken: {code} {_words(said)}")
    except smtplib.SMTPResponseException as failure:
        return Reply(failure.smtp_code, f"{failure.smtp_code} {_words(failure.smtp_error)}")
    except smtplib.SMTPException as failure:
        return Reply(None, _words(str(failure)) or type(failure).__name__)
    if refused:
        # The others have it: sent again, they would have it twice.
        log.warning("mail.refused_for_some", recipient_count=len(mailbox.recipients), refused_count=len(refused))
        return Reply(_TAKEN, f"taken, but not for {', '.join(sorted(refused))}")
    return Reply(_TAKEN, f"{_TAKEN} taken")


def _connected(mailbox: Mailbox, address: str, tls: ssl.SSLContext, deadline_s: float) -> smtplib.SMTP:
    if mailbox.security is Security.TLS:
        return _CheckedTls(mailbox.server, mailbox.port, address=address, timeout=deadline_s, context=tls)
    return _Checked(mailbox.server, mailbox.port, address=address, timeout=deadline_s)


class _Checked(smtplib.SMTP):
    """Connects to the address that was looked at, and not to what the name resolves to by now."""

    def __init__(self, host: str, port: int, *, address: str, **named: Any) -> None:
        self._address = address
        super().__init__(host, port, **named)

    def _get_socket(self, _host: str, port: int, timeout: float) -> socket.socket:
        return socket.create_connection((self._address, port), timeout)


class _CheckedTls(smtplib.SMTP_SSL):
    """The same, encrypted from the first byte on. The certificate has to be of the name."""

    def __init__(self, host: str, port: int, *, address: str, context: ssl.SSLContext, timeout: float) -> None:
        self._address, self._name, self._tls = address, host, context
        super().__init__(host, port, timeout=timeout, context=context)

    def _get_socket(self, _host: str, port: int, timeout: float) -> socket.socket:
        plain = socket.create_connection((self._address, port), timeout)
        try:
            return self._tls.wrap_socket(plain, server_hostname=self._name)
        except BaseException:
            plain.close()
            raise


def _words(said: object) -> str:
    text = said.decode("utf-8", "replace") if isinstance(said, bytes) else str(said)
    return printable(text, length_max=WORDS_LENGTH_MAX)
