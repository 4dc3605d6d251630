"""Purchase orders: they are not sales. A buyer states all of an order, and later ones under higher versions."""

from __future__ import annotations

from oneshelf.errors import MalformedError
from oneshelf.sdk.conformance.bench import Bench
from oneshelf.sdk.conformance.check import check, expect, must_happen, no_purchase_orders
from oneshelf.sdk.message import Delivery
from oneshelf.sdk.purchase import PurchaseOrder, PurchaseOrders

# Within this a buyer has sent what they ordered.
TOLD_S = 600.0

Stated = dict[str, PurchaseOrder]


async def _told(bench: Bench) -> list[PurchaseOrder]:
    """All that was stated by now, as often as it was."""
    await bench.live(TOLD_S)
    told: list[PurchaseOrder] = []
    for request in bench.hooks.got:
        try:
            messages = bench.parsed(await bench.verified(request))
        except MalformedError:
            continue  # It waits for a person; what was meant comes again.
        told += [order for one in messages if isinstance(one, PurchaseOrders) for order in one.orders]
    return told


def _newest(told: list[PurchaseOrder]) -> Stated:
    """Each order by its highest version, whatever came last."""
    newest: Stated = {}
    by_version: dict[tuple[str, int], PurchaseOrder] = {}
    for order in told:
        same = by_version.setdefault((order.po_number, order.version), order)
        expect(same == order, f"version {order.version} of {order.po_number} has two contents: {same} and {order}")
        known = newest.get(order.po_number)
        if known is None or order.version > known.version:
            newest[order.po_number] = order
    return newest


def _as_booked(bench: Bench, stated: Stated) -> None:
    """Each order is what the buyer wants now."""
    books = {order.order_id: order for order in bench.simulator.orders()}
    expect(books.keys() == stated.keys(), f"the buyer has the orders {sorted(books)}, and {sorted(stated)} were told")
    for name, order in stated.items():
        is_cancelled = books[name].status == "cancelled"
        expect(order.is_cancelled is is_cancelled, f"{name}: cancelled is {is_cancelled}, told is {order.is_cancelled}")
        wanted = [(line.line_id, line.channel_sku, line.units) for line in books[name].lines]
        told = [(line.line_id, line.numbers[0], line.units) for line in order.lines]
        expect(is_cancelled or told == wanted, f"{name}: the buyer wants {wanted}, told are {told}")


@check("purchase-orders", proves=("takes_purchase_orders",), unless=no_purchase_orders)
async def an_order_is_told_with_all_of_its_lines(bench: Bench) -> None:
    """A line that is left out is never shipped, and a line under another number is answered to nobody."""
    for number in range(6):
        bench.placed((bench.skus[number % 3], 100 + number), (bench.skus[3], 7))
    _as_booked(bench, _newest(await _told(bench)))


@check("purchase-orders", proves=("takes_purchase_orders",), unless=no_purchase_orders)
async def a_changed_order_is_stated_anew_under_a_higher_version(bench: Bench) -> None:
    """Documents overtake each other. Without a version nobody knows which of two is wanted."""
    must_happen("reorder" in bench.simulator.switches.names, "send an older document after a newer one")
    bench.simulator.switches.set({"reorder": 1.0})
    for _ in range(4):
        order_id = bench.placed((bench.skus[0], 20), (bench.skus[1], 5))
        line_id = bench.booked(order_id).lines[0].line_id
        must_happen(bench.simulator.edit_line(order_id, line_id, 12), "change a line")
        must_happen(bench.simulator.add_line(order_id, bench.skus[2], 3), "add a line")
    told = await _told(bench)
    arrived = {order.po_number: order for order in told}
    _as_booked(bench, _newest(told))
    expect(arrived != _newest(told), "nothing was sent in another order")


@check("purchase-orders", proves=("takes_purchase_orders",), unless=no_purchase_orders)
async def an_order_that_is_taken_back_says_so(bench: Bench) -> None:
    """What is set aside for nobody is missing everywhere else."""
    order_ids = [bench.placed((bench.skus[0], 20 + number)) for number in range(6)]
    for gone in order_ids[1:4]:
        expect(bench.simulator.cancel(gone), f"{gone} cannot be taken back")
    _as_booked(bench, _newest(await _told(bench)))


@check("purchase-orders", proves=("takes_purchase_orders",), unless=no_purchase_orders)
async def an_order_that_is_sent_again_says_the_same(bench: Bench) -> None:
    """A gateway that had no answer sends again. The second one must not look like another order."""
    must_happen("duplicate" in bench.simulator.switches.names, "send a document twice")
    bench.simulator.switches.set({"duplicate": 1.0})
    for number in range(4):
        bench.placed((bench.skus[number], 10))
    told = await _told(bench)
    _as_booked(bench, _newest(told))
    documents = {(order.po_number, order.version) for order in told}
    expect(len(told) > len(documents), "nothing was sent twice")
    keys = {(await bench.verified(request)).key for request in bench.hooks.got}
    expect(len(keys) == len(documents), f"{len(documents)} documents had {len(keys)} keys")


@check("purchase-orders", proves=("takes_purchase_orders",), unless=no_purchase_orders)
async def half_a_document_orders_nothing(bench: Bench) -> None:
    """What was cut off on the way looks like a smaller order, and would be shipped as one."""
    bench.placed((bench.skus[0], 10), (bench.skus[1], 20))
    bench.placed((bench.skus[0], 10), (bench.skus[1], 20))
    await bench.live(TOLD_S)
    cut = 0
    for request in bench.hooks.got:
        whole = await bench.verified(request)
        for length in range(len(whole.body.rstrip())):
            cut += not _orders(bench, Delivery(whole.key, whole.topic, whole.body[:length]))
    expect(cut, "no document was sent")


def _orders(bench: Bench, delivery: Delivery) -> bool:
    try:
        messages = bench.parsed(delivery)
    except MalformedError:
        return False
    ordering = [one for one in messages if isinstance(one, PurchaseOrders)]
    expect(not ordering, f"{len(delivery.body)} bytes of a longer document order {ordering}")
    return False
