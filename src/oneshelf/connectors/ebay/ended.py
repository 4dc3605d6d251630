"""Listings that ended lately, and how: what no list of what is on sale tells, and a process that started since missed.

https://developer.ebay.com/devzone/xml/docs/reference/ebay/GetSellerList.html (schema 1379, checked 2026-11-26).
"""

from __future__ import annotations

from datetime import timedelta

from oneshelf.clock import Clock
from oneshelf.connectors.ebay import trading
from oneshelf.connectors.ebay.api import EbayApi
from oneshelf.connectors.ebay.trading import Ended
from oneshelf.domain.identity import ChannelSku

# What ended longer ago, and nobody put on sale since, is left to a person.
BACK = timedelta(days=7)
# eBay's clock may be ahead of ours.
AHEAD = timedelta(hours=1)
# Asked for again no sooner than this, and than so much for each page that there was.
EVERY_S = 120.0
EVERY_S_A_PAGE = 60.0
PAGES_MAX = 100


class EndedLately:
    """The last listing of each SKU that ended, of one account. Asked for when somebody wants to know, and kept."""

    def __init__(self, api: EbayApi, *, clock: Clock) -> None:
        self._api = api
        self._clock = clock
        self._known: dict[ChannelSku, Ended] = {}
        self._next_at = float("-inf")

    async def of(self, channel_sku: ChannelSku) -> Ended | None:
        """How the last listing of this SKU ended, as far as eBay told minutes ago. Raises a ChannelFault."""
        await self._look()
        return self._known.get(channel_sku)

    async def _look(self) -> None:
        if self._clock.monotonic() < self._next_at:
            return
        now = self._clock.now()
        found: list[Ended] = []
        page, has_more = 1, True
        while has_more and page <= PAGES_MAX:
            body = trading.ended_list(now - BACK, now + AHEAD, page)
            ended, has_more = trading.ended_on(await self._api.trading_read("GetSellerList", body))
            found.extend(ended)
            page += 1
        found.sort(key=lambda one: one.ended_at)
        self._known = {ChannelSku(sku): one for one in found for sku in one.skus if sku}
        self._next_at = self._clock.monotonic() + max(EVERY_S, (page - 1) * EVERY_S_A_PAGE)
