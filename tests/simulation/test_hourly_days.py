"""Days at a shop that lets the engine in for an hour at a time and forgets whom to tell: nothing that must hold breaks.

Nodes die, stand still and share the tokens; the shop takes tokens away before their end.
"""

from __future__ import annotations

from collections import Counter

import pytest

from oneshelf.simulation.faults import BY_NAME, HEAVY, OFF
from oneshelf.simulation.run import live

# Days with a Shopify shop, of guarded and of pooled SKUs.
SEEDS = (2, 4, 8)

pytestmark = [pytest.mark.pg, pytest.mark.timeout(900)]


@pytest.mark.long
def test_no_death_and_no_forgetful_shop_breaks_a_day(dsn: str) -> None:
    wanted = (
        "crash",
        "pause",
        "clock",
        "answer_lost",
        "request_lost",
        "token_expired",
        "token_revoked",
        "webhook_lost",
    )
    grades = {**dict.fromkeys(BY_NAME, OFF), **dict.fromkeys(wanted, HEAVY)}
    days = [live(dsn, seed, grades=grades, is_hourly=True) for seed in SEEDS]
    assert {day.seed: day.violation for day in days if day.violation} == {}
    seen = sum((day.sometimes for day in days), Counter())
    # Each day needs one token; more are asked for where one died, or ended.
    assert seen["shopify: token_granted"] > len(days)
    assert seen["shopify: subscription_dropped"] > 0
    assert sum(day.crashes for day in days) > 0
    assert sum(day.orders for day in days) > 0
