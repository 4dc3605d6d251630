"""Reads what Shopify delivers: webhook bodies and polled orders. Pure; no untyped JSON leaves this file.

An order arrives in two spellings, the REST one of webhooks and the GraphQL one of polls. Both are brought down to
the same facts first, so that one order gives one snapshot whichever way it came.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from oneshelf.connectors.shopify.access import SCOPES, is_granted
from oneshelf.connectors.shopify.documents import WHOLE_LISTS
from oneshelf.connectors.shopify.json_reading import (
    a_flag,
    a_list,
    a_number_id,
    a_text,
    an_object,
    decoded,
    number_in_gid,
    part,
    sortable_instant,
)
from oneshelf.domain.identity import Channel, ChannelSku, units_from
from oneshelf.domain.order import OrderLine, OrderSnapshot
from oneshelf.errors import MalformedError
from oneshelf.sdk.decoding import an_instant
from oneshelf.sdk.message import AccessLost, Delivery, Ignored, Message, OrderHint, StockHint

POLLED_ORDER = "poll/order"

ORDER_TOPICS = frozenset(
    {
        "orders/create",
        "orders/updated",
        "orders/paid",
        "orders/cancelled",
        "orders/fulfilled",
        "orders/partially_fulfilled",
    }
)
LEVEL_TOPICS = frozenset({"inventory_levels/update", "inventory_levels/connect", "inventory_levels/disconnect"})
IGNORED_TOPICS = {
    "orders/edited": "an edit is only a difference; orders/updated brings the whole order",
    "orders/delete": "a deleted order was archived or cancelled before, which orders/updated told",
    "refunds/create": "a refund alone lacks the order's lines; orders/updated brings the whole order",
    "bulk_operations/finish": "whoever started one asks for its end",
    "products/update": "comes for many reasons, of which stock is one; inventory_levels/update is the stock signal",
}

_SPOKEN_OF = ("inventory_items/", "locations/")
# Their bodies name fulfilment orders, not the order: WebhookSubscriptionTopic, Admin API 2026-10 (checked 2026-11-26).
_ROUTED = "fulfillment_orders/"
UNINSTALLED, SCOPES_CHANGED = "app/uninstalled", "app/scopes_update"

# Fulfilments in these states have taken nothing off the shelf, and fulfilment orders in those will not.
_VOID_FULFILLMENTS = frozenset({"cancelled", "error", "failure"})
_ENDED_ROUTES = frozenset({"cancelled", "closed"})
# What Shopify's own till calls itself.
_TILL = "pos"
_RELISTING = frozenset({"cancel", "legacy_restock"})


def messages_from(delivery: Delivery, *, channel: Channel, location: str) -> tuple[Message, ...]:
    """What the delivery says. `location` is the number of the location that this channel publishes.

    Raises MalformedError.
    """
    if delivery.topic in IGNORED_TOPICS:
        return (Ignored(f"{delivery.topic}: {IGNORED_TOPICS[delivery.topic]}"),)
    if delivery.topic in ORDER_TOPICS:
        return (_order_message(_order_of_webhook(decoded(delivery.body), location), channel),)
    if delivery.topic == POLLED_ORDER:
        return (_order_message(_order_of_poll(decoded(delivery.body), location), channel),)
    if delivery.topic in LEVEL_TOPICS:
        return (_hint(decoded(delivery.body), location),)
    if delivery.topic == UNINSTALLED:
        reason = "the app was uninstalled from the shop; install it again, and set its new secrets if there are"
        return (AccessLost(reason),)
    if delivery.topic == SCOPES_CHANGED:
        return (_scopes_message(decoded(delivery.body)),)
    if delivery.topic.startswith(_ROUTED):
        return (OrderHint(),)
    if delivery.topic.startswith(_SPOKEN_OF):
        return (Ignored(f"{delivery.topic}: polls and sweeps read what it is about"),)
    return (Ignored(f"the topic {delivery.topic[:60]!r} is not one that we read"),)


def _scopes_message(body: object) -> Message:
    """Whether the app may still do all that it needs. `current`: its scopes after the change."""
    current = a_list(part(an_object(body, "scopes update"), "current", "scopes update"), "current")
    granted = {a_text(scope, "scope") for scope in current}
    missing = [scope for scope in SCOPES if not is_granted(scope, granted)]
    if missing:
        return AccessLost(f"the app may no longer {', '.join(missing)}; grant it again in Shopify")
    return Ignored("the scopes of the app changed; what it needs is among them")


def _hint(body: object, location: str) -> Message:
    level = an_object(body, "inventory level")
    item = a_number_id(part(level, "inventory_item_id", "inventory level"), "inventory_item_id")
    place = a_number_id(part(level, "location_id", "inventory level"), "location_id")
    # The figure itself is not used: it was taken when the message was assembled and says nothing of now. A body
    # with a figure that cannot be one is refused all the same, since something other than Shopify wrote it.
    if level.get("available") is not None:
        units_from(level["available"], what=f"available of inventory item {item}", least=-1_000_000_000)
    if place != location:
        return Ignored(f"inventory item {item} changed at location {place}; this channel publishes {location}")
    return StockHint(alias=item)


# Orders ----------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class _Line:
    """One line in the words of both spellings. `variant` is None for a custom or deleted product.

    `open_quantity` is what Shopify still means to ship; None where it does not say.
    """

    line_id: str
    variant: str | None
    quantity: int
    current_quantity: int
    open_quantity: int | None


@dataclass(slots=True)
class _Order:
    """An order in the words of both spellings; the counters are line id -> units.

    `shipped` are those from our `location`. `returned` came back after they were shipped; the `resold` ones of them are
    on sale again at our location. `routed_elsewhere` are open and assigned to another location; None: not told.
    `till`: the location at whose till the order was made.
    """

    location: str
    order_id: str
    created_at: datetime
    updated_at: datetime
    is_cancelled: bool
    is_test: bool
    lines: list[_Line] = field(default_factory=list)
    till: str | None = None
    shipped: Counter[str] = field(default_factory=Counter)
    shipped_elsewhere: Counter[str] = field(default_factory=Counter)
    routed_elsewhere: Counter[str] | None = None
    relisted: Counter[str] = field(default_factory=Counter)
    kept_off: Counter[str] = field(default_factory=Counter)
    returned: Counter[str] = field(default_factory=Counter)
    resold: Counter[str] = field(default_factory=Counter)

    def ship(self, line_id: str, *, units: int, location: str | None) -> None:
        """Count a fulfilled part of a line. Where Shopify does not name the location, it is ours."""
        is_here = location in {None, self.location}
        (self.shipped if is_here else self.shipped_elsewhere)[line_id] += units

    def units_elsewhere(self, line_id: str, *, still_open: int) -> int | None:
        """Open units of a line that will leave from another location. What nobody has assigned yet is ours.

        What is sold at a till is handed over there, until a fulfilment order tells otherwise.
        """
        if self.routed_elsewhere is not None:
            return min(self.routed_elsewhere[line_id], still_open)
        if self.till is not None:
            return 0 if self.till == self.location else still_open
        return None if still_open else 0

    def refund(self, line_id: str, *, restock_type: str, units: int, location: str | None) -> None:
        """Count a refunded part of a line. A type that we do not know puts nothing back on the listing.

        `location`: where they were restocked. What came back to another one, or to one that Shopify does not name, is
        on no listing of ours.
        """
        if restock_type in _RELISTING:
            self.relisted[line_id] += units
        elif restock_type == "return":
            self.returned[line_id] += units
            self.resold[line_id] += units if location == self.location else 0
        else:
            self.kept_off[line_id] += units


def _order_message(order: _Order, channel: Channel) -> Message:
    if order.is_test:
        return Ignored(f"order {order.order_id} is a test order; Shopify moves no stock for it")
    lines = tuple(
        _snapshot_line(order, line, ChannelSku(line.variant)) for line in order.lines if line.variant is not None
    )
    if not lines:
        return Ignored(f"order {order.order_id} has no line of a product variant")
    return OrderSnapshot(
        channel=channel,
        order_id=order.order_id,
        version=sortable_instant(order.updated_at),
        placed_at=order.created_at,
        # Shopify moves units from available to committed when the order is placed, paid or not
        # (https://www.shopify.dev/docs/apps/fulfillment/inventory-management-apps, checked 2026-11-23),
        # so a financial status of "pending" holds nothing back: the units are sold here as there.
        is_pending=False,
        lines=lines,
    )


def _snapshot_line(order: _Order, line: _Line, variant: ChannelSku) -> OrderLine:
    """Account for each ordered unit once: shipped, cancelled, or open.

    `current_quantity` is what is left after removals of every sort. A unit that was shipped and came back is among
    them too; those are told apart by the refund's restock type: "RETURN: Use this when restocking line items that were
    fulfilled" (https://shopify.dev/docs/api/admin-graphql/latest/enums/RefundLineItemRestockType, checked 2026-11-26).
    """
    ordered = max(line.quantity, line.current_quantity)
    here, elsewhere = order.shipped[line.line_id], order.shipped_elsewhere[line.line_id]
    shipped = here + elsewhere
    unshipped = max(0, ordered - shipped)
    returned = order.returned[line.line_id]
    removed = max(0, ordered - line.current_quantity - returned)
    relisted, kept_off = order.relisted[line.line_id], order.kept_off[line.line_id]
    # Money for a unit that has left is told as for one that never will ("no_restock"). Where Shopify still means to
    # ship more than would be left, so many of them are of that sort.
    still_open = min(unshipped, line.open_quantity or 0)
    merely_paid_back = min(kept_off, max(0, shipped - returned), max(0, still_open - (unshipped - removed)))
    removed, kept_off = removed - merely_paid_back, kept_off - merely_paid_back
    cancelled = unshipped if order.is_cancelled else min(removed, unshipped)
    # A removal that no refund explains was an order edit or a cancellation without payment; both restock.
    unexplained = max(0, cancelled - relisted - kept_off)
    return OrderLine(
        line_id=line.line_id,
        channel_sku=variant,
        units_ordered=ordered,
        units_cancelled=cancelled,
        units_relisted=min(cancelled, relisted + unexplained),
        units_shipped=here,
        units_returned=min(here, order.resold[line.line_id]),
        units_elsewhere=order.units_elsewhere(line.line_id, still_open=unshipped - cancelled),
        units_shipped_elsewhere=elsewhere,
    )


def _order_of_webhook(body: object, location: str) -> _Order:
    order = an_object(body, "order")
    order_id = a_number_id(part(order, "id", "order"), "order id")
    what = f"order {order_id}"
    facts = _Order(
        location=location,
        order_id=order_id,
        created_at=an_instant(part(order, "created_at", what), f"{what} created_at"),
        updated_at=an_instant(part(order, "updated_at", what), f"{what} updated_at"),
        is_cancelled=part(order, "cancelled_at", what) is not None,
        is_test=a_flag(order.get("test", False), f"{what} test"),
        till=_number_if_told(order, "location_id", what) if order.get("source_name") == _TILL else None,
    )
    for value in a_list(part(order, "line_items", what), f"{what} line_items"):
        line = an_object(value, f"{what} line")
        variant = part(line, "variant_id", f"{what} line")
        facts.lines.append(
            _Line(
                line_id=a_number_id(part(line, "id", f"{what} line"), f"{what} line id"),
                variant=None if variant is None else a_number_id(variant, f"{what} variant_id"),
                quantity=_units(line, "quantity", what),
                current_quantity=_units(line, "current_quantity", what),
                open_quantity=_units_if_told(line, "fulfillable_quantity", what),
            )
        )
    for value in a_list(part(order, "fulfillments", what), f"{what} fulfillments"):
        fulfillment = an_object(value, f"{what} fulfillment")
        if str(fulfillment.get("status")).lower() in _VOID_FULFILLMENTS:
            continue
        at = _number_if_told(fulfillment, "location_id", what)
        for entry in a_list(part(fulfillment, "line_items", what), f"{what} fulfilled lines"):
            line = an_object(entry, f"{what} fulfilled line")
            line_id = a_number_id(part(line, "id", what), f"{what} fulfilled line id")
            facts.ship(line_id, units=_units(line, "quantity", what), location=at)
    for value in a_list(part(order, "refunds", what), f"{what} refunds"):
        refund = an_object(value, f"{what} refund")
        for entry in a_list(part(refund, "refund_line_items", what), f"{what} refunded lines"):
            line = an_object(entry, f"{what} refunded line")
            line_id = a_number_id(part(line, "line_item_id", what), f"{what} refunded line id")
            restock_type = str(line.get("restock_type")).lower()
            at = _number_if_told(line, "location_id", what)
            facts.refund(line_id, restock_type=restock_type, units=_units(line, "quantity", what), location=at)
    return facts


def _order_of_poll(body: object, location: str) -> _Order:
    order = an_object(body, "order")
    order_id = number_in_gid(part(order, "id", "order"), "Order")
    what = f"order {order_id}"
    facts = _Order(
        location=location,
        order_id=order_id,
        created_at=an_instant(part(order, "createdAt", what), f"{what} createdAt"),
        updated_at=an_instant(part(order, "updatedAt", what), f"{what} updatedAt"),
        is_cancelled=part(order, "cancelledAt", what) is not None,
        is_test=a_flag(part(order, "test", what), f"{what} test"),
        till=_location_if_told(order, "retailLocation", what) if order.get("sourceName") == _TILL else None,
    )
    for line in _whole_list(order, "lineItems", what):
        variant = part(line, "variant", f"{what} line")
        facts.lines.append(
            _Line(
                line_id=number_in_gid(part(line, "id", f"{what} line"), "LineItem"),
                variant=None if variant is None else _gid_within(variant, "ProductVariant", what),
                quantity=_units(line, "quantity", what),
                current_quantity=_units(line, "currentQuantity", what),
                open_quantity=_units_if_told(line, "unfulfilledQuantity", what),
            )
        )
    for fulfillment in _short_list(order, "fulfillments", what):
        if str(fulfillment.get("status")).lower() in _VOID_FULFILLMENTS:
            continue
        at = _location_if_told(fulfillment, "location", what)
        for line in _whole_list(fulfillment, "fulfillmentLineItems", what):
            # The schema allows a null quantity and no text says what it means: refused below, not guessed.
            line_id = _gid_within(part(line, "lineItem", what), "LineItem", what)
            facts.ship(line_id, units=_units(line, "quantity", what), location=at)
    for refund in _short_list(order, "refunds", what):
        for line in _whole_list(refund, "refundLineItems", what):
            line_id = _gid_within(part(line, "lineItem", what), "LineItem", what)
            restock_type = str(line.get("restockType")).lower()
            at = _location_if_told(line, "location", what)
            facts.refund(line_id, restock_type=restock_type, units=_units(line, "quantity", what), location=at)
    if order.get("fulfillmentOrders") is not None:
        _read_routes(facts, order, what)
    return facts


def _read_routes(facts: _Order, order: Mapping[str, object], what: str) -> None:
    """From where what is open will leave. To assign it anew changes the order, whatever its own stamp says."""
    facts.routed_elsewhere = Counter()
    for route in _whole_list(order, "fulfillmentOrders", what):
        updated_at = an_instant(part(route, "updatedAt", what), f"{what} fulfillmentOrders.updatedAt")
        facts.updated_at = max(facts.updated_at, updated_at)
        assigned = an_object(part(route, "assignedLocation", what), f"{what} assignedLocation")
        is_here = _location_if_told(assigned, "location", what) == facts.location
        if is_here or str(part(route, "status", what)).lower() in _ENDED_ROUTES:
            continue
        for line in _whole_list(route, "lineItems", what):
            line_id = _gid_within(part(line, "lineItem", what), "LineItem", what)
            facts.routed_elsewhere[line_id] += _units(line, "remainingQuantity", what)


def _whole_list(parent: Mapping[str, object], name: str, what: str) -> list[Mapping[str, object]]:
    """The nodes of a connection. Half a list would hide sold units, so it is refused."""
    connection = an_object(part(parent, name, what), f"{what} {name}")
    page = an_object(part(connection, "pageInfo", what), f"{what} {name}.pageInfo")
    if a_flag(part(page, "hasNextPage", what), f"{what} {name}.pageInfo.hasNextPage"):
        raise MalformedError(f"{what} has more {name} than one answer holds; read it by hand")
    nodes = a_list(part(connection, "nodes", what), f"{what} {name}.nodes")
    return [an_object(node, f"{what} {name}") for node in nodes]


def _short_list(parent: Mapping[str, object], name: str, what: str) -> list[Mapping[str, object]]:
    """A list without pages. One as long as we asked for may have been cut off, so it is refused."""
    entries = [an_object(entry, f"{what} {name}") for entry in a_list(part(parent, name, what), f"{what} {name}")]
    if len(entries) >= WHOLE_LISTS:
        raise MalformedError(f"{what} has {len(entries)} {name} or more; read it by hand")
    return entries


def _gid_within(value: object, kind: str, what: str) -> str:
    return number_in_gid(part(an_object(value, f"{what} {kind}"), "id", f"{what} {kind}"), kind)


def _location_if_told(parent: Mapping[str, object], name: str, what: str) -> str | None:
    place = part(parent, name, what)
    return None if place is None else _gid_within(place, "Location", what)


def _number_if_told(parent: Mapping[str, object], name: str, what: str) -> str | None:
    number = parent.get(name)
    return None if number is None else a_number_id(number, f"{what} {name}")


def _units(parent: Mapping[str, object], name: str, what: str) -> int:
    return units_from(part(parent, name, what), what=f"{name} in {what}")


def _units_if_told(parent: Mapping[str, object], name: str, what: str) -> int | None:
    return None if parent.get(name) is None else _units(parent, name, what)
