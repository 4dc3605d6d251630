"""Amazon's JSON in our words. Pure; the only place that sees untyped documents.

Orders v2026-01-01 and Listings Items v2021-08-01, as modelled at
https://github.com/amzn/selling-partner-api-models (checked 2026-11-23).
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import msgspec

from oneshelf.connectors.amazon.issues import WORDS_LENGTH_MAX, listing_issues, refusal_words
from oneshelf.domain.identity import Channel, ChannelSku, name_from, units_from
from oneshelf.domain.order import OrderLine, OrderSnapshot
from oneshelf.errors import MalformedError
from oneshelf.sdk.decoding import a_list, an_instant, an_object, document_from, part_of
from oneshelf.sdk.message import Accepted, Delivery, Ignored, Message, Refused, StockReading, Unknown
from oneshelf.sdk.tokens import Grant

POLLED_ORDER = "poll/order"
MERCHANT_CHANNEL = "DEFAULT"
BY_AMAZON = "fulfilled by Amazon"

# Version 2026-01-01 writes CANCELLED; older versions of the same status write Canceled.
_CANCELLED = frozenset({"CANCELLED", "CANCELED"})
_PENDING = frozenset({"PENDING", "PENDING_AVAILABILITY"})
_CONFIRMED = frozenset({"UNSHIPPED", "PARTIALLY_SHIPPED", "SHIPPED"})

# What we keep of an order: nothing of the buyer, and nothing that may change without news for the stock.
_KEPT: dict[str, Any] = {
    "orderId": None,
    "createdTime": None,
    "lastUpdatedTime": None,
    "fulfillment": {"fulfillmentStatus": None, "fulfilledBy": None},
    "orderItems": {
        "orderItemId": None,
        "quantityOrdered": None,
        "product": {"sellerSku": None},
        "fulfillment": {"quantityFulfilled": None, "quantityUnfulfilled": None},
        "cancellation": {"cancellationExecution": {"cancelledBy": None}},
    },
}


@dataclass(frozen=True, slots=True)
class OrdersAnswer:
    """A page of orders, oldest change first. `before` is the end of the window that Amazon looked at."""

    deliveries: tuple[Delivery, ...]
    next_token: str | None
    before: datetime | None


@dataclass(frozen=True, slots=True)
class ListingRow:
    """One listing. `is_merchant`: Amazon shows that the seller ships it; anything else must not be written."""

    reading: StockReading
    is_merchant: bool
    created_at: datetime | None


@dataclass(frozen=True, slots=True)
class ListingsAnswer:
    """A page of listings and how many there are in all, as far as Amazon counts."""

    rows: tuple[ListingRow, ...]
    next_token: str | None
    results_count: int


def orders_answer(document: Any) -> OrdersAnswer:
    """The page of a searchOrders answer. A single unreadable order is delivered all the same, to be parked."""
    answer = an_object(document, "the answer to searchOrders")
    found = a_list(answer.get("orders"), "orders")
    before = answer.get("lastUpdatedBefore") or answer.get("createdBefore")
    return OrdersAnswer(
        deliveries=tuple(order_delivery(order) for order in sorted(found, key=_changed)),
        next_token=_next_token(answer),
        before=None if before is None else an_instant(before, "the end of the window"),
    )


def order_message(delivery: Delivery, *, channel: Channel) -> Message:
    """The order in a polled delivery. Raises MalformedError."""
    order = an_object(document_from(delivery.body, object, what="the order"), "the order")
    order_id = name_from(order.get("orderId"), what="orderId")
    fulfilment = an_object(order.get("fulfillment"), f"order {order_id}: fulfillment")
    status = _text(fulfilment.get("fulfillmentStatus"), f"order {order_id}: fulfillmentStatus").upper()
    # Amazon counts and ships these itself; UNFULFILLABLE exists for its own orders only.
    if fulfilment.get("fulfilledBy") == "AMAZON" or status == "UNFULFILLABLE":
        return Ignored(f"order {order_id} is fulfilled by Amazon")
    if status not in _CANCELLED | _PENDING | _CONFIRMED:
        raise MalformedError(f"order {order_id} has the unknown status {status[:40]!r}")
    items = a_list(order.get("orderItems"), f"order {order_id}: orderItems")
    changed_at = an_instant(order.get("lastUpdatedTime"), f"order {order_id}: lastUpdatedTime")
    return OrderSnapshot(
        channel=channel,
        order_id=order_id,
        version=instant_text(changed_at),
        placed_at=an_instant(order.get("createdTime"), f"order {order_id}: createdTime"),
        is_pending=status in _PENDING,
        lines=tuple(_line(item, order_id=order_id, status=status) for item in items),
    )


def _line(document: Any, *, order_id: str, status: str) -> OrderLine:
    item = an_object(document, f"order {order_id}: an item")
    line_id = name_from(item.get("orderItemId"), what=f"order {order_id}: orderItemId")
    where = f"order {order_id} item {line_id}"
    product = an_object(item.get("product"), f"{where}: product")
    ordered = units_from(item.get("quantityOrdered"), what=f"{where}: quantityOrdered")
    shipped = _units_shipped(item, where=where, status=status, ordered=ordered)
    cancelled = _units_cancelled(item, where=where, status=status, unshipped=ordered - shipped)
    return OrderLine(
        line_id=line_id,
        channel_sku=_channel_sku(product.get("sellerSku"), where),
        units_ordered=ordered,
        units_cancelled=cancelled,
        # "The quantity available is subtracted" when the order is placed and given back when it is cancelled.
        # Seller Central help 200200040, checked 2026-11-23.
        units_relisted=cancelled,
        units_shipped=shipped,
    )


def _units_shipped(item: Mapping[str, Any], *, where: str, status: str, ordered: int) -> int:
    told = an_object(item.get("fulfillment") or {}, f"{where}: fulfillment").get("quantityFulfilled")
    if told is not None:
        return units_from(told, what=f"{where}: quantityFulfilled")
    if status == "PARTIALLY_SHIPPED":
        raise MalformedError(f"{where}: the order is partly shipped, and quantityFulfilled is missing")
    return ordered if status == "SHIPPED" else 0


def _units_cancelled(item: Mapping[str, Any], *, where: str, status: str, unshipped: int) -> int:
    """Units that will not ship. Of an order that lives on, only what Amazon says was really cancelled."""
    if status in _CANCELLED:
        return unshipped
    cancellation = an_object(item.get("cancellation") or {}, f"{where}: cancellation")
    if status in _PENDING or not cancellation.get("cancellationExecution"):
        return 0
    told = an_object(item.get("fulfillment") or {}, f"{where}: fulfillment").get("quantityUnfulfilled")
    remaining = 0 if told is None else units_from(told, what=f"{where}: quantityUnfulfilled")
    return max(0, unshipped - remaining)


def listings_answer(document: Any, *, code: str = MERCHANT_CHANNEL) -> ListingsAnswer:
    """The page of a searchListingsItems answer. `code`: see `units_shown`. Raises MalformedError."""
    answer = an_object(document, "the answer to searchListingsItems")
    items = a_list(answer.get("items"), "items")
    return ListingsAnswer(
        rows=tuple(row for item in items if (row := _row_if_named(item, code)) is not None),
        next_token=_next_token(answer),
        results_count=units_from(answer.get("numberOfResults"), what="numberOfResults"),
    )


def _row_if_named(document: Any, code: str) -> ListingRow | None:
    """One row of many: a row that cannot be read must not hide the others. Without a SKU nobody can use it."""
    try:
        return listing_row(document, code=code)
    except MalformedError as problem:
        try:
            channel_sku = _channel_sku(an_object(document, "a listing").get("sku"), "a listing")
        except MalformedError:
            return None
        reading = StockReading(channel_sku=channel_sku, units=None, note=f"cannot be read: {problem}")
        return ListingRow(reading=reading, is_merchant=False, created_at=None)


def listing_row(document: Any, *, code: str = MERCHANT_CHANNEL) -> ListingRow:
    """One listing with the units that Amazon really sells from. `code`: see `units_shown`.

    `fulfillmentAvailability` is that figure; `attributes` is only what was last submitted, and the two differ
    by design: https://github.com/amzn/selling-partner-api-models/issues/5327 (checked 2026-11-23).
    """
    item = an_object(document, "a listing")
    channel_sku = _channel_sku(item.get("sku"), "a listing")
    rows = a_list(item.get("fulfillmentAvailability") or [], f"{channel_sku}: fulfillmentAvailability")
    shown: dict[str, Any] = {}
    for row in rows:
        availability = an_object(row, f"{channel_sku}: fulfillmentAvailability")
        shown[_text(availability.get("fulfillmentChannelCode"), f"{channel_sku}: fulfillmentChannelCode")] = (
            availability.get("quantity")
        )
    summary = _summary(item, channel_sku)
    created = summary.get("createdDate")
    units, note = units_shown(shown, channel_sku, code=code)
    reading = StockReading(
        channel_sku=channel_sku,
        units=units,
        merchant_sku=merchant_sku_of(channel_sku),
        title=str(summary.get("itemName") or ""),
        note=note,
        issues=listing_issues(item),
    )
    return ListingRow(
        reading=reading,
        is_merchant=units is not None,
        created_at=None if created is None else an_instant(created, f"{channel_sku}: createdDate"),
    )


def units_shown(
    shown: Mapping[str, Any], channel_sku: ChannelSku, *, code: str = MERCHANT_CHANNEL
) -> tuple[int | None, str]:
    """The units that the seller offers, of the quantities by fulfilment channel; None with the reason where we must not
    write one.

    `code`: the channel that is ours: DEFAULT, or a supply source, beside which DEFAULT may show nothing but zero. A
    listing that is fulfilled from anywhere else too is not ours to write: so shows a listing that Amazon fulfils after
    somebody wrote a quantity (https://github.com/amzn/selling-partner-api-models/issues/2061 and 2633, checked
    2026-11-26), and one that is really offered twice. Nothing tells these apart, and the first strands stock.
    """
    others = sorted(set(shown) - {code, MERCHANT_CHANNEL})
    is_split = code != MERCHANT_CHANNEL and bool(shown.get(MERCHANT_CHANNEL))
    if code in shown and others:
        rest = "give the seller's own units another SKU"
        return None, f"fulfilled from {code} and from {', '.join(others)}: {rest}"
    if code in shown and is_split:
        return None, f"{MERCHANT_CHANNEL} shows {shown[MERCHANT_CHANNEL]} beside {code}: set it to 0 in Seller Central"
    if code in shown:
        told = shown[code]
        if told is None:
            return 0, "no quantity has been set yet"
        return units_from(told, what=f"{channel_sku}: the quantity on sale"), ""
    if not shown:
        return None, "Amazon does not say who fulfils this listing"
    if any(other.startswith("AMAZON") for other in shown):
        return None, f"{BY_AMAZON} ({', '.join(sorted(shown))}): Amazon keeps the count"
    return None, f"fulfilled from {', '.join(sorted(shown))}, and not from {code}"


def write_outcome(document: Any) -> Accepted | Refused | Unknown:
    """What a PATCH answered with status 200 came to. ACCEPTED means queued; 200 with INVALID is a refusal."""
    if not isinstance(document, Mapping):
        return Unknown("Amazon answered something that is not a submission")
    match document.get("status"):
        case "ACCEPTED":
            return Accepted()
        case "INVALID":
            return Refused(refusal_words(document))
        case other:
            return Unknown(f"Amazon answered with the status {str(other)[:40]!r}")


def preview_refusal(document: Any) -> str | None:
    """Amazon's words where it would not take a previewed write; None where it would."""
    answer = an_object(document, "the answer to a preview")
    return None if answer.get("status") == "VALID" else refusal_words(answer)


def error_words(body: bytes) -> str:
    """Amazon's own words in an answer that is no success; the raw beginning where it is no error list."""
    document = _decoded(body)
    found = document.get("errors") if isinstance(document, Mapping) else None
    errors = [error for error in found if isinstance(error, Mapping)] if isinstance(found, list) else []
    parts = [
        ": ".join(str(error[name]) for name in ("code", "message", "details") if error.get(name)) for error in errors
    ]
    words = "; ".join(parts) or body.decode("utf-8", "replace")
    return words[:WORDS_LENGTH_MAX]


def is_token_rejected(words: str) -> bool:
    """Whether a 401 or 403 is about the access token, not about a role that the application lacks."""
    return "access token" in words.lower()


def token_grant(document: Any) -> Grant:
    """The token that Login with Amazon granted. Raises MalformedError, without the answer's text."""
    answer = an_object(document, "the answer of Login with Amazon")
    life = answer.get("expires_in")
    if not isinstance(life, int) or isinstance(life, bool) or life <= 0:
        raise MalformedError("Login with Amazon does not say how long its token lives")
    return Grant(access_token=_text(answer.get("access_token"), "access_token"), life_s=float(life))


def token_refusal(body: bytes) -> str:
    """The error code and words of Login with Amazon, such as `invalid_grant`."""
    document = _decoded(body)
    if not isinstance(document, Mapping):
        return "an answer that is not JSON"
    return f"{document.get('error')}: {document.get('error_description')}"[:WORDS_LENGTH_MAX]


def rate_from(header: str | None) -> float | None:
    """The calls a second that Amazon grants now; None where it does not say."""
    try:
        rate = float(header or "")
    except ValueError:
        return None
    return rate if math.isfinite(rate) and rate > 0 else None


def instant_text(instant: datetime) -> str:
    """Text of a fixed width that sorts as the instants do."""
    return instant.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def order_delivery(order: Any) -> Delivery:
    """An order as a search or getOrder tells it. One that cannot be read is delivered all the same, to be parked."""
    body = msgspec.json.encode(part_of(order, _KEPT), order="deterministic")
    known = order if isinstance(order, Mapping) else {}
    digest = hashlib.sha256(body).hexdigest()[:12]
    key = f"poll:{known.get('orderId')}:{known.get('lastUpdatedTime')}:{digest}"
    return Delivery(key=key[:200], topic=POLLED_ORDER, body=body)


def _changed(order: Any) -> str:
    try:
        return instant_text(an_instant(order["lastUpdatedTime"], "lastUpdatedTime"))
    except (MalformedError, KeyError, TypeError):
        return ""


def _summary(item: Mapping[str, Any], channel_sku: ChannelSku) -> Mapping[str, Any]:
    summaries = a_list(item.get("summaries") or [], f"{channel_sku}: summaries")
    return an_object(summaries[0], f"{channel_sku}: summaries") if summaries else {}


def _channel_sku(value: object, where: str) -> ChannelSku:
    """The seller's SKU byte for byte: it is an address at Amazon, and another spelling is another listing."""
    return ChannelSku(_text(value, f"{where}: the SKU"))


def merchant_sku_of(channel_sku: ChannelSku) -> str | None:
    """The SKU in the words of the engine; None where it cannot be one."""
    try:
        return name_from(channel_sku, what="SKU")
    except MalformedError:
        return None


def _next_token(answer: Mapping[str, Any]) -> str | None:
    token = an_object(answer.get("pagination") or {}, "pagination").get("nextToken")
    return _text(token, "nextToken") if token is not None else None


def _decoded(body: bytes) -> Any:
    try:
        return document_from(body, object, what="the answer")
    except MalformedError:
        return None


def _text(value: object, what: str) -> str:
    if not isinstance(value, str) or not value:
        raise MalformedError(f"{what} must be text, not {type(value).__name__}")
    return value
