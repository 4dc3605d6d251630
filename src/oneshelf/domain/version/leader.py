"""One leading system gives a figure its versions, and the newest version stands, whatever arrives when.

A new leader takes a higher epoch; from then on nothing that the old one still says is heard. What must not happen is
shown and not resolved: two leaders in one epoch, or two figures under one version.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple


class Version(NamedTuple):
    """Ordered as a tuple. `epoch`: raised when the leader changes or comes back from a backup; `number`: its own."""

    epoch: int
    number: int


class Told(NamedTuple):
    """What a leader says the figure is."""

    leader: str
    units: int


@dataclass(frozen=True, slots=True)
class Equivocation:
    """The leading system has contradicted itself: no figure stands until it, or a new epoch, says which.

    `told`: what was said under this version; `leaders`: who claims to lead in its epoch.
    """

    version: Version
    told: tuple[Told, ...]
    leaders: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class LedFigure:
    """All that was said under the newest version. Make it with `led`.

    A contradiction under a version is seen as long as that version is the newest; after that it can do no harm.
    """

    version: Version
    told: frozenset[Told]
    leaders: frozenset[str]

    def merge(self, other: LedFigure) -> LedFigure:
        """The newer version, or what either says under the same. An older epoch is not heard at all."""
        if self.version.epoch != other.version.epoch:
            return max(self, other, key=lambda one: one.version)
        newest = max(self.version, other.version)
        told = frozenset(said for one in (self, other) if one.version == newest for said in one.told)
        return LedFigure(newest, told, self.leaders | other.leaders)

    def read(self) -> int | Equivocation:
        """The leader's figure."""
        if len(self.told) == len(self.leaders) == 1:
            return next(iter(self.told)).units
        return Equivocation(self.version, tuple(sorted(self.told)), tuple(sorted(self.leaders)))


def led(leader: str, units: int, *, epoch: int, number: int) -> LedFigure:
    """What a leader says once."""
    return LedFigure(Version(epoch, number), frozenset({Told(leader, units)}), frozenset({leader}))
