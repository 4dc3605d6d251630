"""The rules of reservations: available → reserved → committed, or back. Each ends once."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import assert_never

from oneshelf.domain.account import StockState, inside
from oneshelf.domain.command import Claim, ClaimInto, Extend, Release, ReservationCommand, ReservationKind, Reserve
from oneshelf.domain.granting import grant
from oneshelf.domain.ledger import Reservation, ReservationState, Shelf
from oneshelf.domain.line import UNSPOKEN, LinePosition
from oneshelf.domain.movement import Reason
from oneshelf.domain.outcome import (
    Claimed,
    NoSuchReservation,
    NotAHold,
    Released,
    ReservationEnded,
    Reserved,
    Short,
)

Parts = list[Reservation]
Ended = NoSuchReservation | ReservationEnded


def expire(shelf: Shelf, *, now: datetime) -> int:
    """Take back every hold on the shelf that is past its time. Returns how many parts of holds ended.

    To be called before the first decision: then no sale waits for the sweep, and no hold outlives its time by luck.
    """
    due = sorted((part for part in shelf.reservations.values() if part.has_expired(now=now)), key=lambda part: part.key)
    for part in due:
        give_back(shelf, part, ReservationState.EXPIRED, Reason.EXPIRED)
    shelf.fill_shortages()
    return len(due)


def post_reservation(
    shelf: Shelf, command: ReservationCommand, *, now: datetime
) -> Reserved | Claimed | Released | Short | Ended | NotAHold:
    """Decide a command about a reservation."""
    match command:
        case Reserve():
            return _reserve(shelf, command, now)
        case Extend():
            return _extend(shelf, command, now)
        case Claim():
            return _claim(shelf, command)
        case Release():
            return _release(shelf, command)
        case _:
            assert_never(command)


def _reserve(shelf: Shelf, command: Reserve, now: datetime) -> Reserved | Short:
    """Set aside what is granted; what is promised beyond the shelf waits for units."""
    granted = grant(shelf, command)
    if isinstance(granted, Short):
        return granted
    reservation_id = shelf.new_id()
    expires_at = None if command.ttl_s is None else now + timedelta(seconds=command.ttl_s)
    promised = granted.promised
    for key in sorted(promised) if len(promised) > 1 else promised:
        sku, location = key
        units, there = promised[key], granted.there[key]
        part = Reservation(
            sku=sku,
            reservation_id=reservation_id,
            location=location,
            kind=command.kind,
            units=units,
            units_short=units - there,
            created_at=now,
            holder=command.holder,
            expires_at=expires_at,
        )
        shelf.add(part)
        shelf.move(
            sku,
            origin=inside(StockState.AVAILABLE, location),
            target=inside(StockState.RESERVED, location),
            units=there,
            reason=Reason.RESERVED,
            source=part.source,
        )
    units, there = sum(promised.values()), sum(granted.there.values())
    return Reserved(reservation_id, there, expires_at, units_short=units - there, grants=granted.grants)


def _extend(shelf: Shelf, command: Extend, now: datetime) -> Reserved | Ended | NotAHold:
    """Let a hold last longer. It never lasts shorter: a late repeat of an earlier wish must not end it."""
    parts = _held(shelf, command)
    if not isinstance(parts, list):
        return parts
    ends = [part.expires_at for part in parts if part.expires_at is not None]
    if not ends:
        return NotAHold(command.reservation_id, parts[0].kind)
    expires_at = max(*ends, now + timedelta(seconds=command.ttl_s))
    for part in parts:
        part.expires_at = expires_at
        shelf.changed_reservations.add(part.key)
    units_short = sum(part.units_short for part in parts)
    return Reserved(command.reservation_id, _units_held(parts), expires_at, units_short=units_short)


def _claim(shelf: Shelf, command: Claim) -> Claimed | Ended | NotAHold:
    """The reservation belongs to its order, whichever of the two came first: no unit is taken twice.

    Where the channel has told us of the order already, its lines have taken their units themselves; then the
    reservation fills what they are short of, and the rest is free again. Otherwise a line is made that keeps the units
    until the channel tells us, see `domain.fulfilment`.
    """
    parts = _held(shelf, command)
    if not isinstance(parts, list):
        return parts
    if command.into is ClaimInto.LOCK and parts[0].kind is ReservationKind.LOCK:
        return NotAHold(command.reservation_id, parts[0].kind)
    claimed = Claimed(command.reservation_id, _units_held(parts), sum(part.units_short for part in parts))
    for part in parts:
        shelf.changed_reservations.add(part.key)
        part.holder = str(command.order)
        if command.into is ClaimInto.LOCK:
            part.kind, part.expires_at = ReservationKind.LOCK, None
        else:
            _commit(shelf, part, command)
    shelf.fill_shortages()
    return claimed


def _release(shelf: Shelf, command: Release) -> Released | Ended:
    """All units of the reservation are free again; those that wait for them come first."""
    parts = _held(shelf, command)
    if not isinstance(parts, list):
        return parts
    released = Released(command.reservation_id, _units_held(parts))
    for part in parts:
        give_back(shelf, part, ReservationState.RELEASED, Reason.RELEASED)
    shelf.fill_shortages()
    return released


def _held(shelf: Shelf, command: Extend | Claim | Release) -> Parts | Ended:
    parts = shelf.parts(command.reservation_id)
    if not parts:
        return NoSuchReservation(command.reservation_id)
    # A sale may have taken back the part of a hold that it met, while the others wait for the sweep: it has ended.
    ended = next((part for part in parts if not part.is_held), None)
    return ReservationEnded(command.reservation_id, ended.state) if ended else parts


def _units_held(parts: Parts) -> int:
    return sum(part.units_held for part in parts)


def give_back(shelf: Shelf, part: Reservation, state: ReservationState, reason: Reason) -> None:
    """The reservation is held no longer, and its units are free; nobody gets them yet."""
    units = part.units_held
    shelf.end(part, state)
    shelf.move(
        part.sku,
        origin=inside(StockState.RESERVED, part.location),
        target=inside(StockState.AVAILABLE, part.location),
        units=units,
        reason=reason,
        source=part.source,
    )


def _commit(shelf: Shelf, part: Reservation, command: Claim) -> None:
    """The lines of the order that its channel told us of come first; if there are none, a new line waits for them."""
    lines = [
        line
        for line in shelf.lines_of(command.order)
        if not line.is_unspoken and (line.sku, line.location) == (part.sku, part.location)
    ] or [_unspoken_line(shelf, part, command)]
    left = part.units_held
    shelf.end(part, ReservationState.CLAIMED)
    for line in lines:
        units = min(line.units_short, left)
        _hand_over(shelf, part, line, units)
        left -= units
    # The order has taken its own units before: these were set aside twice.
    shelf.move(
        part.sku,
        origin=inside(StockState.RESERVED, part.location),
        target=inside(StockState.AVAILABLE, part.location),
        units=left,
        reason=Reason.RELEASED,
        source=part.source,
    )


def _unspoken_line(shelf: Shelf, part: Reservation, command: Claim) -> LinePosition:
    line = LinePosition(
        sku=part.sku,
        location=part.location,
        channel=command.order.channel,
        order_id=command.order.order_id,
        line_id=f"{part.reservation_id}/{part.sku}/{part.location}",
        channel_sku=UNSPOKEN,
        placed_at=part.created_at,  # Whoever reserved first goes on waiting in that place.
        is_pending=False,
        units_short=part.units,
    )
    shelf.add_line(line)
    return line


def _hand_over(shelf: Shelf, part: Reservation, line: LinePosition, units: int) -> None:
    """Reserved units fill what the line is short of. A line that waits for its payment keeps them reserved."""
    shelf.shorten(line, -units)
    if line.is_pending:
        line.units_pending += units
        return
    line.units_committed += units
    shelf.move(
        part.sku,
        origin=inside(StockState.RESERVED, part.location),
        target=inside(StockState.COMMITTED, part.location),
        units=units,
        reason=Reason.COMMITTED,
        source=line.source,
    )
