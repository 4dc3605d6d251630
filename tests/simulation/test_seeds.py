"""The whole engine through short days, from seeds; `make simulate` goes through hundreds of whole ones."""

from __future__ import annotations

from collections import defaultdict

import pytest

from oneshelf.simulation import many
from oneshelf.simulation.faults import BY_NAME, HEAVY, OFF
from oneshelf.simulation.outcome import Outcome, Terms
from oneshelf.simulation.run import live

pytestmark = [pytest.mark.pg, pytest.mark.timeout(600)]

SHORT_S = 12.0
CALM = dict.fromkeys(BY_NAME, OFF)


@pytest.mark.long
@pytest.mark.parametrize(("seed", "mode"), [(1, "guarded"), (7, "pooled")])
def test_the_same_seed_gives_the_same_run(dsn: str, seed: int, mode: str) -> None:
    first, lines = [], []  # type: list[str], list[str]
    one = live(dsn, seed, lines=first, mode=mode, active_s=SHORT_S)
    other = live(dsn, seed, lines=lines, mode=mode, active_s=SHORT_S)
    assert first == lines
    assert one.trace == other.trace
    assert one.events == other.events > 500


@pytest.mark.long
def test_what_was_run_before_in_the_same_sessions_changes_nothing(dsn: str) -> None:
    first = live(dsn, 4, active_s=SHORT_S)
    live(dsn, 5, mode="pooled", active_s=SHORT_S, grades={**CALM, "crash": HEAVY, "deadlock": HEAVY})
    assert live(dsn, 4, active_s=SHORT_S).trace == first.trace


@pytest.mark.long
def test_what_is_run_beside_it_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    traces: defaultdict[int, set[str]] = defaultdict(set)

    class Noted(many.Tally):
        def add(self, outcome: Outcome) -> None:
            traces[outcome.seed].add(outcome.trace)
            super().add(outcome)

    monkeypatch.setattr(many, "Tally", Noted)
    monkeypatch.setenv("PYTHONHASHSEED", many.HASH_SEED)
    with many.workplace() as directory:
        many.simulate(directory, [1380, 1383] * 4, terms=Terms(), workers=2, tell=lambda *_: None)
    assert {seed: len(told) for seed, told in traces.items()} == {1380: 1, 1383: 1}


@pytest.mark.long
def test_another_seed_gives_another_run(dsn: str) -> None:
    one, other = (live(dsn, seed, grades=CALM, mode="pooled", active_s=SHORT_S) for seed in (1, 2))
    assert one.trace != other.trace


@pytest.mark.long
def test_to_ask_for_the_faults_that_a_seed_has_drawn_repeats_its_run(dsn: str) -> None:
    """So that the command which a failure names is the whole story."""
    one = live(dsn, 4, active_s=SHORT_S)
    assert live(dsn, 4, active_s=SHORT_S, grades=one.grades).trace == one.trace


@pytest.mark.long
def test_a_calm_day_is_a_day(dsn: str) -> None:
    outcome = live(dsn, 3, grades=CALM)
    assert outcome.violation == ""
    assert outcome.orders > 5
    assert outcome.commands > 5
    assert not any(count for (fault, _), count in outcome.hits.items() if fault in BY_NAME)


@pytest.mark.long
@pytest.mark.parametrize("fault", ["crash", "commit_unknown", "answer_lost", "webhook_lost"])
def test_a_fault_that_is_asked_for_strikes_and_does_no_harm(dsn: str, fault: str) -> None:
    grades = {**CALM, fault: HEAVY}
    outcomes = [live(dsn, seed, grades=grades, mode="pooled", active_s=SHORT_S) for seed in (4, 5)]
    assert [outcome.violation for outcome in outcomes] == ["", ""]
    assert sum(count for outcome in outcomes for (name, _), count in outcome.hits.items() if name == fault) > 0
