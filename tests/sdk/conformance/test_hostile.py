"""The suite can fail: one broken rule at a time in an honest connector, and each is caught by the check for it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from oneshelf.sdk.conformance.check import CHECKS
from oneshelf.sdk.conformance.run import Verdict, hollow, run_check, untried
from oneshelf.sdk.contract import ConnectorKind
from oneshelf.sdk.kinds import load_kinds
from oneshelf.sdk.quality import RULES, Quality, Standing, quality_of
from oneshelf_corner import CONNECTOR as CORNER
from sdk.conformance.hostile import VIOLATIONS, Hostile, HostileKind, Violation
from simulation.mutants import mutants_in

HONEST: Mapping[str, ConnectorKind] = {**load_kinds(), "corner": CORNER}


@pytest.mark.parametrize("violation", VIOLATIONS, ids=lambda violation: violation.name)
def test_a_broken_rule_is_caught_by_the_check_for_it(violation: Violation) -> None:
    honest = HONEST[violation.of]
    result = run_check(violation.kind(honest), CHECKS[violation.caught_by], quality=quality_of(honest))
    assert result.verdict is Verdict.FAILED, "the violation was not caught"


def test_the_wrapping_alone_breaks_nothing() -> None:
    """So it is the violation that is caught, and not that something stands around the connector."""
    caught = {violation.caught_by for violation in VIOLATIONS if violation.of == "corner" and not violation.lies}
    for name in sorted(caught - {"it_has_no_clock_and_no_dice_of_its_own"}):
        result = run_check(HostileKind(CORNER, Hostile), CHECKS[name], quality=quality_of(CORNER))
        assert result.verdict is Verdict.RUN, f"{name}: {result.words}"


def test_each_check_has_been_seen_to_fail() -> None:
    """A check that nothing breaks is no check."""
    files = Path(__file__).parent.glob("*_mutants.toml")
    planted = {mutant.caught_by for file in files for mutant in mutants_in(file)}
    assert set(CHECKS) - planted - {violation.caught_by for violation in VIOLATIONS} == set()


def test_what_cannot_be_tried_needs_a_reason_in_writing() -> None:
    check = CHECKS["an_order_is_pending_until_its_payment_is_confirmed"]
    assert run_check(CORNER, check, quality=Quality()).verdict is Verdict.FAILED
    excused = run_check(CORNER, check, quality=Quality(cannot_happen={check.name: "paid orders only"}))
    assert (excused.verdict, excused.words) == (Verdict.EXEMPT, "paid orders only")


def test_a_reason_that_is_not_needed_fails() -> None:
    """A reason hides nothing today, and something tomorrow."""
    check = CHECKS["zero_is_zero"]
    assert run_check(CORNER, check, quality=Quality(cannot_happen={check.name: "no"})).verdict is Verdict.FAILED


def test_a_reason_never_excuses_a_broken_rule() -> None:
    (violation,) = (one for one in VIOLATIONS if one.caught_by == "a_foreign_edit_is_read")
    quality = Quality(cannot_happen={violation.caught_by: "no"})
    assert run_check(violation.kind(CORNER), CHECKS[violation.caught_by], quality=quality).verdict is Verdict.FAILED


def test_a_rule_is_not_done_where_no_check_of_it_applies() -> None:
    done = Quality(rules={rule: Standing("done") for rule in RULES})
    assert hollow(HONEST["shopify"], done) == []
    assert hollow(HONEST["amazon"], done) == ["signature-checked", "compare-and-set"]


def test_an_ability_that_only_has_excuses_is_not_tried() -> None:
    proving = [check.name for check in CHECKS.values() if "zombie_s" in check.proves]
    assert untried(CORNER) == []
    assert untried(CORNER, Quality(cannot_happen=dict.fromkeys(proving, "no"))) == ["zombie_s"]
