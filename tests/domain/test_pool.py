"""Pools: the laws of allocation plans, each for whatever plan, stock and history."""

from __future__ import annotations

from copy import deepcopy
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.shop import NOON
from oneshelf.domain.allocation import (
    AllocationPlan,
    Part,
    PoolKind,
    Refill,
    minute_from,
    part_from,
    plan_of,
    rebalanced,
)
from oneshelf.domain.identity import Channel
from oneshelf.domain.movement import Reason
from oneshelf.domain.policy import Scope
from oneshelf.domain.pool import Change, Pools, What, carve, change_of
from oneshelf.errors import MalformedError

OWN, AMZ, EBAY, STRANGER = Channel("own"), Channel("amz"), Channel("ebay"), Channel("stranger")
NAMES = [Channel(name) for name in ("own", "amz", "ebay", "till", "b2b")]
FAST = settings(max_examples=150, deadline=None)


def plan(*parts: str, **more: Any) -> AllocationPlan:
    return AllocationPlan(scope=Scope(), parts=tuple(map(part_from, parts)), **more)


def carved(of: AllocationPlan, available: int) -> Pools:
    percents = {part.channel: part.percent for part in of.parts if part.percent is not None}
    return carve(of, percents, NAMES, available=available, version=1, at=NOON, why="test")


def left(pools: Pools) -> dict[str, int]:
    return {**{str(pool.channel): pool.left for pool in pools.pools}, "rest": pools.rest}


def after(pools: Pools, *changes: Change) -> dict[str, int]:
    """What is left once these happened."""
    more = {What.CANCELLED, What.FREED, What.CAME}
    available = pools.units + sum(one.units if one.what in more else -one.units for one in changes)
    pools.follow(changes, available=available, version=pools.version + len(changes))
    return left(pools)


def sold(channel: Channel, units: int) -> Change:
    return Change(What.SOLD, units, channel)


@st.composite
def plans(draw: st.DrawFn, *, fixed: bool = True) -> AllocationPlan:
    names = draw(st.lists(st.sampled_from(NAMES), min_size=1, unique=True))
    parts, room = [], 100
    for name in names:
        kind = draw(st.sampled_from(PoolKind))
        if fixed and draw(st.booleans()):
            parts.append(Part(channel=name, units=draw(st.integers(0, 30)), kind=kind))
        else:
            percent = draw(st.integers(0, room))
            room -= percent
            parts.append(Part(channel=name, percent=percent, kind=kind))
    return AllocationPlan(
        scope=Scope(),
        parts=tuple(parts),
        overflow=draw(st.sampled_from([None, *names])),
        refill=draw(st.sampled_from([Refill.RECEIPTS, Refill.MANUAL])),
    )


WISHES = st.lists(
    st.tuples(st.sampled_from(What), st.integers(1, 40), st.sampled_from([*NAMES, STRANGER])), max_size=25
)


def possible(wishes: list[tuple[What, int, Channel]], available: int) -> list[tuple[Change, int]]:
    """The changes that the ledger could make, and what is available after each."""
    found = []
    for what, units, channel in wishes:
        is_less = what in {What.SOLD, What.TAKEN}
        moved = min(units, available) if is_less else units
        if moved:
            available += -moved if is_less else moved
            whose = channel if what in {What.SOLD, What.CANCELLED} else None
            found.append((Change(what, moved, whose), available))
    return found


# Sharing ---------------------------------------------------------------------------------------------------------


def test_eighty_fifteen_and_five_of_a_hundred() -> None:
    assert left(carved(plan("own=80%", "amz=15%"), 100)) == {"own": 80, "amz": 15, "rest": 5}
    assert left(carved(plan("own=80%", "amz=15%"), 1)) == {"own": 1, "amz": 0, "rest": 0}, "the last unit is not hidden"
    assert left(carved(plan("amz=20", "own=100%"), 50)) == {"amz": 20, "own": 30, "rest": 0}
    assert left(carved(plan("amz=20", "own=50%"), 10)) == {"amz": 10, "own": 0, "rest": 0}
    assert left(carved(plan("amz=20"), 50)) == {"amz": 20, "rest": 30}


@given(plans(), st.integers(0, 3000))
@FAST
def test_all_that_is_available_is_shared_and_no_unit_twice(of: AllocationPlan, available: int) -> None:
    pools = carved(of, available)
    assert pools.units == available
    assert min(left(pools).values()) >= 0
    assert left(carved(of, available)) == left(pools), "the same again"
    assert sum(pools.limit(name).units for name in [*NAMES, STRANGER]) <= available


@given(plans(), st.integers(0, 3000), st.integers(1, 50))
@FAST
def test_nobody_has_less_where_there_is_more(of: AllocationPlan, available: int, more: int) -> None:
    few, many = left(carved(of, available)), left(carved(of, available + more))
    assert all(many[name] >= few[name] for name in few)


@given(plans(fixed=False), st.integers(0, 3000))
@FAST
def test_each_has_its_percentage_within_one_unit(of: AllocationPlan, available: int) -> None:
    shares = left(carved(of, available))
    for part in of.parts:
        assert abs(shares[part.channel] - Fraction(available * (part.percent or 0), 100)) < 1


@given(plans(), st.lists(st.integers(1, 40), max_size=12))
@FAST
def test_many_small_receipts_give_what_one_large_one_gives(of: AllocationPlan, receipts: list[int]) -> None:
    of = AllocationPlan(scope=of.scope, parts=of.parts)
    pools = carved(of, 0)
    for units in receipts:
        after(pools, Change(What.CAME, units))
    assert left(pools) == left(carved(of, sum(receipts)))


def test_what_comes_in_waits_for_the_refill_where_the_plan_says_so() -> None:
    pools = carved(plan("own=80%", "amz=15%", refill=Refill.MANUAL), 100)
    assert after(pools, Change(What.CAME, 100)) == {"own": 80, "amz": 15, "rest": 105}


def test_a_fixed_pool_is_filled_up_by_the_next_receipt() -> None:
    pools = carved(plan("amz=20", "own=100%"), 30)
    assert after(pools, sold(AMZ, 15)) == {"amz": 5, "own": 10, "rest": 0}
    assert after(pools, Change(What.CAME, 40)) == {"amz": 20, "own": 35, "rest": 0}


# Selling ---------------------------------------------------------------------------------------------------------


def test_a_sale_comes_off_its_own_pool_and_a_cancellation_goes_back_to_it() -> None:
    pools = carved(plan("own=80%", "amz=15%"), 100)
    assert after(pools, sold(OWN, 60)) == {"own": 20, "amz": 15, "rest": 5}
    assert after(pools, Change(What.CANCELLED, 10, OWN)) == {"own": 30, "amz": 15, "rest": 5}
    assert pools.limit(OWN).units == 30
    assert pools.limit(STRANGER).units == 0


def test_what_a_channel_sells_beyond_its_pool_comes_off_the_rest_then_soft_pools_then_hard_ones() -> None:
    pools = carved(plan("own=40%", "amz=30%:soft", "ebay=20%"), 100)
    assert after(pools, sold(OWN, 45)) == {"own": 0, "amz": 30, "ebay": 20, "rest": 5}
    assert after(pools, sold(OWN, 25)) == {"own": 0, "amz": 10, "ebay": 20, "rest": 0}
    assert after(pools, sold(OWN, 15)) == {"own": 0, "amz": 0, "ebay": 15, "rest": 0}


def test_what_others_gave_for_a_hard_pool_does_not_come_back_to_it() -> None:
    pools = carved(plan("own=80%", "amz=15%"), 100)
    assert after(pools, sold(AMZ, 18)) == {"own": 80, "amz": 0, "rest": 2}
    assert after(pools, Change(What.CANCELLED, 10, AMZ)) == {"own": 80, "amz": 7, "rest": 5}


def test_a_soft_pool_that_is_sold_out_takes_half_of_another_soft_one() -> None:
    pools = carved(plan("own=60%:soft", "amz=20%:soft", "ebay=20%"), 100)
    assert after(pools, sold(AMZ, 20)) == {"own": 30, "amz": 30, "ebay": 20, "rest": 0}
    assert [pool.moved for pool in pools.pools] == [-30, 30, 0]
    assert after(pools, sold(AMZ, 30), sold(OWN, 14)) == {"own": 1, "amz": 15, "ebay": 20, "rest": 0}
    assert after(pools, sold(AMZ, 15)) == {"own": 1, "amz": 0, "ebay": 20, "rest": 0}, "the last unit stays"


def test_the_overflow_channel_sells_the_rest_once_its_own_pool_is_empty() -> None:
    pools = carved(plan("own=50%", "amz=30%", overflow=OWN), 100)
    assert (pools.limit(OWN).units, pools.limit(AMZ).units) == (70, 30)
    assert after(pools, sold(OWN, 60)) == {"own": 0, "amz": 30, "rest": 10}
    assert pools.limit(OWN).units == 10


def test_a_reservation_comes_off_the_rest_first_and_gives_back_to_it_first() -> None:
    pools = carved(plan("own=80%", "amz=15%"), 100)
    assert after(pools, Change(What.TAKEN, 24)) == {"own": 64, "amz": 12, "rest": 0}
    assert after(pools, Change(What.FREED, 5)) == {"own": 64, "amz": 12, "rest": 5}


def test_units_in_suspense_are_missing_from_the_pool_that_has_probably_sold_them() -> None:
    pools = carved(plan("own=80%", "amz=15%"), 100)
    assert left(pools.less({AMZ: 4})) == {"own": 80, "amz": 11, "rest": 5}
    assert left(pools) == {"own": 80, "amz": 15, "rest": 5}
    assert pools.less({AMZ: 0}) is pools


@given(plans(), st.integers(0, 60), WISHES)
@FAST
def test_pools_and_rest_are_what_is_available_whatever_happens(
    of: AllocationPlan, available: int, wishes: list[tuple[What, int, Channel]]
) -> None:
    pools, once = carved(of, available), carved(of, available)
    history = possible(wishes, available)
    for change, there in history:
        pools.follow([change], available=there, version=pools.version + 1)
        assert pools.units == there
        assert min(left(pools).values()) >= 0
        assert sum(pools.limit(name).units for name in NAMES) <= there
        assert all(pool.left <= pool.carved for pool in pools.pools if not pool.part.is_soft), "never above its share"
    if history:
        once.follow([change for change, _ in history], available=history[-1][1], version=pools.version)
        assert once == pools, "heard of at once or one by one"


@pytest.mark.long
@given(plans(), st.integers(0, 60), WISHES, st.sampled_from(NAMES), st.integers(1, 40))
@FAST
def test_no_sale_and_no_loan_starves_a_hard_pool(
    of: AllocationPlan, available: int, wishes: list[tuple[What, int, Channel]], channel: Channel, units: int
) -> None:
    pools = carved(of, available)
    for change, there in possible(wishes, available):
        pools.follow([change], available=there, version=pools.version + 1)
    if channel not in {pool.channel for pool in pools.pools} or not pools.units:
        return
    before = deepcopy(pools)
    after(pools, sold(channel, min(units, pools.units)))
    for was, now in zip(before.pools, pools.pools, strict=True):
        if was.channel != channel and not was.part.is_soft and now.left < was.left:
            others = [pool.left for pool in pools.pools if pool.part.is_soft or pool.channel == channel]
            assert (sum(others), pools.rest) == (0, 0), "only what nobody else has is taken from a hard pool"


@pytest.mark.parametrize(
    ("reason", "source", "is_more", "expected"),
    [
        (Reason.COMMITTED, "order amz/A/1/l", False, Change(What.SOLD, 2, AMZ)),
        (Reason.PENDING, "order amz/1/l", False, Change(What.SOLD, 2, AMZ)),
        (Reason.SHORTAGE_FILLED, "order amz/1/l", False, Change(What.SOLD, 2, AMZ)),
        (Reason.CANCELLED, "order amz/1/l", True, Change(What.CANCELLED, 2, AMZ)),
        (Reason.RETURNED, "order amz/1/l", True, Change(What.CAME, 2)),
        (Reason.RESERVED, "reservation 1", False, Change(What.TAKEN, 2)),
        (Reason.EXPIRED, "reservation 1", True, Change(What.FREED, 2)),
        (Reason.RECEIVED, "api order amz/1", True, Change(What.CAME, 2)),
        (Reason.COUNTED, "api c1", False, Change(What.TAKEN, 2)),
        (Reason.COUNTED, "order amz/1/l", False, Change(What.TAKEN, 2)),
    ],
)
def test_what_a_movement_means(reason: Reason, source: str, is_more: bool, expected: Change) -> None:
    assert change_of(reason, source, units=2, is_more=is_more) == expected


# Rebalancing -----------------------------------------------------------------------------------------------------


@given(plans(fixed=False), st.dictionaries(st.sampled_from(NAMES), st.integers(0, 500)), st.integers(0, 100))
@FAST
def test_shares_follow_sales_within_bounds_and_their_sum_stays(
    of: AllocationPlan, units: dict[Channel, int], points: int
) -> None:
    stated = {part.channel: part.percent or 0 for part in of.parts}
    moved = rebalanced(of.parts, units, points=points)
    assert moved.keys() == stated.keys()
    assert sum(moved.values()) == sum(stated.values())
    assert all(abs(moved[name] - stated[name]) <= points and 0 <= moved[name] <= 100 for name in stated)


def test_shares_move_towards_what_sells() -> None:
    parts = plan("own=70%", "amz=20%").parts
    assert rebalanced(parts, {OWN: 30, AMZ: 60}, points=10) == {OWN: 60, AMZ: 30}
    assert rebalanced(parts, {OWN: 30, AMZ: 60}, points=90) == {OWN: 30, AMZ: 60}
    assert rebalanced(parts, {}, points=90) == {OWN: 70, AMZ: 20}
    assert rebalanced(parts, {OWN: 30, AMZ: 60}, points=0) == {OWN: 70, AMZ: 20}


# Stating ---------------------------------------------------------------------------------------------------------


@pytest.mark.long
@given(plans())
@FAST
def test_a_plan_is_read_as_it_was_written(of: AllocationPlan) -> None:
    assert plan_of(of.scope, of.stated()) == of


@pytest.mark.parametrize(
    ("stated", "words"),
    [
        ({}, "pools must be a list"),
        ({"pools": []}, "1 to 100 pools"),
        ({"pools": [7]}, "a pool has a channel"),
        ({"pools": [{"channel": "own"}]}, "percent or units"),
        ({"pools": [{"channel": "own", "percent": 10, "units": 1}]}, "one of the two"),
        ({"pools": [{"channel": "own", "percent": 101}]}, "from 0 to 100"),
        ({"pools": [{"channel": "own", "percent": True}]}, "whole number"),
        ({"pools": [{"channel": "own", "units": 1.5}]}, "whole number"),
        ({"pools": [{"channel": "own", "percent": 1, "kind": "firm"}]}, "hard, soft"),
        ({"pools": [{"channel": "own", "percent": 1}] * 2}, "twice"),
        ({"pools": [{"channel": "own", "percent": 60}, {"channel": "amz", "percent": 41}]}, "101 percent"),
        ({"pools": [{"channel": "own", "percent": 60}], "overflow": "amz"}, "overflow names amz"),
        ({"pools": [{"channel": "own", "percent": 60}], "refill": "daily"}, "03:00"),
        ({"pools": [{"channel": "own", "percent": 60}], "refill_at": "03:00"}, "no other does"),
        ({"pools": [{"channel": "own", "percent": 60}], "refill": "daily", "refill_at": "24:00"}, "HH:MM"),
        ({"pools": [{"channel": "own", "percent": 60}], "rebalance_points": -1}, "rebalance_points"),
        ({"pools": [{"channel": "own", "percent": 60}], "hardness": 1}, "hardness"),
    ],
)
def test_a_plan_that_cannot_hold_is_refused_in_words(stated: dict[str, Any], words: str) -> None:
    with pytest.raises(MalformedError, match=words):
        plan_of(Scope(), stated)


def test_a_plan_names_its_channels_itself() -> None:
    with pytest.raises(MalformedError, match="name the channels"):
        AllocationPlan(scope=Scope(channel=OWN), parts=(Part(channel=OWN, percent=1),))
    assert plan("own=80%", "amz=15:soft").in_words() == {
        "pool own": "80% hard",
        "pool amz": "15 units soft",
        "refill": "receipts",
    }
    for text in ("own", "own=", "own=x%", "=80%", "own=8.5%", "own=80%:firm", "own=-1"):
        with pytest.raises(MalformedError):
            part_from(text)


def test_a_daily_refill_is_at_its_time_of_the_day() -> None:
    daily = plan("own=80%", refill=Refill.DAILY, refill_minute=minute_from("03:30"))
    at = datetime(2026, 11, 26, 3, 30, tzinfo=UTC)
    assert daily.next_refill(at - timedelta(seconds=1)) == at
    assert daily.next_refill(at) == at + timedelta(days=1)
    assert plan("own=80%").next_refill(at) is None
