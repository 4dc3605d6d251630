"""The rules of the ledger: which units move for an order or a command.

A `Shelf` is the locked part of the ledger in memory. Rules change it and append movements; the caller writes both.
First come, first served: entries are decided in the order given, each seeing what the ones before it took.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from uuid import UUID

import msgspec

from oneshelf.domain.account import ON_HAND_STATES, Account, Outside, StockState
from oneshelf.domain.command import CommandKey, OrderRef, ReservationKind
from oneshelf.domain.identity import UNITS_MAX, Channel, ChannelSku, Location, Sku
from oneshelf.domain.movement import Movement, Reason
from oneshelf.domain.outcome import NoRoom
from oneshelf.domain.seen import Context, Ruling
from oneshelf.errors import broken

BalanceKey = tuple[Sku, Location]
LineKey = tuple[Channel, str, str]  # channel, order, line
TransferKey = tuple[Sku, str]
ReservationKey = tuple[Sku, UUID, Location]

# A line that a claim has made, and that its channel has not spoken of yet, sells no listing.
UNSPOKEN = ChannelSku("")


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


@dataclass(slots=True, kw_only=True)
class LinePosition:
    """What one order line holds of the ledger, in base units. `units_short`: sold, and nothing is there for it."""

    sku: Sku
    location: Location
    channel: Channel
    order_id: str
    line_id: str
    channel_sku: ChannelSku
    placed_at: datetime
    is_pending: bool
    pack_units: int = 1
    units_pending: int = 0
    units_committed: int = 0
    units_shipped: int = 0
    units_short: int = 0
    units_off_listing: int = 0
    units_returned: int = 0  # of the shipped ones

    @property
    def key(self) -> LineKey:
        return (self.channel, self.order_id, self.line_id)

    @property
    def order(self) -> OrderRef:
        return OrderRef(self.channel, self.order_id)

    @property
    def is_unspoken(self) -> bool:
        """Whether only a claim made this line: its channel has not told us of it."""
        return self.channel_sku == UNSPOKEN

    @property
    def units_held(self) -> int:
        """Units this line waits to ship, whether they are there or not."""
        return self.units_pending + self.units_committed + self.units_short

    @property
    def source(self) -> str:
        return f"order {self.channel}/{self.order_id}/{self.line_id}"


class ReservationState(StrEnum):
    """Held until it is claimed, released or has expired, and then never again."""

    HELD = "held"
    CLAIMED = "claimed"
    RELEASED = "released"
    EXPIRED = "expired"


class Reservation(msgspec.Struct, kw_only=True):
    """Units of one SKU at one location that are set aside. One reservation has one of these for each of them.

    `units` were asked for; `units_short` of them were lost to a count since, the others lie in `reserved`.
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

    def has_expired(self, *, now: datetime) -> bool:
        """Whether it is past its time, whatever the sweep has reached."""
        return self.is_held and self.expires_at is not None and now >= self.expires_at


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

    def __init__(
        self,
        *,
        balances: Mapping[BalanceKey, Balance],
        lines: Iterable[LinePosition] = (),
        reservations: Iterable[Reservation] = (),
        transfers: Iterable[Transfer] = (),
        new_id: Callable[[], UUID],
    ) -> None:
        self.balances = dict(balances)
        self.lines: dict[LineKey, LinePosition] = {}
        self.reservations = {reservation.key: reservation for reservation in reservations}
        self.transfers = {transfer.key: transfer for transfer in transfers}
        self.movements: list[Movement] = []
        self.changed_lines: set[LineKey] = set()
        self.changed_balances: set[BalanceKey] = set()
        self.changed_reservations: set[ReservationKey] = set()
        self.changed_transfers: set[TransferKey] = set()
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
        self._of_reservation: dict[UUID, list[Reservation]] = {}
        # Balances that have units to give to lines that are short.
        self._freed = set(self.balances)
        for line in lines:
            if line.key not in self.lines:
                self.add_line(line)
        for reservation in self.reservations.values():
            self._of_reservation.setdefault(reservation.reservation_id, []).append(reservation)

    def add_line(self, line: LinePosition) -> None:
        """Put an order line on the shelf."""
        self.lines[line.key] = line
        self._of_order.setdefault(line.order, []).append(line)
        self.look_for_units(line)

    def lines_of(self, order: OrderRef) -> list[LinePosition]:
        """The lines of an order that are on the shelf, sorted."""
        return sorted(self._of_order.get(order, []), key=lambda line: line.key)

    def add(self, reservation: Reservation) -> None:
        """Put a new reservation on the shelf. Its units are moved by the caller."""
        self.reservations[reservation.key] = reservation
        self._of_reservation.setdefault(reservation.reservation_id, []).append(reservation)
        self.changed_reservations.add(reservation.key)

    def parts(self, reservation_id: UUID) -> list[Reservation]:
        """What a reservation set aside, by SKU and location; empty for an unknown one."""
        return sorted(self._of_reservation.get(reservation_id, []), key=lambda part: part.key)

    def no_room(self, sku: Sku, location: Location, units: int) -> NoRoom | None:
        """The refusal of `units` more where they would be more than any shelf holds: somebody mistyped."""
        there = sum(self.balances[sku, location].units.values())
        return NoRoom(sku, location, asked=units, there=there) if there + units > UNITS_MAX else None

    def available(self, sku: Sku, location: Location) -> int:
        return self.balances[sku, location].available

    def move(self, sku: Sku, *, origin: Account, target: Account, units: int, reason: Reason, source: str) -> None:
        """Move units; nothing for zero. The caller has checked that they are there."""
        if units == 0:
            return
        version = 0
        for account, change in ((origin, -units), (target, units)):
            if account.location is None or isinstance(account.name, Outside):
                continue
            balance = self.balances[sku, account.location]
            balance.units[account.name] += change
            if balance.units[account.name] < 0:
                broken(f"{sku} at {account.location}: {account.name} would be {balance.units[account.name]}")
            version = self.touch(sku, account.location)
            if account.name is StockState.AVAILABLE and change > 0:
                self._freed.add((sku, account.location))
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
        if self.after_move is not None:
            self.after_move(movement)

    def touch(self, sku: Sku, location: Location) -> int:
        """Something about this balance is news to its listings. Returns its new version."""
        balance = self.balances[sku, location]
        balance.version += 1
        self.changed_balances.add((sku, location))
        return balance.version

    def look_for_units(self, line: LinePosition) -> None:
        """This line became short of units that may be free: the next `fill_shortages` looks."""
        self._freed.add((line.sku, line.location))

    def fill_shortages(self) -> None:
        """Give units that became free to the order lines that are short of them, the oldest order first."""
        if not self._freed:
            return
        short = [line for line in self.lines.values() if line.units_short > 0 and self._is_freed(line)]
        for line in sorted(short, key=lambda line: (line.placed_at, line.key)):
            take_for_line(self, line, min(line.units_short, self.available(line.sku, line.location)))
        self._freed.clear()

    def _is_freed(self, line: LinePosition) -> bool:
        return (line.sku, line.location) in self._freed


def take_for_line(shelf: Shelf, line: LinePosition, units: int) -> None:
    """Turn `units` of the line's shortage into held units. They must be available."""
    if units <= 0:
        return
    state = StockState.RESERVED if line.is_pending else StockState.COMMITTED
    shelf.move(
        line.sku,
        origin=Account(StockState.AVAILABLE, line.location),
        target=Account(state, line.location),
        units=units,
        reason=Reason.SHORTAGE_FILLED,
        source=line.source,
    )
    line.units_short -= units
    if line.is_pending:
        line.units_pending += units
    else:
        line.units_committed += units
    shelf.changed_lines.add(line.key)
