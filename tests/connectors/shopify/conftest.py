"""A bench: one connector and one simulated shop, with the real wire between them and a clock that tests turn."""

from __future__ import annotations

import asyncio
import heapq
import socket
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from math import inf
from typing import Any
from uuid import UUID

import httpx2
import msgspec
import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp

from connectors.life import Life, living, next_of
from oneshelf.clock import uuid7
from oneshelf.connectors.shopify import CONNECTOR
from oneshelf.connectors.shopify.connector import ShopifyConnector
from oneshelf.connectors.shopify.simulator import ACCESS_TOKEN, ShopifySimulator
from oneshelf.connectors.shopify.simulator_shop import LOCATION_ID
from oneshelf.domain.identity import Channel, ChannelSku
from oneshelf.sdk.http import ChannelHttp
from oneshelf.sdk.limits import Limiter, Unlimited
from oneshelf.sdk.message import ChannelConfig, StockWrite
from oneshelf.sdk.secret_store import SecretStore
from oneshelf.sdk.simulator import CatalogueItem

SECRET = "test-client-secret"
ENDPOINT = "/admin/api/2026-10/graphql.json"


class TurnedClock:
    """Stands still until it is turned; whoever sleeps wakes in order."""

    def __init__(self) -> None:
        self._start = datetime(2026, 11, 23, 10, 0, 0, tzinfo=UTC)
        self._elapsed_s = 0.0
        self._sleepers: list[tuple[float, int, asyncio.Event]] = []
        self._count = 0
        self.lives: list[Life] = []

    def now(self) -> datetime:
        return self._start + timedelta(seconds=self._elapsed_s)

    def monotonic(self) -> float:
        return self._elapsed_s

    async def sleep(self, seconds: float) -> None:
        self._count += 1
        woken = asyncio.Event()
        heapq.heappush(self._sleepers, (self._elapsed_s + seconds, self._count, woken))
        await woken.wait()

    def new_id(self) -> UUID:
        self._count += 1
        return uuid7(unix_ms=int(self.now().timestamp() * 1000), randomness=self._count.to_bytes(10, "big"))

    def turn(self, seconds: float) -> None:
        """Let time pass for nobody in particular."""
        self._elapsed_s += seconds

    async def live(self, seconds: float) -> None:
        """Let time pass, and let everybody who sleeps or lives do what is due in it."""
        end = self._elapsed_s + seconds
        await _settle()
        while (due_at := next_of(self.lives, self._sleepers[0][0] if self._sleepers else inf)) <= end:
            self._elapsed_s = max(self._elapsed_s, due_at)
            if self._sleepers and self._sleepers[0][0] <= self._elapsed_s:
                heapq.heappop(self._sleepers)[2].set()
            for life in self.lives:
                life.act()
            await _settle()
        self._elapsed_s = end


async def _settle() -> None:
    """Give every task the turns that it needs to come to its next wait."""
    for _ in range(25):
        await asyncio.sleep(0)


class Receiver:
    """Takes webhooks, and answers each with the next of `statuses`, then with 200."""

    def __init__(self) -> None:
        self.statuses: list[int] = []
        self.got: list[tuple[Mapping[str, str], bytes]] = []

    def app(self) -> Starlette:
        return Starlette(routes=[Route("/webhooks/shop", self._take, methods=["POST"])])

    async def _take(self, request: Request) -> Response:
        self.got.append((dict(request.headers), await request.body()))
        status = self.statuses.pop(0) if self.statuses else 200
        return Response(status_code=status, headers={"location": "/webhooks/shop"} if status == 302 else None)

    def topics(self) -> list[str]:
        return [headers["x-shopify-topic"] for headers, _ in self.got]


class Bench:
    """`speed` makes the shop's own delays and limits faster."""

    def __init__(self, *, speed: float = 1.0, seed: int = 7, items: int = 5, units: int = 10) -> None:
        self.clock = TurnedClock()
        self.receiver = Receiver()
        self.sim = ShopifySimulator(
            seed=seed, speed=speed, clock=self.clock, webhook_client=_client(self.receiver.app())
        )
        self.sim.stock_catalogue([CatalogueItem(sku=f"MUG-{n}", title=f"Mug {n}", units=units) for n in range(items)])
        self.client = _client(self.sim.app())
        self.connector = self.open()

    def open(
        self,
        *,
        token: str = ACCESS_TOKEN,
        address: str = "http://localhost",
        client: httpx2.AsyncClient | None = None,
        secret: str = SECRET,
        app: ASGIApp | None = None,
        secrets: Mapping[str, str] | None = None,
        store: SecretStore | None = None,
        limiter: Limiter | None = None,
    ) -> ShopifyConnector:
        """`secrets`: in the place of a token and a webhook secret."""
        config = ChannelConfig(
            channel="shop",
            settings={"base_url": address, "location_id": LOCATION_ID},
            secrets=secrets or {"access_token": token, "webhook_secret": secret},
        )
        chosen = client or (_client(app) if app else self.client)
        http = ChannelHttp(chosen, clock=self.clock, limiter=limiter or Unlimited(), deadline_s=5.0)
        return CONNECTOR.open(config, channel=Channel("shop"), http=http, clock=self.clock, store=store)

    @property
    def skus(self) -> list[ChannelSku]:
        return [ChannelSku(listing.channel_sku) for listing in self.sim.listings()]

    def shown(self) -> list[int]:
        return [listing.units for listing in self.sim.listings()]

    def write(self, sku: ChannelSku, units: int, *, expected: int = 10) -> StockWrite:
        return StockWrite(key=self.clock.new_id(), channel_sku=sku, units=units, expected_units=expected)

    async def post(self, query: str, variables: object = None, *, token: str = ACCESS_TOKEN) -> dict[str, Any]:
        """A request as another client would send it; the answer as it came."""
        body = msgspec.json.encode({"query": query, "variables": variables})
        headers = {"X-Shopify-Access-Token": token, "Content-Type": "application/json"}
        reply = await self.client.post(f"http://localhost{ENDPOINT}", content=body, headers=headers)
        answer: dict[str, Any] = msgspec.json.decode(reply.content)
        return answer

    @asynccontextmanager
    async def living(self) -> AsyncIterator[None]:
        """The shop's own time passes when the clock is lived through; webhooks go to the receiver."""
        self.sim.connect(address="http://localhost/webhooks/shop", secret=SECRET)
        try:
            async with living(self.sim, self.clock.lives):
                yield
        finally:
            await self.sim.webhooks.aclose()

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[ShopifyConnector]:
        """A connector that reaches the shop through a real server and a real socket."""
        listener = socket.create_server(("127.0.0.1", 0))
        config = uvicorn.Config(self.sim.app(), lifespan="off", ws="none", log_config=None, log_level="error")
        server = uvicorn.Server(config)
        address = f"http://127.0.0.1:{listener.getsockname()[1]}"
        async with asyncio.TaskGroup() as tasks, httpx2.AsyncClient() as client:
            tasks.create_task(server.serve(sockets=[listener]))
            try:
                yield self.open(address=address, client=client)
            finally:
                await client.aclose()
                server.should_exit = True


def _client(app: ASGIApp) -> httpx2.AsyncClient:
    return httpx2.AsyncClient(transport=httpx2.ASGITransport(app=app))


@pytest.fixture
def bench() -> Bench:
    return Bench()


@pytest.fixture
def big_bench() -> Bench:
    """More listings than one call may hold."""
    return Bench(items=300, speed=100.0)


@pytest.fixture
def fast_bench() -> Bench:
    """A shop whose four hours of retries pass in seconds."""
    return Bench(speed=1000.0)
