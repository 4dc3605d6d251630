"""What the demo knows at one moment, read for the screen and for the end."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from uuid import UUID

from oneshelf.clock import Clock
from oneshelf.demo.compare import OrdersCompared, compare_orders, is_parked, unverified
from oneshelf.demo.plan import WITHOUT_FIGURES, Plan
from oneshelf.demo.shops import Books, SimulatedShop
from oneshelf.domain.identity import Sku
from oneshelf.storage import drifts, reports, tallies, views
from oneshelf.storage.database import Database, Transaction
from oneshelf.storage.listings import ListingKey

HOT_COUNT = 8
EVENTS_SHOWN = 8


@dataclass(slots=True)
class Scene:
    """All figures of the screen. Times are monotonic seconds of the demo's clock."""

    plan: Plan
    address: str
    began_at: float
    title: str = "starting"
    dashboard_s: float | None = None
    first_figure_s: float | None = None
    verified_once_s: float | None = None
    shopping_began_at: float | None = None
    restart_count: int = 0
    short_peak: int = 0
    books: dict[str, Books] = field(default_factory=dict)
    posted_count: int = 0
    overview: views.Overview | None = None
    channels: list[views.ChannelHealth] = field(default_factory=list)
    hot: list[tuple[views.SkuRow, list[views.ListingRow]]] = field(default_factory=list)
    events: deque[tuple[float, str]] = field(default_factory=lambda: deque(maxlen=EVENTS_SHOWN))
    news: list[tuple[float, str]] = field(default_factory=list)
    _drifts: dict[UUID, bool] = field(default_factory=dict)

    @property
    def placed_count(self) -> int:
        return sum(len(shop.orders) for shop in self.books.values())

    @property
    def verified_count(self) -> int:
        return sum(row.verified_count for row in self.channels)

    @property
    def listing_count(self) -> int:
        return sum(row.listing_count for row in self.channels)

    def happened(self, words: str, *, at: float) -> None:
        """Remember an event, for the screen and for those who read lines."""
        self.events.append((at - self.began_at, words))
        self.news.append((at - self.began_at, words))

    async def read_engine(self, database: Database, clock: Clock) -> None:
        """What the engine says now."""
        hot = [good.sku for good in self.plan.goods[:HOT_COUNT]]
        async with database.transaction() as tx:
            tally = await tallies.read(tx)
            rows_of_channels = await views.channel_rows(tx, tally=tally)
            self.channels = [row for row in rows_of_channels if row.kind in self.plan.options.shops]
            self.overview = await views.overview(tx, tally=tally)
            self.posted_count = await reports.held_orders(tx)
            listed = await views.listings_of(tx, hot)
            rows = {row.sku: row for row in await views.sku_rows(tx, only=hot, limit=HOT_COUNT)}
            found = await drifts.newest(tx, only_open=False, limit=100)
        self.hot = [(rows[sku], listed[sku]) for sku in hot if sku in rows]
        self.short_peak = max(self.short_peak, self.overview.short_units)
        self.first_figure_s = self.first_figure_s or clock.monotonic() - self.began_at
        for drift in sorted(found, key=lambda drift: drift.opened_at):
            self._note(drift, at=clock.monotonic())

    async def read_books(self, shops: Mapping[str, SimulatedShop]) -> None:
        """What really happened at the shops."""
        for kind, shop in shops.items():
            self.books[kind] = await shop.books()

    def _note(self, drift: drifts.DriftRow, *, at: float) -> None:
        is_over = drift.resolved_at is not None
        if self._drifts.get(drift.drift_id) == is_over:
            return
        was_known = drift.drift_id in self._drifts
        self._drifts[drift.drift_id] = is_over
        name = f"{drift.channel} {drift.sku}: expected {drift.expected_units}, found {drift.observed_units}"
        if not was_known:
            self.happened(f"drift opened, {drift.cause}: {name}", at=at)
        if is_over:
            self.happened(f"drift resolved, {drift.cause}: {drift.channel} {drift.sku} {drift.resolution}", at=at)


@dataclass(frozen=True, slots=True)
class Balance:
    """How far the engine and the shops agree at one moment. `parked`: listings that a shop refuses, with its words."""

    orders: OrdersCompared
    waiting: reports.Waiting
    unverified: tuple[str, ...]
    parked: tuple[str, ...]
    listing_count: int

    @property
    def is_settled(self) -> bool:
        return self.orders.is_equal and not any(self.waiting) and not self.unverified


async def weigh(database: Database, books: Mapping[str, Books]) -> Balance:
    """Compare everything. The books were read just before."""
    async with database.transaction() as tx:
        await views.freeze(tx)
        held = await reports.held_lines(tx)
        waiting = await reports.waiting(tx)
        listings = [row for row in await all_listings(tx) if shows_figures(row.channel, books)]
    parked = tuple(f"{row.channel} {row.channel_sku}: {row.parked_reason}" for row in listings if is_parked(row))
    compared = compare_orders(books, held)
    return Balance(compared, waiting, tuple(unverified(books, listings)), parked, len(listings))


async def all_listings(tx: Transaction) -> list[views.ListingRow]:
    """Every listing there is."""
    rows: list[views.ListingRow] = []
    after: ListingKey | None = None
    while page := await views.listing_rows(tx, after=after):
        rows += page
        after = (page[-1].channel, page[-1].channel_sku)
    return rows


def shows_figures(channel: str, books: Mapping[str, Books]) -> bool:
    """Whether it is a shop of which listings are proved. What a till or a buyer sells goes by listings too."""
    return channel in books and channel not in WITHOUT_FIGURES


def channel_skus(books: Books) -> dict[Sku, str]:
    """SKU -> its listing at this shop."""
    return {Sku(listing.merchant_sku): listing.channel_sku for listing in books.listings}
