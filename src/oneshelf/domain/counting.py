"""The rules of counts. What a person has counted is true: a count is never refused, and never erases an open order."""

from __future__ import annotations

from oneshelf.domain.account import Account, Outside, StockState
from oneshelf.domain.command import Count, CountedFigure, ReservationKind
from oneshelf.domain.ledger import BalanceKey, LinePosition, Reservation, Shelf
from oneshelf.domain.movement import Reason
from oneshelf.domain.outcome import CountedShort, Posted
from oneshelf.errors import invariant

# Where units are missed first. Those that nobody waits for come before any promise.
_UNPROMISED = (StockState.AVAILABLE, StockState.SAFETY_STOCK, StockState.QUALITY_CONTROL, StockState.DAMAGED)


def count(shelf: Shelf, command: Count) -> Posted | CountedShort:
    """The ledger follows the count. The shelf must hold all that is promised from a balance counted as a whole.

    What is missing is taken from the free units, then from the other unpromised ones, then from promises: checkouts,
    units set aside, orders and unpaid sales from the latest to the first, and what is locked last.
    """
    key = (command.sku, command.location)
    balance = shelf.balances[key]
    is_whole = command.figure is CountedFigure.ON_HAND
    missing = (balance.on_hand if is_whole else balance.available) - command.units
    moved, units_short = abs(missing), 0
    if missing < 0:
        shelf.move(
            command.sku,
            origin=Account(Outside.FOUND),
            target=Account(StockState.AVAILABLE, command.location),
            units=-missing,
            reason=Reason.COUNTED,
            source=str(command.key),
        )
    for state in _UNPROMISED:
        taken = max(0, min(missing, balance.units[state]))
        _lose(shelf, command, state, taken)
        missing -= taken
    if missing > 0:
        units_short = missing
        for promise in _weakest_first(shelf, key):
            missing -= _shorten(shelf, command, promise, missing)
        invariant(missing == 0, f"{command.sku} at {command.location}: nobody holds {missing} of the promised units")
    shelf.fill_shortages()
    available = shelf.available(command.sku, command.location)
    return CountedShort(moved, available, units_short) if units_short else Posted(moved, available)


def _weakest_first(shelf: Shelf, key: BalanceKey) -> list[LinePosition | Reservation]:
    """All that holds units of this balance, whose loss hurts least first; the latest first among equals."""
    ranks = {
        ReservationKind.HOLD: 0,
        ReservationKind.ALLOCATION: 1,
        ReservationKind.PENDING: 2,
        ReservationKind.LOCK: 3,
    }
    ranked: list[tuple[int, float, str, LinePosition | Reservation]] = [
        (ranks[part.kind], -part.created_at.timestamp(), part.source, part)
        for part in shelf.reservations.values()
        if part.is_held and (part.sku, part.location) == key
    ]
    ranked += [
        (ranks[ReservationKind.PENDING], -line.placed_at.timestamp(), line.source, line)
        for line in shelf.lines.values()
        if line.units_committed + line.units_pending > 0 and (line.sku, line.location) == key
    ]
    return [promise for *_, promise in sorted(ranked, key=lambda one: one[:3])]


def _shorten(shelf: Shelf, command: Count, promise: LinePosition | Reservation, missing: int) -> int:
    if isinstance(promise, Reservation):
        taken = min(missing, promise.units_held)
        promise.units_lost += taken
        shelf.shorten(promise, taken)
        _lose(shelf, command, StockState.RESERVED, taken)
        return taken
    from_pending = min(missing, promise.units_pending)
    from_committed = min(missing - from_pending, promise.units_committed)
    promise.units_pending -= from_pending
    promise.units_committed -= from_committed
    shelf.shorten(promise, from_pending + from_committed)
    _lose(shelf, command, StockState.RESERVED, from_pending)
    _lose(shelf, command, StockState.COMMITTED, from_committed)
    return from_pending + from_committed


def _lose(shelf: Shelf, command: Count, state: StockState, units: int) -> None:
    shelf.move(
        command.sku,
        origin=Account(state, command.location),
        target=Account(Outside.SHRINKAGE),
        units=units,
        reason=Reason.COUNTED,
        source=str(command.key),
    )
