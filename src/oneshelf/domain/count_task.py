"""The rules of a cycle count: what is counted, which differences a person has to look at, and what they may say.

Whoever counts does not see the figure of the ledger. What moved between the beginning and the entry is no difference:
a figure that fits the ledger at the one or the other is right.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import assert_never
from uuid import UUID, uuid5

from oneshelf.domain.command import CommandKey, Count
from oneshelf.domain.identity import UNITS_MAX, Location, Sku
from oneshelf.errors import MalformedError

SCOPE = "count-task"
SKUS_MAX = 10_000
_KEYS = UUID("5b0c7a54-2f0e-5d0c-9b1f-756e646f0002")


class SalesClass(StrEnum):
    """How much of what was sold in a week is this SKU: `A` the first 80 percent, `B` the next 15, `C` the rest."""

    A = "A"
    B = "B"
    C = "C"


class LineState(StrEnum):
    """How far the count of one SKU has got."""

    OPEN = "open"  # to be counted
    REVIEW = "review"  # the difference is to be looked at
    ACCEPTED = "accepted"  # it is posted within seconds
    POSTED = "posted"
    REFUSED = "refused"  # the ledger could not take it: count again
    DROPPED = "dropped"  # somebody said that it is not to be counted


class Ruling(StrEnum):
    """What a person says of a difference."""

    ACCEPT = "accept"  # the ledger follows the count
    RECOUNT = "recount"  # count again, from now on
    DROP = "drop"  # leave it: nothing is posted


@dataclass(frozen=True, slots=True, kw_only=True)
class Threshold:
    """A difference of so many units, or of this share of what the ledger has, is posted without a look."""

    units: int = 0
    percent: int = 0

    def __post_init__(self) -> None:
        if not 0 <= self.units <= UNITS_MAX or not 0 <= self.percent <= 100:
            raise MalformedError(
                f"a threshold of {self.units} units, {self.percent} percent: there are 0 to {UNITS_MAX} and 0 to 100"
            )

    def lets_pass(self, variance_units: int, *, units_expected: int) -> bool:
        return abs(variance_units) <= max(self.units, units_expected * self.percent // 100)


@dataclass(frozen=True, slots=True, kw_only=True)
class CountWish:
    """SKUs to be counted at a location, under a number of one's own.

    `skus`: these; else all that ever lay there, of which `pattern` (`*` any letters, `?` one), `sales_classes` and
    `only_drifting` (a channel shows something else) leave some; `limit`: those that were counted the longest ago.
    """

    task: str
    location: Location
    skus: tuple[Sku, ...] = ()
    pattern: str = ""
    sales_classes: tuple[SalesClass, ...] = ()
    only_drifting: bool = False
    limit: int = SKUS_MAX
    threshold: Threshold = field(default_factory=Threshold)

    def __post_init__(self) -> None:
        if "/" in self.task or self.task in {".", ".."}:
            raise MalformedError(f"the number {self.task!r} of a count stands in addresses: no slash, not dots alone")
        if not 1 <= self.limit <= SKUS_MAX:
            raise MalformedError(f"limit is {self.limit}; a count is of 1 to {SKUS_MAX} SKUs")
        if self.skus and (self.pattern or self.sales_classes or self.only_drifting):
            raise MalformedError("name the SKUs, or say which by pattern, class or drift: not both")


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """Somebody has counted so many units of a SKU of a task, in this round; None: in whichever it is."""

    task: str
    sku: Sku
    units: int
    by: str
    round: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """A person has looked at the difference of a round and says what becomes of it, and why."""

    task: str
    sku: Sku
    ruling: Ruling
    by: str
    reason: str
    round: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """What an entered figure means. `is_as_begun`: it is taken as of the beginning, not as of the entry.

    `is_doubtful`: units moved in between, and it fits neither: nobody can tell what the counter has seen.
    """

    is_as_begun: bool
    variance_units: int
    is_doubtful: bool
    passes: bool


def judge(*, units_counted: int, units_begun: int, units_entered: int, threshold: Threshold) -> Judged:
    """Compare a figure with what the ledger had on hand when the count began, and when the figure was entered."""
    since_begun, since_entered = units_counted - units_begun, units_counted - units_entered
    is_as_begun = abs(since_begun) < abs(since_entered)
    variance = since_begun if is_as_begun else since_entered
    is_doubtful = units_begun != units_entered and variance != 0
    expected = units_begun if is_as_begun else units_entered
    passes = not is_doubtful and threshold.lets_pass(variance, units_expected=expected)
    return Judged(is_as_begun=is_as_begun, variance_units=variance, is_doubtful=is_doubtful, passes=passes)


def count_of(*, task: str, sku: Sku, round_: int, location: Location, units: int, token: UUID) -> Count:
    """The count that is posted for a line, whoever posts it and however often: its key follows from its names."""
    key = str(uuid5(_KEYS, f"{task}\n{sku}\n{round_}"))
    return Count(key=CommandKey(scope=SCOPE, key=key), sku=sku, location=location, units=units, token=token)


@dataclass(frozen=True, slots=True)
class NoSuchTask:
    """Not done: no count was opened under this number."""

    task: str


@dataclass(frozen=True, slots=True)
class TaskExists:
    """Not done: another count was opened under this number."""

    task: str
    location: Location


@dataclass(frozen=True, slots=True)
class NothingToCount:
    """Not done: no SKU is meant."""

    location: Location


@dataclass(frozen=True, slots=True)
class NotInTask:
    """Not done: this SKU is not to be counted under this number."""

    task: str
    sku: Sku


@dataclass(frozen=True, slots=True)
class EnteredBefore:
    """Not done: another figure was entered for this round."""

    task: str
    sku: Sku
    round: int
    units_counted: int | None


@dataclass(frozen=True, slots=True)
class OtherRound:
    """Not done: this SKU is in another round of counting."""

    task: str
    sku: Sku
    asked: int
    round: int


@dataclass(frozen=True, slots=True)
class NotToRule:
    """Not done: nothing is to be said of this line in its state."""

    task: str
    sku: Sku
    ruling: Ruling
    state: str


CountTaskRefusal = NoSuchTask | TaskExists | NothingToCount | NotInTask | EnteredBefore | OtherRound | NotToRule


def task_in_words(refusal: CountTaskRefusal) -> str:
    """The refusal as one sentence for a person, with the way out."""
    match refusal:
        case NoSuchTask(task):
            return f"refused: no count {task}. Way out: oneshelf stock count-open {task} LOCATION, or see count-tasks"
        case TaskExists(task, location):
            return f"refused: {task} is another count, at {location}; take another number"
        case NothingToCount(location):
            return f"refused: nothing that is asked for ever lay at {location}; name the SKUs, or ask for more of them"
        case NotInTask(task, sku):
            return f"refused: {sku} is not to be counted in {task}; see oneshelf stock count-lines {task}"
        case EnteredBefore(task, sku, round_, units_counted):
            return (
                f"refused: {units_counted} {sku} were entered before, in round {round_} of {task}; "
                f"to count again: oneshelf stock count-rule {task} {sku} recount"
            )
        case OtherRound(task, sku, asked, round_):
            return f"refused: {sku} of {task} is in round {round_}, not {asked}; load it again, and count now"
        case NotToRule(task, sku, ruling, state):
            return f"refused: {sku} of {task} is {state}, so there is nothing to {ruling}"
        case _:
            assert_never(refusal)


# What may be ruled in which state of a line.
MAY_RULE = {
    Ruling.ACCEPT: (LineState.REVIEW,),
    Ruling.RECOUNT: (LineState.OPEN, LineState.REVIEW, LineState.REFUSED),
    Ruling.DROP: (LineState.OPEN, LineState.REVIEW, LineState.REFUSED),
}
