"""What goes over a counter: it has left, or come back, before anybody can ask whether it was there.

A sale beyond what is there leaves its line short, as any order is: what comes in or is counted later is less by it, in
whatever order the counter's sales, returns and voids are told. Each count is asked what it had seen of them.
"""

from __future__ import annotations

from datetime import datetime

from oneshelf.domain.account import Account, Outside, StockState
from oneshelf.domain.late import told_late
from oneshelf.domain.ledger import Shelf
from oneshelf.domain.line import LinePosition
from oneshelf.domain.movement import Reason
from oneshelf.domain.order import HandedOver, OrderLine


def hand_over(shelf: Shelf, position: LinePosition, line: OrderLine, handed_over: HandedOver, *, is_new: bool) -> None:
    """Move what this line says beyond what was posted. One that is taken back when it is first told was sold before."""
    position.handed_over_at = handed_over.left_at
    if is_new:
        _leave(shelf, position, line.units_ordered * position.pack_units, handed_over)
    out = (line.units_ordered - line.units_cancelled) * position.pack_units
    _take_back(shelf, position, position.units_shipped + position.units_short - out, handed_over)
    _bring(shelf, position, line, handed_over)
    shelf.changed_lines.add(position.key)


def _leave(shelf: Shelf, position: LinePosition, units: int, handed_over: HandedOver) -> None:
    sku, location = position.sku, position.location
    with told_late(shelf, handed_over.left_at, position.source) as told:
        told.give(sku, location, units, origin=StockState.AVAILABLE, target=Outside.CUSTOMER)
        shelf.after_move = told.take_back
        there = min(units, shelf.available(sku, location))
        committed = Account(StockState.COMMITTED, location)
        for origin, target, reason in (
            (Account(StockState.AVAILABLE, location), committed, Reason.COMMITTED),
            (committed, Account(Outside.CUSTOMER), Reason.SHIPPED),
        ):
            shelf.move(sku, origin=origin, target=target, units=there, reason=reason, source=position.source)
    position.units_shipped += there
    if there < units:
        shelf.shorten(position, units - there)
        shelf.touch((sku, location))


def _take_back(shelf: Shelf, position: LinePosition, units: int, handed_over: HandedOver) -> None:
    """The sale did not take place: first what was never there for it, then what had left."""
    if units <= 0:
        return
    from_short = min(units, position.units_short)
    _unsell(shelf, position, from_short, handed_over)
    back = units - from_short
    _come(shelf, position, StockState.AVAILABLE, back, Reason.CANCELLED, handed_over)
    position.units_shipped -= back


def _unsell(shelf: Shelf, position: LinePosition, units: int, handed_over: HandedOver) -> None:
    """Units that nobody knew of had left and are back. Now it is as before; a count between the two instants will not
    have found them, whenever it is told.
    """
    available = Account(StockState.AVAILABLE, position.location)
    _correct(shelf, position, Account(Outside.FOUND), available, units)
    shelf.shorten(position, -units)
    _move_then(shelf, position, available, Account(Outside.CUSTOMER), units, Reason.SHIPPED, handed_over.left_at)
    _move_then(shelf, position, Account(Outside.CUSTOMER), available, units, Reason.CANCELLED, handed_over.came_at)
    _correct(shelf, position, available, Account(Outside.SHRINKAGE), units)


def not_yet_left(shelf: Shelf, position: LinePosition, units: int, *, left_at: datetime) -> None:
    """Units of a sale turn out not to have been there: the line is short of them, and they are available.

    The caller takes them off the shelf.
    """
    available = Account(StockState.AVAILABLE, position.location)
    _move_then(shelf, position, Account(Outside.CUSTOMER), available, units, Reason.CANCELLED, left_at)
    position.units_shipped -= units
    shelf.shorten(position, units)


def _correct(shelf: Shelf, position: LinePosition, origin: Account, target: Account, units: int) -> None:
    shelf.move(
        position.sku, origin=origin, target=target, units=units, reason=Reason.SEEN_BY_COUNT, source=position.source
    )


def _move_then(  # noqa: PLR0913  # A movement and its instant.
    shelf: Shelf,
    position: LinePosition,
    origin: Account,
    target: Account,
    units: int,
    reason: Reason,
    at: datetime,
) -> None:
    """It happened then, and no count has a say in it now."""
    with told_late(shelf, at, position.source):
        shelf.move(position.sku, origin=origin, target=target, units=units, reason=reason, source=position.source)


def _bring(shelf: Shelf, position: LinePosition, line: OrderLine, handed_over: HandedOver) -> None:
    units = line.units_brought * position.pack_units - position.units_brought
    if units > 0:
        _come(shelf, position, line.brought_into.account_name, units, Reason.RETURNED, handed_over)
        position.units_brought += units


def _come(
    shelf: Shelf,
    position: LinePosition,
    into: StockState | Outside,
    units: int,
    reason: Reason,
    handed_over: HandedOver,
) -> None:
    target = Account(into, None if isinstance(into, Outside) else position.location)
    with told_late(shelf, handed_over.came_at, position.source) as told:
        shelf.after_move = told.take_back
        shelf.move(
            position.sku,
            origin=Account(Outside.CUSTOMER),
            target=target,
            units=units,
            reason=reason,
            source=position.source,
        )
