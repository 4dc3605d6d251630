"""What Amazon's notifications say, in our words. Pure.

Schemas: https://github.com/amzn/selling-partner-api-models/tree/main/schemas/notifications, types and envelopes:
https://developer-docs.amazon.com/sp-api/docs/notification-type-values (checked 2026-11-26). Older types write their
members in PascalCase, newer ones in camelCase. What is not signed is proved by the queue, which lets Amazon alone write
into it, and by the seller's id in the message. They come at least once, in any order, and now and then not at all:
each one is a hint, and what holds is asked for.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Collection, Mapping
from typing import Any

import msgspec

from oneshelf.connectors.amazon.parse import MERCHANT_CHANNEL
from oneshelf.domain.identity import ChannelSku, name_from
from oneshelf.errors import MalformedError
from oneshelf.sdk.decoding import an_object, document_from
from oneshelf.sdk.message import AccessLost, Delivery, Ignored, Message, OrderHint, StockHint

ORDER_CHANGE = "ORDER_CHANGE"
QUANTITY_CHANGE = "LISTINGS_ITEM_MFN_QUANTITY_CHANGE"
ACCOUNT_STATUS = "ACCOUNT_STATUS_CHANGED"
UNREADABLE = "unreadable"

_TYPE = re.compile(r"[A-Z][A-Z0-9_]{2,79}")
_ID = re.compile(r"[\w.:-]{8,120}", re.ASCII)
# What we keep: nothing of the buyer, such as where the parcel goes.
_KEPT_ORDER = ("SellerId", "AmazonOrderId", "OrderChangeType", "NotificationLevel")


def delivery_from(body: bytes) -> Delivery:
    """A message of the queue to be stored. One notification has one key, however often it comes.

    What cannot be read is stored as it is, for the reader to refuse: a queue would give it out for ever.
    """
    try:
        told = _unwrapped(document_from(body, dict[str, Any], what="the notification"))
        kind = _kind(told)
        notification_id = _member(_member(told, "NotificationMetadata"), "NotificationId")
    except MalformedError:
        return Delivery(key=f"queue:{hashlib.sha256(body).hexdigest()[:32]}", topic=UNREADABLE, body=body)
    if not isinstance(notification_id, str) or not _ID.fullmatch(notification_id):
        notification_id = hashlib.sha256(body).hexdigest()[:32]
    kept = {"NotificationType": kind, "Payload": _kept_payload(kind, _member(told, "Payload"))}
    return Delivery(key=f"queue:{notification_id}", topic=kind, body=msgspec.json.encode(kept))


def is_topic(topic: str) -> bool:
    """Whether a delivery of this topic came from the queue."""
    return topic == UNREADABLE or _TYPE.fullmatch(topic) is not None


def message_from(delivery: Delivery, *, seller_id: str, stores: Collection[str]) -> Message:
    """What a stored notification says to the seller of these stores. Raises MalformedError."""
    told = _unwrapped(document_from(delivery.body, dict[str, Any], what="the notification"))
    kind = _kind(told)
    payload = an_object(_member(told, "Payload"), f"{kind}: the payload")
    match kind:
        case "ORDER_CHANGE":
            change = an_object(_member(payload, "OrderChangeNotification"), "OrderChangeNotification")
            return _of_seller(change, seller_id) or _order_hint(change, stores)
        case "LISTINGS_ITEM_MFN_QUANTITY_CHANGE":
            return _of_seller(payload, seller_id) or _quantity_hint(payload)
        case "FBA_INVENTORY_AVAILABILITY_CHANGES":
            # A look would find no figure of ours.
            return Ignored("what Amazon has is told with the next look at all listings")
        case "ACCOUNT_STATUS_CHANGED":
            return _account_status(payload)
        case "FEED_PROCESSING_FINISHED" | "REPORT_PROCESSING_FINISHED":
            return Ignored(f"{kind}: whoever waits for one looks by himself")
        case _:
            return Ignored(f"{kind} says nothing of our stock")


def _order_hint(change: Mapping[str, Any], stores: Collection[str]) -> Message:
    summary = _member(change, "Summary")
    if _member(summary, "MarketplaceId") not in {None, *stores}:
        # As a poll, which asks for the orders of these stores.
        return Ignored("the order is of another store")
    if _member(summary, "FulfillmentType") == "AFN":
        return Ignored("the order is fulfilled by Amazon")
    return OrderHint(name_from(_member(change, "AmazonOrderId"), what="AmazonOrderId"))


def _quantity_hint(payload: Mapping[str, Any]) -> Message:
    """The figure is of an instant that is not told, so it is only a reason to look. Our own writes come back so too."""
    if _member(payload, "FulfillmentChannelCode") != MERCHANT_CHANNEL:
        return Ignored("the quantity of another fulfilment channel")
    sku = _member(payload, "Sku")
    if not isinstance(sku, str) or not sku:
        raise MalformedError(f"{QUANTITY_CHANGE} names no SKU")
    return StockHint(ChannelSku(sku))


def _account_status(payload: Mapping[str, Any]) -> Message:
    change = an_object(_member(payload, "AccountStatusChangeNotification"), "accountStatusChangeNotification")
    status = _member(change, "CurrentAccountStatus")
    if status == "DEACTIVATED":
        return AccessLost("Amazon has deactivated the seller's account; see Account Health in Seller Central")
    if status not in {"NORMAL", "AT_RISK"}:
        raise MalformedError(f"the account has the unknown status {str(status)[:40]!r}")
    return Ignored(f"the account's status is {status}")


def _of_seller(named: Mapping[str, Any], seller_id: str) -> Ignored | None:
    """Why it is none of our business; None where it is about our seller."""
    told = _member(named, "SellerId")
    if not isinstance(told, str) or not told:
        raise MalformedError("the notification names no seller")
    return None if told == seller_id else Ignored("it is about another seller, with whom we share the queue")


def _kept_payload(kind: str, payload: Any) -> Any:
    change = _member(payload, "OrderChangeNotification") if kind == ORDER_CHANGE else None
    if not isinstance(change, Mapping):
        return payload
    kept: dict[str, Any] = {name: _member(change, name) for name in _KEPT_ORDER}
    summary = _member(change, "Summary")
    kept["Summary"] = {name: _member(summary, name) for name in ("MarketplaceId", "OrderStatus", "FulfillmentType")}
    return {"OrderChangeNotification": kept}


def _unwrapped(told: dict[str, Any]) -> dict[str, Any]:
    """The notification in what EventBridge put around it, where a rule of its sends to the queue."""
    detail = told.get("detail")
    return detail if isinstance(detail, dict) and "detail-type" in told else told


def _kind(told: Mapping[str, Any]) -> str:
    kind = _member(told, "NotificationType")
    if not isinstance(kind, str) or not _TYPE.fullmatch(kind):
        raise MalformedError("it says not what type of notification it is")
    return kind


def _member(named: Any, name: str) -> Any:
    """The member of an object in either way of writing: `SellerId`, `sellerId`. None where there is none."""
    if not isinstance(named, Mapping):
        return None
    return named.get(name, named.get(name[0].lower() + name[1:]))
