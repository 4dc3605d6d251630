"""Numbers of a device, in any order, and what a wrong clock may say."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from random import Random
from time import process_time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oneshelf.domain.device import OFFLINE_MAX, Numbers, instants

NOON = datetime(2026, 11, 26, 12, tzinfo=UTC)
BATCHES = st.lists(st.tuples(st.sets(st.integers(1, 30), max_size=8), st.integers(0, 32)), max_size=8)


def missing(numbers: Numbers) -> set[int]:
    return {number for gap in numbers.gaps for number in range(gap.first, gap.last + 1)}


@given(BATCHES)
def test_what_is_missing_is_what_was_used_and_not_told(batches: list[tuple[set[int], int]]) -> None:
    numbers, told, used = Numbers(), set[int](), 0
    for batch, said in batches:
        numbers = numbers.heard(batch, used=said, now=NOON)
        told |= batch
        used = max(used, said, *batch, 0)
        assert numbers.highest == used
        assert missing(numbers) == set(range(1, used + 1)) - told
        assert all(gap.size > 0 for gap in numbers.gaps)
        assert sum(gap.size for gap in numbers.gaps) == len(missing(numbers)), "two gaps overlap"


@given(BATCHES, st.randoms(use_true_random=False))
def test_any_order_ends_the_same(batches: list[tuple[set[int], int]], chance: Random) -> None:
    shuffled = list(batches)
    chance.shuffle(shuffled)
    ends = []
    for order in (batches, shuffled):
        numbers = Numbers()
        for batch, said in order:
            numbers = numbers.heard(batch, used=said, now=NOON)
        ends.append((numbers.highest, missing(numbers)))
    assert ends[0] == ends[1]


def test_the_other_half_of_a_shuffled_evening_costs_no_look_at_every_gap() -> None:
    began = process_time()
    numbers = Numbers().heard(range(2, 40_001, 2), now=NOON).heard(range(1, 40_001, 2), now=NOON)
    assert (numbers.highest, numbers.gaps) == (40_000, ())
    assert process_time() - began < 5


def test_a_gap_is_as_old_as_its_first_notice() -> None:
    later = NOON + timedelta(hours=1)
    numbers = Numbers().heard([5], now=NOON).heard([3], now=later).heard([9], now=later)
    assert [(gap.first, gap.last, gap.noticed_at) for gap in numbers.gaps] == [
        (1, 2, NOON),
        (4, 4, NOON),
        (6, 8, later),
    ]


@pytest.mark.parametrize(
    ("at", "sent_at", "placed", "left", "came"),
    [
        (NOON - timedelta(hours=2), None, -7200, -7140, -7260),
        (NOON - timedelta(seconds=10), None, -10, 0, -70),  # nothing has left after it was told
        (NOON + timedelta(hours=1), None, 0, 0, -60),  # nor will it in an hour
        (NOON + timedelta(hours=3), NOON + timedelta(hours=5), -7200, -7140, -7260),  # its clock is 5 hours ahead
        (datetime(1999, 1, 1, tzinfo=UTC), None, 0, 0, -OFFLINE_MAX.total_seconds()),
    ],
)
def test_a_clock_is_believed_as_far_as_it_lowers_the_figure(
    at: datetime, sent_at: datetime | None, placed: float, left: float, came: float
) -> None:
    when = instants(at, received_at=NOON, sent_at=sent_at, error_s=60)
    found = [(one - NOON).total_seconds() for one in (when.placed_at, when.left_at, when.came_at)]
    assert found == [placed, left, came]
