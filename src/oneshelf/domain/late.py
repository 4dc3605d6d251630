"""What is told late: it moves its units, and what a count had seen of it goes back at once, so that the count stands.

In whatever order a count and the movements around it are told, the figures end the same.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

from oneshelf.domain.account import Account, Outside, StockState
from oneshelf.domain.command import CLOCK_ERROR_S, Adjust, Arrive, CountedFigure, Dated, Dispatch, Move, Ship
from oneshelf.domain.count_outcome import InFuture, PostedLate
from oneshelf.domain.identity import Location, Sku
from oneshelf.domain.ledger import Shelf, fill
from oneshelf.domain.line import LinePosition
from oneshelf.domain.movement import CORRECTIONS, Movement, Reason
from oneshelf.domain.outcome import Outcome, Posted
from oneshelf.domain.seen import Certainty, Moved, Ruling, certainty, is_quoted
from oneshelf.domain.warehouse_command import Unload


def post_late(
    shelf: Shelf, command: Dated, happened_at: datetime, post: Callable[[], Outcome], *, now: datetime
) -> Outcome:
    """Decide with `post` a command that happened before now. The shelf must hold the rulings of its balances."""
    if happened_at > now + timedelta(seconds=CLOCK_ERROR_S):
        return InFuture(command.sku, happened_at, now)
    told = _ToldLate(shelf, happened_at, str(command.key))
    shelf.happened_at = happened_at
    told.give_before(command)
    shelf.after_move = told.take_back
    try:
        outcome = post()
    finally:
        shelf.happened_at = shelf.after_move = None
    shelf.fill_shortages()
    if (
        not isinstance(outcome, Posted)
        or isinstance(command, Arrive | Unload)
        or not told.units_seen + told.units_ambiguous
    ):
        return outcome
    location = command.origin if isinstance(command, Dispatch) else command.location
    available = shelf.available(command.sku, location)
    return PostedLate(outcome.units_moved, available, told.units_seen, told.units_ambiguous)


def give_what_was_seen(shelf: Shelf, line: LinePosition, units: int) -> None:
    """A sale of these units is told for the first time. Where the free units were stated by who had seen it, they are
    given to the line first: what it takes is in the figure already.
    """
    ruling = shelf.rulings.get((line.sku, line.location))
    if ruling and ruling.figure is CountedFigure.AVAILABLE and units > 0 and is_quoted(ruling.documents, line.source):
        found, available = Account(Outside.FOUND), Account(StockState.AVAILABLE, line.location)
        shelf.move(
            line.sku, origin=found, target=available, units=units, reason=Reason.SEEN_BY_COUNT, source=line.source
        )


class _ToldLate:
    """One command that is told late, and what the counts have to say to it."""

    def __init__(self, shelf: Shelf, happened_at: datetime, source: str) -> None:
        self.shelf = shelf
        self.happened_at = happened_at
        self.source = source
        self.units_seen = 0
        self.units_ambiguous = 0
        self.units_given = 0

    def give_before(self, command: Dated) -> None:
        """Units that a count has found gone are not there for the command that took them: give them back first."""
        match command:
            case Adjust(delta_units=delta) if delta < 0:
                self._give(command.sku, command.location, -delta)
            case Move(origin=StockState.AVAILABLE, units=units):
                self._give(command.sku, command.location, units, target=command.target)
            case Dispatch(units=units) if (command.sku, command.transfer_id) not in self.shelf.transfers:
                self._give(command.sku, command.origin, units)
            case Ship():
                self._give_to_order(command)
            case _:
                pass

    def _give(
        self,
        sku: Sku,
        location: Location,
        units: int,
        *,
        origin: StockState = StockState.AVAILABLE,
        target: StockState | Outside = Outside.SHRINKAGE,
    ) -> None:
        ruling = self.shelf.rulings.get((sku, location))
        change = Moved(units, origin, target).change(ruling.figure) if ruling else 0
        if ruling and change < 0 and self._known(ruling) is Certainty.SEEN:
            self.units_given = -change
            self._find(sku, location, -change)

    def _give_to_order(self, command: Ship) -> None:
        """The count has shortened an order by the very units that had been shipped for it."""
        place = (command.sku, command.location)
        lines = [
            line
            for line in self.shelf.lines_of(command.order)
            if line.is_unspoken and (line.sku, line.location) == place
        ]
        lacking = command.units - sum(line.units_committed for line in lines)
        if not 0 < lacking <= sum(line.units_short for line in lines):
            return
        self._give(*place, lacking, origin=StockState.COMMITTED, target=Outside.CUSTOMER)
        left = self.units_given
        for line in lines:
            units = min(left, line.units_short)
            fill(self.shelf, line, units)
            left -= units

    def take_back(self, movement: Movement) -> None:
        """Reverse of this movement what the ruling count had seen of it."""
        location = movement.location
        if location is None or movement.reason in CORRECTIONS or movement.happened_at is None:
            return
        ruling = self.shelf.rulings.get((movement.sku, location))
        change = (
            Moved(movement.units, movement.origin.name, movement.target.name).change(ruling.figure) if ruling else 0
        )
        if ruling is None or change == 0:
            return
        known = self._known(ruling)
        if known is Certainty.AMBIGUOUS:
            self.units_ambiguous += abs(change)
        if known is Certainty.NOT_SEEN or (known is Certainty.AMBIGUOUS and change < 0):
            return
        if known is Certainty.SEEN:
            self.units_seen += abs(change)
        if change > 0:
            self._move(movement.sku, movement.target, Account(Outside.SHRINKAGE), change)
        else:
            given = min(self.units_given, -change)
            self.units_given -= given
            self._find(movement.sku, location, -change - given)

    def _known(self, ruling: Ruling) -> Certainty:
        if is_quoted(ruling.documents, self.source):
            return Certainty.SEEN
        return certainty(self.happened_at, ruling.counted_at, error_s=ruling.error_s)

    def _find(self, sku: Sku, location: Location, units: int) -> None:
        self._move(sku, Account(Outside.FOUND), Account(StockState.AVAILABLE, location), units)

    def _move(self, sku: Sku, origin: Account, target: Account, units: int) -> None:
        self.shelf.move(sku, origin=origin, target=target, units=units, reason=Reason.SEEN_BY_COUNT, source=self.source)
