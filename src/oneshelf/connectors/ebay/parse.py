"""eBay's orders and notifications in our words. Pure.

Fulfillment API v1.20, https://developer.ebay.com/api-docs/sell/fulfillment/resources/order/methods/getOrders; topics of
the Notification API, https://developer.ebay.com/develop/api/sell/notification_api (both checked 2026-11-26).
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import msgspec

from oneshelf.connectors.ebay.json_reading import a_text, instant_text, list_in
from oneshelf.connectors.ebay.shelf import restful_id
from oneshelf.connectors.ebay.tokens import WAY_OUT
from oneshelf.domain.identity import Channel, ChannelSku, name_from, units_from
from oneshelf.domain.order import OrderLine, OrderSnapshot
from oneshelf.errors import MalformedError
from oneshelf.sdk.decoding import a_list, an_instant, an_object, document_from, part_of
from oneshelf.sdk.message import AccessLost, Delivery, Ignored, Message, OrderHint, StockHint

POLLED_ORDER, CHANGED_LISTINGS = "poll/order", "poll/listings"
ORDER_TOPICS = frozenset({"ORDER_CONFIRMATION", "ORDER_CANCELLATION_ACTIVITY"})
REVOCATION, ACCOUNT_DELETION = "AUTHORIZATION_REVOCATION", "MARKETPLACE_ACCOUNT_DELETION"

# https://developer.ebay.com/api-docs/sell/fulfillment/types/sel:OrderPaymentStatusEnum (checked 2026-11-26). PENDING is
# said of a refund on its way too, and FAILED of one that did not arrive.
_UNPAID = frozenset({"PENDING", "FAILED"})
_PAID = frozenset({"PAID", "FULLY_REFUNDED", "PARTIALLY_REFUNDED"})
_LINE_STATUSES = frozenset({"NOT_STARTED", "IN_PROGRESS", "FULFILLED"})
_CANCELLED = frozenset({"CANCELED", "CANCELLED"})

# What we keep of an order: nothing of the buyer, and nothing that may change without news for the stock.
_KEPT: dict[str, Any] = {
    "orderId": None,
    "creationDate": None,
    "lastModifiedDate": None,
    "orderPaymentStatus": None,
    "cancelStatus": {"cancelState": None},
    "paymentSummary": {"refunds": {"refundStatus": None}},
    "lineItems": {
        "lineItemId": None,
        "legacyItemId": None,
        "legacyVariationId": None,
        "sku": None,
        "quantity": None,
        "lineItemFulfillmentStatus": None,
    },
}


@dataclass(frozen=True, slots=True)
class OrdersAnswer:
    """A page of orders as documents, and how many the window has in all."""

    orders: tuple[Any, ...]
    total: int


def orders_answer(document: Any) -> OrdersAnswer:
    """The page of a getOrders answer. Raises MalformedError."""
    answer = an_object(document, "the answer to getOrders")
    total = units_from(answer.get("total"), what="total")
    # Where there is none, eBay may leave the list away.
    found = a_list(answer.get("orders", [] if total == 0 else None), "orders")
    return OrdersAnswer(tuple(found), total)


def is_partly_shipped(order: Any) -> bool:
    """Whether a line has left in part: by how much only the shipping fulfillments say."""
    return any(line.get("lineItemFulfillmentStatus") == "IN_PROGRESS" for line in _lines_of(order))


def shipped_from(document: Any) -> dict[str, int]:
    """Of a getShippingFulfillments answer: line -> units that have left. Raises MalformedError."""
    shipped: dict[str, int] = {}
    for shipment in list_in(document, "fulfillments"):
        for line in list_in(shipment, "lineItems"):
            told = an_object(line, "a shipped line")
            line_id = a_text(told.get("lineItemId"), "lineItemId")
            shipped[line_id] = shipped.get(line_id, 0) + units_from(told.get("quantity", 0), what="quantity")
    return shipped


def delivery_of(order: Any, *, shipped: Mapping[str, int] | None = None) -> Delivery:
    """An order as it is stored. `shipped`: line -> units that have left, where that was asked."""
    kept: dict[str, Any] = {"order": part_of(order, _KEPT)}
    if shipped:
        kept["shipped"] = dict(shipped)
    body = msgspec.json.encode(kept, order="deterministic")
    known = order if isinstance(order, Mapping) else {}
    digest = hashlib.sha256(body).hexdigest()[:12]
    key = f"poll:{known.get('orderId')}:{known.get('lastModifiedDate')}:{digest}"
    return Delivery(key=key[:200], topic=POLLED_ORDER, body=body)


def changed_listings(channel_skus: Sequence[ChannelSku], until: datetime) -> Delivery:
    """Listings that show another figure than we know, as they are stored. `until`: of when."""
    body = msgspec.json.encode(list(channel_skus))
    return Delivery(key=f"listings:{instant_text(until)}", topic=CHANGED_LISTINGS, body=body)


def stock_hints(delivery: Delivery) -> tuple[Message, ...]:
    """What is to be read of what `changed_listings` has stored. Raises MalformedError."""
    named = document_from(delivery.body, list[str], what="the changed listings")
    return tuple(StockHint(ChannelSku(channel_sku)) for channel_sku in named)


@dataclass(frozen=True, slots=True)
class Commitment:
    """An order as long as nobody has paid it. When it is paid it may have another id."""

    order_id: str
    created: str


def commitments_in(order: Any) -> dict[str, Commitment]:
    """The lines of an order that nobody has paid yet: line -> its commitment. Of any other order none."""
    if not isinstance(order, Mapping) or order.get("orderPaymentStatus") not in _UNPAID or _is_cancelled(order):
        return {}
    order_id, created = order.get("orderId"), order.get("creationDate")
    if not isinstance(order_id, str) or not isinstance(created, str):
        return {}
    return dict.fromkeys(line_ids_of(order), Commitment(order_id, created))


def line_ids_of(order: Any) -> list[str]:
    """The ids of an order's lines: they are made when the buyer commits, and stay."""
    return [line["lineItemId"] for line in _lines_of(order) if isinstance(line.get("lineItemId"), str)]


def superseded(order: Any, commitment: Commitment, line_ids: frozenset[str]) -> Delivery:
    """The order as which these lines were known before: they are in `order` now, and no longer in it.

    "The order id changes when a buyer pays for several line items together", https://developer.ebay.com/devzone/XML/
    Docs/Reference/eBay/types/OrderIDArrayType.html (checked 2026-11-26).
    """
    lines = [line for line in _lines_of(order) if line.get("lineItemId") in line_ids]
    unshipped = [{**line, "lineItemFulfillmentStatus": "NOT_STARTED"} for line in lines]
    former = {
        **order,
        "orderId": commitment.order_id,
        "creationDate": commitment.created,
        "cancelStatus": {"cancelState": "CANCELED"},
        "lineItems": unshipped,
    }
    return delivery_of(former)


def _lines_of(order: Any) -> list[Mapping[str, Any]]:
    lines = order.get("lineItems") if isinstance(order, Mapping) else None
    return [line for line in lines if isinstance(line, Mapping)] if isinstance(lines, list) else []


def _is_cancelled(order: Mapping[str, Any]) -> bool:
    cancel = order.get("cancelStatus")
    return isinstance(cancel, Mapping) and cancel.get("cancelState") in _CANCELLED


# Orders -------------------------------------------------------------------------------------------------------


def order_message(delivery: Delivery, *, channel: Channel) -> Message:
    """The order in a polled delivery. Raises MalformedError."""
    document = an_object(document_from(delivery.body, object, what="the order"), "the delivery")
    order = an_object(document.get("order"), "the order")
    order_id = name_from(order.get("orderId"), what="orderId")
    where = f"order {order_id}"
    cancel = an_object(order.get("cancelStatus") or {}, f"{where}: cancelStatus")
    is_cancelled = a_text(cancel.get("cancelState", "NONE_REQUESTED"), f"{where}: cancelState") in _CANCELLED
    shipped = an_object(document.get("shipped") or {}, f"{where}: shipped")
    lines = tuple(
        _line(line, where=where, shipped=shipped, is_cancelled=is_cancelled)
        for line in a_list(order.get("lineItems"), f"{where}: lineItems")
    )
    return OrderSnapshot(
        channel=channel,
        order_id=order_id,
        version=instant_text(an_instant(order.get("lastModifiedDate"), f"{where}: lastModifiedDate")),
        placed_at=an_instant(order.get("creationDate"), f"{where}: creationDate"),
        is_pending=not is_cancelled and _is_unpaid(order, where, has_left=any(line.units_shipped for line in lines)),
        lines=lines,
    )


def _is_unpaid(order: Mapping[str, Any], where: str, *, has_left: bool) -> bool:
    status = a_text(order.get("orderPaymentStatus"), f"{where}: orderPaymentStatus")
    if status not in _UNPAID | _PAID:
        raise MalformedError(f"{where} has the unknown payment status {status[:40]!r}")
    payment = an_object(order.get("paymentSummary") or {}, f"{where}: paymentSummary")
    refunds = a_list(payment.get("refunds") or [], f"{where}: refunds")
    return status in _UNPAID and not has_left and not refunds


def _line(document: Any, *, where: str, shipped: Mapping[str, Any], is_cancelled: bool) -> OrderLine:
    line = an_object(document, f"{where}: a line")
    line_id = name_from(line.get("lineItemId"), what=f"{where}: lineItemId")
    what = f"{where} line {line_id}"
    ordered = units_from(line.get("quantity"), what=f"{what}: quantity")
    left = _units_shipped(line, what, ordered=ordered, told=shipped.get(line_id, 0))
    # "Only full order cancellations are supported", https://developer.ebay.com/DevZone/post-order/types/
    # PartialOrderTypeEnum.html (checked 2026-11-26). A refund cancels nothing and puts nothing on sale.
    cancelled = ordered - left if is_cancelled else 0
    return OrderLine(
        line_id=line_id,
        channel_sku=_channel_sku(line, what),
        units_ordered=ordered,
        units_cancelled=cancelled,
        units_relisted=cancelled,
        units_shipped=left,
    )


def _units_shipped(line: Mapping[str, Any], what: str, *, ordered: int, told: object) -> int:
    status = a_text(line.get("lineItemFulfillmentStatus"), f"{what}: lineItemFulfillmentStatus")
    if status not in _LINE_STATUSES:
        raise MalformedError(f"{what} has the unknown status {status[:40]!r}")
    if status == "FULFILLED":
        return ordered
    # Of a line in progress that nothing is known of, all is held: in doubt it has not left.
    return min(ordered, units_from(told, what=f"{what}: shipped")) if status == "IN_PROGRESS" else 0


def _channel_sku(line: Mapping[str, Any], what: str) -> ChannelSku:
    """The seller's SKU byte for byte; eBay's own id of the listing where it has none."""
    if line.get("sku"):
        return ChannelSku(a_text(line.get("sku"), f"{what}: sku"))
    item_id = a_text(line.get("legacyItemId"), f"{what}: legacyItemId")
    return ChannelSku(restful_id(item_id, a_text(line.get("legacyVariationId") or "0", f"{what}: legacyVariationId")))


# Notifications ------------------------------------------------------------------------------------------------


def notification_messages(delivery: Delivery, *, user_id: str) -> tuple[Message, ...]:
    """What a notification says. Raises MalformedError."""
    document = an_object(document_from(delivery.body, object, what="the notification"), "the notification")
    told = an_object(document.get("notification"), "notification")
    content = an_object(told.get("data"), "the notification's data")
    if delivery.topic in ORDER_TOPICS:
        return (OrderHint(_order_id(content)),)
    if delivery.topic == REVOCATION:
        if content.get("userId") != user_id:
            return (Ignored("another seller withdrew the consent"),)
        reason = content.get("revokeReason")
        why = reason if isinstance(reason, str) and reason.isascii() and len(reason) < 60 else "no reason told"
        return (AccessLost(f"eBay: the consent is withdrawn ({why}); {WAY_OUT}"),)
    if delivery.topic == ACCOUNT_DELETION:
        return (Ignored("an eBay account was deleted; nothing of buyers is stored here"),)
    return (Ignored(f"{delivery.topic} is none of a stock engine's business"),)


def _order_id(content: Mapping[str, Any]) -> str:
    """The order's id; empty where it is not told, so that the orders are polled."""
    order = content.get("order")
    for holder in (order, content):
        if isinstance(holder, Mapping) and holder.get("orderId"):
            return name_from(holder.get("orderId"), what="orderId")
    return ""
