"""From where an order will leave: what Shopify tells of it, and what of it is on our shelf."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from oneshelf.connectors.shopify.parse import messages_from
from oneshelf.domain.identity import Channel
from oneshelf.domain.order import OrderLine, OrderSnapshot
from oneshelf.errors import MalformedError
from oneshelf.sdk.message import Delivery, Ignored, OrderHint, Request

if TYPE_CHECKING:
    from connectors.shopify.conftest import Bench

HERE, THERE = "75596366001", "75596366002"
STAMP = "2026-11-23T10:00:00Z"
WHOLE: dict[str, Any] = {"hasNextPage": False}


def place(location: str | None) -> dict[str, str] | None:
    return (location and {"id": f"gid://shopify/Location/{location}"}) or None


def route(units: int, location: str | None, *, status: str = "OPEN", updated_at: str = STAMP) -> dict[str, Any]:
    """A fulfilment order with so many units of the one line."""
    line = {"remainingQuantity": units, "lineItem": {"id": "gid://shopify/LineItem/5"}}
    return {
        "status": status,
        "updatedAt": updated_at,
        "assignedLocation": {"location": place(location)},
        "lineItems": {"nodes": [line], "pageInfo": WHOLE},
    }


def shipment(units: int, location: str | None) -> dict[str, Any]:
    line = {"quantity": units, "lineItem": {"id": "gid://shopify/LineItem/5"}}
    return {
        "status": "SUCCESS",
        "location": place(location),
        "fulfillmentLineItems": {"nodes": [line], "pageInfo": WHOLE},
    }


def polled(*routes: dict[str, Any], shipments: tuple[dict[str, Any], ...] = (), **changed: object) -> dict[str, Any]:
    """An order of five units as a poll tells it."""
    line = {
        "id": "gid://shopify/LineItem/5",
        "quantity": 5,
        "currentQuantity": 5,
        "unfulfilledQuantity": 5,
        "variant": {"id": "gid://shopify/ProductVariant/7"},
    }
    return {
        "id": "gid://shopify/Order/1",
        "test": False,
        "createdAt": STAMP,
        "updatedAt": STAMP,
        "cancelledAt": None,
        "sourceName": "web",
        "retailLocation": None,
        "lineItems": {"nodes": [line], "pageInfo": WHOLE},
        "fulfillments": list(shipments),
        "refunds": [],
        "fulfillmentOrders": {"nodes": list(routes), "pageInfo": WHOLE},
    } | changed


def hooked(**changed: object) -> dict[str, Any]:
    """The same order as a webhook tells it."""
    line = {"id": 5, "variant_id": 7, "quantity": 5, "current_quantity": 5}
    told = {"id": 1, "created_at": STAMP, "updated_at": STAMP, "cancelled_at": None, "fulfillments": [], "refunds": []}
    return told | {"line_items": [line]} | changed


def read(body: dict[str, Any], topic: str = "poll/order") -> OrderSnapshot:
    delivery = Delivery("k", topic, json.dumps(body).encode())
    (message,) = messages_from(delivery, channel=Channel("shop"), location=HERE)
    assert isinstance(message, OrderSnapshot)
    return message


def the_line(body: dict[str, Any], topic: str = "poll/order") -> OrderLine:
    (line,) = read(body, topic).lines
    return line


@pytest.mark.parametrize(
    ("routes", "held"),
    [
        pytest.param([], 5, id="not routed yet"),
        pytest.param([route(5, HERE)], 5, id="all from here"),
        pytest.param([route(5, THERE)], 0, id="all from another location"),
        pytest.param([route(2, HERE), route(3, THERE)], 2, id="a line that is split"),
        pytest.param([route(1, THERE), route(1, THERE), route(3, HERE)], 3, id="two from one other location"),
        pytest.param([route(2, THERE)], 3, id="a part is not routed yet"),
        pytest.param([route(5, THERE, status="CANCELLED"), route(5, HERE)], 5, id="moved back"),
        pytest.param([route(5, THERE, status="CLOSED"), route(5, HERE)], 5, id="ended there"),
        pytest.param([route(5, THERE, status="ON_HOLD")], 0, id="waits there"),
        pytest.param([route(5, None)], 0, id="from a location that is gone"),
        pytest.param([route(9, THERE)], 0, id="more than are open"),
    ],
)
def test_what_is_assigned_to_another_location_is_not_held_here(routes: list[dict[str, Any]], held: int) -> None:
    line = the_line(polled(*routes))
    assert (line.units_open, line.units_off_listing, line.units_ordered) == (held, held, 5)


@pytest.mark.parametrize(("location", "here"), [(HERE, 2), (THERE, 0), (None, 2)])
def test_what_left_another_location_never_left_this_one(location: str | None, here: int) -> None:
    line = the_line(polled(route(3, HERE), shipments=(shipment(2, location),)))
    assert (line.units_shipped, line.units_shipped_elsewhere, line.units_open) == (here, 2 - here, 3)
    lines = [{"id": 5, "quantity": 2}]
    at = location and int(location)
    told = the_line(hooked(fulfillments=[{"status": "success", "location_id": at, "line_items": lines}]), "orders/paid")
    assert (told.units_shipped, told.units_shipped_elsewhere) == (here, 2 - here)


def test_a_webhook_does_not_tell_from_where_an_order_will_leave() -> None:
    assert the_line(hooked(), "orders/create").units_elsewhere is None


def test_to_assign_an_order_anew_makes_it_a_newer_one() -> None:
    before = read(polled(route(5, HERE)))
    after = read(polled(route(5, THERE, updated_at="2026-11-23T10:00:01Z")))
    assert after.rank > before.rank


def test_half_a_list_of_routes_is_refused() -> None:
    half = polled(route(5, HERE), fulfillmentOrders={"nodes": [], "pageInfo": {"hasNextPage": True}})
    with pytest.raises(MalformedError, match="fulfillmentOrders"):
        read(half)


@pytest.mark.parametrize(("till", "held"), [(HERE, 5), (THERE, 0)])
def test_what_is_sold_at_a_till_is_handed_over_there(till: str, held: int) -> None:
    body = hooked(source_name="pos", location_id=int(till))
    assert the_line(body, "orders/create").units_open == held
    unrouted = polled(sourceName="pos", retailLocation=place(till))
    del unrouted["fulfillmentOrders"]
    assert the_line(unrouted).units_open == held
    assert the_line(hooked(source_name="web", location_id=int(till)), "orders/create").units_open == 5


def test_what_a_till_sells_to_be_sent_leaves_from_where_it_is_routed() -> None:
    body = polled(route(5, HERE), sourceName="pos", retailLocation=place(THERE))
    assert the_line(body).units_open == 5


@pytest.mark.parametrize(("body", "topic"), [(polled(test=True), "poll/order"), (hooked(test=True), "orders/create")])
def test_a_test_order_takes_no_stock_however_it_is_told(body: dict[str, Any], topic: str) -> None:
    delivery = Delivery("k", topic, json.dumps(body).encode())
    (message,) = messages_from(delivery, channel=Channel("shop"), location=HERE)
    assert isinstance(message, Ignored)


@pytest.mark.parametrize("what", ["moved", "order_routing_complete", "cancelled"])
def test_a_message_about_fulfilment_orders_makes_us_poll(what: str) -> None:
    delivery = Delivery("k", f"fulfillment_orders/{what}", b"{}")
    assert messages_from(delivery, channel=Channel("shop"), location=HERE) == (OrderHint(),)


# Over the wire -----------------------------------------------------------------------------------------------------


async def poll(bench: Bench, cursor: str | None) -> tuple[list[OrderSnapshot], str]:
    """All pages of a poll, and where the next one begins."""
    told: list[OrderSnapshot] = []
    while True:
        page = await bench.connector.poll_orders(cursor)
        said = [message for delivery in page.deliveries for message in bench.connector.parse(delivery)]
        told += [message for message in said if isinstance(message, OrderSnapshot)]
        cursor = page.cursor
        if not page.has_more:
            return told, cursor


async def test_an_order_that_is_moved_is_told_though_it_does_not_count_as_changed(bench: Bench) -> None:
    order_id = bench.sim.place([(bench.skus[0], 3)])
    assert order_id is not None
    (line,) = bench.sim.shop.orders[order_id].lines
    _, cursor = await poll(bench, None)
    bench.clock.turn(60)
    changed_at = bench.sim.shop.orders[order_id].updated_at
    async with bench.living():
        assert bench.sim.ships_elsewhere(order_id, line.line_id, 2)
        assert not bench.sim.ships_elsewhere(order_id, line.line_id, 2)
        assert not bench.sim.ships_elsewhere(order_id, line.line_id, 4)
        await bench.clock.live(5)
    assert bench.sim.shop.orders[order_id].updated_at == changed_at
    assert bench.shown()[0] == 9
    told, cursor = await poll(bench, cursor)
    assert {one.lines[0].units_open for one in told} == {1}
    hints = [(headers, body) for headers, body in bench.receiver.got if "moved" in headers["x-shopify-topic"]]
    for headers, body in hints:
        assert bench.connector.parse(bench.connector.verify(Request(headers, body))) == (OrderHint(),)
    assert hints
    bench.clock.turn(60)
    assert bench.sim.ship(order_id)
    told, _ = await poll(bench, cursor)
    assert {(one.lines[0].units_shipped, one.lines[0].units_shipped_elsewhere) for one in told} == {(1, 2)}


async def test_without_the_right_to_see_routes_every_unit_is_held_here(bench: Bench) -> None:
    order_id = bench.sim.place([(bench.skus[0], 3)])
    assert order_id is not None
    (line,) = bench.sim.shop.orders[order_id].lines
    bench.sim.installed.scopes = tuple(one for one in bench.sim.installed.scopes if "fulfillment" not in one)
    assert bench.sim.ships_elsewhere(order_id, line.line_id, 2)
    told, _ = await poll(bench, None)
    assert [(one.lines[0].units_elsewhere, one.lines[0].units_open) for one in told] == [(None, 3)]


async def test_a_right_that_is_lost_in_the_middle_of_a_poll_ends_the_poll(bench: Bench) -> None:
    page = await bench.connector.poll_orders(None)
    assert page.has_more
    bench.sim.installed.scopes = tuple(one for one in bench.sim.installed.scopes if "fulfillment" not in one)
    bench.clock.turn(2 * 3600)
    last = await bench.connector.poll_orders(page.cursor)
    assert (last.has_more, last.deliveries) == (False, ())
    assert last.covered_until is not None


async def test_many_orders_that_are_moved_are_all_told(big_bench: Bench) -> None:
    orders = [big_bench.sim.place([(sku, 1)]) for sku in big_bench.skus[:60]]
    _, cursor = await poll(big_bench, None)
    big_bench.clock.turn(60)
    for order_id in orders:
        assert order_id is not None
        (line,) = big_bench.sim.shop.orders[order_id].lines
        assert big_bench.sim.ships_elsewhere(order_id, line.line_id, 1)
    told, _ = await poll(big_bench, cursor)
    assert {one.order_id for one in told} == set(orders)
    assert {one.lines[0].units_open for one in told} == {0}


async def test_an_order_that_comes_while_one_list_is_read_is_not_lost_to_the_other(bench: Bench) -> None:
    """Fulfilment orders are read after the orders: how new they are says nothing of which orders we have seen."""
    page = await bench.connector.poll_orders(None)
    assert page.has_more
    early = bench.sim.place([(bench.skus[0], 1)])
    bench.clock.turn(60)
    late = bench.sim.place([(bench.skus[0], 1)])
    page = await bench.connector.poll_orders(page.cursor)
    assert not page.has_more
    told, _ = await poll(bench, page.cursor)
    assert {one.order_id for one in told} == {early, late}
