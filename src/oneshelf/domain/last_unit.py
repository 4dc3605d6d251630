"""Who gets the last unit, and the cheapest way out for who does not: pure rules over who waits and who holds.

The order is the same whoever asks, and in whatever order they are told: locked or picked first, then the channel where
a cancellation costs most, then the channel's order time, then the name of the order.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

# What one cancelled order costs, compared: Amazon ends accounts and offers for it, eBay lowers the seller's level, in
# one's own shop the buyer is told.
COSTS: Mapping[str, float] = {"amazon": 10.0, "ebay": 5.0, "shopify": 1.0}
COST_ELSEWHERE = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Claimant:
    """An order line or a reservation that holds units of a SKU at a location, or waits for some.

    `source` names it; `promised_to` is the order, or the holder. `is_locked`: paid, locked or partly picked.
    `has_left`: it was sold over a counter, so it waits for nothing and only the books are short.
    """

    source: str
    promised_to: str
    is_locked: bool
    cancellation_cost: float
    placed_at: datetime
    units_held: int
    units_short: int
    has_left: bool = False

    @property
    def units(self) -> int:
        return self.units_held + self.units_short

    @property
    def rank(self) -> tuple[bool, float, datetime, str]:
        """The smaller one gets the last unit."""
        return (not self.is_locked, -self.cancellation_cost, self.placed_at, self.source)


class Way(StrEnum):
    """How a short order gets out of it, the cheapest first."""

    COUNT = "count"  # it has left over a counter: a count of the place puts the books right
    TRANSFER = "transfer"  # units lie at another location
    WAIT = "wait"  # units are incoming
    HOLD_BACK = "hold back"  # an order of a lower rank has not shipped: its units serve this one
    CANCEL = "cancel"  # nothing else helps


@dataclass(frozen=True, slots=True, kw_only=True)
class Advice:
    """`loses`: by rank, this one is without its units. `through`: the locations, or the orders to be held back.

    `cost`: the channel's weight of a cancellation, and 0 for every other way.
    """

    loses: bool
    way: Way
    through: tuple[str, ...] = ()
    cost: float = 0.0


def cost_of(kind: str, own: float | None) -> float:
    """What a cancellation costs at a channel of this kind; `own`: as a person said."""
    return COSTS.get(kind, COST_ELSEWHERE) if own is None else own


def grant(claimants: Sequence[Claimant], units: int) -> dict[str, int]:
    """source -> units it gets of these, by rank. The last one served may get a part."""
    given, left = {}, units
    for claimant in sorted(claimants, key=lambda one: one.rank):
        given[claimant.source] = min(claimant.units, left)
        left -= given[claimant.source]
    return given


def advise(
    claimants: Sequence[Claimant], *, elsewhere: Mapping[str, int], incoming: int
) -> tuple[dict[str, Advice], dict[str, int]]:
    """Each short claimant's way out, and what then is left `elsewhere` (location -> available units).

    No unit is promised to two of them; the first in rank has the first choice.
    """
    waiting = [one for one in claimants if not one.has_left]
    given = grant(waiting, sum(one.units_held for one in waiting))
    spare = {
        one: one.units_held - given[one.source]
        for one in sorted(waiting, key=lambda one: one.rank, reverse=True)
        if one.units_held > given[one.source]
    }
    left, coming = dict(elsewhere), incoming
    advice = {one.source: Advice(loses=False, way=Way.COUNT) for one in claimants if one.has_left and one.units_short}
    for one in sorted((each for each in waiting if each.units_short), key=lambda each: each.rank):
        loses = given[one.source] < one.units
        sources = _taken(one.units_short, {name: left[name] for name in sorted(left, key=lambda at: (-left[at], at))})
        from_others = _taken(one.units_short, {each.promised_to: units for each, units in spare.items()})
        if sources:
            left = {name: units - sources.get(name, 0) for name, units in left.items()}
            advice[one.source] = Advice(loses=loses, way=Way.TRANSFER, through=tuple(sources))
        elif coming >= one.units_short:
            coming -= one.units_short
            advice[one.source] = Advice(loses=loses, way=Way.WAIT)
        elif from_others and not loses:
            still = dict(from_others)
            for each in list(spare):
                used = min(spare[each], still.get(each.promised_to, 0))
                still[each.promised_to] = still.get(each.promised_to, 0) - used
                spare[each] -= used
            advice[one.source] = Advice(loses=loses, way=Way.HOLD_BACK, through=tuple(from_others))
        else:
            advice[one.source] = Advice(loses=loses, way=Way.CANCEL, cost=one.cancellation_cost)
    return advice, left


def _taken(units: int, supply: Mapping[str, int]) -> dict[str, int]:
    """From whom so many units are taken, in this order; empty where there are too few in all."""
    taken, missing = {}, units
    for name, there in supply.items():
        if there > 0 and missing:
            taken[name] = min(there, missing)
            missing -= taken[name]
    return {} if missing else taken
