"""Nothing left, at an account whose out-of-stock control is off: there eBay refuses zero, and goes on selling.

Then the listing is taken off sale: its offer is withdrawn, or it is ended. When units return it is published, or listed
anew, under another item id: watchers, sales and rank are lost. An offer that was withdrawn for this leaves a mark at
eBay itself: its item has the quantity zero. https://developer.ebay.com/api-docs/user-guides/static/
trading-user-guide/out-of-stock.html (checked 2026-11-26).
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace

from oneshelf.clock import Clock
from oneshelf.connectors.ebay import inventory, trading
from oneshelf.connectors.ebay.api import EbayApi
from oneshelf.connectors.ebay.day import is_day_used_up, seconds_to_the_next_day
from oneshelf.connectors.ebay.listings import Listings
from oneshelf.connectors.ebay.offers import Offers
from oneshelf.connectors.ebay.shelf import InInventory, InTrading, Place, item_id_in
from oneshelf.domain.identity import ChannelSku
from oneshelf.errors import MalformedError, invariant
from oneshelf.sdk.fault import ChannelFault, RefusedError
from oneshelf.sdk.message import Accepted, Refused, Throttled, Unknown, UsedUp, WriteOutcome

SETTLES_S = 5.0


class ZeroStrategy:
    """Takes listings off sale that eBay would not set to zero, and brings them back."""

    def __init__(self, api: EbayApi, listings: Listings, *, clock: Clock) -> None:
        self._api = api
        self._listings = listings
        self._clock = clock
        self._offers = Offers(api, listings)

    # The Inventory API ---------------------------------------------------------------------------------------

    async def take_off_sale(self, channel_sku: ChannelSku, place: InInventory, words: str) -> WriteOutcome:
        """Withdraw the offers; `words`: why zero was refused. Where that is refused too, it sells on."""
        try:
            live = place.offers[0]
            await self._listings.aside.note(channel_sku, live.listing_id, offer_id=live.offer_id)
            await self._offers.withdraw(place.offers)
            # Nothing is on sale now, so that nobody refuses the zero any more: it tells whoever looks that we did it.
            await self._offers.set(place.item, ())
        except RefusedError as refusal:
            return self._sells_on(f"so is taking it off sale ({refusal})", words)
        except ChannelFault as fault:
            return Unknown(f"zero is refused ({words}); taking it off sale: {fault}")
        self._listings.memory.put(channel_sku, replace(place, is_live=False))
        return Accepted()

    async def publish(self, channel_sku: ChannelSku, place: Place, units: int) -> WriteOutcome:
        """Put the item's quantity, publish its offers, and then set theirs.

        Until the last call the listing shows the lesser of the new figure and the offer's old one: never too many.
        """
        invariant(isinstance(place, InInventory), f"{channel_sku} has no offer to be published")
        assert isinstance(place, InInventory)  # noqa: S101  # for the type checker
        # With units it looks as if a person had withdrawn it, until it is on sale.
        if self._listings.aside.item_id(channel_sku) is None:
            ended = place.offers[0]
            await self._listings.aside.note(channel_sku, ended.listing_id, offer_id=ended.offer_id)
        await self._offers.set(place.item, (), units=units)
        try:
            await self._offers.give_units(place.offers, units)
            await self._offers.publish(channel_sku, place)
        except RefusedError as refusal:
            if f" {inventory.INVALID_QUANTITY}: " in str(refusal):
                # eBay accepts a quantity some seconds before it goes by it; and what the offer has is read anew.
                self._listings.memory.forget(channel_sku)
                return Throttled(SETTLES_S)
            return Refused(f"its offer cannot be published again: {refusal}")
        except MalformedError as unread:
            return Unknown(str(unread))
        try:
            await self._offers.set(place.item, place.offers, units=units)
        except (ChannelFault, MalformedError) as fault:
            # It is on sale by now, whatever it shows: nobody may take it for a listing that shows nothing.
            self._listings.memory.forget(channel_sku)
            return Unknown(f"it is on sale again, and its figure is not set: {fault}")
        # Its item id is a new one: the next reading tells.
        await self._on_sale_again(channel_sku)
        return Accepted()

    async def _on_sale_again(self, channel_sku: ChannelSku) -> None:
        """It will be looked up. A note that cannot be dropped now ends when somebody sees it on sale."""
        self._listings.memory.forget(channel_sku)
        with suppress(ChannelFault):
            await self._listings.aside.drop([channel_sku])

    def _sells_on(self, why: str, words: str) -> WriteOutcome:
        """Zero failed both ways. A day that is used up ends by itself; all else is for a person."""
        said = f"zero is refused ({words}), and {why}: {way_out(words)}"
        if is_day_used_up(words):
            return UsedUp(seconds_to_the_next_day(self._clock.now()), said)
        return Refused(said)

    # The Trading API -----------------------------------------------------------------------------------------

    async def end(self, channel_sku: ChannelSku, place: InTrading, words: str) -> WriteOutcome:
        """End the listing. Not one of several variations, which would all end; nor what has no SKU, since its name
        would be another one afterwards. `words`: why zero was refused."""
        if place.sku or item_id_in(channel_sku):
            what = "one of several variations" if place.sku else "a listing without a SKU"
            return self._sells_on(f"{what} is not ended for it", words)
        try:
            await self._listings.aside.note(channel_sku, place.item_id)
            answer = await self._api.trading_write("EndFixedPriceItem", trading.end_item(place.item_id))
        except ChannelFault as fault:
            return Unknown(f"zero is refused ({words}); ending the listing: {fault}")
        problems = trading.errors_in(answer)
        if trading.is_failure(answer) and not any(one.code in trading.ENDED_ALREADY for one in problems):
            refusal = trading.words_of(problems)
            return self._sells_on(f"so is ending the listing ({refusal})", words)
        self._listings.memory.put(channel_sku, replace(place, is_live=False))
        return Accepted()

    async def relist(self, channel_sku: ChannelSku, place: InTrading, units: int) -> WriteOutcome:
        """List what was ended anew.

        Not a listing with variations: "0 when you relist, the variation is dropped from the listing", and one that
        is not told of comes back with an old quantity
        (https://developer.ebay.com/DevZone/merchant-data/CallRef/types/VariationType.html, checked 2026-11-26).
        """
        if place.sku:
            words = f"eBay ended {place.item_id} with all its variations, as the last of them had sold out"
            return Refused(f"{words}: relist it at eBay with the quantities of all, out-of-stock control switched on")
        answer = await self._api.trading_write("RelistFixedPriceItem", trading.relist_item(place.item_id, units))
        if trading.is_failure(answer):
            refusal = trading.words_of(trading.errors_in(answer))
            return Refused(f"it was ended when nothing was left, and cannot be listed anew: {refusal}")
        await self._on_sale_again(channel_sku)
        self._listings.memory.put(channel_sku, InTrading(trading.new_item_id(answer), place.sku))
        return Accepted()


def way_out(words: str) -> str:
    """What a person can do about a listing that sells on. `words`: why its zero was refused."""
    if is_day_used_up(words):
        return "end it by hand; it is tried again once the day is over at eBay"
    return "switch out-of-stock control on at eBay (Site preferences), or end it by hand"
