"""A bench: one connector at its own simulated channel, in virtual time. The only place where a connector is opened."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import TypeVar

import httpx2

from oneshelf.domain.identity import Channel, ChannelSku
from oneshelf.domain.order import OrderSnapshot, is_older
from oneshelf.sdk.conformance.check import expect, fail
from oneshelf.sdk.conformance.wire import Buckets, Hooks, WatchedHttp, Wire
from oneshelf.sdk.contract import Connector, ConnectorKind, FetchesOrders, LearnsKeys
from oneshelf.sdk.fault import RetryLaterError
from oneshelf.sdk.message import (
    Accepted,
    Applied,
    ChannelConfig,
    Delivery,
    Message,
    OrderHint,
    OrderPage,
    Request,
    StockReading,
    StockWrite,
    Throttled,
    Unknown,
    WriteOutcome,
)
from oneshelf.sdk.secret_store import MemorySecretStore
from oneshelf.sdk.simulator import BookOrder, CatalogueItem, SimulatedAccount, Simulator
from oneshelf.sdk.virtual_time import VirtualClock

CHANNEL = Channel("conformance")
ADDRESS = "http://127.0.0.1:9800"
HOOK_ADDRESS = "http://127.0.0.1:8700/webhooks/conformance"
SECRET = "hush-now-conformance"  # noqa: S105  # opens a simulator only
DEADLINE_S = 20.0
TRIES_MAX = 500
PAGES_MAX = 400
ROUNDS_MAX = 40
# Long enough for a channel to send its webhooks.
SOON_S = 60.0

Result = TypeVar("Result")


@dataclass(slots=True)
class Polled:
    """One poll, or several in a row: `orders` has the newest snapshot of each order."""

    cursor: str
    covered_until: datetime | None
    deliveries: list[Delivery] = field(default_factory=list)
    orders: dict[str, OrderSnapshot] = field(default_factory=dict)
    page_count: int = 0

    def take(self, page: OrderPage, messages: Iterable[Message]) -> None:
        self.page_count += 1
        self.cursor, self.covered_until = page.cursor, page.covered_until
        self.deliveries.extend(page.deliveries)
        for message in messages:
            if isinstance(message, OrderSnapshot):
                self.learn(message)

    def add(self, later: Polled) -> None:
        """What a later poll told."""
        self.page_count = max(self.page_count, later.page_count)
        self.cursor, self.covered_until = later.cursor, later.covered_until
        self.deliveries.extend(later.deliveries)
        for order in later.orders.values():
            self.learn(order)

    def learn(self, order: OrderSnapshot) -> None:
        if not is_older(order, self.orders.get(order.order_id)):
            self.orders[order.order_id] = order


@dataclass(slots=True)
class Bench:
    """What a check has in its hands. `simulator` is the truth; the connector only meets it over the wire."""

    kind: ConnectorKind
    seed: int
    clock: VirtualClock
    simulator: Simulator
    wire: Wire
    hooks: Hooks
    limiter: Buckets
    http: WatchedHttp
    config: ChannelConfig
    # What the connectors of the account keep for each other, as all nodes of an engine do.
    store: MemorySecretStore
    connector: Connector
    # Calls that the channel did not carry out for now, although our own budget granted them.
    turned_away: list[str] = field(default_factory=list)

    # Where things are -----------------------------------------------------------------------------------------

    @property
    def skus(self) -> list[ChannelSku]:
        return [ChannelSku(listing.channel_sku) for listing in self.simulator.listings()]

    def shown(self) -> dict[ChannelSku, int]:
        """listing -> units that a buyer can buy now, by the books."""
        return {ChannelSku(one.channel_sku): one.units for one in self.simulator.listings()}

    def another_connector(
        self, *, webhook_secrets: Sequence[str] = (SECRET,), is_of_another: bool = False
    ) -> Connector:
        """A second one of the same account, which has read nothing yet.

        `is_of_another`: of another engine, which keeps nothing of ours and gets a token of its own.
        """
        config = config_of(self.simulator, webhook_secrets=webhook_secrets)
        store = None if is_of_another else self.store
        return open_connector(self.kind, config, http=self.http, clock=self.clock, store=store)

    def open_account(self, account: SimulatedAccount) -> Connector:
        """A connector of another kind of account at the same channel."""
        config = ChannelConfig(channel=CHANNEL, settings=account.settings, secrets=account.secrets)
        return open_connector(self.kind, config, http=self.http, clock=self.clock)

    @asynccontextmanager
    async def another(self, *, items: int = 5, units: int = 10) -> AsyncIterator[Bench]:
        """A bench of its own, of the same seed, with so many listings."""
        async with opened(self.kind, clock=self.clock, seed=self.seed, items=items, units=units) as bench:
            yield bench

    # Time -----------------------------------------------------------------------------------------------------

    async def live(self, seconds: float) -> None:
        """Let time pass for everybody."""
        await asyncio.sleep(seconds)

    async def patiently(self, call: Callable[[], Awaitable[Result]]) -> Result:
        """The answer to a call that is made again after each RetryLaterError, when that says."""
        for _ in range(TRIES_MAX):
            try:
                return await call()
            except RetryLaterError as busy:
                if self.limiter.has_granted:
                    self.turned_away.append(str(busy))
                await self.live(max(0.05, busy.retry_after_s))
        return await call()

    # Orders ---------------------------------------------------------------------------------------------------

    def parsed(self, delivery: Delivery) -> tuple[Message, ...]:
        return self.connector.parse(delivery)

    async def verified(self, request: Request, *, connector: Connector | None = None) -> Delivery:
        """The delivery in a webhook, as the door takes it: a key that has to be fetched is fetched first."""
        connector = connector or self.connector
        if isinstance(connector, LearnsKeys):
            await self.patiently(partial(connector.learn_key, request))
        return connector.verify(request)

    async def told(self, request: Request) -> list[Message]:
        """What a webhook says, see `said`."""
        return await self.said(await self.verified(request))

    async def said(self, delivery: Delivery) -> list[Message]:
        """What a delivery says, and the order itself where it only names one that can be fetched."""
        messages = list(self.parsed(delivery))
        for message in tuple(messages):
            if isinstance(message, OrderHint) and message.order_id and isinstance(self.connector, FetchesOrders):
                order = await self.patiently(partial(self.connector.fetch_order, message.order_id))
                messages += self.parsed(order) if order is not None else ()
        return messages

    async def poll(
        self,
        cursor: str | None,
        *,
        since: datetime | None = None,
        between: Callable[[int], None] | None = None,
    ) -> Polled:
        """All pages of one poll. `between`: what happens after each page but the last."""
        page = await self.patiently(lambda: self.connector.poll_orders(cursor, since=since))
        polled = Polled(page.cursor, page.covered_until)
        while True:
            polled.take(page, [message for each in page.deliveries for message in self.parsed(each)])
            expect(polled.page_count < PAGES_MAX, f"a poll has no end: {PAGES_MAX} pages, and has_more still")
            if not page.has_more:
                return polled
            expect(page.covered_until is None, "covered_until is told although more pages follow at once")
            if between is not None:
                between(polled.page_count)
            place = page.cursor
            page = await self.patiently(lambda place=place: self.connector.poll_orders(place))  # type: ignore[misc]  # bound early

    async def catch_up(
        self, cursor: str, *, until: datetime | None = None, between: Callable[[int], None] | None = None
    ) -> Polled:
        """Poll at the declared pace until all orders placed before `until` (default: now) are covered.

        `page_count` is that of the longest poll.
        """
        until = until or self.clock.now()
        whole = Polled(cursor, None)
        for _ in range(ROUNDS_MAX):
            polled = await self.poll(whole.cursor, between=between)
            whole.add(polled)
            if polled.covered_until is not None and polled.covered_until >= until:
                return whole
            await self.live(self.kind.capability.poll_orders_s)
        fail(f"after {ROUNDS_MAX} polls at the declared pace covered_until is still before {until}")

    async def settled_orders(self, cursor: str, *, between: Callable[[int], None] | None = None) -> Polled:
        """What polls tell once all changes until now are told too. `cursor`: of the last of them."""
        whole = await self.catch_up(cursor, between=between)
        await self.live(self.kind.capability.orders_lag_s + 1.0)
        whole.add(await self.catch_up(whole.cursor))
        return whole

    def placed(self, *lines: tuple[ChannelSku, int]) -> str:
        """A buyer orders; the order's id."""
        order_id = self.simulator.place(list(lines))
        expect(order_id is not None, f"the simulator would not sell {lines}")
        return str(order_id)

    def booked(self, order_id: str) -> BookOrder:
        return next(order for order in self.simulator.orders() if order.order_id == order_id)

    # Stock ----------------------------------------------------------------------------------------------------

    async def read(self, *skus: ChannelSku) -> dict[ChannelSku, StockReading]:
        readings = await self.patiently(lambda: self.connector.read_stock(list(skus)))
        return {reading.channel_sku: reading for reading in readings}

    async def units_read(self, sku: ChannelSku) -> int | None:
        reading = (await self.read(sku)).get(sku)
        return reading.units if reading else None

    async def fetched(self) -> list[StockReading]:
        """All pages of the whole stock."""
        readings: list[StockReading] = []
        cursor: str | None = None
        for _ in range(PAGES_MAX):
            page = await self.patiently(lambda: self.connector.fetch_stock(cursor))  # noqa: B023  # called at once
            readings.extend(page.readings)
            cursor = page.cursor
            if cursor is None:
                return readings
        fail(f"the whole stock has no end: {PAGES_MAX} pages, and a cursor still")

    def write(self, sku: ChannelSku, units: int, *, expected: int | None = None) -> StockWrite:
        """A write of the figure; the engine believes `expected` (default: what is shown)."""
        believed = self.shown()[sku] if expected is None else expected
        return StockWrite(key=self.clock.new_id(), channel_sku=sku, units=units, expected_units=believed)

    async def push(self, *writes: StockWrite) -> tuple[WriteOutcome, ...]:
        """The outcomes, where the channel has budget for all of them; a batch that was not done goes again."""
        for _ in range(TRIES_MAX):
            outcomes = await self.patiently(lambda: self.connector.push(list(writes)))
            busy = [outcome.retry_after_s for outcome in outcomes if isinstance(outcome, Throttled)]
            if not busy or len(busy) < len(writes):
                break
            await self.live(max(0.05, *busy))
        return outcomes

    async def applied(self) -> None:
        """Let pass the time within which an accepted write has to show."""
        if not self.kind.capability.is_applied_when_answered:
            await self.live(self.kind.capability.apply_s)

    async def judge(
        self, writes: Sequence[StockWrite], outcomes: Sequence[WriteOutcome], before: Mapping[ChannelSku, int]
    ) -> None:
        """Whether the books agree with each outcome: what is said to be written is shown, what is not is not."""
        expect(len(outcomes) == len(writes), f"{len(writes)} writes had {len(outcomes)} outcomes")
        await self.applied()
        shown = self.shown()
        for write, outcome in zip(writes, outcomes, strict=True):
            sku = write.channel_sku
            if isinstance(outcome, Applied | Accepted):
                is_true = shown[sku] == write.units
            else:
                is_true = isinstance(outcome, Unknown) or shown.get(sku) == before.get(sku)
            told = f"{sku}: {type(outcome).__name__} for {write.units}, before it showed {before.get(sku)}"
            expect(is_true, f"{told}, and now it shows {shown.get(sku)}")


def config_of(simulator: Simulator, *, webhook_secrets: Sequence[str] = (SECRET,)) -> ChannelConfig:
    """What a person would have told us of this simulator."""
    account = simulator.account(address=ADDRESS, webhook_secrets=webhook_secrets)
    return ChannelConfig(channel=CHANNEL, settings=account.settings, secrets=account.secrets)


def open_connector(
    kind: ConnectorKind,
    config: ChannelConfig,
    *,
    http: WatchedHttp,
    clock: VirtualClock,
    store: MemorySecretStore | None = None,
) -> Connector:
    """A connector. The only place of the suite that knows how one is opened. `store`: None: one of its own."""
    return kind.open(config, channel=CHANNEL, http=http, clock=clock, store=store or MemorySecretStore(clock))


@asynccontextmanager
async def opened(
    kind: ConnectorKind, *, clock: VirtualClock, seed: int = 7, items: int = 5, units: int = 10
) -> AsyncIterator[Bench]:
    """A bench on which the channel lives."""
    hooks = Hooks()
    hook_client = httpx2.AsyncClient(transport=hooks)
    simulator = kind.simulator(seed=seed, speed=1.0, clock=clock, webhook_client=hook_client)
    simulator.stock_catalogue([CatalogueItem(sku=f"MUG-{n}", title=f"Mug {n}", units=units) for n in range(items)])
    simulator.connect(address=HOOK_ADDRESS, secret=SECRET)  # Who sends no webhooks ignores it.
    wire = Wire(simulator.app(), clock)
    client = httpx2.AsyncClient(transport=wire)
    limiter = Buckets(kind.capability.limits, clock)
    http = WatchedHttp(client, clock=clock, limiter=limiter, deadline_s=DEADLINE_S)
    config = config_of(simulator)
    store = MemorySecretStore(clock)
    connector = open_connector(kind, config, http=http, clock=clock, store=store)
    life = asyncio.get_running_loop().create_task(simulator.run())
    try:
        yield Bench(kind, seed, clock, simulator, wire, hooks, limiter, http, config, store, connector)
    finally:
        life.cancel()
        await asyncio.gather(life, return_exceptions=True)
        await client.aclose()
        await hook_client.aclose()
