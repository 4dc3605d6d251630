"""Short days from fixed seeds: every change of the engine lives through them; `make simulate` goes on to hundreds."""

from __future__ import annotations

import pytest

from oneshelf.simulation.run import live

DAYS, BLOCK = 16, 4
SHORT_S = 12.0


@pytest.mark.pg
@pytest.mark.timeout(600)
@pytest.mark.parametrize("first", range(1, DAYS, BLOCK))
def test_short_days_under_every_fault(dsn: str, first: int) -> None:
    outcomes = [live(dsn, seed, active_s=SHORT_S) for seed in range(first, first + BLOCK)]
    assert {outcome.seed: outcome.violation for outcome in outcomes if outcome.violation} == {}
    assert sum(outcome.orders for outcome in outcomes) > 2 * BLOCK
    assert sum(count for outcome in outcomes for count in outcome.hits.values()) > 5 * BLOCK
