"""The suite can fail: each bug planted in the eBay connector is caught, by the check that one would expect."""

from __future__ import annotations

from pathlib import Path

import pytest

from oneshelf.sdk.conformance.check import CHECKS
from oneshelf.sdk.conformance.run import Verdict, run_check
from oneshelf.sdk.kinds import load_kinds
from simulation.mutants import Mutant, mutants_in, planted

MUTANTS = mutants_in(Path(__file__).parent / "ebay_mutants.toml")


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_a_planted_bug_is_caught_by_the_check_for_it(mutant: Mutant) -> None:
    kind, check = load_kinds()["ebay"], CHECKS[mutant.caught_by]
    with planted(mutant):
        result = run_check(kind, check)
    assert result.verdict is Verdict.FAILED, "the bug was not caught"
    assert run_check(kind, check).verdict is Verdict.RUN, "it is the bug that was caught, and not something else"
