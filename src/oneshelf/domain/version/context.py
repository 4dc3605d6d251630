"""What a writer had seen: a version vector, and the dots beyond it that came out of order."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from oneshelf.errors import invariant


class Dot(NamedTuple):
    """The identity of one thing that a source wrote: its `number` there, from 1 on and without gaps."""

    source: str
    number: int


@dataclass(frozen=True, slots=True)
class CausalContext:
    """A set of dots. Make it with `context_of`: what holds the same dots is then equal.

    `vector`: (source, n), sorted: all of 1 to n were seen. `cloud`: dots that were seen beyond a gap.
    """

    vector: tuple[tuple[str, int], ...] = ()
    cloud: frozenset[Dot] = frozenset()

    def has(self, dot: Dot) -> bool:
        """Whether this was seen."""
        return dot.number <= self._unbroken(dot.source) or dot in self.cloud

    def join(self, other: CausalContext) -> CausalContext:
        """What either of them has seen."""
        if not (other.vector or other.cloud):
            return self
        vector = dict(self.vector)
        for source, number in other.vector:
            vector[source] = max(vector.get(source, 0), number)
        return context_of(vector, self.cloud | other.cloud)

    def with_dot(self, dot: Dot) -> CausalContext:
        """This one, and the dot."""
        return self if self.has(dot) else context_of(dict(self.vector), self.cloud | {dot})

    def is_within(self, other: CausalContext) -> bool:
        """Whether the other has seen all that this one has. If neither is within the other, they are concurrent."""
        return self.join(other) == other

    def next_dot(self, source: str) -> Dot:
        """The dot of what this source writes next. Only the source itself knows: its own context has all it wrote."""
        return Dot(
            source, max([self._unbroken(source), *(dot.number for dot in self.cloud if dot.source == source)]) + 1
        )

    def _unbroken(self, source: str) -> int:
        return next((number for name, number in self.vector if name == source), 0)


NOTHING_SEEN = CausalContext()


def context_of(vector: Mapping[str, int] | None = None, dots: Iterable[Dot] = ()) -> CausalContext:
    """The context of these, in its one form.

    `vector`: source -> n, of which all of 1 to n were seen; a source with 0 has shown nothing. This is what a system
    says that quotes the last document it has read of each source. `dots`: seen beside these.
    """
    seen = {source: number for source, number in (vector or {}).items() if number > 0}
    cloud = set()
    for dot in sorted(set(dots)):
        invariant(dot.number > 0, f"{dot}: a source numbers what it writes from 1 on")
        unbroken = seen.get(dot.source, 0)
        if dot.number == unbroken + 1:
            seen[dot.source] = dot.number
        elif dot.number > unbroken:
            cloud.add(dot)
    return CausalContext(tuple(sorted(seen.items())), frozenset(cloud))
