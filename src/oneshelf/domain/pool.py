"""What the pools of a SKU at a location hold: shared by a plan, taken by sales, refilled by what comes in.

At every moment what is left in the pools and the rest add up to what is available, so no unit is in two pools. Each
movement of the ledger is one change, taken in the order of its version: the same movements give the same pools, in
however many steps they are heard of.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from fractions import Fraction
from typing import NamedTuple

from oneshelf.domain.allocation import AllocationPlan, Part, Refill, dealt
from oneshelf.domain.identity import Channel
from oneshelf.domain.movement import Reason
from oneshelf.domain.rights import split
from oneshelf.domain.terms import PoolLimit
from oneshelf.errors import invariant

ORDER = "order "
_SOLD = frozenset({Reason.PENDING, Reason.COMMITTED, Reason.SHORTAGE_FILLED})
_FREED = frozenset({Reason.RELEASED, Reason.EXPIRED})


class What(StrEnum):
    """What a movement means to the pools."""

    SOLD = "sold"  # an order of a channel took units
    CANCELLED = "cancelled"  # it gave some back
    FREED = "freed"  # a reservation gave them back
    CAME = "came"  # a receipt, a count, a return, another location brought them
    TAKEN = "taken"  # a reservation, a count, a loss, another location took them


class Change(NamedTuple):
    """So many units became available, or are no longer. `channel`: whose order it is."""

    what: What
    units: int
    channel: Channel | None = None


def change_of(reason: Reason, source: str, *, units: int, is_more: bool) -> Change:
    """What a movement to or from the available units of a location means. `source`: as the ledger names it."""
    name = source.removeprefix(ORDER).partition("/")[0] if source.startswith(ORDER) else ""
    channel = Channel(name) if name else None
    if not is_more:
        is_sold = channel is not None and reason in _SOLD
        return Change(What.SOLD, units, channel) if is_sold else Change(What.TAKEN, units)
    if channel is not None and reason is Reason.CANCELLED:
        return Change(What.CANCELLED, units, channel)
    return Change(What.FREED if reason in _FREED else What.CAME, units)


@dataclass(slots=True, kw_only=True)
class Pool:
    """The pool of one channel since the last refill. `carved`: units it was given by its share; `left` of them and of
    what it borrowed are still there. `percent`: its share then, moved by what sells; None of a fixed number of units.
    """

    part: Part
    percent: int | None
    carved: int = 0
    sold: int = 0
    left: int = 0

    @property
    def channel(self) -> Channel:
        return self.part.channel

    @property
    def is_sold_out(self) -> bool:
        return self.left == 0 and self.sold > 0

    @property
    def moved(self) -> int:
        """Units that came by other ways than its share, less those that left by other ways than its sales."""
        return self.left - self.carved + self.sold


@dataclass(slots=True, kw_only=True)
class Pools:
    """The pools of a SKU at a location, in the order of the plan, and the rest. `version`: of the balance they are of.

    `carved_at`, `why`: when all that was available was last shared anew, and what for. `refill_at`: when it is next.
    """

    plan: AllocationPlan
    pools: list[Pool]
    version: int
    carved_at: datetime
    why: str
    refill_at: datetime | None
    rest: int = 0
    rest_carved: int = 0
    _by_channel: dict[Channel, Pool] = field(init=False)

    def __post_init__(self) -> None:
        self._by_channel = {pool.channel: pool for pool in self.pools}

    @property
    def units(self) -> int:
        """All that is in them: what is available."""
        return self.rest + sum(pool.left for pool in self.pools)

    def is_of(self, plan: AllocationPlan, channels: Collection[Channel]) -> bool:
        """Whether they were carved by this plan for these channels. If not, they have to be carved anew."""
        same = [part.channel for part in plan.parts_of(channels)] == [pool.channel for pool in self.pools]
        return same and self.plan.stated() == plan.stated()

    def follow(self, changes: Iterable[Change], *, available: int, version: int) -> None:
        """Take these changes, in their order. What they do not explain of `available` came or was taken unseen."""
        for change in changes:
            self._take_in(change)
        unexplained = available - self.units
        if unexplained:
            self._take_in(Change(What.CAME if unexplained > 0 else What.TAKEN, abs(unexplained)))
        self.version = version
        invariant(self.units == available, f"pools hold {self.units}, available are {available}")
        invariant(self.rest >= 0 and all(pool.left >= 0 for pool in self.pools), f"a pool is below zero: {self}")

    def copied(self, plan: AllocationPlan) -> Pools:
        """The same, to be changed, by a plan that says the same."""
        return replace(self, plan=plan, pools=[replace(pool) for pool in self.pools])

    def less(self, in_suspense: Mapping[Channel, int]) -> Pools:
        """The same without the units that these channels no longer show, for which an order may still come."""
        if not any(in_suspense.values()):
            return self
        found = self.copied(self.plan)
        for channel in sorted(in_suspense):
            found._draw(channel, in_suspense[channel])
        return found

    def limit(self, channel: Channel) -> PoolLimit:
        """What listings of this channel may show, and in which words that is told."""
        said = f"allocation for {self.plan.scope}"
        pool = self._by_channel.get(channel)
        if pool is None:
            return PoolLimit(0, f"no pool: the plan does not name {channel}", said)
        words = f"pool of {channel}: {pool.carved} shared, {pool.sold} sold, {pool.left} left"
        if self.plan.overflow == channel and self.rest:
            return PoolLimit(pool.left + self.rest, f"{words}; and {self.rest} of the rest", said)
        return PoolLimit(pool.left, words, said)

    def _take_in(self, change: Change) -> None:
        match change.what:
            case What.SOLD if change.channel in self._by_channel:
                self._by_channel[change.channel].sold += change.units
                self._draw(change.channel, change.units)
            case What.CANCELLED if change.channel in self._by_channel:
                self._give_back(self._by_channel[change.channel], change.units)
            case What.CANCELLED | What.FREED:
                self._free(change.units)
            case What.CAME:
                self._arrive(change.units)
            case What.SOLD | What.TAKEN:
                self._draw(None, change.units)
        self._lend()

    def _draw(self, channel: Channel | None, units: int) -> None:
        """Take units: of the channel's own pool, of the rest, of soft pools, and then of hard ones, the last named
        first. For no channel of the rest, then of all in proportion to what they have left.
        """
        own = self._by_channel.get(channel) if channel is not None else None
        if own is not None:
            units = _out_of(own, units)
        taken = min(units, self.rest)
        self.rest -= taken
        units -= taken
        if own is not None:
            for pool in (*self._lenders(own), *(one for one in reversed(self.pools) if not one.part.is_soft)):
                units = _out_of(pool, units)
        elif units:
            left = {pool.channel: pool.left for pool in self.pools if pool.left}
            parts = split(units, {name: Fraction(there) for name, there in left.items()}, left) if left else {}
            for name, part in parts.items():
                self._by_channel[name].left -= part

    def _give_back(self, pool: Pool, units: int) -> None:
        """Units that were sold come back to their pool; of a hard one, those that others gave for it to all."""
        owed = 0 if pool.part.is_soft else max(0, pool.moved)
        back = min(units, pool.sold)
        pool.sold -= back
        pool.left += back - min(back, owed)
        self._free(units - back + min(back, owed))

    def _free(self, units: int) -> None:
        """Units that were taken come back: what the rest gave first."""
        back = min(units, max(0, self.rest_carved - self.rest))
        self.rest += back
        self._arrive(units - back)

    def _arrive(self, units: int) -> None:
        if self.plan.refill is Refill.RECEIPTS:
            self._share(units)
        else:
            self.rest += units

    def _share(self, units: int) -> None:
        """Carve units: fixed pools are filled up in their order, and what is left is shared by percentages.

        Of all that was shared since the last refill each has its part, so a hundred receipts of one unit give what one
        receipt of a hundred gives: units are dealt one by one, see `domain.allocation.dealt`.
        """
        for pool in self.pools:
            if pool.part.units is not None:
                more = min(units, max(0, pool.part.units - pool.left))
                pool.carved += more
                pool.left += more
                units -= more
        by_percent = [pool for pool in self.pools if pool.percent is not None]
        total = units + self.rest_carved + sum(pool.carved for pool in by_percent)
        weights: dict[Channel | None, int] = {pool.channel: pool.percent for pool in by_percent if pool.percent}
        if self.plan.rest_percent or not weights:
            weights[None] = self.plan.rest_percent or 1
        parts = dealt(total, weights)
        for pool in by_percent:
            more = parts.get(pool.channel, 0) - pool.carved
            pool.carved += more
            pool.left += more
        more = parts.get(None, 0) - self.rest_carved
        self.rest_carved += more
        self.rest += more

    def _lend(self) -> None:
        """A soft pool that is sold out takes half, rounded down, of the last named soft pool that has two or more."""
        for pool in self.pools:
            if pool.part.is_soft and pool.is_sold_out:
                lender = next((one for one in self._lenders(pool) if one.left > 1), None)
                if lender is not None:
                    pool.left = lender.left // 2
                    lender.left -= pool.left

    def _lenders(self, borrower: Pool) -> Iterator[Pool]:
        return (one for one in reversed(self.pools) if one.part.is_soft and one is not borrower)


def carve(  # noqa: PLR0913  # all that pools begin with
    plan: AllocationPlan,
    percents: Mapping[Channel, int],
    channels: Collection[Channel],
    *,
    available: int,
    version: int,
    at: datetime,
    why: str,
) -> Pools:
    """Share all that is available anew among those of these channels that the plan names.

    `percents`: of this time, see `domain.allocation.rebalanced`.
    """
    pools = [Pool(part=part, percent=percents.get(part.channel)) for part in plan.parts_of(channels)]
    carved = Pools(plan=plan, pools=pools, version=version, carved_at=at, why=why, refill_at=plan.next_refill(at))
    carved._share(available)
    return carved


def _out_of(pool: Pool, units: int) -> int:
    """Take units of this pool. Returns how many it lacks."""
    taken = min(units, pool.left)
    pool.left -= taken
    return units - taken
