"""Each planted bug is found, by the seed that is known to find it; and what is planted is taken out again."""

from __future__ import annotations

from functools import cache

import pytest

from oneshelf.domain import ledger
from simulation.engine import SEEDS_MAX, Find, read, violation_of
from simulation.mutants import BY_NAME, MUTANTS, Mutant, planted

FOUND = read("bugs")["found"]
# Those that show soonest; `make simulate` looks for all of them.
QUICK = sorted(FOUND, key=lambda name: FOUND[name]["seconds"])[:8]


@cache
def honest_violation(dsn: str, find: Find, mode: str, faults: str, shape: str) -> str:
    """What is wrong there where nothing is planted."""
    return violation_of(dsn, find, Mutant(name="", where="", old="", new="", mode=mode, faults=faults, shape=shape))


@pytest.mark.long(but_one_in=4)
@pytest.mark.pg
@pytest.mark.timeout(600)
@pytest.mark.parametrize("name", QUICK)
def test_a_planted_bug_is_found(dsn: str, name: str) -> None:
    mutant = BY_NAME[name]
    find = Find(**{field: FOUND[name][field] for field in Find._fields if field in FOUND[name]})
    assert not honest_violation(dsn, find, mutant.mode, mutant.faults, mutant.shape), (
        "it is the bug that is found, and not something else"
    )
    tries = [find] if find.scenario else [find._replace(seed=seed) for seed in range(find.seed, find.seed + 3)]
    with planted(mutant):
        assert any(violation_of(dsn, one, mutant) for one in tries)


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_a_planted_bug_fits_the_source_and_leaves_no_trace(mutant: Mutant) -> None:
    before = ledger.fill
    with planted(mutant):
        pass
    assert ledger.fill is before


def test_the_known_finds_are_of_these_bugs() -> None:
    assert sorted(FOUND) == sorted(BY_NAME)
    assert len(FOUND) >= 51
    assert all(1 <= one["seed"] <= SEEDS_MAX for one in FOUND.values())
