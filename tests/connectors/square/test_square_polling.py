"""Polling Square: cursors that end, orders of a till that was offline, and what is kept of an order."""

from __future__ import annotations

import msgspec
import pytest

from connectors.square.till import at_the_till, connector_of, square_of
from oneshelf.connectors.square.polling import PAGE, Cursor
from oneshelf.connectors.square.simulator_wire import CURSOR_LIFE_S
from oneshelf.sdk.conformance.bench import Bench
from oneshelf.sdk.fault import RefusedError


def test_a_cursor_of_square_that_has_ended_begins_the_poll_again() -> None:
    async def play(bench: Bench) -> None:
        start = await bench.poll(None)
        await bench.live(60.0)
        order_ids = [bench.placed((bench.skus[0], 1)) for _ in range(PAGE + 5)]
        first = await bench.patiently(lambda: bench.connector.poll_orders(start.cursor))
        assert first.has_more
        await bench.live(CURSOR_LIFE_S + 1.0)
        again = await bench.patiently(lambda: bench.connector.poll_orders(first.cursor))
        assert (again.deliveries, again.has_more, again.covered_until) == ((), True, None)
        told = await bench.poll(again.cursor)
        assert set(order_ids) <= set(told.orders)
        assert told.covered_until is not None
        assert told.covered_until <= bench.clock.now()

    at_the_till(play, units=1000)


@pytest.mark.parametrize("text", ["", "{", "[]", '{"start":"now","since":"now"}', '{"start":1,"since":2}', "\ud800"])
def test_a_cursor_that_is_none_is_refused(text: str) -> None:
    async def play(bench: Bench) -> None:
        with pytest.raises(RefusedError):
            await bench.connector.poll_orders(text)
        with pytest.raises(RefusedError):
            await bench.connector.poll_orders(msgspec.json.encode(Cursor("2026", "2026")).decode())

    at_the_till(play)


def test_a_sale_of_an_offline_till_is_found_hours_later_and_dated_by_the_till() -> None:
    async def play(bench: Bench) -> None:
        cursor = (await bench.poll(None)).cursor
        sold_at = bench.clock.now()
        assert square_of(bench).sell_at_till([(bench.skus[0], 2)], offline_s=5 * 3600.0) is None
        for _ in range(4):
            await bench.live(3600.0)
            polled = await bench.poll(cursor)
            cursor = polled.cursor
            assert polled.orders == {}
        assert bench.shown()[bench.skus[0]] == 10, "Square knows of nothing either"
        await bench.live(2 * 3600.0)
        [order] = (await bench.settled_orders(cursor)).orders.values()
        assert abs((order.placed_at - sold_at).total_seconds()) < 1
        assert order.version > sold_at.isoformat()
        assert bench.shown()[bench.skus[0]] == 8, "nobody has counted since"

    at_the_till(play)


def test_what_a_buyer_left_behind_is_not_kept() -> None:
    async def play(bench: Bench) -> None:
        start = await bench.poll(None)
        order_id = bench.placed((bench.skus[0], 1))
        polled = await bench.settled_orders(start.cursor)
        fetched = await connector_of(bench).fetch_order(order_id)
        assert fetched is not None
        for delivery in (*polled.deliveries, fetched):
            assert b"ada@" not in delivery.body
            assert b"Ada" not in delivery.body

    at_the_till(play)


def test_an_order_that_nobody_paid_is_told_as_none_and_cancelled_as_never_taken() -> None:
    async def play(bench: Bench) -> None:
        start = await bench.poll(None)
        order_id = square_of(bench).put_in_cart([(bench.skus[0], 2)])
        await bench.live(60.0)
        polled = await bench.settled_orders(start.cursor)
        assert (polled.orders, bench.shown()[bench.skus[0]]) == ({}, 10)
        assert bench.simulator.cancel(order_id)
        await bench.live(60.0)
        [order] = (await bench.settled_orders(polled.cursor)).orders.values()
        [line] = order.lines
        assert (line.units_cancelled, line.units_off_listing) == (2, 0)

    at_the_till(play)


def test_a_return_is_read_again_where_it_was_put_on_sale() -> None:
    async def play(bench: Bench) -> None:
        square = square_of(bench)
        start = await bench.poll(None)
        order_id = square.sell_at_till([(bench.skus[0], 3)])
        assert order_id is not None
        [line] = bench.booked(order_id).lines
        assert square.take_back(order_id, line.line_id, 1, restock=True)
        assert not square.take_back(order_id, line.line_id, 9, restock=True), "more than were sold"
        polled = await bench.settled_orders(start.cursor)
        assert set(polled.orders) == {order_id}
        assert await bench.units_read(bench.skus[0]) == 8

    at_the_till(play)
