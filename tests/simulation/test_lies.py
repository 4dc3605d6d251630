"""Days at a shop that ignores the compared figure: harmless once that was tried, and not before."""

from __future__ import annotations

import pytest

from oneshelf.simulation.faults import BY_NAME, OFF
from oneshelf.simulation.outcome import Outcome
from oneshelf.simulation.run import live

SHORT_S = 12.0
SEEDS = (8, 9)
BOUGHT_OUT = "a listing was bought out in the moment of a write"
PROBED = "a shop was probed"

pytestmark = [pytest.mark.pg, pytest.mark.timeout(900)]


def guarded_days(dsn: str, *, is_probed: bool) -> list[Outcome]:
    """Nothing goes wrong on these days but that the shop does not do what its connector declares."""
    calm = dict.fromkeys(BY_NAME, OFF)
    return [
        live(dsn, seed, mode="guarded", grades=calm, lies={"ignores_compare"}, is_probed=is_probed, active_s=SHORT_S)
        for seed in SEEDS
    ]


@pytest.mark.long
def test_a_guarded_day_oversells_nothing_once_the_shop_was_probed(dsn: str) -> None:
    days = guarded_days(dsn, is_probed=True)
    assert {day.seed: day.violation for day in days if day.violation} == {}
    assert all(day.sometimes[PROBED] for day in days)
    assert all(day.orders > 5 for day in days)
    # It lied to the engine too, not only to whoever tried it.
    assert sum(day.sometimes[BOUGHT_OUT] for day in days) > 0


@pytest.mark.long
def test_the_same_days_oversell_while_the_shop_is_believed(dsn: str) -> None:
    days = guarded_days(dsn, is_probed=False)
    assert all("of a guarded SKU" in day.violation for day in days)
    assert all(day.sometimes["shopify: ignores_compare"] for day in days)
