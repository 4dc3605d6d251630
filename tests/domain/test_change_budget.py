"""A day's changes are enough for the day, and the last of them are there for zero."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oneshelf.domain.change_budget import DAY_S, Changes, Spend, decide
from oneshelf.domain.identity import Channel, ChannelSku, Sku
from oneshelf.domain.listing import Listing

NOW = datetime(2026, 11, 26, 8, 0, tzinfo=UTC)
LISTING = Listing(channel=Channel("shop"), channel_sku=ChannelSku("1"), sku=Sku("MUG"), base_units=100, next_at=NOW)
PER_DAY = 250


def spend(desired: int, count: int, *, belief: int = 100, last_s: float = 1.0, per_day: int = PER_DAY) -> Spend:
    changes = Changes("1", count, NOW - timedelta(seconds=last_s), NOW + timedelta(hours=3)) if count else Changes("1")
    listing = replace(LISTING, base_units=belief, desired_units=desired)
    return decide(listing, changes, per_day=per_day, now=NOW).spend


def test_the_first_change_of_a_day_goes_at_once() -> None:
    assert {spend(desired, 0) for desired in (0, 5, 99, 101)} == {Spend.WRITE}


@pytest.mark.parametrize("count", [1, 100, 200, 249])
def test_zero_goes_at_once_as_long_as_anything_is_left(count: int) -> None:
    assert spend(0, count) is Spend.WRITE


def test_after_the_last_change_even_zero_waits_until_the_first_is_a_day_old() -> None:
    changes = Changes("1", PER_DAY, NOW, NOW + timedelta(hours=3))
    told = decide(replace(LISTING, desired_units=0), changes, per_day=PER_DAY, now=NOW)
    assert (told.spend, told.until) == (Spend.WAIT, NOW + timedelta(hours=3))


def test_a_raise_takes_nothing_of_what_is_kept_for_cuts() -> None:
    assert spend(200, 199, last_s=DAY_S) is Spend.WRITE
    assert spend(200, 200, last_s=DAY_S) is Spend.WAIT
    assert spend(5, 200) is Spend.WRITE


def test_where_only_the_last_changes_are_left_a_cut_is_a_cut_to_zero() -> None:
    """It has to be shown less, and the next cut could come when none is left."""
    assert spend(5, 229) is Spend.WRITE
    assert spend(5, 230) is Spend.EMPTY


def test_raises_are_spread_the_wider_the_fewer_are_left() -> None:
    def waits_s(count: int) -> float:
        changes = Changes("1", count, NOW, NOW + timedelta(days=1))
        until = decide(replace(LISTING, desired_units=200), changes, per_day=PER_DAY, now=NOW).until
        return 0.0 if until is None else (until - NOW).total_seconds()

    waits = [waits_s(count) for count in range(1, 199)]
    assert waits == sorted(waits)
    assert waits[0] < 5
    assert waits[99] > 300


def test_what_shows_nothing_is_raised_at_once_as_long_as_raises_are_left() -> None:
    assert spend(5, 150, belief=0) is Spend.WRITE
    assert spend(5, 150, belief=3) is Spend.WAIT
    assert spend(5, 200, belief=0) is Spend.WAIT


def test_a_cut_that_leaves_plenty_waits_for_others_and_one_that_leaves_little_does_not() -> None:
    assert spend(99, 150) is Spend.WAIT
    assert spend(99, 150, last_s=900) is Spend.WRITE
    assert spend(10, 150, belief=11) is Spend.WRITE
    assert spend(50, 150) is Spend.WRITE, "half of what is shown is gone"


@given(
    wishes=st.lists(st.tuples(st.integers(0, 30), st.floats(0, 7200)), max_size=150),
    per_day=st.integers(10, 60),
)
def test_no_day_has_more_changes_than_the_channel_takes(wishes: list[tuple[int, float]], per_day: int) -> None:
    """Whatever is wished and when; and as long as one is left, zero is written when it is wished."""
    at, shown, spent = NOW, 15, list[datetime]()
    for desired, later_s in wishes:
        at += timedelta(seconds=later_s)
        recent = [one for one in spent if one > at - timedelta(seconds=DAY_S)]
        free_at = min(recent) + timedelta(seconds=DAY_S) if recent else None
        changes = Changes("1", len(recent), max(recent, default=None), free_at)
        told = decide(replace(LISTING, base_units=shown, desired_units=desired), changes, per_day=per_day, now=at)
        assert told.spend is Spend.WAIT or len(recent) < per_day
        if desired == 0 and len(recent) < per_day:
            assert told.spend is Spend.WRITE
        if told.spend is not Spend.WAIT and desired != shown:
            spent.append(at)
            shown = desired if told.spend is Spend.WRITE else 0
