"""A marketplace and a paper shop, with the engine between them, at a pace that the test turns: weeks pass in a moment.

Limits, lags and delays are the documented ones. The database, the engine and the marketplace share one clock.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Generic, TypeVar

import httpx2

from connectors.amazon.harness import TurnedClock, Wiretap, turns
from connectors.life import living
from oneshelf.app import OpenChannels
from oneshelf.connectors.amazon.simulator import AmazonSimulator
from oneshelf.connectors.ebay.simulator import EbaySimulator
from oneshelf.connectors.ebay.simulator_books import Lane
from oneshelf.domain.command import CommandKey, Receive
from oneshelf.domain.identity import Channel, ChannelSku, Location, Sku
from oneshelf.domain.rights import Mode
from oneshelf.flow import audit, confirm, fetch, hear, interpret, plan, post, push, receive, reconcile, resolve
from oneshelf.flow.channel import OpenChannel
from oneshelf.sdk.capability import WriteKind
from oneshelf.sdk.conformance.wire import Hooks
from oneshelf.sdk.contract import LearnsKeys
from oneshelf.sdk.fault import SignatureError
from oneshelf.sdk.message import Request
from oneshelf.sdk.simulator import CatalogueItem, SimulatedAccount, Simulator
from oneshelf.storage import catalog, inbox, listings, rights, schedules
from oneshelf.storage.database import Database
from storage.pinned import NOON, SHOP, PinnedDatabase, pinned
from web.paper import CAPABILITY, PaperConnector

MARKET = Channel("market")
ADDRESS, HOOKS_ADDRESS = "http://127.0.0.1:9802", "http://127.0.0.1:8700"
HOOK_SECRET = "hush-now-at-the-market-of-ebay-here"  # opens a simulator only
MUG, TWIN = Sku("MUG"), ChannelSku("MUG-FBA")
HOUR_S, DAY_S = 3600.0, 86_400.0
# Amazon applies what it has accepted within five minutes here, and 900 s are declared.
SETTLED_S = 1200.0


class MarketClock(TurnedClock):
    """Shows the time of the pinned database."""

    def now(self) -> datetime:
        return NOON + timedelta(seconds=self.monotonic())

    @property
    def wakes_in_s(self) -> float | None:
        """How long until somebody who sleeps goes on; None: nobody sleeps."""
        return max(0.0, self._sleepers[0][0] - self.monotonic()) if self._sleepers else None


Place = TypeVar("Place", bound=Simulator)


@dataclass
class Market(Generic[Place]):
    """Mugs are on sale at a marketplace and in the paper shop."""

    pin: PinnedDatabase
    clock: MarketClock
    place: Place
    paper: PaperConnector
    channels: Mapping[Channel, OpenChannel]
    wiretap: Wiretap
    # The engine begins anew at the marketplace: what only its process knew is gone.
    restart: Callable[[], Awaitable[None]]
    has_news: Callable[[], bool] = lambda: False
    is_listening: bool = True
    # What the marketplace has sent to us; None: it sends nothing.
    hooks: Hooks | None = None
    refused_count: int = 0
    paper_orders: int = 0

    @property
    def database(self) -> Database:
        return self.pin.database

    async def begin(self, units: int, *, twin: ChannelSku | None = None) -> None:
        """All is linked, the mugs have come, and both show them."""
        await self.work()
        async with self.database.transaction() as tx:
            await rights.set_mode(tx, [MUG], Mode.POOLED, guard_at_units=0)
            if twin is not None:
                await listings.link(tx, (MARKET, twin), MUG, pack_units=1)
        await self.restock(units, key="first")
        await self.live(SETTLED_S)
        await self.assert_all_is_right()
        self.wiretap.exchanges.clear()

    # Time ------------------------------------------------------------------------------------------------------

    async def pass_time(self, seconds: float) -> None:
        """Nobody of the engine does anything."""
        await self.clock.advance(seconds)
        await self.pin.turn((self.clock.now() - self.pin.at).total_seconds())

    async def live(self, seconds: float, *, every_s: float = 60.0) -> None:
        """Let time pass, and every step of the engine run after each `every_s`."""
        until = self.clock.monotonic() + seconds
        while self.clock.monotonic() < until:
            await self.pass_time(min(every_s, until - self.clock.monotonic()))
            await self.work()

    async def done(self, step: Callable[[], Awaitable[int]]) -> int:
        """Run a step. Time passes only while somebody in it waits for time to pass."""
        async with asyncio.TaskGroup() as group:
            running = group.create_task(_awaited(step))
            while not running.done():
                await asyncio.wait([running], timeout=0.002)
                if not running.done() and (wait_s := self.clock.wakes_in_s) is not None:
                    await self.pass_time(wait_s)
                    await turns()
        return running.result()

    async def work(self) -> None:
        """Every step of the engine, until none of them has anything to do."""
        for _ in range(40):
            if not await self.round():
                return
        raise AssertionError("the steps never came to rest")

    async def round(self) -> int:
        done = 0
        market = self.channels[MARKET]
        for channel in self.channels.values():
            done += await self.done(lambda channel=channel: receive.poll_orders(self.database, channel, self.clock))  # type: ignore[misc]  # a lambda that binds
        if self.is_listening and self.has_news():
            done += await self.done(hear.Listener(self.database, market, self.clock).listen)
        done += await self._take_webhooks()
        done += await interpret.interpret(self.database, self.channels)
        done += await self.done(lambda: fetch.fetch(self.database, market, self.clock))
        done += await interpret.interpret(self.database, self.channels)
        done += await post.post_facts(self.database, self.clock.new_id)
        done += await plan.plan(self.database, blind=[MARKET])
        for channel in self.channels.values():
            for step in (push.push, confirm.confirm, reconcile.sweep, reconcile.weigh_suspicions):
                did = await self.done(lambda step=step, channel=channel: step(self.database, channel, self.clock))  # type: ignore[misc]  # a lambda that binds
                # A look that finds what it knows is no work.
                done += did if step is push.push else 0
        done += await resolve.resolve(self.database, self.channels)
        return done + await post.post_moves(self.database, self.clock.new_id)

    async def _take_webhooks(self) -> int:
        """What came is stored, as the web server does it."""
        market, stored = self.channels[MARKET], 0
        came = [] if self.hooks is None else [*self.hooks.got]
        for request in came:
            stored += await self.done(lambda request=request: self._stored(market, request))  # type: ignore[misc]  # a lambda that binds
            self.hooks.got.remove(request)  # type: ignore[union-attr]  # it is there while hooks are
        return stored

    async def _stored(self, market: OpenChannel, request: Request) -> int:
        try:
            if isinstance(market.connector, LearnsKeys):
                await market.connector.learn_key(request)
            return await receive.receive_webhook(self.database, market, request)
        except SignatureError:
            self.refused_count += 1
            return 0

    # What people do --------------------------------------------------------------------------------------------

    def buy(self, units: int = 1, *, sku: str = MUG) -> str:
        """Somebody orders at the marketplace."""
        order_id = self.place.place([(sku, units)])
        assert order_id is not None, f"it does not have {units} of {sku} to sell"
        return order_id

    async def restock(self, units: int, *, key: str) -> None:
        """Mugs arrive."""
        command = Receive(key=CommandKey(scope="test", key=key), sku=MUG, location=Location("BER"), units=units)
        await post.post_commands(self.database, self.clock.new_id, [command])

    async def sell_elsewhere(self, units: int = 1) -> None:
        """Somebody orders at the paper shop, which tells us."""
        self.paper.books[ChannelSku(MUG)] -= units
        self.paper_orders += 1
        order_id = f"paper-{self.paper_orders}"
        told = {"order": order_id, "placed_at": self.clock.now().isoformat(), "lines": {MUG: units}}
        async with self.database.transaction() as tx:
            await inbox.store(tx, SHOP, [inbox.NewDelivery(order_id, "order", json.dumps(told).encode())])

    # What is there ---------------------------------------------------------------------------------------------

    def shown(self, sku: str = MUG) -> int:
        """What a buyer can buy at the marketplace."""
        return next(one.units for one in self.place.listings() if one.channel_sku == sku)

    @property
    def shown_elsewhere(self) -> int:
        return self.paper.books[ChannelSku(MUG)]

    async def figures(self) -> dict[str, int]:
        """state -> units of mugs, where there are any."""
        [row] = await self.rows("select available, committed, reserved from balances where sku = 'MUG'")
        return {state: units for state, units in row.items() if units}

    async def available(self) -> int:
        return (await self.figures()).get("available", 0)

    async def posted(self) -> list[str]:
        """The orders of the marketplace that the ledger has taken."""
        rows = await self.rows("select order_id from orders where snapshot is not null and channel = 'market'")
        return [row["order_id"] for row in rows]

    async def drifts(self) -> list[dict[str, Any]]:
        return await self.rows("select * from drifts order by opened_at")

    def answers(self, status: int) -> list[str]:
        """The paths of the calls that it answered so."""
        return [one.request.url.path for one in self.wiretap.exchanges if one.response.status_code == status]

    async def rows(self, query: str) -> list[dict[str, Any]]:
        """Look into the database."""
        async with self.database.transaction() as tx:
            cursor = await tx.execute(query.encode())
            names = [column.name for column in cursor.description or ()]
            return [dict(zip(names, row, strict=True)) async for row in cursor]

    async def assert_all_is_right(self) -> None:
        """Every order is counted once, both channels show what is available, and the ledger balances."""
        assert sorted(await self.posted()) == sorted(
            order.order_id for order in self.place.orders() if order.lines[0].channel_sku != TWIN
        )
        assert self.shown() == self.shown_elsewhere == await self.available()
        assert (await audit.audit(self.database)).violations == ()
        assert await self.rows("select * from inbox where state = 'parked'") == []


class AmazonMarket(Market[AmazonSimulator]):
    """The marketplace is Amazon."""

    @property
    def amazon(self) -> AmazonSimulator:
        return self.place

    @property
    def writes(self) -> int:
        """How often Amazon was written to."""
        return self.wiretap.count("PATCH", "/listings/")


AnyMarket = TypeVar("AnyMarket", bound=Market[Any])


async def _awaited(step: Callable[[], Awaitable[int]]) -> int:
    return await step()


@asynccontextmanager
async def open_market(
    dsn: str, *, units: int = 20, has_queue: bool = True, has_twin: bool = False, seed: int = 7
) -> AsyncIterator[AmazonMarket]:
    """So many mugs are there and shown by both; Amazon's news comes by a queue, or orders are polled alone."""
    clock = MarketClock()
    amazon = AmazonSimulator(seed=seed, speed=1.0, clock=clock)
    amazon.habits.unpaid_share = 0.0
    amazon.stock_catalogue([CatalogueItem(sku, sku, units) for sku in ([MUG, TWIN] if has_twin else [MUG])])
    if has_twin:
        amazon.fulfil_by_amazon(TWIN)
    if has_queue:
        amazon.notifications.subscribe_all()
    account = amazon.listening_account(address=ADDRESS) if has_queue else amazon.account(address=ADDRESS)
    async with _market(dsn, amazon, clock, account=account, units=units, make=AmazonMarket) as market:
        market.has_news = lambda: amazon.queue.visible_count > 0
        await market.begin(units, twin=TWIN if has_twin else None)
        yield market


@asynccontextmanager
async def open_ebay(
    dsn: str, lane: Lane, *, units: int = 20, has_control: bool = True, others: int = 0, has_webhooks: bool = False
) -> AsyncIterator[Market[EbaySimulator]]:
    """So many mugs are there and shown by both, at eBay as a listing of this world.

    `has_webhooks`: eBay tells us of sales; else orders are polled alone.
    `others`: so many listings stand at eBay too, of either world, which nobody here sells.
    """
    clock, hooks = MarketClock(), Hooks()
    hook_client = httpx2.AsyncClient(transport=hooks)
    ebay = EbaySimulator(seed=7, speed=1.0, clock=clock, webhook_client=hook_client)
    ebay.habits.unpaid_share = ebay.habits.payment_fails_share = 0.0
    ebay.habits.has_out_of_stock_control = has_control
    ebay.ebay.lanes[MUG] = lane
    ebay.stock_catalogue([CatalogueItem(MUG, "Mug", units)])
    ebay.stock_catalogue([CatalogueItem(f"CUP-{at}", f"Cup {at}", 7) for at in range(others)])
    account = ebay.account(address=ADDRESS, webhook_secrets=[HOOK_SECRET])
    if has_webhooks:
        ebay.connect(address=f"{HOOKS_ADDRESS}/webhooks/{MARKET}", secret=HOOK_SECRET)
    async with (
        hook_client,
        _market(dsn, ebay, clock, account=account, units=units, make=Market[EbaySimulator]) as market,
    ):
        market.hooks = hooks
        await market.begin(units)
        yield market


@asynccontextmanager
async def _market(
    dsn: str,
    place: Any,
    clock: MarketClock,
    *,
    account: SimulatedAccount,
    units: int,
    make: Callable[..., AnyMarket],
) -> AsyncIterator[AnyMarket]:
    async with pinned(dsn) as pin:
        wiretap = Wiretap(httpx2.ASGITransport(app=place.app()))
        paper = PaperConnector(SHOP)
        paper.books[ChannelSku(MUG)] = units
        async with pin.database.transaction() as tx:
            await catalog.add_skus(tx, {MUG: ""})
            await catalog.add_channel(
                tx, catalog.NewChannel(MARKET, place.kind, Location("BER"), account.settings, account.secrets, {})
            )
            await catalog.set_mode(tx, MARKET, "live")
            await catalog.set_mode(tx, SHOP, "live")
            await schedules.ensure(tx, SHOP, {"orders": 60.0, "stock": 900.0})
        async with httpx2.AsyncClient(transport=wiretap) as client, living(place, clock.lives):
            opened = OpenChannels(pin.database, clock, client)
            await opened.refresh()
            elsewhere = OpenChannel(name=SHOP, kind="paper", connector=paper, capability=CAPABILITY)
            channels = {MARKET: opened.by_name[MARKET], SHOP: elsewhere}
            assert channels[MARKET].capability.write_kind is WriteKind.BLIND_SET

            async def restart() -> None:
                again = OpenChannels(pin.database, clock, client)
                await again.refresh()
                channels[MARKET] = again.by_name[MARKET]

            yield make(pin, clock, place, paper, channels, wiretap, restart)
