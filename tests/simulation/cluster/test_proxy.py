"""The wire does to bytes what it is told to, and nothing else."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from simulation.cluster.house import until
from simulation.cluster.proxy import BOTH, HOST, Proxy, Way

WAIT_S = 60.0


@asynccontextmanager
async def wired() -> AsyncIterator[tuple[Proxy, bytearray]]:
    """A proxy before a server that says everything twice; and what that server heard."""
    heard = bytearray()

    async def say_twice(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while chunk := await reader.read(100):
                heard.extend(chunk)
                writer.write(chunk * 2)
                await writer.drain()
        except OSError:
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(say_twice, HOST, 0)
    port = server.sockets[0].getsockname()[1]
    proxy = Proxy(lambda: asyncio.open_connection(HOST, port))
    async with server, proxy.serving():
        yield proxy, heard


@asynccontextmanager
async def calling(proxy: Proxy) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    reader, writer = await asyncio.open_connection(HOST, proxy.port)
    try:
        yield reader, writer
    finally:
        writer.transport.abort()


async def so(is_so: Callable[[], bool]) -> None:
    async def ask() -> bool:
        return is_so()

    assert await until(ask, at_most_s=WAIT_S)


async def rest_of(reader: asyncio.StreamReader) -> bytes:
    """All that still comes, until the connection is closed or broken."""
    try:
        return await reader.read()
    except ConnectionError:
        return b""


async def test_all_passes_both_ways() -> None:
    async with wired() as (proxy, _), calling(proxy) as (reader, writer):
        writer.write(b"ab")
        assert await reader.readexactly(4) == b"abab"
        assert not proxy.hits


async def test_what_is_swallowed_on_the_way_back_was_heard_and_breaks_the_connection_when_healed() -> None:
    async with wired() as (proxy, heard), calling(proxy) as (reader, writer):
        proxy.swallows = frozenset({Way.ANSWERING})
        writer.write(b"ab")
        await so(lambda: proxy.hits["swallowed"] == 1)
        assert heard == b"ab"
        proxy.heal()
        assert await rest_of(reader) == b""


async def test_what_is_swallowed_on_the_way_there_is_never_heard() -> None:
    async with wired() as (proxy, heard), calling(proxy) as (_, writer):
        proxy.swallows = BOTH
        writer.write(b"ab")
        await so(lambda: proxy.hits["swallowed"] == 1)
        assert heard == b""


async def test_what_is_held_comes_when_it_is_let_go() -> None:
    async with wired() as (proxy, heard), calling(proxy) as (reader, writer):
        proxy.hold(frozenset({Way.ANSWERING}))
        writer.write(b"ab")
        await so(lambda: heard == b"ab")
        proxy.heal()
        assert await reader.readexactly(4) == b"abab"


async def test_an_answer_that_is_cut_ends_in_its_middle() -> None:
    async with wired() as (proxy, _), calling(proxy) as (reader, writer):
        proxy.cuts_left = 1
        writer.write(b"ab")
        assert await reader.read() == b"ab"
        assert proxy.hits["cut in the middle"] == 1


async def test_a_wire_that_refuses_lets_nobody_through() -> None:
    async with wired() as (proxy, heard):
        proxy.refuses = True
        async with calling(proxy) as (reader, writer):
            writer.write(b"ab")
            assert await rest_of(reader) == b""
        assert heard == b""
        assert proxy.hits["refused"] == 1
