"""What peers do with a figure that each of them changes: five ways, each made of the engine's own `domain.version`.

Which updates are in which figure is noted beside it for the count of what was lost; no peer decides by it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from oneshelf.domain.version.context import NOTHING_SEEN, CausalContext, Dot
from oneshelf.domain.version.hybrid_clock import HybridClock, Stamp
from oneshelf.domain.version.last_write import LastWrite
from oneshelf.domain.version.leader import LedFigure, led
from oneshelf.domain.version.quantity import Count, Delta, Operation, Quantity, Reading
from oneshelf.domain.version.siblings import Siblings

PEERS = ("erp", "shop", "wms")
LEADER = "erp"
UNITS_FIRST = 100
FIRST = Dot("before", 1)
# Far beyond any skew here: what the bound on drift is for is another question.
DRIFT_MS_MAX = 60_000


@dataclass(frozen=True, slots=True)
class Update:
    """A peer finds that there are so many units more or less. `is_count`: it counted, and does not tell a change."""

    dot: Dot
    units: int
    is_count: bool
    at_ms: int


@dataclass(frozen=True, slots=True)
class Ended:
    """After all was heard: the figure (None where a person has to decide), and the updates that are in it.

    `buried`: those that were buried at once, by a figure that their own writer had read and changed.
    """

    units: int | None
    kept: frozenset[Dot]
    buried: frozenset[Dot] = frozenset()


class Kind(Protocol):
    """All peers of one run. What `write` and `hear` return is told to all other peers."""

    def write(self, peer: str, update: Update, now_ms: int) -> Any: ...
    def hear(self, peer: str, message: Any, now_ms: int) -> Any: ...
    def end(self) -> Ended:
        """Raises AssertionError where the peers do not agree."""


class WallClock:
    """Last write wins, stamped by each peer's own clock. `now_ms` is what that clock shows."""

    def __init__(self) -> None:
        first = LastWrite(Stamp(), FIRST, UNITS_FIRST)
        self._figures: dict[str, LastWrite] = dict.fromkeys(PEERS, first)
        # write -> the updates that are in its figure
        self._kept: dict[Dot, frozenset[Dot]] = {FIRST: frozenset()}
        self._buried: set[Dot] = set()

    def write(self, peer: str, update: Update, now_ms: int) -> LastWrite:
        read = self._figures[peer]
        written = LastWrite(self._stamp(peer, now_ms), update.dot, read.units + update.units)
        self._kept[update.dot] = self._kept[read.dot] | {update.dot}
        self._figures[peer] = read.merge(written)
        if self._figures[peer] != written:
            self._buried.add(update.dot)
        return written

    def hear(self, peer: str, message: LastWrite, now_ms: int) -> None:
        self._see(peer, message.stamp, now_ms)
        self._figures[peer] = self._figures[peer].merge(message)

    def _stamp(self, peer: str, now_ms: int) -> Stamp:
        return Stamp(now_ms, 0, peer)

    def _see(self, peer: str, stamp: Stamp, now_ms: int) -> None:
        pass

    def end(self) -> Ended:
        standing = agreed(self._figures)
        kept = self._kept[standing.dot]
        return Ended(standing.units, kept, frozenset(self._buried - kept))


class OwnHybridClock(WallClock):
    """Last write wins, stamped by hybrid clocks."""

    def __init__(self) -> None:
        super().__init__()
        self._clocks = {peer: HybridClock(peer, drift_ms_max=DRIFT_MS_MAX) for peer in PEERS}

    def _stamp(self, peer: str, now_ms: int) -> Stamp:
        self._clocks[peer] = self._clocks[peer].tick(now_ms)
        return self._clocks[peer].last

    def _see(self, peer: str, stamp: Stamp, now_ms: int) -> None:
        heard = self._clocks[peer].receive(stamp, now_ms)
        assert isinstance(heard, HybridClock)
        self._clocks[peer] = heard


class OneLeader:
    """Changes go to the leader, which gives each figure its version."""

    def __init__(self) -> None:
        self._figures: dict[str, LedFigure] = dict.fromkeys(PEERS, led(LEADER, UNITS_FIRST, epoch=1, number=0))
        self._seen = NOTHING_SEEN

    def write(self, peer: str, update: Update, now_ms: int) -> Update | LedFigure | None:
        return self._lead(update) if peer == LEADER else update

    def hear(self, peer: str, message: Update | LedFigure, now_ms: int) -> LedFigure | None:
        if isinstance(message, Update):
            return self._lead(message) if peer == LEADER else None
        self._figures[peer] = self._figures[peer].merge(message)
        return None

    def _lead(self, update: Update) -> LedFigure | None:
        if self._seen.has(update.dot):
            return None
        self._seen = self._seen.with_dot(update.dot)
        figure = self._figures[LEADER]
        units = figure.read()
        assert isinstance(units, int)
        self._figures[LEADER] = led(LEADER, units + update.units, epoch=1, number=figure.version.number + 1)
        return self._figures[LEADER]

    def end(self) -> Ended:
        units = agreed(self._figures).read()
        assert isinstance(units, int)
        return Ended(units, _all_of(self._seen))


class Vectors:
    """Version vectors: a figure replaces what its writer had read; others stand beside it."""

    def __init__(self) -> None:
        self._values: dict[str, Siblings[int]] = {peer: Siblings() for peer in PEERS}
        # write -> the updates that are in its figure
        self._kept: dict[Dot, frozenset[Dot]] = {FIRST: frozenset()}

    def write(self, peer: str, update: Update, now_ms: int) -> Siblings[int]:
        """The writer goes on from the lowest figure that it reads, and replaces that one alone."""
        mine = self._values[peer]
        dot, units = min(mine.written, key=lambda one: (one[1], one[0]), default=(FIRST, UNITS_FIRST))
        self._kept[update.dot] = self._kept[dot] | {update.dot}
        self._values[peer] = mine.put(peer, units + update.units, seen=NOTHING_SEEN.with_dot(dot))
        return self._values[peer]

    def hear(self, peer: str, message: Siblings[int], now_ms: int) -> None:
        self._values[peer] = self._values[peer].merge(message)

    def end(self) -> Ended:
        standing = agreed(self._values)
        units = standing.values[0] if len(standing.values) == 1 else None
        return Ended(units, frozenset().union(*(self._kept[dot] for dot, _ in standing.written)))


class Changes:
    """Changes as changes, and counts that say what they had seen."""

    def __init__(self) -> None:
        self._quantities = dict.fromkeys(PEERS, Quantity().with_operation(FIRST, Delta(UNITS_FIRST)))

    def write(self, peer: str, update: Update, now_ms: int) -> tuple[Dot, Operation]:
        mine = self._quantities[peer]
        operation: Operation = Delta(update.units)
        if update.is_count:
            operation = Count(_units(mine) + update.units, mine.context)
        self._quantities[peer] = mine.with_operation(update.dot, operation)
        return update.dot, operation

    def hear(self, peer: str, message: tuple[Dot, Operation], now_ms: int) -> None:
        self._quantities[peer] = self._quantities[peer].with_operation(*message)

    def end(self) -> Ended:
        quantity = agreed(self._quantities)
        reading = quantity.read()
        assert isinstance(reading, Reading)
        ruling = dict(quantity.written).get(reading.ruled_by) if reading.ruled_by else None
        # A delta is in the figure by itself or within the count; a count by itself, or as one that was seen.
        kept = {
            dot
            for dot, operation in quantity.written
            if isinstance(operation, Delta)
            or dot == reading.ruled_by
            or (isinstance(ruling, Count) and ruling.seen.has(dot))
        }
        return Ended(None if reading.beaten else reading.units, frozenset(kept - {FIRST}))


def agreed(states: Mapping[str, Any]) -> Any:
    """What all peers hold in the end."""
    first, *others = states.values()
    assert all(other == first for other in others), "all was heard by all, and they do not agree"
    return first


def _units(quantity: Quantity) -> int:
    reading = quantity.read()
    assert isinstance(reading, Reading)
    return reading.units


def _all_of(context: CausalContext) -> frozenset[Dot]:
    unbroken = (Dot(source, number) for source, last in context.vector for number in range(1, last + 1))
    return frozenset(unbroken) | context.cloud


KINDS: Mapping[str, type[Kind]] = {
    "last write wins, clocks on the wall": WallClock,
    "last write wins, hybrid clocks": OwnHybridClock,
    "one leader": OneLeader,
    "version vectors": Vectors,
    "changes and counts": Changes,
}
