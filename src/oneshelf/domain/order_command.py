"""The rules of what people say of an order: it shipped, it will not ship, it came back.

A channel tells of its own orders. Only what a claim has committed, and no channel has spoken of, ships or is cancelled
by a command. Where several claims made an order, what was reserved first goes first.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import assert_never

from oneshelf.domain.account import Account, Outside, StockState
from oneshelf.domain.command import Cancel, OrderCommand, Return, ReturnInto, Ship
from oneshelf.domain.identity import Location
from oneshelf.domain.ledger import Shelf
from oneshelf.domain.line import LinePosition
from oneshelf.domain.movement import Reason
from oneshelf.domain.outcome import NoSuchLine, NotThatManyHeld, NotThatManyShipped, Posted, Short


def post_order_command(
    shelf: Shelf, command: OrderCommand
) -> Posted | NoSuchLine | NotThatManyShipped | NotThatManyHeld | Short:
    """Decide a return, a shipment or a cancellation."""
    match command:
        case Return():
            return _return(shelf, command)
        case Ship():
            return _ship(shelf, command)
        case Cancel():
            return _cancel(shelf, command)
        case _:
            assert_never(command)


def _return(shelf: Shelf, command: Return) -> Posted | NoSuchLine | NotThatManyShipped | Short:
    """Units that the channel has put on sale already are the same ones: they go where the person puts them."""
    order, sku = command.order, command.sku
    lines = [line for line in shelf.lines_of(order) if line.sku == sku and command.line_id in ("", line.line_id)]
    if not lines:
        return NoSuchLine(order.channel, order.order_id, sku)
    shipped, returned = sum(line.units_shipped for line in lines), sum(line.units_returned for line in lines)
    if shipped - returned < command.units:
        return NotThatManyShipped(
            order.channel, order.order_id, sku, asked=command.units, shipped=shipped, returned=returned
        )
    is_back = command.into is not ReturnInto.WRITTEN_OFF
    target = Account(command.into.account_name, command.location if is_back else None)
    told, new = _shared_out(lines, command.units)
    for location, units in _taken_off_sale(told, target).items():
        if units > shelf.available(sku, location):
            return Short(sku, location, asked=units, available=shelf.available(sku, location))
    for line, units in told:
        on_sale = Account(StockState.AVAILABLE, line.location)
        if target != on_sale:
            _come_back(shelf, line, on_sale, Account(Outside.CUSTOMER), units)
            _come_back(shelf, line, Account(Outside.CUSTOMER), target, units)
        line.units_returned += units
        shelf.changed_lines.add(line.key)
    for line, units in new:
        _come_back(shelf, line, Account(Outside.CUSTOMER), target, units)
        line.units_returned += units
        shelf.changed_lines.add(line.key)
    shelf.fill_shortages()
    moved = sum(units for line, units in told if target != Account(StockState.AVAILABLE, line.location))
    moved += sum(units for _, units in new)
    return Posted(units_moved=moved, available=shelf.available(sku, command.location))


Shares = list[tuple[LinePosition, int]]


def _shared_out(lines: Sequence[LinePosition], units: int) -> tuple[Shares, Shares]:
    """Which lines they are of: first those that a channel has told of and nobody has booked, then the others."""
    told, new = [], []
    for line in lines:
        share = min(units, max(0, line.units_restocked - line.units_returned))
        units -= share
        told.append((line, share))
    for line in lines:
        share = min(units, line.units_shipped - line.units_back)
        units -= share
        new.append((line, share))
    return [share for share in told if share[1]], [share for share in new if share[1]]


def _taken_off_sale(told: Shares, target: Account) -> Counter[Location]:
    """Location -> units that were put on sale there and go elsewhere."""
    taken: Counter[Location] = Counter()
    for line, units in told:
        if target != Account(StockState.AVAILABLE, line.location):
            taken[line.location] += units
    return taken


def _come_back(shelf: Shelf, line: LinePosition, origin: Account, target: Account, units: int) -> None:
    shelf.move(line.sku, origin=origin, target=target, units=units, reason=Reason.RETURNED, source=line.source)


def _ship(shelf: Shelf, command: Ship) -> Posted | NoSuchLine | NotThatManyHeld:
    lines = _claimed_lines(shelf, command, with_short=False)
    if not isinstance(lines, list):
        return lines
    left = command.units
    for line in lines:
        units = min(left, line.units_committed)
        line.units_committed -= units
        line.units_shipped += units
        left -= units
        _move_committed(shelf, line, Account(Outside.CUSTOMER), units, Reason.SHIPPED)
    return Posted(units_moved=command.units, available=shelf.available(command.sku, command.location))


def _cancel(shelf: Shelf, command: Cancel) -> Posted | NoSuchLine | NotThatManyHeld:
    """What was never there is cancelled first."""
    lines = _claimed_lines(shelf, command, with_short=True)
    if not isinstance(lines, list):
        return lines
    left = command.units
    for line in lines:
        units = min(left, line.units_short)
        shelf.shorten(line, -units)
        left -= units
    freed = left
    for line in lines:
        units = min(left, line.units_committed)
        line.units_committed -= units
        left -= units
        _move_committed(shelf, line, Account(StockState.AVAILABLE, command.location), units, Reason.CANCELLED)
    shelf.fill_shortages()
    return Posted(units_moved=freed, available=shelf.available(command.sku, command.location))


def _claimed_lines(
    shelf: Shelf, command: Ship | Cancel, *, with_short: bool
) -> list[LinePosition] | NoSuchLine | NotThatManyHeld:
    order = command.order
    place = (command.sku, command.location)
    lines = [line for line in shelf.lines_of(order) if line.is_unspoken and (line.sku, line.location) == place]
    if not lines:
        return NoSuchLine(order.channel, order.order_id, command.sku)
    held, short = sum(line.units_committed for line in lines), sum(line.units_short for line in lines)
    if held + (short if with_short else 0) < command.units:
        return NotThatManyHeld(order.channel, order.order_id, command.sku, asked=command.units, held=held, short=short)
    return lines


def _move_committed(shelf: Shelf, line: LinePosition, target: Account, units: int, reason: Reason) -> None:
    shelf.changed_lines.add(line.key)
    shelf.move(
        line.sku,
        origin=Account(StockState.COMMITTED, line.location),
        target=target,
        units=units,
        reason=reason,
        source=line.source,
    )
