"""A wire between two programs that goes wrong on demand: late, held up, cut, refused, or silent one way or both.

It listens on loopback, takes a bounded number of connections, and counts what it did to them.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from enum import StrEnum

HOST = "127.0.0.1"
CONNECTIONS_MAX = 500
CHUNK_BYTES = 64 * 1024

Connect = Callable[[], Awaitable[tuple[asyncio.StreamReader, asyncio.StreamWriter]]]
# Told of every piece that goes through: the number of the connection, its way, the bytes.
Tap = Callable[[int, "Way", bytes], None]


class Way(StrEnum):
    """Which way bytes go."""

    ASKING = "asking"  # from whoever connected
    ANSWERING = "answering"


BOTH = frozenset(Way)


class _Link:
    """One connection, both ends."""

    def __init__(self, number: int, near: asyncio.StreamWriter, far: asyncio.StreamWriter) -> None:
        self.number, self.near, self.far = number, near, far
        self.has_lost_bytes = False

    def abort(self) -> None:
        self.near.transport.abort()
        self.far.transport.abort()


class Proxy:
    """Passes everything on, until told otherwise. What is wrong now is in its attributes; `heal` ends all of it."""

    def __init__(self, connect: Connect, *, tap: Tap | None = None) -> None:
        self._connect = connect
        self._tap = tap
        self._links: set[_Link] = set()
        self._link_count = 0
        self._is_open = {way: asyncio.Event() for way in Way}
        self.port = 0
        self.delay_s = {way: 0.0 for way in Way}
        self.swallows: frozenset[Way] = frozenset()
        self.refuses = False
        self.cuts_left = 0
        self.hits: Counter[str] = Counter()
        self.hold(frozenset())

    @property
    def address(self) -> str:
        return f"http://{HOST}:{self.port}"

    def hold(self, ways: frozenset[Way]) -> None:
        """Let nothing pass these ways, and lose nothing: it goes on when they are no longer among them."""
        for way, gate in self._is_open.items():
            if way in ways:
                gate.clear()
            else:
                gate.set()

    def cut(self) -> None:
        """Break every connection there is."""
        for link in self._links:
            self.hits["cut"] += 1
            link.abort()

    def heal(self) -> None:
        """Nothing is wrong any more. A connection that has lost bytes is broken, as a real one would be."""
        self.delay_s = {way: 0.0 for way in Way}
        self.swallows, self.refuses, self.cuts_left = frozenset(), False, 0
        for link in self._links:
            if link.has_lost_bytes:
                link.abort()
        self.hold(frozenset())

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[None]:
        """Listen as long as the block lasts, on a port of its own."""
        server = await asyncio.start_server(self._serve, HOST, 0)
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield
        finally:
            server.close()
            self.heal()
            self.cut()
            await server.wait_closed()

    async def _serve(self, near_in: asyncio.StreamReader, near_out: asyncio.StreamWriter) -> None:
        if self.refuses or len(self._links) >= CONNECTIONS_MAX:
            self.hits["refused"] += 1
            near_out.transport.abort()
            return
        try:
            far_in, far_out = await self._connect()
        except OSError:
            near_out.transport.abort()
            return
        self._link_count += 1
        link = _Link(self._link_count, near_out, far_out)
        self._links.add(link)
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._pump(link, Way.ASKING, near_in, far_out))
                group.create_task(self._pump(link, Way.ANSWERING, far_in, near_out))
        finally:
            link.abort()
            self._links.discard(link)

    async def _pump(self, link: _Link, way: Way, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        """One way of a connection, until either end closes."""
        try:
            while chunk := await source.read(CHUNK_BYTES):
                if self.delay_s[way]:
                    self.hits["delayed"] += 1
                    await asyncio.sleep(self.delay_s[way])
                await self._is_open[way].wait()
                if way in self.swallows:
                    self.hits["swallowed"] += 1
                    link.has_lost_bytes = True
                    continue
                if way is Way.ANSWERING and self.cuts_left > 0:
                    self.cuts_left -= 1
                    self.hits["cut in the middle"] += 1
                    sink.write(chunk[: len(chunk) // 2])
                    await sink.drain()
                    break
                if self._tap is not None:
                    self._tap(link.number, way, chunk)
                sink.write(chunk)
                await sink.drain()
            sink.close()
        except OSError:
            link.abort()
