"""Reads what Square delivers: events of webhooks, and orders that were asked for. Pure.

When a sale lowers the count: "automatically updates your inventory when the Order is closed or charged"
(https://developer.squareup.com/docs/orders-api/how-it-works), "when an order is fully paid for"
(https://developer.squareup.com/docs/app-marketplace/requirements/inventory-api; both checked 2026-11-26). So an
order that nobody has paid moves nothing, and a paid one that waits for its parcel has lowered the count already.

What puts a unit back: neither a cancelled order nor a returned one says whether its units are on sale again.
Somebody may restock them at the till (SOLD, RETURNED_BY_CUSTOMER, IN_STOCK:
https://developer.squareup.com/forums/t/15697). We take them as kept off sale, and have the listing read: the figure
is right in the end, and never too high.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import datetime, timedelta

from oneshelf.connectors.square.documents import (
    Count,
    Event,
    EventFacts,
    Fulfillment,
    LineItem,
    Order,
    PolledOrder,
    an_id,
    instant,
    is_id,
    read_as,
    sortable,
    units_shown,
    units_sold,
)
from oneshelf.domain.identity import Channel, ChannelSku
from oneshelf.domain.order import OrderLine, OrderSnapshot
from oneshelf.errors import MalformedError
from oneshelf.sdk.message import AccessLost, Delivery, Ignored, Message, OrderHint, StockHint

POLLED_ORDER = "poll/order"
COUNTED = "inventory.count.updated"
REVOKED = "oauth.authorization.revoked"
ORDER_EVENTS = ("order.created", "order.updated", "order.fulfillment.updated")
# What a webhook subscription should name. A sale at the till is announced by its count alone: "Creating an order in the
# Point of Sale app will not publish this event" (order.created, checked 2026-11-26).
EVENTS = (COUNTED, *ORDER_EVENTS, REVOKED)
IGNORED = {
    "catalog.version.updated": "sweeps read the catalog",
    "payment.created": "payments hold what buyers leave behind; leave them out of the subscription",
    "payment.updated": "payments hold what buyers leave behind; leave them out of the subscription",
}

_STATES = frozenset({"OPEN", "COMPLETED", "CANCELED"})
# Fulfilments in these states will never take anything off the shelf.
_VOID = frozenset({"CANCELED", "FAILED"})
# "might not be transmitted to Square for up to 72 hours" (SearchOrders). An instant further back is a wrong clock.
OFFLINE_MAX = timedelta(hours=72)
# A completed order that was created so long before its last change may have been rung up while the till was offline.
LATE = timedelta(seconds=60)


def messages_from(delivery: Delivery, *, channel: Channel, location: str) -> tuple[Message, ...]:
    """What the delivery says. Raises MalformedError."""
    if delivery.topic == POLLED_ORDER:
        return _order_messages(read_as(delivery.body, PolledOrder, "the order"), channel, location)
    if delivery.topic in IGNORED:
        return (Ignored(f"{delivery.topic}: {IGNORED[delivery.topic]}"),)
    if delivery.topic not in EVENTS:
        return (Ignored(f"the topic {delivery.topic[:60]!r} is not one that we read"),)
    event = read_as(delivery.body, Event, "the event")
    if event.type != delivery.topic:
        raise MalformedError(f"the event says {event.type[:60]!r} of itself, and came as {delivery.topic}")
    if event.type == REVOKED:
        return (AccessLost("the seller withdrew the authorization; have it given again, and set the new secrets"),)
    facts = event.data or EventFacts()
    return _count_messages(facts, location) if event.type == COUNTED else (_order_hint(facts, location),)


def _count_messages(facts: EventFacts, location: str) -> tuple[Message, ...]:
    """Look at what changed here, and for the order that changed it. The figure itself says nothing of now.

    Of a change of state both counts are in the event: "one count that describes the quantity and state before the state
    change and one that describes [them] after" (https://developer.squareup.com/docs/inventory-api/webhooks,
    2026-11-26).
    """
    counts = facts.object.inventory_counts if facts.object else None
    if counts is None:
        raise MalformedError("the event names no inventory_counts")
    named = dict.fromkeys(_named(count) for count in counts if count.location_id == location)
    if not named:
        return (Ignored(f"no count of the location {location} changed"),)
    return (*(StockHint(ChannelSku(sku)) for sku in named), OrderHint())


def _named(count: Count) -> str:
    units_shown(count.quantity, f"the count of {count.catalog_object_id[:40]}")
    return an_id(count.catalog_object_id, "catalog_object_id")


def _order_hint(facts: EventFacts, location: str) -> Message:
    told = facts.object
    refs = (told.order_created, told.order_updated, told.order_fulfillment_updated) if told else ()
    place = next((ref.location_id for ref in refs if ref is not None), None)
    order_id = an_id(facts.id, "the id of the order")
    if place is not None and place != location:
        return Ignored(f"order {order_id} is of the location {place[:40]}; this channel is {location}")
    return OrderHint(order_id)


# Orders ---------------------------------------------------------------------------------------------------------------


def _order_messages(told: PolledOrder, channel: Channel, location: str) -> tuple[Message, ...]:
    order = told.order
    order_id = an_id(order.id, "the id of the order")
    if order.location_id != location:
        return (Ignored(f"order {order_id} is of the location {order.location_id[:40]}; this channel is {location}"),)
    if order.state not in _STATES:
        return (Ignored(f"order {order_id} is {order.state[:20]}: nobody has bought it yet"),)
    looks = [StockHint(ChannelSku(sku)) for sku in _returned(order)]
    if order.state == "OPEN" and not _is_paid(order):
        return (*looks, Ignored(f"order {order_id} is not paid: Square takes its units when it is"))
    snapshot = _snapshot(order, order_id, _placed_at(told), channel)
    if not snapshot.lines:
        return (*looks, Ignored(f"order {order_id} has no line of the catalog"))
    if _may_be_late(order, snapshot.placed_at):
        # A count that Square received meanwhile may have swallowed it: Square puts all changes in the order of when
        # they happened, and one from before a count changes nothing.
        looks += [StockHint(line.channel_sku) for line in snapshot.lines]
    return (snapshot, *dict.fromkeys(looks))


def _returned(order: Order) -> Iterable[str]:
    """What comes back by this order, a return of another one."""
    for one in order.returns or ():
        for line in one.return_line_items or ():
            if line.catalog_object_id is not None:
                yield an_id(line.catalog_object_id, "catalog_object_id of a return")


def _is_paid(order: Order) -> bool:
    """Whether anything was paid, or nothing is due. In doubt it is not, and a reading of the count will tell."""
    due = order.net_amount_due_money.amount if order.net_amount_due_money else None
    return bool(order.tenders) or due == 0


def _placed_at(told: PolledOrder) -> datetime:
    """When it was sold: at a till that was offline by the till's own clock, if that can be.

    "Offline orders have a created_at value that reflects the time the order was transmitted to Square"; earlier
    versions said the contrary. The earlier of both is right either way (SearchOrders, version 2026-09-16, checked
    2026-11-26).
    """
    created_at = instant(told.order.created_at, "created_at")
    if told.paid_offline_at is None:
        return created_at
    paid_at = instant(told.paid_offline_at, "paid_offline_at")
    return paid_at if created_at - OFFLINE_MAX <= paid_at < created_at else created_at


def _may_be_late(order: Order, placed_at: datetime) -> bool:
    told_at = instant(order.updated_at, "updated_at")
    was_offline = placed_at < instant(order.created_at, "created_at")
    return was_offline or (order.state == "COMPLETED" and not order.fulfillments and told_at - placed_at > LATE)


def _snapshot(order: Order, order_id: str, placed_at: datetime, channel: Channel) -> OrderSnapshot:
    lines = tuple(
        _snapshot_line(order, line, number)
        for number, line in enumerate(order.line_items or ())
        if line.catalog_object_id is not None and line.item_type in {None, "ITEM"}
    )
    return OrderSnapshot(
        channel=channel,
        order_id=order_id,
        version=sortable(instant(order.updated_at, "updated_at")),
        placed_at=placed_at,
        is_pending=False,
        lines=lines,
    )


def _snapshot_line(order: Order, line: LineItem, number: int) -> OrderLine:
    """A completed order has left, all but what was cancelled; of an open one that part of which the fulfilment is
    done.
    """
    what = f"order {order.id}"
    ordered = units_sold(line.quantity, f"{what}: quantity")
    line_id = line.uid if line.uid is not None and is_id(line.uid) else f"line-{number}"
    cancelled = min(ordered, sum(_units_in(one, line, ordered, what) for one in _fulfillments(order, _VOID)))
    shipped = sum(_units_in(one, line, ordered, what) for one in _fulfillments(order, {"COMPLETED"}))
    shipped = min(ordered - cancelled, shipped)
    relisted = 0
    if order.state == "COMPLETED":
        shipped = ordered - cancelled
    if order.state == "CANCELED":
        cancelled = ordered - shipped
        # What was never paid has never been taken.
        relisted = 0 if _is_paid(order) else cancelled
    return OrderLine(
        line_id=line_id,
        channel_sku=ChannelSku(an_id(line.catalog_object_id, f"{what}: catalog_object_id")),
        units_ordered=ordered,
        units_cancelled=cancelled,
        units_relisted=relisted,
        units_shipped=shipped,
    )


def _fulfillments(order: Order, states: Collection[str]) -> Iterable[Fulfillment]:
    return (one for one in order.fulfillments or () if (one.state or "") in states)


def _units_in(fulfillment: Fulfillment, line: LineItem, ordered: int, what: str) -> int:
    """How many units of the line a fulfilment is about: those that it lists, or all where it lists none."""
    if fulfillment.line_item_application != "ENTRY_LIST":
        return ordered
    entries = [entry for entry in fulfillment.entries or () if entry.line_item_uid == line.uid]
    return sum(units_sold(entry.quantity, f"{what}: fulfilled quantity") for entry in entries)
