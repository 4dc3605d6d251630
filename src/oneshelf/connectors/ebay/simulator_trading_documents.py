"""The simulated eBay's books as the elements of its Trading API (schema 1379), in the order of the schema."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from xml.etree.ElementTree import Element

from oneshelf.connectors.ebay.simulator_books import Listing, Variation
from oneshelf.connectors.ebay.simulator_inventory_documents import PRICE
from oneshelf.connectors.ebay.simulator_xml import VERSION, element, price, texts

# A listing that is good until it is cancelled renews itself after so long.
_RENEWS = timedelta(days=30)


def ends_at(listing: Listing, now: datetime) -> datetime:
    """When the listing ended, or will be renewed."""
    if listing.ended_at is not None:
        return listing.ended_at
    return listing.started_at + ((now - listing.started_at) // _RENEWS + 1) * _RENEWS


def item(listing: Listing, at: float | None, now: datetime, *, has_variations: bool = True) -> Element:
    """An item. `Quantity` counts what was sold too; `at`: the monotonic instant whose figures are shown; None: now.

    https://developer.ebay.com/support/knowledge-base/1525 (checked 2026-11-26).
    """
    left = listing.left or listing.variations
    shown = [one.figures_at(at) for one in left]
    available, sold = sum(one.units for one in shown), sum(one.sold for one in shown)
    is_single = left[0].variation_id == 0
    is_hidden = listing.is_live and available == 0
    details = {
        "RelistedItemID": listing.relisted_as or None,
        "StartTime": listing.started_at,
        "EndTime": ends_at(listing, now),
        "EndingReason": listing.ending_reason or None,
    }
    return element(
        "Item",
        *texts({"Currency": "USD", "ItemID": listing.listing_id}),
        element("ListingDetails", *texts(details)),
        *texts({"ListingDuration": "GTC", "ListingType": "FixedPriceItem", "Quantity": available + sold}),
        element(
            "SellingStatus",
            price("CurrentPrice", PRICE),
            *texts({"QuantitySold": sold, "ListingStatus": "Active" if listing.is_live else "Completed"}),
        ),
        price("StartPrice", PRICE),
        *texts({"Title": left[0].title, "QuantityAvailable": available, "SKU": left[0].sku if is_single else None}),
        element("Variations", *(_variation(one, at) for one in left)) if has_variations and not is_single else None,
        *(texts({"HideFromSearch": True, "ReasonHideFromSearch": "OutOfStock"}) if is_hidden else ()),
    )


def _variation(one: Variation, at: float | None) -> Element:
    figures = one.figures_at(at)
    style = element("NameValueList", *texts({"Name": "Style", "Value": one.sku}))
    return element(
        "Variation",
        *texts({"SKU": one.sku}),
        price("StartPrice", PRICE),
        *texts({"Quantity": figures.units + figures.sold}),
        element("VariationSpecifics", style),
        element("SellingStatus", *texts({"QuantitySold": figures.sold})),
        *texts({"VariationTitle": f"{one.title} [{one.sku}]"}),
    )


def problem(code: str, words: str, *, values: Sequence[str] = (), is_system: bool = False) -> Element:
    """One entry of `Errors`. `values`: what it is about, such as the ItemID."""
    parameters = [
        element("ErrorParameters", *texts({"Value": value}), ParamID=str(at)) for at, value in enumerate(values)
    ]
    return element(
        "Errors",
        *texts({"ShortMessage": words, "LongMessage": words, "ErrorCode": code, "SeverityCode": "Error"}),
        *parameters,
        *texts({"ErrorClassification": "SystemError" if is_system else "RequestError"}),
    )


def head(now: datetime, acknowledgement: str, errors: Sequence[Element] = ()) -> list[Element]:
    """How every answer begins."""
    return [
        *texts({"Timestamp": now, "Ack": acknowledgement}),
        *errors,
        *texts({"Version": VERSION, "Build": f"E{VERSION}_CORE_API_SIMULATED_R1"}),
    ]
