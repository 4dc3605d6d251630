"""Three engines, two shops and their database, killed, stopped and cut off from each other: once each, and short.

`make simulate ARGS="--only cluster"` does it for as long as one likes.
"""

from __future__ import annotations

import pytest

from simulation.cluster import disk
from simulation.cluster.nemesis import FAULTS, MEANWHILE
from simulation.cluster.rounds import Tally, Terms, disk_round_of, round_of
from tiers import skip_tier

pytestmark = [pytest.mark.pg, pytest.mark.timeout(900)]

SEED = 11
TERMS = Terms(lease_s=5.0, stop_s=5.5, ops_of_a_fault=60, fault_s=1.0, rest_s=0.05)


@pytest.mark.long
async def test_whatever_is_killed_stopped_or_cut_off_nothing_is_lost_doubled_or_sold_twice() -> None:
    tally = await round_of(SEED, FAULTS, TERMS, say=print)
    print(f"seed {SEED}: {tally}")
    assert tally.complaints == []
    assert all(tally.faults[fault] == 1 for fault in FAULTS)
    # Every fault lasted until it had struck; how often, is up to the machine.
    assert set(tally.outcomes) == {"ok", "refused", "unknown"}
    assert {"posted", "arrived", "reserved", "released", "short"} <= set(tally.words)
    assert {"swallowed", "cut in the middle", "refused", "delayed"} <= set(tally.wires)
    assert tally.faults[MEANWHILE] > 0
    assert tally.orders_placed > 0
    assert tally.writes_seen > 0


@pytest.mark.long
async def test_a_full_disk_costs_answers_and_no_acknowledged_command() -> None:
    if left_out := disk.why_not():
        skip_tier("disk full", left_out)
    tally: Tally = await disk_round_of(SEED, TERMS, times=1, say=print)
    print(f"seed {SEED}: {tally}")
    assert tally.complaints == []
    assert tally.wires["no space left"] > 0
    assert tally.outcomes["unknown"] > 0
    assert tally.outcomes["ok"] > 0
