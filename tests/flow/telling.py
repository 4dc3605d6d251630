"""A paper channel that only tells ids of orders, by webhook or by a queue, at a time that the test turns."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from oneshelf.clock import SystemClock
from oneshelf.domain.identity import Channel
from oneshelf.flow import fetch, hear, interpret
from oneshelf.flow.channel import OpenChannel
from oneshelf.sdk.fault import ChannelFault
from oneshelf.sdk.message import Delivery, Heard, Message, OrderHint
from oneshelf.storage import inbox, schedules
from oneshelf.storage.database import Database, Transaction
from storage.pinned import NOON, SHOP, PinnedDatabase, pinned
from web.paper import CAPABILITY, PaperConnector

CLOCK = SystemClock()


class KilledError(BaseException):
    """The node is dead: nothing that comes later has an effect."""


class MortalDatabase(Database):
    """A node's database that dies at its n-th point: before a transaction, before its commit, and after it."""

    def __init__(self, inner: Database, *, dies_at: int) -> None:
        self._inner = inner
        self._left = dies_at

    def live(self) -> None:
        """Come to a point at which the node may die."""
        self._left -= 1
        if self._left <= 0:
            raise KilledError

    @asynccontextmanager
    async def transaction(self, *, is_pipelined: bool = False) -> AsyncIterator[Transaction]:
        self.live()
        async with self._inner.transaction(is_pipelined=is_pipelined) as tx:
            yield tx
            self.live()
        self.live()


class TellingConnector(PaperConnector):
    """Fetches orders and hears. `orders`: id -> units of mugs, as the channel shows them; `queue`: what lies in it."""

    def __init__(self, channel: Channel) -> None:
        super().__init__(channel)
        self.orders: dict[str, int] = {}
        self.asked: list[str] = []
        self.fault: ChannelFault | None = None
        self.refuses_order = ""
        # What happens at the channel while it is being asked.
        self.meanwhile: Callable[[], Awaitable[None]] | None = None
        self.queue: dict[str, str] = {}
        self.queue_fault: ChannelFault | None = None
        self.acknowledged: list[str] = []

    def parse(self, delivery: Delivery) -> tuple[Message, ...]:
        if delivery.topic == "hint":
            return (OrderHint(delivery.body.decode()),)
        return super().parse(delivery)

    async def fetch_order(self, order_id: str) -> Delivery | None:
        self.asked.append(order_id)
        units = self.orders.get(order_id)
        if self.meanwhile is not None:
            meanwhile, self.meanwhile = self.meanwhile, None
            await meanwhile()
        if self.fault is not None:
            raise self.fault
        if units is None:
            return None
        told = {"order": order_id, "placed_at": NOON.isoformat(), "lines": {"MUG": units}}
        return Delivery(key=f"poll:{order_id}:{units}", topic="order", body=json.dumps(told).encode())

    @property
    def has_queue(self) -> bool:
        return True

    @property
    def queue_name(self) -> str:
        return "paper queue"

    async def hear(self) -> Heard:
        if self.queue_fault is not None:
            raise self.queue_fault
        found = [Delivery(key=key, topic="hint", body=order_id.encode()) for key, order_id in self.queue.items()]
        return Heard(tuple(found), tuple(self.queue))

    async def acknowledge(self, receipts: Sequence[str]) -> None:
        for receipt in receipts:
            del self.queue[receipt]
            self.acknowledged.append(receipt)


@dataclass
class Telling:
    """The channel, and two nodes of the engine."""

    pin: PinnedDatabase
    connector: TellingConnector
    channel: OpenChannel
    hints: int = 0
    listeners: dict[int, hear.Listener] = field(default_factory=dict)

    @property
    def database(self) -> Database:
        return self.pin.database

    async def hint(self, *order_ids: str) -> None:
        """The channel tells that these orders changed, and the engine reads it."""
        async with self.database.transaction() as tx:
            for order_id in order_ids:
                self.hints += 1
                await inbox.store(tx, SHOP, [inbox.NewDelivery(f"hint-{self.hints}", "hint", order_id.encode())])
        await interpret.interpret(self.database, {SHOP: self.channel})

    async def fetch(self, node: Database | None = None) -> int:
        return await fetch.fetch(node or self.database, self.channel, CLOCK)

    async def listen(self, node: Database | None = None) -> int:
        """One round; a node of its own is one that starts."""
        if node is not None:
            return await hear.Listener(node, self.channel, CLOCK).listen()
        listener = self.listeners.setdefault(0, hear.Listener(self.database, self.channel, CLOCK))
        return await listener.listen()

    async def wanted(self) -> dict[str, int]:
        """order -> how often in a row it could not be had."""
        rows = await self.rows("select order_id, tries from wanted_orders order by order_id")
        return {row["order_id"]: row["tries"] for row in rows}

    async def told(self) -> list[str]:
        """The keys of what is in the inbox beside hints by webhook, in order."""
        rows = await self.rows("select delivery_key as key from inbox where delivery_key not like 'hint-%' order by 1")
        return [row["key"] for row in rows]

    async def rows(self, query: str) -> list[dict[str, Any]]:
        """Look into the database."""
        async with self.database.transaction() as tx:
            cursor = await tx.execute(query.encode())
            names = [column.name for column in cursor.description or ()]
            return [dict(zip(names, row, strict=True)) async for row in cursor]


@asynccontextmanager
async def telling(dsn: str) -> AsyncIterator[Telling]:
    """The channel is connected, and has told nothing yet."""
    async with pinned(dsn) as pin:
        connector = TellingConnector(SHOP)
        channel = OpenChannel(name=SHOP, kind="paper", connector=connector, capability=CAPABILITY)
        async with pin.database.transaction() as tx:
            await schedules.ensure(tx, SHOP, {"orders": 3600.0})
        yield Telling(pin, connector, channel)
