"""Short days from fixed seeds: every change of the engine lives through them; `make simulate` goes on to hundreds."""

from __future__ import annotations

import pytest

from oneshelf.simulation.run import live
from oneshelf.simulation.shapes import MIDDLEWARE_DAY

DAYS, BLOCK = 16, 4
SHORT_S = 12.0
PEERS_S = 40.0


@pytest.mark.pg
@pytest.mark.timeout(600)
@pytest.mark.parametrize("first", range(1, DAYS, BLOCK))
def test_short_days_under_every_fault(dsn: str, first: int) -> None:
    outcomes = [live(dsn, seed, active_s=SHORT_S) for seed in range(first, first + BLOCK)]
    assert {outcome.seed: outcome.violation for outcome in outcomes if outcome.violation} == {}
    assert sum(outcome.orders for outcome in outcomes) > 2 * BLOCK
    assert sum(count for outcome in outcomes for count in outcome.hits.values()) > 5 * BLOCK


@pytest.mark.pg
@pytest.mark.timeout(600)
@pytest.mark.parametrize(("seed", "mode"), [(3, "auto"), (4, "guarded")])
def test_a_warehouse_and_an_erp_rule_by_rank_while_everybody_sells(dsn: str, seed: int, mode: str) -> None:
    lived = live(dsn, seed, active_s=PEERS_S, mode=mode, shape=MIDDLEWARE_DAY)
    assert lived.violation == ""
    assert lived.sometimes["a warehouse counted what no paper knew"] > 0
    assert lived.sometimes["an ERP stated a delivery"] > 0
