"""The connections of one simulated engine: no more than in production, and whoever wants one more waits for it."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import psycopg
from psycopg_pool import PoolTimeout

from oneshelf.simulation.database import SteppedConnection
from oneshelf.storage.database import CONNECTIONS_MAX, POOL_WAIT_S

if TYPE_CHECKING:
    from oneshelf.simulation.node import Node


class SteppedPool:
    """Stands for the driver's pool, which keeps real time. Who waits longest is served first."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._free: list[SteppedConnection] = []
        # Each is told: there is a connection for it, or room for one.
        self._waiting: deque[asyncio.Future[SteppedConnection | None]] = deque()
        self.opened: list[SteppedConnection] = []

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[SteppedConnection]:
        self._node.raise_if_dead()
        connection = await self._take()
        try:
            yield connection
        finally:
            if connection.is_free:
                self._hand_on(connection)
            else:
                connection.abandon()
                if connection in self.opened:
                    self.opened.remove(connection)
                    self._hand_on(None)

    def abandon(self) -> None:
        """The node is dead: the server rolls back what was open."""
        self._node.database.end([connection.lost() for connection in self.opened if not connection.closed])
        self.opened.clear()
        self._free.clear()
        while self._waiting:
            if not (turn := self._waiting.popleft()).done():
                turn.set_exception(psycopg.OperationalError("the pool is closed"))

    async def _take(self) -> SteppedConnection:
        if self._free:
            return self._free.pop()
        if len(self.opened) >= CONNECTIONS_MAX:
            turn: asyncio.Future[SteppedConnection | None] = asyncio.get_running_loop().create_future()
            self._waiting.append(turn)
            try:
                async with asyncio.timeout(POOL_WAIT_S):
                    handed = await turn
            except BaseException as failure:
                if turn.done() and not turn.cancelled() and turn.exception() is None:
                    self._hand_on(turn.result())
                if isinstance(failure, TimeoutError):
                    raise PoolTimeout(f"no connection is free after {POOL_WAIT_S:g} s") from None
                raise
            if handed is not None:
                return handed
        connection = SteppedConnection(self._node.database.sessions.open(), self._node)
        self.opened.append(connection)
        return connection

    def _hand_on(self, connection: SteppedConnection | None) -> None:
        """To the next that waits; None: there is room for one more."""
        while self._waiting:
            if not (turn := self._waiting.popleft()).done():
                turn.set_result(connection)
                return
        if connection is not None:
            self._free.append(connection)
