"""Polling Amazon for orders: none is missed, none is claimed that was not seen."""

from __future__ import annotations

import msgspec
import pytest

from connectors.amazon.harness import bench
from oneshelf.errors import MalformedError
from oneshelf.sdk.fault import RetryLaterError

# Orders ----------------------------------------------------------------------------------------------------------


async def test_the_first_poll_starts_now_and_asks_nothing() -> None:
    async with bench({"MUG": 9}) as desk:
        page = await desk.connector.poll_orders(None)
        assert (page.deliveries, page.has_more, page.covered_until) == ((), False, None)
        assert desk.wiretap.exchanges == []


async def test_a_poll_that_cannot_see_beyond_the_start_yet_covers_nothing() -> None:
    async with bench({"MUG": 9}) as desk:
        page = await desk.connector.poll_orders(None)
        await desk.clock.advance(60)
        page = await desk.connector.poll_orders(page.cursor)
        assert (page.deliveries, page.has_more, page.covered_until) == ((), False, None)


async def test_an_order_is_seen_pending_then_confirmed_then_cancelled() -> None:
    async with bench({"MUG": 9}) as desk:
        desk.simulator.habits.confirm_s = (600.0, 600.0)
        _pages, _orders, cursor = await desk.poll(None)
        await desk.clock.advance(1)
        order_id = desk.simulator.place([("MUG", 2)])
        assert order_id is not None
        seen = []
        for second in range(8):
            await desk.clock.advance(180)
            if second == 4:
                desk.simulator.cancel(order_id)
            _pages, orders, cursor = await desk.poll(cursor)
            seen += [(o.is_pending, o.lines[0].units_cancelled, o.lines[0].units_relisted) for o in orders]
        assert list(dict.fromkeys(seen)) == [(True, 0, 0), (False, 0, 0), (False, 2, 2)]
        assert {order.order_id for order in orders} <= {order_id}
        assert desk.units() == {"MUG": 9}


async def test_a_shipped_order_shows_its_units_as_shipped() -> None:
    async with bench({"MUG": 9}) as desk:
        desk.simulator.habits.confirm_s = (10.0, 10.0)
        _pages, _orders, cursor = await desk.poll(None)
        order_id = desk.simulator.place([("MUG", 2)])
        await desk.clock.advance(60)
        assert order_id is not None
        assert desk.simulator.ship(order_id)
        await desk.clock.advance(180)
        _pages, (order,), _cursor = await desk.poll(cursor)
        assert (order.order_id, order.lines[0].units_shipped, order.lines[0].units_open) == (order_id, 2, 0)


async def test_an_order_that_amazon_fulfils_is_not_polled() -> None:
    async with bench({"MUG": 9, "CUP": 9}) as desk:
        desk.simulator.fulfil_by_amazon("CUP")
        _pages, _orders, cursor = await desk.poll(None)
        theirs, ours = desk.simulator.place([("CUP", 1)]), desk.simulator.place([("MUG", 1)])
        await desk.clock.advance(200)
        _pages, orders, _cursor = await desk.poll(cursor)
        assert theirs is not None
        assert [order.order_id for order in orders] == [ours]


async def test_an_order_that_changes_within_the_hidden_minutes_is_not_claimed_as_covered() -> None:
    async with bench({"MUG": 9}) as desk:
        # The order is placed outside and changed inside the two minutes that no search shows.
        desk.simulator.habits.confirm_s = (100.0, 100.0)
        _pages, _orders, cursor = await desk.poll(None)
        await desk.clock.advance(1)
        _pages, _orders, cursor = await desk.poll(cursor)
        await desk.clock.advance(60)
        order_id = desk.simulator.place([("MUG", 1)])
        placed_at = desk.clock.now()
        await desk.clock.advance(200)
        pages, orders, cursor = await desk.poll(cursor)
        assert msgspec.json.decode(cursor)["turn"] == "created"
        assert orders == []
        covered_until = pages[-1].covered_until
        assert covered_until is None or covered_until <= placed_at
        pages, (order,), _cursor = await desk.poll(cursor)
        assert order.order_id == order_id
        covered_until = pages[-1].covered_until
        assert covered_until is not None
        assert covered_until > placed_at


async def test_a_late_order_is_found_once_amazon_shows_it() -> None:
    async with bench({"MUG": 9}) as desk:
        _pages, _orders, cursor = await desk.poll(None)
        desk.simulator.switches.set({"order_late": {"next": 1}})
        order_id = desk.simulator.place([("MUG", 1)])
        seen: list[str] = []
        for _ in range(10):
            await desk.clock.advance(180)
            _pages, orders, cursor = await desk.poll(cursor)
            seen += [order.order_id for order in orders]
            if desk.clock.monotonic() < 300:
                assert seen == []
        assert set(seen) == {order_id}


async def test_a_page_that_amazon_has_forgotten_restarts_its_window() -> None:
    async with bench({"MUG": 500}) as desk:
        desk.simulator.habits.page_token_life_s = 300.0
        _pages, _orders, cursor = await desk.poll(None)
        for _ in range(120):
            desk.simulator.place([("MUG", 1)])
        await desk.clock.advance(200)
        page = await desk.connector.poll_orders(cursor)
        assert page.has_more
        await desk.clock.advance(301)
        restarted = await desk.connector.poll_orders(page.cursor)
        assert (restarted.deliveries, restarted.has_more, restarted.covered_until) == ((), True, None)
        _pages, orders, _cursor = await desk.poll(restarted.cursor)
        assert len({order.order_id for order in orders}) == 120


async def test_a_poll_without_budget_is_put_off() -> None:
    async with bench({"MUG": 9}) as desk:
        desk.simulator.switches.set({"throttle": {"next": 1}})
        _pages, _orders, cursor = await desk.poll(None)
        with pytest.raises(RetryLaterError, match="429"):
            await desk.connector.poll_orders(cursor)


async def test_a_text_that_is_no_cursor_is_refused() -> None:
    async with bench({}) as desk:
        for text in ("", "null", "yesterday", "{}"):
            with pytest.raises(MalformedError, match="cursor"):
                await desk.connector.poll_orders(text)
