"""What can be done to every simulated channel from outside, and that one seed is one story."""

from __future__ import annotations

import asyncio
import hashlib
import socket
from collections.abc import Callable
from typing import Any

import httpx2
import msgspec
import pytest
from starlette.requests import Request
from starlette.responses import Response

from connectors.amazon.harness import TurnedClock
from oneshelf.connectors.amazon.simulator import SIMULATED_SECRETS, TOKEN_PATH
from oneshelf.sdk.kinds import load_kinds
from oneshelf.sdk.simulator import SKEW_S_MAX, CatalogueItem, Simulator

BOTH = pytest.mark.parametrize("kind", ["amazon", "shopify"])
QUERIES = (
    """{ productVariants(first: 20) { pageInfo { endCursor } nodes { id inventoryItem {
        inventoryLevel(locationId: "gid://shopify/Location/75596366001") {
            quantities(names: ["available"]) { quantity }
        }
    } } } }""",
    """{ orders(first: 5, sortKey: UPDATED_AT) { pageInfo { endCursor } nodes {
        id updatedAt lineItems(first: 9) { nodes { currentQuantity } }
    } } }""",
)
SHARED = ("throttle", "http_429_bare", "server_error", "error_storm", "stale_read", "partial_page", "page_drift")


class Desk:
    """One simulator on a clock that the test turns, with its webhooks caught in process."""

    def __init__(self, kind: str, *, seed: int = 3) -> None:
        print(f"seed {seed}")
        self.clock = TurnedClock()
        self.trace = hashlib.sha256()
        self.webhooks = httpx2.AsyncClient(transport=httpx2.ASGITransport(self._catch))
        self.simulator: Simulator = load_kinds()[kind].simulator(
            seed=seed, speed=20.0, clock=self.clock, webhook_client=self.webhooks
        )
        self.simulator.stock_catalogue([CatalogueItem(f"MUG-{n}", "Mug", 9) for n in range(30)])
        self.simulator.connect(address="http://127.0.0.1/hooks", secret="s")
        self.client = httpx2.AsyncClient(transport=httpx2.ASGITransport(self.simulator.app()))

    async def _catch(self, scope: Any, receive: Any, send: Any) -> None:
        request = Request(scope, receive)
        self.trace.update(repr(sorted(request.headers.items())).encode() + await request.body())
        await Response(status_code=200)(scope, receive, send)

    async def post(self, control: str, asked: object) -> httpx2.Response:
        return await self.client.post(f"http://sim.test/_sim/{control}", content=msgspec.json.encode(asked))

    async def result(self, control: str, **asked: object) -> object:
        reply = await self.post(control, asked)
        assert reply.status_code == 200, reply.text
        return reply.json()["result"]

    async def books(self) -> dict[str, Any]:
        books: dict[str, Any] = (await self.client.get("http://sim.test/_sim/books")).json()
        return books


@BOTH
def test_faults_that_mean_the_same_have_the_same_name(kind: str) -> None:
    assert set(SHARED) <= set(Desk(kind).simulator.switches.names)


@BOTH
async def test_every_control_is_reached_over_http(kind: str) -> None:
    desk = Desk(kind)
    (first, second) = [listing.channel_sku for listing in desk.simulator.listings()[:2]]
    order_id = await desk.result(
        "orders", lines=[{"channel_sku": first, "units": 4}, {"channel_sku": second, "units": 1}]
    )
    if kind == "amazon":
        desk.simulator.amazon.orders[order_id].status = "UNSHIPPED"  # type: ignore[attr-defined]  # it is Amazon's
    line = (await desk.books())["orders"][0]["lines"][0]["line_id"]
    edits = kind == "shopify"
    assert await desk.result("cancel-units", order_id=order_id, line_id=line, units=1) is True
    assert await desk.result("edit-line", order_id=order_id, line_id=line, units=2) is edits
    assert await desk.result("add-line", order_id=order_id, channel_sku=second, units=1) is edits
    assert await desk.result("ship-units", order_id=order_id, line_id=line, units=2) is True
    assert await desk.result("refund", order_id=order_id, line_id=line, units=2, restock=False) is True
    assert await desk.result("remap", channel_sku=second, merchant_sku="NEW") is True
    assert await desk.result("end-listing", channel_sku=first) is True
    assert await desk.result("clock", skew_s=1.5) == 1.5
    own_s = await desk.result("clock")
    assert isinstance(own_s, float)
    assert 0 < abs(own_s) <= SKEW_S_MAX
    assert await desk.result("revoke") is None
    assert desk.simulator.is_revoked
    assert await desk.result("grant") is None
    assert not desk.simulator.is_revoked
    line_now = (await desk.books())["orders"][0]["lines"][0]
    assert (line_now["units_shipped"], line_now["units_relisted"]) == (2, 2 if edits else 1)
    assert set((await desk.books())["faults_hit"]) >= {"units_cancelled", "units_shipped", "listing_ended"}


WRONG = [
    ("cancel-units", {"order_id": "1", "line_id": "1", "units": 0}),
    ("cancel-units", {"order_id": "1", "line_id": "1"}),
    ("edit-line", {"order_id": "1", "line_id": "1", "units": -1}),
    ("edit-line", {"order_id": "1", "line_id": 1, "units": 1}),
    ("add-line", {"order_id": "1", "channel_sku": "1", "units": True}),
    ("refund", {"order_id": "1", "line_id": "1", "units": 1}),
    ("refund", {"order_id": "1", "line_id": "1", "units": 1, "restock": "no"}),
    ("ship-units", {"order_id": [], "line_id": "1", "units": 1}),
    ("end-listing", {"channel_sku": ""}),
    ("remap", {"channel_sku": "1", "merchant_sku": None}),
    ("clock", {"skew_s": "much"}),
    ("clock", {"skew_s": 1e9}),
    ("clock", {"skew_s": True}),
]


@BOTH
@pytest.mark.parametrize(("control", "asked"), WRONG)
async def test_a_wrong_value_is_refused_and_changes_nothing(kind: str, control: str, asked: dict[str, object]) -> None:
    desk = Desk(kind)
    before = await desk.books()
    assert (await desk.post(control, asked)).status_code == 400
    assert await desk.books() == before


@BOTH
async def test_the_clock_is_stepped_from_one_event_to_the_next(kind: str) -> None:
    desk = Desk(kind)
    assert desk.simulator.next_due_at == float("inf")
    await desk.result("shoppers", orders_per_s=2.0)
    for _ in range(60):
        at = desk.simulator.next_due_at
        assert at >= desk.clock.monotonic()
        await desk.clock.advance(at - desk.clock.monotonic())
        for action in desk.simulator.due():
            await action()
        assert desk.simulator.next_due_at > at
    assert len(desk.simulator.orders()) > 5


async def a_bad_day(kind: str, seed: int) -> tuple[str, dict[str, int]]:
    """All that a simulator does and says in a while with every fault on, as one digest; and its hits."""
    desk = Desk(kind, seed=seed)
    faults = {name: 0.05 for name in desk.simulator.switches.names}
    await desk.result("faults", **faults)
    await desk.result("clock")
    await desk.result("shoppers", orders_per_s=6.0, cancel_share=0.2)
    async with asyncio.TaskGroup() as tasks:
        life = tasks.create_task(desk.simulator.run())
        for turn in range(120):
            await desk.clock.advance(0.25)
            for ask in _questions(kind):
                reply = await _asked(desk, ask)
                desk.trace.update(reply)
            if turn == 60:
                await desk.result("end-listing", channel_sku=desk.simulator.listings()[7].channel_sku)
        life.cancel()
    desk.trace.update(msgspec.json.encode(await desk.books()))
    return desk.trace.hexdigest(), dict(desk.simulator.switches.hits)


async def _asked(desk: Desk, ask: Callable[[Desk], Any]) -> bytes:
    try:
        reply: httpx2.Response = await ask(desk)
    except httpx2.HTTPError as cut:
        return type(cut).__name__.encode()
    return repr(sorted(reply.headers.items())).encode() + reply.content


def _questions(kind: str) -> list[Callable[[Desk], Any]]:
    if kind == "shopify":
        headers = {"X-Shopify-Access-Token": "shpat_simulated"}
        url = "http://sim.test/admin/api/2026-10/graphql.json"

        def asking(query: str) -> Callable[[Desk], Any]:
            return lambda desk: desk.client.post(url, headers=headers, json={"query": query})

        return [asking(query) for query in QUERIES]

    async def granted(desk: Desk) -> httpx2.Response:
        form = {"grant_type": "refresh_token", **SIMULATED_SECRETS}
        return await desk.client.post(f"http://sim.test{TOKEN_PATH}", data=form)

    async def listed(desk: Desk) -> httpx2.Response:
        token = (await granted(desk)).content
        found = msgspec.json.decode(token).get("access_token", "none") if token.startswith(b"{") else "none"
        headers = {"x-amz-access-token": found}
        url = "http://sim.test/listings/2021-08-01/items/A1SIMULATEDSELLR"
        query = {"marketplaceIds": "ATVPDKIKX0DER", "includedData": "summaries,fulfillmentAvailability"}
        return await desk.client.get(url, params=query, headers=headers)

    return [granted, listed]


@pytest.mark.long
@BOTH
async def test_one_seed_is_one_story_with_every_fault_on_and_without_a_socket(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_socket(*_args: object, **_named: object) -> None:
        raise AssertionError("a simulator opened a socket")

    monkeypatch.setattr(socket.socket, "connect", no_socket)
    monkeypatch.setattr(socket, "getaddrinfo", no_socket)
    days = [await a_bad_day(kind, seed) for seed in (3, 3, 4)]
    assert days[0] == days[1]
    assert days[0][0] != days[2][0]
    assert len(days[0][1]) > 8


@BOTH
async def test_a_webhook_client_that_was_given_outlives_the_simulators_task(kind: str) -> None:
    desk = Desk(kind)
    for _ in range(2):
        async with asyncio.TaskGroup() as tasks:
            life = tasks.create_task(desk.simulator.run())
            await desk.clock.advance(1)
            life.cancel()
    assert not desk.webhooks.is_closed
