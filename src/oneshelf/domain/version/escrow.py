"""A bounded counter: units are split among replicas, and each sells its own without asking the others.

The rights of all replicas add up to the units that are there, so however long the replicas do not hear from each other,
no unit is sold twice. (Balegas and others: Extending Eventually Consistent Cloud Databases for Enforcing Numeric
Invariants, arXiv 1503.09052, 2015.)

The listings of channels are such replicas as well, but they tell us nothing and give nothing up by themselves: what
they may sell is `domain.rights`. This is for regions, which run our own code.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TypeVar

from oneshelf.errors import invariant

Key = TypeVar("Key", str, tuple[str, str])


@dataclass(frozen=True, slots=True)
class NoRights:
    """Not done: the replica has fewer rights than that. Way out: another one gives it some, or it does not sell."""

    replica: str
    asked: int
    rights: int


@dataclass(frozen=True, slots=True)
class Escrow:
    """What was granted and used so far; the figures only grow, and each is written by one replica alone.

    `granted`: ((giver, taker), units), sorted; giver and taker are the same for units that came in there. `used`:
    (replica, units), sorted: sold there, or found to be missing there. A replica that was restored from a backup would
    use again what it has used: it takes a new name, or first merges what every other replica has of it.
    """

    granted: tuple[tuple[tuple[str, str], int], ...] = ()
    used: tuple[tuple[str, int], ...] = ()

    @property
    def units(self) -> int:
        """Units that are left, as far as this state knows. Never below zero."""
        came_in = sum(units for (giver, taker), units in self.granted if giver == taker)
        return came_in - sum(units for _, units in self.used)

    def rights(self, replica: str) -> int:
        """Units that the replica may sell. Of others than ourselves it may be old, and then others know better."""
        came = sum(units for (_, taker), units in self.granted if taker == replica)
        gave = sum(units for (giver, taker), units in self.granted if giver == replica != taker)
        return came - gave - dict(self.used).get(replica, 0)

    def receive(self, replica: str, units: int) -> Escrow:
        """After units came in at the replica. Called by the replica itself, as all of these are."""
        _require(units)
        return self._granted(replica, replica, units)

    def use(self, replica: str, units: int) -> Escrow | NoRights:
        """After the replica has sold units, or lost them."""
        _require(units)
        rights = self.rights(replica)
        if rights < units:
            return NoRights(replica, units, rights)
        return Escrow(self.granted, _with(self.used, replica, units))

    def give(self, giver: str, taker: str, units: int) -> Escrow | NoRights:
        """After the giver has given rights up to another. The taker has them once it hears of it."""
        _require(units)
        invariant(giver != taker, f"{giver} gives {units} units to itself: they would be made of nothing")
        rights = self.rights(giver)
        return NoRights(giver, units, rights) if rights < units else self._granted(giver, taker, units)

    def merge(self, other: Escrow) -> Escrow:
        """What either knows. Each figure has one writer and only grows, so the larger one is the newer one."""
        return Escrow(_larger(self.granted, other.granted), _larger(self.used, other.used))

    def _granted(self, giver: str, taker: str, units: int) -> Escrow:
        return Escrow(_with(self.granted, (giver, taker), units), self.used)


def _require(units: int) -> None:
    invariant(units > 0, f"{units} units: a change of rights is of one unit at least")


def _with(figures: tuple[tuple[Key, int], ...], key: Key, more: int) -> tuple[tuple[Key, int], ...]:
    grown = dict(figures)
    grown[key] = grown.get(key, 0) + more
    return tuple(sorted(grown.items()))


def _larger(these: Iterable[tuple[Key, int]], those: Iterable[tuple[Key, int]]) -> tuple[tuple[Key, int], ...]:
    larger = dict(these)
    for key, units in those:
        larger[key] = max(larger.get(key, 0), units)
    return tuple(sorted(larger.items()))
