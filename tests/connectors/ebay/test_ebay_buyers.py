"""Orders and buyers of the simulated eBay, and how its list of orders moves."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest

from connectors.amazon.harness import TurnedClock
from connectors.ebay.stall import ORDERS, Stall, errors, stall
from connectors.life import living
from oneshelf.connectors.ebay.simulator import EbaySimulator
from oneshelf.sdk.shoppers import ShoppersPlan
from oneshelf.sdk.simulator import BookListing, BookOrder, CatalogueItem

DAY = "[2026-01-05T00:00:00.000Z..]"


async def listed(desk: Stall, name: str = "lastmodifieddate", **query: object) -> list[dict[str, Any]]:
    """The orders of the day, created or modified."""
    orders: list[dict[str, Any]] = (await desk.read(ORDERS, filter=f"{name}:{DAY}", **query))["orders"]
    return orders


# Paying -----------------------------------------------------------------------------------------------------------


async def test_an_order_takes_its_units_at_the_commitment_and_is_paid_later() -> None:
    async with stall({"MUG": 10}) as desk:
        order_id = desk.simulator.place([("MUG", 1), ("MUG", 2)])
        assert order_id is not None
        assert desk.units() == {"MUG": 7}
        (order,) = await listed(desk)
        assert (order["orderId"], order["orderPaymentStatus"]) == (order_id, "PENDING")
        assert not desk.simulator.ship(order_id)
        assert [one.status for one in desk.simulator.orders()] == ["pending"]
        await desk.clock.advance(1801)
        assert (await listed(desk))[0]["orderPaymentStatus"] == "PAID"
        assert desk.simulator.ship(order_id)
        assert not desk.simulator.cancel(order_id)
        assert (desk.units(), (await listed(desk))[0]["orderFulfillmentStatus"]) == ({"MUG": 7}, "FULFILLED")


async def test_an_order_that_is_never_paid_gives_its_units_back() -> None:
    async with stall(None, {"JUG": 10}) as desk:
        desk.simulator.habits.unpaid_share = 1.0
        desk.simulator.place([("JUG", 4)])
        await desk.clock.advance(1801)
        (order,) = await listed(desk)
        assert (order["cancelStatus"]["cancelState"], order["orderPaymentStatus"]) == ("CANCELED", "FAILED")
        assert desk.units() == {"JUG": 10}


async def test_an_unpaid_order_holds_its_units_for_as_long_as_it_waits() -> None:
    async with stall({"MUG": 10}) as desk:
        desk.simulator.habits.unpaid_share = 1.0
        desk.simulator.habits.confirm_s = (20 * 86_400.0, 20 * 86_400.0)
        desk.simulator.place([("MUG", 4)])
        await desk.clock.advance(20 * 86_400.0 - 1)
        assert (desk.units(), (await listed(desk))[0]["orderPaymentStatus"]) == ({"MUG": 6}, "PENDING")
        await desk.clock.advance(1)
        assert (desk.units(), (await listed(desk))[0]["orderPaymentStatus"]) == ({"MUG": 10}, "FAILED")


async def test_an_account_may_hide_its_orders_until_they_are_paid() -> None:
    async with stall({"MUG": 10}) as desk:
        desk.simulator.habits.hides_unpaid = True
        order_id = desk.simulator.place([("MUG", 1)])
        assert await listed(desk) == []
        assert (await desk.call("GET", f"{ORDERS}/{order_id}")).status_code == 404
        await desk.clock.advance(1801)
        assert [order["orderId"] for order in await listed(desk)] == [order_id]


async def test_a_commitment_has_another_id_once_it_is_paid_and_is_found_by_both() -> None:
    async with stall({"MUG": 10}) as desk:
        desk.simulator.habits.commitment_share = 1.0
        first = desk.simulator.place([("MUG", 1)])
        (unpaid,) = await listed(desk)
        await desk.clock.advance(1801)
        (paid,) = await listed(desk)
        assert unpaid["orderId"] == first != paid["orderId"]
        assert [line["lineItemId"] for line in paid["lineItems"]] == [unpaid["lineItems"][0]["lineItemId"]]
        assert (await desk.read(f"{ORDERS}/{first}"))["orderId"] == paid["orderId"]
        assert [one["orderId"] for one in (await desk.read(ORDERS, orderIds=first))["orders"]] == [paid["orderId"]]
        assert desk.simulator.ship(str(first))
        assert desk.units() == {"MUG": 9}


async def test_commitments_that_are_paid_at_once_become_one_order() -> None:
    async with stall({"MUG": 10}, {"JUG": 10}) as desk:
        desk.simulator.habits.commitment_share = 1.0
        ids = [desk.simulator.place([(sku, 2)]) for sku in ("MUG", "JUG")]
        combined = desk.simulator.combine([str(one) for one in ids])
        (order,) = await listed(desk)
        assert (order["orderId"], order["orderPaymentStatus"]) == (combined, "PAID")
        assert [(line["sku"], line["quantity"]) for line in order["lineItems"]] == [("MUG", 2), ("JUG", 2)]
        assert desk.simulator.combine([str(one) for one in ids]) is None
        assert desk.units() == {"MUG": 8, "JUG": 8}
        off_listing = {
            one.order_id: sum(line.units_off_listing for line in one.lines) for one in desk.simulator.orders()
        }
        assert off_listing == {**dict.fromkeys(ids, 0), combined: 4}
        assert desk.simulator.cancel(str(combined))
        assert desk.units() == {"MUG": 10, "JUG": 10}


@pytest.mark.parametrize("lines", [[("MUG", 6), ("MUG", 5)], [("GONE", 1)], [("MUG", 0)], [("MUG", -1)], []])
async def test_nobody_buys_what_is_not_there(lines: list[tuple[str, int]]) -> None:
    async with stall({"MUG": 10}) as desk:
        assert desk.simulator.place(lines) is None
        assert desk.units() == {"MUG": 10}


# What happens to an order -----------------------------------------------------------------------------------------


async def a_paid_order(desk: Stall, *lines: tuple[str, int]) -> tuple[str, list[str]]:
    order_id = desk.simulator.place(lines)
    assert order_id is not None
    await desk.clock.advance(1801)
    return order_id, [line.line_id for line in desk.simulator.trade.orders[order_id].lines]


async def test_cancellation_requests_are_told_of_one_order_and_never_in_a_list() -> None:
    async with stall({"MUG": 10}) as desk:
        order_id, _lines = await a_paid_order(desk, ("MUG", 3))
        assert desk.simulator.cancel(order_id)
        (in_list,) = await listed(desk)
        alone = await desk.read(f"{ORDERS}/{order_id}")
        assert [one["cancelStatus"]["cancelState"] for one in (in_list, alone)] == ["CANCELED", "CANCELED"]
        assert in_list["cancelStatus"]["cancelRequests"] == []
        assert len(alone["cancelStatus"]["cancelRequests"]) == 1
        assert desk.units() == {"MUG": 10}


async def test_a_part_that_leaves_is_told_by_the_shipping_fulfillments() -> None:
    async with stall({"MUG": 10, "CUP": 10}) as desk:
        order_id, lines = await a_paid_order(desk, ("MUG", 3), ("CUP", 1))
        assert desk.simulator.ship_units(order_id, lines[0], 2)
        assert not desk.simulator.ship_units(order_id, lines[0], 2)
        assert not desk.simulator.cancel(order_id)
        (order,) = await listed(desk)
        assert [line["lineItemFulfillmentStatus"] for line in order["lineItems"]] == ["IN_PROGRESS", "NOT_STARTED"]
        told = await desk.read(f"{ORDERS}/{order_id}/shipping_fulfillment")
        assert [one["lineItems"] for one in told["fulfillments"]] == [[{"lineItemId": lines[0], "quantity": 2}]]
        assert order["fulfillmentHrefs"][0].endswith(told["fulfillments"][0]["fulfillmentId"])
        assert desk.simulator.ship(order_id)
        assert [one.status for one in desk.simulator.orders()] == ["shipped"]


async def test_a_refund_moves_no_units_and_shows_on_the_order() -> None:
    async with stall({"MUG": 10}) as desk:
        order_id, lines = await a_paid_order(desk, ("MUG", 3))
        assert not desk.simulator.refund(order_id, lines[0], 1, restock=False), "nothing has left"
        assert desk.simulator.ship(order_id)
        assert desk.simulator.refund(order_id, lines[0], 1, restock=False)
        assert not desk.simulator.refund(order_id, lines[0], 1, restock=True)
        (order,) = await listed(desk)
        assert (order["orderPaymentStatus"], len(order["lineItems"][0]["refunds"])) == ("PARTIALLY_REFUNDED", 1)
        assert desk.units() == {"MUG": 7}


async def test_what_ebay_does_not_know_does_not_happen() -> None:
    async with stall({"MUG": 10, "CUP": 5}) as desk:
        order_id, lines = await a_paid_order(desk, ("MUG", 3))
        assert not desk.simulator.cancel_units(order_id, lines[0], 1)
        assert not desk.simulator.edit_line(order_id, lines[0], 1)
        assert not desk.simulator.add_line(order_id, "CUP", 1)
        assert not desk.simulator.untrack("MUG")
        assert desk.units() == {"MUG": 7, "CUP": 5}


async def test_a_listing_that_is_gone_stays_gone_and_its_orders_stay() -> None:
    async with stall({"MUG": 10}, {"JUG": 5}) as desk:
        await a_paid_order(desk, ("MUG", 3), ("JUG", 1))
        assert desk.simulator.end_listing("MUG")
        assert not desk.simulator.end_listing("MUG")
        assert desk.simulator.remap("JUG", "POT")
        assert not desk.simulator.remap("JUG", "PAN")
        assert desk.units() == {"MUG": 0, "JUG": 0, "POT": 4}
        assert {one.channel_sku for one in desk.simulator.listings() if one.is_ended} == {"MUG", "JUG"}
        assert [line["sku"] for line in (await listed(desk))[0]["lineItems"]] == ["MUG", "JUG"]
        offers = await desk.call("GET", "/sell/inventory/v1/offer", params={"sku": "MUG"})
        assert (offers.status_code, errors(offers)) == (404, [25702])


# The list of orders -----------------------------------------------------------------------------------------------


async def test_pages_of_orders_count_orders_and_end() -> None:
    async with stall({"MUG": 500}) as desk:
        placed = []
        for _ in range(130):
            placed.append(desk.simulator.place([("MUG", 1)]))
            await desk.clock.advance(0.01)
        pages = [await desk.read(ORDERS, filter=f"creationdate:{DAY}", limit=50, offset=at) for at in (0, 50, 100)]
        assert [order["orderId"] for page in pages for order in page["orders"]] == placed
        assert [("next" in page, "prev" in page, page["total"]) for page in pages] == [
            (True, False, 130),
            (True, True, 130),
            (False, True, 130),
        ]


@pytest.mark.parametrize(
    ("query", "error"),
    [
        ({"limit": "201"}, 31100),
        ({"limit": "0"}, 31100),
        ({"offset": "x"}, 31000),
        ({"filter": "lastmodifieddate:[2026-01-05T12:00:01.000Z..]"}, 30850),
        ({"filter": "lastmodifieddate:[2026-01-05T11:00:00.000Z..2026-01-05T12:00:01.000Z]"}, 30850),
        ({"filter": "creationdate:[2026-01-05T11:00:00.000Z..2026-01-05T10:00:00.000Z]"}, 30840),
        ({"filter": "creationdate:[2023-01-05T11:00:00.000Z..2026-01-05T10:00:00.000Z]"}, 30830),
        ({"filter": "creationdate:[yesterday..]"}, 30810),
        ({"filter": "creationdate:[2026-01-05T11:00:00..]"}, 30810),
        ({"filter": "creationdate:[..2026-01-05T11:00:00.000Z]"}, 30820),
        ({"filter": "orderid:{7}"}, 30700),
        ({"filter": "orderfulfillmentstatus:{SHIPPED}"}, 30800),
        ({"fieldGroups": "ALL"}, 32800),
        ({"orderIds": ",".join("7" for _ in range(51))}, 30900),
    ],
)
async def test_a_search_that_breaks_the_rules_is_refused(query: dict[str, str], error: int) -> None:
    async with stall({"MUG": 1}) as desk:
        answer = await desk.call("GET", ORDERS, params=query)
        assert (answer.status_code, errors(answer)) == (400, [error])


async def test_where_creation_is_asked_for_modification_is_ignored() -> None:
    async with stall({"MUG": 10}) as desk:
        order_id = desk.simulator.place([("MUG", 1)])
        await desk.clock.advance(1801)
        late = "[2026-01-05T12:00:01.000Z..]"
        assert len((await desk.read(ORDERS, filter=f"lastmodifieddate:{late}"))["orders"]) == 1
        both = await desk.read(ORDERS, filter=f"creationdate:{late},lastmodifieddate:{DAY}")
        assert both["orders"] == []
        alone = await desk.read(ORDERS, orderIds=order_id, filter=f"creationdate:{late}", limit=999)
        assert [order["orderId"] for order in alone["orders"]] == [order_id]


async def test_open_and_shipped_orders_are_told_apart() -> None:
    async with stall({"MUG": 10}) as desk:
        order_id, _lines = await a_paid_order(desk, ("MUG", 3))
        other = desk.simulator.place([("MUG", 1)])
        desk.simulator.ship(order_id)
        asked = f"creationdate:{DAY},orderfulfillmentstatus:{{NOT_STARTED|IN_PROGRESS}}"
        assert [order["orderId"] for order in (await desk.read(ORDERS, filter=asked))["orders"]] == [other]


async def test_a_late_order_is_sold_and_not_listed_for_a_while() -> None:
    async with stall({"MUG": 10}) as desk:
        desk.simulator.switches.set({"order_late": {"next": 1}})
        order_id = desk.simulator.place([("MUG", 1)])
        await desk.clock.advance(299)
        assert (desk.units(), await listed(desk, "creationdate")) == ({"MUG": 9}, [])
        await desk.clock.advance(600)
        assert [order["orderId"] for order in await listed(desk, "creationdate")] == [order_id]


# Life -------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Day:
    """What was sold and what is left after two hours of shoppers."""

    orders: list[BookOrder]
    listings: list[BookListing]
    hits: dict[str, int]


async def lived(seed: int) -> Day:
    print(f"seed {seed}")
    clock = TurnedClock()
    simulator = EbaySimulator(seed=seed, speed=60.0, clock=clock)
    simulator.stock_catalogue([CatalogueItem(f"MUG-{n}", "Mug", 20) for n in range(20)])
    simulator.switches.set({"order_late": 0.3})
    simulator.shoppers.follow(ShoppersPlan(orders_per_s=1.0), clock.monotonic())
    async with living(simulator, clock.lives):
        await clock.advance(120)
    return Day([*simulator.orders()], [*simulator.listings()], dict(simulator.switches.hits))


async def test_the_same_seed_lives_the_same_life() -> None:
    one, same, other = await lived(5), await lived(5), await lived(6)
    assert one == same
    assert one != other
    assert len(one.orders) > 50
    assert one.hits["order_late"] > 5


async def test_units_are_neither_made_nor_lost() -> None:
    day = await lived(11)
    gone = sum(line.units_off_listing for order in day.orders for line in order.lines)
    assert sum(one.units for one in day.listings) + gone == 400
    assert gone > 0
