"""The network of a run, in the process: real HTTP messages, lost, late, cut or repeated on the way."""

from __future__ import annotations

import asyncio
import hashlib
import re
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

import httpx2
import msgspec

from oneshelf.sdk.simulator import Simulator
from oneshelf.simulation.faults import Faults
from oneshelf.simulation.kernel import Kernel

if TYPE_CHECKING:
    from oneshelf.simulation.node import Node

HOST = "127.0.0.1"
ENGINE_PORT = 8700
FIRST_PORT = 9800
LATENCY_S = (0.005, 0.15)
SLOW_S = (1.0, 15.0)
# Who asked has given up by then.
LATE_S = (20.0, 90.0)
WEBHOOK_LATE_S = (5.0, 120.0)
PARTITION_S = (10.0, 90.0)
# Longer than anybody waits.
FOR_EVER_S = 100_000.0


@dataclass(frozen=True, slots=True)
class Way:
    """How one request goes, where a scenario decides that.

    `there_s`: seconds until it arrives, whoever still waits for it; None: never. `back_s`: seconds from there until its
    answer is heard; None: the connection breaks instead.
    """

    there_s: float | None = LATENCY_S[0]
    back_s: float | None = 0.0


class Wire:
    """Writes that are under way, of which a listing may have one at a time; and the keys that they bear."""

    def __init__(self) -> None:
        self.violation = ""
        self._under_way: dict[tuple[str, str], str] = {}
        self._bodies: dict[str, bytes] = {}

    def leaves(self, node: str, channel: str, request: httpx2.Request) -> None:
        for listing in written_listings(request):
            other = self._under_way.setdefault((channel, listing), node)
            if other != node:
                self.violation = f"two writes of {channel} {listing} are under way, of {other} and of {node}"
        key = _key(request)
        if key and self._bodies.setdefault(key, request.content) != request.content:
            self.violation = f"the key {key} of a write was used for another one"

    def is_over(self, node: str, request: httpx2.Request) -> None:
        wanted = set(written_listings(request))
        self._under_way = {
            place: holder for place, holder in self._under_way.items() if holder != node or place[1] not in wanted
        }


def written_listings(request: httpx2.Request) -> list[str]:
    """The listings whose figure a request sets: Shopify's inventorySetQuantities, Amazon's patchListingsItem, eBay's
    bulkUpdatePriceQuantity and ReviseInventoryStatus.
    """
    if request.method == "PATCH":
        return [request.url.path.rpartition("/")[2]]
    if request.url.path.endswith("/bulk_update_price_quantity"):
        return [row["sku"] for row in msgspec.json.decode(request.content)["requests"]]
    if b"<ReviseInventoryStatusRequest" in request.content:
        return re.findall(r"<SKU>([^<]*)</SKU>", request.content.decode())
    if b"inventorySetQuantities" not in request.content:
        return []
    return re.findall(r"InventoryItem/(\d+)", request.content.decode())


def _key(request: httpx2.Request) -> str:
    if b"inventorySetQuantities" not in request.content:
        return ""
    return str(msgspec.json.decode(request.content)["variables"]["key"])


class Network:
    """Who can be reached at which port. `wire` watches what is under way."""

    def __init__(self, kernel: Kernel, faults: Faults) -> None:
        self.kernel = kernel
        self.faults = faults
        self.nodes: list[Node] = []
        self.channels: dict[int, tuple[str, httpx2.ASGITransport]] = {}
        self.wire = Wire()
        # What somebody does at a channel in the moment in which a request arrives there.
        self.before_request: Callable[[str, httpx2.Request], None] | None = None
        # What a scenario has decided of this request; None: it goes as all others do.
        self.way_of: Callable[[str, httpx2.Request], Way | None] = lambda _channel, _request: None
        # So many seconds later a delivery comes, where a scenario decides that.
        self.late_s_of: Callable[[str, httpx2.Request], float] = lambda _channel, _request: 0.0
        self._cut_until_s: dict[tuple[str, str], float] = {}
        self._under_way: set[asyncio.Task[None]] = set()

    def connect(self, channel: str, simulator: Simulator) -> str:
        """Put a simulated channel on the network. Returns its address."""
        port = FIRST_PORT + len(self.channels)
        self.channels[port] = (channel, httpx2.ASGITransport(simulator.app()))
        return f"http://{HOST}:{port}"

    def leaving(self, node: Node) -> httpx2.AsyncBaseTransport:
        """The way from a node to the channels."""
        return _ToChannels(self, node)

    def arriving(self, channel: str) -> httpx2.AsyncBaseTransport:
        """The way of a channel's deliveries to whichever node answers."""
        return _ToNodes(self, channel)

    def is_cut(self, node: str, channel: str) -> bool:
        """Whether nothing passes between these two now."""
        if self.faults.strikes("partition", channel):
            self._cut_until_s[node, channel] = self.kernel.now_s + self.kernel.random.uniform(*PARTITION_S)
        return not self.faults.have_stopped and self.kernel.now_s < self._cut_until_s.get((node, channel), 0.0)

    def later(self, seconds: float, act: Callable[[], Awaitable[object]]) -> None:
        """Do this by itself after a while, whoever is dead by then."""

        async def wait() -> None:
            await asyncio.sleep(seconds)
            with suppress(httpx2.HTTPError):
                await act()

        task = self.kernel.loop.create_task(wait())
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)

    async def close(self) -> None:
        """Nothing arrives any more."""
        for task in list(self._under_way):
            task.cancel()
        await asyncio.gather(*self._under_way, return_exceptions=True)

    async def ask(self, node: Node, request: httpx2.Request) -> httpx2.Response:
        """What a node answers to a request from outside. Raises ConnectError where it is not up, or dies over it."""
        engine = node.engine
        if engine is None:
            raise httpx2.ConnectError("connection refused", request=request)
        transport = httpx2.ASGITransport(engine.application, raise_app_exceptions=False)
        answering = self.kernel.loop.create_task(_whole(transport, request))
        node.answering[answering] = None
        answering.add_done_callback(lambda task: node.answering.pop(task, None))
        await asyncio.wait([answering])
        if answering.cancelled():
            raise httpx2.RemoteProtocolError("the connection was closed without an answer", request=request)
        return answering.result()


async def _whole(transport: httpx2.ASGITransport, request: httpx2.Request) -> httpx2.Response:
    response = await transport.handle_async_request(request)
    await response.aread()
    return response


class _ToChannels(httpx2.AsyncBaseTransport):
    def __init__(self, network: Network, node: Node) -> None:
        self._network = network
        self._node = node

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        network, node = self._network, self._node
        channel, transport = network.channels[request.url.port or 0]
        body = await request.aread()
        await node.step("call")
        network.wire.leaves(node.name, channel, request)
        try:
            return await self._sent(channel, transport, request, body)
        finally:
            network.wire.is_over(node.name, request)

    async def _sent(
        self, channel: str, transport: httpx2.ASGITransport, request: httpx2.Request, body: bytes
    ) -> httpx2.Response:
        network, node, faults = self._network, self._node, self._network.faults
        random = network.kernel.random
        if network.is_cut(node.name, channel):
            raise httpx2.ConnectError("no way there", request=request)
        copy = httpx2.Request(request.method, request.url, headers=request.headers, content=body)
        way = network.way_of(channel, copy)
        if way is not None:
            return await self._led(way, channel, transport, copy)
        if faults.strikes("request_late", channel):
            network.later(random.uniform(*LATE_S), lambda: self._done(channel, transport, copy))
            await asyncio.sleep(FOR_EVER_S)
        if faults.strikes("request_lost", channel):
            await asyncio.sleep(FOR_EVER_S)
        await asyncio.sleep(random.uniform(*(SLOW_S if faults.strikes("slow", channel) else LATENCY_S)))
        # The channel does what it was asked, whether somebody still waits for its answer or not.
        done = network.kernel.loop.create_task(self._done(channel, transport, copy))
        response = await asyncio.shield(done)
        node.raise_if_dead()
        node.maybe_crash("after the call")
        if faults.strikes("answer_lost", channel):
            raise httpx2.ReadError("connection reset", request=request)
        return response

    async def _led(
        self, way: Way, channel: str, transport: httpx2.ASGITransport, request: httpx2.Request
    ) -> httpx2.Response:
        """The same on the way that a scenario has decided."""
        network, node = self._network, self._node
        answer: asyncio.Future[httpx2.Response] = network.kernel.loop.create_future()

        async def arrive() -> None:
            response = await self._done(channel, transport, request)
            if not answer.done():
                answer.set_result(response)

        if way.there_s is not None:
            network.later(way.there_s, arrive)
        response = await answer
        if way.back_s is None:
            raise httpx2.ReadError("connection reset", request=request)
        await asyncio.sleep(way.back_s)
        node.raise_if_dead()
        node.maybe_crash("after the call")
        return response

    async def _done(self, channel: str, transport: httpx2.ASGITransport, request: httpx2.Request) -> httpx2.Response:
        if self._network.before_request is not None:
            self._network.before_request(channel, request)
        response = await _whole(transport, request)
        digest = hashlib.sha256(response.content).hexdigest()[:16]
        self._network.kernel.note(f"{channel} {request.method} {request.url.path} {response.status_code} {digest}")
        return response


class _ToNodes(httpx2.AsyncBaseTransport):
    def __init__(self, network: Network, channel: str) -> None:
        self._network = network
        self._channel = channel

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        network, faults, channel = self._network, self._network.faults, self._channel
        random = network.kernel.random
        body = await request.aread()
        if faults.strikes("webhook_lost", channel):
            return httpx2.Response(200, request=request)
        if faults.strikes("webhook_repeated", channel):
            network.later(random.uniform(*WEBHOOK_LATE_S), lambda: self._deliver(request, body))
        if faults.strikes("webhook_renamed", channel):
            renamed = httpx2.Headers(request.headers)
            renamed["X-Shopify-Webhook-Id"] = f"{renamed.get('X-Shopify-Webhook-Id', '')}-again"
            again = httpx2.Request(request.method, request.url, headers=renamed, content=body)
            network.later(random.uniform(*WEBHOOK_LATE_S), lambda: self._deliver(again, body))
        late_s = network.late_s_of(channel, request)
        if late_s or faults.strikes("webhook_late", channel):
            network.later(late_s or random.uniform(*WEBHOOK_LATE_S), lambda: self._deliver(request, body))
            return httpx2.Response(200, request=request)
        return await self._deliver(request, body)

    async def _deliver(self, request: httpx2.Request, body: bytes) -> httpx2.Response:
        network = self._network
        await asyncio.sleep(network.kernel.random.uniform(*LATENCY_S))
        up = [node for node in network.nodes if node.is_up and not network.is_cut(node.name, self._channel)]
        if not up:
            raise httpx2.ConnectError("connection refused", request=request)
        copy = httpx2.Request(request.method, request.url, headers=request.headers, content=body)
        node = network.kernel.random.choice(up)
        response = await network.ask(node, copy)
        network.kernel.note(f"{self._channel} delivered {response.status_code} to {node.name}")
        return response
