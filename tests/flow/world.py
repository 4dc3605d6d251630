"""One engine between simulated channels, over their real wire, on a real database."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx2

from oneshelf.app import OpenChannels
from oneshelf.clock import SystemClock
from oneshelf.connectors.amazon.simulator import SIMULATED_SECRETS, SIMULATED_SETTINGS, TOKEN_PATH
from oneshelf.connectors.shopify.simulator import ACCESS_TOKEN
from oneshelf.connectors.shopify.simulator_shop import LOCATION_ID
from oneshelf.domain.command import Command, CommandKey, Receive
from oneshelf.domain.identity import Channel, Location, Sku
from oneshelf.domain.outcome import Outcome
from oneshelf.flow import audit, confirm, interpret, plan, post, push, receive, reconcile, resolve
from oneshelf.sdk.capability import WriteKind
from oneshelf.sdk.kinds import load_kinds
from oneshelf.sdk.message import Request
from oneshelf.sdk.simulator import CatalogueItem, Simulator
from oneshelf.storage import catalog
from oneshelf.storage.database import Database

BERLIN = Location("BER")
SHOP, MARKET = Channel("shop"), Channel("market")
SPEED = 600.0
SHOP_ADDRESS, MARKET_ADDRESS = "http://127.0.0.1:9801", "http://127.0.0.1:9802"
WEBHOOK_SECRET = "hush"
PATIENCE_S = 90.0
# How long to wait where a turn had nothing to do: what it waits for takes some tenths of a second.
IDLE_S = 0.04

CLOCK = SystemClock()


@dataclass
class World:
    """The engine and its channels. Webhooks reach the engine only while `engine_listens`."""

    database: Database
    channels: OpenChannels
    simulators: Mapping[Channel, Simulator]
    engine_listens: bool = True
    refused_webhooks: list[int] = field(default_factory=list)

    async def receive(self, sku: str, units: int, *, key: str = "receipt") -> None:
        """Goods come in."""
        command = Receive(key=CommandKey(scope="test", key=key), sku=Sku(sku), location=BERLIN, units=units)
        await post.post_commands(self.database, CLOCK.new_id, [command])

    async def turn(self) -> int:
        """Let every step run once. Returns how much was done."""
        done = 0
        for channel in self.channels.by_name.values():
            done += await receive.poll_orders(self.database, channel, CLOCK)
            done += await reconcile.sweep(self.database, channel, CLOCK)
        done += await interpret.interpret(self.database, self.channels.by_name)
        done += await post.post_facts(self.database, CLOCK.new_id)
        done += await plan.plan(self.database, blind=self._blind())
        for channel in self.channels.by_name.values():
            done += await push.push(self.database, channel, CLOCK)
            done += await confirm.confirm(self.database, channel, CLOCK)
            done += await reconcile.weigh_suspicions(self.database, channel, CLOCK)
        done += await resolve.resolve(self.database, self.channels.by_name, resolve.Ledger(self._take, self._book))
        return done + await post.post_moves(self.database, CLOCK.new_id)

    async def _take(self, wish: Command) -> Outcome:
        [answered] = await post.post_commands(self.database, CLOCK.new_id, [wish])
        return answered.outcome

    async def _book(self) -> int:
        return await post.post_moves(self.database, CLOCK.new_id)

    def _blind(self) -> set[Channel]:
        """Channels that do not compare what is written, or were shown not to."""
        opened = self.channels.by_name.items()
        return {name for name, one in opened if one.capability.write_kind is WriteKind.BLIND_SET}

    async def until(self, holds: Callable[[], Awaitable[bool]], *, what: str) -> None:
        """Run the engine until something holds. Fails with the state of the listings after a while."""
        deadline = CLOCK.monotonic() + PATIENCE_S
        while not await holds():
            if CLOCK.monotonic() > deadline:
                raise AssertionError(f"not within {PATIENCE_S} s: {what}\n{await self.listings()}")
            if not await self.turn():
                await CLOCK.sleep(IDLE_S)

    async def until_verified(self) -> None:
        """Run the engine until every order is posted and every listing shows what is desired, at the channel too."""
        await self.until(self.is_settled, what="every order posted and every listing verified")

    async def is_settled(self) -> bool:
        """Whether nothing is left to do, judged by the channels' own books."""
        waiting = await self.rows(
            "select 1 from inbox where state = 'new' union all select 1 from facts where state = 'new'"
        )
        listings = await self.listings()
        books = {
            (name, listing.channel_sku): listing.units
            for name, simulator in self.simulators.items()
            for listing in simulator.listings()
        }
        return (
            not waiting
            and len(listings) == len(books)
            and all(
                row["verified_version"] == row["desired_version"] > 0
                and row["verified_units"] == row["desired_units"] == books[row["channel"], row["channel_sku"]]
                for row in listings
            )
            and await self.orders_posted() == sum(len(simulator.orders()) for simulator in self.simulators.values())
        )

    async def orders_posted(self) -> int:
        """How many orders the ledger has taken."""
        return int((await self.rows("select count(*) as n from orders where snapshot is not null"))[0]["n"])

    async def listings(self) -> list[dict[str, Any]]:
        """The listings as they stand in the database."""
        return await self.rows(
            """
            select channel, channel_sku, sku, phase, desired_units, desired_version, sent_version, verified_units,
                   verified_version, base_units - (net_units - base_net) as belief, suspect_units, parked_reason
            from listings order by channel, channel_sku
            """
        )

    async def drifts(self) -> list[dict[str, Any]]:
        """All drifts, oldest first."""
        return await self.rows("select * from drifts order by opened_at")

    async def available(self, sku: str) -> int:
        """Units of a SKU that are free to sell."""
        rows = await self.rows(f"select sum(available) as units from balances where sku = '{sku}'")
        return int(rows[0]["units"])

    async def rows(self, query: str) -> list[dict[str, Any]]:
        """Look into the database."""
        async with self.database.transaction() as tx:
            cursor = await tx.execute(query.encode())
            names = [column.name for column in cursor.description or ()]
            return [dict(zip(names, row, strict=True)) async for row in cursor]

    async def database_do(self, statement: str) -> None:
        """Change what stands in the database, as time or a person would."""
        async with self.database.transaction() as tx:
            await tx.execute(statement.encode())

    async def assert_ledger_balances(self) -> None:
        assert (await audit.audit(self.database)).violations == ()

    def listing(self, channel: Channel, sku: str) -> str:
        """A channel's own id of the listing that carries this SKU."""
        return next(
            listing.channel_sku for listing in self.simulators[channel].listings() if listing.merchant_sku == sku
        )

    def sell(self, channel: Channel, sku: str, units: int = 1) -> str:
        """A buyer orders at the channel."""
        order_id = self.simulators[channel].place([(self.listing(channel, sku), units)])
        assert order_id is not None, f"{channel} has no {units} of {sku} to sell"
        return order_id


@asynccontextmanager
async def open_world(
    dsn: str,
    *,
    skus: Mapping[str, int],
    seed: int = 1,
    link: bool = True,
    timing: Mapping[str, float] | None = None,
    market: str = "amazon",
    shop: str = "shopify",
) -> AsyncIterator[World]:
    """Both channels connected and live; `skus`: SKU -> units that the channels showed before we came.

    `market`: the kind of the market place; `shop`: that of the shop, shopify or ebay.
    """
    kinds = load_kinds()
    simulators = {
        SHOP: kinds[shop].simulator(seed=seed, speed=SPEED, clock=CLOCK),
        MARKET: kinds[market].simulator(seed=seed, speed=SPEED, clock=CLOCK),
    }
    catalogue = [CatalogueItem(sku=sku, title=sku.title(), units=units) for sku, units in skus.items()]
    for simulator in simulators.values():
        simulator.stock_catalogue(catalogue)
    mounts = {
        SHOP_ADDRESS: httpx2.ASGITransport(simulators[SHOP].app(), raise_app_exceptions=False),
        MARKET_ADDRESS: httpx2.ASGITransport(simulators[MARKET].app(), raise_app_exceptions=False),
    }
    async with Database.open(dsn) as database, httpx2.AsyncClient(mounts=mounts) as client:
        await _connect(database, [Sku(sku) for sku in skus] if link else [], timing or {}, market, shop)
        channels = OpenChannels(database, CLOCK, client)
        await channels.refresh()
        world = World(database, channels, simulators)
        async with asyncio.TaskGroup() as group:
            running = [group.create_task(simulator.run()) for simulator in simulators.values()]
            if link:
                for sku, units in skus.items():
                    await world.receive(sku, units, key=f"first-{sku}")
                await world.until_verified()
            yield world
            for task in running:
                task.cancel()


async def _connect(
    database: Database, skus: list[Sku], own_timing: Mapping[str, float], market: str, shop: str
) -> None:
    timing = {"poll_orders_s": 0.1, "sweep_stock_s": 0.5, "suspense_s": 1.0, "stale_s": 0.1, **own_timing}
    async with database.transaction() as tx:
        await catalog.add_skus(tx, dict.fromkeys(skus, ""))
        await catalog.add_location(tx, BERLIN)
        config = shopify_config() if shop == "shopify" else ebay_config(SHOP_ADDRESS)
        await catalog.add_channel(tx, catalog.NewChannel(SHOP, shop, BERLIN, *config, timing))
        await catalog.add_channel(
            tx, catalog.NewChannel(MARKET, market, BERLIN, *MARKETS[market](), {**timing, "apply_s": 1.5})
        )
        await catalog.set_mode(tx, SHOP, "live")
        await catalog.set_mode(tx, MARKET, "live")


def shopify_config() -> tuple[dict[str, str], dict[str, str]]:
    """Settings and secrets that the Shopify simulator takes."""
    return (
        {"base_url": SHOP_ADDRESS, "location_id": LOCATION_ID, "orders_lag_s": "0.2"},
        {"access_token": ACCESS_TOKEN, "webhook_secret": WEBHOOK_SECRET},
    )


def amazon_config() -> tuple[dict[str, str], dict[str, str]]:
    """Settings and secrets that the Amazon simulator takes."""
    addresses = {"base_url": MARKET_ADDRESS, "token_url": f"{MARKET_ADDRESS}{TOKEN_PATH}"}
    return ({**SIMULATED_SETTINGS, **addresses, "orders_lag_s": "0.5"}, dict(SIMULATED_SECRETS))


def ebay_config(address: str = MARKET_ADDRESS) -> tuple[dict[str, str], dict[str, str]]:
    """Settings and secrets that the eBay simulator takes."""
    account = load_kinds()["ebay"].simulator(seed=1, speed=SPEED, clock=CLOCK).account(address=address)
    return ({**account.settings, "orders_lag_s": "0.5"}, dict(account.secrets))


def square_config() -> tuple[dict[str, str], dict[str, str]]:
    """Settings and secrets that the Square simulator takes."""
    account = load_kinds()["square"].simulator(seed=1, speed=SPEED, clock=CLOCK).account(address=MARKET_ADDRESS)
    return ({**account.settings, "orders_lag_s": "0.2"}, dict(account.secrets))


MARKETS = {"amazon": amazon_config, "ebay": ebay_config, "square": square_config}


async def deliver(world: World, channel: Channel, request: Request) -> bool:
    """Hand a webhook to the engine, as its web server does."""
    return await receive.receive_webhook(world.database, world.channels.by_name[channel], request)
