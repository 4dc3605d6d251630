"""A simulated wholesale buyer: their system sends purchase orders by X12 and JSON, and a mailbox takes our answers.

`POST /mailbox` takes interchanges with 855, 846 and 997, and refuses what does not fit an order of theirs;
`/_sim/mailbox` shows what it has taken. Faults: `late` (an order is sent much later than the others), `duplicate` (it
is sent twice), `reorder` (an older document comes after a newer one), `malformed` (half of a document is sent first).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from uuid import UUID

import httpx2
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from oneshelf.clock import Clock
from oneshelf.connectors.wholesale.simulator_documents import OURS, THEIRS, Mailbox, Order, document_of
from oneshelf.errors import MalformedError
from oneshelf.sdk.simulated_sender import Sender
from oneshelf.sdk.simulator import BookLine, BookListing, BookOrder, CatalogueItem, SimulatedAccount, Simulator

FAULTS = ("late", "duplicate", "reorder", "malformed")
CUSTOMER = "ACME"
SOON_S = (0.2, 1.5)
LATE_S = (60.0, 1_800.0)
AGAIN_S_MAX = 300.0


@dataclass(slots=True)
class _Waiting:
    """Documents that were not sent yet, the oldest first."""

    bodies: list[bytes] = field(default_factory=list)
    tries: int = 0


class WholesaleSimulator(Simulator):
    """One buyer. What they order they cannot see; they are answered, or not."""

    def __init__(
        self, *, seed: int, speed: float, clock: Clock, webhook_client: httpx2.AsyncClient | None = None
    ) -> None:
        super().__init__(kind="wholesale", seed=seed, speed=speed, clock=clock, faults=FAULTS)
        self.sender = Sender(webhook_client)
        self._articles: dict[str, BookListing] = {}
        self._orders: dict[str, Order] = {}
        self._stated = 0
        self._waiting = _Waiting()
        self.mailbox = Mailbox(self._orders)

    # Their wire ----------------------------------------------------------------------------------------------------

    def wire(self) -> Sequence[BaseRoute]:
        return [
            Route("/mailbox", self._take, methods=["POST"]),
            Route("/_sim/mailbox", self._show_mailbox, methods=["GET"]),
        ]

    def account(self, *, address: str, webhook_secrets: Sequence[str] = ("hush",)) -> SimulatedAccount:
        del address
        settings = {"customer": CUSTOMER, "x12_theirs": THEIRS, "x12_ours": OURS}
        return SimulatedAccount(settings, {"webhook_secret": ",".join(webhook_secrets)})

    def connect(self, *, address: str, secret: str) -> None:
        self.sender.address, self.sender.secret = address, secret
        self._soon()

    def stock_catalogue(self, items: Sequence[CatalogueItem]) -> None:
        self._articles.update({item.sku: BookListing(item.sku, item.sku, item.units) for item in items})

    def listings(self) -> Sequence[BookListing]:
        return list(self._articles.values())

    def orders(self) -> Sequence[BookOrder]:
        return [_in_books(order) for order in self._orders.values()]

    # What the buyer does -------------------------------------------------------------------------------------------

    def place(self, lines: Sequence[tuple[str, int]]) -> str | None:
        """They order. None for an article that they do not know."""
        if not lines or any(sku not in self._articles or units < 1 for sku, units in lines):
            return None
        number = f"PO-{len(self._orders) + 1}"
        wanted = {str(at): (sku, units) for at, (sku, units) in enumerate(lines, 1)}
        self._orders[number] = Order(number, self.clock.now(), wanted, is_x12=len(self._orders) % 2 == 0)
        self._state(number)
        return number

    def cancel(self, order_id: str) -> bool:
        """They take the order back."""
        order = self._orders.get(order_id)
        if order is None or order.is_cancelled:
            return False
        order.is_cancelled = True
        self._state(order_id)
        return True

    def edit_line(self, order_id: str, line_id: str, units: int) -> bool:
        """They want another quantity of a line, and state the whole order anew."""
        order = self._orders.get(order_id)
        if order is None or order.is_cancelled or line_id not in order.lines or units < 1:
            return False
        order.lines[line_id] = (order.lines[line_id][0], units)
        self._state(order_id)
        return True

    def add_line(self, order_id: str, channel_sku: str, units: int) -> bool:
        """They want something besides."""
        order = self._orders.get(order_id)
        if order is None or order.is_cancelled or channel_sku not in self._articles or units < 1:
            return False
        order.lines[str(max(map(int, order.lines)) + 1)] = (channel_sku, units)
        self._state(order_id)
        return True

    def edit_by_hand(self, channel_sku: str, units: int) -> None:
        """They plan to need so many. Nobody hears of it."""
        if channel_sku not in self._articles:
            raise MalformedError(f"no article {channel_sku}")
        self._articles[channel_sku] = replace(self._articles[channel_sku], units=units)

    # What a buyer does not do.

    def ship(self, order_id: str) -> bool:
        del order_id
        return False

    def ship_units(self, order_id: str, line_id: str, units: int) -> bool:
        del order_id, line_id, units
        return False

    def cancel_units(self, order_id: str, line_id: str, units: int) -> bool:
        del order_id, line_id, units
        return False

    def refund(self, order_id: str, line_id: str, units: int, *, restock: bool) -> bool:
        del order_id, line_id, units, restock
        return False

    def end_listing(self, channel_sku: str) -> bool:
        del channel_sku
        return False

    def remap(self, channel_sku: str, merchant_sku: str) -> bool:
        del channel_sku, merchant_sku
        return False

    # Sending -------------------------------------------------------------------------------------------------------

    def _state(self, number: str) -> None:
        """The order as it is now goes out, under the next number."""
        self._stated += 1
        body = document_of(self._orders[number], self._stated, self.channel_now())
        if self.switches.strikes("late"):
            self.after(self.chance.uniform(*LATE_S), self._later(lambda: self._put(body)))
        elif self.switches.strikes("reorder"):
            self._put(body, first=True)
        else:
            self._put(body)

    def _put(self, body: bytes, *, first: bool = False) -> None:
        self._waiting.bodies.insert(0 if first else len(self._waiting.bodies), body)
        self._soon()

    def _soon(self) -> None:
        if self._waiting.bodies:
            self.after(self.random.uniform(*SOON_S), self._flush)

    def _later(self, act: Callable[[], None]) -> Callable[[], Awaitable[None]]:
        async def do() -> None:
            act()

        return do

    async def _flush(self) -> None:
        """Send what waits, one by one. What was not taken waits on, and comes again."""
        waiting = self._waiting
        while waiting.bodies:
            body = waiting.bodies.pop(0)
            if self.switches.strikes("malformed"):
                await self._is_sent(body[: len(body) // 2])
            if not await self._is_sent(body):
                waiting.bodies.insert(0, body)
                waiting.tries += 1
                self.after(min(AGAIN_S_MAX, 2.0**waiting.tries), self._later(self._soon))
                return
            waiting.tries = 0
            if self.switches.strikes("duplicate"):
                await self._is_sent(body)

    async def _is_sent(self, body: bytes) -> bool:
        delivery_id = str(UUID(int=self.random.getrandbits(128), version=4))
        return await self.sender.post(body, delivery_id=delivery_id, timestamp=int(self.channel_now().timestamp()))

    # The mailbox ---------------------------------------------------------------------------------------------------

    async def _take(self, request: Request) -> Response:
        try:
            self.mailbox.take(await request.body())
        except MalformedError as problem:
            return JSONResponse({"error": str(problem)}, status_code=400)
        return JSONResponse({"taken": True}, status_code=202)

    async def _show_mailbox(self, _request: Request) -> Response:
        return JSONResponse(self.mailbox.shown())


def _in_books(order: Order) -> BookOrder:
    lines: list[BookLine] = []
    for line_id, (sku, units) in order.lines.items():
        gone = units if order.is_cancelled else 0
        lines.append(BookLine(line_id, sku, units, gone, units_relisted=gone))
    return BookOrder(order.number, order.placed_at, "cancelled" if order.is_cancelled else "open", tuple(lines))
