"""A connector and a simulated Amazon on one bench: joined in process, on a clock that the test turns."""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import count
from math import inf
from typing import TypeVar
from uuid import UUID

import httpx2

from connectors.life import Life, living, next_of
from oneshelf.clock import uuid7
from oneshelf.connectors.amazon import CONNECTOR
from oneshelf.connectors.amazon.simulator import SIMULATED_SECRETS, SIMULATED_SETTINGS, TOKEN_PATH, AmazonSimulator
from oneshelf.domain.charge import Charge, Learned
from oneshelf.domain.identity import Channel, ChannelSku
from oneshelf.domain.order import OrderSnapshot
from oneshelf.sdk.contract import Connector
from oneshelf.sdk.fault import RetryLaterError
from oneshelf.sdk.http import ChannelHttp
from oneshelf.sdk.limits import Limiter
from oneshelf.sdk.message import ChannelConfig, OrderPage, StockWrite
from oneshelf.sdk.simulator import CatalogueItem

ADDRESS = "http://127.0.0.1:1"
START = datetime(2026, 1, 5, 12, tzinfo=UTC)
Answer = TypeVar("Answer")


class TurnedClock:
    """A clock that stands still until `advance`."""

    def __init__(self) -> None:
        self._seconds = 0.0
        self._sleepers: list[tuple[float, int, asyncio.Future[None]]] = []
        self._numbers = count()
        self.lives: list[Life] = []

    def now(self) -> datetime:
        return START + timedelta(seconds=self._seconds)

    def monotonic(self) -> float:
        return self._seconds

    async def sleep(self, seconds: float) -> None:
        woken: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._sleepers, (self._seconds + seconds, next(self._numbers), woken))
        await woken

    def new_id(self) -> UUID:
        number = next(self._numbers)
        return uuid7(unix_ms=int(self.now().timestamp() * 1000), randomness=number.to_bytes(10, "big"))

    async def advance(self, seconds: float) -> None:
        """Let time pass; whoever sleeps or lives does in order what is due, before time goes on."""
        target = self._seconds + seconds
        await turns()
        while (due_at := next_of(self.lives, self._sleepers[0][0] if self._sleepers else inf)) <= target:
            self._seconds = max(self._seconds, due_at)
            if self._sleepers and self._sleepers[0][0] <= self._seconds:
                _at, _number, woken = heapq.heappop(self._sleepers)
                if not woken.done():
                    woken.set_result(None)
            for life in self.lives:
                life.act()
            await turns()
        self._seconds = target


async def turns() -> None:
    """Let every task that can run have its turn."""
    for _ in range(4):
        await asyncio.sleep(0)


@dataclass(slots=True)
class Budget:
    """A limiter whose answers the test decides. `learned`: operation -> rates, in the order they were learned."""

    wait_s: dict[str, float] = field(default_factory=dict)
    learned: dict[str, list[float]] = field(default_factory=dict)

    async def take(self, charge: Charge) -> float:
        return self.wait_s.get(charge.bucket, 0.0)

    async def learn(self, bucket: str, told: Learned) -> None:
        self.learned.setdefault(bucket, []).append(told.rate_per_s or 0.0)


@dataclass(frozen=True, slots=True)
class Exchange:
    """One request and its answer, as they went over the wire."""

    request: httpx2.Request
    sent: bytes
    response: httpx2.Response
    received: bytes


class Wiretap(httpx2.AsyncBaseTransport):
    """Writes down all that passes. `before`: what happens first when a request comes along."""

    def __init__(self, inner: httpx2.AsyncBaseTransport) -> None:
        self._inner = inner
        self.exchanges: list[Exchange] = []
        self.before: Callable[[httpx2.Request], Awaitable[None]] | None = None

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        if self.before is not None:
            await self.before(request)
        response = await self._inner.handle_async_request(request)
        received = await response.aread()
        self.exchanges.append(Exchange(request, await request.aread(), response, received))
        return response

    def count(self, method: str, path_part: str) -> int:
        asked = [exchange.request for exchange in self.exchanges]
        return sum(request.method == method and path_part in request.url.path for request in asked)


@dataclass(slots=True)
class Bench:
    """One connector at one simulated Amazon."""

    clock: TurnedClock
    simulator: AmazonSimulator
    wiretap: Wiretap
    budget: Limiter
    client: httpx2.AsyncClient
    connector: Connector

    def another_connector(self, **secrets: str) -> Connector:
        """A second one, which has read nothing yet, for the same account."""
        return open_connector(self.client, self.clock, self.budget, secrets=secrets)

    def write(self, sku: str, units: int, *, expected_units: int = 0) -> StockWrite:
        key = self.clock.new_id()
        return StockWrite(key=key, channel_sku=ChannelSku(sku), units=units, expected_units=expected_units)

    def units(self) -> dict[str, int]:
        """listing -> units that a buyer can buy now."""
        return {listing.channel_sku: listing.units for listing in self.simulator.listings()}

    async def patiently(self, call: Callable[[], Awaitable[Answer]]) -> Answer:
        """The answer to a call that waits for its budget as long as it takes."""
        while True:
            try:
                return await call()
            except RetryLaterError as busy:
                await self.clock.advance(busy.retry_after_s)

    async def poll(self, cursor: str | None) -> tuple[list[OrderPage], list[OrderSnapshot], str]:
        """All pages of one poll, the orders in them, and the cursor for the next."""
        pages: list[OrderPage] = []
        orders: list[OrderSnapshot] = []
        while not pages or pages[-1].has_more:
            asked = cursor
            page = await self.patiently(lambda asked=asked: self.connector.poll_orders(asked))  # type: ignore[misc]  # a lambda that binds
            pages.append(page)
            cursor = page.cursor
            for delivery in page.deliveries:
                orders.extend(m for m in self.connector.parse(delivery) if isinstance(m, OrderSnapshot))
        assert cursor is not None
        return pages, orders, cursor


def open_connector(
    client: httpx2.AsyncClient,
    clock: TurnedClock,
    budget: Limiter,
    *,
    address: str = ADDRESS,
    settings: Mapping[str, str] | None = None,
    secrets: Mapping[str, str] | None = None,
) -> Connector:
    config = ChannelConfig(
        channel="amazon-us",
        settings={**SIMULATED_SETTINGS, "base_url": address, "token_url": address + TOKEN_PATH, **(settings or {})},
        secrets={**SIMULATED_SECRETS, **(secrets or {})},
    )
    http = ChannelHttp(client, clock=clock, limiter=budget)
    return CONNECTOR.open(config, channel=Channel("amazon-us"), http=http, clock=clock)


@asynccontextmanager
async def bench(
    catalogue: Mapping[str, int], *, seed: int = 7, speed: float = 1.0, limiter: Limiter | None = None
) -> AsyncIterator[Bench]:
    """A bench with these listings (SKU -> units), whose simulated Amazon lives for as long as the block."""
    clock = TurnedClock()
    simulator = AmazonSimulator(seed=seed, speed=speed, clock=clock)
    simulator.habits.unpaid_share = 0.0
    simulator.stock_catalogue([CatalogueItem(sku, f"Title of {sku}", units) for sku, units in catalogue.items()])
    wiretap = Wiretap(httpx2.ASGITransport(app=simulator.app()))
    budget = limiter or Budget()
    async with httpx2.AsyncClient(transport=wiretap) as client, living(simulator, clock.lives):
        connector = open_connector(client, clock, budget)
        yield Bench(clock, simulator, wiretap, budget, client, connector)
