"""The simulated Amazon's books: listings with what was submitted and what really sells, orders, buyers' acts."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from random import Random

from oneshelf.clock import Clock
from oneshelf.connectors.amazon.simulator_rows import NEVER_APPLIED, Row, changed
from oneshelf.domain.identity import UNITS_MAX
from oneshelf.errors import MalformedError
from oneshelf.sdk.simulator import Action, BookListing, CatalogueItem

MERCHANT_CHANNEL = "DEFAULT"
AMAZON_CHANNEL = "AMAZON_NA"
# How many former quantities of a listing a lagging replica may still show.
PAST_MOST = 64


@dataclass(slots=True)
class Listing:
    """One SKU of the seller. `units` really sell, whichever marketplace shows it; `channel_code`: from where.

    `attributes`: marketplace -> the rows as last sent to it, which no other marketplace learns of. `default_units`:
    what sells from DEFAULT beside that; None: there is no such row. `only_in`: None: in every marketplace.
    """

    sku: str
    title: str
    asin: str
    number: int
    units: int
    channel_code: str
    created_at: datetime
    updated_at: datetime
    attributes: dict[str, list[Row]]
    default_units: int | None = None
    only_in: str | None = None
    is_ended: bool = False
    # Why the newest submission is not applied; empty: it is, sooner or later.
    issue: str = ""
    # Why none is applied before the seller has mended the listing; empty: they are.
    block: str = ""
    # What really sold until an instant, the oldest first: a replica that lags behind still shows it.
    past: deque[tuple[float, int]] = field(default_factory=lambda: deque(maxlen=PAST_MOST))

    @property
    def submitted(self) -> list[Row]:
        """The rows as last sent to the first marketplace."""
        return next(iter(self.attributes.values()))

    def units_at(self, instant: float | None) -> int:
        """The units that sold at a monotonic instant of the last while; None: now."""
        if instant is not None:
            for until, units in self.past:
                if instant < until:
                    return units
        return self.units


@dataclass(slots=True)
class Line:
    """One line of an order, in units. Each ordered one is open, cancelled or shipped."""

    item_id: str
    sku: str
    title: str
    asin: str
    units: int
    cancelled: int = 0
    shipped: int = 0

    @property
    def open(self) -> int:
        return self.units - self.cancelled - self.shipped


@dataclass(slots=True)
class Order:
    """An order. `status` in Amazon's words; `is_visible`: searches show it."""

    order_id: str
    placed_at: datetime
    created_at: datetime
    updated_at: datetime
    status: str
    fulfilled_by: str
    lines: tuple[Line, ...]
    is_visible: bool = True

    def line(self, item_id: str) -> Line | None:
        return next((line for line in self.lines if line.item_id == item_id), None)


@dataclass(slots=True)
class Habits:
    """How this Amazon behaves, in seconds of its own time and shares of 1.

    A payment is mostly confirmed within half an hour (Seller Central help 200200040, checked 2026-11-23). An
    accepted quantity shows after minutes; every submission draws its own delay, so that a later one may be
    applied before an earlier one.
    """

    apply_s: tuple[float, float] = (60.0, 300.0)
    confirm_s: tuple[float, float] = (60.0, 1800.0)
    unpaid_share: float = 0.04
    verify_s: tuple[float, float] = (86_400.0, 21 * 86_400.0)  # of a payment that is looked into (the same page)
    late_s: tuple[float, float] = (300.0, 1200.0)
    hidden_s: float = 120.0
    token_life_s: float = 3600.0
    page_token_life_s: float = 86_400.0
    # How far a replica lags behind at most. Amazon states no figure; a write may take fifteen minutes to show.
    stale_s_max: float = 60.0


@dataclass(slots=True)
class Books:
    """All that Amazon knows. `after` runs an action later, `strikes` throws the dice for a fault.

    `now` is what Amazon's own clock shows; `clock` only measures.
    """

    random: Random
    clock: Clock
    now: Callable[[], datetime]
    speed: float
    after: Callable[[float, Action], None]
    strikes: Callable[[str], bool]
    habits: Habits = field(default_factory=Habits)
    have_buyers_left: Callable[[], bool] = lambda: False
    marketplace_ids: list[str] = field(default_factory=list)
    on_order: Callable[[Order], None] = lambda _order: None  # see `simulator_notifications`
    on_units: Callable[[Listing], None] = lambda _listing: None
    catalogue: dict[str, Listing] = field(default_factory=dict)
    orders: dict[str, Order] = field(default_factory=dict)
    shown: list[BookListing] = field(default_factory=list)
    # SKU -> how many changes of it were taken, whether they were ever applied or not.
    taken: Counter[str] = field(default_factory=Counter)

    def stock(self, items: Sequence[CatalogueItem]) -> None:
        """Put seller-fulfilled listings on sale."""
        known = {*self.catalogue}
        for item in items:
            if item.sku in known:
                raise MalformedError(f"{item.sku} is already listed")
            if not item.sku or not 0 <= item.units <= UNITS_MAX:
                raise MalformedError(f"{item.sku!r} cannot be listed with {item.units} units")
            known.add(item.sku)
        for item in items:
            number = len(self.catalogue) + 1
            # Listings were created one after the other, long before today.
            created_at = self.stamp() - timedelta(days=365) + timedelta(seconds=number)
            self._list(item.sku, item.title, asin=f"B0SIM{number:05}", units=item.units, created_at=created_at)

    def _list(self, sku: str, title: str, *, asin: str, units: int, created_at: datetime) -> None:
        self.catalogue[sku] = Listing(
            sku=sku,
            title=title,
            asin=asin,
            number=len(self.catalogue) + 1,
            units=units,
            channel_code=MERCHANT_CHANNEL,
            created_at=created_at,
            updated_at=created_at,
            attributes={
                one: [{"fulfillment_channel_code": MERCHANT_CHANNEL, "quantity": units}] for one in self.marketplace_ids
            },
        )
        self.shown.append(BookListing(channel_sku=sku, merchant_sku=sku, units=units))

    def listing(self, sku: str) -> Listing | None:
        """The listing that Amazon still has under this SKU."""
        listing = self.catalogue.get(sku)
        return None if listing is None or listing.is_ended else listing

    def end(self, listing: Listing) -> None:
        """Amazon does not know it any more; what was submitted and not yet applied never will be."""
        listing.is_ended = True
        self._show(listing)

    def rename(self, listing: Listing, sku: str) -> None:
        """The same product under another SKU: a new listing, and the old one is gone."""
        self.end(listing)
        units, created_at = listing.units, self.stamp()
        self._list(sku, listing.title, asin=listing.asin, units=units, created_at=created_at)

    def stamp(self) -> datetime:
        """Now, cut to a second of Amazon's own time."""
        step_us = max(1000, int(1_000_000 / self.speed))
        since = self.now() - datetime(2020, 1, 1, tzinfo=UTC)
        microseconds = since // timedelta(microseconds=1)
        return datetime(2020, 1, 1, tzinfo=UTC) + timedelta(microseconds=microseconds - microseconds % step_us)

    def set_units(self, listing: Listing, units: int) -> None:
        """From now on the listing really sells this many."""
        listing.past.append((self.clock.monotonic(), listing.units))
        listing.units = units
        listing.updated_at = self.stamp()
        self._show(listing)
        self.on_units(listing)

    def _show(self, listing: Listing) -> None:
        units = 0 if listing.is_ended else listing.units
        shown = BookListing(listing.sku, merchant_sku=listing.sku, units=units, is_ended=listing.is_ended)
        self.shown[listing.number - 1] = shown

    # Submissions -------------------------------------------------------------------------------------------

    def submit(
        self, listing: Listing, marketplace_id: str, *, operation: str, rows: Sequence[Mapping[str, object]]
    ) -> None:
        """Take a change of `fulfillment_availability`: it shows as submitted now, and sells later or never."""
        for row in rows:
            submitted = listing.attributes.get(marketplace_id, [])
            listing.attributes[marketplace_id] = changed(submitted, operation=operation, row=row)
        listing.updated_at = self.stamp()
        self.taken[listing.sku] += 1
        # Accepted is no more than queued: why it comes to nothing is told with the listing, and nowhere else.
        listing.issue = NEVER_APPLIED if self.strikes("write_never_applied") else listing.block
        if listing.issue:
            return
        ours = {MERCHANT_CHANNEL, listing.channel_code} - {AMAZON_CHANNEL}
        merchant = [row for row in rows if row.get("fulfillment_channel_code") in ours]
        if not merchant:
            return
        units = 0 if operation == "delete" else merchant[-1].get("quantity")
        code = str(merchant[-1]["fulfillment_channel_code"])
        if not isinstance(units, int):
            return

        async def apply() -> None:
            if listing.is_ended:
                return
            if listing.channel_code not in {code, AMAZON_CHANNEL}:
                listing.default_units = units
                return
            # A quantity for a SKU that Amazon fulfils makes it seller-fulfilled; its stock there is stranded.
            listing.channel_code = code
            self.set_units(listing, units)

        self.after(self.random.uniform(*self.habits.apply_s), apply)

    # Buyers --------------------------------------------------------------------------------------------------

    def place(self, lines: Sequence[tuple[str, int]]) -> str | None:
        """An order, pending until its payment is confirmed. The units leave the listing at once."""
        wanted: dict[str, int] = {}
        for sku, units in lines:
            wanted[sku] = wanted.get(sku, 0) + units
        bought = [self.listing(sku) for sku in wanted]
        listings = [listing for listing in bought if listing is not None]
        codes = {listing.channel_code for listing in listings}
        if not wanted or len(listings) < len(bought) or len(codes) > 1 or min(wanted.values()) < 1:
            return None
        if any(listing.units < wanted[listing.sku] for listing in listings):
            return None
        order = self._order(listings, wanted)
        for listing in listings:
            self.set_units(listing, listing.units - wanted[listing.sku])
        self.orders[order.order_id] = order
        self._await_payment(order)
        self.on_order(order)
        return order.order_id

    def _order(self, listings: Sequence[Listing], wanted: Mapping[str, int]) -> Order:
        number = len(self.orders) + 1
        at = self.stamp()
        return Order(
            order_id=f"{self.random.randrange(100, 1000)}-{self.random.randrange(10**7):07}-{number:07}",
            placed_at=self.clock.now(),
            created_at=at,
            updated_at=at,
            status="PENDING",
            fulfilled_by="MERCHANT" if listings[0].channel_code == MERCHANT_CHANNEL else "AMAZON",
            lines=tuple(
                Line(f"{number:010}{line:04}", listing.sku, listing.title, listing.asin, wanted[listing.sku])
                for line, listing in enumerate(listings, start=1)
            ),
        )

    def _await_payment(self, order: Order) -> None:
        is_paid = self.random.random() >= self.habits.unpaid_share

        async def confirm() -> None:
            if self.have_buyers_left():
                return
            if order.status == "PENDING" and is_paid:
                self._change(order, "UNSHIPPED")
            elif order.status == "PENDING":
                self.cancel(order.order_id)

        confirm_s = self.random.uniform(*self.habits.confirm_s)
        if self.strikes("payment_for_weeks"):
            confirm_s = Random(order.order_id).uniform(*self.habits.verify_s)  # noqa: S311  # a seed's chance
        self.after(confirm_s, confirm)
        if not self.strikes("order_late"):
            return
        order.is_visible = False

        async def reveal() -> None:
            order.is_visible = True
            order.updated_at = self.stamp()

        self.after(self.random.uniform(*self.habits.late_s), reveal)

    def cancel(self, order_id: str) -> bool:
        """Cancelled, and the units are back on sale. False where it is too late."""
        order = self.orders.get(order_id)
        if order is None or order.status not in {"PENDING", "UNSHIPPED"}:
            return False
        self._change(order, "CANCELLED")
        for line in order.lines:
            self._give_back(line, line.open)
        return True

    def cancel_units(self, order_id: str, item_id: str, units: int) -> bool:
        """A part of a line of a paid order is cancelled. False where it is not open."""
        order = self.orders.get(order_id)
        line = order.line(item_id) if order else None
        if order is None or line is None or order.status != "UNSHIPPED" or not 0 < units <= line.open:
            return False
        self._give_back(line, units)
        self._change(order, "UNSHIPPED" if any(line.open for line in order.lines) else "CANCELLED")
        return True

    def _give_back(self, line: Line, units: int) -> None:
        line.cancelled += units
        listing = self.catalogue[line.sku]
        self.set_units(listing, listing.units + units)

    def ship(self, order_id: str, *, only: tuple[str, int] | None = None) -> bool:
        """What is open leaves, or `only` so many units of one item. False unless it is paid and they are here."""
        order = self.orders.get(order_id)
        if order is None or order.status not in {"UNSHIPPED", "PARTIALLY_SHIPPED"}:
            return False
        parts = [(line, line.open) for line in order.lines if line.open]
        if only is not None:
            parts = [(line, only[1]) for line, left in parts if line.item_id == only[0] and 0 < only[1] <= left]
        for line, units in parts:
            line.shipped += units
        if parts:
            self._change(order, "PARTIALLY_SHIPPED" if any(line.open for line in order.lines) else "SHIPPED")
        return bool(parts)

    def has_shipped(self, order_id: str, item_id: str, units: int) -> bool:
        """Whether so many units of the line have left."""
        order = self.orders.get(order_id)
        line = order.line(item_id) if order else None
        return line is not None and 0 < units <= line.shipped

    def touch(self, order: Order) -> None:
        """Something of no importance to stock changes on the order: only when it was last updated."""
        order.updated_at = self.stamp()

    def edit(self, sku: str, units: int) -> None:
        """The seller types a quantity into Seller Central: it sells at once."""
        listing = self.listing(sku)
        if listing is None or not 0 <= units <= UNITS_MAX:
            raise MalformedError(f"{sku!r} cannot be set to {units} units")
        row = {"fulfillment_channel_code": listing.channel_code, "quantity": units}
        for one in self.marketplace_ids:
            listing.attributes[one] = changed(listing.attributes[one], operation="merge", row=row)
        self.set_units(listing, units)

    def fulfil_by_amazon(self, sku: str) -> None:
        """The listing's units lie in Amazon's warehouse from now on: Amazon counts and ships them."""
        listing = self.catalogue[sku]
        listing.channel_code = AMAZON_CHANNEL
        for one in listing.attributes:
            listing.attributes[one] = [{"fulfillment_channel_code": AMAZON_CHANNEL}]

    def keep_at(self, sku: str, source: str, *, default_units: int = 0) -> None:
        """The listing's units lie at a supply source from now on, and so many more are offered from DEFAULT."""
        listing = self.catalogue[sku]
        listing.channel_code, listing.default_units = source, default_units

    def _change(self, order: Order, status: str) -> None:
        order.status = status
        self.touch(order)
        self.on_order(order)
