"""How the units of a wholesale order move: set aside, given back, shipped, and shared out among those that wait."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime

from oneshelf.domain.account import StockState, inside
from oneshelf.domain.command import Claim, CommandKey, ReservationKind, Ship
from oneshelf.domain.ledger import FOR_WHOLESALE, BalanceKey, Reservation, ReservationState, Shelf
from oneshelf.domain.movement import Reason
from oneshelf.domain.order_command import post_order_command
from oneshelf.domain.outcome import Done
from oneshelf.domain.reservation import give_back, post_reservation
from oneshelf.domain.wholesale import (
    WHOLESALE,
    OrderState,
    Refusal,
    RefusalKind,
    WholesaleLine,
    WholesaleOrder,
    WholesaleWish,
    line_of,
)
from oneshelf.errors import broken


def units_allocated(shelf: Shelf, line: WholesaleLine) -> int:
    """Units that are set aside for a line."""
    return sum(part.units_held for part in _parts(shelf, line))


def allocate(shelf: Shelf, order: WholesaleOrder, line: WholesaleLine, units: int, *, now: datetime) -> None:
    """Set aside `units` that are free for a line: available → reserved."""
    if units <= 0:
        return
    sku, location = line.balance
    part = Reservation(
        sku=sku,
        reservation_id=shelf.new_id(),
        location=location,
        kind=ReservationKind.ALLOCATION,
        units=units,
        created_at=now,
        holder=f"{FOR_WHOLESALE}{line.order_id} line {line.line_id}",
        expires_at=order.expires_at,
    )
    shelf.add(part)
    shelf.move(
        sku,
        origin=inside(StockState.AVAILABLE, location),
        target=inside(StockState.RESERVED, location),
        units=units,
        reason=Reason.RESERVED,
        source=part.source,
    )
    line.reservation_ids.append(part.reservation_id)


def take_back(shelf: Shelf, order: WholesaleOrder, line: WholesaleLine, units: int, *, now: datetime) -> int:
    """`units` of a line are free again, at most what it holds; the last that it got go first. Returns how many."""
    left = max(0, units)
    for part in reversed(_parts(shelf, line)):
        held = part.units_held
        if left == 0:
            break
        _end(shelf, line, part)
        allocate(shelf, order, line, max(0, held - left), now=now)
        left -= min(left, held)
    return max(0, units) - left


def keep_until(shelf: Shelf, order: WholesaleOrder) -> None:
    """What the order holds is held as long as the order says now."""
    for line in order.lines:
        for part in _parts(shelf, line):
            if part.expires_at != order.expires_at:
                part.expires_at = order.expires_at
                shelf.changed_reservations.add(part.key)


def ship(shelf: Shelf, order: WholesaleOrder, line: WholesaleLine, units: int, *, now: datetime) -> None:
    """`units` that the line holds leave for the customer; what it got first goes first. The caller knows they are held.

    They go the way of every reservation that finds its order: claimed for it, and shipped.
    """
    left = units
    for part in _parts(shelf, line):
        if left == 0:
            break
        held, mine = part.units_held, part.reservation_id
        if left < held:
            # A reservation is claimed as a whole.
            _end(shelf, line, part)
            allocate(shelf, order, line, left, now=now)
            mine = line.reservation_ids[-1]
            allocate(shelf, order, line, held - left, now=now)
        line.reservation_ids.remove(mine)
        key = CommandKey(scope=WHOLESALE, key=str(mine))
        _do(post_reservation(shelf, Claim(key=key, reservation_id=mine, order=order.ref), now=now))
        left -= min(left, held)
    if left:
        broken(f"{units} of line {line.line_id} of {order.order_id} are shipped, {left} more than it holds")
    key = CommandKey(scope=WHOLESALE, key=str(shelf.new_id()))
    command = Ship(key=key, order=order.ref, sku=line.sku, location=line.location, units=units)
    _do(post_order_command(shelf, command))
    line.units_shipped += units


def cancel(shelf: Shelf, order: WholesaleOrder, line: WholesaleLine, *, now: datetime) -> int:
    """Nothing more of a line is shipped. Returns how many units are free again."""
    freed = take_back(shelf, order, line, line.units_open, now=now)
    line.units_cancelled += line.units_open
    return freed


def amend(shelf: Shelf, order: WholesaleOrder, wish: WholesaleWish, *, now: datetime) -> Refusal | None:
    """The customer states the order anew: the units of each line, also of those that were cancelled before.

    A line that they leave out is cancelled. What a line holds beyond what is wanted of it now is free again.
    """
    if refusal := _not_amendable(order, wish):
        return refusal
    wanted = {line.line_id: line for line in wish.lines}
    order.version, order.ship_by, order.cancel_after = wish.version, wish.ship_by, wish.cancel_after
    order.state = OrderState.OPEN
    for line in order.lines:
        stated = wanted.pop(line.line_id, None)
        if stated is None:
            cancel(shelf, order, line, now=now)
            continue
        line.units_ordered, line.units_cancelled = stated.units, 0
        take_back(shelf, order, line, units_allocated(shelf, line) - line.units_open, now=now)
    order.lines += [line_of(order, stated) for stated in wish.lines if stated.line_id in wanted]
    keep_until(shelf, order)
    order.close_if_done()
    return None


def share_out(
    shelf: Shelf,
    waiting: Collection[tuple[WholesaleOrder, WholesaleLine]],
    rooms: Mapping[BalanceKey, int],
    *,
    now: datetime,
) -> int:
    """Give what is free to the lines that wait for it, the oldest order first. Returns how many units.

    `rooms`: what the policy lets wholesale take of each balance. What listings of a guarded SKU may sell is not free:
    those are cut first, see `flow.plan`.
    """
    left = dict(rooms)
    total = 0
    for order, line in sorted(waiting, key=lambda one: one[1].age):
        wanted = line.units_open - units_allocated(shelf, line)
        units = max(0, min(wanted, left.get(line.balance, 0), shelf.free(*line.balance)))
        allocate(shelf, order, line, units, now=now)
        left[line.balance] = left.get(line.balance, 0) - units
        total += units
    return total


def _parts(shelf: Shelf, line: WholesaleLine) -> list[Reservation]:
    """What holds units for a line, the oldest first. Whoever ended one of them (a count, a day) left a backorder."""
    found = [part for name in line.reservation_ids for part in shelf.parts(name) if part.is_held]
    line.reservation_ids = [part.reservation_id for part in found]
    return found


def _end(shelf: Shelf, line: WholesaleLine, part: Reservation) -> None:
    give_back(shelf, part, ReservationState.RELEASED, Reason.RELEASED)
    line.reservation_ids.remove(part.reservation_id)


def _not_amendable(order: WholesaleOrder, wish: WholesaleWish) -> Refusal | None:
    if wish.location != order.location:
        return Refusal(
            RefusalKind.OTHER_SKU,
            f"order {order.order_id} ships from {order.location}, not {wish.location}; cancel it and send another",
        )
    lines = {line.line_id: line for line in order.lines}
    for stated in wish.lines:
        line = lines.get(stated.line_id)
        if line is not None and line.sku != stated.sku:
            return Refusal(
                RefusalKind.OTHER_SKU,
                f"line {stated.line_id} of {order.order_id} is {line.sku}, not {stated.sku}; leave it out and give "
                "the other SKU a line of its own",
            )
        if line is not None and stated.units < line.units_shipped:
            return Refusal(
                RefusalKind.SHIPPED_MORE,
                f"line {stated.line_id} of {order.order_id}: {line.units_shipped} of {line.sku} have shipped, "
                f"{stated.units} are wanted now; what is too many is a return",
            )
    return None


def _do(outcome: object) -> None:
    if not isinstance(outcome, Done):
        broken(f"an allocation that was looked at a moment ago: {outcome}")
