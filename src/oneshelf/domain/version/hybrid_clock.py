"""A hybrid logical clock: close to the time on the wall, and never behind what it has heard of.

If one event could know of another, its stamp is the larger one, however wrong the clocks are. Of two events that
could not know of each other the order means nothing. (Kulkarni, Demirbas, Madappa, Avva, Leone: Logical Physical
Clocks, OPODIS 2014, doi 10.1007/978-3-319-14472-6_2.)

A channel's time is no such stamp: it is data of somebody else's clock, and is never compared with these.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import NamedTuple

# How far ahead of our own clock a stamp that we are told may be.
DRIFT_MS_MAX = 500


class Stamp(NamedTuple):
    """Ordered as a tuple. `wall_ms`: Unix time; `step`: the how manieth at that time; `node`: whose clock it was."""

    wall_ms: int = 0
    step: int = 0
    node: str = ""


BEGINNING = Stamp()


@dataclass(frozen=True, slots=True)
class TooFarAhead:
    """Not heard: the stamp is `ahead_ms` ahead of our clock. One of the two clocks is wrong: see to NTP there and here.

    Hearing it would carry the wrong clock's time to everybody for good.
    """

    stamp: Stamp
    ahead_ms: int


@dataclass(frozen=True, slots=True)
class HybridClock:
    """A node's clock after its last event, whose stamp it holds. Keep it with what it stamps, over restarts too."""

    node: str
    last: Stamp = BEGINNING
    drift_ms_max: int = DRIFT_MS_MAX

    def tick(self, now_ms: int) -> HybridClock:
        """After something of our own was done or sent; `last` is its stamp. `now_ms`: our clock on the wall."""
        wall_ms = max(self.last.wall_ms, now_ms)
        return self._at(wall_ms, self.last.step + 1 if wall_ms == self.last.wall_ms else 0)

    def receive(self, stamp: Stamp, now_ms: int) -> HybridClock | TooFarAhead:
        """After something with this stamp was heard of; `last` is later than it, and than all of our own."""
        ahead_ms = stamp.wall_ms - now_ms
        if ahead_ms > self.drift_ms_max:
            return TooFarAhead(stamp, ahead_ms)
        wall_ms = max(self.last.wall_ms, stamp.wall_ms, now_ms)
        steps = [one.step for one in (self.last, stamp) if one.wall_ms == wall_ms]
        return self._at(wall_ms, max(steps) + 1 if steps else 0)

    def _at(self, wall_ms: int, step: int) -> HybridClock:
        return replace(self, last=Stamp(wall_ms, step, self.node))
