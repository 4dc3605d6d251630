"""Units that several systems change and count: changes add up, and a count replaces exactly what it had seen.

Choosing one of two writes is wrong for units: two sales of one unit are two facts, and choosing loses one. So nothing
is chosen between changes. A count states a figure and says what it had seen; what it had not seen still adds to it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from oneshelf.domain.version.context import CausalContext, Dot, context_of


@dataclass(frozen=True, slots=True, order=True)
class Delta:
    """Units that came (above 0) or left (below 0)."""

    units: int


@dataclass(frozen=True, slots=True)
class Count:
    """So many units were there, and the changes in `seen` are in that figure.

    `rank`: of counts that did not know of each other the highest rank stands. A count with an empty `seen` adds itself
    to all that ever moved, so a system that cannot say what it has seen has no `Count` to give.
    """

    units: int
    seen: CausalContext
    rank: int = 0


Operation = Delta | Count


@dataclass(frozen=True, slots=True)
class Reading:
    """What there is. `ruled_by`: the dot of the count it goes by, None if nobody has counted.

    `beaten`: dots of the counts that were taken without knowing of it and say something else or less certain; they are
    for a person to see, and the next count that has seen all of them ends it.
    """

    units: int
    ruled_by: Dot | None = None
    beaten: tuple[Dot, ...] = ()


@dataclass(frozen=True, slots=True)
class Contradicted:
    """No figure: a source wrote two different things under each of these dots. It was restored from a backup, or two
    systems write under one name; give it a new name and count again.
    """

    dots: tuple[Dot, ...]


@dataclass(frozen=True, slots=True)
class Quantity:
    """All that was written of one figure: a set of (dot, operation)."""

    written: frozenset[tuple[Dot, Operation]] = frozenset()

    def with_operation(self, dot: Dot, operation: Operation) -> Quantity:
        """This one, and the operation under its dot. Adding it again changes nothing."""
        return Quantity(self.written | {(dot, operation)})

    def merge(self, other: Quantity) -> Quantity:
        """What either of them knows."""
        return Quantity(self.written | other.written)

    @property
    def context(self) -> CausalContext:
        """All that is known here: what a count that is taken now and here has seen."""
        return context_of(dots=[dot for dot, _ in self.written])

    def read(self) -> Reading | Contradicted:
        """The figure. Of counts that did not know of each other the highest rank rules, then the lowest figure.

        The lowest, as what is too low sells too little, and what is too high sells what is not there.
        """
        operations = dict(self.written)
        if len(operations) < len(self.written):
            return Contradicted(self._contradicted())
        counts = {dot: one for dot, one in operations.items() if isinstance(one, Count)}
        deltas = {dot: one.units for dot, one in operations.items() if isinstance(one, Delta)}
        if not counts:
            return Reading(sum(deltas.values()))
        figures = {dot: counts[dot].units + _not_seen(deltas, counts[dot]) for dot in _standing(counts)}
        first, *others = sorted(figures, key=lambda dot: (-counts[dot].rank, figures[dot], dot))
        return Reading(figures[first], first, tuple(sorted(others)))

    def _contradicted(self) -> tuple[Dot, ...]:
        dots = [dot for dot, _ in self.written]
        return tuple(sorted({dot for dot in dots if dots.count(dot) > 1}))


def _not_seen(deltas: Mapping[Dot, int], count: Count) -> int:
    return sum(units for dot, units in deltas.items() if not count.seen.has(dot))


def _standing(counts: Mapping[Dot, Count]) -> list[Dot]:
    """The counts that no other has seen. Where each was seen by another, somebody's context is wrong: then all."""
    standing = [dot for dot in counts if not any(one.seen.has(dot) for other, one in counts.items() if other != dot)]
    return standing or list(counts)
