"""Orders: what a channel says of one is what is in its books, through its whole life."""

from __future__ import annotations

from oneshelf.domain.order import OrderSnapshot
from oneshelf.sdk.conformance.bench import Bench
from oneshelf.sdk.conformance.check import check, expect, fail, must_happen, no_single_orders
from oneshelf.sdk.contract import FetchesOrders
from oneshelf.sdk.message import Delivery
from oneshelf.sdk.simulator import BookOrder

# Buyers pay within this, or not at all.
PAID_S = 7200.0
MANY_LINES = 120


def agrees(booked: BookOrder, told: OrderSnapshot | None) -> None:
    """Whether a snapshot says what the books say. Units by listing: a channel may cut its lines otherwise."""
    if told is None:
        fail(f"the order {booked.order_id} was never told")
        return
    for sku in {line.channel_sku for line in booked.lines}:
        lines = [line for line in booked.lines if line.channel_sku == sku]
        snapshots = [line for line in told.lines if line.channel_sku == sku]
        truth = {
            "ordered": sum(line.units for line in lines),
            "shipped": sum(line.units_shipped for line in lines),
            "cancelled": sum(line.units_cancelled for line in lines),
            "returned": sum(line.units_returned for line in lines),
            "elsewhere": sum(line.units_elsewhere for line in lines),
            "off the listing": sum(line.units_off_listing for line in lines),
        }
        said = {
            "ordered": sum(line.units_ordered for line in snapshots),
            "shipped": sum(line.units_shipped for line in snapshots),
            "cancelled": sum(line.units_cancelled for line in snapshots),
            "returned": sum(line.units_returned for line in snapshots),
            "elsewhere": sum((line.units_elsewhere or 0) + line.units_shipped_elsewhere for line in snapshots),
            "off the listing": sum(line.units_off_listing for line in snapshots),
        }
        expect(said == truth, f"{booked.order_id} ({booked.status}), {sku}: the books say {truth}, the order {said}")


async def _paid(bench: Bench, *lines: int) -> tuple[str, str]:
    """An order of so many units of the first listings, paid if it ever is; its id and a cursor before it."""
    start = await bench.poll(None)
    for _ in range(8):
        order_id = bench.placed(*zip(bench.skus, lines, strict=False))
        await bench.live(PAID_S)
        if bench.booked(order_id).status == "open":
            return order_id, start.cursor
    fail("of eight orders none was paid within two hours")


async def _compare(bench: Bench, order_id: str, cursor: str) -> OrderSnapshot:
    polled = await bench.settled_orders(cursor)
    booked, told = bench.booked(order_id), polled.orders.get(order_id)
    agrees(booked, told)
    assert told is not None
    placed_apart_s = abs((told.placed_at - booked.placed_at).total_seconds())
    expect(placed_apart_s <= 2.0, f"placed at {booked.placed_at}, told as {told.placed_at}")
    return told


@check("orders")
async def an_open_order_is_told_line_by_line(bench: Bench) -> None:
    """Units of two listings in one order, each taken from its own."""
    order_id, cursor = await _paid(bench, 2, 3)
    told = await _compare(bench, order_id, cursor)
    expect(not told.is_pending, "the order is paid, and told as pending")


@check("orders")
async def an_order_of_many_lines_is_told_whole(bench: Bench) -> None:
    """Lists within lists have pages of their own. Half an order leaves the other half on sale everywhere else."""
    async with bench.another(items=MANY_LINES) as big:
        start = await big.poll(None)
        order_id = big.placed(*[(sku, 1 + at % 2) for at, sku in enumerate(big.skus)])
        await big.live(PAID_S)
        agrees(big.booked(order_id), (await big.settled_orders(start.cursor)).orders.get(order_id))


@check("orders")
async def changes_within_a_second_are_told_apart(bench: Bench) -> None:
    """Channels stamp whole seconds. The later state must not come under the key of the earlier: it would be dropped."""
    seen = await bench.poll(None)
    order_ids = []
    for _ in range(4):
        await bench.live(bench.kind.capability.poll_orders_s)
        order_ids.append(bench.placed((bench.skus[0], 1)))
        seen.add(await bench.poll(seen.cursor))
        must_happen(bench.simulator.cancel(order_ids[-1]), "cancel an order at once")
    seen.add(await bench.settled_orders(seen.cursor))
    bodies: dict[str, bytes] = {}
    for delivery in seen.deliveries:
        same = bodies.setdefault(delivery.key, delivery.body) == delivery.body
        expect(same, f"two states of an order share the key {delivery.key!r}: the second would be dropped")
    for order_id in order_ids:
        agrees(bench.booked(order_id), seen.orders.get(order_id))


@check("orders")
async def an_order_is_pending_until_its_payment_is_confirmed(bench: Bench) -> None:
    """Pending units are held back and not yet sold. Told as sold they are shipped unpaid; not told, sold twice."""
    start = await bench.poll(None)
    order_id = bench.placed((bench.skus[0], 1))
    must_happen(bench.booked(order_id).status == "pending", "take an order before it is paid")
    cursor, was_told_pending = start.cursor, False
    for _ in range(40):
        await bench.live(60.0)
        was_pending = bench.booked(order_id).status == "pending"
        polled = await bench.poll(cursor)
        cursor = polled.cursor
        told = polled.orders.get(order_id)
        if told is not None and told.is_pending:
            was_told_pending = True
        if told is not None and was_pending:
            expect(told.is_pending, "the payment is not confirmed, and the order is told as sold")
        if not was_pending:
            break
    expect(was_told_pending, "the order was pending for minutes, and never told as pending")
    await bench.live(PAID_S)
    told = (await bench.settled_orders(start.cursor)).orders[order_id]
    expect(not told.is_pending, "the payment is confirmed or given up, and the order is told as pending")


@check("orders")
async def a_cancelled_order_gives_its_units_back(bench: Bench) -> None:
    """Units that nobody hears of again are sold to nobody for ever."""
    order_id, cursor = await _paid(bench, 2, 1)
    must_happen(bench.simulator.cancel(order_id), "cancel a paid order")
    told = await _compare(bench, order_id, cursor)
    expect(all(line.units_open == 0 for line in told.lines), "the order is cancelled, and has open units")


@check("orders")
async def a_part_that_is_cancelled_leaves_the_rest_open(bench: Bench) -> None:
    """One of three mugs is cancelled: two are still to ship."""
    order_id, cursor = await _paid(bench, 3)
    line_id = bench.booked(order_id).lines[0].line_id
    must_happen(bench.simulator.cancel_units(order_id, line_id, 1), "cancel a part of a line")
    await _compare(bench, order_id, cursor)


@check("orders")
async def a_shipment_is_told_in_whole_and_in_part(bench: Bench) -> None:
    """What has left is neither open nor on the shelf."""
    order_id, cursor = await _paid(bench, 3)
    line_id = bench.booked(order_id).lines[0].line_id
    must_happen(bench.simulator.ship_units(order_id, line_id, 1), "ship a part of an order")
    told = await _compare(bench, order_id, cursor)
    expect(told.lines[0].units_open == 2, f"one of three has left, and {told.lines[0].units_open} are open")
    must_happen(bench.simulator.ship(order_id), "ship an order")
    await _compare(bench, order_id, cursor)


@check("orders")
async def what_ships_from_elsewhere_is_not_told_as_ours(bench: Bench) -> None:
    """A part of a line is sent to another location, and comes back: one of three is held here, none, and then all."""
    order_id, cursor = await _paid(bench, 3)
    line_id = bench.booked(order_id).lines[0].line_id
    for units in (2, 3, 0):
        must_happen(bench.simulator.ships_elsewhere(order_id, line_id, units), "send a part of a line elsewhere")
        told = await _compare(bench, order_id, cursor)
        held = sum(line.units_open for line in told.lines)
        expect(held == 3 - units, f"{units} of three leave from elsewhere, and {held} are told as to be shipped here")
    must_happen(bench.simulator.ships_elsewhere(order_id, line_id, 2), "send a part of a line elsewhere")
    must_happen(bench.simulator.ship(order_id), "ship an order")
    await _compare(bench, order_id, cursor)


@check("orders")
async def an_edited_order_is_told_as_it_is_now(bench: Bench) -> None:
    """The seller makes a line smaller, adds one, and takes the first off: all of it moves units."""
    order_id, cursor = await _paid(bench, 3)
    line_id = bench.booked(order_id).lines[0].line_id
    must_happen(bench.simulator.edit_line(order_id, line_id, 2), "edit an order")
    await _compare(bench, order_id, cursor)
    must_happen(bench.simulator.add_line(order_id, bench.skus[1], 2), "add a line to an order")
    await _compare(bench, order_id, cursor)
    must_happen(bench.simulator.edit_line(order_id, line_id, 0), "take a line off an order")
    told = await _compare(bench, order_id, cursor)
    expect(sum(line.units_open for line in told.lines) == 2, "a line was taken off the order, and is told as open")


@check("orders")
async def a_refund_before_shipping_says_whether_units_went_back_on_sale(bench: Bench) -> None:
    """Relisted units are for sale again; kept off, they are not, and somebody has to look at them."""
    for restock in (True, False):
        order_id, cursor = await _paid(bench, 3)
        line_id = bench.booked(order_id).lines[0].line_id
        must_happen(bench.simulator.refund(order_id, line_id, 1, restock=restock), "refund before shipping")
        await _compare(bench, order_id, cursor)


@check("orders")
async def a_return_after_shipping_cancels_nothing(bench: Bench) -> None:
    """A unit that the channel put on sale again is told as returned. The order has shipped all the same."""
    order_id, cursor = await _paid(bench, 3)
    line_id = bench.booked(order_id).lines[0].line_id
    must_happen(bench.simulator.ship(order_id), "ship an order")
    must_happen(bench.simulator.refund(order_id, line_id, 1, restock=True), "take a return back on the listing")
    told = await _compare(bench, order_id, cursor)
    expect(sum(line.units_open for line in told.lines) == 0, "all of it has shipped, and some is told as open")


@check("orders")
async def money_for_a_shipped_unit_moves_no_units(bench: Bench) -> None:
    """A customer is paid back and keeps the mug."""
    order_id, cursor = await _paid(bench, 3)
    line_id = bench.booked(order_id).lines[0].line_id
    must_happen(bench.simulator.ship(order_id), "ship an order")
    must_happen(bench.simulator.refund(order_id, line_id, 1, restock=False), "refund without a return")
    await _compare(bench, order_id, cursor)


@check("orders")
async def an_order_of_an_ended_listing_stays_readable(bench: Bench) -> None:
    """A listing is deleted while its order waits: the order must not become unreadable, and block nothing."""
    start = await bench.poll(None)
    order_id = bench.placed((bench.skus[0], 1), (bench.skus[1], 1))
    must_happen(bench.simulator.end_listing(bench.skus[0]), "end a listing")
    polled = await bench.settled_orders(start.cursor)
    told = polled.orders.get(order_id)
    lines = [line.channel_sku for line in told.lines] if told else []
    expect(bench.skus[1] in lines, f"the line of the listing that is still there was not told: {lines}")


@check("orders")
async def versions_of_an_order_sort_by_age(bench: Bench) -> None:
    """Deliveries overtake each other. The newer snapshot wins by its version, whatever came last."""
    order_id, cursor = await _paid(bench, 3)
    first = await _compare(bench, order_id, cursor)
    await bench.live(5.0)
    must_happen(bench.simulator.ship(order_id) or bench.simulator.cancel(order_id), "change an order")
    second = await _compare(bench, order_id, cursor)
    expect(second.version > first.version, f"version {first.version!r}, changed later: {second.version!r}")
    expect(second.placed_at == first.placed_at, "an order was placed at two instants")


async def _asked_for(bench: Bench, order_id: str) -> Delivery | None:
    connector = bench.connector
    if not isinstance(connector, FetchesOrders):
        fail("has_single_orders is declared, and the connector is no FetchesOrders")
    return await bench.patiently(lambda: connector.fetch_order(order_id))


@check("orders", proves=("has_single_orders",), unless=no_single_orders)
async def an_order_that_is_asked_for_is_what_a_poll_tells(bench: Bench) -> None:
    """It comes both ways, and is one order: the same words under the same key, or it is read twice."""
    order_id, cursor = await _paid(bench, 2, 1)
    polled = await bench.settled_orders(cursor)
    told = await _asked_for(bench, order_id)
    if told is None:
        fail(f"a poll tells the order {order_id}, and who asks for it is told of none")
    messages = bench.parsed(told)
    expect(messages == (polled.orders[order_id],), f"{order_id}: asked for it is {messages}")
    keys = {one.key for one in polled.deliveries}
    expect(told.key in keys, f"{order_id}: asked for it has the key {told.key}, polled one of {sorted(keys)}")
    bench.simulator.ship(order_id)
    await bench.live(bench.kind.capability.orders_lag_s + 1.0)
    later = await _asked_for(bench, order_id)
    expect(later is not None and later.key != told.key, f"{order_id} has shipped, and has its key of before")


@check("orders", proves=("has_single_orders",), unless=no_single_orders)
async def an_order_that_is_not_there_is_none(bench: Bench) -> None:
    """A channel may tell of an order before it shows it: that is no failure, and is asked for again."""
    for order_id in ("000-0000000-0000000", "no/such order?&%"):
        told = await _asked_for(bench, order_id)
        expect(told is None, f"nobody has placed {order_id!r}, and who asks for it is told of one")
