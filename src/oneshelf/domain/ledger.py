"""The rules of the ledger: which units move for an order or a command.

A `Shelf` is the locked part of the ledger in memory. Rules change it and append movements; the caller writes both.
First come, first served: entries are decided in the order given, each seeing what the ones before it took.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import assert_never
from uuid import UUID

from oneshelf.domain.account import ON_HAND_STATES, Account, Outside, StockState
from oneshelf.domain.command import (
    Adjust,
    Command,
    Count,
    CountBelowPromised,
    CountedFigure,
    Outcome,
    Posted,
    Receive,
    Short,
)
from oneshelf.domain.identity import UNITS_MAX, Channel, ChannelSku, Location, Sku
from oneshelf.domain.movement import Movement, Reason
from oneshelf.errors import MalformedError, invariant

BalanceKey = tuple[Sku, Location]
LineKey = tuple[Channel, str, str]  # channel, order, line


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

    @property
    def key(self) -> LineKey:
        return (self.channel, self.order_id, self.line_id)

    @property
    def units_held(self) -> int:
        """Units this line waits to ship, whether they are there or not."""
        return self.units_pending + self.units_committed + self.units_short

    @property
    def source(self) -> str:
        return f"order {self.channel}/{self.order_id}/{self.line_id}"


class Shelf:
    """The balances and order lines that a batch has locked, and the movements it makes."""

    def __init__(
        self,
        *,
        balances: Mapping[BalanceKey, Balance],
        lines: Iterable[LinePosition] = (),
        new_id: Callable[[], UUID],
    ) -> None:
        self.balances = dict(balances)
        self.lines = {line.key: line for line in lines}
        self.movements: list[Movement] = []
        self.changed_lines: set[LineKey] = set()
        self.changed_balances: set[BalanceKey] = set()
        self._new_id = new_id

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
            invariant(
                balance.units[account.name] >= 0,
                f"{sku} at {account.location}: {account.name} would be {balance.units[account.name]}",
            )
            version = self.touch(sku, account.location)
        self.movements.append(
            Movement(
                movement_id=self._new_id(),
                sku=sku,
                units=units,
                origin=origin,
                target=target,
                reason=reason,
                source=source,
                version=version,
            )
        )

    def touch(self, sku: Sku, location: Location) -> int:
        """Something about this balance is news to its listings. Returns its new version."""
        balance = self.balances[sku, location]
        balance.version += 1
        self.changed_balances.add((sku, location))
        return balance.version

    def fill_shortages(self) -> None:
        """Give free units to the order lines that are short of them, the oldest order first."""
        short = [line for line in self.lines.values() if line.units_short > 0]
        for line in sorted(short, key=lambda line: (line.placed_at, line.key)):
            take_for_line(self, line, min(line.units_short, self.available(line.sku, line.location)))


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


def post_command(shelf: Shelf, command: Command) -> Outcome:
    """Decide one command against the shelf. A refusal leaves the shelf as it was."""
    match command:
        case Receive(sku=sku, location=location, units=units):
            moved = _bring(shelf, command, origin=Outside.SUPPLIER, units=units, reason=Reason.RECEIVED)
        case Adjust(sku=sku, location=location, delta_units=delta_units):
            if delta_units < 0 and shelf.available(sku, location) < -delta_units:
                return Short(sku, location, asked=-delta_units, available=shelf.available(sku, location))
            moved = _correct(shelf, command, delta_units, Reason.ADJUSTED)
        case Count(sku=sku, location=location, units=units, figure=figure):
            balance = shelf.balances[sku, location]
            counted_before = balance.on_hand if figure is CountedFigure.ON_HAND else balance.available
            if balance.available + units - counted_before < 0:
                promised = balance.on_hand - balance.available
                return CountBelowPromised(sku, location, counted=units, promised=promised)
            moved = _correct(shelf, command, units - counted_before, Reason.COUNTED)
        case _:
            assert_never(command)
    shelf.fill_shortages()
    return Posted(units_moved=moved, available=shelf.available(sku, location))


def _source(command: Command) -> str:
    return f"{command.key.scope} {command.key.key}"


def _bring(shelf: Shelf, command: Command, *, origin: Outside, units: int, reason: Reason) -> int:
    """Raises MalformedError where the sum would be more than any shelf holds: the whole request is taken back."""
    available = shelf.available(command.sku, command.location)
    if available + units > UNITS_MAX:
        raise MalformedError(
            f"{command.sku} at {command.location}: {available} available and {units} more are over {UNITS_MAX}"
        )
    shelf.move(
        command.sku,
        origin=Account(origin),
        target=Account(StockState.AVAILABLE, command.location),
        units=units,
        reason=reason,
        source=_source(command),
    )
    return units


def _correct(shelf: Shelf, command: Command, delta_units: int, reason: Reason) -> int:
    if delta_units >= 0:
        return _bring(shelf, command, origin=Outside.FOUND, units=delta_units, reason=reason)
    shelf.move(
        command.sku,
        origin=Account(StockState.AVAILABLE, command.location),
        target=Account(Outside.SHRINKAGE),
        units=-delta_units,
        reason=reason,
        source=_source(command),
    )
    return -delta_units
