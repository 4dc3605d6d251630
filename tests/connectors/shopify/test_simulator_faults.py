"""What goes wrong at a simulated shop goes wrong as at the real one, and the connector makes the right thing of it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from connectors.shopify.conftest import ENDPOINT
from oneshelf.connectors.shopify.simulator_lists import STALE_S_MAX
from oneshelf.domain.order import OrderSnapshot, located
from oneshelf.sdk.fault import ReauthenticateError, RetryLaterError
from oneshelf.sdk.message import Applied, Delivery, OrderPage, Refused, Stale, StockReading, Unknown

if TYPE_CHECKING:
    from connectors.shopify.conftest import Bench


async def answered(bench: Bench, query: str = "{ shop { name } }") -> tuple[int, dict[str, str], bytes]:
    """Status, headers and body of a request as the shop gives them."""
    headers = {"X-Shopify-Access-Token": "shpat_simulated", "Content-Type": "application/json"}
    reply = await bench.client.post(f"http://localhost{ENDPOINT}", json={"query": query}, headers=headers)
    return reply.status_code, dict(reply.headers), reply.content


async def units(bench: Bench, at: int = 0) -> int | None:
    (reading,) = await bench.connector.read_stock([bench.skus[at]])
    return reading.units


async def swept(bench: Bench) -> list[StockReading]:
    readings: list[StockReading] = []
    page = await bench.connector.fetch_stock(None)
    readings.extend(page.readings)
    while page.cursor is not None:
        page = await bench.connector.fetch_stock(page.cursor)
        readings.extend(page.readings)
    return readings


def snapshots(bench: Bench, page: OrderPage) -> list[OrderSnapshot]:
    said = [message for delivery in page.deliveries for message in bench.connector.parse(delivery)]
    return [message for message in said if isinstance(message, OrderSnapshot)]


async def polled(bench: Bench, cursor: str) -> tuple[dict[str, OrderSnapshot], OrderPage]:
    """The newest snapshot of each order of one whole poll, and its last page."""
    newest: dict[str, OrderSnapshot] = {}
    while True:
        page = await bench.connector.poll_orders(cursor)
        for order in snapshots(bench, page):
            if order.order_id not in newest or order.rank > newest[order.order_id].rank:
                newest[order.order_id] = order
        if not page.has_more:
            return newest, page
        cursor = page.cursor


async def caught_up(bench: Bench) -> str:
    """Where the next poll begins, once all that there is was polled."""
    page = await bench.connector.poll_orders(None)
    while page.has_more:
        page = await bench.connector.poll_orders(page.cursor)
    return page.cursor


async def an_order(bench: Bench, *lines: tuple[int, int]) -> tuple[str, list[str]]:
    """The id of a new order of `(listing, units)` lines, and of its lines."""
    order_id = bench.sim.place([(bench.skus[at], units) for at, units in lines])
    assert order_id is not None
    return order_id, [line.line_id for line in bench.sim.shop.orders[order_id].lines]


async def told_twice(bench: Bench, cursor: str) -> OrderSnapshot:
    """The one order, as the poll and as the last webhook tell it: they must agree, and with the books."""
    (polled_order,) = (await polled(bench, cursor))[0].values()
    bodies = [body for headers, body in bench.receiver.got if headers["x-shopify-topic"] == "orders/updated"]
    told = [bench.connector.parse(Delivery(key="w", topic="orders/updated", body=body))[0] for body in bodies]
    last = max((one for one in told if isinstance(one, OrderSnapshot)), key=lambda one: one.rank)
    assert located(last, polled_order) == polled_order
    (book,) = bench.sim.orders()
    for said, line in zip(polled_order.lines, book.lines, strict=True):
        assert (said.units_ordered, said.units_cancelled, said.units_relisted, said.units_shipped) == (
            line.units,
            line.units_cancelled,
            line.units_relisted,
            line.units_shipped,
        )
    return polled_order


# Refused calls -------------------------------------------------------------------------------------------------


async def test_too_many_requests_may_come_without_a_time_to_wait(bench: Bench) -> None:
    bench.sim.switches.set({"http_429_bare": {"next": 2}})
    status, headers, _body = await answered(bench)
    assert (status, "retry-after" in headers) == (429, False)
    with pytest.raises(RetryLaterError) as busy:
        await bench.connector.read_stock(bench.skus)
    assert busy.value.retry_after_s == 1.0
    assert bench.sim.switches.hits == {"http_429_bare": 2}


async def test_a_storm_of_errors_lasts_a_while_and_then_is_over(bench: Bench) -> None:
    bench.sim.switches.set({"error_storm": {"next": 1}})
    assert (await answered(bench))[0] == 502
    with pytest.raises(RetryLaterError):
        await bench.connector.read_stock(bench.skus)
    bench.clock.turn(4.9)
    assert (await answered(bench))[0] == 502
    bench.clock.turn(60)
    assert (await answered(bench))[0] == 200
    assert bench.sim.switches.hits == {"error_storm": 1}


async def test_a_write_into_a_storm_is_unknown_and_nothing_of_it_shows(bench: Bench) -> None:
    await bench.connector.read_stock(bench.skus)
    bench.sim.switches.set({"error_storm": {"next": 1}})
    (outcome,) = await bench.connector.push([bench.write(bench.skus[0], 3)])
    assert isinstance(outcome, Unknown)
    assert bench.shown()[0] == 10


async def test_a_revoked_token_asks_for_a_person_until_it_is_granted_again(bench: Bench) -> None:
    bench.sim.revoke()
    status, _headers, body = await answered(bench)
    assert (status, json.loads(body)["errors"][:21]) == (401, "[API] Invalid API key")
    with pytest.raises(ReauthenticateError):
        await bench.connector.read_stock(bench.skus)
    with pytest.raises(ReauthenticateError):
        await bench.connector.poll_orders(None)
    (finding,) = await bench.connector.preflight()
    assert not finding.is_good
    bench.sim.grant()
    assert await units(bench) == 10
    assert bench.sim.switches.hits == {"token_revoked": 4}


# Misleading readings -------------------------------------------------------------------------------------------


async def test_a_stale_reading_shows_the_units_of_some_seconds_ago_and_no_older(bench: Bench) -> None:
    bench.sim.switches.set({"stale_read": 1.0})
    bench.clock.turn(100)
    bench.sim.edit_by_hand(bench.skus[0], 7)
    seen = set()
    for _ in range(60):
        bench.clock.turn(0.1)
        seen.add(await units(bench))
    assert seen == {10, 7}
    bench.clock.turn(STALE_S_MAX)
    assert {await units(bench) for _ in range(20)} == {7}
    assert bench.sim.switches.hits["stale_read"] == 80


async def test_a_write_compares_with_the_truth_whatever_a_stale_reading_said(bench: Bench) -> None:
    bench.clock.turn(100)
    bench.sim.place([(bench.skus[0], 4)])
    bench.sim.switches.set({"stale_read": 1.0})
    (outcome,) = await bench.connector.push([bench.write(bench.skus[0], 9, expected=10)])
    assert outcome == Stale()
    assert bench.shown()[0] == 6


@pytest.mark.long
async def test_an_order_that_the_search_does_not_know_yet_is_found_and_never_claimed_as_covered(bench: Bench) -> None:
    cursor = await caught_up(bench)
    bench.sim.switches.set({"stale_read": 1.0})
    bench.sim.edit_by_hand(bench.skus[0], 10_000)
    seen: set[str] = set()
    late = 0
    for _ in range(80):
        for _ in range(3):
            bench.clock.turn(bench.sim.chance.uniform(0.05, 1.0))
            bench.sim.place([(bench.skus[0], 1)])
        orders, page = await polled(bench, cursor)
        cursor = page.cursor
        late += len(set(orders) - seen) != 3
        seen |= set(orders)
        until = page.covered_until
        assert until is not None
        assert {o.order_id for o in bench.sim.orders() if o.placed_at < until} <= seen
    bench.clock.turn(STALE_S_MAX)
    orders, _page = await polled(bench, cursor)
    assert {order.order_id for order in bench.sim.orders()} == seen | set(orders)
    assert late > 20


async def test_a_page_that_ends_early_says_that_there_is_more(big_bench: Bench) -> None:
    big_bench.sim.switches.set({"partial_page": 1.0})
    page = await big_bench.connector.fetch_stock(None)
    assert 0 < len(page.readings) < 100
    assert page.cursor is not None
    listed = [reading.channel_sku for reading in await swept(big_bench)]
    assert listed == big_bench.skus
    start = await caught_up(big_bench)
    placed = {big_bench.sim.place([(big_bench.skus[n], 1)]) for n in range(30)}
    first = await big_bench.connector.poll_orders(start)
    assert first.has_more
    assert first.covered_until is None
    orders, _page = await polled(big_bench, start)
    assert set(orders) == placed


@pytest.mark.long
async def test_an_order_that_moves_to_the_end_while_paging_is_met_there(big_bench: Bench) -> None:
    cursor = await caught_up(big_bench)
    big_bench.sim.switches.set({"page_drift": 1.0})
    seen: set[str] = set()
    for _ in range(5):
        for n in range(70):
            big_bench.clock.turn(0.2)
            big_bench.sim.place([(big_bench.skus[n], 1)])
        orders, page = await polled(big_bench, cursor)
        cursor = page.cursor
        seen |= set(orders)
    assert seen == {order.order_id for order in big_bench.sim.orders()}
    assert big_bench.sim.switches.hits["page_drift"] >= 10


# Listings --------------------------------------------------------------------------------------------------------


async def test_a_deleted_variant_is_read_listed_sold_and_written_no_more(bench: Bench) -> None:
    await bench.connector.read_stock(bench.skus)
    async with bench.living():
        assert bench.sim.end_listing(bench.skus[1])
        assert not bench.sim.end_listing(bench.skus[1])
        assert not bench.sim.end_listing("1")
        await bench.clock.live(5)
    assert bench.receiver.topics() == ["inventory_items/delete"]
    ended = bench.sim.listings()[1]
    assert (ended.units, ended.is_ended) == (0, True)
    assert bench.sim.place([(bench.skus[1], 1)]) is None
    assert [one.channel_sku for one in await bench.connector.read_stock(bench.skus[:3])] == [
        bench.skus[0],
        bench.skus[2],
    ]
    assert bench.skus[1] not in [one.channel_sku for one in await swept(bench)]
    outcomes = await bench.connector.push([bench.write(sku, 3) for sku in bench.skus[:2]])
    assert outcomes[0] == Applied()
    assert isinstance(outcomes[1], Refused)


async def test_an_order_of_a_deleted_variant_goes_on_without_it(bench: Bench) -> None:
    start = await caught_up(bench)
    order_id, _lines = await an_order(bench, (0, 2), (1, 1))
    bench.sim.end_listing(bench.skus[1])
    bench.clock.turn(1)
    assert bench.sim.cancel(order_id)
    (order,) = (await polled(bench, start))[0].values()
    assert [line.channel_sku for line in order.lines] == [bench.skus[0]]


async def test_a_listing_with_another_sku_is_the_same_listing(bench: Bench) -> None:
    async with bench.living():
        assert bench.sim.remap(bench.skus[0], "MUG-NEW")
        assert not bench.sim.remap("1", "MUG-NEW")
        await bench.clock.live(5)
    assert bench.receiver.topics() == ["inventory_items/update"]
    (reading,) = await bench.connector.read_stock([bench.skus[0]])
    assert (reading.merchant_sku, reading.units) == ("MUG-NEW", 10)
    assert bench.sim.listings()[0].merchant_sku == "MUG-NEW"
    for headers, body in bench.receiver.got:
        assert json.loads(body)["sku"] == "MUG-NEW"
        assert headers["x-shopify-topic"] == "inventory_items/update"


# The life of an order --------------------------------------------------------------------------------------------


async def test_a_part_of_a_line_is_cancelled_and_its_units_are_back(bench: Bench) -> None:
    start = await caught_up(bench)
    async with bench.living():
        order_id, (line,) = await an_order(bench, (0, 3))
        assert not bench.sim.cancel_units(order_id, line, 3)  # that would be the whole order
        assert not bench.sim.cancel_units(order_id, line, 4)
        assert not bench.sim.cancel_units(order_id, "1", 1)
        assert bench.sim.cancel_units(order_id, line, 2)
        await bench.clock.live(5)
        order = await told_twice(bench, start)
    assert (order.lines[0].units_cancelled, order.lines[0].units_relisted, order.lines[0].units_open) == (2, 2, 1)
    assert bench.shown()[0] == 9
    assert sorted(set(bench.receiver.topics())) == [
        "inventory_levels/update",
        "orders/create",
        "orders/edited",
        "orders/updated",
    ]
    assert bench.sim.switches.hits == {"units_cancelled": 1}


async def test_an_edited_order_has_more_or_fewer_units_or_another_line(bench: Bench) -> None:
    start = await caught_up(bench)
    async with bench.living():
        order_id, (line,) = await an_order(bench, (0, 3))
        assert bench.sim.edit_line(order_id, line, 5)
        assert bench.shown()[0] == 5
        assert not bench.sim.edit_line(order_id, line, 50)
        assert not bench.sim.edit_line(order_id, line, 5)
        bench.clock.turn(1)
        assert bench.sim.edit_line(order_id, line, 1)
        assert bench.shown()[0] == 9
        bench.clock.turn(1)
        assert bench.sim.add_line(order_id, bench.skus[1], 4)
        assert not bench.sim.add_line(order_id, bench.skus[2], 40)
        assert not bench.sim.add_line("1", bench.skus[2], 1)
        await bench.clock.live(5)
        order = await told_twice(bench, start)
    assert [(line.units_ordered, line.units_cancelled, line.units_open) for line in order.lines] == [
        (5, 4, 1),
        (4, 0, 4),
    ]
    assert bench.shown()[:2] == [9, 6]
    edits = [json.loads(body) for headers, body in bench.receiver.got if headers["x-shopify-topic"] == "orders/edited"]
    told = [edit["order_edit"]["line_items"] for edit in edits]
    assert {"additions": [], "removals": [{"id": int(line), "delta": 4}]} in told
    assert bench.sim.switches.hits == {"order_edited": 3}


@pytest.mark.parametrize(("restock", "shown", "relisted"), [(True, 9, 2), (False, 7, 0)])
async def test_a_refund_before_shipping_restocks_or_keeps_the_units_off_sale(
    bench: Bench, restock: bool, shown: int, relisted: int
) -> None:
    start = await caught_up(bench)
    async with bench.living():
        order_id, (line,) = await an_order(bench, (0, 3))
        assert bench.sim.refund(order_id, line, 2, restock=restock)
        assert not bench.sim.refund(order_id, line, 2, restock=restock)
        await bench.clock.live(5)
        order = await told_twice(bench, start)
    assert bench.shown()[0] == shown
    assert (order.lines[0].units_cancelled, order.lines[0].units_relisted, order.lines[0].units_open) == (
        2,
        relisted,
        1,
    )
    topics = bench.receiver.topics()
    assert "refunds/create" in topics
    assert topics.count("inventory_levels/update") == 1 + restock


@pytest.mark.parametrize(("restock", "shown"), [(True, 8), (False, 7)])
async def test_a_refund_after_shipping_is_a_return_or_mere_money(bench: Bench, restock: bool, shown: int) -> None:
    start = await caught_up(bench)
    async with bench.living():
        order_id, (line,) = await an_order(bench, (0, 3))
        assert bench.sim.ship(order_id)
        assert bench.sim.refund(order_id, line, 1, restock=restock)
        assert not bench.sim.refund(order_id, line, 3, restock=restock)
        await bench.clock.live(5)
        order = await told_twice(bench, start)
    assert bench.shown()[0] == shown
    assert (order.lines[0].units_shipped, order.lines[0].units_cancelled, order.lines[0].units_open) == (3, 0, 0)
    assert bench.sim.orders()[0].lines[0].units_returned == restock


async def test_money_for_a_shipped_unit_cancels_none_that_is_still_to_ship(bench: Bench) -> None:
    start = await caught_up(bench)
    async with bench.living():
        order_id, (line,) = await an_order(bench, (0, 3))
        assert bench.sim.ship_units(order_id, line, 2)
        assert bench.sim.refund(order_id, line, 2, restock=False)  # more than the one that is left: the shipped ones
        await bench.clock.live(5)
        order = await told_twice(bench, start)
    assert (order.lines[0].units_shipped, order.lines[0].units_cancelled, order.lines[0].units_open) == (2, 0, 1)


async def test_an_order_is_shipped_in_parts(bench: Bench) -> None:
    start = await caught_up(bench)
    async with bench.living():
        order_id, (first, second) = await an_order(bench, (0, 3), (1, 1))
        assert bench.sim.ship_units(order_id, first, 2)
        assert not bench.sim.ship_units(order_id, first, 2)
        assert not bench.sim.cancel(order_id)
        assert bench.sim.ship_units(order_id, second, 1)
        await bench.clock.live(5)
        order = await told_twice(bench, start)
        assert [line.units_open for line in order.lines] == [1, 0]
        assert bench.sim.orders()[0].status == "open"
        assert bench.sim.ship(order_id)
        assert bench.sim.orders()[0].status == "shipped"
        assert not bench.sim.ship(order_id)
    assert "orders/partially_fulfilled" in bench.receiver.topics()


# Clocks ------------------------------------------------------------------------------------------------------------


async def test_the_seed_says_by_how_much_a_clock_is_wrong(bench: Bench) -> None:
    assert bench.sim.skew_clock() == bench.sim.skew_clock() != 0
    order_id = bench.sim.place([(bench.skus[0], 1)])
    assert order_id is not None
    shop_order = bench.sim.shop.orders[order_id]
    assert (shop_order.created_at - bench.clock.now()).total_seconds() == pytest.approx(
        bench.sim.skew_clock(), abs=1e-5
    )
    assert bench.sim.orders()[0].placed_at == bench.clock.now()
    assert bench.sim.skew_clock(0.0) == 0
