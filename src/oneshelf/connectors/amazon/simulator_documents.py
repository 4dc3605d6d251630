"""The simulated Amazon's books as its JSON."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from oneshelf.connectors.amazon.simulator_books import AMAZON_CHANNEL, MERCHANT_CHANNEL, Listing, Order


def instant(at: datetime) -> str:
    """ISO 8601 in UTC, as short as Amazon writes it."""
    precision = "milliseconds" if at.microsecond else "seconds"
    return at.astimezone(UTC).isoformat(timespec=precision).replace("+00:00", "Z")


def listing(one: Listing, marketplace_id: str, include: Sequence[str], *, at: float | None = None) -> dict[str, object]:
    """A listings item with the included data sets. Sets that this simulator does not keep are empty.

    `at`: the monotonic instant whose quantity is shown; None: now.
    """
    sets: dict[str, object] = {
        "summaries": [
            {
                "marketplaceId": marketplace_id,
                "asin": one.asin,
                "productType": "PRODUCT",
                "conditionType": "new_new",
                "status": ["BUYABLE", "DISCOVERABLE"] if one.units > 0 else ["DISCOVERABLE"],
                "itemName": one.title,
                "createdDate": instant(one.created_at),
                "lastUpdatedDate": instant(one.updated_at),
            }
        ],
        "attributes": {
            "fulfillment_availability": [
                {**row, "marketplace_id": marketplace_id} for row in one.attributes.get(marketplace_id, ())
            ]
        },
        "issues": issues(one.issue, is_enforced=one.block != ""),
        "fulfillmentAvailability": _availability(one, at),
    }
    return {"sku": one.sku, **{name: sets[name] for name in include if name in sets}}


def _availability(one: Listing, at: float | None) -> list[dict[str, object]]:
    row: dict[str, object] = {"fulfillmentChannelCode": one.channel_code}
    if one.channel_code != AMAZON_CHANNEL:
        row["quantity"] = one.units_at(at)
    if one.default_units is None:
        return [row]
    return [{"fulfillmentChannelCode": MERCHANT_CHANNEL, "quantity": one.default_units}, row]


def order(one: Order, marketplace_id: str, include: Sequence[str]) -> dict[str, object]:
    """An order with the included data sets; items always come along, buyers never."""
    document: dict[str, object] = {
        "orderId": one.order_id,
        "createdTime": instant(one.created_at),
        "lastUpdatedTime": instant(one.updated_at),
        "salesChannel": {
            "channelName": "AMAZON",
            "marketplaceId": marketplace_id,
            "marketplaceName": "Amazon.com",
        },
        "orderItems": [_item(one, number, include) for number in range(len(one.lines))],
    }
    if "FULFILLMENT" in include:
        document["fulfillment"] = {
            "fulfillmentStatus": one.status,
            "fulfilledBy": one.fulfilled_by,
            "fulfillmentServiceLevel": "STANDARD",
        }
    return document


def _item(one: Order, number: int, include: Sequence[str]) -> dict[str, object]:
    line = one.lines[number]
    document: dict[str, object] = {
        "orderItemId": line.item_id,
        "quantityOrdered": line.units,
        "product": {"asin": line.asin, "title": line.title, "sellerSku": line.sku},
    }
    if "FULFILLMENT" in include:
        document["fulfillment"] = {
            "quantityFulfilled": line.shipped,
            "quantityUnfulfilled": line.open,
        }
    if "CANCELLATION" in include and line.cancelled:
        execution = {"cancelledBy": "BUYER", "cancelReason": "NO_LONGER_NEEDED"}
        document["cancellation"] = {"cancellationExecution": execution}
    return document


def submission(sku: str, status: str, submission_id: str, words: str = "") -> dict[str, object]:
    """The answer to a patch; `words` become its one issue."""
    return {"sku": sku, "status": status, "submissionId": submission_id, "issues": issues(words)}


def issues(words: str, *, is_enforced: bool = False) -> list[dict[str, object]]:
    """The one issue of a quantity; empty `words`: there is none. `is_enforced`: Amazon takes no value of it."""
    if not words:
        return []
    issue: dict[str, object] = {"code": "4000001", "message": words, "severity": "ERROR"}
    issue |= {"categories": ["INVALID_ATTRIBUTE"], "attributeNames": ["fulfillment_availability"]}
    if is_enforced:
        actions, exemption = [{"action": "ATTRIBUTE_SUPPRESSED"}], {"status": "NOT_EXEMPT"}
        issue["enforcements"] = {"actions": actions, "exemption": exemption}
    return [issue]
