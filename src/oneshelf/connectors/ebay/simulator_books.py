"""The simulated eBay's books: listings of both worlds, what each variation really sells, and who changes it."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from random import Random

from oneshelf.clock import Clock
from oneshelf.connectors.ebay.simulator_habits import Habits, day_of
from oneshelf.domain.identity import UNITS_MAX
from oneshelf.errors import MalformedError
from oneshelf.sdk.simulator import Action, BookListing, CatalogueItem

# How many former quantities a lagging replica may still show.
PAST_MOST = 64
VARIATIONS_MOST = 3


class Lane(StrEnum):
    """Which API a listing was made with. The other one refuses to change it."""

    INVENTORY = "inventory"
    TRADING = "trading"


@dataclass(slots=True)
class Figures:
    """What eBay keeps of one variation, in units. An offer without a quantity of its own shows the item's.

    A listing made with the Trading API has no offer: its quantity is the item's.
    """

    item_units: int
    offer_units: int | None
    sold: int = 0

    @property
    def units(self) -> int:
        """The smaller one of both: https://developer.ebay.com/api-docs/sell/static/inventory/publishing-offers.html."""
        least = self.item_units if self.offer_units is None else min(self.item_units, self.offer_units)
        return max(0, least)


@dataclass(slots=True)
class Variation:
    """One SKU on one listing. `variation_id` is 0 where the listing has no others. `is_gone`: for good."""

    sku: str
    title: str
    number: int
    listing: Listing
    variation_id: int
    offer_id: str
    figures: Figures
    is_gone: bool = False
    content: dict[str, object] = field(default_factory=dict)
    # What the offer is without since it was replaced, and cannot be published without.
    lacks: frozenset[str] = frozenset()
    # Until an instant these were the figures, the oldest first: a replica that lags behind still shows them.
    past: deque[tuple[float, Figures]] = field(default_factory=lambda: deque(maxlen=PAST_MOST))

    @property
    def is_on_sale(self) -> bool:
        return self.listing.is_live and not self.is_gone

    @property
    def units(self) -> int:
        """What a buyer can buy now."""
        return self.figures.units if self.is_on_sale and not self.listing.is_on_hold else 0

    def figures_at(self, instant: float | None) -> Figures:
        """The figures at a monotonic instant of the last while; None: now."""
        if instant is not None:
            for until, figures in self.past:
                if instant < until:
                    return figures
        return self.figures


@dataclass(slots=True)
class Listing:
    """One listing (an ItemID). A listing that ended and came back is another one."""

    listing_id: str
    lane: Lane
    group_key: str
    started_at: datetime
    changed_at: datetime
    variations: list[Variation] = field(default_factory=list)
    ended_at: datetime | None = None
    # Empty where it sold out, which ends it by itself.
    ending_reason: str = ""
    relisted_as: str = ""
    is_on_hold: bool = False
    busy_until: float = float("-inf")
    shows_at: float = float("-inf")
    # The day whose revisions are counted, and how many there were.
    revisions: tuple[int, int] = (0, 0)

    @property
    def is_live(self) -> bool:
        return self.ended_at is None

    @property
    def left(self) -> list[Variation]:
        return [one for one in self.variations if not one.is_gone]


@dataclass(slots=True)
class Books:
    """All listings. `after` runs an action later, `strikes` throws the dice for a fault; `chance` says how long.

    `now` is what eBay's own clock shows; `clock` only measures.
    """

    random: Random
    chance: Random
    clock: Clock
    now: Callable[[], datetime]
    speed: float
    after: Callable[[float, Action], None]
    strikes: Callable[[str], bool]
    habits: Habits
    catalogue: dict[str, Variation] = field(default_factory=dict)
    listings: dict[str, Listing] = field(default_factory=dict)
    offers: dict[str, Variation] = field(default_factory=dict)
    shown: list[BookListing] = field(default_factory=list)
    # SKUs for which the seed shall not choose: the lane, and a name that the variations of one listing share.
    lanes: dict[str, Lane] = field(default_factory=dict)
    groups: dict[str, str] = field(default_factory=dict)
    no_control_until: float = float("-inf")

    # Putting on sale ---------------------------------------------------------------------------------------

    def stock(self, items: Sequence[CatalogueItem]) -> None:
        """Put these on sale: each by one API or the other, and some neighbours as variations of one listing."""
        known = {*self.catalogue}
        for item in items:
            if not item.sku or item.sku in known or not 0 <= item.units <= UNITS_MAX:
                raise MalformedError(f"{item.sku!r} cannot be listed with {item.units} units, or is listed already")
            known.add(item.sku)
        waiting = list(items)
        while waiting:
            wants_group = self.random.random() < self.habits.group_share
            lane = self._lane_for(waiting[0].sku)
            count = self.random.randint(2, VARIATIONS_MOST) if wants_group else 1
            together = [waiting.pop(0)]
            group = self.groups.get(together[0].sku)
            while waiting and self._goes_with(waiting[0].sku, lane, group=group, has_room=len(together) < count):
                together.append(waiting.pop(0))
            self._list(together, lane)

    def _goes_with(self, sku: str, lane: Lane, *, group: str | None, has_room: bool) -> bool:
        """Whether the SKU is the next variation of a listing."""
        if self.lanes.get(sku, lane) != lane or self.groups.get(sku) != group:
            return False
        return group is not None or has_room

    def _lane_for(self, sku: str) -> Lane:
        drawn = Lane.INVENTORY if self.random.random() < self.habits.inventory_share else Lane.TRADING
        return self.lanes.get(sku, drawn)

    def _list(self, items: Sequence[CatalogueItem], lane: Lane) -> None:
        # Listings were made one after the other, long before today.
        started_at = self.stamp() - timedelta(days=60) + timedelta(seconds=len(self.listings))
        listing = self._new_listing(lane, started_at, is_group=len(items) > 1)
        for item in items:
            number = len(self.shown) + 1
            variation = Variation(
                sku=item.sku,
                title=item.title,
                number=number,
                listing=listing,
                variation_id=4_000_000_000 + number if len(items) > 1 else 0,
                offer_id=f"{8_000_000_000 + number}" if lane is Lane.INVENTORY else "",
                figures=Figures(item.units, item.units if lane is Lane.INVENTORY else None),
            )
            variation.content = {"product": {"title": item.title}, "condition": "NEW"}
            self.shown.append(BookListing(channel_sku=item.sku, merchant_sku=item.sku, units=0))
            self._enter(variation)

    def _new_listing(self, lane: Lane, started_at: datetime, *, is_group: bool) -> Listing:
        number = len(self.listings) + 1
        key = f"GROUP-{number}" if is_group and lane is Lane.INVENTORY else ""
        listing = Listing(f"{110_000_000_000 + number}", lane, key, started_at, started_at)
        self.listings[listing.listing_id] = listing
        return listing

    def _enter(self, variation: Variation) -> None:
        variation.listing.variations.append(variation)
        self.catalogue[variation.sku] = variation
        if variation.offer_id:
            self.offers[variation.offer_id] = variation
        self.show(variation)

    # Reading -----------------------------------------------------------------------------------------------

    def known(self, sku: str, lane: Lane) -> Variation | None:
        """The SKU in this world, on sale or not. None: this world does not know it (any more)."""
        found = self.catalogue.get(sku)
        return None if found is None or found.is_gone or found.listing.lane is not lane else found

    def of_lane(self, lane: Lane) -> Iterator[Variation]:
        """All SKUs of a world that are not gone, in the order in which they were put on sale."""
        return (one for one in self.catalogue.values() if not one.is_gone and one.listing.lane is lane)

    def stamp(self) -> datetime:
        """Now, to a millisecond."""
        now = self.now()
        return now.replace(microsecond=now.microsecond // 1000 * 1000).astimezone(UTC)

    @property
    def has_control(self) -> bool:
        """Whether a listing may stay with nothing left: out-of-stock control."""
        return self.habits.has_out_of_stock_control and self.clock.monotonic() >= self.no_control_until

    def show(self, variation: Variation) -> None:
        shown = BookListing(variation.sku, variation.sku, units=variation.units, is_ended=variation.is_gone)
        self.shown[variation.number - 1] = shown

    # Changing ----------------------------------------------------------------------------------------------

    def set_figures(self, variation: Variation, figures: Figures) -> None:
        """From now on these are the figures. What is sold out without out-of-stock control ends.

        https://developer.ebay.com/api-docs/user-guides/static/trading-user-guide/quantity.html (2026-11-26).
        """
        variation.past.append((self.clock.monotonic(), variation.figures))
        variation.figures = figures
        variation.listing.changed_at = self.stamp()
        self.show(variation)
        listing = variation.listing
        if listing.is_live and not self.has_control and not any(one.figures.units for one in listing.left):
            self.end(listing, reason="")

    def take(self, variation: Variation, units: int) -> None:
        """So many were bought. eBay lowers the item and its offer by itself."""
        old = variation.figures
        offer_units = None if old.offer_units is None else old.offer_units - units
        self.set_figures(variation, Figures(old.item_units - units, offer_units, old.sold + units))

    def give_back(self, sku: str, units: int) -> None:
        """So many of a cancelled order are for sale again."""
        variation = self.catalogue[sku]
        old = variation.figures
        offer_units = None if old.offer_units is None else old.offer_units + units
        self.set_figures(variation, Figures(old.item_units + units, offer_units, max(0, old.sold - units)))

    def submit(self, variation: Variation, *, item_units: int | None, offer_units: int | None) -> None:
        """Take an accepted write; None leaves a figure as it is. It shows a little later, or never."""
        listing = variation.listing
        if self.strikes("write_never_applied"):
            return

        async def apply() -> None:
            # An item of the Inventory API outlives its listing; what was asked of a listing ends with it.
            one = self.catalogue.get(variation.sku, variation) if listing.lane is Lane.INVENTORY else variation
            if one.is_gone or (one is not self.catalogue.get(one.sku)):
                return
            old = one.figures
            item = old.item_units if item_units is None else item_units
            offer = old.offer_units if offer_units is None else offer_units
            self.set_figures(one, Figures(item, offer, old.sold))

        wait_s = self.random.uniform(*self.habits.apply_s)
        now = self.clock.monotonic()
        listing.shows_at = max(listing.shows_at, now + wait_s / self.speed)
        self.after((listing.shows_at - now) * self.speed, apply)

    def edit(self, sku: str, units: int) -> None:
        """The seller types a quantity into Seller Hub: it sells at once."""
        variation = self.catalogue.get(sku)
        if variation is None or not variation.is_on_sale or not 0 <= units <= UNITS_MAX:
            raise MalformedError(f"{sku!r} cannot be set to {units} units")
        offer_units = None if variation.figures.offer_units is None else units
        self.set_figures(variation, Figures(units, offer_units, variation.figures.sold))

    def is_refused_as_zero(self, variation: Variation, units: int) -> bool:
        """Whether out-of-stock control is missing for this write: no other variation would be left on sale.

        https://developer.ebay.com/api-docs/user-guides/static/trading-user-guide/out-of-stock-operation.html
        (checked 2026-11-26).
        """
        if units > 0 or not variation.listing.is_live:
            return False
        if self.strikes("zero_refused"):
            away_s = self.chance.uniform(*self.habits.no_control_s) / self.speed
            self.no_control_until = self.clock.monotonic() + away_s
        others = (one for one in variation.listing.left if one is not variation)
        return not self.has_control and not any(one.figures.units for one in others)

    def drop(self, variation: Variation) -> None:
        """Without out-of-stock control a variation that has sold nothing is deleted by a zero.

        https://developer.ebay.com/support/knowledge-base/1546 (checked 2026-11-26).
        """
        variation.is_gone = True
        self.show(variation)

    def revise(self, listing: Listing) -> bool:
        """Count a revision of today. False: this day's are used up, and nothing may be written."""
        today, _next = day_of(self.clock.now(), self.speed)
        day, count = listing.revisions
        count = count if day == today else 0
        if self.strikes("revision_budget_low"):
            count = max(count, self.habits.revisions_a_day - 1)
        if count >= self.habits.revisions_a_day:
            listing.revisions = (today, count)
            return False
        listing.revisions = (today, count + 1)
        return True

    def is_busy(self, listing: Listing) -> bool:
        """Whether another write to the same SKU or group is still under way. If not, this one is from now on."""
        now = self.clock.monotonic()
        if now < listing.busy_until or self.strikes("concurrent_refused"):
            return True
        listing.busy_until = now + self.habits.busy_s / self.speed
        return False

    # Ending and coming back --------------------------------------------------------------------------------

    def end(self, listing: Listing, *, reason: str = "NotAvailable") -> None:
        """The listing ends; its SKUs can be listed anew, under another ItemID. `reason`: of whoever ended it."""
        listing.ending_reason = reason
        listing.ended_at = listing.changed_at = self.stamp()
        for variation in listing.variations:
            self.show(variation)

    def relist(self, listing: Listing, units: Mapping[str, int] | None = None) -> Listing:
        """The same SKUs on a new listing, which has sold nothing yet. `units`: SKU -> quantity instead of the old."""
        again = self._new_listing(listing.lane, self.stamp(), is_group=False)
        again.group_key = listing.group_key
        listing.relisted_as = again.listing_id
        for old in listing.left:
            figures = replace(old.figures, sold=0)
            if units and old.sku in units:
                figures = replace(figures, item_units=units[old.sku])
            self._enter(replace(old, listing=again, figures=figures, past=deque(maxlen=PAST_MOST)))
        return again

    def remove(self, variation: Variation) -> None:
        """The SKU is gone for good."""
        variation.is_gone = True
        variation.listing.changed_at = self.stamp()
        if variation.listing.is_live and not variation.listing.left:
            self.end(variation.listing)
        self.show(variation)

    def rename(self, variation: Variation, sku: str) -> None:
        """The seller changes the SKU of what is on sale. At the Inventory API that is another item and offer."""
        number = len(self.shown) + 1
        offer_id = f"{8_000_000_000 + number}" if variation.offer_id else ""
        again = replace(variation, sku=sku, number=number, offer_id=offer_id, past=deque(maxlen=PAST_MOST))
        self.shown.append(BookListing(channel_sku=sku, merchant_sku=sku, units=0))
        self._enter(again)
        self.remove(variation)
