"""Promised units that are not there: whose promise is short of them."""

from __future__ import annotations

from collections.abc import Callable

from oneshelf.domain.account import StockState
from oneshelf.domain.command import ReservationKind
from oneshelf.domain.ledger import BalanceKey, Reservation, Shelf
from oneshelf.domain.line import LinePosition

Take = Callable[[StockState, int], None]


def shorten_promises(shelf: Shelf, key: BalanceKey, units: int, *, take: Take) -> int:
    """Take so many promised units from those whose loss hurts least; returns how many nobody holds.

    From checkouts, units set aside, orders and unpaid sales from the latest to the first, and from what is locked last.
    `take(state, units)` moves the units out of that state.
    """
    for promise in _weakest_first(shelf, key):
        units -= _shorten(shelf, promise, units, take)
    return units


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


def _shorten(shelf: Shelf, promise: LinePosition | Reservation, missing: int, take: Take) -> int:
    if isinstance(promise, Reservation):
        taken = min(missing, promise.units_held)
        promise.units_lost += taken
        if promise.waits:
            shelf.shorten(promise, taken)
        elif taken:
            shelf.lose(promise, taken)
        take(StockState.RESERVED, taken)
        return taken
    from_pending = min(missing, promise.units_pending)
    from_committed = min(missing - from_pending, promise.units_committed)
    promise.units_pending -= from_pending
    promise.units_committed -= from_committed
    shelf.shorten(promise, from_pending + from_committed)
    take(StockState.RESERVED, from_pending)
    take(StockState.COMMITTED, from_committed)
    return from_pending + from_committed
