"""The rules of commands: which units move for what people and programs ask."""

from __future__ import annotations

from datetime import datetime
from typing import assert_never

from oneshelf.domain.account import Account, Outside, StockState
from oneshelf.domain.command import Adjust, Claim, Command, Count, CountedFigure, Extend, Receive, Release, Reserve
from oneshelf.domain.identity import UNITS_MAX
from oneshelf.domain.ledger import Shelf
from oneshelf.domain.movement import Reason
from oneshelf.domain.outcome import CountBelowPromised, Outcome, Posted, Short
from oneshelf.domain.reservation import claim, extend, release, reserve
from oneshelf.errors import MalformedError


def post_command(shelf: Shelf, command: Command, *, now: datetime) -> Outcome:
    """Decide one command against the shelf. A refusal leaves the shelf as it was.

    Holds that have expired by `now` must have been taken back before, see `domain.reservation.expire`.
    """
    match command:
        case Reserve():
            return reserve(shelf, command, now=now)
        case Extend():
            return extend(shelf, command, now=now)
        case Claim():
            return claim(shelf, command, now=now)
        case Release():
            return release(shelf, command)
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


def _bring(shelf: Shelf, command: Receive | Adjust | Count, *, origin: Outside, units: int, reason: Reason) -> int:
    """Raises MalformedError where the sum would be more than any shelf holds: the whole request is taken back."""
    balance = shelf.balances[command.sku, command.location]
    # All that is or will be there, so that whatever comes back to `available` later finds room.
    present = sum(balance.units.values())
    if present + units > UNITS_MAX:
        raise MalformedError(
            f"{command.sku} at {command.location}: {balance.available} available and {units} more are over {UNITS_MAX}"
            if present == balance.available
            else f"{command.sku} at {command.location}: {present} there and {units} more are over {UNITS_MAX}"
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


def _correct(shelf: Shelf, command: Adjust | Count, delta_units: int, reason: Reason) -> int:
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
