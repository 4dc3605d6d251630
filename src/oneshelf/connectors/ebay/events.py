"""Listings that somebody changed lately: found some minutes later, and not by the next pass over all of them.

No notification of eBay's tells of a quantity. GetSellerEvents tells what changed within the last 48 hours, in one call
(https://developer.ebay.com/devzone/xml/docs/reference/ebay/GetSellerEvents.html, schema 1379, checked 2026-11-26). Our
own writes are among it, and sales: what shows the figure that we know is left out, and of the rest no more are told
than the day's 5,000 Trading calls can bear, what went up first. It would be sold without being there.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime, timedelta

from oneshelf.connectors.ebay import trading
from oneshelf.connectors.ebay.api import EbayApi
from oneshelf.connectors.ebay.listings import Listings
from oneshelf.connectors.ebay.shelf import restful_id
from oneshelf.domain.identity import ChannelSku
from oneshelf.errors import MalformedError
from oneshelf.sdk.fault import ChannelFault

# 144 calls a day, and 1,440 at most for reading what they tell.
EVERY = timedelta(minutes=10)
TOLD_MAX = 10
# eBay's clock may be apart from ours, by this at the older end and by so much at the newer one.
BACK_MOST = timedelta(hours=47)
OVERLAP = timedelta(minutes=2)


class ChangedLately:
    """What changed of one account's listings that was not by us, as far as this process has read them."""

    def __init__(self, api: EbayApi, listings: Listings) -> None:
        self._api = api
        self._listings = listings

    async def since(self, at: datetime | None, *, now: datetime) -> tuple[Sequence[ChannelSku], datetime]:
        """Those that show another figure than we know, and until when that was asked for.

        `at`: until when it was asked for before; None: never. Where eBay does not answer, nothing is told, and it is
        asked for again.
        """
        if at is None:
            return (), now
        if now - at < EVERY:
            return (), at
        body = trading.seller_events(max(at - OVERLAP, now - BACK_MOST))
        with suppress(ChannelFault, MalformedError):
            return self._told(trading.events_in(await self._api.trading_read("GetSellerEvents", body))), now
        return (), at

    def _told(self, changed: Sequence[trading.Offered]) -> Sequence[ChannelSku]:
        rises: dict[ChannelSku, int] = {}
        for one in changed:
            channel_sku = ChannelSku(one.sku or restful_id(one.item_id))
            known, units = self._listings.figures.get(channel_sku), one.units if one.is_active else 0
            if known is not None and units is not None and units != known:
                rises[channel_sku] = units - known
        return sorted(rises, key=lambda sku: (-rises[sku], sku))[:TOLD_MAX]
