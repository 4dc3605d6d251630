"""A database whose `db_now()` stands where the test puts it, and one channel in it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

from oneshelf.domain.identity import Channel, Location
from oneshelf.storage import catalog
from oneshelf.storage.database import Database

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
SHOP = Channel("shop")


class PinnedDatabase:
    """`nodes` are pools of their own, as of several engines; the same instant holds for all of them."""

    def __init__(self, nodes: list[Database]) -> None:
        self.nodes = nodes
        self.database = nodes[0]
        self.at = NOON

    async def turn(self, seconds: float) -> None:
        """Let time pass."""
        self.at += timedelta(seconds=seconds)
        for node in self.nodes:
            await self._set(node)

    async def _set(self, node: Database) -> None:
        # The pool holds two connections; open at once, both are met.
        async with node.transaction() as one, node.transaction() as other:
            for session in (one, other):
                await session.execute(
                    "select set_config('oneshelf.now', %(at)s, false)",
                    {"at": self.at.isoformat(timespec="microseconds")},
                )


@asynccontextmanager
async def pinned(dsn: str) -> AsyncIterator[PinnedDatabase]:
    """Two nodes on one database with the channel SHOP, at noon."""
    async with Database.open(dsn, connections_max=2) as one, Database.open(dsn, connections_max=2) as other:
        database = PinnedDatabase([one, other])
        await database.turn(0)
        async with one.transaction() as tx:
            await catalog.add_location(tx, Location("BER"))
            await catalog.add_channel(tx, catalog.NewChannel(SHOP, "shopify", Location("BER"), {}, {}, {}))
        yield database
