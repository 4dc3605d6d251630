"""Polling: no sale is ever missed, whatever happens between two pages, and nothing is promised too early."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from random import Random

from oneshelf.sdk.conformance.bench import Bench, Polled
from oneshelf.sdk.conformance.check import check, expect, must_happen, no_lag
from oneshelf.sdk.simulator import BookOrder

MANY = 130
HOUR_S = 3600.0
# Faults of a simulator that make its lists mislead; each where it has it.
MISLEADING = ("stale_read", "partial_page", "page_drift", "order_late")
MISLED_SHARE = 0.3
SKEWS_S = (0.0, 20.0, -20.0)


def _missing(bench: Bench, polled: Polled, order_ids: list[str]) -> None:
    missed = [order_id for order_id in order_ids if order_id not in polled.orders]
    expect(not missed, f"{len(missed)} of {len(order_ids)} orders were never told, {missed[:3]} among them")


@check("polling", proves=("poll_orders_s",))
async def every_order_is_told_once_time_has_passed(bench: Bench) -> None:
    """The plainest sale of all."""
    start = await bench.poll(None)
    await bench.live(5.0)
    order_ids = [bench.placed((sku, 1)) for sku in bench.skus]
    _missing(bench, await bench.settled_orders(start.cursor), order_ids)


@check("polling")
async def orders_made_between_two_pages_are_told(bench: Bench) -> None:
    """A list is read while people buy and cancel: entries move to other pages while we turn them."""
    async with bench.another(items=3, units=10_000) as busy:
        start = await busy.poll(None)
        order_ids: list[str] = []
        for _ in range(MANY):
            await busy.live(0.5)
            order_ids.append(busy.placed((busy.skus[0], 1)))
        await busy.live(busy.kind.capability.orders_lag_s + 5.0)

        def somebody_acts(page: int) -> None:
            order_ids.append(busy.placed((busy.skus[1], 1)))
            busy.simulator.cancel(order_ids[MANY - 1 - page])

        polled = await busy.settled_orders(start.cursor, between=somebody_acts)
        must_happen(polled.page_count > 1, f"fill a page with {MANY} orders")
        expect(len(order_ids) > MANY, "nobody acted between two pages")
        _missing(busy, polled, order_ids)


@check("polling")
async def orders_of_one_instant_are_all_told(bench: Bench) -> None:
    """Channels stamp whole seconds, and a campaign starts. A cursor that is a stamp alone skips the rest of one."""
    async with bench.another(items=3, units=10_000) as busy:
        start = await busy.poll(None)
        await busy.live(5.0)
        order_ids = [busy.placed((busy.skus[n % 3], 1)) for n in range(MANY)]
        _missing(busy, await busy.settled_orders(start.cursor), order_ids)
    cursor = (await bench.poll(None)).cursor
    seen, order_ids = Polled(cursor, None), []
    for _ in range(6):
        await bench.live(bench.kind.capability.poll_orders_s)
        order_ids.append(bench.placed((bench.skus[0], 1)))
        seen.add(await bench.poll(seen.cursor))
        order_ids.append(bench.placed((bench.skus[1], 1)))  # in the second of the one that was perhaps just told
    seen.add(await bench.settled_orders(seen.cursor))
    _missing(bench, seen, order_ids)


@check("polling")
async def a_repeated_cursor_tells_the_same_or_more(bench: Bench) -> None:
    """After a crash the last cursor that was stored is used again: what came after it must come again."""
    start = await bench.poll(None)
    await bench.live(5.0)
    order_ids = [bench.placed((sku, 1)) for sku in bench.skus]
    await bench.live(bench.kind.capability.orders_lag_s + 5.0)
    first = await bench.settled_orders(start.cursor)
    again = await bench.settled_orders(start.cursor)
    other = bench.another_connector()
    bench.connector, former = other, bench.connector
    elsewhere = await bench.settled_orders(start.cursor)
    bench.connector = former
    for polled in (first, again, elsewhere):
        _missing(bench, polled, order_ids)


@check("polling")
async def a_first_poll_begins_at_since(bench: Bench) -> None:
    """Between connecting a channel and the first poll an hour may pass, and what was sold in it counts."""
    since = bench.clock.now()
    await bench.live(120.0)
    order_ids = [bench.placed((sku, 1)) for sku in bench.skus]
    await bench.live(HOUR_S)
    first = await bench.poll(None, since=since)
    polled = await bench.settled_orders(first.cursor)
    for order in first.orders.values():
        polled.learn(order)
    _missing(bench, polled, order_ids)


@check("polling")
async def a_first_poll_without_since_begins_now(bench: Bench) -> None:
    """The sales of years are in the count that somebody makes on the first day. Told again, they are taken twice."""
    old = [bench.placed((sku, 1)) for sku in bench.skus]
    await bench.live(2 * HOUR_S)
    first = await bench.poll(None)
    told = {**first.orders, **(await bench.poll(first.cursor)).orders}
    expect(not set(old) & set(told), "a first poll without `since` told of orders of two hours ago")


@check("polling")
async def what_is_told_again_unchanged_has_the_same_key(bench: Bench) -> None:
    """Overlapping windows tell an order again and again. Equal keys are dropped at the door; a change has a new one."""
    start = await bench.poll(None)
    await bench.live(5.0)
    order_id = bench.placed((bench.skus[0], 2))
    await bench.live(2 * HOUR_S)
    first = await bench.settled_orders(start.cursor)
    again = await bench.settled_orders(start.cursor)
    bodies: dict[str, bytes] = {}
    for delivery in [*first.deliveries, *again.deliveries]:
        same = bodies.setdefault(delivery.key, delivery.body) == delivery.body
        expect(same, f"two different bodies share the key {delivery.key!r}: the second would be dropped")
    expect({one.key for one in first.deliveries} >= {one.key for one in again.deliveries}, "unchanged, under a new key")
    before = first.orders[order_id]
    must_happen(bench.simulator.ship(order_id) or bench.simulator.cancel(order_id), "change an order")
    await bench.live(5.0)
    changed = await bench.settled_orders(start.cursor)
    new = {one.key for one in changed.deliveries} - {one.key for one in first.deliveries}
    expect(new, "the order changed, and came under the key that it had")
    expect(changed.orders[order_id].rank > before.rank, "the order changed, and its version did not")


@check("polling", proves=("orders_lag_s",), unless=no_lag)
async def an_order_that_shows_late_is_not_claimed_as_covered(bench: Bench) -> None:
    """A search index follows the shop. `covered_until` releases held-back units: too early, they are sold twice."""
    bench.simulator.switches.set(dict.fromkeys(bench.simulator.late_order_faults, 1.0))
    bench.simulator.edit_by_hand(bench.skus[0], 1000)
    start = await bench.poll(None)
    was_late = False
    cursor, seen = start.cursor, set(start.orders)
    for _ in range(12):
        await bench.live(bench.kind.capability.poll_orders_s)
        for _ in range(4):
            bench.placed((bench.skus[0], 1))
            await bench.live(bench.kind.capability.orders_lag_s / 5)
        polled = await bench.poll(cursor)
        cursor = polled.cursor
        seen |= set(polled.orders)
        late = [order for order in bench.simulator.orders() if order.order_id not in seen]
        was_late = was_late or bool(late)
        _covers_no_more(polled, late)
    must_happen(was_late, "show an order late, as orders_lag_s declares")
    bench.simulator.switches.set(dict.fromkeys(bench.simulator.late_order_faults, 0.0))
    seen |= set((await bench.settled_orders(cursor)).orders)
    missed = [order.order_id for order in bench.simulator.orders() if order.order_id not in seen]
    expect(not missed, f"{len(missed)} orders that showed late were never told: {missed[:3]}")


def _covers_no_more(polled: Polled, unseen: Sequence[BookOrder]) -> None:
    for order in unseen:
        is_honest = polled.covered_until is None or polled.covered_until <= order.placed_at
        told = f"covered_until {polled.covered_until}, and the order {order.order_id} of {order.placed_at}"
        expect(is_honest, f"{told} was never told")


@check("polling", proves=("orders_lag_s", "poll_orders_s"))
async def nothing_is_missed_when_lists_mislead_and_clocks_differ(bench: Bench) -> None:
    """Hours of business: pages end early, entries move, replicas lag, and the channel's clock is 20 s off."""
    for skew_s in SKEWS_S:
        async with bench.another(items=3, units=10_000) as busy:
            await _an_hour(busy, skew_s)


async def _an_hour(bench: Bench, skew_s: float) -> None:
    simulator = bench.simulator
    simulator.skew_clock(skew_s)
    # An order that is later than declared is nobody's promise.
    names = [name for name in MISLEADING if name in simulator.switches.names and name != "order_late"]
    simulator.switches.set(dict.fromkeys(names, MISLED_SHARE))
    random = Random(f"{bench.seed}:business")
    start = await bench.poll(None)
    cursor, seen = start.cursor, Polled(start.cursor, None)
    for _ in range(12):
        for _ in range(8):
            await bench.live(random.uniform(0.0, bench.kind.capability.poll_orders_s / 8))
            order_id = bench.placed((random.choice(bench.skus), random.randint(1, 3)))
            if random.random() < 0.3:
                simulator.cancel(order_id)
        polled = await bench.poll(cursor)
        cursor = polled.cursor
        for order in polled.orders.values():
            seen.learn(order)
        _covers_no_more(polled, [one for one in simulator.orders() if one.order_id not in seen.orders])
    simulator.switches.set(dict.fromkeys(names, 0.0))
    for order in (await bench.settled_orders(cursor)).orders.values():
        seen.learn(order)
    _missing(bench, seen, [order.order_id for order in simulator.orders()])


@check("polling")
async def covered_until_is_told_by_the_clock_that_asks(bench: Bench) -> None:
    """All engines share the database's clock. `asked_at` is by it, and nothing after it can be covered."""
    cursor = (await bench.poll(None)).cursor
    for behind_s in (0.0, 45.0, 0.0, 45.0):
        await bench.live(bench.kind.capability.poll_orders_s)
        asked_at = bench.clock.now() - timedelta(seconds=behind_s)
        has_more = True
        while has_more:
            page = await bench.patiently(
                lambda cursor=cursor, asked_at=asked_at: bench.connector.poll_orders(  # type: ignore[misc]  # bound early
                    cursor, asked_at=asked_at
                )
            )
            cursor, has_more = page.cursor, page.has_more
        if page.covered_until is not None:
            expect(page.covered_until <= asked_at, f"asked at {asked_at}, covered until {page.covered_until}")
