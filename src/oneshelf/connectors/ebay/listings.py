"""Reading what is on sale: both worlds, page by page or a few listings at once, each listing once.

The Inventory API tells items by the page (its `offset` is the number of a page), and offers only SKU by SKU. The
Trading API grants 5,000 calls a day for all that it is used for; a page of what is on sale has 200 listings, and SKUs
cannot be asked for (https://developer.ebay.com/support/kb-article?KBid=1867, checked 2026-11-26). So a few listings are
read one by one, and many by reading all pages, whichever takes fewer calls.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Literal, Self

import msgspec

from oneshelf.clock import Clock
from oneshelf.connectors.ebay import inventory, trading
from oneshelf.connectors.ebay.api import INVENTORY, EbayApi, document_of
from oneshelf.connectors.ebay.aside import Aside
from oneshelf.connectors.ebay.ended import EndedLately
from oneshelf.connectors.ebay.inventory import BATCH_MAX, Item, Offer
from oneshelf.connectors.ebay.shelf import (
    InInventory,
    InTrading,
    Memory,
    Shown,
    item_id_in,
    merged,
    shown_aside,
    shown_deleted,
    shown_in_inventory,
    shown_in_trading,
    sold_twice,
)
from oneshelf.connectors.ebay.trading import Ended, Offered
from oneshelf.domain.identity import ChannelSku
from oneshelf.errors import MalformedError, invariant
from oneshelf.sdk.fault import RefusedError
from oneshelf.sdk.message import StockPage, StockReading

# SKUs that nobody knows are looked for on all pages not more often than this: new ones are found by sweeps.
LOOK_ALL_S = 900.0
# The more pages there are, the rarer: so 1,440 of the day's calls at most go into it.
LOOK_ALL_S_A_PAGE = 60.0
# What was not on any of these pages so long ago at most is not on sale.
ABSENT_S = 60.0
PAGES_MAX = 1000
RELISTED_MAX = 10


class StockCursor(msgspec.Struct, frozen=True, kw_only=True):
    """Where a walk over all listings stands: the world, and the next page of it."""

    world: Literal["inventory", "trading"] = "inventory"
    page: int = 0

    @classmethod
    def from_text(cls, text: str) -> Self:
        """The cursor we gave out. Raises MalformedError for a text that is none."""
        try:
            return msgspec.json.decode(text, type=cls)
        except (msgspec.DecodeError, msgspec.ValidationError) as problem:
            raise MalformedError(f"not a cursor of an eBay channel: {problem}") from None

    def text(self) -> str:
        return msgspec.json.encode(self).decode()


class Listings:
    """The listings of one account. It remembers where each is written, and what it shows only to tell what changed."""

    def __init__(self, api: EbayApi, *, clock: Clock, aside: Aside) -> None:
        self._api = api
        self._clock = clock
        self.memory = Memory()
        # Listings that were taken off sale for want of units, and that go on sale again when there are some.
        self.aside = aside
        self._ended = EndedLately(api, clock=clock)
        self._page_count = 1
        self._looked_at = float("-inf")
        # Variations of live listings of Seller Hub to which zero was the last that eBay accepted from this process.
        self.zeroed: set[ChannelSku] = set()
        # Listing -> the units that it showed when it was read, or is to show since it was written. Never written by.
        self.figures: dict[ChannelSku, int] = {}
        # SKU -> item ids, as the Trading pages have shown it; of the listings of the other world too.
        self._item_ids: dict[ChannelSku, set[str]] = {}
        # SKU -> item id, of the walk over the Trading pages that is under way.
        self._walked: dict[ChannelSku, str] = {}

    def note_variation(self, channel_sku: ChannelSku, place: InTrading, *, units: int) -> None:
        """EBay accepted this quantity of a listing, or of one variation of it."""
        if place.sku and not units:
            self.zeroed.add(channel_sku)
        else:
            self.zeroed.discard(channel_sku)

    def note_figures(self, units: Mapping[ChannelSku, int | None]) -> None:
        """These were read, or eBay has accepted them."""
        self.figures.update({sku: told for sku, told in units.items() if told is not None})

    def is_known_absent(self) -> bool:
        """Whether all that is on sale was looked through just now, so that what was not found there is not on sale."""
        return self._clock.monotonic() - self._looked_at < ABSENT_S

    # All -----------------------------------------------------------------------------------------------------

    async def page(self, cursor: str | None) -> StockPage:
        """One page of all listings."""
        at = StockCursor() if cursor is None else StockCursor.from_text(cursor)
        await self.aside.look()
        if at.world == "inventory":
            items, total = await self._items_page(at.page)
            shown = await self._with_offers(items)
            is_last = (at.page + 1) * BATCH_MAX >= total
            following = StockCursor(world="trading", page=1) if is_last else StockCursor(page=at.page + 1)
            return StockPage(await self._told(shown), following.text())
        offered, pages = await self._active_page(at.page)
        if at.page == 1:
            self._walked.clear()
        shown = await self._of_trading(offered)
        next_cursor = StockCursor(world="trading", page=at.page + 1).text() if at.page < pages else None
        return StockPage(await self._told(shown), next_cursor)

    async def _items_page(self, page: int) -> tuple[list[Item], int]:
        params = {"limit": str(BATCH_MAX), "offset": str(page)}
        reply = await self._api.read(
            "getInventoryItems", "GET", f"{inventory.PATH}/inventory_item", budget=INVENTORY, params=params
        )
        if reply.status == 404:
            # So it is where the account has no inventory item at all.
            return [], 0
        return inventory.items_page(document_of("getInventoryItems", reply))

    async def _with_offers(self, items: Iterable[Item]) -> list[Shown]:
        """The items that are or were listed, each with its offers."""
        found = []
        for item in items:
            offers = await self._offers(item.sku)
            is_aside = await self._is_aside(item, offers)
            shown = shown_in_inventory(
                item,
                offers,
                is_aside=is_aside,
                aside_offer_id=self.aside.offer_id(ChannelSku(item.sku)),
                marketplace_id=self._api.account.marketplace_id,
            )
            found.append(shown)
        return [shown for shown in found if shown is not None]

    async def _is_aside(self, item: Item, offers: Sequence[Offer]) -> bool:
        """Whether an item whose offer is not live went off sale for want of units, and has some again.

        Either we withdrew it, or eBay ended it, as it was sold out; a figure of ours may arrive after that, or an order
        be cancelled.
        """
        channel_sku = ChannelSku(item.sku)
        if self.aside.item_id(channel_sku) is not None:
            return True
        if not offers or not item.units or any(offer.is_live for offer in offers):
            return False
        known = self.memory.place(channel_sku)
        if isinstance(known, InInventory) and known.is_live:
            _rows, ended = await self._item(known.offers[0].listing_id)
        else:
            ended = await self._ended.of(channel_sku)
        if ended is None or ended.is_by_somebody:
            return False
        await self.aside.note(channel_sku, ended.item_id)
        return True

    async def _offers(self, sku: str) -> tuple[Offer, ...]:
        params = {"sku": sku, "limit": str(BATCH_MAX)}
        reply = await self._api.read("getOffers", "GET", f"{inventory.PATH}/offer", budget=INVENTORY, params=params)
        if reply.status == 404:
            return ()
        return inventory.offers_from(document_of("getOffers", reply))

    async def _active_page(self, page: int) -> tuple[list[Offered], int]:
        answer = await self._api.trading_read("GetMyeBaySelling", trading.active_list(page))
        offered, pages = trading.listings_in(answer)
        if pages > PAGES_MAX:
            raise MalformedError(f"GetMyeBaySelling tells of {pages} pages")
        self._page_count = max(1, pages)
        for one in offered:
            if one.sku and one.is_active:
                self._item_ids.setdefault(ChannelSku(one.sku), set()).add(one.item_id)
        return offered, pages

    async def _of_trading(self, offered: Iterable[Offered]) -> list[Shown]:
        """Those of these listings that are not written through the Inventory API: it has told them already.

        One that stands under a SKU of another listing is told as such.
        """
        rows = [shown for one in offered if (shown := shown_in_trading(one)) is not None]
        await self._look_up([shown.reading.channel_sku for shown in rows if self._is_new(shown)])
        told: list[Shown] = []
        for shown in rows:
            channel_sku, item_id = shown.reading.channel_sku, shown.reading.group
            known = self.memory.place(channel_sku)
            if isinstance(known, InInventory) and known.is_live:
                if known.offers[0].listing_id == item_id:
                    continue
                shown = sold_twice(shown)
            elif self._walked.setdefault(channel_sku, item_id) != item_id:
                shown = sold_twice(shown)
            told.append(shown)
        return told

    def _is_new(self, shown: Shown) -> bool:
        known = self.memory.place(shown.reading.channel_sku)
        is_same = isinstance(known, InTrading) and known.item_id == shown.reading.group
        return not (is_same or isinstance(known, InInventory)) and item_id_in(shown.reading.channel_sku) is None

    async def _told(self, shown: Iterable[Shown]) -> tuple[StockReading, ...]:
        by_sku = merged(shown)
        await self._remember(by_sku)
        return tuple(one.reading for one in by_sku.values())

    async def _remember(self, shown: Mapping[ChannelSku, Shown]) -> None:
        """Know where these are written; what stands on sale again is not aside any more."""
        self.memory.remember(shown)
        self.note_figures({sku: one.reading.units for sku, one in shown.items()})
        live = {sku: one.reading.group for sku, one in shown.items() if one.place is not None and one.place.is_live}
        await self.aside.drop([sku for sku, item_id in live.items() if self.aside.is_over(sku, live_item_id=item_id)])

    def reported(self, offered: Iterable[Offered], *, walked: dict[ChannelSku, str]) -> list[StockReading]:
        """One listing of a report of all that is on sale, which tells neither titles nor where anything is written.

        `walked`: SKU -> item id, of the listings before it: one SKU on two of them cannot be written.
        """
        told: list[StockReading] = []
        for channel_sku, one in merged(row for row in map(shown_in_trading, offered) if row is not None).items():
            item_id = one.reading.group
            is_twice = walked.setdefault(channel_sku, item_id) != item_id
            if is_twice:
                one = sold_twice(one)
                self.memory.remember({channel_sku: one})
            if one.reading.merchant_sku is not None:
                self._item_ids.setdefault(channel_sku, set()).add(item_id)
            told.append(replace(one.reading, title=""))
        self.note_figures({reading.channel_sku: reading.units for reading in told})
        return told

    # Some ----------------------------------------------------------------------------------------------------

    async def read(self, channel_skus: Sequence[ChannelSku]) -> tuple[StockReading, ...]:
        """What is shown for these now. One that is not on sale any more is left out."""
        invariant(len(channel_skus) <= BATCH_MAX, f"{len(channel_skus)} listings in one reading of eBay")
        wanted = list(dict.fromkeys(channel_skus))
        await self.aside.look()
        if not wanted:
            return ()
        in_trading = [sku for sku in wanted if isinstance(self.memory.place(sku), InTrading) or item_id_in(sku)]
        found = await self._look_up([sku for sku in wanted if sku not in set(in_trading)])
        # An item whose offer is not live may be listed in the other world.
        rest = [sku for sku in wanted if sku not in found or not _is_live(found[sku])]
        for channel_sku, shown in (await self._read_trading(rest)).items():
            is_twice = channel_sku in found and _is_live(found[channel_sku])
            found[channel_sku] = sold_twice(shown) if is_twice else shown
        for channel_sku in wanted:
            if channel_sku not in found:
                self.memory.forget(channel_sku)
                self._item_ids.pop(channel_sku, None)
        await self._remember(found)
        return tuple(found[sku].reading for sku in wanted if sku in found)

    async def _look_up(self, skus: Sequence[ChannelSku]) -> dict[ChannelSku, Shown]:
        """Those of these SKUs that are listings of the Inventory API; they are remembered."""
        found: dict[ChannelSku, Shown] = {}
        # No SKU of the Inventory API is longer, and one that is would make the whole question fail.
        askable = [sku for sku in dict.fromkeys(skus) if 0 < len(sku) <= inventory.SKU_LENGTH_MAX]
        for start in range(0, len(askable), BATCH_MAX):
            batch = askable[start : start + BATCH_MAX]
            reply = await self._api.read(
                "bulkGetInventoryItem",
                "POST",
                f"{inventory.PATH}/bulk_get_inventory_item",
                budget=INVENTORY,
                json={"requests": [{"sku": sku} for sku in batch]},
            )
            items = inventory.items_batch(document_of("bulkGetInventoryItem", reply))
            known = [items[sku] for sku in batch if sku in items]
            found.update((one.reading.channel_sku, one) for one in await self._with_offers(known))
        self.memory.remember(found)
        return found

    async def _read_trading(self, channel_skus: Sequence[ChannelSku]) -> dict[ChannelSku, Shown]:
        """Those of these listings that are on sale by the Trading API."""
        item_ids = {sku: ids for sku in channel_skus if (ids := self._known_ids(sku))}
        unknown = [sku for sku in channel_skus if sku not in item_ids]
        every_s = max(LOOK_ALL_S, self._page_count * LOOK_ALL_S_A_PAGE)
        is_due = self._clock.monotonic() - self._looked_at >= every_s
        wanted = set(channel_skus)
        asked = sorted(set().union(*item_ids.values()))
        rows: list[Shown] = []
        if (unknown and is_due) or len(asked) > self._page_count:
            rows = await self._all_active()
            on_sale = {row.reading.channel_sku for row in rows}
            item_ids = {sku: ids for sku, ids in item_ids.items() if sku not in on_sale}
            unknown = [sku for sku in unknown if sku not in on_sale]
            asked = sorted(set().union(*item_ids.values()))
        asked.extend(sorted({end.item_id for sku in unknown if (end := await self._ended_unseen(sku)) is not None}))
        ended: list[Ended] = []
        for item_id in asked:
            live, end = await self._latest(item_id)
            rows.extend(live)
            if end is not None:
                ended.append(end)
        gone = set(asked) - {row.reading.group for row in rows}
        for ids in self._item_ids.values():
            ids -= gone
        found = {sku: one for sku, one in merged(rows).items() if sku in wanted}
        for channel_sku in (wanted & self.zeroed) - set(found):
            place = self.memory.place(channel_sku)
            if isinstance(place, InTrading) and any(row.reading.group == place.item_id for row in rows):
                found[channel_sku] = shown_deleted(channel_sku, place)
        for end in ended:
            for channel_sku in wanted & {ChannelSku(sku) for sku in end.skus} - set(found):
                if await self._went_for_want_of_units(channel_sku, end):
                    place = InTrading(end.item_id, channel_sku if end.is_variations else "", is_live=False)
                    found[channel_sku] = shown_aside(channel_sku, place)
        return found

    async def _ended_unseen(self, channel_sku: ChannelSku) -> Ended | None:
        """How a listing ended that this process has never seen on sale."""
        if isinstance(self.memory.place(channel_sku), InInventory):
            return None
        return await self._ended.of(channel_sku)

    async def _went_for_want_of_units(self, channel_sku: ChannelSku, end: Ended) -> bool:
        """Whether we ended the listing, or eBay did, as it was sold out. What a person ended is left alone."""
        if isinstance(self.memory.place(channel_sku), InInventory):
            return False
        if self.aside.item_id(channel_sku) == end.item_id:
            return True
        if end.is_by_somebody:
            return False
        await self.aside.note(channel_sku, end.item_id)
        return True

    async def _latest(self, item_id: str) -> tuple[list[Shown], Ended | None]:
        """The listing as it is on sale, or how it ended; under the item id of now, where it was listed anew."""
        rows, end = await self._item(item_id)
        for _ in range(RELISTED_MAX):
            if rows or end is None or not end.relisted_as:
                break
            rows, end = await self._item(end.relisted_as)
        return rows, end

    def _known_ids(self, channel_sku: ChannelSku) -> set[str]:
        """The item ids under which it was seen."""
        place = self.memory.place(channel_sku)
        own = place.item_id if isinstance(place, InTrading) else item_id_in(channel_sku)
        noted = None if isinstance(place, InInventory) else self.aside.item_id(channel_sku)
        return self._item_ids.get(channel_sku, set()) | {item_id for item_id in (own, noted) if item_id}

    async def _all_active(self) -> list[Shown]:
        """All that is on sale, from all pages. Raises RetryLaterError."""
        rows: list[Shown] = []
        page, pages = 1, 1
        while page <= pages:
            offered, pages = await self._active_page(page)
            rows.extend(shown for one in offered if (shown := shown_in_trading(one)) is not None)
            page += 1
        self._looked_at = self._clock.monotonic()
        return rows

    async def _item(self, item_id: str) -> tuple[list[Shown], Ended | None]:
        """One listing, with its variations, or how it ended; neither where it is not there any more."""
        try:
            answer = await self._api.trading_read("GetItem", trading.get_item(item_id))
        except RefusedError as refusal:
            if any(f"GetItem: {code}:" in str(refusal) for code in trading.GONE):
                return [], None
            raise
        item = answer.find(f"{{{trading.NAMESPACE}}}Item")
        if item is None:
            raise MalformedError("GetItem answered without an item")
        rows = [shown for one in trading.offered_in(item) if (shown := shown_in_trading(one)) is not None]
        return rows, trading.ended_in(item)


def _is_live(shown: Shown) -> bool:
    """Whether the Inventory API shows it on sale, or knows why it may not be written."""
    return not isinstance(shown.place, InInventory) or shown.place.is_live
