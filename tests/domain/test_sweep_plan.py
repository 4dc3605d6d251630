"""Listings are read as often as the channel's budget pays for, the hot ones more often."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oneshelf.domain.identity import ChannelSku
from oneshelf.domain.sweep_plan import HOT_S_MIN, HOT_SHARE, Budget, Watched, due, sweep_plan
from oneshelf.errors import InvariantError

NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)
# As Amazon grants for searchListingsItems: 5 calls a second, 20 listings each.
AMAZON = Budget(calls_per_s=5, page_listings=20, batch_listings=20)


def test_a_whole_pass_is_priced_in_calls_time_and_share() -> None:
    plan = sweep_plan(listing_count=100_000, hot_count=0, budget=AMAZON, wanted_every_s=3600)
    assert plan.pass_calls == 5_000
    assert plan.pass_s == 2_000
    assert plan.pass_share == pytest.approx(5_000 / 18_000)
    assert plan.is_in_budget
    assert plan.found_within_s == 5_600


def test_a_pass_that_the_budget_does_not_pay_for_in_time_says_so() -> None:
    plan = sweep_plan(listing_count=1_000_000, hot_count=0, budget=AMAZON, wanted_every_s=3600)
    assert not plan.is_in_budget
    assert plan.found_within_s == 40_000


def test_an_empty_channel_costs_nothing() -> None:
    plan = sweep_plan(listing_count=0, hot_count=0, budget=AMAZON, wanted_every_s=900)
    assert (plan.pass_calls, plan.pass_s, plan.hot_share) == (0, 0, 0)


@given(hot=st.integers(0, 1_000_000))
def test_hot_listings_never_take_more_than_their_share(hot: int) -> None:
    plan = sweep_plan(listing_count=hot, hot_count=hot, budget=AMAZON, wanted_every_s=3600)
    assert plan.hot_every_s >= HOT_S_MIN
    assert plan.hot_share <= HOT_SHARE * (1 + 1e-9)


def watched(name: str, *, rate: float = 0.0, scarce: bool = False, age_s: float | None = 3600) -> Watched:
    proved_at = None if age_s is None else NOW - timedelta(seconds=age_s)
    return Watched(ChannelSku(name), rate, scarce, proved_at)


def test_the_scarce_come_first_then_the_fast_and_the_fresh_not_at_all() -> None:
    rows = [
        watched("slow", rate=0.1),
        watched("fast", rate=9),
        watched("fresh", rate=99, age_s=5),
        watched("scarce", rate=0.01, scarce=True),
        watched("never read", rate=0.1, age_s=None),
    ]
    plan = sweep_plan(listing_count=5, hot_count=5, budget=AMAZON, wanted_every_s=3600)
    assert due(rows, plan, AMAZON, now=NOW, span_s=60) == ["scarce", "fast", "never read", "slow"]


def test_no_more_are_due_than_the_share_pays_for() -> None:
    rows = [watched(f"{number:04}") for number in range(5_000)]
    plan = sweep_plan(listing_count=5_000, hot_count=5_000, budget=AMAZON, wanted_every_s=3600)
    assert len(due(rows, plan, AMAZON, now=NOW, span_s=15)) == 15 * 20


def test_a_budget_of_nothing_is_a_mistake() -> None:
    with pytest.raises(InvariantError):
        Budget(calls_per_s=0, page_listings=20, batch_listings=20)
