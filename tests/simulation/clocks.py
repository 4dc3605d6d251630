"""A run of peers that change one figure, with clocks that differ and messages that come late, out of order and twice.

Virtual time, from a seed. No message is lost: what is lost is lost by the way the peers write.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from heapq import heappop, heappush
from itertools import count
from random import Random
from typing import Any

from oneshelf.domain.version.context import Dot
from simulation.clock_kinds import KINDS, LEADER, PEERS, UNITS_FIRST, Ended, Update

UPDATES = 20
RUN_MS = 60_000
# What every message takes, and the share of messages that come a second time.
DELAY_MS, TWICE_SHARE = 100, 0.2
COUNT_SHARE = 0.2
# One peer goes round and counts.
COUNTS = "wms"
# How peers are connected: each to each, or all to one.
SHAPES = ("middleware", "hub")


@dataclass(frozen=True, slots=True)
class Cell:
    """Clocks differ by up to `skew_s`, and a message takes up to `reorder_s` longer than another."""

    kind: str
    shape: str
    skew_s: float
    reorder_s: float


@dataclass(frozen=True, slots=True)
class Lost:
    """What came of one run. `buried_count`: of the lost, those that were buried by what their own writer had read.
    `units_wrong`: the figure less the true one; None where it is left to a person.
    """

    count: int
    buried_count: int
    units_wrong: int | None


def run(cell: Cell, seed: int) -> Lost:
    """Play this once. Raises AssertionError where peers who have heard all do not agree."""
    random = Random(f"clocks:{seed}")
    updates = _updates(random)
    offsets_ms = {peer: round((random.random() - 0.5) * cell.skew_s * 1000) for peer in PEERS}
    ended = _played(cell, updates, offsets_ms, random)
    lost = {one.dot for one in updates} - ended.kept
    truth = UNITS_FIRST + sum(one.units for one in updates)
    wrong = None if ended.units is None else ended.units - truth
    assert wrong == 0 or lost or wrong is None, f"{cell}, seed {seed}: nothing is lost and the figure is wrong"
    return Lost(len(lost), len(ended.buried), wrong)


def _updates(random: Random) -> list[Update]:
    """Sales, receipts and counts at the peers, in the order in which they happen."""
    numbers: Counter[str] = Counter()
    updates = []
    for at_ms in sorted(random.randrange(1, RUN_MS) for _ in range(UPDATES)):
        peer = random.choice(PEERS)
        numbers[peer] += 1
        units = random.choice((-3, -2, -1, -1, -1, 5))
        updates.append(Update(Dot(peer, numbers[peer]), units, peer == COUNTS and random.random() < COUNT_SHARE, at_ms))
    return updates


def _played(cell: Cell, updates: list[Update], offsets_ms: dict[str, int], random: Random) -> Ended:
    kind = KINDS[cell.kind]()
    turns = count()
    # When, which of them first, at whom, and what it hears of, or the update that it writes.
    coming: list[tuple[int, int, str, Any, Update | None]] = [
        (update.at_ms, next(turns), update.dot.source, None, update) for update in updates
    ]
    while coming:
        now_ms, _, peer, message, own = heappop(coming)
        shown_ms = now_ms + offsets_ms[peer]
        said = kind.write(peer, own, shown_ms) if own else kind.hear(peer, message, shown_ms)
        for other in PEERS if said is not None else ():
            for delay_ms in _delays(cell, peer, other, random):
                heappush(coming, (now_ms + delay_ms, next(turns), other, said, None))
    return kind.end()


def _delays(cell: Cell, origin: str, target: str, random: Random) -> Iterator[int]:
    """How long each copy of a message takes; at a hub most take two steps."""
    hops = 1 if cell.shape == "middleware" or LEADER in (origin, target) else 2
    for _ in range((origin != target) * (1 + (random.random() < TWICE_SHARE))):
        yield sum(DELAY_MS + round(random.random() * cell.reorder_s * 1000) for _ in range(hops))
