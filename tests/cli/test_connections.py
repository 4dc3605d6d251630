"""Strangers at the door of a running engine: many, slow and talkative ones do not keep the others out."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import resource
import socket
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from oneshelf.cli import connection
from oneshelf.cli.serve import _config
from oneshelf.web.bodies import API_BYTES_MAX, read_json
from oneshelf.web.problems import ProblemError

GET = b"GET /slow HTTP/1.1\r\nHost: here\r\n"
Answer = tuple[int, bytes]


class Door:
    """A server with the engine's connections; `/slow` answers once `may_answer` is set."""

    def __init__(self) -> None:
        self.may_answer = asyncio.Event()
        self.may_answer.set()
        self.asked = asyncio.Semaphore(0)
        self.port = 0

    async def slow(self, request: Request) -> Response:
        del request
        self.asked.release()
        await self.may_answer.wait()
        return PlainTextResponse("hello")

    async def post(self, request: Request) -> Response:
        try:
            return PlainTextResponse(str(len(json.dumps(await read_json(request)))))
        except ProblemError as refusal:
            return PlainTextResponse(str(refusal), refusal.status, refusal.headers)

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_connection("127.0.0.1", self.port)


@pytest.fixture
async def door() -> AsyncIterator[Door]:
    door = Door()
    application: Any = Starlette(routes=[Route("/slow", door.slow), Route("/post", door.post, methods=["POST"])])
    with socket.create_server(("127.0.0.1", 0), backlog=2048) as listener:
        door.port = listener.getsockname()[1]
        server = uvicorn.Server(_config(application))
        async with asyncio.TaskGroup() as group:
            config = server.config
            config.load()
            server.lifespan = config.lifespan_class(config)
            await server.startup(sockets=[listener])
            ticking = group.create_task(server.main_loop())
            yield door
            door.may_answer.set()
            server.should_exit = True
            await ticking
            await server.shutdown(sockets=[listener])


@pytest.fixture
def soon(monkeypatch: pytest.MonkeyPatch) -> Callable[[str, float], None]:
    def shorten(name: str, value: float) -> None:
        monkeypatch.setattr(connection, name, value)

    return shorten


async def answered(reader: asyncio.StreamReader) -> Answer:
    """Status and body of the next answer; status 0 where the connection ended without one."""
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except (asyncio.IncompleteReadError, ConnectionError):
        return 0, b""
    length = re.search(rb"content-length: (\d+)", head)
    assert length is not None
    return int(head.split()[1]), await reader.readexactly(int(length[1]))


async def test_a_request_is_answered_again_and_again_on_one_connection(door: Door) -> None:
    reader, writer = await door.connect()
    for _ in range(3):
        writer.write(GET + b"\r\n")
        assert await answered(reader) == (200, b"hello")
    writer.close()


@pytest.mark.long
@pytest.mark.parametrize(
    ("sent", "status"),
    [(b"", 0), (b"\r\n", 0), (GET, 408), (GET + b"\r\n" + GET, 200)],
    ids=["nothing", "blank lines", "half a head", "half a head after a whole request"],
)
async def test_a_request_whose_head_does_not_end_is_given_up(
    door: Door, soon: Callable[[str, float], None], sent: bytes, status: int
) -> None:
    # What is sent has to be read before the time is up, also on a machine that is busy elsewhere.
    soon("HEAD_S_MAX", 5.0 if status else 0.2)
    reader, writer = await door.connect()
    writer.write(sent)
    assert (await answered(reader))[0] == status
    if status == 200:
        assert (await answered(reader))[0] == 408
    assert await reader.read() == b""
    writer.close()


@pytest.mark.long
async def test_a_slow_answer_is_not_cut_off_by_the_time_limit_of_the_next_head(
    door: Door, soon: Callable[[str, float], None]
) -> None:
    soon("HEAD_S_MAX", 5.0)
    door.may_answer.clear()
    reader, writer = await door.connect()
    writer.write(GET + b"\r\n" + GET)
    await door.asked.acquire()
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(asyncio.shield(reading := asyncio.ensure_future(answered(reader))), 5.5)
    door.may_answer.set()
    assert await reading == (200, b"hello")
    writer.close()


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        (b"X: y\r\n" * 99, 200),
        (b"X: y\r\n" * 100, 431),
        (b"X: " + b"y" * 32_000 + b"\r\n", 200),
        (b"X: " + b"y" * 33_000 + b"\r\n", 431),
        (b"X: " + b"y" * 10_000_000, 431),
    ],
    ids=["100 headers", "101 headers", "31 KiB", "33 KiB", "without an end"],
)
async def test_a_head_has_an_end(door: Door, headers: bytes, status: int) -> None:
    reader, writer = await door.connect()
    writer.write(GET + headers + b"\r\n")
    # A client that still writes may be told of a reset instead of the answer.
    assert (await answered(reader))[0] in {status, 0 if len(headers) > 1_000_000 else status}
    writer.close()
    reader, writer = await door.connect()
    writer.write(GET + b"\r\n")
    assert (await answered(reader))[0] == 200
    writer.close()


async def test_the_connection_idle_longest_makes_room_and_nobody_is_turned_away(
    door: Door, soon: Callable[[str, float], None]
) -> None:
    soon("CONNECTIONS_MAX", 5)
    door.may_answer.clear()
    busy, asking = await door.connect()
    asking.write(GET + b"\r\n")
    await door.asked.acquire()
    idle = [await door.connect() for _ in range(4)]
    late, writer = await door.connect()
    assert await idle[0][0].read() == b""
    door.may_answer.set()
    writer.write(GET + b"\r\n")
    assert await answered(late) == (200, b"hello")
    assert await answered(busy) == (200, b"hello")
    for _reader, other in (*idle, (late, writer), (busy, asking)):
        other.close()


async def test_a_thousand_and_more_idle_connections_keep_no_webhook_out(door: Door) -> None:
    limit, _hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if limit < 2 * connection.CONNECTIONS_MAX + 500:
        pytest.skip(f"only {limit} open files are allowed here")
    idle = [await door.connect() for _ in range(connection.CONNECTIONS_MAX + 5)]
    reader, writer = await door.connect()
    writer.write(GET + b"\r\n")
    assert await answered(reader) == (200, b"hello")
    for _reader, other in (*idle, (reader, writer)):
        other.close()


@pytest.mark.parametrize("size", [API_BYTES_MAX + 1, 10_000_000])
@pytest.mark.parametrize("is_announced", [True, False])
async def test_the_sender_of_a_body_that_is_too_long_sees_the_413(door: Door, size: int, is_announced: bool) -> None:
    def send() -> bytes:
        """As a plain client does it: everything is written before the answer is read."""
        with socket.create_connection(("127.0.0.1", door.port), timeout=90) as client:
            head = b"POST /post HTTP/1.1\r\nHost: here\r\nContent-Type: application/json\r\n"
            if is_announced:
                client.sendall(head + b"Content-Length: %d\r\n\r\n" % size + b" " * size)
            else:
                client.sendall(
                    head + b"Transfer-Encoding: chunked\r\n\r\n%x\r\n" % size + b" " * size + b"\r\n0\r\n\r\n"
                )
            parts = []
            with contextlib.suppress(TimeoutError):
                while part := client.recv(65_536):
                    parts.append(part)
            return b"".join(parts)

    said = await asyncio.to_thread(send)
    assert said.startswith(b"HTTP/1.1 413 ")


async def test_who_asks_whether_to_send_a_body_that_is_too_long_is_told_at_once(door: Door) -> None:
    reader, writer = await door.connect()
    writer.write(
        b"POST /post HTTP/1.1\r\nHost: here\r\nContent-Type: application/json\r\nExpect: 100-continue\r\n"
        b"Content-Length: 10000000\r\n\r\n"
    )
    assert (await answered(reader))[0] == 413
    writer.close()
