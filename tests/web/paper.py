"""A shop of the made-up channel `paper`: a whole connector with signed webhooks, whose books are a dictionary."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import httpx2
from fastapi import FastAPI

from oneshelf.clock import SystemClock
from oneshelf.domain.identity import Channel, ChannelSku, Location, Sku
from oneshelf.domain.order import OrderLine, OrderSnapshot
from oneshelf.errors import MalformedError
from oneshelf.flow import confirm, interpret, plan, post, push, receive, reconcile, resolve
from oneshelf.flow.channel import OpenChannel
from oneshelf.sdk.capability import Capability, WriteKind
from oneshelf.sdk.fault import SignatureError
from oneshelf.sdk.message import (
    Applied,
    Delivery,
    Finding,
    Message,
    OrderPage,
    Refused,
    Request,
    Stale,
    StockPage,
    StockReading,
    StockWrite,
    WriteOutcome,
)
from oneshelf.sdk.signature import hmac_sha256_base64, is_hmac_sha256_base64
from oneshelf.storage import catalog, schedules
from oneshelf.storage.database import Database
from oneshelf.web.server import create_app
from oneshelf.workers.poster import Poster
from oneshelf.workers.runner import Pulse, Step, run_for_ever

SECRET = "paper secret"
SIGNATURE = "x-paper-signature"
BERLIN = Location("BERLIN")
CAPABILITY = Capability(
    write_kind=WriteKind.COMPARE_AND_SET,
    is_applied_when_answered=True,
    key_life_s=0,
    batch_writes=50,
    batch_reads=50,
    apply_s=5,
    zombie_s=0,
    stale_s=0,
    orders_lag_s=0,
    poll_orders_s=3600,
    sweep_stock_s=3600,
    has_webhooks=True,
    limits=(),
)


class PaperConnector:
    """Implements `sdk.contract.Connector`. `books`: what the channel shows; `refuses`: listings it will not change;
    `issues`: what it says is wrong with listings."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self.books: dict[ChannelSku, int] = {}
        self.refuses: set[ChannelSku] = set()
        self.issues: dict[ChannelSku, str] = {}

    def verify(self, request: Request) -> Delivery:
        if not is_hmac_sha256_base64(request.body, signature=request.headers.get(SIGNATURE), secrets=[SECRET]):
            raise SignatureError("the signature is missing or wrong")
        return Delivery(key=request.headers["x-paper-id"], topic="order", body=request.body)

    def parse(self, delivery: Delivery) -> tuple[Message, ...]:
        try:
            told = json.loads(delivery.body)
            lines = tuple(
                OrderLine(str(at), ChannelSku(name), units) for at, (name, units) in enumerate(told["lines"].items())
            )
            placed_at = datetime.fromisoformat(told["placed_at"])
            return (OrderSnapshot(self._channel, told["order"], told["placed_at"], placed_at, False, lines),)
        except (ValueError, KeyError, TypeError, AttributeError) as problem:
            raise MalformedError(f"not an order: {problem}") from problem

    async def poll_orders(
        self, cursor: str | None, *, since: datetime | None = None, asked_at: datetime | None = None
    ) -> OrderPage:
        return OrderPage(deliveries=(), cursor=cursor or "", has_more=False, covered_until=SystemClock().now())

    async def fetch_stock(self, cursor: str | None) -> StockPage:
        del cursor
        return StockPage(readings=await self.read_stock(list(self.books)), cursor=None)

    async def read_stock(self, channel_skus: Sequence[ChannelSku]) -> tuple[StockReading, ...]:
        return tuple(
            StockReading(name, self.books[name], merchant_sku=name, issues=self.issues.get(name))
            for name in channel_skus
            if name in self.books
        )

    async def push(self, writes: Sequence[StockWrite]) -> tuple[WriteOutcome, ...]:
        return tuple(self._push(write) for write in writes)

    def _push(self, write: StockWrite) -> WriteOutcome:
        if write.channel_sku in self.refuses:
            return Refused("this entry was printed in ink")
        if self.books[write.channel_sku] != write.expected_units:
            return Stale()
        self.books[write.channel_sku] = write.units
        return Applied()

    async def preflight(self) -> tuple[Finding, ...]:
        return ()


@dataclass
class Shop:
    """The engine with paper channels, its web application, and a client of that."""

    database: Database
    channels: dict[Channel, OpenChannel]
    connectors: dict[str, PaperConnector]
    app: FastAPI
    client: httpx2.AsyncClient
    woken: list[str] = field(default_factory=list)
    clock: SystemClock = field(default_factory=SystemClock)

    async def connect(self, name: str, *, mode: str = "live") -> PaperConnector:
        """Connect one more paper channel."""
        channel, connector = Channel(name), PaperConnector(Channel(name))
        async with self.database.transaction() as tx:
            await catalog.add_channel(tx, catalog.NewChannel(channel, "paper", BERLIN, {}, {"key": SECRET}, {}))
            await catalog.set_mode(tx, channel, mode)
            await schedules.ensure(tx, channel, {"orders": 3600, "stock": 3600})
        self.channels[channel] = OpenChannel(name=channel, kind="paper", connector=connector, capability=CAPABILITY)
        self.connectors[name] = connector
        return connector

    async def name_skus(self, *skus: str) -> None:
        async with self.database.transaction() as tx:
            await catalog.add_skus(tx, {Sku(sku): f"{sku.title()} of the shop" for sku in skus})

    async def order(self, channel: str, order_id: str, **lines: int) -> httpx2.Response:
        """A buyer orders: the channel lowers its own figures and tells us by a signed webhook."""
        books = self.connectors[channel].books
        for name, units in lines.items():
            books[ChannelSku(name)] -= units
        told = {"order": order_id, "placed_at": self.clock.now().isoformat(), "lines": lines}
        return await self.deliver(channel, json.dumps(told).encode(), delivery_id=order_id)

    async def deliver(self, channel: str, body: bytes, *, delivery_id: str, **headers: str) -> httpx2.Response:
        signed = {SIGNATURE: hmac_sha256_base64(SECRET, body), "x-paper-id": delivery_id, **headers}
        return await self.client.post(f"/webhooks/{channel}", content=body, headers=signed)

    async def command(self, key: str, **members: Any) -> httpx2.Response:
        """One command by the API; `location` is Berlin unless said otherwise."""
        command = {"key": key, "location": BERLIN, **members}
        return await self.client.post("/v1/commands", json={"commands": [command]})

    async def sweep(self) -> None:
        """Read the whole stock of every channel now."""
        async with self.database.transaction() as tx:
            for name in self.channels:
                await schedules.hurry(tx, name, "stock", at_most_every_s=0)
        for channel in self.channels.values():
            await reconcile.sweep(self.database, channel, self.clock)

    async def judge_suspicions(self) -> None:
        """Ask every channel for orders, and decide about the readings that none of them explains."""
        for channel in self.channels.values():
            async with self.database.transaction() as tx:
                await schedules.hurry(tx, channel.name, "orders", at_most_every_s=0)
            await receive.poll_orders(self.database, channel, self.clock)
            await reconcile.weigh_suspicions(self.database, channel, self.clock)

    async def plan_and_look(self) -> None:
        """Plan the touched SKUs and read back what is due, and write nothing."""
        await plan.plan(self.database)
        for channel in self.channels.values():
            await confirm.confirm(self.database, channel, self.clock)

    async def _waits_for_an_anchor(self) -> bool:
        async with self.database.transaction() as tx:
            found = await tx.execute(
                "select 1 from listings where suspect_at is not null and base_units is null limit 1"
            )
            return await found.fetchone() is not None

    async def _listings(self) -> list[tuple[object, ...]]:
        """How far each listing has got, and what is suspected of it."""
        async with self.database.transaction() as tx:
            found = await tx.execute(
                "select channel, channel_sku, phase, desired_version, sent_version, accepted_version, verified_version,"
                " base_units, base_net, suspect_units from listings order by channel, channel_sku"
            )
            return await found.fetchall()

    async def settle(self) -> None:
        """Run every step until none does anything but look, and nothing new is seen.

        A suspicion is looked at every second, so where rounds take longer than that there is always something due.
        """
        for _ in range(20):
            done, before = 0, await self._listings()
            async with self.database.transaction() as tx:
                await tx.execute("update schedules set next_at = db_now() where task = 'orders'")
            for channel in self.channels.values():
                done += await receive.poll_orders(self.database, channel, self.clock)
            done += await interpret.interpret(self.database, self.channels)
            done += await post.post_facts(self.database, self.clock.new_id)
            done += await plan.plan(self.database)
            for channel in self.channels.values():
                done += await push.push(self.database, channel, self.clock)
                await confirm.confirm(self.database, channel, self.clock)
                done += await reconcile.sweep(self.database, channel, self.clock)
                if await self._waits_for_an_anchor():
                    done += await reconcile.weigh_suspicions(self.database, channel, self.clock)
            done += await resolve.resolve(self.database, self.channels)
            done += await post.post_moves(self.database, self.clock.new_id)
            if not done and await self._listings() == before:
                return
        raise AssertionError("the steps never came to rest")


@asynccontextmanager
async def open_shop(dsn: str, *, api_token: str = "") -> AsyncIterator[Shop]:
    """A shop with one location and no channel, SKU or unit yet."""
    async with Database.open(dsn, connections_max=6) as database:
        channels: dict[Channel, OpenChannel] = {}
        woken: list[str] = []
        async with database.transaction() as tx:
            await catalog.add_location(tx, BERLIN)
        poster = Poster(database, SystemClock().new_id)
        app = create_app(
            database=database,
            channels=channels,
            clock=SystemClock(),
            wake=woken.extend,
            post=poster.post,
            api_token=api_token,
        )
        transport = httpx2.ASGITransport(app)
        lane = asyncio.get_running_loop().create_task(run_for_ever(Step("commands", poster.post_next), Pulse()))
        try:
            async with httpx2.AsyncClient(transport=transport, base_url="http://shelf.localhost") as client:
                yield Shop(database, channels, {}, app, client, woken)
        finally:
            lane.cancel()
            await asyncio.wait([lane])
