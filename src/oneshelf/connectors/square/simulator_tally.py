"""The count of one variation, as Square works it out: the last physical count by its own instant, and what happened
since.

"Square tracks inventory by adding up all adjustments since the last physical count ... adjustments and physical
counts can arrive in any order (like when processing offline sales)":
https://developer.squareup.com/docs/inventory-api/how-it-works (checked 2026-11-26), whose example this is: a sale of
13:20 that is transmitted at 13:35 changes nothing about a count of 13:30.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime


@dataclass(slots=True)
class Tally:
    """`counted`: the figure of the last physical count; None: there was none. `since`: what was added after it."""

    counted: int | None = None
    counted_at: datetime | None = None
    since: list[tuple[datetime, int]] = field(default_factory=list)

    @property
    def units(self) -> int:
        return (self.counted or 0) + sum(delta for _, delta in self.since)

    def count(self, units: int, at: datetime) -> bool:
        """Whether it is the newest count; an older one changes nothing. Of one instant the later to come is the
        newer.
        """
        if self.counted_at is not None and at < self.counted_at:
            return False
        self.counted, self.counted_at = units, at
        self.since = [(happened_at, delta) for happened_at, delta in self.since if happened_at > at]
        return True

    def adjust(self, delta: int, at: datetime) -> bool:
        """Whether it changes anything: what is from before the last count is in that already."""
        if self.counted_at is not None and at < self.counted_at:
            return False
        self.since.append((at, delta))
        return True
