"""The leader's newest version stands; a contradiction is shown and never resolved by itself."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from domain.version.laws import holds, is_broken, merge_law
from domain.version.strategies import SOURCES, randoms, rows
from oneshelf.domain.version.leader import Equivocation, LedFigure, Told, Version, led

told = rows(2, 3, 3, 3, most=6).map(
    lambda drawn: [led(SOURCES[at], units, epoch=epoch, number=number) for units, epoch, number, at in drawn]
)
FIRST = led("erp", 0, epoch=0, number=0)


def newer(one: LedFigure, two: LedFigure) -> LedFigure:
    """Wrong: of two that say something under the same version one is silently taken."""
    return max(one, two, key=lambda figure: figure.version)


@pytest.mark.long
def test_any_order_duplication_and_batching_ends_the_same() -> None:
    holds(merge_law(FIRST, LedFigure.merge, LedFigure.merge), told, randoms)


def test_a_merge_that_takes_the_newer_and_of_equals_the_first_is_caught() -> None:
    is_broken(merge_law(FIRST, newer, newer), told, randoms)


def contradiction_law(merge: Callable[[LedFigure, LedFigure], LedFigure]) -> Callable[[list[LedFigure]], None]:
    """A contradiction of the newest version, or a second leader of its epoch, is always seen."""

    def law(told: list[LedFigure]) -> None:
        if not told:
            return
        merged = told[0]
        for one in told:
            merged = merge(merged, one)
        newest = max(one.version for one in told)
        said = {one for each in told if each.version == newest for one in each.told}
        leaders = {one.leader for each in told if each.version.epoch == newest.epoch for one in each.told}
        if len(said) == len(leaders) == 1:
            assert merged.read() == next(iter(said)).units
        else:
            assert merged.read() == Equivocation(newest, tuple(sorted(said)), tuple(sorted(leaders)))

    return law


@pytest.mark.long
def test_a_contradiction_of_the_newest_version_is_always_seen() -> None:
    holds(contradiction_law(LedFigure.merge), told)
    is_broken(contradiction_law(newer), told)


def test_what_comes_late_is_not_heard() -> None:
    newest = led("erp", 7, epoch=1, number=2)
    assert newest.merge(led("erp", 9, epoch=1, number=1)).read() == 7


def test_a_new_leader_fences_the_old_one() -> None:
    old, new = led("erp", 7, epoch=1, number=900), led("wms", 4, epoch=2, number=1)
    assert old.merge(new).read() == 4
    assert new.merge(led("erp", 6, epoch=1, number=901)).read() == 4


def test_two_figures_under_one_version_are_no_figure() -> None:
    both = led("erp", 7, epoch=1, number=2).merge(led("erp", 8, epoch=1, number=2))
    assert both.read() == Equivocation(Version(1, 2), (Told("erp", 7), Told("erp", 8)), ("erp",))
    assert both.merge(led("erp", 9, epoch=1, number=3)).read() == 9


def test_two_leaders_of_one_epoch_are_no_figure() -> None:
    both = led("erp", 7, epoch=1, number=2).merge(led("wms", 7, epoch=1, number=1))
    assert isinstance(both.read(), Equivocation)
    assert both.merge(led("erp", 7, epoch=2, number=1)).read() == 7
