"""What a reservation is granted: bundles as their components, all of it or what is there, and beyond the shelf where
a policy allows that.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from oneshelf.domain.bundle import exploded
from oneshelf.domain.command import Demand, Reserve
from oneshelf.domain.ledger import BalanceKey, Shelf
from oneshelf.domain.outcome import Grant, Short

# The figures of a grant, in the order of its fields.
_FIGURES = ("asked", "granted", "short", "refused")


@dataclass(slots=True)
class Granted:
    """`balance -> units` that are promised, and those of them that are there. `grants`: by what was asked for."""

    promised: Mapping[BalanceKey, int]
    there: Mapping[BalanceKey, int]
    grants: tuple[Grant, ...] = ()


def grant(shelf: Shelf, command: Reserve) -> Granted | Short:
    """What is promised, without moving it. The first balance that is short, in sorted order, is the refusal.

    All that is asked of one balance is added up before the check: a bundle and its component in one basket cannot
    both have the last unit.
    """
    first = command.lines[0]
    is_plain = len(command.lines) == 1 and not command.allows_partial and first.sku not in shelf.bundles
    if is_plain and shelf.free(first.sku, first.location) >= first.units:
        # Nearly all of them are so.
        only = {(first.sku, first.location): first.units}
        return Granted(only, only)
    demand: Counter[BalanceKey] = Counter()
    for line in command.lines:
        for sku, units in exploded(shelf.bundles, line.sku, line.units):
            demand[sku, line.location] += units
    refusal = None
    is_beyond = False
    for key, units in sorted(demand.items()):
        available = shelf.free(*key)
        if available < units:
            is_beyond = True
            room = room_beyond(shelf, key)
            if available + room < units:
                granted_units = min(shelf.granted.get(key, 0), shelf.available(*key))
                refusal = Short(
                    *key, asked=units, available=available, backorderable=room, sellable_by_listings=granted_units
                )
                break
    if not is_beyond and not command.allows_partial:
        return Granted(demand, demand)
    if refusal and not command.allows_partial:
        return refusal
    granted = _line_by_line(shelf, command)
    return granted if granted.promised or refusal is None else refusal


def room_beyond(shelf: Shelf, key: BalanceKey) -> int:
    """How many units may be promised beyond those that are there: the cap less what is short already."""
    policy = shelf.backorders.get(key)
    return max(0, policy.cap_units - shelf.units_short(key)) if policy else 0


def _line_by_line(shelf: Shelf, command: Reserve) -> Granted:
    """First come, first served within the reservation. Of a bundle only whole ones are promised."""
    all_promised: Counter[BalanceKey] = Counter()
    all_there: Counter[BalanceKey] = Counter()
    free: dict[BalanceKey, int] = {}
    room: dict[BalanceKey, int] = {}
    lines: dict[BalanceKey, Counter[str]] = {}
    for line in command.lines:
        parts = {(sku, line.location): units for sku, units in exploded(shelf.bundles, line.sku, 1)}
        for key in parts:
            free.setdefault(key, shelf.free(*key))
            room.setdefault(key, room_beyond(shelf, key))
        there = min(line.units, *(free[key] // units for key, units in parts.items()))
        promised = min(line.units, *((free[key] + room[key]) // units for key, units in parts.items()))
        for key, units in parts.items():
            taken = min(promised * units, free[key])
            free[key] -= taken
            room[key] -= promised * units - taken
            all_promised[key] += promised * units
            all_there[key] += taken
        _note(lines, line, there, promised)
    grants = tuple(
        Grant(sku, location, *(counted[name] for name in _FIGURES)) for (sku, location), counted in lines.items()
    )
    return Granted(+all_promised, all_there, grants)


def _note(lines: dict[BalanceKey, Counter[str]], line: Demand, there: int, promised: int) -> None:
    counted = lines.setdefault((line.sku, line.location), Counter())
    counted["asked"] += line.units
    counted["granted"] += there
    counted["short"] += promised - there
    counted["refused"] += line.units - promised
