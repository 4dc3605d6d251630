"""What every simulated channel offers beside its wire: books, switches, and a time of its own."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx2
import pytest

from connectors.amazon.harness import TurnedClock
from oneshelf.sdk.kinds import load_kinds
from oneshelf.sdk.simulator import TICK_S, Action, CatalogueItem, Simulator

BOTH = pytest.mark.parametrize("kind", ["amazon", "shopify"])


class Stall:
    """One simulator on a clock that the test turns, and somebody at its switches."""

    def __init__(self, kind: str, *, seed: int = 1, speed: float = 1.0) -> None:
        print(f"seed {seed}")
        self.clock = TurnedClock()
        self.simulator: Simulator = load_kinds()[kind].simulator(seed=seed, speed=speed, clock=self.clock)
        self.simulator.stock_catalogue([CatalogueItem("MUG", "Mug", 9), CatalogueItem("CUP", "Cup", 4)])
        self._client = httpx2.AsyncClient(transport=httpx2.ASGITransport(self.simulator.app()))

    async def post(self, control: str, asked: object) -> Any:
        reply = await self._client.post(f"http://sim.test/_sim/{control}", json=asked)
        assert reply.status_code == 200, reply.text
        return reply.json()["result"]

    async def send(self, control: str, content: bytes) -> httpx2.Response:
        return await self._client.post(f"http://sim.test/_sim/{control}", content=content)

    async def books(self) -> dict[str, Any]:
        books: dict[str, Any] = (await self._client.get("http://sim.test/_sim/books")).json()
        return books

    @property
    def mug(self) -> str:
        return self.simulator.listings()[0].channel_sku

    @asynccontextmanager
    async def living(self) -> AsyncIterator[None]:
        """The channel's time passes when the clock is turned."""
        async with asyncio.TaskGroup() as group:
            life = group.create_task(self.simulator.run())
            try:
                yield
            finally:
                life.cancel()


# Books and controls ------------------------------------------------------------------------------------------------


@BOTH
async def test_the_books_hold_every_listing_and_every_order(kind: str) -> None:
    stall = Stall(kind)
    order_id = await stall.post("orders", {"lines": [{"channel_sku": stall.mug, "units": 2}]})
    books = await stall.books()
    assert books["kind"] == kind
    assert [(line["merchant_sku"], line["units"]) for line in books["listings"]] == [("MUG", 7), ("CUP", 4)]
    (order,) = books["orders"]
    assert order["order_id"] == order_id
    assert order["status"] in {"open", "pending"}
    assert [(line["channel_sku"], line["units"], line["units_cancelled"]) for line in order["lines"]] == [
        (stall.mug, 2, 0)
    ]
    assert await stall.post("cancel", {"order_id": order_id}) is True
    assert await stall.post("cancel", {"order_id": order_id}) is False
    assert await stall.post("ship", {"order_id": order_id}) is False
    books = await stall.books()
    assert (books["orders"][0]["status"], books["listings"][0]["units"]) == ("cancelled", 9)
    assert books["orders"][0]["lines"][0]["units_cancelled"] == 2


@BOTH
async def test_nobody_buys_more_than_there_is(kind: str) -> None:
    stall = Stall(kind)
    assert await stall.post("orders", {"lines": [{"channel_sku": stall.mug, "units": 10}]}) is None
    books = await stall.books()
    assert (books["orders"], books["listings"][0]["units"]) == ([], 9)


@BOTH
async def test_listings_are_added_and_edited_by_hand(kind: str) -> None:
    stall = Stall(kind)
    assert await stall.post("catalogue", {"items": [{"sku": "JUG", "title": "Jug", "units": 3}]}) == 1
    await stall.post("edit", {"channel_sku": stall.mug, "units": 1})
    assert [listing.units for listing in stall.simulator.listings()] == [1, 4, 3]


@BOTH
async def test_the_books_count_who_was_turned_away_and_which_faults_struck(kind: str) -> None:
    stall = Stall(kind)
    await stall.post("faults", {"throttle": {"next": 1}})
    assert stall.simulator.switches.strikes("throttle")
    await stall.post("shoppers", {"orders_per_s": 50.0, "cancel_share": 0.0, "ship_share": 0.0})
    async with stall.living():
        await stall.clock.advance(4.0)
    books = await stall.books()
    assert books["faults_hit"] == {"throttle": 1}
    assert books["turned_away"] > 50
    assert len(books["orders"]) > 3


@BOTH
async def test_whoever_asks_is_told_which_simulator_this_is(kind: str) -> None:
    stall = Stall(kind, seed=5, speed=3.0)
    reply = await httpx2.AsyncClient(transport=httpx2.ASGITransport(stall.simulator.app())).get(
        "http://sim.test/_sim/health"
    )
    health = reply.json()
    assert (health["kind"], health["seed"], health["speed"]) == (kind, 5, 3.0)


@BOTH
@pytest.mark.parametrize("control", ["catalogue", "connect", "faults", "shoppers", "orders", "cancel", "ship", "edit"])
@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"null", b"7", b"\xff", b'{"lines": 1, "items": 1}'])
async def test_what_is_no_object_or_misses_a_member_is_refused(kind: str, control: str, content: bytes) -> None:
    stall = Stall(kind)
    before = await stall.books()
    reply = await stall.send(control, content)
    assert reply.status_code == 400, reply.text
    assert reply.json()["problem"]
    assert await stall.books() == before


WRONG = [
    ("catalogue", b'{"items": [{"sku": "JUG", "title": "Jug", "units": 1}, {"sku": "POT", "title": "Pot"}]}'),
    ("catalogue", b'{"items": [{"sku": "JUG", "title": "Jug", "units": 1}, {"sku": "P", "title": "P", "units": -1}]}'),
    ("catalogue", b'{"items": [{"sku": "JUG", "title": "Jug", "units": 1.5}]}'),
    ("faults", b'{"throttle": 0.5, "flood": 1}'),
    ("faults", b'{"throttle": {"next": true}}'),
    ("shoppers", b'{"orders_per_s": "many"}'),
    ("shoppers", b'{"orders_per_s": -1}'),
    ("shoppers", b'{"orders_per_s": 5, "cancel_after_s": 0}'),
    ("shoppers", b'{"orders_per_s": 5, "zipf": 1e308}'),
    ("orders", b'{"lines": [{"channel_sku": "%s", "units": 0}]}'),
    ("orders", b'{"lines": [{"channel_sku": "%s", "units": 1.9}]}'),
    ("orders", b'{"lines": [{"channel_sku": "%s", "units": "2"}]}'),
    ("orders", b'{"lines": [{"channel_sku": "%s", "units": true}]}'),
    ("orders", b'{"lines": [{"channel_sku": "%s", "units": 1}, {"channel_sku": "%s"}]}'),
    ("edit", b'{"channel_sku": "nowhere", "units": 1}'),
    ("edit", b'{"channel_sku": "%s", "units": 2.5}'),
    ("edit", b'{"channel_sku": "%s", "units": null}'),
    ("edit", b'{"channel_sku": "%s", "units": 99999999999999999999}'),
    ("cancel", b'{"order_id": ["a"]}'),
    ("ship", b'{"order_id": {}}'),
]


@BOTH
@pytest.mark.parametrize(("control", "content"), WRONG)
async def test_a_wrong_value_is_refused_and_changes_nothing(kind: str, control: str, content: bytes) -> None:
    stall = Stall(kind)
    before = await stall.books()
    reply = await stall.send(control, content.replace(b"%s", stall.mug.encode()))
    assert reply.status_code == 400, reply.text
    assert not stall.simulator.switches.strikes("throttle")
    async with stall.living():
        await stall.clock.advance(2.0)
    assert await stall.books() == before


async def test_webhooks_go_to_this_machine_or_over_https_only() -> None:
    stall = Stall("shopify")
    for address in ("http://example.com/", "ftp://127.0.0.1/", "nonsense"):
        reply = await stall.send("connect", b'{"address": "%s", "secret": "s"}' % address.encode())
        assert reply.status_code == 400, address
    await stall.post("connect", {"address": "http://127.0.0.1:1/", "secret": "s"})


# Time ----------------------------------------------------------------------------------------------------------------


def noting(book: list[str], what: str) -> Action:
    async def note() -> None:
        book.append(what)

    return note


async def test_timers_run_in_the_order_of_their_instants_and_then_of_their_setting() -> None:
    stall, book = Stall("amazon"), list[str]()
    for seconds, what in [(3.0, "late"), (1.0, "first"), (2.0, "a"), (2.0, "b"), (2.0, "c")]:
        stall.simulator.after(seconds, noting(book, what))
    async with stall.living():
        await stall.clock.advance(0.9)
        assert book == []
        await stall.clock.advance(0.2)
        assert book == ["first"]
        await stall.clock.advance(2.0)
    assert book == ["first", "a", "b", "c", "late"]


async def test_timers_that_are_due_in_one_tick_still_run_in_order() -> None:
    stall, book = Stall("amazon"), list[str]()
    for number in range(5, 0, -1):
        stall.simulator.after(number * TICK_S / 100, noting(book, str(number)))
    async with stall.living():
        await stall.clock.advance(2 * TICK_S)
    assert book == ["1", "2", "3", "4", "5"]


@pytest.mark.parametrize("speed", [1.0, 60.0])
async def test_speed_divides_the_delays(speed: float) -> None:
    stall, book = Stall("amazon", speed=speed), list[str]()
    stall.simulator.after(120.0, noting(book, "done"))
    async with stall.living():
        await stall.clock.advance(120.0 / speed - 2 * TICK_S)
        assert book == []
        await stall.clock.advance(4 * TICK_S)
        assert book == ["done"]


async def test_a_slow_action_holds_up_no_other() -> None:
    stall, book = Stall("amazon"), list[str]()

    async def slow() -> None:
        await stall.clock.sleep(50.0)
        book.append("slow")

    stall.simulator.after(1.0, slow)
    stall.simulator.after(2.0, noting(book, "quick"))
    async with stall.living():
        await stall.clock.advance(3.0)
        assert book == ["quick"]
        await stall.clock.advance(60.0)
    assert book == ["quick", "slow"]


@BOTH
async def test_the_same_seed_is_the_same_day(kind: str) -> None:
    days = []
    for seed in (3, 3, 4):
        stall = Stall(kind, seed=seed, speed=100.0)
        await stall.post("shoppers", {"orders_per_s": 3.0})
        async with stall.living():
            await stall.clock.advance(5.0)
        days.append(await stall.books())
    assert days[0] == days[1] != days[2]
    assert len(days[0]["orders"]) > 3
