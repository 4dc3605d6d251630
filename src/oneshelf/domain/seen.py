"""What a count had seen of the movements around it, and what it had not.

A movement before the instant of a count is in the counted figure, one after it is not. Where the two clocks may
disagree by more than lies between them, nobody can know: such a movement is taken as it makes the figure lower, since
a figure that is too low sells too little and one that is too high sells what is not there.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum

from oneshelf.domain.account import ON_HAND_STATES, Outside, StockState
from oneshelf.domain.command import CLOCK_ERROR_S, CountedFigure
from oneshelf.domain.identity import Location
from oneshelf.domain.movement import CORRECTIONS, Movement

# The states that each figure counts.
FIGURE_STATES: Mapping[CountedFigure, tuple[StockState, ...]] = {
    CountedFigure.ON_HAND: ON_HAND_STATES,
    CountedFigure.UNSHIPPED: tuple(
        state for state in ON_HAND_STATES if state not in (StockState.DAMAGED, StockState.QUALITY_CONTROL)
    ),
    CountedFigure.AVAILABLE: (StockState.AVAILABLE,),
}


class Certainty(Enum):
    """Whether a count had seen a movement."""

    SEEN = "seen"
    NOT_SEEN = "not seen"
    AMBIGUOUS = "ambiguous"


@dataclass(frozen=True, slots=True)
class Moved:
    """Units that went between two accounts of one balance. `is_ambiguous`: nobody can know whether the count saw it."""

    units: int
    origin: StockState | Outside
    target: StockState | Outside
    is_ambiguous: bool = False

    def change(self, figure: CountedFigure) -> int:
        """By how much this has changed the figure."""
        states = FIGURE_STATES[figure]
        return self.units * ((self.target in states) - (self.origin in states))


@dataclass(frozen=True, slots=True, kw_only=True)
class Begun:
    """Where the balance stood when the count began: `units` by state.

    `seen_anyway`: what has moved since and is nothing that the count missed, as other counts did it, or it was told
    late and had happened before. `documents`: what it had seen by name, see `is_quoted`.
    """

    location: Location
    begun_at: datetime
    units: Mapping[StockState, int]
    seen_anyway: tuple[Moved, ...] = ()
    documents: tuple[str, ...] = ()
    error_s: int = CLOCK_ERROR_S


@dataclass(frozen=True, slots=True, kw_only=True)
class LookedBack:
    """What has moved since an instant, other than by counts. `first_at`: when the first unit of the SKU moved."""

    moved: tuple[Moved, ...]
    first_at: datetime | None


Context = Begun | LookedBack


@dataclass(frozen=True, slots=True, kw_only=True)
class Ruling:
    """The count that rules a balance: it has seen what happened before `counted_at`, on a clock wrong by `error_s`.

    And the `documents` that it quotes, whenever they happened, see `is_quoted`.
    """

    figure: CountedFigure
    units: int
    counted_at: datetime
    error_s: int
    source: str
    documents: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Since:
    """By how much a figure has changed since a count; `units_ambiguous` may have been before it or after it."""

    units: int = 0
    units_ambiguous: int = 0


def certainty(happened_at: datetime, counted_at: datetime, *, error_s: int) -> Certainty:
    """Whether a count at this instant had seen what happened at that one."""
    error = timedelta(seconds=error_s)
    if happened_at <= counted_at - error:
        return Certainty.SEEN
    return Certainty.AMBIGUOUS if happened_at <= counted_at + error else Certainty.NOT_SEEN


def is_quoted(documents: Iterable[str], source: str, *, is_shipped: bool = False) -> bool:
    """Whether a movement with this source is of a document that was quoted.

    A document is a command by its whole source, or an order by how the sources of its lines begin. What left for an
    order (`is_shipped`) is seen only where that was said, with "shipped" before it: an ERP that knows of a sale need
    not know that the parcel is gone.
    """
    of = f"shipped {source}" if is_shipped and source.startswith("order ") else source
    return any(of.startswith(document) for document in documents)


def is_shipment(movement: Movement) -> bool:
    """Whether units went to a customer or came back from one."""
    return Outside.CUSTOMER in (movement.origin.name, movement.target.name)


def since_begun(begun: Begun, present: Mapping[StockState, int], more: Iterable[Moved], figure: CountedFigure) -> Since:
    """What has moved since the count began. `present`: state -> units now; `more`: seen anyway, in this batch."""
    states = FIGURE_STATES[figure]
    units = sum(present[state] - begun.units[state] for state in states)
    ambiguous = 0
    for moved in (*begun.seen_anyway, *more):
        change = moved.change(figure)
        if moved.is_ambiguous:
            ambiguous += abs(change)
            change = max(0, change)
        units -= change
    return Since(units, ambiguous)


def since_instant(back: LookedBack, more: Iterable[Moved], figure: CountedFigure) -> Since:
    """What has moved since the instant. `more`: in this batch."""
    units = ambiguous = 0
    for moved in (*back.moved, *more):
        change = moved.change(figure)
        if moved.is_ambiguous:
            ambiguous += abs(change)
            change = min(0, change)
        units += change
    return Since(units, ambiguous)


def seen_anyway(movements: Iterable[Movement], begun: Begun) -> Iterable[Moved]:
    """Of these movements since the count began, those that it did not miss."""
    for movement in movements:
        is_named = is_quoted(begun.documents, movement.source, is_shipped=is_shipment(movement))
        if movement.reason in CORRECTIONS or is_named:
            yield _moved(movement)
        elif movement.happened_at is not None:
            known = certainty(movement.happened_at, begun.begun_at, error_s=begun.error_s)
            if known is not Certainty.NOT_SEEN:
                yield _moved(movement, is_ambiguous=known is Certainty.AMBIGUOUS)


def not_seen(movements: Iterable[Movement], counted_at: datetime, *, error_s: int, now: datetime) -> Iterable[Moved]:
    """Of these movements that are posted now, those that a count at that instant missed, surely or perhaps."""
    for movement in movements:
        known = certainty(movement.happened_at or now, counted_at, error_s=error_s)
        if movement.reason not in CORRECTIONS and known is not Certainty.SEEN:
            yield _moved(movement, is_ambiguous=known is Certainty.AMBIGUOUS)


def _moved(movement: Movement, *, is_ambiguous: bool = False) -> Moved:
    return Moved(movement.units, movement.origin.name, movement.target.name, is_ambiguous)
