"""The simulated eBay's books as the JSON of its Inventory API."""

from __future__ import annotations

from oneshelf.connectors.ebay.simulator_books import Listing, Variation

LOCATION: dict[str, object] = {
    "merchantLocationKey": "main",
    "name": "Main warehouse",
    "merchantLocationStatus": "ENABLED",
    "locationTypes": ["WAREHOUSE"],
    "location": {"address": {"postalCode": "95125", "country": "US"}},
}
CURRENCY = "USD"
PRICE = "19.99"


def item(one: Variation, at: float | None, *, sku: bool, has_group_ids: bool) -> dict[str, object]:
    """An inventory item. `at`: the monotonic instant whose quantity is shown; None: now."""
    figures = one.figures_at(at)
    # Without a quantity the item has none to show; eBay leaves the member away where it was wiped.
    availability = {"shipToLocationAvailability": {"quantity": max(0, figures.item_units)}}
    document: dict[str, object] = {"sku": one.sku} if sku else {}
    document.update({"locale": "en_US", **one.content, "availability": availability})
    if one.listing.group_key:
        document["inventoryItemGroupKeys"] = [one.listing.group_key]
        if has_group_ids:
            document["groupIds"] = [one.listing.group_key]
    return document


def offer(one: Variation, at: float | None, marketplace_id: str) -> dict[str, object]:
    """An offer, with its listing where there is or was one."""
    figures = one.figures_at(at)
    status = "ACTIVE" if figures.units else "OUT_OF_STOCK"
    listing: dict[str, object] = {
        "listingId": one.listing.listing_id,
        "listingStatus": status if one.is_on_sale else "ENDED",
        "soldQuantity": figures.sold,
    }
    if one.listing.is_on_hold:
        listing["listingOnHold"] = True
    document: dict[str, object] = {
        "offerId": one.offer_id,
        "sku": one.sku,
        "marketplaceId": marketplace_id,
        "format": "FIXED_PRICE",
        "listingDuration": "GTC",
        "merchantLocationKey": LOCATION["merchantLocationKey"],
        "pricingSummary": {"price": {"value": PRICE, "currency": CURRENCY}},
        "status": "PUBLISHED" if one.is_on_sale else "UNPUBLISHED",
    }
    if figures.offer_units is not None:
        document["availableQuantity"] = max(0, figures.offer_units)
    if one.is_on_sale:
        document["listing"] = listing
    return document


def group(listing: Listing) -> dict[str, object]:
    """An inventory item group: the SKUs of a listing with variations."""
    skus = [one.sku for one in listing.left]
    return {
        "inventoryItemGroupKey": listing.group_key,
        "title": listing.left[0].title,
        "variantSKUs": skus,
        "variesBy": {"specifications": [{"name": "Style", "values": skus}]},
    }
