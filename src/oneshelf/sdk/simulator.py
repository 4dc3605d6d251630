"""Base of the wire-level simulators: a channel's real HTTP API with buyers of its own and faults on a switch.

A simulator is an ASGI application (`app`) and a background task (`run`) that moves its time: buyers, delayed
effects, webhook deliveries. Everything random comes from one seed. `speed` divides the channel's documented
delays and multiplies its documented rates; with speed 1 the simulator is as slow as the original.

Under `/_sim/` it offers what no real channel does: its books (the truth that the engine never reads), and the
switches. The engine talks to the other paths only.
"""

from __future__ import annotations

import asyncio
import heapq
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from random import Random
from typing import Any, ClassVar

import msgspec
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from oneshelf.clock import Clock
from oneshelf.domain.identity import UNITS_MAX, units_from
from oneshelf.errors import MalformedError
from oneshelf.sdk.shoppers import Shoppers, ShoppersPlan
from oneshelf.sdk.simulator_controls import controls_of
from oneshelf.sdk.switches import Switches

Action = Callable[[], Awaitable[None]]
TICK_S = 0.02
# Seconds of the channel's time for which a storm of errors goes on, and of true time by which its clock may be wrong.
STORM_S = (5.0, 60.0)
SKEW_S_MAX = 30.0


@dataclass(frozen=True, slots=True)
class CatalogueItem:
    """A listing to be put on the simulated channel."""

    sku: str
    title: str
    units: int


@dataclass(frozen=True, slots=True)
class BookLine:
    """One line of an order in the simulator's books, in units.

    `units` were ever ordered. Of them `units_cancelled` will never ship, `units_relisted` of which went back on the
    listing; `units_shipped` left, and `units_returned` of those came back and are on the listing again. Those
    `units_elsewhere` left, or will, from another location than the one that the listing is about.
    """

    line_id: str
    channel_sku: str
    units: int
    units_cancelled: int
    units_relisted: int = 0
    units_shipped: int = 0
    units_returned: int = 0
    units_elsewhere: int = 0

    @property
    def units_off_listing(self) -> int:
        """Units by which this line has lowered what its listing shows."""
        return self.units - self.units_relisted - self.units_returned - self.units_elsewhere


@dataclass(frozen=True, slots=True)
class BookOrder:
    """An order in the simulator's books. `status`: pending, open, shipped or cancelled."""

    order_id: str
    placed_at: datetime
    status: str
    lines: tuple[BookLine, ...]


@dataclass(frozen=True, slots=True)
class BookListing:
    """A listing in the simulator's books: what a buyer can really buy now. Of an ended one that is nothing."""

    channel_sku: str
    merchant_sku: str
    units: int
    is_ended: bool = False


@dataclass(frozen=True, slots=True)
class SimulatedAccount:
    """The settings and secrets with which a connector is let in by a simulator. No `repr` shows the secrets."""

    settings: Mapping[str, str]
    secrets: Mapping[str, str] = field(repr=False)


class Simulator(ABC):
    """One simulated channel. Subclasses add the wire and the channel's own rules."""

    # The faults that hide a new order from a poll, for no longer than the `orders_lag_s` that is declared.
    late_order_faults: ClassVar[tuple[str, ...]] = ()
    # The faults under which news in its queue is lost, doubled or late.
    news_faults: ClassVar[tuple[str, ...]] = ()

    def __init__(self, *, kind: str, seed: int, speed: float, clock: Clock, faults: tuple[str, ...]) -> None:
        self.kind = kind
        self.seed = seed
        self.speed = speed
        self.clock = clock
        self.random = Random(f"{kind}:{seed}")
        self.switches = Switches(self.random, faults)
        # How long, how late, how many: drawn apart, so that a fault that strikes moves nothing but itself.
        self.chance = Random(f"{kind}:{seed}:faults")
        self.shoppers = Shoppers(self, Random(f"{kind}:{seed}:shoppers"))
        self._timers: list[tuple[float, int, Action]] = []
        self._timer_count = 0
        self._alarm = asyncio.Event()
        self._storm_until = float("-inf")
        self._skew_s = 0.0
        self.is_revoked = False

    # What a subclass provides ------------------------------------------------------------------------------

    @abstractmethod
    def wire(self) -> Sequence[BaseRoute]:
        """The routes of the channel's real API."""

    @abstractmethod
    def account(self, *, address: str, webhook_secrets: Sequence[str] = ("hush",)) -> SimulatedAccount:
        """What a connector has to be told to reach this simulator at `address`. Two webhook secrets: a rotation."""

    def listening_account(self, *, address: str) -> SimulatedAccount | None:
        """The same of an account whose news lies in a queue, see `contract.Hears`. None: the channel has no such."""
        del address
        return None

    @abstractmethod
    def stock_catalogue(self, items: Sequence[CatalogueItem]) -> None:
        """Put these listings on sale (adds to what is there)."""

    @abstractmethod
    def listings(self) -> Sequence[BookListing]:
        """All listings, in catalogue order."""

    @abstractmethod
    def orders(self) -> Sequence[BookOrder]:
        """All orders ever placed, in order of placing."""

    @abstractmethod
    def place(self, lines: Sequence[tuple[str, int]]) -> str | None:
        """A buyer orders `(channel_sku, units)` lines. The order's id, or None where a listing has too few."""

    @abstractmethod
    def cancel(self, order_id: str) -> bool:
        """The order is cancelled and its units go back on the listing. False where it is too late."""

    @abstractmethod
    def ship(self, order_id: str) -> bool:
        """The open order leaves. False where it is pending, cancelled or gone."""

    @abstractmethod
    def edit_by_hand(self, channel_sku: str, units: int) -> None:
        """Somebody changes the listing's quantity in the channel's own back office."""

    # What changes an order after it was placed. Each returns whether it happened; False where the channel has no such
    # thing, or where it is too late. Units are of this one line.

    @abstractmethod
    def ship_units(self, order_id: str, line_id: str, units: int) -> bool:
        """A part of an open order leaves."""

    @abstractmethod
    def cancel_units(self, order_id: str, line_id: str, units: int) -> bool:
        """A part of a line is cancelled, and its units go back on the listing."""

    @abstractmethod
    def edit_line(self, order_id: str, line_id: str, units: int) -> bool:
        """The seller changes what is still to be shipped of a line to `units`, more or fewer."""

    @abstractmethod
    def add_line(self, order_id: str, channel_sku: str, units: int) -> bool:
        """The seller adds a line to an order."""

    @abstractmethod
    def refund(self, order_id: str, line_id: str, units: int, *, restock: bool) -> bool:
        """Money goes back for units of a line; `restock`: the units go back on the listing."""

    def ships_elsewhere(self, order_id: str, line_id: str, units: int) -> bool:
        """Of what is open of a line `units` will leave from another location; so many fewer from this one."""
        del order_id, line_id, units
        return False

    # What a person does to a listing or to our access. Each returns whether it happened.

    @abstractmethod
    def end_listing(self, channel_sku: str) -> bool:
        """The listing is gone for good. Its orders stay."""

    @abstractmethod
    def remap(self, channel_sku: str, merchant_sku: str) -> bool:
        """The listing has another SKU of the seller's from now on."""

    def untrack(self, channel_sku: str) -> bool:
        """The channel keeps no quantity of the listing any more that we may write."""
        del channel_sku
        return False

    def revoke(self) -> None:
        """Somebody takes our access away. Every call is refused until `grant`."""
        self.is_revoked = True

    def grant(self) -> None:
        """The same credentials are good again."""
        self.is_revoked = False

    def connect(self, *, address: str, secret: str) -> None:
        """Send webhooks to this address from now on. Channels without webhooks ignore it."""
        del address, secret

    # Time ----------------------------------------------------------------------------------------------------

    def after(self, seconds: float, action: Action) -> None:
        """Do `action` once `seconds` of the channel's time (divided by `speed`) have passed."""
        self._timer_count += 1
        heapq.heappush(self._timers, (self.clock.monotonic() + seconds / self.speed, self._timer_count, action))
        self._alarm.set()

    async def run(self) -> None:
        """Let the channel's time pass, until cancelled."""
        async with asyncio.TaskGroup() as actions:
            while True:
                for action in self.due():
                    actions.create_task(_awaited(action))
                self._alarm.clear()
                ringing = actions.create_task(self._ring_when_due())
                await self._alarm.wait()
                ringing.cancel()

    async def _ring_when_due(self) -> None:
        """At the next thing to do; of those that come close upon each other, for all together."""
        wait_s = self.next_due_at - self.clock.monotonic()
        if wait_s < float("inf"):
            await self.clock.sleep(max(TICK_S, wait_s))
            self._alarm.set()

    def due(self) -> list[Action]:
        """Let buyers do what is due now, and return the delayed effects that are, in order, to be awaited.

        `run` does this whenever something is. Whoever steps time from one event to the next does it at `next_due_at`.
        """
        now = self.clock.monotonic()
        self.shoppers.shop(now)
        actions: list[Action] = []
        while self._timers and self._timers[0][0] <= now:
            actions.append(heapq.heappop(self._timers)[2])
        return actions

    @property
    def next_due_at(self) -> float:
        """The monotonic instant before which nothing happens here of itself; infinity where nothing will."""
        return min(self.shoppers.next_at, self._timers[0][0] if self._timers else float("inf"))

    def channel_now(self) -> datetime:
        """What the channel's own clock shows. Its stamps are made from this."""
        if self._skew_s:
            self.switches.hits["clock_skew"] += 1
        return self.clock.now() + timedelta(seconds=self._skew_s)

    def skew_clock(self, seconds: float | None = None) -> float:
        """Let the channel's clock run ahead (below zero: behind); without a figure by what the seed says.

        Returns the seconds. Delays and limits go on in true time: only stamps are wrong.
        """
        own_s = Random(f"{self.kind}:{self.seed}:skew").uniform(-SKEW_S_MAX, SKEW_S_MAX)
        self._skew_s = own_s if seconds is None else seconds
        return self._skew_s

    # Faults that all channels have -----------------------------------------------------------------------------

    def is_stormy(self) -> bool:
        """Whether this call is answered with a server's error, as all are for a while once `error_storm` struck."""
        now = self.clock.monotonic()
        if now >= self._storm_until and self.switches.strikes("error_storm"):
            self._storm_until = now + self.chance.uniform(*STORM_S) / self.speed
        return now < self._storm_until

    def counted(self, name: str, has_happened: bool) -> bool:
        """Count what somebody did to an order or a listing among the faults, where it happened."""
        if has_happened:
            self.switches.hits[name] += 1
        return has_happened

    # HTTP ------------------------------------------------------------------------------------------------------

    def app(self) -> Starlette:
        """The ASGI application: the channel's wire and the switches."""
        return Starlette(routes=[*self.wire(), *self._controls()])

    def _controls(self) -> Sequence[BaseRoute]:
        return [
            Route("/_sim/health", self._health, methods=["GET"]),
            Route("/_sim/books", self._books, methods=["GET"]),
            Route("/_sim/catalogue", self._control(self._set_catalogue), methods=["POST"]),
            Route("/_sim/connect", self._control(self._set_connection), methods=["POST"]),
            Route("/_sim/faults", self._control(self.switches.set), methods=["POST"]),
            Route("/_sim/shoppers", self._control(self._set_shoppers), methods=["POST"]),
            Route("/_sim/orders", self._control(self._place), methods=["POST"]),
            Route("/_sim/cancel", self._control(lambda asked: self.cancel(asked["order_id"])), methods=["POST"]),
            Route("/_sim/ship", self._control(lambda asked: self.ship(asked["order_id"])), methods=["POST"]),
            Route("/_sim/edit", self._control(self._edit), methods=["POST"]),
            *(Route(f"/_sim/{name}", self._control(act), methods=["POST"]) for name, act in controls_of(self).items()),
        ]

    def _control(self, act: Callable[[dict[str, Any]], Any]) -> Callable[[Request], Awaitable[Response]]:
        async def respond(request: Request) -> Response:
            try:
                result = act(msgspec.json.decode(await request.body(), type=dict[str, Any]))
            except (MalformedError, msgspec.DecodeError, KeyError, TypeError, ValueError) as problem:
                return JSONResponse({"problem": f"{type(problem).__name__}: {problem}"}, status_code=400)
            return JSONResponse({"result": result})

        return respond

    async def _health(self, _request: Request) -> Response:
        return JSONResponse({"kind": self.kind, "seed": self.seed, "speed": self.speed})

    async def _books(self, _request: Request) -> Response:
        books = {
            "kind": self.kind,
            "listings": [asdict(listing) for listing in self.listings()],
            "orders": [asdict(order) for order in self.orders()],
            "turned_away": self.shoppers.turned_away,
            "faults_hit": dict(self.switches.hits),
        }
        return Response(msgspec.json.encode(books), media_type="application/json")

    def _set_catalogue(self, asked: dict[str, Any]) -> int:
        items = msgspec.convert(asked["items"], list[CatalogueItem])
        for item in items:
            units_from(item.units, what=f"units of {item.sku!r}")
        self.stock_catalogue(items)
        return len(items)

    def _set_connection(self, asked: dict[str, Any]) -> None:
        self.connect(address=str(asked["address"]), secret=str(asked["secret"]))

    def _set_shoppers(self, asked: dict[str, Any]) -> None:
        self.shoppers.follow(msgspec.convert(asked, ShoppersPlan), self.clock.monotonic())
        self._alarm.set()

    def _place(self, asked: dict[str, Any]) -> str | None:
        lines = [
            (str(line["channel_sku"]), units_from(line["units"], what="units", least=1)) for line in asked["lines"]
        ]
        return self.place(lines)

    def _edit(self, asked: dict[str, Any]) -> None:
        # Some channels show less than nothing where somebody types it.
        units = units_from(asked["units"], what="units", least=-UNITS_MAX)
        self.edit_by_hand(str(asked["channel_sku"]), units)


async def _awaited(action: Action) -> None:
    await action()
