"""The suite can fail: each bug planted in a connector is caught, by the check that one would expect.

A file `KIND_mutants.toml` holds those of one kind of channel.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from oneshelf.sdk.conformance.check import CHECKS
from oneshelf.sdk.conformance.run import Verdict, run_check
from oneshelf.sdk.kinds import load_kinds
from simulation.mutants import Mutant, mutants_in, planted

PLANTED = [
    pytest.param(file.stem.removesuffix("_mutants"), mutant, id=f"{file.stem.removesuffix('_mutants')}: {mutant.name}")
    for file in sorted(Path(__file__).parent.glob("*_mutants.toml"))
    for mutant in mutants_in(file)
]


@pytest.mark.long(but_one_in=4)
@pytest.mark.parametrize(("kind_name", "mutant"), PLANTED)
def test_a_planted_bug_is_caught_by_the_check_for_it(kind_name: str, mutant: Mutant) -> None:
    kind, check = load_kinds()[kind_name], CHECKS[mutant.caught_by]
    with planted(mutant):
        result = run_check(kind, check)
    assert result.verdict is Verdict.FAILED, "the bug was not caught"
    assert run_check(kind, check).verdict is Verdict.RUN, "it is the bug that was caught, and not something else"
