"""The books of the simulated shop: variants with one stock level each, and orders. No wire, no time of its own."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from oneshelf.errors import MalformedError
from oneshelf.sdk.simulator import BookLine, BookListing, BookOrder, CatalogueItem

LOCATION_ID = "75596366001"
LOCATION_NAME = "Main warehouse"
# Somewhere else, from where orders may leave: what lies there is not kept, and is always enough.
OTHER_LOCATION_ID = "75596366002"
OTHER_LOCATION_NAME = "Other warehouse"
SHOP_DOMAIN = "simulated.myshopify.com"

_FIRST_VARIANT = 44_800_000_000_001
_FIRST_ITEM = 53_460_000_000_001
_FIRST_ORDER = 6_100_000_000_001
_FIRST_LINE = 15_600_000_000_001
_FIRST_OTHER = 5_700_000_000_001

STATES = ("available", "committed", "damaged", "incoming", "quality_control", "reserved", "safety_stock")
# How many former states of an article a lagging replica may still show.
PAST_MOST = 64
# Those that a merchant or an app may move units between.
MOVABLE_STATES = ("available", "damaged", "incoming", "quality_control", "reserved", "safety_stock")
KEPT_STATES = ("damaged", "quality_control", "reserved", "safety_stock")
ON_HAND_STATES = ("available", "committed", "damaged", "quality_control", "reserved", "safety_stock")


@dataclass(slots=True)
class Article:
    """A variant, its inventory item, and the item's level at the one location. `at` is the place in the catalogue."""

    at: int
    variant_id: str
    item_id: str
    sku: str
    title: str
    updated_at: datetime
    is_tracked: bool = True
    is_stocked: bool = True
    is_active: bool = True
    is_deleted: bool = False
    is_bundle_parent: bool = False
    units: dict[str, int] = field(default_factory=lambda: dict.fromkeys(STATES, 0))
    # What the units were until an instant, the oldest first: a replica that lags behind still shows it.
    past: deque[tuple[datetime, Mapping[str, int]]] = field(default_factory=lambda: deque(maxlen=PAST_MOST))

    @property
    def on_hand(self) -> int:
        return on_hand(self.units)

    def can_sell(self, units: int) -> bool:
        return not self.is_deleted and self.units["available"] >= units

    def units_at(self, instant: datetime | None) -> Mapping[str, int]:
        """The units in each state at an instant of the last while; None: now."""
        if instant is not None:
            for until, units in self.past:
                if instant < until:
                    return units
        return self.units


def on_hand(units: Mapping[str, int]) -> int:
    return sum(units[state] for state in ON_HAND_STATES)


@dataclass(slots=True)
class OrderedLine:
    """One line of an order, in units. `quantity` were ever ordered; each is open, cancelled or fulfilled.

    `kept_off`: the cancelled ones that did not go back to available. Of the fulfilled ones `returned` came back to
    it, and `written_off` were refunded and did not. Of the open ones those `elsewhere` are assigned to the other
    location; `fulfilled_elsewhere` left there.
    """

    line_id: str
    article: Article
    quantity: int
    cancelled: int = 0
    kept_off: int = 0
    fulfilled: int = 0
    returned: int = 0
    written_off: int = 0
    elsewhere: int = 0
    fulfilled_elsewhere: int = 0

    @property
    def current(self) -> int:
        """What is left after refunds and removals, shipped or not, as Shopify counts."""
        return self.quantity - self.cancelled - self.returned - self.written_off

    @property
    def unfulfilled(self) -> int:
        return self.quantity - self.cancelled - self.fulfilled - self.fulfilled_elsewhere

    @property
    def open_here(self) -> int:
        return self.unfulfilled - self.elsewhere


@dataclass(frozen=True, slots=True)
class Part:
    """Some units of a line, in a fulfilment or a refund."""

    line: OrderedLine
    units: int


@dataclass(frozen=True, slots=True)
class Refund:
    refund_id: str
    created_at: datetime
    parts: tuple[Part, ...]
    restock_type: str = "CANCEL"
    location_id: str = LOCATION_ID


@dataclass(frozen=True, slots=True)
class Fulfillment:
    fulfillment_id: str
    created_at: datetime
    parts: tuple[Part, ...]
    location_id: str = LOCATION_ID


@dataclass(slots=True)
class ShopOrder:
    """An order. Its stamps are by the shop's own clock; `placed_at` is the true instant."""

    order_id: str
    number: int
    created_at: datetime
    updated_at: datetime
    lines: list[OrderedLine]
    placed_at: datetime | None = None
    cancelled_at: datetime | None = None
    # When it was last assigned to a location; None: when it was placed.
    routed_at: datetime | None = None
    refunds: list[Refund] = field(default_factory=list)
    fulfillments: list[Fulfillment] = field(default_factory=list)

    @property
    def status(self) -> str:
        if self.cancelled_at is not None:
            return "cancelled"
        is_left = any(line.unfulfilled for line in self.lines)
        return "shipped" if self.fulfillments and not is_left else "open"

    def line(self, line_id: str) -> OrderedLine | None:
        return next((line for line in self.lines if line.line_id == line_id), None)


class Shop:
    """Buyers move units between available and committed; on hand changes only when they leave."""

    def __init__(self) -> None:
        self.articles: list[Article] = []
        self.by_variant: dict[str, Article] = {}
        self.by_item: dict[str, Article] = {}
        # Items whose quantity cannot be set, and whether the refusal says which row it means.
        self.refusing: dict[str, bool] = {}
        self.orders: dict[str, ShopOrder] = {}
        # Kept in step with the articles: buyers look at it all the time.
        self.listings: list[BookListing] = []
        self._line_count = 0
        self._other_count = 0

    def add(self, item: CatalogueItem, *, now: datetime) -> None:
        at = len(self.articles)
        article = Article(
            at=at,
            variant_id=str(_FIRST_VARIANT + at),
            item_id=str(_FIRST_ITEM + at),
            sku=item.sku,
            title=item.title,
            updated_at=now,
        )
        article.units["available"] = item.units
        self.articles.append(article)
        self.by_variant[article.variant_id] = article
        self.by_item[article.item_id] = article
        self.listings.append(_listed(article))

    def article(self, variant_id: str) -> Article:
        """Raises MalformedError for a variant that is not on sale."""
        try:
            return self.by_variant[variant_id]
        except KeyError:
            raise MalformedError(f"no variant {variant_id}") from None

    def line(self, order_id: str, line_id: str) -> OrderedLine | None:
        order = self.orders.get(order_id)
        return order.line(line_id) if order else None

    def set_available(self, article: Article, units: int, *, now: datetime) -> None:
        self._change(article, now, available=units - article.units["available"])

    def move(self, article: Article, units: int, *, origin: str, target: str, now: datetime) -> bool:
        """Units go from one state to another; what is on hand stays. False where fewer are there."""
        if units < 1 or article.is_deleted or article.units[origin] < units:
            return False
        self._change(article, now, **{origin: -units, target: units})
        return True

    def adjust(self, article: Article, state: str, units: int, *, now: datetime) -> None:
        """So many units more in this state; below zero: fewer."""
        self._change(article, now, **{state: units})

    def activate(self, article: Article, available: int | None, *, now: datetime) -> None:
        """The item is sold at the location, with the quantities that it has, or so many available."""
        article.is_stocked = article.is_active = True
        units = article.units["available"] if available is None else available
        self._change(article, now, available=units - article.units["available"])

    def delete(self, article: Article, *, now: datetime) -> None:
        """The variant is gone: no id finds it any more. Orders keep their lines, without a variant."""
        article.is_deleted = True
        article.updated_at = now
        self.listings[article.at] = _listed(article)

    def rename(self, article: Article, sku: str, *, now: datetime) -> None:
        article.sku = sku
        article.updated_at = now
        self.listings[article.at] = _listed(article)

    def place(self, lines: Sequence[tuple[str, int]], *, now: datetime) -> ShopOrder | None:
        """All lines or none: units go from available to committed."""
        wanted: dict[str, int] = {}
        for variant_id, units in lines:
            if units <= 0:
                raise MalformedError(f"a line of {units} units")
            wanted[variant_id] = wanted.get(variant_id, 0) + units
        articles = {variant_id: self.article(variant_id) for variant_id in wanted}
        if not wanted or any(not articles[sku].can_sell(units) for sku, units in wanted.items()):
            return None
        number = len(self.orders)
        ordered = [self._line(articles[variant_id], units, now) for variant_id, units in lines]
        order = ShopOrder(str(_FIRST_ORDER + number), 1001 + number, now, now, ordered)
        self.orders[order.order_id] = order
        return order

    def _line(self, article: Article, units: int, now: datetime) -> OrderedLine:
        line_id = str(_FIRST_LINE + self._line_count)
        self._line_count += 1
        self.commit(article, units, now)
        return OrderedLine(line_id, article, quantity=units)

    def cancel(self, order_id: str, *, now: datetime) -> ShopOrder | None:
        """An order of which nothing has left, with restocking. None where it is too late.

        https://shopify.dev/changelog/fulfilled-and-partially-fulfilled-orders-can-no-longer-be-canceled-by-using-the-order-resource
        (checked 2026-11-25).
        """
        order = self.orders.get(order_id)
        if order is None or order.status != "open" or order.fulfillments:
            return None
        parts = tuple(Part(line, line.unfulfilled) for line in order.lines if line.unfulfilled)
        for part in parts:
            self.commit(part.line.article, -part.line.open_here, now)
            part.line.cancelled, part.line.elsewhere = part.line.cancelled + part.units, 0
        order.refunds.append(Refund(self.other_id(), now, parts))
        order.cancelled_at = order.updated_at = now
        return order

    def ship(self, order_id: str, *, now: datetime, only: tuple[str, int] | None = None) -> ShopOrder | None:
        """What is left of an open order leaves, or `only` so many of one line, from one location. None where there are
        too few."""
        order = self.orders.get(order_id)
        if order is None or order.status != "open":
            return None
        here = tuple(Part(line, line.open_here) for line in order.lines if line.open_here)
        there = tuple(Part(line, line.elsewhere) for line in order.lines if line.elsewhere)
        if only is not None:
            here, there = (
                tuple(Part(p.line, only[1]) for p in parts if p.line.line_id == only[0] and only[1] <= p.units)
                for parts in (here, there)
            )
            there = () if here else there
        for part in here:
            self._change(part.line.article, now, committed=-part.units)
            part.line.fulfilled += part.units
        for part in there:
            part.line.elsewhere -= part.units
            part.line.fulfilled_elsewhere += part.units
        for parts, location_id in ((here, LOCATION_ID), (there, OTHER_LOCATION_ID)):
            if parts:
                order.fulfillments.append(Fulfillment(self.other_id(), now, parts, location_id))
                order.updated_at = now
        return order if here or there else None

    def edit(self, order_id: str, line_id: str, units: int, *, now: datetime) -> ShopOrder | None:
        """What is unfulfilled of a line becomes `units`. None where it cannot be, or nothing would be left to ship.

        "You can only edit unfulfilled line items", and a lower quantity may restock what was removed: here it does.
        https://shopify.dev/docs/api/admin-graphql/latest/mutations/orderEditSetQuantity (checked 2026-11-25).
        """
        order = self.orders.get(order_id)
        line = order.line(line_id) if order else None
        if order is None or line is None or order.status != "open" or not line.unfulfilled:
            return None
        more = units - line.unfulfilled
        is_last = units == 0 and not any(other.unfulfilled for other in order.lines if other is not line)
        if more == 0 or is_last or (more > 0 and not line.article.can_sell(more)):
            return None
        here = max(more, -line.open_here)
        self.commit(line.article, here, now)
        line.elsewhere += min(0, more - here)
        line.quantity += max(0, more)
        line.cancelled -= min(0, more)
        order.updated_at = now
        return order

    def add_line(self, order_id: str, variant_id: str, units: int, *, now: datetime) -> ShopOrder | None:
        """One more line on an open order. None where it is not open, or too few are there."""
        order, article = self.orders.get(order_id), self.by_variant.get(variant_id)
        if order is None or article is None or order.status != "open" or not article.can_sell(units):
            return None
        order.lines.append(self._line(article, units, now))
        order.updated_at = now
        return order

    def refund(
        self, order_id: str, line_id: str, units: int, *, restock: bool, now: datetime
    ) -> tuple[ShopOrder, Refund] | None:
        """Units of a line are paid back: of what has not left, or else of what has. None where neither is enough.

        The restock types: https://shopify.dev/docs/api/admin-graphql/latest/enums/RefundLineItemRestockType
        (checked 2026-11-25).
        """
        order = self.orders.get(order_id)
        line = order.line(line_id) if order else None
        if order is None or line is None or order.cancelled_at is not None or units < 1:
            return None
        if units <= line.open_here:
            line.cancelled += units
            line.kept_off += 0 if restock else units
            self._change(line.article, now, committed=-units, available=units if restock else 0)
            restock_type = "CANCEL" if restock else "NO_RESTOCK"
        elif units <= line.fulfilled - line.returned - line.written_off:
            line.returned += units if restock else 0
            line.written_off += 0 if restock else units
            if restock:
                self._change(line.article, now, available=units)
            restock_type = "RETURN" if restock else "NO_RESTOCK"
        else:
            return None
        refund = Refund(self.other_id(), now, (Part(line, units),), restock_type)
        order.refunds.append(refund)
        order.updated_at = now
        return order, refund

    def book_orders(self) -> list[BookOrder]:
        return [_booked(order) for order in self.orders.values()]

    def commit(self, article: Article, units: int, now: datetime) -> None:
        """So many more units are promised, or fewer."""
        self._change(article, now, available=-units, committed=units)

    def _change(self, article: Article, now: datetime, **more: int) -> None:
        """Add to the units in the named states, and keep what they were."""
        article.past.append((now, dict(article.units)))
        for state, units in more.items():
            article.units[state] += units
        article.updated_at = now
        self.listings[article.at] = _listed(article)

    def other_id(self) -> str:
        """A new id of something that is neither a variant nor an order."""
        self._other_count += 1
        return str(_FIRST_OTHER + self._other_count)


def _listed(article: Article) -> BookListing:
    units = 0 if article.is_deleted else max(0, article.units["available"])
    return BookListing(article.variant_id, merchant_sku=article.sku, units=units, is_ended=article.is_deleted)


def _booked(order: ShopOrder) -> BookOrder:
    lines = tuple(
        BookLine(
            line_id=line.line_id,
            channel_sku=line.article.variant_id,
            units=line.quantity,
            units_cancelled=line.cancelled,
            units_relisted=line.cancelled - line.kept_off,
            units_shipped=line.fulfilled,
            units_returned=line.returned,
            units_elsewhere=line.elsewhere + line.fulfilled_elsewhere,
        )
        for line in order.lines
    )
    return BookOrder(order.order_id, order.placed_at or order.created_at, order.status, lines)
