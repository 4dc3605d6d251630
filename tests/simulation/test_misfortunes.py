"""What goes wrong at the worst moment goes wrong, and the engine comes through it."""

from __future__ import annotations

import pytest

from oneshelf.simulation.misfortunes import MISFORTUNES
from oneshelf.simulation.run import live
from oneshelf.simulation.scene import MISSED
from simulation.mutants import MUTANTS

# Those that are over soonest; `make simulate ARGS="--only crashes"` plays all, and kills the engine in each.
QUICK = (
    "an order is announced after its cancellation",
    "a cut meets a sale",
    "the engine dies with a cut in its hands",
    "one of two listings is cut and the other raised",
    "a unit comes back while a raise is answered",
)


@pytest.mark.long
@pytest.mark.pg
@pytest.mark.timeout(600)
@pytest.mark.parametrize("name", QUICK)
def test_the_engine_comes_through_it(dsn: str, name: str) -> None:
    outcome = live(dsn, 1, scenario=name)
    assert outcome.violation == ""
    assert not outcome.sometimes[MISSED]


def test_for_each_of_them_a_bug_is_planted_that_does_not_come_through() -> None:
    assert MISFORTUNES.keys() <= {mutant.scenario for mutant in MUTANTS}
