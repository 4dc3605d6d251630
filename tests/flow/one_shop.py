"""One simulated Shopify shop and an engine that it can reach: webhooks come in by the real route."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx2
from starlette.types import ASGIApp, Receive, Scope, Send

from flow.world import BERLIN, CLOCK, PATIENCE_S, SHOP, SHOP_ADDRESS, SPEED
from oneshelf.app import OpenChannels
from oneshelf.connectors.shopify.simulator import ShopifySimulator
from oneshelf.connectors.shopify.simulator_shop import LOCATION_ID
from oneshelf.connectors.shopify.simulator_tokens import CLIENT_ID, CLIENT_SECRET
from oneshelf.domain.identity import Sku
from oneshelf.flow import interpret, post, receive
from oneshelf.flow.channel import OpenChannel, announced_at
from oneshelf.flow.subscribe import Watchdog
from oneshelf.sdk.simulator import CatalogueItem
from oneshelf.storage import catalog, schedules
from oneshelf.storage.database import Database
from oneshelf.web.server import create_app

PUBLIC_URL = "http://127.0.0.1:8700"
CREDENTIALS = {"client_id": CLIENT_ID, "client_secret": CLIENT_SECRET}


@dataclass
class OneShop:
    """The shop, and a node of the engine."""

    database: Database
    channels: OpenChannels
    client: httpx2.AsyncClient
    sim: ShopifySimulator

    @property
    def channel(self) -> OpenChannel:
        return self.channels.by_name[SHOP]

    def watchdog(self, *, public_url: str = PUBLIC_URL) -> Watchdog:
        return Watchdog(self.database, self.channel, CLOCK, address=announced_at(self.channel, public_url))

    async def type_in(self, secrets: Mapping[str, str]) -> None:
        """A person connects the shop, or sets other secrets; this node follows."""
        settings = {"base_url": SHOP_ADDRESS, "location_id": LOCATION_ID, "orders_lag_s": "0.2"}
        # What is asked for on time comes only when somebody hurries it.
        timing = {"poll_orders_s": 86_400.0, "sweep_stock_s": 86_400.0}
        async with self.database.transaction() as tx:
            new = catalog.NewChannel(SHOP, "shopify", BERLIN, settings, dict(secrets), timing)
            await catalog.add_channel(tx, new)
        await self.channels.refresh()

    async def another_node(self) -> OpenChannel:
        """The channel as another process has it."""
        channels = OpenChannels(self.database, CLOCK, self.client)
        await channels.refresh()
        return channels.by_name[SHOP]

    async def poll(self) -> int:
        """Ask for orders if it is time."""
        return await receive.poll_orders(self.database, self.channel, CLOCK)

    async def read_on(self) -> None:
        """Read and post what came in."""
        await interpret.interpret(self.database, self.channels.by_name)
        await post.post_facts(self.database, CLOCK.new_id)

    async def orders(self) -> list[str]:
        """The orders that the ledger has taken."""
        await self.read_on()
        return [row["order_id"] for row in await self.rows("select order_id from orders where snapshot is not null")]

    async def make_due(self, task: str) -> None:
        async with self.database.transaction() as tx:
            await schedules.hurry(tx, SHOP, task, at_most_every_s=0)

    async def rows(self, query: str) -> list[dict[str, Any]]:
        """Look into the database."""
        async with self.database.transaction() as tx:
            cursor = await tx.execute(query.encode())
            names = [column.name for column in cursor.description or ()]
            return [dict(zip(names, row, strict=True)) async for row in cursor]

    async def until(self, holds: Callable[[], Awaitable[object]], *, what: str) -> None:
        deadline = CLOCK.monotonic() + PATIENCE_S
        while not await holds():
            assert CLOCK.monotonic() < deadline, f"not within {PATIENCE_S} s: {what}"
            await CLOCK.sleep(0.02)


@asynccontextmanager
async def open_shop(dsn: str, secrets: Mapping[str, str] = CREDENTIALS) -> AsyncIterator[OneShop]:
    """Mugs and caps are on sale, and the shop is connected with these secrets."""
    engine: list[ASGIApp] = []

    async def reach(scope: Scope, receive: Receive, send: Send) -> None:
        await engine[0](scope, receive, send)

    async with Database.open(dsn) as database, httpx2.AsyncClient(transport=httpx2.ASGITransport(reach)) as webhooks:
        sim = ShopifySimulator(seed=3, speed=SPEED, clock=CLOCK, webhook_client=webhooks)
        sim.stock_catalogue([CatalogueItem(sku=sku, title=sku, units=100) for sku in ("MUG", "CAP")])
        transport = httpx2.ASGITransport(sim.app(), raise_app_exceptions=False)
        async with httpx2.AsyncClient(mounts={SHOP_ADDRESS: transport}) as client:
            shop = OneShop(database, OpenChannels(database, CLOCK, client), client, sim)
            engine.append(
                create_app(
                    database=database,
                    channels=shop.channels.by_name,
                    clock=CLOCK,
                    wake=lambda _names: None,
                    post=lambda commands: post.post_commands(database, CLOCK.new_id, commands),
                )
            )
            async with database.transaction() as tx:
                await catalog.add_skus(tx, {Sku("MUG"): "", Sku("CAP"): ""})
                await catalog.add_location(tx, BERLIN)
            await shop.type_in(secrets)
            async with asyncio.TaskGroup() as group:
                running = group.create_task(sim.run())
                yield shop
                running.cancel()
