"""The books of the simulated shop: variants with one stock level each, and orders. No wire, no time of its own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from oneshelf.errors import MalformedError
from oneshelf.sdk.simulator import BookLine, BookListing, BookOrder, CatalogueItem

LOCATION_ID = "75596366001"
LOCATION_NAME = "Main warehouse"
SHOP_DOMAIN = "simulated.myshopify.com"

_FIRST_VARIANT = 44_800_000_000_001
_FIRST_ITEM = 53_460_000_000_001
_FIRST_ORDER = 6_100_000_000_001
_FIRST_LINE = 15_600_000_000_001
_FIRST_OTHER = 5_700_000_000_001

STATES = ("available", "committed", "damaged", "incoming", "quality_control", "reserved", "safety_stock")
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
    units: dict[str, int] = field(default_factory=lambda: dict.fromkeys(STATES, 0))

    @property
    def on_hand(self) -> int:
        return sum(self.units[state] for state in ON_HAND_STATES)


@dataclass(slots=True)
class OrderedLine:
    """One line of an order. `current` is what is left of `quantity` after removals."""

    line_id: str
    article: Article
    quantity: int
    current: int
    fulfilled: int = 0


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


@dataclass(frozen=True, slots=True)
class Fulfillment:
    fulfillment_id: str
    created_at: datetime
    parts: tuple[Part, ...]


@dataclass(slots=True)
class ShopOrder:
    order_id: str
    number: int
    created_at: datetime
    updated_at: datetime
    lines: list[OrderedLine]
    cancelled_at: datetime | None = None
    refunds: list[Refund] = field(default_factory=list)
    fulfillments: list[Fulfillment] = field(default_factory=list)

    @property
    def status(self) -> str:
        if self.cancelled_at is not None:
            return "cancelled"
        return "shipped" if self.fulfillments else "open"


class Shop:
    """Buyers move units between available and committed; on hand changes only when they leave."""

    def __init__(self) -> None:
        self.articles: list[Article] = []
        self.by_variant: dict[str, Article] = {}
        self.by_item: dict[str, Article] = {}
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

    def set_available(self, article: Article, units: int, *, now: datetime) -> None:
        article.units["available"] = units
        self._touch(article, now)

    def place(self, lines: Sequence[tuple[str, int]], *, now: datetime) -> ShopOrder | None:
        """All lines or none: units go from available to committed."""
        wanted: dict[str, int] = {}
        for variant_id, units in lines:
            if units <= 0:
                raise MalformedError(f"a line of {units} units")
            wanted[variant_id] = wanted.get(variant_id, 0) + units
        articles = {variant_id: self.article(variant_id) for variant_id in wanted}
        if not wanted or any(articles[sku].units["available"] < units for sku, units in wanted.items()):
            return None
        number = len(self.orders)
        ordered: list[OrderedLine] = []
        for variant_id, units in lines:
            line_id = str(_FIRST_LINE + self._line_count)
            self._line_count += 1
            ordered.append(OrderedLine(line_id, articles[variant_id], quantity=units, current=units))
            self._move(articles[variant_id], units, now)
        order = ShopOrder(str(_FIRST_ORDER + number), 1001 + number, now, now, ordered)
        self.orders[order.order_id] = order
        return order

    def cancel(self, order_id: str, *, now: datetime) -> ShopOrder | None:
        """An open order with restocking: committed goes back to available. None where it is too late."""
        order = self.orders.get(order_id)
        if order is None or order.status != "open":
            return None
        parts = tuple(Part(line, line.current) for line in order.lines if line.current)
        for part in parts:
            self._move(part.line.article, -part.units, now)
            part.line.current = 0
        order.refunds.append(Refund(self._other_id(), now, parts))
        order.cancelled_at = order.updated_at = now
        return order

    def ship(self, order_id: str, *, now: datetime) -> ShopOrder | None:
        """Everything of an open order leaves: committed falls. None where it is not open."""
        order = self.orders.get(order_id)
        if order is None or order.status != "open":
            return None
        parts = tuple(Part(line, line.current) for line in order.lines if line.current)
        for part in parts:
            part.line.article.units["committed"] -= part.units
            part.line.article.updated_at = now
            part.line.fulfilled += part.units
        order.fulfillments.append(Fulfillment(self._other_id(), now, parts))
        order.updated_at = now
        return order

    def book_orders(self) -> list[BookOrder]:
        return [_booked(order) for order in self.orders.values()]

    def _move(self, article: Article, units: int, now: datetime) -> None:
        article.units["available"] -= units
        article.units["committed"] += units
        self._touch(article, now)

    def _touch(self, article: Article, now: datetime) -> None:
        article.updated_at = now
        self.listings[article.at] = _listed(article)

    def _other_id(self) -> str:
        self._other_count += 1
        return str(_FIRST_OTHER + self._other_count)


def _listed(article: Article) -> BookListing:
    units = max(0, article.units["available"])
    return BookListing(channel_sku=article.variant_id, merchant_sku=article.sku, units=units)


def _booked(order: ShopOrder) -> BookOrder:
    lines = tuple(
        BookLine(
            line_id=line.line_id,
            channel_sku=line.article.variant_id,
            units=line.quantity,
            units_cancelled=line.quantity - line.current,
        )
        for line in order.lines
    )
    return BookOrder(order.order_id, order.created_at, order.status, lines)
