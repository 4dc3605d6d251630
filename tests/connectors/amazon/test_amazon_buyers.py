"""Orders, buyers and faults of the simulated Amazon."""

from __future__ import annotations

from typing import Any

import httpx2
import pytest

from connectors.amazon.harness import ADDRESS, Bench, TurnedClock, bench
from oneshelf.connectors.amazon import CONNECTOR
from oneshelf.connectors.amazon.simulator import (
    MARKETPLACE_ID,
    SELLER_ID,
    SIMULATED_SECRETS,
    TOKEN_PATH,
    AmazonSimulator,
)
from oneshelf.errors import MalformedError
from oneshelf.sdk.message import Accepted
from oneshelf.sdk.shoppers import ShoppersPlan
from oneshelf.sdk.simulator import CatalogueItem

ITEMS = f"/listings/2021-08-01/items/{SELLER_ID}"
ORDERS = "/orders/2026-01-01/orders"
STORE = {"marketplaceIds": MARKETPLACE_ID}


async def granted(desk: Bench) -> str:
    answer = await desk.client.post(ADDRESS + TOKEN_PATH, data={"grant_type": "refresh_token", **SIMULATED_SECRETS})
    assert answer.status_code == 200
    return str(answer.json()["access_token"])


async def call(desk: Bench, method: str, path: str, **request: Any) -> httpx2.Response:
    headers = {"x-amz-access-token": await granted(desk)}
    return await desk.client.request(method, ADDRESS + path, headers=headers, **request)


def patch(op: str, **row: object) -> dict[str, object]:
    value = [{"fulfillment_channel_code": "DEFAULT", **row}]
    change = {"op": op, "path": "/attributes/fulfillment_availability", "value": value}
    return {"productType": "PRODUCT", "patches": [change]}


async def item(desk: Bench, sku: str) -> dict[str, Any]:
    query = {**STORE, "includedData": "summaries,attributes,fulfillmentAvailability,issues"}
    answer = await call(desk, "GET", f"{ITEMS}/{sku}", params=query)
    document: dict[str, Any] = answer.json()
    return document


# Orders and buyers ------------------------------------------------------------------------------------------------


async def search(desk: Bench, **query: str) -> dict[str, Any]:
    asked = {"includedData": "FULFILLMENT,CANCELLATION", **query}
    answer = await call(desk, "GET", ORDERS, params=asked)
    assert answer.status_code == 200, answer.text
    document: dict[str, Any] = answer.json()
    return document


async def test_an_order_takes_its_units_at_once_and_waits_for_its_payment() -> None:
    async with bench({"MUG": 10}) as desk:
        order_id = desk.simulator.place([("MUG", 1), ("MUG", 2)])
        assert desk.units() == {"MUG": 7}
        assert order_id is not None
        assert not desk.simulator.ship(order_id)
        assert [order.status for order in desk.simulator.orders()] == ["pending"]
        await desk.clock.advance(1801)
        assert [order.status for order in desk.simulator.orders()] == ["open"]
        assert desk.simulator.ship(order_id)
        assert not desk.simulator.cancel(order_id)
        assert desk.units() == {"MUG": 7}


async def test_an_order_that_is_never_paid_gives_its_units_back() -> None:
    async with bench({"MUG": 10}) as desk:
        desk.simulator.habits.unpaid_share = 1.0
        desk.simulator.place([("MUG", 4)])
        await desk.clock.advance(1801)
        assert [order.status for order in desk.simulator.orders()] == ["cancelled"]
        assert desk.units() == {"MUG": 10}


@pytest.mark.parametrize("lines", [[("MUG", 6), ("MUG", 5)], [("GONE", 1)], [("MUG", 0)], [("MUG", -1)], []])
async def test_nobody_buys_what_is_not_there(lines: list[tuple[str, int]]) -> None:
    async with bench({"MUG": 10}) as desk:
        assert desk.simulator.place(lines) is None
        assert desk.units() == {"MUG": 10}


async def test_a_search_hides_the_last_two_minutes_and_says_so() -> None:
    async with bench({"MUG": 10}) as desk:
        order_id = desk.simulator.place([("MUG", 1)])
        await desk.clock.advance(119)
        hidden = await search(desk, createdAfter="2026-01-05T12:00:00Z")
        await desk.clock.advance(1)
        shown = await search(desk, createdAfter="2026-01-05T12:00:00Z")
        assert (hidden["orders"], hidden["createdBefore"]) == ([], "2026-01-05T11:59:59Z")
        assert [order["orderId"] for order in shown["orders"]] == [order_id]
        assert shown["createdBefore"] == "2026-01-05T12:00:00Z"


@pytest.mark.parametrize(
    "query",
    [
        {},
        {"createdAfter": "2026-01-01T00:00:00Z", "lastUpdatedAfter": "2026-01-01T00:00:00Z"},
        {"createdAfter": "2026-01-01T00:00:00Z", "lastUpdatedBefore": "2026-01-02T00:00:00Z"},
        {"lastUpdatedAfter": "2026-01-01T00:00:00Z", "lastUpdatedBefore": "2026-01-05T11:59:00Z"},
        {"lastUpdatedAfter": "2026-01-03T00:00:00Z", "lastUpdatedBefore": "2026-01-02T00:00:00Z"},
        {"createdAfter": "2026-01-01T00:00:00"},
        {"createdAfter": "2026-01-01T00:00:00Z", "maxResultsPerPage": "101"},
        {"createdAfter": "2026-01-01T00:00:00Z", "fulfillmentStatuses": "Pending"},
        {"createdAfter": "2026-01-01T00:00:00Z", "fulfilledBy": "MFN"},
        {"createdAfter": "2026-01-01T00:00:00Z", "paginationToken": "nonsense"},
    ],
)
async def test_a_search_for_orders_that_breaks_the_rules_is_a_bad_request(query: dict[str, str]) -> None:
    async with bench({}) as desk:
        assert (await call(desk, "GET", ORDERS, params=query)).status_code == 400


async def test_pages_of_orders_do_not_overlap_and_end_without_a_token() -> None:
    async with bench({"MUG": 500}) as desk:
        placed = {desk.simulator.place([("MUG", 1)]) for _ in range(250)}
        await desk.clock.advance(121)
        query = {"createdAfter": "2026-01-05T11:00:00Z"}
        found: list[str] = []
        sizes = []
        while True:
            page = await search(desk, **query)
            sizes.append(len(page["orders"]))
            found += [order["orderId"] for order in page["orders"]]
            if "pagination" not in page:
                break
            query["paginationToken"] = page["pagination"]["nextToken"]
        assert sizes == [100, 100, 50]
        assert len(found) == 250
        assert set(found) == placed


async def test_statuses_and_who_fulfils_narrow_a_search() -> None:
    async with bench({"MUG": 10, "CUP": 10}) as desk:
        desk.simulator.fulfil_by_amazon("CUP")
        ours, theirs = desk.simulator.place([("MUG", 1)]), desk.simulator.place([("CUP", 1)])
        assert desk.simulator.place([("MUG", 1), ("CUP", 1)]) is None
        await desk.clock.advance(2000)
        wide = {"createdAfter": "2026-01-05T11:00:00Z"}
        merchant = await search(desk, **wide, fulfilledBy="MERCHANT", fulfillmentStatuses="UNSHIPPED")
        amazon = await search(desk, **wide, fulfilledBy="AMAZON")
        nobody = await search(desk, **wide, fulfillmentStatuses="PENDING,CANCELLED")
        assert [order["orderId"] for order in merchant["orders"]] == [ours]
        assert [order["orderId"] for order in amazon["orders"]] == [theirs]
        assert nobody["orders"] == []


async def test_a_late_order_shows_after_its_extra_lag_only() -> None:
    async with bench({"MUG": 10}) as desk:
        desk.simulator.switches.set({"order_late": {"next": 1}})
        desk.simulator.place([("MUG", 1)])
        await desk.clock.advance(299)
        assert (await search(desk, createdAfter="2026-01-05T11:00:00Z"))["orders"] == []
        await desk.clock.advance(1100)
        assert len((await search(desk, createdAfter="2026-01-05T11:00:00Z"))["orders"]) == 1


# Faults, books, speed ---------------------------------------------------------------------------------------------


async def test_a_server_error_is_sometimes_a_page_for_humans() -> None:
    async with bench({}) as desk:
        desk.simulator.switches.set({"server_error": 1.0})
        answers = [await call(desk, "GET", ITEMS, params=STORE) for _ in range(20)]
        assert {answer.status_code for answer in answers} == {503}
        kinds = {answer.headers["content-type"].split(";")[0] for answer in answers}
        assert kinds == {"text/html", "application/json"}


async def test_a_throttled_call_is_refused_even_with_a_full_bucket() -> None:
    async with bench({}) as desk:
        desk.simulator.switches.set({"throttle": {"next": 1}})
        assert (await call(desk, "GET", ITEMS, params=STORE)).status_code == 429
        assert (await call(desk, "GET", ITEMS, params=STORE)).status_code == 200


async def test_an_edit_by_hand_sells_at_once() -> None:
    async with bench({"MUG": 10}) as desk:
        desk.simulator.edit_by_hand("MUG", 77)
        assert desk.units() == {"MUG": 77}
        for sku, units in (("GONE", 1), ("MUG", -1)):
            with pytest.raises(MalformedError):
                desk.simulator.edit_by_hand(sku, units)


async def test_a_listing_is_put_on_sale_once() -> None:
    async with bench({"MUG": 10}) as desk:
        with pytest.raises(MalformedError, match="MUG is already listed"):
            desk.simulator.stock_catalogue([CatalogueItem("CUP", "Cup", 1), CatalogueItem("MUG", "Mug", 1)])
        assert desk.units() == {"MUG": 10}


async def test_buyers_never_buy_more_than_is_on_sale_and_nothing_gets_lost() -> None:
    async with bench({f"MUG-{n}": 30 for n in range(6)}, seed=21, speed=60.0) as desk:
        desk.simulator.habits.unpaid_share = 0.2
        desk.simulator.shoppers.follow(ShoppersPlan(orders_per_s=4.0), desk.clock.monotonic())
        await desk.clock.advance(90)
        orders = desk.simulator.orders()
        assert {order.status for order in orders} == {"pending", "open", "shipped", "cancelled"}
        assert desk.simulator.shoppers.turned_away > 0
        left = desk.units()
        for order in orders:
            for line in order.lines:
                left[line.channel_sku] += line.units - line.units_cancelled
        assert left == {f"MUG-{n}": 30 for n in range(6)}
        assert min(desk.units().values()) >= 0


async def test_the_books_and_the_switches_are_reached_over_http() -> None:
    async with bench({}) as desk:
        items = [{"sku": "MUG", "title": "Mug", "units": 5}]
        await desk.client.post(f"{ADDRESS}/_sim/catalogue", json={"items": items})
        placed = await desk.client.post(f"{ADDRESS}/_sim/orders", json={"lines": [{"channel_sku": "MUG", "units": 2}]})
        books = (await desk.client.get(f"{ADDRESS}/_sim/books")).json()
        assert [(one["channel_sku"], one["units"], one["is_ended"]) for one in books["listings"]] == [("MUG", 3, False)]
        assert [order["order_id"] for order in books["orders"]] == [placed.json()["result"]]


async def test_the_same_seed_tells_the_same_story() -> None:
    stories = []
    for _ in range(2):
        async with bench({"MUG": 50}, seed=4, speed=60.0) as desk:
            desk.simulator.shoppers.follow(ShoppersPlan(orders_per_s=2.0), desk.clock.monotonic())
            assert await desk.connector.push([desk.write("MUG", 20)]) == (Accepted(),)
            await desk.clock.advance(30)
            stories.append((desk.units(), desk.simulator.orders()))
    assert stories[0] == stories[1]
    assert len(stories[0][1]) > 10


def test_the_kind_opens_its_own_simulator() -> None:
    simulator = CONNECTOR.simulator(seed=1, speed=2.0, clock=TurnedClock())
    assert isinstance(simulator, AmazonSimulator)
    assert simulator.kind == CONNECTOR.name


async def test_when_the_buyers_have_left_a_pending_order_stays_pending() -> None:
    """Nobody pays and nobody lets go, so that a run can come to rest."""
    async with bench({"MUG": 50}, seed=4, speed=60.0) as desk:
        desk.simulator.shoppers.follow(ShoppersPlan(orders_per_s=4.0), desk.clock.monotonic())
        await desk.clock.advance(10)
        desk.simulator.shoppers.follow(ShoppersPlan(orders_per_s=0.0), desk.clock.monotonic())
        left = [order.status for order in desk.simulator.orders()]
        assert "pending" in left
        await desk.clock.advance(60)
        assert [order.status for order in desk.simulator.orders()] == left
