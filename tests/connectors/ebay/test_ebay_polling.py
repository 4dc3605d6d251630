"""Polling eBay's orders: windows of which each fits in one answer, and an order that is paid under another id."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from connectors.ebay.desk import CAP, MUG, calls, ebay_of, played
from oneshelf.connectors.ebay.polling import LIMIT, RESTARTS_MAX, OrderCursor
from oneshelf.domain.order import OrderSnapshot
from oneshelf.errors import MalformedError
from oneshelf.sdk.conformance.bench import Bench
from oneshelf.sdk.fault import RetryLaterError

NOON = datetime(2026, 11, 26, 12, 0, tzinfo=UTC)
OVERLAP = timedelta(minutes=16)


def at(minutes: float) -> datetime:
    return NOON + timedelta(minutes=minutes)


def test_a_window_of_one_answer_is_followed_by_one_that_overlaps_it() -> None:
    cursor = OrderCursor.starting(at(-60)).began(at(0))
    following, has_more = cursor.turned(count=3, total=3, overlap=OVERLAP)
    assert (has_more, following.after, following.covered_at) == (False, at(-16), at(0))
    assert OrderCursor.from_text(following.text()) == following


def test_nothing_before_the_start_is_asked_for_however_far_back_a_window_reaches() -> None:
    cursor = OrderCursor.starting(at(-2)).began(at(0))
    following, _ = cursor.turned(count=0, total=0, overlap=OVERLAP)
    assert following.after == at(-3)


def test_once_a_day_a_window_reaches_back_by_days() -> None:
    day = 24 * 60
    cursor, reached = OrderCursor.starting(at(-5 * day)), []
    for minutes in range(0, 3 * day, 60):
        cursor, _ = cursor.began(at(minutes)).turned(count=0, total=0, overlap=OVERLAP)
        cursor = OrderCursor.from_text(cursor.text())
        reached.append((minutes, at(minutes) - cursor.after))
    deep = [minutes for minutes, back in reached if back == timedelta(days=3)]
    assert deep == [0, day, 2 * day]
    assert {back for minutes, back in reached if minutes not in deep} == {OVERLAP}


@pytest.mark.long
def test_an_order_that_ebay_lists_after_hours_is_told_within_a_day() -> None:
    async def story(bench: Bench) -> None:
        ebay = ebay_of(bench)
        ebay.habits.late_s = (6 * 3600.0, 6 * 3600.0)
        cursor = (await bench.poll(None)).cursor
        ebay.switches.set({"order_late": {"next": 1}})
        late = bench.placed((MUG, 1))
        await bench.live(60.0)
        told = set()
        for _ in range(30):
            polled = await bench.poll(cursor)
            cursor = polled.cursor
            told |= set(polled.orders)
            if len(told) < 1:
                await bench.live(3600.0)
        assert told == {late}

    played(story)


def test_a_window_that_does_not_fit_is_cut_and_its_older_part_comes_first() -> None:
    whole = OrderCursor(since=at(-16), after=at(-16)).began(at(0))
    half = whole.cut()
    assert half is not None
    assert (half.after, half.before) == (at(-16), at(-8))
    rest, has_more = half.turned(count=80, total=80, overlap=OVERLAP)
    assert (has_more, rest.after, rest.before) == (True, at(-8), None)


def test_what_happened_just_now_is_not_cut_since_ebay_refuses_an_end_in_its_future() -> None:
    assert OrderCursor(since=at(-9), after=at(-1)).began(at(0)).cut() is None


def test_a_window_that_moves_while_its_pages_are_read_is_read_again() -> None:
    cursor = OrderCursor(since=at(-9), after=at(-9), before=at(-8)).began(at(0))
    second, has_more = cursor.turned(count=LIMIT, total=150, overlap=OVERLAP)
    assert (has_more, second.offset) == (True, LIMIT)
    again, has_more = second.turned(count=49, total=149, overlap=OVERLAP)
    assert (has_more, again.offset, again.total) == (True, 0, None)
    for _ in range(RESTARTS_MAX - 1):
        second, _ = again.turned(count=LIMIT, total=150, overlap=OVERLAP)
        again, _ = second.turned(count=49, total=149, overlap=OVERLAP)
    second, _ = again.turned(count=LIMIT, total=150, overlap=OVERLAP)
    with pytest.raises(RetryLaterError, match="moves faster"):
        second.turned(count=49, total=149, overlap=OVERLAP)


def test_orders_that_moved_within_the_last_minute_are_not_promised_to_be_all() -> None:
    cursor = OrderCursor(since=at(-9), after=at(-1), covered_at=at(-5)).began(at(0))
    second, _ = cursor.turned(count=LIMIT, total=150, overlap=OVERLAP)
    done, has_more = second.turned(count=50, total=150, overlap=OVERLAP)
    assert (has_more, done.covered_at) == (False, at(-5))


def test_a_cursor_that_nobody_gave_out_is_malformed() -> None:
    for text in ("", "{", "[]", '{"since": "yesterday"}'):
        with pytest.raises(MalformedError, match="not a cursor"):
            OrderCursor.from_text(text)


@pytest.mark.long
def test_a_rush_of_orders_is_told_whole() -> None:
    async def story(bench: Bench) -> None:
        cursor = (await bench.poll(None)).cursor
        order_ids = []
        for _ in range(3 * LIMIT):
            order_ids.append(bench.placed((MUG, 1)))
            await bench.live(0.2)
        polled = await bench.settled_orders(cursor)
        assert set(order_ids) <= set(polled.orders)

    played(story, units=100_000)


def units_held(orders: dict[str, OrderSnapshot]) -> dict[str, int]:
    return {
        order_id: sum(line.units_open for line in order.lines)
        for order_id, order in orders.items()
        if any(line.units_open for line in order.lines)
    }


def test_commitments_that_are_paid_under_another_id_are_held_once() -> None:
    async def story(bench: Bench) -> None:
        ebay = ebay_of(bench)
        ebay.habits.commitment_share, ebay.habits.unpaid_share = 1.0, 0.0
        cursor = (await bench.poll(None)).cursor
        first, second = bench.placed((MUG, 2)), bench.placed((CAP, 1))
        await bench.live(30.0)
        polled = await bench.poll(cursor)
        assert units_held(polled.orders) == {first: 2, second: 1}
        bench.connector = bench.another_connector()
        paid = ebay.combine([first, second])
        assert paid not in {None, first, second}
        await bench.live(60.0)
        polled.add(await bench.poll(polled.cursor))
        assert units_held(polled.orders) == {paid: 3}
        off = [line.units_off_listing for order in polled.orders.values() for line in order.lines]
        assert sum(off) == 3, "the listings have lost three units, and not six"

    played(story)


def test_one_order_is_fetched_by_its_id() -> None:
    async def story(bench: Bench) -> None:
        cursor = (await bench.poll(None)).cursor
        order_id = bench.placed((MUG, 2))
        await bench.live(60.0)
        told = await bench.connector.fetch_order(order_id)  # type: ignore[attr-defined]  # eBay's connector has it
        (order,) = bench.parsed(told)
        assert isinstance(order, OrderSnapshot)
        assert (order.order_id, order.lines[0].units_ordered) == (order_id, 2)
        polled = await bench.poll(cursor)
        assert told.key in {delivery.key for delivery in polled.deliveries}, "the same state has the same key"
        assert await bench.connector.fetch_order("99-99999-99999") is None  # type: ignore[attr-defined]  # eBay's connector has it
        assert await bench.connector.fetch_order("../../other") is None, "no order has such a name"  # type: ignore[attr-defined]  # eBay's connector has it

    played(story)


def test_what_has_left_of_a_line_is_asked_for_where_a_line_is_in_progress_alone() -> None:
    async def story(bench: Bench) -> None:
        ebay_of(bench).habits.unpaid_share = 0.0
        cursor = (await bench.poll(None)).cursor
        order_id = bench.placed((MUG, 3))
        await bench.live(3600.0)
        polled = await bench.poll(cursor)
        assert calls(bench, "shipping_fulfillment") == 0
        bench.simulator.ship_units(order_id, bench.booked(order_id).lines[0].line_id, 2)
        await bench.live(30.0)
        polled = await bench.poll(polled.cursor)
        (line,) = polled.orders[order_id].lines
        assert (line.units_shipped, line.units_open) == (2, 1)

    played(story)
