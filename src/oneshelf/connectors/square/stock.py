"""What Square shows: variations of the catalog, and how many of each are in stock at one location.

Sources (version 2026-09-16, checked 2026-11-26): POST /v2/catalog/search, at most 1,000 in a page and none that is
deleted; POST /v2/catalog/batch-retrieve, at most 1,000 ids; POST /v2/inventory/counts/batch-retrieve, at most 1,000
in a page. How old an answer may be is not documented.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from oneshelf.connectors.square.api import SquareApi
from oneshelf.connectors.square.documents import (
    IN_STOCK,
    CatalogObject,
    CatalogObjects,
    Counts,
    VariationFacts,
    an_id,
    is_id,
    units_shown,
)
from oneshelf.domain.identity import ChannelSku, printable
from oneshelf.errors import MalformedError, invariant
from oneshelf.sdk.fault import RetryLaterError
from oneshelf.sdk.message import StockPage, StockReading

# More would be taken; so many are read, written and told in one call each.
PAGE = 100
COUNT_PAGES_MAX = 20
COUNTS_PATH = "/v2/inventory/counts/batch-retrieve"
NO_TRACKING = "Square does not track its stock at this location: switch on stock tracking for it in the item library"
BY_MEASURE = "it is sold by measure, and a figure here is whole units"
NOT_STOCKED = "its stock is counted on another variation, from which Square works it out"
NOT_HERE = "it is not on sale at this location: switch the location on for it in the item library"
SOLD_OUT = "somebody marked it as sold out by hand, which no program may undo: unmark it in the item library"
UNKNOWN = "Square has no such item variation: it was deleted, or never there"


class Shelf:
    """The variations at one location. It remembers what stands against writing each, and no quantity."""

    def __init__(self, api: SquareApi, *, location: str) -> None:
        self._api = api
        self._location = location
        # Variation -> why it may not be written; empty: it may.
        self._obstacles: dict[ChannelSku, str] = {}

    async def page(self, cursor: str | None) -> StockPage:
        """Raises RetryLaterError, ReauthenticateError, RefusedError."""
        asked: dict[str, object] = {
            "object_types": ["ITEM_VARIATION"],
            "include_related_objects": True,
            "limit": PAGE,
            **({"cursor": cursor} if cursor else {}),
        }
        found = await self._api.read(CatalogObjects, "POST", "/v2/catalog/search", asked)
        return StockPage(await self._readings(found), found.cursor or None)

    async def read(self, channel_skus: Sequence[ChannelSku]) -> tuple[StockReading, ...]:
        """Raises RetryLaterError, ReauthenticateError, RefusedError."""
        invariant(len(channel_skus) <= PAGE, f"{len(channel_skus)} listings in one reading of Square")
        known = [sku for sku in dict.fromkeys(channel_skus) if is_id(sku)]
        if not known:
            return ()
        asked = {"object_ids": known, "include_related_objects": True}
        found = await self._api.read(CatalogObjects, "POST", "/v2/catalog/batch-retrieve", asked)
        readings = await self._readings(found)
        shown = {reading.channel_sku for reading in readings}
        self._obstacles.update((sku, UNKNOWN) for sku in known if sku not in shown)
        return readings

    async def obstacles(self, channel_skus: Sequence[ChannelSku]) -> Mapping[ChannelSku, str]:
        """Why each of these may not be written; empty: it may. What stood against it may be gone, so it is read
        again.
        """
        unclear = [sku for sku in channel_skus if self._obstacles.get(sku, "?")]
        await self.read(unclear)
        return {sku: self._obstacles.get(sku, UNKNOWN) for sku in channel_skus}

    async def _readings(self, found: CatalogObjects) -> tuple[StockReading, ...]:
        variations = [one for one in found.objects or () if one.type == "ITEM_VARIATION" and not one.is_deleted]
        names = {
            one.id: one.item_data.name or ""
            for one in found.related_objects or ()
            if one.type == "ITEM" and one.item_data is not None
        }
        try:
            counts = await self._counts([an_id(one.id, "the id of a variation") for one in variations])
        except MalformedError as problem:
            raise RetryLaterError(f"{COUNTS_PATH}: {problem}") from None
        return tuple(self._reading(one, names, counts) for one in variations)

    async def _counts(self, ids: Sequence[str]) -> dict[str, int]:
        """Variation -> units in stock here. One that was never counted is not in the answer, and has none."""
        counts = dict.fromkeys(ids, 0)
        asked: dict[str, object] = {
            "catalog_object_ids": list(ids),
            "location_ids": [self._location],
            "states": [IN_STOCK],
        }
        for _ in range(COUNT_PAGES_MAX if ids else 0):
            found = await self._api.read(Counts, "POST", COUNTS_PATH, asked)
            for count in found.counts or ():
                is_ours = count.state == IN_STOCK and count.location_id == self._location
                if is_ours and count.catalog_object_id in counts:
                    counts[count.catalog_object_id] = units_shown(count.quantity, f"count of {count.catalog_object_id}")
            if not found.cursor:
                return counts
            asked["cursor"] = found.cursor
        if ids:
            raise MalformedError(f"more than {COUNT_PAGES_MAX} pages of counts of {len(ids)} variations")
        return counts

    def _reading(self, one: CatalogObject, names: Mapping[str, str], counts: Mapping[str, int]) -> StockReading:
        facts = one.item_variation_data or VariationFacts()
        sku, units = ChannelSku(one.id), counts[one.id]
        note = self._note(one, facts, units)
        self._obstacles[sku] = note
        title = " ".join(part for part in (names.get(facts.item_id or "", ""), facts.name or "") if part)
        return StockReading(
            channel_sku=sku,
            units=None if note else units,
            merchant_sku=facts.sku or None,
            title=printable(title or one.id, length_max=200),
            note=note,
        )

    def _note(self, one: CatalogObject, facts: VariationFacts, units: int) -> str:
        """Why the count is not ours to write; empty: it is."""
        override = next((o for o in facts.location_overrides or () if o.location_id == self._location), None)
        own = override.track_inventory if override else None
        if not self._is_here(one):
            return NOT_HERE
        # "If both global and location-level values are unset, inventory tracking is disabled."
        if not (facts.track_inventory if own is None else own):
            return NO_TRACKING
        if facts.measurement_unit_id:
            return BY_MEASURE
        if facts.stockable is False:
            return NOT_STOCKED
        # Marked by Square itself at zero; by hand at any count, "applications should treat its inventory count as
        # zero".
        return SOLD_OUT if override and override.sold_out and units > 0 else ""

    def _is_here(self, one: CatalogObject) -> bool:
        if one.present_at_all_locations is False:
            return self._location in (one.present_at_location_ids or ())
        return self._location not in (one.absent_at_location_ids or ())
