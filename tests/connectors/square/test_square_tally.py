"""A count at Square: in whatever order counts and sales are told, it is the same, but for counts of one instant."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import permutations

from hypothesis import given, settings
from hypothesis import strategies as st

from oneshelf.connectors.square.simulator_tally import Tally

NOON = datetime(2026, 11, 23, 13, tzinfo=UTC)


def at(minute: int) -> datetime:
    return NOON + timedelta(minutes=minute)


def test_the_example_of_squares_documentation() -> None:
    """100; three sold at 13:10; two sold offline at 13:20; 90 counted at 13:30; the offline sale is told at 13:35."""
    tally = Tally()
    tally.count(100, at(0))
    assert tally.adjust(-3, at(10))
    assert tally.units == 97
    assert tally.count(90, at(30))
    assert not tally.adjust(-2, at(20)), "before the count: it is in it"
    assert tally.units == 90
    assert tally.adjust(-2, at(40))
    assert tally.units == 88


def test_a_count_from_before_the_last_one_changes_nothing() -> None:
    tally = Tally()
    tally.count(10, at(5))
    assert not tally.count(99, at(4))
    assert tally.units == 10


def test_a_sale_after_the_instant_of_a_count_that_comes_later_stays_subtracted() -> None:
    """A write of ours that is under way while somebody buys."""
    tally = Tally()
    tally.count(10, at(0))
    tally.adjust(-1, at(6))
    tally.count(20, at(5))
    assert tally.units == 19


changes = st.lists(st.tuples(st.booleans(), st.integers(0, 50)), min_size=1, max_size=5)


@settings(max_examples=60, deadline=None)
@given(changes)
def test_the_order_in_which_changes_are_told_does_not_matter(told: list[tuple[bool, int]]) -> None:
    moved = [(is_count, units, at(minute)) for minute, (is_count, units) in enumerate(told)]
    ends = set()
    for order in permutations(moved):
        tally = Tally()
        for is_count, units, when in order:
            if is_count:
                tally.count(units, when)
            else:
                tally.adjust(-units, when)
        ends.add(tally.units)
    assert len(ends) == 1
