"""What the ledger answers to counts that say what they had seen, and to what is told late."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import assert_never
from uuid import UUID

from oneshelf.domain.identity import Location, Sku


@dataclass(frozen=True, slots=True)
class Counted:
    """Done: the figure is what was counted and `units_since`, which is what has moved since.

    `units_ambiguous` moved so close to the count that the clocks cannot tell; the lower figure was taken, and somebody
    should look again. `units_short`: promised, and not there.
    """

    units_moved: int
    available: int
    units_since: int
    units_ambiguous: int
    units_short: int


@dataclass(frozen=True, slots=True)
class PostedLate:
    """Done: `units_seen` of the units had been seen by a count, which stands; `units_ambiguous`: perhaps seen."""

    units_moved: int
    available: int
    units_seen: int
    units_ambiguous: int


@dataclass(frozen=True, slots=True)
class NoSuchCount:
    """Not done: no count of this SKU at this location has begun with this token. `begun_at_location`: but there."""

    token: UUID
    sku: Sku
    location: Location
    begun_at_location: str


@dataclass(frozen=True, slots=True)
class CountOutdated:
    """Not done: a count of a later instant rules this balance already."""

    sku: Sku
    location: Location
    as_of: datetime
    counted_at: datetime


@dataclass(frozen=True, slots=True)
class BeforeHistory:
    """Not done: the ledger does not know what has moved since then. `first_at`: its first movement of the SKU."""

    sku: Sku
    as_of: datetime
    first_at: datetime | None


@dataclass(frozen=True, slots=True)
class InFuture:
    """Not done: this is said to have happened at an instant that is still to come."""

    sku: Sku
    instant: datetime
    now: datetime


CountDone = Counted | PostedLate
CountRefusal = NoSuchCount | CountOutdated | BeforeHistory | InFuture


def counted_in_words(outcome: CountDone | CountRefusal) -> str:
    """The outcome as one sentence for a person."""
    match outcome:
        case Counted(units_moved, available, units_since, units_ambiguous, units_short):
            parts = [f"posted: {units_moved} units moved, {available} available"]
            if units_since:
                parts.append(f"{units_since:+} have moved since the count and stand")
            if units_short:
                parts.append(f"{units_short} promised units are short")
            if units_ambiguous:
                parts.append(f"count again: {units_ambiguous} units moved so close to it that nobody can tell")
            return "; ".join(parts)
        case PostedLate(units_moved, available, units_seen, units_ambiguous):
            doubt = f"; count again: {units_ambiguous} of them perhaps" if units_ambiguous else ""
            seen = f"a count had seen {units_seen} of them, and stands"
            return f"posted: {units_moved} units moved, {available} available; {seen}{doubt}"
        case NoSuchCount(token, sku, location, begun_at_location):
            where = f"; that count began at {begun_at_location}" if begun_at_location else ""
            return (
                f"refused: no count of {sku} at {location} began with the token {token}{where}. "
                f"Way out: oneshelf stock count-begin {location} {sku}, and count again"
            )
        case CountOutdated(sku, location, as_of, counted_at):
            return f"refused: {sku} at {location} was counted as of {_at(counted_at)}, which is later than {_at(as_of)}"
        case BeforeHistory(sku, as_of, first_at):
            first = (
                f"the first movement of {sku} is of {_at(first_at)}" if first_at else f"no unit of {sku} has moved yet"
            )
            return f"refused: {first}, so nobody knows what moved since {_at(as_of)}; count it now, without as_of"
        case InFuture(sku, instant, now):
            return f"refused: {sku}: {_at(instant)} is still to come, it is {_at(now)}"
        case _:
            assert_never(outcome)


def _at(instant: datetime) -> str:
    return instant.isoformat(sep=" ", timespec="seconds").replace("+00:00", " UTC")
