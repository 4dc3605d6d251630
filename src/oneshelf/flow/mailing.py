"""One mail through somebody's server: to the address that was checked, encrypted as was said, with a deadline."""

from __future__ import annotations

import asyncio
import hashlib
import smtplib
import socket
import ssl
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime

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

    The deadline is of each word of the server. Who waits for the whole may end it: then the connection ends too, and
    what the server has not got whole by then it never gets.
    """
    line = _Line(mailbox, address, tls, deadline_s)
    try:
        return await asyncio.to_thread(_mail, line, message, password)
    finally:
        line.end()


class _Line:
    """The connection of one attempt. A thread talks on it, and the loop may end it."""

    def __init__(self, mailbox: Mailbox, address: str, tls: ssl.SSLContext, deadline_s: float) -> None:
        self.mailbox = mailbox
        self.address = address
        self.tls = tls
        self.deadline_s = deadline_s
        self.has_ended = False
        # Another handle of the same connection: TLS takes the first one away.
        self._handle: socket.socket | None = None

    def connected(self) -> smtplib.SMTP:
        kind = _CheckedTls if self.mailbox.security is Security.TLS else _Checked
        return kind(self)

    def opened(self, port: int) -> socket.socket:
        """To the address that was looked at, and not to what the name resolves to by now."""
        connection = socket.create_connection((self.address, port), self.deadline_s)
        self._handle = connection.dup()
        # Either it is seen here that the line has ended, or the handle is seen there.
        if self.has_ended:
            connection.close()
            self.end()
            raise ConnectionAbortedError("nobody waits for this mail any more")
        return connection

    def end(self) -> None:
        """Whoever waits for a word of the server waits no longer. One that is not connected yet will not be."""
        self.has_ended = True
        if self._handle is not None:
            with suppress(OSError):
                self._handle.shutdown(socket.SHUT_RDWR)
            self._handle.close()


def _mail(line: _Line, message: EmailMessage, password: str) -> Reply:
    mailbox = line.mailbox
    try:
        with _left(line.connected()) as server:
            if mailbox.security is Security.STARTTLS:
                server.starttls(context=line.tls)
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


@contextmanager
def _left(server: smtplib.SMTP) -> Iterator[smtplib.SMTP]:
    """Goodbye is said and its answer not waited for: whatever that is, the mail was taken, or was not, before it."""
    try:
        yield server
    finally:
        with suppress(OSError):
            server.putcmd("quit")
        server.close()


class _Checked(smtplib.SMTP):
    """Connects where the line leads. The certificate has to be of the name, not of the address."""

    def __init__(self, line: _Line) -> None:
        self._line = line
        super().__init__(line.mailbox.server, line.mailbox.port, timeout=line.deadline_s)

    def _get_socket(self, _host: str, port: int, _timeout: float) -> socket.socket:
        return self._line.opened(port)


class _CheckedTls(_Checked):
    """The same, encrypted from the first byte on."""

    def _get_socket(self, _host: str, port: int, _timeout: float) -> socket.socket:
        plain = self._line.opened(port)
        try:
            return self._line.tls.wrap_socket(plain, server_hostname=self._line.mailbox.server)
        except BaseException:
            plain.close()
            raise


def _words(said: object) -> str:
    text = said.decode("utf-8", "replace") if isinstance(said, bytes) else str(said)
    return printable(text, length_max=WORDS_LENGTH_MAX)
