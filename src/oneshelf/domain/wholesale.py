"""Wholesale orders: units set aside for a customer, within what the policy leaves to the channels.

What a line holds are reservations of the kind `allocation`: they move, expire and are counted as all others do. A line
adds up: ordered = allocated + backordered + shipped + cancelled, where `allocated` is what its reservations hold and
`backordered` what is left. Nothing is promised for a backorder, so it takes no part in what may be short.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from uuid import UUID

from oneshelf.domain.command import OrderRef
from oneshelf.domain.identity import Channel, Location, Sku, name_from
from oneshelf.domain.ledger import BalanceKey
from oneshelf.domain.policy import Policy
from oneshelf.errors import MalformedError

# Who takes these orders, as all others are named by their channel.
WHOLESALE = Channel("wholesale")
LINES_MAX = 1_000
VERSION_MAX = 999_999_999
# Where no rule says it. The channels keep half of what is there: a large order does not empty a shop unasked.
DEFAULT_PERCENT = 50


def order_id_of(customer: object, po_number: object) -> str:
    """The name of an order, CUSTOMER/PO, from names of outside. Raises MalformedError."""
    name = name_from(customer, what="customer")
    if "/" in name:
        raise MalformedError(f"customer {name!r} holds a slash; an order is CUSTOMER/PO")
    return f"{name}/{name_from(po_number, what='purchase order number')}"


def version_from(value: object) -> int:
    """A version that a customer gives an order. Raises MalformedError."""
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= VERSION_MAX:
        raise MalformedError(f"version must be a whole number from 1 to {VERSION_MAX}")
    return value


class OrderState(StrEnum):
    """Whether an order waits for units. Closed: all of it was shipped or cancelled."""

    OPEN = "open"
    RELEASED = "released"
    CLOSED = "closed"


@dataclass(frozen=True, slots=True, kw_only=True)
class WantedLine:
    """A line as the customer states it. `line_id`: theirs, and it stays when the order is changed."""

    line_id: str
    sku: Sku
    units: int


@dataclass(frozen=True, slots=True, kw_only=True)
class WholesaleWish:
    """A purchase order as the customer states it: all of it, also when they change it, under a higher `version`.

    `ship_by`: when it has to leave. After `cancel_after` nothing of it is wanted.
    """

    customer: str
    po_number: str
    location: Location
    lines: tuple[WantedLine, ...]
    version: int = 1
    ship_by: date | None = None
    cancel_after: date | None = None

    def __post_init__(self) -> None:
        order_id_of(self.customer, self.po_number)
        if not 1 <= len(self.lines) <= LINES_MAX:
            raise MalformedError(f"a wholesale order has {len(self.lines)} lines; it must have 1 to {LINES_MAX}")
        ids = [line.line_id for line in self.lines]
        if twice := sorted({name for name in ids if ids.count(name) > 1}):
            raise MalformedError(f"line {twice[0]} stands in the order twice; give each line a number of its own")
        if not 1 <= self.version <= VERSION_MAX:
            raise MalformedError(f"version is {self.version}; it must be 1 to {VERSION_MAX}")
        if self.ship_by and self.cancel_after and self.cancel_after < self.ship_by:
            raise MalformedError(f"cancel_after {self.cancel_after} is before ship_by {self.ship_by}")

    @property
    def order_id(self) -> str:
        return f"{self.customer}/{self.po_number}"


@dataclass(slots=True, kw_only=True)
class WholesaleOrder:
    """A purchase order as we keep it; its lock is the lock of its lines."""

    customer: str
    po_number: str
    version: int
    fingerprint: bytes
    location: Location
    ship_by: date | None
    cancel_after: date | None
    state: OrderState
    placed_at: datetime
    came_by: str
    lines: list[WholesaleLine] = field(default_factory=list)

    @property
    def order_id(self) -> str:
        return f"{self.customer}/{self.po_number}"

    @property
    def expires_at(self) -> datetime | None:
        """When what it holds is free again: the day after the last one on which it is wanted, in UTC."""
        return end_of(self.cancel_after)

    @property
    def ref(self) -> OrderRef:
        """The order by the name under which the ledger keeps what was shipped of it."""
        return OrderRef(WHOLESALE, self.order_id)

    def close_if_done(self) -> None:
        """Nothing is left to ship: it waits for nothing any more."""
        if all(line.units_open == 0 for line in self.lines):
            self.state = OrderState.CLOSED


@dataclass(slots=True, kw_only=True)
class WholesaleLine:
    """What is ordered of one SKU. `reservation_ids`: what holds units for it, the oldest first."""

    sku: Sku
    order_id: str
    line_id: str
    location: Location
    placed_at: datetime
    units_ordered: int
    units_shipped: int = 0
    units_cancelled: int = 0
    reservation_ids: list[UUID] = field(default_factory=list)

    @property
    def key(self) -> tuple[str, str]:
        return (self.order_id, self.line_id)

    @property
    def balance(self) -> BalanceKey:
        return (self.sku, self.location)

    @property
    def units_open(self) -> int:
        """Units that are still to be shipped, whether they are there or not."""
        return self.units_ordered - self.units_shipped - self.units_cancelled

    @property
    def age(self) -> tuple[datetime, str, str]:
        """Whose turn it is: the oldest order first."""
        return (self.placed_at, self.order_id, self.line_id)


class RefusalKind(StrEnum):
    """Why nothing was done."""

    UNKNOWN_SKU = "unknown-sku"
    UNKNOWN_LOCATION = "unknown-location"
    IS_BUNDLE = "is-bundle"
    PO_REUSED = "po-number-reused"
    OUTDATED = "outdated-version"
    OVERDUE = "overdue"
    OTHER_SKU = "other-sku"
    SHIPPED_MORE = "shipped-more"
    NO_SUCH_ORDER = "no-such-order"
    NO_SUCH_LINE = "no-such-line"
    NOT_ALLOCATED = "not-allocated"
    CLOSED = "order-closed"
    SHIPMENT_REUSED = "shipment-reused"


@dataclass(frozen=True, slots=True)
class Refusal:
    """Not done, and nothing changed. `words` hold the figures and the way out."""

    kind: RefusalKind
    words: str


def end_of(day: date | None) -> datetime | None:
    """The first instant after a day, in UTC."""
    return None if day is None else datetime.combine(day + timedelta(days=1), time(), UTC)


def room(policy: Policy, *, available_to_sell: int, allocated: int) -> int:
    """How many units more wholesale may take of a balance, of which it holds `allocated` already.

    All that it holds is at most `wholesale_percent` of what is available together with that, rounded down, and it
    leaves `wholesale_leaves_units` available. Units that it held when a rule became narrower stay with it.
    """
    terms = policy.at(available_to_sell).terms
    percent = DEFAULT_PERCENT if terms.wholesale_percent is None else terms.wholesale_percent
    share = (available_to_sell + allocated) * percent // 100 - allocated
    return max(0, min(share, available_to_sell - (terms.wholesale_leaves_units or 0)))


def new_order(wish: WholesaleWish, *, fingerprint: bytes, came_by: str, now: datetime) -> WholesaleOrder:
    """The order as it is before anything is set aside for it."""
    order = WholesaleOrder(
        customer=wish.customer,
        po_number=wish.po_number,
        version=wish.version,
        fingerprint=fingerprint,
        location=wish.location,
        ship_by=wish.ship_by,
        cancel_after=wish.cancel_after,
        state=OrderState.OPEN,
        placed_at=now,
        came_by=came_by,
    )
    order.lines = [line_of(order, stated) for stated in wish.lines]
    return order


def line_of(order: WholesaleOrder, stated: WantedLine) -> WholesaleLine:
    """A line of which nothing is there yet."""
    return WholesaleLine(
        sku=stated.sku,
        order_id=order.order_id,
        line_id=stated.line_id,
        location=order.location,
        placed_at=order.placed_at,
        units_ordered=stated.units,
    )


def out_of_date(order: WholesaleOrder, wish: WholesaleWish) -> Refusal:
    """The customer states what is no newer than what we have of this order, and something else."""
    if wish.version < order.version:
        return Refusal(
            RefusalKind.OUTDATED,
            f"order {order.order_id} is at version {order.version}; version {wish.version} comes too late. Way out: "
            f"state it anew as version {order.version + 1}",
        )
    return Refusal(
        RefusalKind.PO_REUSED,
        f"order {order.order_id} version {order.version} was placed before, and says something else. Way out: a "
        f"change is version {order.version + 1}; another order has a purchase order number of its own",
    )


def no_such_order(order_id: str) -> Refusal:
    """Nobody sent us this order."""
    words = f"no wholesale order {order_id}; those there are: oneshelf wholesale list"
    return Refusal(RefusalKind.NO_SUCH_ORDER, words)


def no_such_line(order: WholesaleOrder, line_id: str) -> Refusal:
    """The order has no such line."""
    there = ", ".join(line.line_id for line in order.lines[:20])
    return Refusal(RefusalKind.NO_SUCH_LINE, f"order {order.order_id} has no line {line_id}; there are: {there}")


def closed(order: WholesaleOrder) -> Refusal:
    """Nothing of the order is left to ship."""
    return Refusal(
        RefusalKind.CLOSED,
        f"order {order.order_id} is closed: all of it was shipped or cancelled. Way out: state it anew as version "
        f"{order.version + 1}",
    )
