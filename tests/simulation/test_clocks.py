"""Last write wins loses updates, the others do not; `make simulate ARGS="--only clocks"` plays thousands of these."""

from __future__ import annotations

import pytest

from simulation.clock_kinds import KINDS
from simulation.clock_rows import (
    CHANGES,
    HYBRID,
    LEADER,
    LOSE_NOTHING,
    PAGE,
    PICTURE,
    RUNS,
    VECTORS,
    WALL,
    judge,
    picture,
    played,
    section,
)
from simulation.clocks import SHAPES, Cell
from simulation.engine import read

SEEDS = range(1, 21)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("skew_s", [0.0, 2.0])
@pytest.mark.parametrize("reorder_s", [0.0, 10.0])
def test_only_last_write_wins_loses_updates(shape: str, skew_s: float, reorder_s: float) -> None:
    rows = {kind: played(Cell(kind, shape, skew_s, reorder_s), SEEDS) for kind in KINDS}
    judge(list(rows.values()))
    assert rows[WALL]["lost"] > 0
    assert rows[HYBRID]["lost"] > 0
    assert [rows[kind]["lost"] for kind in (LEADER, VECTORS, CHANGES)] == [0, 0, 0]
    assert rows[VECTORS]["runs_open"] > 0, "what was written at once is shown"


def test_clocks_that_differ_by_2_s_bury_what_was_written_with_the_winner_known() -> None:
    assert played(Cell(WALL, "middleware", 2.0, 0.0), SEEDS)["buried"] > 0
    assert played(Cell(HYBRID, "middleware", 2.0, 0.0), SEEDS)["buried"] == 0


@pytest.mark.parametrize("kind", LOSE_NOTHING)
def test_who_looks_at_no_clock_does_the_same_at_every_skew(kind: str) -> None:
    exact, wrong = (played(Cell(kind, "hub", skew_s, 5.0), SEEDS) for skew_s in (0.0, 2.0))
    assert {**exact, "skew_s": 2.0} == wrong


def test_the_page_shows_the_last_report_and_that_is_of_enough_runs() -> None:
    report = read("clocks")
    assert report["runs"] >= RUNS
    judge(report["rows"])
    out_of_date = 'the page is out of date: make simulate ARGS="--only clocks"'
    assert "\n".join(section(report)) in PAGE.read_text(), out_of_date
    assert PICTURE.read_text() == picture(report["rows"]), out_of_date
