"""What is sent to change a quantity: the same for one listing and for a message of a feed."""

from __future__ import annotations

from oneshelf.connectors.amazon.account import Account


def quantity_patch(account: Account, units: int) -> dict[str, object]:
    """The change of the one row of `fulfillment_availability` that is ours.

    "merge" leaves the handling time and the restock date alone; "replace" would reset both:
    https://github.com/amzn/selling-partner-api-models/issues/4406 (checked 2026-11-23).
    """
    value = [{"fulfillment_channel_code": account.merchant_code, "quantity": units}]
    patch = {"op": "merge", "path": "/attributes/fulfillment_availability", "value": value}
    return {"productType": "PRODUCT", "patches": [patch]}
