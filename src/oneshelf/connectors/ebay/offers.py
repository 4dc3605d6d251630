"""Offers of the Inventory API on their way on sale and off it: alone, or as variations of one listing, all together.

https://developer.ebay.com/api-docs/sell/inventory/resources/offer/methods (v1.18, checked 2026-11-26).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote

from oneshelf.connectors.ebay import inventory
from oneshelf.connectors.ebay.api import INVENTORY, EbayApi, document_of, is_success, refuse
from oneshelf.connectors.ebay.inventory import BATCH_MAX, Item, Offer
from oneshelf.connectors.ebay.json_reading import a_text, error_words
from oneshelf.connectors.ebay.listings import Listings
from oneshelf.connectors.ebay.shelf import InInventory
from oneshelf.domain.identity import ChannelSku
from oneshelf.errors import MalformedError
from oneshelf.sdk.fault import OutcomeUnknownError, RefusedError, RetryLaterError

IS_LIVE_S = 5.0
_USER_ERROR = f" {inventory.USER_ERROR}: "


class Offers:
    """Publishes offers, withdraws them and writes their quantities. Raises RefusedError in eBay's words."""

    def __init__(self, api: EbayApi, listings: Listings) -> None:
        self._api = api
        self._listings = listings

    async def withdraw(self, offers: Sequence[Offer]) -> None:
        for offer in offers:
            await self._post("withdrawOffer", f"{offer.offer_id}/withdraw", {})

    async def publish(self, channel_sku: ChannelSku, place: InInventory) -> None:
        """Put the item's offers on sale; with its group, where it is a variation of a listing."""
        try:
            for offer in place.offers:
                await self._post("publishOffer", f"{offer.offer_id}/publish", {})
        except RefusedError as refusal:
            group = await self._group_of(channel_sku) if _USER_ERROR in str(refusal) else None
            if group is None:
                raise
            await self._publish_group(channel_sku, group)

    async def give_units(self, offers: Sequence[Offer], units: int) -> None:
        """A quantity for offers that have none left: one that is not on sale is not reached by the bulk call.

        updateOffer replaces the whole offer, so all that it has is sent back.
        """
        for offer in offers:
            if offer.units != 0:
                continue
            path = f"{inventory.PATH}/offer/{offer.offer_id}"
            told = document_of("getOffer", await self._api.read("getOffer", "GET", path, budget=INVENTORY))
            document = {name: told[name] for name in inventory.OFFER_MEMBERS if name in told}
            document["availableQuantity"] = units
            reply = await self._api.write("updateOffer", "PUT", path, budget=INVENTORY, json=document)
            refuse("updateOffer", reply)

    async def set(self, item: Item, offers: Sequence[Offer], *, units: int = 0) -> None:
        """Write the item's quantity, and that of these offers of it, which are on sale.

        Raises OutcomeUnknownError where nobody can tell what was written, and RetryLaterError where another write to it
        is under way.
        """
        reply = await self._api.write(
            "bulkUpdatePriceQuantity",
            "POST",
            f"{inventory.PATH}/bulk_update_price_quantity",
            budget=INVENTORY,
            json=inventory.update([(item, offers, units)]),
        )
        refuse("bulkUpdatePriceQuantity", reply)
        results = inventory.results_of(reply.document())
        failed = [row for row in results if not row.is_done]
        words = f"bulkUpdatePriceQuantity: {'; '.join(row.words for row in failed)}"
        if inventory.is_in_doubt(results):
            raise OutcomeUnknownError(words)
        if any(inventory.CONCURRENT in row.codes for row in failed):
            raise RetryLaterError(words)
        if failed:
            raise RefusedError(words)
        if not results:
            raise MalformedError("bulkUpdatePriceQuantity answered without a row")

    async def _post(self, operation: str, act: str, document: Mapping[str, Any]) -> None:
        path = f"{inventory.PATH}/offer/{act}"
        reply = await self._api.write(operation, "POST", path, budget=INVENTORY, json=document)
        if not is_success(reply) and (reply.status < 400 or reply.status == 408):
            raise OutcomeUnknownError(f"{operation}: {reply.status} {error_words(reply.body)}")
        refuse(operation, reply)

    # Variations of one listing -------------------------------------------------------------------------------

    async def _group_of(self, channel_sku: ChannelSku) -> str | None:
        """The group whose listing this item is a variation of."""
        path = f"{inventory.PATH}/inventory_item/{quote(channel_sku, safe='')}"
        reply = await self._api.read("getInventoryItem", "GET", path, budget=INVENTORY)
        groups = inventory.groups_of(document_of("getInventoryItem", reply))
        return groups[0] if len(groups) == 1 else None

    async def _publish_group(self, channel_sku: ChannelSku, group: str) -> None:
        """Put all variations on sale. The others show nothing until they are written themselves.

        Raises RefusedError where a person took them off sale, and RetryLaterError where they are on sale already.
        """
        path = f"{inventory.PATH}/inventory_item_group/{quote(group, safe='')}"
        told = document_of(
            "getInventoryItemGroup", await self._api.read("getInventoryItemGroup", "GET", path, budget=INVENTORY)
        )
        skus = [ChannelSku(a_text(sku, "a SKU of the group")) for sku in told.get("variantSKUs") or []]
        for start in range(0, len(skus), BATCH_MAX):
            await self._listings.read(skus[start : start + BATCH_MAX])
        for sku in skus:
            place = self._listings.memory.place(sku)
            if isinstance(place, str):
                raise RefusedError(f"{sku}, another variation of the listing: {place}")
            if isinstance(place, InInventory) and place.is_live:
                self._listings.memory.forget(channel_sku)
                raise RetryLaterError("its listing is on sale already", retry_after_s=IS_LIVE_S)
            if sku != channel_sku and isinstance(place, InInventory) and place.item.units:
                # What was on its way on sale before, and did not get there.
                await self.set(place.item, ())
        document = {"inventoryItemGroupKey": group, "marketplaceId": self._api.account.marketplace_id}
        await self._post("publishOfferByInventoryItemGroup", "publish_by_inventory_item_group", document)
        for sku in skus:
            self._listings.memory.forget(sku)
