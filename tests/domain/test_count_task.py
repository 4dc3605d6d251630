"""What a figure that somebody has entered means, and which differences a person looks at."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.shop import BERLIN, MUG
from oneshelf.domain.count_task import CountWish, Judged, Threshold, count_of, judge
from oneshelf.errors import MalformedError

units = st.integers(0, 50)


def judged(counted: int, begun: int, entered: int, **threshold: int) -> Judged:
    return judge(units_counted=counted, units_begun=begun, units_entered=entered, threshold=Threshold(**threshold))


@pytest.mark.parametrize("counted", [10, 9])
def test_a_figure_that_fits_either_end_of_the_counting_is_no_difference(counted: int) -> None:
    """A parcel left meanwhile: nobody asks whether it was counted before or after."""
    told = judged(counted, begun=10, entered=9)
    assert (told.variance_units, told.is_doubtful, told.passes) == (0, False, True)
    assert told.is_as_begun is (counted == 10)


def test_a_figure_that_fits_neither_end_is_looked_at_whatever_the_threshold() -> None:
    told = judged(8, begun=10, entered=7, units=100)
    assert (told.variance_units, told.is_as_begun, told.is_doubtful, told.passes) == (1, False, True, False)


@pytest.mark.parametrize(
    ("counted", "threshold", "passes"),
    [
        (100, {}, True),
        (99, {}, False),
        (98, {"units": 2}, True),
        (97, {"units": 2}, False),
        (95, {"percent": 5}, True),
        (106, {"percent": 5}, False),
        (95, {"units": 2, "percent": 5}, True),
    ],
)
def test_a_small_difference_passes(counted: int, threshold: dict[str, int], passes: bool) -> None:
    assert judged(counted, begun=100, entered=100, **threshold).passes is passes


@given(counted=units, begun=units, entered=units)
def test_the_difference_is_to_the_end_that_is_nearer(counted: int, begun: int, entered: int) -> None:
    told = judged(counted, begun, entered)
    taken = begun if told.is_as_begun else entered
    assert told.variance_units == counted - taken
    assert abs(told.variance_units) == min(abs(counted - begun), abs(counted - entered))
    assert told.passes is (told.variance_units == 0)


def test_a_count_that_is_posted_again_has_the_same_key() -> None:
    from uuid import UUID

    def made(round_: int) -> str:
        return count_of(task="c1", sku=MUG, round_=round_, location=BERLIN, units=3, token=UUID(int=7)).key.key

    assert made(1) == made(1) != made(2)


@pytest.mark.parametrize(
    ("wish", "words"),
    [
        ({"task": "a/b"}, "slash"),
        ({"limit": 0}, "1 to 10000"),
        ({"skus": (MUG,), "pattern": "M*"}, "not both"),
    ],
)
def test_what_cannot_be_counted_is_refused(wish: dict[str, object], words: str) -> None:
    with pytest.raises(MalformedError, match=words):
        CountWish(**{"task": "c1", "location": BERLIN, **wish})  # type: ignore[arg-type]  # keywords of several types


@pytest.mark.parametrize("threshold", [{"units": -1}, {"percent": 101}])
def test_a_threshold_is_a_share_or_units(threshold: dict[str, int]) -> None:
    with pytest.raises(MalformedError, match="threshold"):
        Threshold(**threshold)
