"""Which listings are read back when: the whole catalogue within a stated time, what sells and is scarce more often.

Both are paid from the channel's own budget of calls, each with its share, so that writes and order polls keep theirs.
Seconds, calls, and shares of the budget from 0 to 1.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from oneshelf.domain.identity import ChannelSku
from oneshelf.errors import InvariantError

# Of the calls that a channel grants for reading: for whole passes, and for what is hot.
PASS_SHARE = 0.5
HOT_SHARE = 0.2
# A hot listing is read at most so often: closer together a reading says nothing new.
HOT_S_MIN = 60.0


@dataclass(frozen=True, slots=True)
class Budget:
    """What a channel grants for reading: calls a second, and listings in a call of a whole pass and of a read-back."""

    calls_per_s: float
    page_listings: int
    batch_listings: int

    def __post_init__(self) -> None:
        if not (self.calls_per_s > 0 and self.page_listings > 0 and self.batch_listings > 0):
            raise InvariantError(f"a budget of nothing: {self}")


@dataclass(frozen=True, slots=True)
class Watched:
    """A listing that may be hot. `rate_per_s`: units sold of its SKU; `proved_at`: when it was last read back."""

    channel_sku: ChannelSku
    rate_per_s: float
    is_scarce: bool
    proved_at: datetime | None


@dataclass(frozen=True, slots=True)
class SweepPlan:
    """How the listings of a channel are read.

    A whole pass takes `pass_calls` and, at its share of the budget, at least `pass_s`; one begins every `pass_every_s`
    and so takes `pass_share` of the budget. `hot_count` listings are read every `hot_every_s`, for `hot_share`.
    `is_in_budget`: a pass is over before the next one begins.
    """

    listing_count: int
    pass_calls: int
    pass_s: float
    pass_every_s: float
    pass_share: float
    hot_count: int
    hot_every_s: float
    hot_share: float

    @property
    def is_in_budget(self) -> bool:
        return self.pass_s <= self.pass_every_s

    @property
    def found_within_s(self) -> float:
        """A change of any listing that nobody tells of is read by then: just after it was passed, until the next."""
        return max(self.pass_s, self.pass_every_s) + self.pass_s


def sweep_plan(*, listing_count: int, hot_count: int, budget: Budget, wanted_every_s: float) -> SweepPlan:
    """The plan for so many listings, of which so many are hot. `wanted_every_s`: how often the channel is swept."""
    pass_calls = math.ceil(listing_count / budget.page_listings)
    hot_calls = math.ceil(hot_count / budget.batch_listings)
    hot_every_s = max(HOT_S_MIN, hot_calls / (budget.calls_per_s * HOT_SHARE))
    return SweepPlan(
        listing_count=listing_count,
        pass_calls=pass_calls,
        pass_s=pass_calls / (budget.calls_per_s * PASS_SHARE),
        pass_every_s=wanted_every_s,
        pass_share=pass_calls / wanted_every_s / budget.calls_per_s,
        hot_count=hot_count,
        hot_every_s=hot_every_s,
        hot_share=hot_calls / hot_every_s / budget.calls_per_s,
    )


def due(
    watched: Sequence[Watched], plan: SweepPlan, budget: Budget, *, now: datetime, span_s: float
) -> list[ChannelSku]:
    """The hot listings to be read in the next `span_s`, as many as the hot share pays for.

    Those not proved for `hot_every_s`: the scarce ones first, among them what sells fastest, then what has waited
    longest.
    """
    calls = math.floor(budget.calls_per_s * HOT_SHARE * span_s)
    limit = max(1, calls) * budget.batch_listings
    before = now - timedelta(seconds=plan.hot_every_s)
    old = [one for one in watched if one.proved_at is None or one.proved_at <= before]
    never = datetime.min.replace(tzinfo=now.tzinfo)
    old.sort(key=lambda one: (not one.is_scarce, -one.rate_per_s, one.proved_at or never, one.channel_sku))
    return [one.channel_sku for one in old[:limit]]
