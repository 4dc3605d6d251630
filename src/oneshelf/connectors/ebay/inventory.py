"""The Inventory API's JSON: items and their offers in our words. Pure.

https://developer.ebay.com/api-docs/sell/inventory/resources/methods (v1.18, checked 2026-11-26).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from oneshelf.connectors.ebay.json_reading import a_text, codes_of, errors_in, list_in, text_in, words_of
from oneshelf.domain.identity import units_from
from oneshelf.errors import MalformedError
from oneshelf.sdk.decoding import a_list, an_object

BATCH_MAX = 25
PATH = "/sell/inventory/v1"
SKU_LENGTH_MAX = 50
_LIVE = frozenset({"ACTIVE", "OUT_OF_STOCK", "INACTIVE"})

INVALID_QUANTITY = 25004
SKU_UNKNOWN = frozenset({25702, 25710})
CONCURRENT = 25025
SYSTEM = 25001
USER_ERROR = 25002
# "This Offer is not available": it is not on sale.
OFFER_UNAVAILABLE = 25713
# What updateOffer takes (EbayOfferDetailsWithId, contract 1.18.0, checked 2026-11-26).
OFFER_MEMBERS = (
    "availableQuantity",
    "categoryId",
    "charity",
    "extendedProducerResponsibility",
    "hideBuyerDetails",
    "includeCatalogProductDetails",
    "listingDescription",
    "listingDuration",
    "listingPolicies",
    "listingStartDate",
    "lotSize",
    "merchantLocationKey",
    "pricingSummary",
    "quantityLimitPerBuyer",
    "regulatory",
    "secondaryCategoryId",
    "storeCategoryNames",
    "tax",
)


@dataclass(frozen=True, slots=True)
class Item:
    """An inventory item. `units`: its total quantity for shipping; None: none was ever set.

    `locations`: keys of eBay's inventory locations among which the total is divided.
    """

    sku: str
    title: str
    units: int | None
    locations: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Offer:
    """An offer of an item. `units`: what may be bought through it; None: as many as the item has.

    `is_live`: it stands on eBay as a listing now. Only then is there a `listing_id`.
    """

    offer_id: str
    listing_id: str
    units: int | None
    is_live: bool
    is_fixed_price: bool
    is_on_hold: bool = False
    marketplace_id: str = ""


@dataclass(frozen=True, slots=True)
class RowResult:
    """What eBay says of one row of a bulk update. `offer_id` is empty where it is about the item."""

    sku: str
    offer_id: str
    status: int
    codes: frozenset[int]
    words: str

    @property
    def is_done(self) -> bool:
        return 200 <= self.status < 300


def items_page(document: Any) -> tuple[list[Item], int]:
    """A page of getInventoryItems, and how many items there are in all. Raises MalformedError."""
    answer = an_object(document, "the answer to getInventoryItems")
    total = units_from(answer.get("total"), what="total")
    if not total:
        return [], 0
    found = list_in(answer, "inventoryItems")
    return [item for one in found if (item := _item_if_named(one)) is not None], total


def _item_if_named(document: Any) -> Item | None:
    """One item of many: one that cannot be read must not hide the others."""
    try:
        return item_from(document)
    except MalformedError:
        try:
            return Item(text_in(document, "sku"), "", None)
        except MalformedError:
            return None


def item_from(document: Any) -> Item:
    """An inventory item. Raises MalformedError."""
    item = an_object(document, "an inventory item")
    sku = a_text(item.get("sku"), "the SKU of an inventory item")
    product = an_object(item.get("product") or {}, f"{sku}: product")
    availability = an_object(item.get("availability") or {}, f"{sku}: availability")
    ship = an_object(availability.get("shipToLocationAvailability") or {}, f"{sku}: shipToLocationAvailability")
    told = ship.get("quantity")
    divided = a_list(ship.get("availabilityDistributions") or [], f"{sku}: availabilityDistributions")
    return Item(
        sku=sku,
        title=str(product.get("title") or ""),
        units=None if told is None else units_from(told, what=f"{sku}: quantity"),
        locations=tuple(text_in(one, "merchantLocationKey") for one in divided),
    )


def groups_of(document: Any) -> tuple[str, ...]:
    """The groups of an item: each is one listing with variations. Raises MalformedError."""
    told = a_list(an_object(document, "an inventory item").get("inventoryItemGroupKeys") or [], "the groups")
    return tuple(a_text(one, "the key of a group") for one in told)


def items_batch(document: Any) -> dict[str, Item]:
    """The items that bulkGetInventoryItem found: SKU -> item. Raises MalformedError."""
    found: dict[str, Item] = {}
    for response in list_in(document, "responses"):
        row = an_object(response, "a row")
        if row.get("statusCode") == 200 and row.get("inventoryItem") is not None:
            sku = text_in(row, "sku")
            inner = {"sku": sku, **an_object(row["inventoryItem"], f"{sku}: inventoryItem")}
            found[sku] = item_from(inner)
        elif not SKU_UNKNOWN & codes_of(errors_in(row)) and row.get("statusCode") != 404:
            raise MalformedError(f"a row of bulkGetInventoryItem: {words_of(errors_in(row)) or str(row)[:80]}")
    return found


def offers_from(document: Any) -> tuple[Offer, ...]:
    """The offers of a getOffers answer. Raises MalformedError."""
    return tuple(_offer(one) for one in list_in(document, "offers"))


def _offer(document: Any) -> Offer:
    offer = an_object(document, "an offer")
    offer_id = a_text(offer.get("offerId"), "offerId")
    listing = an_object(offer.get("listing") or {}, f"offer {offer_id}: listing")
    told = offer.get("availableQuantity")
    status = listing.get("listingStatus")
    return Offer(
        offer_id=offer_id,
        listing_id=str(listing.get("listingId") or ""),
        units=None if told is None else units_from(told, what=f"offer {offer_id}: availableQuantity"),
        is_live=offer.get("status") == "PUBLISHED" and (status is None or status in _LIVE),
        is_fixed_price=offer.get("format", "FIXED_PRICE") == "FIXED_PRICE",
        is_on_hold=listing.get("listingOnHold") is True,
        marketplace_id=str(offer.get("marketplaceId") or ""),
    )


def update(rows: Sequence[tuple[Item, Sequence[Offer], int]]) -> dict[str, Any]:
    """The body of bulkUpdatePriceQuantity: each item with these offers of it gets so many units.

    "The listing shows the lesser of both": the quantity is set on the item and on its offers alike.
    """
    return {"requests": [_row(item, offers, units) for item, offers, units in rows]}


def _row(item: Item, offers: Sequence[Offer], units: int) -> dict[str, Any]:
    available: dict[str, Any] = {"quantity": units}
    if item.locations:
        available["availabilityDistributions"] = [
            {"merchantLocationKey": location, "quantity": units} for location in item.locations
        ]
    row: dict[str, Any] = {"sku": item.sku, "shipToLocationAvailability": available}
    if offers:
        row["offers"] = [{"offerId": offer.offer_id, "availableQuantity": units} for offer in offers]
    return row


def results_of(document: Any) -> list[RowResult]:
    """The rows of a bulkUpdatePriceQuantity answer. Raises MalformedError: then nobody knows what was done."""
    return [_result(row) for row in list_in(document, "responses")]


def is_in_doubt(rows: Sequence[RowResult]) -> bool:
    """Whether nobody can tell what these rows of one item have done.

    The item and its offer are two figures, and only one of them was written; or eBay itself stumbled.
    """
    failed = [row for row in rows if not row.is_done]
    return 0 < len(failed) < len(rows) or any(SYSTEM in row.codes for row in failed)


def _result(document: Any) -> RowResult:
    row: Mapping[str, Any] = an_object(document, "a row")
    status = row.get("statusCode")
    if not isinstance(status, int) or isinstance(status, bool):
        raise MalformedError("a row without a status")
    errors = errors_in(row)
    return RowResult(
        sku=str(row.get("sku") or ""),
        offer_id=str(row.get("offerId") or ""),
        # A row with errors is no success, whatever its status says.
        status=500 if errors and 200 <= status < 300 else status,
        codes=codes_of(errors),
        words=words_of(errors) or f"status {status}",
    )
