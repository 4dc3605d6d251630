"""What a count had seen: before its instant, after it, or too close to tell."""

from __future__ import annotations

from datetime import timedelta

import pytest

from domain.shop import BERLIN, NOON
from oneshelf.domain.account import Outside, StockState
from oneshelf.domain.command import CountedFigure
from oneshelf.domain.seen import (
    Begun,
    Certainty,
    LookedBack,
    Moved,
    Since,
    certainty,
    since_begun,
    since_instant,
)

ON_HAND, UNSHIPPED, AVAILABLE = CountedFigure.ON_HAND, CountedFigure.UNSHIPPED, CountedFigure.AVAILABLE
FREE, PROMISED, BROKEN, COMING = (
    StockState.AVAILABLE,
    StockState.COMMITTED,
    StockState.DAMAGED,
    StockState.INCOMING,
)


@pytest.mark.parametrize(
    ("seconds", "error_s", "known"),
    [
        (-6, 5, Certainty.SEEN),
        (-5, 5, Certainty.SEEN),
        (-4, 5, Certainty.AMBIGUOUS),
        (5, 5, Certainty.AMBIGUOUS),
        (6, 5, Certainty.NOT_SEEN),
        (0, 0, Certainty.SEEN),
        (1, 0, Certainty.NOT_SEEN),
    ],
)
def test_what_lies_within_the_error_of_the_clock_is_in_doubt(seconds: int, error_s: int, known: Certainty) -> None:
    assert certainty(NOON + timedelta(seconds=seconds), NOON, error_s=error_s) is known


@pytest.mark.parametrize(
    ("origin", "target", "changes"),
    [
        (Outside.SUPPLIER, FREE, {ON_HAND: 3, UNSHIPPED: 3, AVAILABLE: 3}),
        (FREE, PROMISED, {ON_HAND: 0, UNSHIPPED: 0, AVAILABLE: -3}),
        (PROMISED, Outside.CUSTOMER, {ON_HAND: -3, UNSHIPPED: -3, AVAILABLE: 0}),
        (FREE, BROKEN, {ON_HAND: 0, UNSHIPPED: -3, AVAILABLE: -3}),
        (BROKEN, Outside.SHRINKAGE, {ON_HAND: -3, UNSHIPPED: 0, AVAILABLE: 0}),
        (FREE, StockState.SAFETY_STOCK, {ON_HAND: 0, UNSHIPPED: 0, AVAILABLE: -3}),
        (Outside.SUPPLIER, COMING, {ON_HAND: 0, UNSHIPPED: 0, AVAILABLE: 0}),
        (COMING, FREE, {ON_HAND: 3, UNSHIPPED: 3, AVAILABLE: 3}),
    ],
)
def test_each_figure_follows_its_own_movements(
    origin: StockState | Outside, target: StockState | Outside, changes: dict[CountedFigure, int]
) -> None:
    assert {figure: Moved(3, origin, target).change(figure) for figure in CountedFigure} == changes


def test_in_doubt_the_lower_figure_is_taken() -> None:
    came, left = Moved(4, Outside.SUPPLIER, FREE, True), Moved(3, FREE, Outside.SHRINKAGE, True)
    surely = Moved(1, FREE, Outside.SHRINKAGE)
    back = LookedBack(moved=(came, left), first_at=NOON)
    assert since_instant(back, [surely], ON_HAND) == Since(units=-4, units_ambiguous=7)
    # Since the beginning: 4 came and 3 left, told late, and nobody knows whether the count had seen them.
    then, now = dict.fromkeys(StockState, 0), {**dict.fromkeys(StockState, 0), FREE: 1}
    begun = Begun(location=BERLIN, begun_at=NOON, units=then, seen_anyway=(came,))
    assert since_begun(begun, now, [left], ON_HAND) == Since(units=-3, units_ambiguous=7)
