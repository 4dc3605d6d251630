"""The rules of counts. What a person has counted is true: no count is refused for what it finds, and none erases an
open order, or what happened after it was taken.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from uuid import UUID

from oneshelf.domain.account import Account, Outside, StockState
from oneshelf.domain.command import CLOCK_ERROR_S, Count, CountedFigure
from oneshelf.domain.count_outcome import BeforeHistory, Counted, CountOutdated, InFuture, NoSuchCount
from oneshelf.domain.handover import not_yet_left
from oneshelf.domain.ledger import BalanceKey, Shelf, fill
from oneshelf.domain.movement import Movement, Reason
from oneshelf.domain.outcome import CountedShort, Posted
from oneshelf.domain.seen import (
    FIGURE_STATES,
    Begun,
    Certainty,
    LookedBack,
    Ruling,
    Since,
    certainty,
    is_quoted,
    not_seen,
    seen_anyway,
    since_begun,
    since_instant,
)
from oneshelf.domain.shortening import shorten_promises
from oneshelf.errors import invariant

# Where units are missed first. Those that nobody waits for come before any promise.
_UNPROMISED = (StockState.AVAILABLE, StockState.SAFETY_STOCK, StockState.QUALITY_CONTROL, StockState.DAMAGED)


def count(
    shelf: Shelf, command: Count, *, now: datetime
) -> Posted | CountedShort | Counted | NoSuchCount | CountOutdated | BeforeHistory | InFuture:
    """The ledger follows the count. The shelf must hold all that is promised from a balance counted as a whole.

    What has moved since the count is added to it. What is missing then is taken from the free units, then from the
    other unpromised ones that were counted, then from promises: checkouts, units set aside, orders and unpaid sales
    from the latest to the first, and what is locked last.
    """
    key = (command.sku, command.location)
    since = _since(shelf, command, now=now)
    if not isinstance(since, Since):
        return since
    _rule(shelf, command, now=now)
    balance = shelf.balances[key]
    there = sum(balance.units[state] for state in FIGURE_STATES[command.figure])
    # More may have left than was counted: somebody counted badly, or something else is not told yet.
    units = max(0, command.units + since.units)
    ambiguous = since.units_ambiguous + units - command.units - since.units
    missing = there - units
    moved = abs(missing)
    units_short = _correct(shelf, command, missing)
    owed = _owe_at_counters(shelf, command, units - command.units - since.units)
    units_short, ambiguous = units_short + owed, ambiguous - owed
    _fill_seen(shelf, command)
    _settle_counters(shelf, command)
    shelf.fill_shortages()
    available = shelf.available(command.sku, command.location)
    if command.token is not None or command.as_of is not None:
        return Counted(moved, available, since.units, ambiguous, units_short)
    return CountedShort(moved, available, units_short) if units_short else Posted(moved, available)


def _fill_seen(shelf: Shelf, command: Count) -> None:
    """Orders that wait for units and were seen by who states the free ones: theirs are not among these."""
    context = shelf.contexts.get(command.key)
    if not isinstance(context, Begun) or command.figure is not CountedFigure.AVAILABLE:
        return
    for line in list(shelf.lines.values()):
        if line.units_short and (line.sku, line.location) == (command.sku, command.location):
            units = line.units_short
            if is_quoted(context.documents, line.source):
                found, available = Account(Outside.FOUND), Account(StockState.AVAILABLE, line.location)
                reason = Reason.SEEN_BY_COUNT
                shelf.move(line.sku, origin=found, target=available, units=units, reason=reason, source=line.source)
                fill(shelf, line, units)


def _owe_at_counters(shelf: Shelf, command: Count, units: int) -> int:
    """More has left over counters since the count than it had found: the latest sales are short of these units, as
    they are where the count is told first. Returns how many units are.
    """
    key, short = (command.sku, command.location), 0
    if units <= 0:
        return 0
    ruling = shelf.rulings[key]
    sold = [
        (line.handed_over_at, line.key, line)
        for line in shelf.lines.values()
        if line.handed_over_at and (line.sku, line.location) == key and not is_quoted(ruling.documents, line.source)
    ]
    for left_at, _, line in sorted(sold, reverse=True, key=lambda one: one[:2]):
        lacking = min(units - short, line.units_shipped - line.units_back)
        if lacking > 0 and certainty(left_at, ruling.counted_at, error_s=ruling.error_s) is not Certainty.SEEN:
            not_yet_left(shelf, line, lacking, left_at=left_at)
            _lose(shelf, command, StockState.AVAILABLE, lacking)
            short += lacking
    return short


def _settle_counters(shelf: Shelf, command: Count) -> None:
    """What had left over a counter before the count, and nobody had counted: it is not in the figure, nor missing."""
    key = (command.sku, command.location)
    ruling, is_dated = shelf.rulings[key], command.token is not None or command.as_of is not None
    for line in list(shelf.lines.values()):
        left_at, units = line.handed_over_at, line.units_short
        if left_at is None or not units or (line.sku, line.location) != key:
            continue
        if is_dated and certainty(left_at, ruling.counted_at, error_s=ruling.error_s) is not Certainty.SEEN:
            continue
        found, available = Account(Outside.FOUND), Account(StockState.AVAILABLE, line.location)
        shelf.move(
            line.sku, origin=found, target=available, units=units, reason=Reason.SEEN_BY_COUNT, source=line.source
        )
        fill(shelf, line, units)


def _rule(shelf: Shelf, command: Count, *, now: datetime) -> None:
    """From now on this count rules its balance: what is told late is judged by it."""
    key = (command.sku, command.location)
    context = shelf.contexts.get(command.key)
    begun = context if isinstance(context, Begun) else None
    error_s = begun.error_s if begun else CLOCK_ERROR_S if command.error_s is None else command.error_s
    shelf.rulings[key] = Ruling(
        figure=command.figure,
        units=command.units,
        counted_at=command.as_of or (begun.begun_at if begun else now),
        error_s=error_s,
        source=str(command.key),
        documents=begun.documents if begun else (),
    )
    shelf.changed_rulings.add(key)


def _since(
    shelf: Shelf, command: Count, *, now: datetime
) -> Since | NoSuchCount | CountOutdated | BeforeHistory | InFuture:
    """What has moved since the count, as far as it says when it was taken."""
    if command.token is not None:
        return _since_token(shelf, command, command.token)
    if command.as_of is not None:
        return _since_instant(shelf, command, command.as_of, now=now)
    return Since()


def _since_token(shelf: Shelf, command: Count, token: UUID) -> Since | NoSuchCount:
    key = (command.sku, command.location)
    begun = shelf.contexts.get(command.key)
    if not isinstance(begun, Begun):
        return NoSuchCount(token, *key, "")
    if begun.location != command.location:
        return NoSuchCount(token, *key, begun.location)
    more = seen_anyway(_moved_now(shelf, key), begun)
    return since_begun(begun, shelf.balances[key].units, more, command.figure)


def _since_instant(
    shelf: Shelf, command: Count, as_of: datetime, *, now: datetime
) -> Since | CountOutdated | BeforeHistory | InFuture:
    key = (command.sku, command.location)
    error_s = CLOCK_ERROR_S if command.error_s is None else command.error_s
    error = timedelta(seconds=error_s)
    if as_of > now + error:
        return InFuture(command.sku, as_of, now)
    back = shelf.contexts.get(command.key)
    if not isinstance(back, LookedBack) or back.first_at is None:
        return BeforeHistory(command.sku, as_of, None)
    if as_of < back.first_at - error:
        return BeforeHistory(command.sku, as_of, back.first_at)
    ruling = shelf.rulings.get(key)
    if ruling is not None and ruling.counted_at > as_of:
        return CountOutdated(*key, as_of, ruling.counted_at)
    return since_instant(back, not_seen(_moved_now(shelf, key), as_of, error_s=error_s, now=now), command.figure)


def _moved_now(shelf: Shelf, key: BalanceKey) -> list[Movement]:
    """What this batch has moved at this balance, of which most are counted before anything else moves there."""
    if key not in shelf.changed_balances:
        return []
    return [movement for movement in shelf.movements if (movement.sku, movement.location) == key]


def _correct(shelf: Shelf, command: Count, missing: int) -> int:
    """Take what is missing, or add what was found (less than 0). Returns how many promised units are short."""
    key = (command.sku, command.location)
    balance, states = shelf.balances[key], FIGURE_STATES[command.figure]
    if missing < 0:
        shelf.move(
            command.sku,
            origin=Account(Outside.FOUND),
            target=Account(StockState.AVAILABLE, command.location),
            units=-missing,
            reason=Reason.COUNTED,
            source=str(command.key),
        )
        return 0
    for state in _UNPROMISED if missing else ():
        taken = min(missing, balance.units[state]) if state in states else 0
        if taken:
            _lose(shelf, command, state, taken)
            missing -= taken
    units_short = missing
    if missing > 0:
        lost = shorten_promises(shelf, key, missing, take=lambda state, units: _lose(shelf, command, state, units))
        invariant(lost == 0, f"{command.sku} at {command.location}: nobody holds {lost} of the promised units")
    return units_short


def _lose(shelf: Shelf, command: Count, state: StockState, units: int) -> None:
    shelf.move(
        command.sku,
        origin=Account(state, command.location),
        target=Account(Outside.SHRINKAGE),
        units=units,
        reason=Reason.COUNTED,
        source=str(command.key),
    )
