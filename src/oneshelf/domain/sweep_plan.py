"""Which listings are read back when: the whole catalogue within a stated time, what sells and is scarce more often.

Both are paid from the channel's own budget of calls, each with its share, so that writes and order polls keep theirs.
A large catalogue is read from one file, where the channel writes one: that takes a few calls however many listings
there are, and as long as the channel takes. Seconds, calls, and shares of the budget from 0 to 1.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from oneshelf.domain.identity import ChannelSku
from oneshelf.errors import InvariantError

# Of the calls that a channel grants for reading: for whole passes, and for what is hot.
PASS_SHARE = 0.5
HOT_SHARE = 0.2
# A hot listing is read at most so often: closer together a reading says nothing new.
HOT_S_MIN = 60.0
# What pages take longer for than this, at their share, is read from a file. Below it pages are as good, and fresher.
PAGES_S_MAX = 120.0
# A file that is not written within an hour, or within the time of a pass by pages where that is longer, is given up.
FILE_S_MAX = 3600.0
# Whoever waits for a file looks again after a fifth of the time that it has taken until now, between these.
LOOK_AGAIN_S = (1.0, 30.0)
# One that is being written already is looked for, one is begun, and at the end it is fetched.
FILE_CALLS = 3


class Way(StrEnum):
    """How a whole pass reads the listings of a channel."""

    PAGES = "pages"
    FILE = "file"


@dataclass(frozen=True, slots=True)
class Budget:
    """What a channel grants for reading: calls a second, and listings in a call of a whole pass and of a read-back.

    `has_file`: it writes its whole stock into one file.
    """

    calls_per_s: float
    page_listings: int
    batch_listings: int
    has_file: bool = False

    def __post_init__(self) -> None:
        if not (self.calls_per_s > 0 and self.page_listings > 0 and self.batch_listings > 0):
            raise InvariantError(f"a budget of nothing: {self}")

    def pages_calls(self, listing_count: int) -> int:
        """The calls of a pass by pages."""
        return math.ceil(listing_count / self.page_listings)

    def pages_s(self, listing_count: int) -> float:
        """What they take at their share, at least."""
        return self.pages_calls(listing_count) / (self.calls_per_s * PASS_SHARE)

    @property
    def pages_most(self) -> int:
        """So many listings are best read by pages, and not one more."""
        return math.floor(PAGES_S_MAX * self.calls_per_s * PASS_SHARE) * self.page_listings

    def way(self, listing_count: int) -> Way:
        """How so many listings are best read."""
        return Way.FILE if self.has_file and listing_count > self.pages_most else Way.PAGES


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

    A whole pass goes by `way` and takes `pass_calls` and, at its share of the budget, at least `pass_s`; one begins
    every `pass_every_s` and so takes `pass_share` of the budget. From a file it takes as long as the last one did.
    Before the first nobody knows: `pass_s` is None, and `pass_calls` are without the looks at how far the file is.
    `hot_count` listings are read every `hot_every_s`, for `hot_share`. `is_in_budget`: a pass is over before the next
    one begins.
    """

    listing_count: int
    way: Way
    pass_calls: int
    pass_s: float | None
    pass_every_s: float
    pass_share: float
    hot_count: int
    hot_every_s: float
    hot_share: float

    @property
    def is_in_budget(self) -> bool:
        return self.pass_s is None or self.pass_s <= self.pass_every_s

    @property
    def found_within_s(self) -> float | None:
        """A change of any listing that nobody tells of is read by then: just after it was passed, until the next."""
        return None if self.pass_s is None else max(self.pass_s, self.pass_every_s) + self.pass_s


def look_again_s(waited_s: float) -> float:
    """When to look again at a file that has taken so long until now."""
    least, most = LOOK_AGAIN_S
    return min(most, max(least, waited_s / 5))


def give_up_s(listing_count: int, budget: Budget) -> float:
    """How long a file is waited for."""
    return max(FILE_S_MAX, budget.pages_s(listing_count))


def looks(took_s: float) -> int:
    """How often somebody has looked at a file that took so long to be written."""
    count, waited_s = 0, 0.0
    while waited_s < took_s:
        waited_s += look_again_s(waited_s)
        count += 1
    return count


def sweep_plan(
    *, listing_count: int, hot_count: int, budget: Budget, wanted_every_s: float, file_took_s: float | None = None
) -> SweepPlan:
    """The plan for so many listings, of which so many are hot. `wanted_every_s`: how often the channel is swept.

    `file_took_s`: how long the last pass from a file took, where there was one.
    """
    way = budget.way(listing_count)
    pass_s: float | None = budget.pages_s(listing_count)
    pass_calls = budget.pages_calls(listing_count)
    if way is Way.FILE:
        pass_s, pass_calls = file_took_s, FILE_CALLS + looks(file_took_s or 0.0)
    hot_calls = math.ceil(hot_count / budget.batch_listings)
    hot_every_s = max(HOT_S_MIN, hot_calls / (budget.calls_per_s * HOT_SHARE))
    return SweepPlan(
        listing_count=listing_count,
        way=way,
        pass_calls=pass_calls,
        pass_s=pass_s,
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
