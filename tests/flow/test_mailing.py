"""A mail that nobody waits for any more is not sent, wherever its server keeps it waiting."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from email.message import EmailMessage
from pathlib import Path

import pytest

from flow.mail_server import certificate_of, serving
from oneshelf.domain.mailbox import Mailbox, Security
from oneshelf.flow.mailing import _Line, _mail, mail

DEADLINE_S = 20.0
Talk = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


def mailbox_of(port: int, security: Security) -> Mailbox:
    return Mailbox(
        server="localhost",
        port=port,
        security=security,
        sender="shelf@shop.example",
        recipients=("ann@shop.example",),
    )


def letter() -> EmailMessage:
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = "shelf@shop.example", "ann@shop.example", "Low stock"
    message.set_content("MUG is low")
    return message


async def says_nothing(_reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
    """It takes the call, and that is all."""


async def hears_the_first_word(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
    """The caller shakes hands, and nobody takes them."""
    assert await reader.read(1)


async def promises_encryption(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """It offers STARTTLS and says yes to it; then it is silent."""
    writer.write(b"220 localhost\r\n")
    assert (await reader.readline()).startswith(b"ehlo")
    writer.write(b"250-localhost\r\n250 STARTTLS\r\n")
    assert (await reader.readline()).strip() == b"STARTTLS"
    writer.write(b"220 go ahead\r\n")
    await hears_the_first_word(reader, writer)


@asynccontextmanager
async def keeping_waiting(talk: Talk) -> AsyncIterator[tuple[int, asyncio.Event, asyncio.Event]]:
    """A server that stops talking at some word: its port, whether it is there, whether the caller has hung up."""
    is_silent, has_hung_up = asyncio.Event(), asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await talk(reader, writer)
        is_silent.set()
        with suppress(ConnectionError):
            while await reader.read(4_096):
                pass
        has_hung_up.set()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1], is_silent, has_hung_up
    finally:
        server.close()
        await server.wait_closed()


@pytest.mark.parametrize(
    ("security", "talk"),
    [
        (Security.NONE, says_nothing),
        (Security.TLS, hears_the_first_word),
        (Security.STARTTLS, promises_encryption),
    ],
)
async def test_who_waits_no_longer_hangs_up_whatever_the_server_was_about_to_say(
    security: Security, talk: Talk, tmp_path: Path
) -> None:
    _, trust = certificate_of(tmp_path)
    async with keeping_waiting(talk) as (port, is_silent, has_hung_up):
        box = mailbox_of(port, security)
        async with asyncio.timeout(DEADLINE_S / 2), asyncio.TaskGroup() as group:
            sending = mail(box, letter(), address="127.0.0.1", password="", tls=trust, deadline_s=DEADLINE_S)
            waiting = group.create_task(sending)
            await is_silent.wait()
            waiting.cancel()
            await has_hung_up.wait()
        assert waiting.cancelled()


async def test_a_connection_that_comes_about_too_late_sends_nothing() -> None:
    async with serving() as server:
        line = _Line(mailbox_of(server.port, Security.NONE), "127.0.0.1", ssl.create_default_context(), DEADLINE_S)
        line.end()
        with pytest.raises(ConnectionAbortedError):
            await asyncio.to_thread(_mail, line, letter(), "")
        assert server.mails == []


async def test_a_mail_that_was_taken_is_sent_however_the_server_says_goodbye(tmp_path: Path) -> None:
    _, trust = certificate_of(tmp_path)
    async with serving() as server:
        server.parting = "500 who are you"
        box = mailbox_of(server.port, Security.NONE)
        reply = await mail(box, letter(), address="127.0.0.1", password="", tls=trust, deadline_s=DEADLINE_S)
        assert (reply.status, server.subjects) == (250, ["Low stock"])
