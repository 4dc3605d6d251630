"""The simulated eBay's orders as the JSON of its Fulfillment API."""

from __future__ import annotations

from datetime import UTC, datetime

from oneshelf.connectors.ebay.simulator_orders import Line, Order, Shipment

SELLER = "simulated_seller"
BUYER = "simulated_buyer"
CURRENCY = "USD"
_CENTS = 1999


def instant(at: datetime) -> str:
    """ISO 8601 in UTC with milliseconds, as all dates of these APIs."""
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def order(one: Order, marketplace_id: str, *, base: str, has_requests: bool) -> dict[str, object]:
    """An order. `has_requests`: with its cancellation requests, which a list of orders leaves empty."""
    total = money(sum(line.units for line in one.lines))
    document: dict[str, object] = {
        "orderId": one.order_id,
        "creationDate": instant(one.created_at),
        "lastModifiedDate": instant(one.changed_at),
        "orderFulfillmentStatus": fulfillment_status(one),
        "orderPaymentStatus": payment_status(one),
        "sellerId": SELLER,
        "buyer": {"username": BUYER},
        "pricingSummary": {"priceSubtotal": total, "total": total},
        "cancelStatus": _cancel_status(one, has_requests=has_requests),
        "paymentSummary": {"totalDueSeller": total, "refunds": [], "payments": []},
        "fulfillmentStartInstructions": [],
        "fulfillmentHrefs": [_href(base, one, shipment) for shipment in one.shipments],
        "lineItems": [_line(one, line, marketplace_id) for line in one.lines],
        "salesRecordReference": "1",
    }
    return document


def money(units: int) -> dict[str, object]:
    return {"value": f"{units * _CENTS / 100:.2f}", "currency": CURRENCY}


def fulfillment_status(one: Order) -> str:
    shipped = sum(line.shipped for line in one.lines)
    if not shipped:
        return "NOT_STARTED"
    return "IN_PROGRESS" if any(line.open for line in one.lines) else "FULFILLED"


def payment_status(one: Order) -> str:
    """https://developer.ebay.com/api-docs/sell/fulfillment/types/sel:OrderPaymentStatusEnum (checked 2026-11-23)."""
    refunded = sum(line.refunded for line in one.lines)
    if one.cancelled_at is not None:
        return "FULLY_REFUNDED" if one.is_paid else "FAILED"
    if refunded:
        return "FULLY_REFUNDED" if refunded == sum(line.units for line in one.lines) else "PARTIALLY_REFUNDED"
    return "PAID" if one.is_paid else "PENDING"


def _cancel_status(one: Order, *, has_requests: bool) -> dict[str, object]:
    if one.cancelled_at is None:
        return {"cancelState": "NONE_REQUESTED", "cancelRequests": []}
    at = instant(one.cancelled_at)
    request = {
        "cancelRequestId": one.order_id.replace("-", ""),
        "cancelRequestState": "COMPLETED",
        "cancelInitiator": "SELLER",
        "cancelReason": "BUYER_CANCEL_OR_ADDRESS_ISSUE" if one.is_paid else "BUYER_NOT_PAID",
        "cancelRequestedDate": at,
        "cancelCompletedDate": at,
    }
    return {"cancelState": "CANCELED", "cancelledDate": at, "cancelRequests": [request] if has_requests else []}


def _line(one: Order, line: Line, marketplace_id: str) -> dict[str, object]:
    status = "NOT_STARTED" if not line.shipped else "IN_PROGRESS" if line.open else "FULFILLED"
    document: dict[str, object] = {
        "lineItemId": line.line_id,
        "legacyItemId": line.listing_id,
        "sku": line.sku,
        "title": line.title,
        "lineItemCost": money(line.units),
        "total": money(line.units),
        "quantity": line.units,
        "soldFormat": "FIXED_PRICE",
        "listingMarketplaceId": marketplace_id,
        "purchaseMarketplaceId": marketplace_id,
        "lineItemFulfillmentStatus": status,
        "refunds": [_refund(one, line)] if line.refunded else [],
        "taxes": [],
        "properties": {"buyerProtection": True},
    }
    if line.variation_id:
        document["legacyVariationId"] = f"{line.variation_id}"
    return document


def _refund(one: Order, line: Line) -> dict[str, object]:
    return {"amount": money(line.refunded), "refundDate": instant(one.changed_at), "refundId": f"5{line.line_id}"}


def _href(base: str, one: Order, shipment: Shipment) -> str:
    return f"{base}/order/{one.order_id}/shipping_fulfillment/{shipment.shipment_id}"


def shipment(one: Shipment) -> dict[str, object]:
    """A shipping fulfillment: the units of each line item in one parcel."""
    lines = [{"lineItemId": line_id, "quantity": units} for line_id, units in one.units.items()]
    return {"fulfillmentId": one.shipment_id, "shippedDate": instant(one.shipped_at), "lineItems": lines}
