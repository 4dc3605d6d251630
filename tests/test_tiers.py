"""What `make test` leaves out is what `make test-long` runs, and it is said."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

TESTS = """
import pytest

def test_quick(): ...

@pytest.mark.long
def test_slow(): ...

@pytest.mark.long(but_one_in=5)
@pytest.mark.parametrize("case", range(12))
def test_of_many(case): ...
"""
SHORT = {"test_quick", *(f"test_of_many[{case}]" for case in (0, 5, 10))}
LONG = {"test_slow", *(f"test_of_many[{case}]" for case in (1, 2, 3, 4, 6, 7, 8, 9, 11))}
LEFT_OUT = "LEFT OUT: 10 long tests. `make test-long` runs them, `make test-all` runs everything."


@pytest.fixture
def directory(tmp_path: Path) -> str:
    (tmp_path / "test_some.py").write_text(TESTS)
    (tmp_path / "pytest.ini").write_text("[pytest]\nmarkers = long\n")
    return str(tmp_path)


def printed(directory: str, *options: str) -> str:
    command = [sys.executable, "-m", "pytest", "-p", "tiers", "-p", "no:schemathesis", "-v", *options, "test_some.py"]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parent)}
    return subprocess.run(command, cwd=directory, env=environment, capture_output=True, text=True, check=True).stdout


def passed(output: str) -> set[str]:
    lines = [line for line in output.splitlines() if "PASSED" in line]
    return {word.partition("::")[2] for line in lines for word in line.split() if "::" in word}


@pytest.mark.parametrize("workers", [["-n", "0"], ["-n", "2"]], ids=["alone", "two workers"])
def test_the_long_ones_are_left_out_and_that_is_said(directory: str, workers: list[str]) -> None:
    output = printed(directory, *workers, "--leave-out", "long")
    assert passed(output) == SHORT
    assert LEFT_OUT in output


def test_what_was_left_out_runs_alone(directory: str) -> None:
    output = printed(directory, "--leave-out", "short")
    assert passed(output) == LONG
    assert "LEFT OUT" not in output


def test_without_a_word_everything_runs(directory: str) -> None:
    output = printed(directory)
    assert passed(output) == SHORT | LONG
    assert "LEFT OUT" not in output


def test_only_what_was_asked_for_counts_as_left_out(directory: str) -> None:
    assert "LEFT OUT: 9 long tests." in printed(directory, "-k", "of_many", "--leave-out", "long")
