"""The rules of the ledger: which units move for an order or a command.

A `Shelf` is the locked part of the ledger in memory. Rules change it and append movements; the caller writes both.
First come, first served: entries are decided in the order given, each seeing what the ones before it took.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from uuid import UUID

import msgspec

from oneshelf.domain.account import ON_HAND_STATES, Account, Outside, StockState, inside
from oneshelf.domain.bundle import Bundles
from oneshelf.domain.command import CommandKey, OrderRef, ReservationKind
from oneshelf.domain.identity import UNITS_MAX, Channel, Location, Sku
from oneshelf.domain.line import LineKey, LinePosition
from oneshelf.domain.movement import Movement, Reason
from oneshelf.domain.outcome import NoRoom
from oneshelf.domain.seen import Context, Ruling
from oneshelf.domain.shipment import Shipment, ShipmentKey
from oneshelf.errors import broken

# How the holder of what is set aside for a wholesale order begins.
FOR_WHOLESALE = "wholesale "

BalanceKey = tuple[Sku, Location]
TransferKey = tuple[Sku, str]
ReservationKey = tuple[Sku, UUID, Location]


@dataclass(frozen=True, slots=True, kw_only=True)
class Backorder:
    """How far units of one balance may be promised beyond what is there: until so many are short in all."""

    kind: BackorderKind
    cap_units: int


@dataclass(slots=True)
class Balance:
    """Units of one SKU at one location by state. `version` counts the changes."""

    units: dict[StockState, int] = field(default_factory=lambda: dict.fromkeys(StockState, 0))
    version: int = 0

    @property
    def available(self) -> int:
        return self.units[StockState.AVAILABLE]

    @property
    def on_hand(self) -> int:
        return sum(self.units[state] for state in ON_HAND_STATES)


class BackorderKind(StrEnum):
    """Why units may be promised that are not there."""

    BACKORDER = "backorder"  # sold out, and it will come again
    PREORDER = "preorder"  # it has not come out yet


class ReservationState(StrEnum):
    """Held until it is claimed, released or has expired, and then never again."""

    HELD = "held"
    CLAIMED = "claimed"
    RELEASED = "released"
    EXPIRED = "expired"


class Reservation(msgspec.Struct, kw_only=True):
    """Units of one SKU at one location that are set aside. One reservation has one of these for each of them.

    `units` were promised; `units_short` of them wait for units, the others lie in `reserved`. `units_lost`: what
    counts have taken from it in all, whether it was given others since or not.
    """

    sku: Sku
    reservation_id: UUID
    location: Location
    kind: ReservationKind
    units: int
    created_at: datetime
    state: ReservationState = ReservationState.HELD
    holder: str = ""
    units_short: int = 0
    units_lost: int = 0
    expires_at: datetime | None = None

    @property
    def key(self) -> ReservationKey:
        return (self.sku, self.reservation_id, self.location)

    @property
    def is_held(self) -> bool:
        return self.state is ReservationState.HELD

    @property
    def units_held(self) -> int:
        """Units that lie in `reserved` for it."""
        return self.units - self.units_short if self.is_held else 0

    @property
    def source(self) -> str:
        return f"reservation {self.reservation_id}"

    @property
    def waits(self) -> bool:
        """Whether it gets back what a count took from it. Of a wholesale order, the order waits, as its policy says."""
        return self.kind is not ReservationKind.ALLOCATION or not self.holder.startswith(FOR_WHOLESALE)

    def has_expired(self, *, now: datetime) -> bool:
        """Whether it is past its time, whatever the sweep has reached."""
        return self.is_held and self.expires_at is not None and now >= self.expires_at


# What may wait for units.
Promise = LinePosition | Reservation


@dataclass(slots=True, kw_only=True)
class Transfer:
    """Units of one SKU on their way between two locations, until all have arrived or are given up."""

    sku: Sku
    transfer_id: str
    origin: Location
    target: Location
    units_sent: int
    created_at: datetime
    units_arrived: int = 0
    units_over: int = 0
    units_lost: int = 0

    @property
    def key(self) -> TransferKey:
        return (self.sku, self.transfer_id)

    @property
    def units_under_way(self) -> int:
        return self.units_sent - self.units_arrived - self.units_lost

    @property
    def source(self) -> str:
        return f"transfer {self.transfer_id}"


class Shelf:
    """The balances that a batch has locked, the order lines and reservations it needs, and the movements it makes."""

    def __init__(  # noqa: PLR0913  # All that a batch has locked, by name.
        self,
        *,
        balances: Mapping[BalanceKey, Balance],
        lines: Iterable[LinePosition] = (),
        reservations: Iterable[Reservation] = (),
        transfers: Iterable[Transfer] = (),
        shipments: Iterable[Shipment] = (),
        bundles: Bundles | None = None,
        backorders: Mapping[BalanceKey, Backorder] | None = None,
        granted: Mapping[BalanceKey, int] | None = None,
        new_id: Callable[[], UUID],
    ) -> None:
        self.balances = dict(balances)
        self.lines: dict[LineKey, LinePosition] = {}
        self.reservations = {reservation.key: reservation for reservation in reservations}
        self.transfers = {transfer.key: transfer for transfer in transfers}
        self.shipments = {shipment.key: shipment for shipment in shipments}
        self.bundles: Bundles = bundles or {}
        self.recipes: Bundles = {}  # Of the kits that are made.
        self.backorders = backorders or {}
        self.granted = granted or {}  # Units of guarded SKUs that listings may sell.
        # All movements of the batch, and those of them that are not stored yet.
        self.movements: list[Movement] = []
        self.unwritten: list[Movement] = []
        self.changed_lines: set[LineKey] = set()
        self.changed_balances: set[BalanceKey] = set()
        self.changed_reservations: set[ReservationKey] = set()
        self.changed_transfers: set[TransferKey] = set()
        self.changed_shipments: set[ShipmentKey] = set()
        # What the counts of this batch had seen; and of each balance the count that rules it, where a batch asks.
        self.contexts: dict[CommandKey, Context] = {}
        self.rulings: dict[BalanceKey, Ruling] = {}
        self.changed_rulings: set[BalanceKey] = set()
        # While a command is posted that is told late: when it happened, and what a count has to say to each movement.
        self.happened_at: datetime | None = None
        self.after_move: Callable[[Movement], None] | None = None
        self.new_id = new_id
        # Reading all lines and reservations for each command would make a batch cost its square.
        self._of_order: dict[OrderRef, list[LinePosition]] = {}
        self._of_line: dict[tuple[Channel, str, str], list[LinePosition]] = {}
        self._of_reservation: dict[UUID, list[Reservation]] = {}
        # What waits for units, by balance and source, and how many units in all.
        self._waiting: dict[BalanceKey, dict[str, Promise]] = {}
        self._units_short: Counter[BalanceKey] = Counter()
        self._freed = set(self.balances)  # Those that have units to give to whoever waits.
        for line in lines:
            if line.key not in self.lines:
                self.add_line(line)
        for reservation in self.reservations.values():
            self._of_reservation.setdefault(reservation.reservation_id, []).append(reservation)
            if reservation.is_held and reservation.units_short:
                self._count_short(reservation, reservation.units_short)

    def add_line(self, line: LinePosition) -> None:
        """Put an order line on the shelf."""
        self.lines[line.key] = line
        self._of_order.setdefault(line.order, []).append(line)
        self._of_line.setdefault(line.key[:3], []).append(line)
        if line.units_short:
            self._count_short(line, line.units_short)
        self.look_for_units(line)

    def lines_of(self, order: OrderRef) -> list[LinePosition]:
        """The lines of an order that are on the shelf, sorted."""
        return sorted(self._of_order.get(order, []), key=lambda line: line.key)

    def positions(self, channel: Channel, order_id: str, line_id: str) -> list[LinePosition]:
        """What one order line was posted to, by SKU; empty for a line that was not posted yet."""
        found = self._of_line.get((channel, order_id, line_id), [])
        return sorted(found, key=lambda line: line.sku) if len(found) > 1 else found

    def add(self, reservation: Reservation) -> None:
        """Put a new reservation on the shelf. Its units are moved by the caller."""
        key = reservation.key
        self.reservations[key] = reservation
        self._of_reservation.setdefault(reservation.reservation_id, []).append(reservation)
        self.changed_reservations.add(key)
        if reservation.units_short:
            self._count_short(reservation, reservation.units_short)

    def parts(self, reservation_id: UUID) -> list[Reservation]:
        """What a reservation set aside, by SKU and location; empty for an unknown one."""
        return sorted(self._of_reservation.get(reservation_id, []), key=lambda part: part.key)

    def no_room(self, sku: Sku, location: Location, units: int) -> NoRoom | None:
        """The refusal of `units` more where they would be more than any shelf holds: somebody mistyped."""
        there = sum(self.balances[sku, location].units.values())
        return NoRoom(sku, location, asked=units, there=there) if there + units > UNITS_MAX else None

    def available(self, sku: Sku, location: Location) -> int:
        return self.balances[sku, location].available

    def announced(self, key: BalanceKey) -> int:
        """Incoming units that shipments have announced, of those on the shelf."""
        return sum(one.units_open for one in self.shipments.values() if (one.sku, one.location) == key)

    def free(self, sku: Sku, location: Location) -> int:
        """What can be promised: available, and of a guarded SKU not to be sold off any listing."""
        available = self.available(sku, location)
        return max(0, available - self.granted.get((sku, location), 0)) if self.granted else available

    def move(self, sku: Sku, *, origin: Account, target: Account, units: int, reason: Reason, source: str) -> None:
        """Move units; nothing for zero. The caller has checked that they are there."""
        if units == 0:
            return
        version = 0
        for account, change in ((origin, -units), (target, units)):
            state = account.name
            if account.location is None or isinstance(state, Outside):
                continue
            key = (sku, account.location)
            balance = self.balances[key]
            balance.units[state] += change
            if balance.units[state] < 0:
                broken(f"{sku} at {account.location}: {state} would be {balance.units[state]}")
            version = self.touch(key)
            if change > 0 and state is StockState.AVAILABLE:
                self._freed.add(key)
        movement = Movement(
            movement_id=self.new_id(),
            sku=sku,
            units=units,
            origin=origin,
            target=target,
            reason=reason,
            source=source,
            version=version,
            # Whenever the units came: it is now that they fill what an order is short of.
            happened_at=None if reason is Reason.SHORTAGE_FILLED else self.happened_at,
        )
        self.movements.append(movement)
        self.unwritten.append(movement)
        if self.after_move is not None:
            self.after_move(movement)

    def touch(self, key: BalanceKey) -> int:
        """Something about this balance is news to its listings. Returns its new version."""
        balance = self.balances[key]
        balance.version += 1
        self.changed_balances.add(key)
        return balance.version

    def units_short(self, key: BalanceKey) -> int:
        """Units of this balance that were promised and are not there, over order lines and held reservations."""
        return self._units_short[key]

    def shorten(self, promise: Promise, units: int) -> None:
        """`units` more are promised and not there; less than 0: they came, or nobody waits for them any more."""
        promise.units_short += units
        if isinstance(promise, LinePosition):
            self.changed_lines.add(promise.key)
        else:
            self.changed_reservations.add(promise.key)
        self._count_short(promise, units)

    def lose(self, part: Reservation, units: int) -> None:
        """Held units are gone, and the reservation does not wait for them. The caller moves them."""
        if units < part.units:
            part.units -= units
        else:
            part.units_short, part.state = part.units, ReservationState.RELEASED
        self.changed_reservations.add(part.key)

    def end(self, part: Reservation, state: ReservationState) -> None:
        """The reservation is held no longer. What it was short of stays written down, and waits for nothing."""
        if part.units_short:
            self._count_short(part, -part.units_short)
            del self._waiting[part.sku, part.location][part.source]
        part.state = state
        self.changed_reservations.add(part.key)

    def _count_short(self, promise: Promise, units: int) -> None:
        key = (promise.sku, promise.location)
        self._units_short[key] += units
        waiting = self._waiting.setdefault(key, {})
        if promise.units_short:
            waiting[promise.source] = promise
        else:
            waiting.pop(promise.source, None)

    def look_for_units(self, line: LinePosition) -> None:
        """This line became short of units that may be free: the next `fill_shortages` looks."""
        self._freed.add((line.sku, line.location))

    def fill_shortages(self) -> None:
        """Give units that became free to the order lines and reservations that wait for them, the oldest first."""
        if not self._freed:
            return
        for key in sorted(self._freed) if self._waiting else ():
            # Where nothing is free nobody looks who waits: a batch would cost the square of a long queue.
            if self._waiting.get(key) and self.available(*key):
                self._share_out(key)
        self._freed.clear()

    def _share_out(self, key: BalanceKey) -> None:
        for promise in sorted(self._waiting[key].values(), key=_age):
            units = min(promise.units_short, self.available(*key))
            if units == 0:
                break
            fill(self, promise, units)


def _age(promise: Promise) -> tuple[datetime, str]:
    return (promise.placed_at if isinstance(promise, LinePosition) else promise.created_at, promise.source)


def fill(shelf: Shelf, promise: Promise, units: int) -> None:
    """Turn `units` of what the promise is short of into held units. They must be available."""
    if units <= 0:
        return
    is_reserved = isinstance(promise, Reservation) or promise.is_pending
    shelf.move(
        promise.sku,
        origin=inside(StockState.AVAILABLE, promise.location),
        target=inside(StockState.RESERVED if is_reserved else StockState.COMMITTED, promise.location),
        units=units,
        reason=Reason.SHORTAGE_FILLED,
        source=promise.source,
    )
    shelf.shorten(promise, -units)
    if isinstance(promise, LinePosition):
        if promise.handed_over_at is not None:
            _leave(shelf, promise, promise.handed_over_at, units)
        elif promise.is_pending:
            promise.units_pending += units
        else:
            promise.units_committed += units


def _leave(shelf: Shelf, line: LinePosition, at: datetime, units: int) -> None:
    """What was sold over a counter and nobody had counted is found to have left then. No count has a say in it now."""
    told, judge = shelf.happened_at, shelf.after_move
    shelf.happened_at, shelf.after_move = at, None
    shelf.move(
        line.sku,
        origin=inside(StockState.COMMITTED, line.location),
        target=Account(Outside.CUSTOMER),
        units=units,
        reason=Reason.SHIPPED,
        source=line.source,
    )
    shelf.happened_at, shelf.after_move = told, judge
    line.units_shipped += units
