"""What a channel is believed to do follows from what was tried, and from nothing else."""

from __future__ import annotations

from itertools import permutations

import pytest

from oneshelf.domain.probing import Ability, Check, Verdict, shown

HOLDS, FAILS, UNKNOWN = Verdict


def check(verdict: Verdict, ability: Ability | None = Ability.COMPARE) -> Check:
    return Check(what="w", tried="t", seen="s", verdict=verdict, took_ms=1.0, ability=ability)


@pytest.mark.parametrize(
    ("verdicts", "said"),
    [
        ((), None),
        ((HOLDS,), HOLDS),
        ((HOLDS, HOLDS), HOLDS),
        ((FAILS,), FAILS),
        ((HOLDS, HOLDS, FAILS), FAILS),
        ((UNKNOWN,), None),
        ((HOLDS, UNKNOWN), None),
        ((FAILS, UNKNOWN), FAILS),
        ((FAILS, UNKNOWN, HOLDS), FAILS),
    ],
)
def test_one_failure_outweighs_all_that_holds_and_what_could_not_be_tried_changes_nothing(
    verdicts: tuple[Verdict, ...], said: Verdict | None
) -> None:
    for order in permutations(verdicts):
        found = shown([check(verdict) for verdict in order])
        assert (found[Ability.COMPARE].verdict if found else None) is said


def test_each_ability_is_shown_by_its_own_checks() -> None:
    checks = [check(FAILS), check(HOLDS, Ability.KEY), check(FAILS, None), check(UNKNOWN, None)]
    assert {ability: one.verdict for ability, one in shown(checks).items()} == {
        Ability.COMPARE: FAILS,
        Ability.KEY: HOLDS,
    }
