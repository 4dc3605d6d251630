"""Days from fixed seeds, most of them short: every change of the engine lives through them.

`make simulate` goes on to thousands of whole ones.
"""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from oneshelf.simulation.many import replay_command
from oneshelf.simulation.outcome import Outcome
from oneshelf.simulation.run import live
from oneshelf.simulation.shapes import MIDDLEWARE_DAY
from oneshelf.simulation.shops import KINDS
from simulation.mutants import BY_NAME, planted

# A short day: a shop of one channel, and all else drawn as on every day. So many of each channel.
SHORT_S, SHORT_DAYS, SHORT_BLOCK = 3.0, 100, 25
# In each block; fewer were too easy.
FAULTS_MIN = 12
SHORT_BLOCKS = [
    (kind, first)
    for number, kind in enumerate(KINDS)
    for first in range(1 + number * SHORT_DAYS, 1 + (number + 1) * SHORT_DAYS, SHORT_BLOCK)
]
# Of shops that are drawn, most of them of several channels.
DRAWN_S, DRAWN_DAYS, DRAWN_BLOCK = 12.0, 8, 4
PEERS_S = 40.0

pytestmark = [pytest.mark.pg, pytest.mark.timeout(600)]


@pytest.mark.parametrize(("kind", "first"), SHORT_BLOCKS)
def test_short_days_of_one_channel_under_every_fault(dsn: str, kind: str, first: int) -> None:
    lived = short_days(dsn, kind, first)
    judge(lived)
    assert sum(outcome.orders for outcome in lived) > 2 * SHORT_BLOCK
    assert sum(outcome.commands for outcome in lived) > 4 * SHORT_BLOCK
    struck = {fault for outcome in lived for fault, _ in outcome.hits}
    assert len(struck) > FAULTS_MIN


@pytest.mark.long
@pytest.mark.parametrize("first", range(1, DRAWN_DAYS, DRAWN_BLOCK))
def test_days_of_several_channels_under_every_fault(dsn: str, first: int) -> None:
    lived = [live(dsn, seed, active_s=DRAWN_S) for seed in range(first, first + DRAWN_BLOCK)]
    judge(lived)
    assert sum(outcome.orders for outcome in lived) > 2 * DRAWN_BLOCK
    assert sum(count for outcome in lived for count in outcome.hits.values()) > 5 * DRAWN_BLOCK
    assert {where for outcome in lived for _, where in outcome.hits} >= set(KINDS)


@pytest.mark.long
@pytest.mark.parametrize(("seed", "mode"), [(3, "auto"), (4, "guarded")])
def test_a_warehouse_and_an_erp_rule_by_rank_while_everybody_sells(dsn: str, seed: int, mode: str) -> None:
    lived = live(dsn, seed, active_s=PEERS_S, mode=mode, shape=MIDDLEWARE_DAY)
    assert lived.violation == ""
    assert lived.sometimes["a warehouse counted what no paper knew"] > 0
    assert lived.sometimes["an ERP stated a delivery"] > 0


@pytest.mark.long
def test_a_planted_bug_fails_a_block_which_names_each_day_with_its_command(dsn: str) -> None:
    with planted(BY_NAME["reserved units are not written"]):
        lived = short_days(dsn, *SHORT_BLOCKS[-1])
    with pytest.raises(pytest.fail.Exception) as failed:
        judge(lived)
    said = str(failed.value)
    broken = [outcome for outcome in lived if outcome.violation]
    assert len(broken) > SHORT_BLOCK // 2
    for outcome in broken:
        assert f"seed {outcome.seed}: {outcome.violation}" in said
        assert f"oneshelf simulate --seeds 1 --seed {outcome.seed} --channels ebay --seconds 3.0 --faults " in said
    assert said.count("seed ") == said.count("--seed ") + len(broken)


def short_days(dsn: str, kind: str, first: int) -> list[Outcome]:
    return [live(dsn, seed, kinds=(kind,), active_s=SHORT_S) for seed in range(first, first + SHORT_BLOCK)]


def judge(lived: Sequence[Outcome]) -> None:
    """Nothing is violated on any of these days; else all that were are named, each with what repeats it."""
    broken = [f"seed {one.seed}: {one.violation}\n  {replay_command(one)}" for one in lived if one.violation]
    if broken:
        pytest.fail("\n".join(broken), pytrace=False)
