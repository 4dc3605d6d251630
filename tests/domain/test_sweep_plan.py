"""Listings are read as often as the channel's budget pays for, the hot ones more often."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oneshelf.domain.identity import ChannelSku
from oneshelf.domain.sweep_plan import (
    HOT_S_MIN,
    HOT_SHARE,
    PAGES_S_MAX,
    Budget,
    Watched,
    Way,
    due,
    give_up_s,
    look_again_s,
    looks,
    sweep_plan,
)
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


# As Shopify grants on its smallest plan, of which half is for passes: fifty listings a second.
SHOPIFY = Budget(calls_per_s=1, page_listings=100, batch_listings=250, has_file=True)


def test_a_file_is_read_where_pages_would_take_long() -> None:
    assert SHOPIFY.pages_s(6_000) == PAGES_S_MAX
    assert (SHOPIFY.way(6_000), SHOPIFY.way(6_001)) == (Way.PAGES, Way.FILE)
    assert AMAZON.way(10_000_000) is Way.PAGES


@given(count=st.integers(0, 10_000_000), rate=st.floats(0.01, 100), page=st.integers(1, 1000))
def test_there_is_one_border_between_pages_and_a_file(count: int, rate: float, page: int) -> None:
    budget = Budget(calls_per_s=rate, page_listings=page, batch_listings=1, has_file=True)
    assert (budget.way(count) is Way.FILE) == (count > budget.pages_most)
    if budget.way(count) is Way.PAGES:
        assert budget.pages_s(count) <= PAGES_S_MAX * (1 + 1e-9)


def test_a_pass_from_a_file_takes_a_few_calls_and_as_long_as_the_last_one() -> None:
    unknown = sweep_plan(listing_count=1_000_000, hot_count=0, budget=SHOPIFY, wanted_every_s=900)
    assert (unknown.way, unknown.pass_calls, unknown.pass_s, unknown.found_within_s) == (Way.FILE, 3, None, None)
    assert unknown.is_in_budget
    known = sweep_plan(listing_count=1_000_000, hot_count=0, budget=SHOPIFY, wanted_every_s=900, file_took_s=600)
    assert (known.pass_s, known.found_within_s) == (600, 1_500)
    assert known.pass_calls == 3 + looks(600)


@given(took_s=st.floats(0, 100_000))
def test_whoever_waits_for_a_file_looks_seldom_and_is_late_by_half_a_minute_at_most(took_s: float) -> None:
    count, waited_s, again_s = 0, 0.0, 0.0
    while waited_s < took_s:
        again_s = look_again_s(waited_s)
        waited_s, count = waited_s + again_s, count + 1
    assert count == looks(took_s)
    assert waited_s - took_s <= again_s <= 30
    assert count <= 20 + took_s / 30


def test_a_file_is_waited_for_as_long_as_pages_would_take_and_an_hour_at_least() -> None:
    assert give_up_s(6_001, SHOPIFY) == 3_600
    assert give_up_s(1_000_000, SHOPIFY) == 20_000


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
