"""A value that several systems write: each write replaces what its writer had seen, and nothing else.

What was written at the same time stands side by side until somebody who has seen all of it writes anew. (Dotted
version vectors: Preguiça, Baquero, Almeida, Fonte, Gonçalves, arXiv 1011.5808, 2010.)
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from typing import Generic, TypeVar

from oneshelf.domain.version.context import NOTHING_SEEN, CausalContext, Dot

Value = TypeVar("Value", bound=Hashable)


# Without slots: Python 3.11 cannot make a `Siblings[str]()` with them.
@dataclass(frozen=True)
class Siblings(Generic[Value]):
    """What stands, each value under the dot of its write, and all that was ever seen."""

    written: frozenset[tuple[Dot, Value]] = frozenset()
    context: CausalContext = NOTHING_SEEN

    @property
    def values(self) -> tuple[Value, ...]:
        """What stands, in the order of the dots. More than one: a person, or a rule, has to decide."""
        return tuple(value for _, value in sorted(self.written, key=lambda one: one[0]))

    def put(self, source: str, value: Value, *, seen: CausalContext) -> Siblings[Value]:
        """After `source` has written here. `seen`: the context of what the writer read; its values are replaced.

        This state has all that the source has ever written: a source writes at one place, and a replica that was
        restored from a backup takes a new name.
        """
        known = self.context.join(seen)
        dot = known.next_dot(source)
        kept = frozenset(one for one in self.written if not seen.has(one[0]))
        return Siblings(kept | {(dot, value)}, known.with_dot(dot))

    def merge(self, other: Siblings[Value]) -> Siblings[Value]:
        """What stands at both, and what one of them has that the other has never seen."""
        kept = (
            (self.written & other.written)
            | frozenset(one for one in self.written if not other.context.has(one[0]))
            | frozenset(one for one in other.written if not self.context.has(one[0]))
        )
        return Siblings(kept, self.context.join(other.context))
