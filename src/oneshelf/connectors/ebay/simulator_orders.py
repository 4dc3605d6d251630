"""Orders of the simulated eBay: a sale takes its units when the buyer commits, and is paid then, later or never."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from oneshelf.connectors.ebay.simulator_books import Books
from oneshelf.sdk.simulator import BookLine, BookOrder


@dataclass(slots=True)
class Line:
    """One line item, in units. Each ordered one is open, cancelled or shipped."""

    line_id: str
    sku: str
    title: str
    listing_id: str
    variation_id: int
    units: int
    cancelled: int = 0
    shipped: int = 0
    refunded: int = 0

    @property
    def open(self) -> int:
        return self.units - self.cancelled - self.shipped


@dataclass(slots=True)
class Shipment:
    """One parcel: line id -> units."""

    shipment_id: str
    shipped_at: datetime
    units: dict[str, int]


@dataclass(slots=True)
class Order:
    """An order. `is_listed`: getOrders shows it. `paid_as`: its lines are in that order now, under that order's id.

    A buyer who commits first and checks out later has an order of another id once it is paid, and calls that take an
    id go on taking the old one (https://developer.ebay.com/devzone/XML/Docs/Reference/eBay/types/OrderIDArrayType.html,
    checked 2026-11-26). The ids of the line items stay: they are made at the commitment.
    """

    order_id: str
    placed_at: datetime
    created_at: datetime
    changed_at: datetime
    lines: list[Line]
    is_paid: bool = False
    is_checked_out: bool = True
    is_listed: bool = True
    paid_as: str = ""
    cancelled_at: datetime | None = None
    paid_at: datetime | None = None
    shipments: list[Shipment] = field(default_factory=list)

    @property
    def status(self) -> str:
        """In the words of the books."""
        if self.cancelled_at is not None or self.paid_as:
            return "cancelled"
        if not self.is_paid:
            return "pending"
        return "open" if any(line.open for line in self.lines) else "shipped"

    def line(self, line_id: str) -> Line | None:
        return next((line for line in self.lines if line.line_id == line_id), None)


@dataclass(slots=True)
class Trade:
    """All orders. `confirmed` is told of every checkout, again where a payment had failed and then succeeds."""

    books: Books
    confirmed: Callable[[Order], None]
    have_buyers_left: Callable[[], bool]
    orders: dict[str, Order] = field(default_factory=dict)

    def place(self, lines: Sequence[tuple[str, int]]) -> str | None:
        """A buyer commits to buy. The order's id; None where a listing has too few or is not on sale."""
        wanted: dict[str, int] = {}
        for sku, units in lines:
            wanted[sku] = wanted.get(sku, 0) + units
        found = {sku: self.books.catalogue.get(sku) for sku in wanted}
        if not wanted or min(wanted.values()) < 1:
            return None
        if any(one is None or one.units < wanted[sku] for sku, one in found.items()):
            return None
        order = self._order(wanted)
        self.orders[order.order_id] = order
        for sku, units in wanted.items():
            self.books.take(self.books.catalogue[sku], units)
        self._wait_for_payment(order)
        return order.order_id

    def _order(self, wanted: dict[str, int]) -> Order:
        number = len(self.orders) + 1
        random, at = self.books.random, self.books.stamp()
        lines: list[Line] = []
        for sku, units in wanted.items():
            one = self.books.catalogue[sku]
            line_id = f"{10_000_000_000_000 + number * 1000 + len(lines)}"
            lines.append(Line(line_id, sku, one.title, one.listing.listing_id, one.variation_id, units))
        order_id = f"{random.randrange(10, 30)}-{number:05}-{random.randrange(100_000):05}"
        order = Order(order_id, self.books.clock.now(), at, at, lines)
        order.is_checked_out = random.random() >= self.books.habits.commitment_share
        return order

    def _wait_for_payment(self, order: Order) -> None:
        habits, random, after = self.books.habits, self.books.random, self.books.after
        is_paid = random.random() >= habits.unpaid_share
        fails_first = is_paid and random.random() < habits.payment_fails_share
        confirm_s = random.uniform(*habits.confirm_s)
        lag_s = random.uniform(*habits.order_lag_s)
        if self.books.strikes("order_late"):
            lag_s = self.books.chance.uniform(*habits.late_s)
        order.is_listed = lag_s == 0
        if order.is_checked_out:
            self.confirmed(order)

        async def reveal() -> None:
            order.is_listed = True

        async def settle() -> None:
            if self.have_buyers_left() or order.status != "pending":
                return
            if not is_paid:
                self.cancel(order.order_id)
                return
            self.pay(order, fails_first=fails_first)

        if lag_s:
            after(lag_s, reveal)
        after(confirm_s, settle)

    def pay(self, order: Order, *, fails_first: bool = False) -> Order:
        """The payment is confirmed. Where it had failed before, or nobody had checked out, that is told (again).

        Returns the paid order: another one than that of a commitment.
        """
        if not order.is_checked_out:
            return self._checked_out([order])
        order.is_paid, order.paid_at = True, self.books.stamp()
        self.touch(order)
        if fails_first:
            self.confirmed(order)
        return order

    def combine(self, order_ids: Sequence[str]) -> str | None:
        """A buyer pays several commitments at once: one order has their line items. None where one is none any more."""
        old = [self.orders[order_id] for order_id in dict.fromkeys(order_ids) if order_id in self.orders]
        if len(old) != len(order_ids) or any(one.status != "pending" or one.is_checked_out for one in old):
            return None
        return self._checked_out(old).order_id

    def _checked_out(self, old: Sequence[Order]) -> Order:
        order = self._order({})
        order.is_checked_out = order.is_paid = True
        order.paid_at = order.created_at
        order.lines = [line for one in old for line in one.lines]
        for one in old:
            one.paid_as = order.order_id
            # In the books: of the old order nothing will ever be shipped.
            one.lines = [replace(line, cancelled=line.units) for line in one.lines]
        self.orders[order.order_id] = order
        self.confirmed(order)
        return order

    def found(self, order_id: str) -> Order | None:
        """The order of this id, or the one that it became when it was paid."""
        order = self.orders.get(order_id)
        return self.orders[order.paid_as] if order is not None and order.paid_as else order

    def cancel(self, order_id: str) -> bool:
        """Cancelled as a whole, and the units are back on sale. False where something has left.

        Part of an order cannot be cancelled
        (https://developer.ebay.com/DevZone/post-order/types/PartialOrderTypeEnum.html, checked 2026-11-26).
        """
        order = self.found(order_id)
        if order is None or order.status not in {"pending", "open"} or any(line.shipped for line in order.lines):
            return False
        order.cancelled_at = self.books.stamp()
        self.touch(order)
        for line in order.lines:
            units, line.cancelled = line.open, line.units
            self.books.give_back(line.sku, units)
        return True

    def ship(self, order_id: str, *, only: tuple[str, int] | None = None) -> bool:
        """What is open leaves, or `only` so many units of one line. False unless it is paid."""
        order = self.found(order_id)
        if order is None or order.status != "open":
            return False
        parts = {line.line_id: line.open for line in order.lines if line.open}
        if only is not None:
            parts = {only[0]: only[1]} if 0 < only[1] <= parts.get(only[0], 0) else {}
        for line in order.lines:
            line.shipped += parts.get(line.line_id, 0)
        if parts:
            shipment_id = f"{order_id.replace('-', '')}{len(order.shipments) + 1}"
            order.shipments.append(Shipment(shipment_id, self.books.stamp(), parts))
            self.touch(order)
        return bool(parts)

    def refund(self, order_id: str, line_id: str, units: int) -> bool:
        """Money for units that have shipped. The order shows it; no listing does."""
        order = self.found(order_id)
        line = order.line(line_id) if order else None
        if order is None or line is None or not 0 < units <= line.shipped - line.refunded:
            return False
        line.refunded += units
        self.touch(order)
        return True

    def touch(self, order: Order) -> None:
        """Something changes on the order: when it was last modified, at the least."""
        order.changed_at = self.books.stamp()


def book_order(order: Order) -> BookOrder:
    """The order as the books show it."""
    lines = (
        BookLine(
            line.line_id,
            line.sku,
            units=line.units,
            units_cancelled=line.cancelled,
            units_relisted=line.cancelled,
            units_shipped=line.shipped,
        )
        for line in order.lines
    )
    return BookOrder(order.order_id, order.placed_at, order.status, tuple(lines))
