"""How the changes of a day are spent, where a channel takes only so many of a listing.

The last of them are kept for cuts, and the very last for zero: what sells what is not there costs more than what could
have been sold. Any 24 hours count as a day, so the budget holds wherever the channel's own day begins.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from oneshelf.domain.listing import Listing
from oneshelf.errors import InvariantError

DAY_S = 86_400.0
# Shares of a day's changes up to which a figure is raised, and cut to something: the rest is for zero alone.
RAISES_SHARE = 0.8
CUTS_SHARE = 0.92
# A cut that leaves more than this, and more than half of what is shown, may wait for others a while.
PLENTY_UNITS = 10
CUT_WAITS_S = 900.0


@dataclass(frozen=True, slots=True)
class Changes:
    """What the listing, or the group that it is a part of, has had in the last 24 hours.

    `budget`: its name. `free_at`: when the oldest change is a day old; None: there is none.
    """

    budget: str
    count: int = 0
    last_at: datetime | None = None
    free_at: datetime | None = None

    def with_one_more(self, at: datetime) -> Changes:
        """After a change at this instant."""
        free_at = self.free_at or at + timedelta(seconds=DAY_S)
        return Changes(self.budget, self.count + 1, last_at=at, free_at=free_at)


class Spend(StrEnum):
    """What may be done about a figure now."""

    WRITE = "write"  # as it is wanted
    EMPTY = "empty"  # zero in its place: it stays until there are changes for more
    WAIT = "wait"


@dataclass(frozen=True, slots=True)
class Decision:
    """`until`: when to ask again, of one that waits."""

    spend: Spend
    until: datetime | None = None


def decide(listing: Listing, changes: Changes, *, per_day: int, now: datetime) -> Decision:
    """What may be done about the desired figure of a listing of which a channel takes `per_day` changes a day."""
    desired, belief = listing.desired_units, listing.belief
    if desired is None or belief is None:
        raise InvariantError(f"{listing.channel_sku}: a change before the first reading")
    free_at = changes.free_at or now
    if changes.count >= per_day:
        return Decision(Spend.WAIT, free_at)
    if desired == 0:
        return Decision(Spend.WRITE)
    if desired < belief:
        if changes.count >= int(per_day * CUTS_SHARE):
            return Decision(Spend.EMPTY)
        if desired <= max(PLENTY_UNITS, belief / 2):
            return Decision(Spend.WRITE)
        return _after(changes, min(CUT_WAITS_S, _gap_s(changes, int(per_day * CUTS_SHARE))), now)
    most = int(per_day * RAISES_SHARE)
    if changes.count >= most:
        return Decision(Spend.WAIT, free_at)
    if belief <= 0:
        # What shows nothing sells nothing; and it may have been written to zero for the sake of this raise.
        return Decision(Spend.WRITE)
    return _after(changes, _gap_s(changes, most), now)


def _gap_s(changes: Changes, most: int) -> float:
    """Between two changes: none at first, then as much as spreads what is left over a day."""
    return DAY_S / (most - changes.count) * changes.count / most


def _after(changes: Changes, gap_s: float, now: datetime) -> Decision:
    until = now if changes.last_at is None else changes.last_at + timedelta(seconds=gap_s)
    return Decision(Spend.WAIT, until) if until > now else Decision(Spend.WRITE)
