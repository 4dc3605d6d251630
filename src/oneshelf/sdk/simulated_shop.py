"""A simulator whose books are kept already: a shop that sells from one quantity per listing, and tells what changed.

A subclass adds the wire of its channel: `wire`, `account`, and `announce` where there are webhooks. It reads `articles`
and `sales`, and writes through `edit_by_hand` and `write_units`. Orders are paid when they are placed.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from oneshelf.clock import Clock
from oneshelf.errors import MalformedError
from oneshelf.sdk.capability import Limit
from oneshelf.sdk.cut_reply import CutReply
from oneshelf.sdk.simulator import BookLine, BookListing, BookOrder, CatalogueItem, Simulator

FAULTS = ("throttle", "server_error", "error_storm", "reply_lost")
THROTTLED_S = 2.0

Handler = Callable[[Request], Awaitable[Response]]


@dataclass(slots=True)
class Article:
    """One listing. `units` may be below zero where somebody typed it."""

    channel_sku: str
    sku: str
    title: str
    units: int
    is_tracked: bool = True
    is_ended: bool = False


@dataclass(slots=True)
class SoldLine:
    """One line of a sale. Of the cancelled units `restocked` are on sale again, and of the shipped the `returned`."""

    line_id: str
    channel_sku: str
    units: int
    cancelled: int = 0
    restocked: int = 0
    shipped: int = 0
    returned: int = 0

    @property
    def open(self) -> int:
        return self.units - self.cancelled - self.shipped


@dataclass(slots=True)
class Sale:
    """An order. `change` counts all changes of the shop's orders: the newest has the highest number.

    `placed_at` and `changed_at` are what the shop's own clock shows; `truly_at` is the true instant.
    """

    order_id: str
    truly_at: datetime
    placed_at: datetime
    changed_at: datetime
    change: int
    lines: list[SoldLine] = field(default_factory=list)

    @property
    def status(self) -> str:
        if all(line.cancelled == line.units for line in self.lines):
            return "cancelled"
        return "open" if any(line.open for line in self.lines) else "shipped"


class ShopSimulator(Simulator):
    """A shop without a wire. `calls`: so many are granted a second, and at once; the rest are refused as throttled.

    `more_faults`: switches of the channel's own, besides those that all shops have.
    """

    def __init__(
        self, *, kind: str, seed: int, speed: float, clock: Clock, calls: Limit, more_faults: tuple[str, ...] = ()
    ) -> None:
        super().__init__(kind=kind, seed=seed, speed=speed, clock=clock, faults=(*FAULTS, *more_faults))
        self._calls = calls
        self._calls_left, self._counted_at = float(calls.burst), clock.monotonic()
        self.articles: dict[str, Article] = {}
        self.sales: dict[str, Sale] = {}
        self.change = 0

    # For the wire ---------------------------------------------------------------------------------------------

    def announce(self, *, sale: Sale | None = None, article: Article | None = None) -> None:
        """A sale or a quantity changed. A channel with webhooks sends one."""

    def write_units(self, channel_sku: str, units: int) -> None:
        """The quantity becomes `units`, by the API."""
        article = self.articles[channel_sku]
        article.units = units
        self.announce(article=article)

    def behind(self, handler: Handler, *, token: str, is_write: bool = False) -> Handler:
        """The handler behind the door: our access, a throttle and the errors of a server, as the switches say."""

        async def respond(request: Request) -> Response:
            if self.is_revoked or request.headers.get("authorization") != f"Bearer {token}":
                return JSONResponse({"error": "unauthorised"}, status_code=401)
            if self.switches.strikes("throttle") or not self.is_granted():
                headers = {"Retry-After": f"{THROTTLED_S / self.speed:g}"}
                return JSONResponse({"error": "slow down"}, status_code=429, headers=headers)
            if self.is_stormy() or self.switches.strikes("server_error"):
                return Response("<html>502 Bad Gateway</html>", status_code=502, media_type="text/html")
            answer = await handler(request)
            return CutReply(b'{"results":') if is_write and self.switches.strikes("reply_lost") else answer

        return respond

    def is_granted(self) -> bool:
        """Whether the shop has a call left now; then it is spent."""
        now = self.clock.monotonic()
        more = (now - self._counted_at) * self._calls.rate_per_s * self.speed
        self._calls_left, self._counted_at = min(float(self._calls.burst), self._calls_left + more), now
        if self._calls_left < 1:
            return False
        self._calls_left -= 1
        return True

    # What buyers and people do --------------------------------------------------------------------------------

    def stock_catalogue(self, items: Sequence[CatalogueItem]) -> None:
        for item in items:
            number = f"{1001 + len(self.articles)}"
            self.articles[number] = Article(number, item.sku, item.title, item.units)

    def listings(self) -> Sequence[BookListing]:
        return [
            BookListing(one.channel_sku, one.sku, 0 if one.is_ended else max(0, one.units), is_ended=one.is_ended)
            for one in self.articles.values()
        ]

    def orders(self) -> Sequence[BookOrder]:
        return [
            BookOrder(
                sale.order_id,
                sale.truly_at,
                sale.status,
                tuple(
                    BookLine(
                        line.line_id,
                        line.channel_sku,
                        line.units,
                        units_cancelled=line.cancelled,
                        units_relisted=line.restocked,
                        units_shipped=line.shipped,
                        units_returned=line.returned,
                    )
                    for line in sale.lines
                ),
            )
            for sale in self.sales.values()
        ]

    def place(self, lines: Sequence[tuple[str, int]]) -> str | None:
        wanted: dict[str, int] = {}
        for channel_sku, units in lines:
            wanted[channel_sku] = wanted.get(channel_sku, 0) + units
        if not wanted or min(wanted.values()) < 1 or any(not self._sells(sku, units) for sku, units in wanted.items()):
            return None
        order_id, now = f"{5001 + len(self.sales)}", self.channel_now()
        sale = Sale(order_id, self.clock.now(), now, now, self.change)
        self.sales[order_id] = sale
        for channel_sku, units in wanted.items():
            sale.lines.append(SoldLine(f"{order_id}-{len(sale.lines) + 1}", channel_sku, units))
            self._take(channel_sku, units)
        return order_id if self._changed(sale) else None

    def cancel(self, order_id: str) -> bool:
        sale = self.sales.get(order_id)
        if sale is None or sale.status != "open" or any(line.shipped for line in sale.lines):
            return False
        for line in sale.lines:
            self._cancel(line, line.open, restock=True)
        return self._changed(sale)

    def ship(self, order_id: str) -> bool:
        sale = self.sales.get(order_id)
        if sale is None or sale.status != "open":
            return False
        for line in sale.lines:
            line.shipped += line.open
        return self._changed(sale)

    def edit_by_hand(self, channel_sku: str, units: int) -> None:
        if channel_sku not in self.articles:
            raise MalformedError(f"no listing {channel_sku}")
        self.write_units(channel_sku, units)

    def ship_units(self, order_id: str, line_id: str, units: int) -> bool:
        line = self._line(order_id, line_id)
        if line is None or not 0 < units <= line.open:
            return False
        line.shipped += units
        return self.counted("units_shipped", self._changed(self.sales[order_id]))

    def cancel_units(self, order_id: str, line_id: str, units: int) -> bool:
        line = self._line(order_id, line_id)
        if line is None or not 0 < units <= line.open:
            return False
        self._cancel(line, units, restock=True)
        return self.counted("units_cancelled", self._changed(self.sales[order_id]))

    def edit_line(self, order_id: str, line_id: str, units: int) -> bool:
        line = self._line(order_id, line_id)
        more = units - line.open if line else 0
        if line is None or not line.open or more == 0 or (more > 0 and not self._sells(line.channel_sku, more)):
            return False
        if more > 0:
            line.units += more
            self._take(line.channel_sku, more)
        else:
            self._cancel(line, -more, restock=True)
        return self.counted("order_edited", self._changed(self.sales[order_id]))

    def add_line(self, order_id: str, channel_sku: str, units: int) -> bool:
        sale = self.sales.get(order_id)
        if sale is None or sale.status != "open" or not self._sells(channel_sku, units):
            return False
        sale.lines.append(SoldLine(f"{order_id}-{len(sale.lines) + 1}", channel_sku, units))
        self._take(channel_sku, units)
        return self.counted("order_edited", self._changed(sale))

    def refund(self, order_id: str, line_id: str, units: int, *, restock: bool) -> bool:
        """Of what has not left, or else of what has."""
        line = self._line(order_id, line_id)
        if line is not None and 0 < units <= line.open:
            self._cancel(line, units, restock=restock)
        elif line is not None and 0 < units <= line.shipped - line.returned:
            if restock:
                line.returned += units
                self._take(line.channel_sku, -units)
        else:
            return False
        return self.counted("refund_restocked" if restock else "refund_kept_off", self._changed(self.sales[order_id]))

    def end_listing(self, channel_sku: str) -> bool:
        article = self.articles.get(channel_sku)
        if article is None or article.is_ended:
            return False
        article.is_ended = True
        return self.counted("listing_ended", True)

    def remap(self, channel_sku: str, merchant_sku: str) -> bool:
        article = self.articles.get(channel_sku)
        if article is None or article.is_ended:
            return False
        article.sku = merchant_sku
        return self.counted("listing_remapped", True)

    def untrack(self, channel_sku: str) -> bool:
        self.articles[channel_sku].is_tracked = False
        return self.counted("listing_untracked", True)

    # Books ----------------------------------------------------------------------------------------------------

    def _line(self, order_id: str, line_id: str) -> SoldLine | None:
        sale = self.sales.get(order_id)
        return next((line for line in sale.lines if line.line_id == line_id), None) if sale else None

    def _sells(self, channel_sku: str, units: int) -> bool:
        article = self.articles.get(channel_sku)
        return article is not None and not article.is_ended and article.units >= units

    def _take(self, channel_sku: str, units: int) -> None:
        self.articles[channel_sku].units -= units
        self.announce(article=self.articles[channel_sku])

    def _cancel(self, line: SoldLine, units: int, *, restock: bool) -> None:
        line.cancelled += units
        if restock:
            line.restocked += units
            self._take(line.channel_sku, -units)

    def _changed(self, sale: Sale) -> bool:
        self.change += 1
        sale.change, sale.changed_at = self.change, self.channel_now()
        self.announce(sale=sale)
        return True
