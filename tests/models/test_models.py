"""The models hold within their bounds, and each rule in them is needed: without it the checker finds a way to fail."""

from __future__ import annotations

import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from tiers import skip_tier

MODELS = Path(__file__).parents[2] / "docs" / "models"
# Deeper than any run of these models; where one is deeper all the same, its result counts for nothing.
DEPTH = 100_000
MUTANTS = [
    (file.stem, mutant)
    for file in sorted(MODELS.glob("*.pml"))
    for mutant in sorted(set(re.findall(r"MUTANT_[A-Z_]+", file.read_text())))
]


@dataclass(frozen=True, slots=True)
class Search:
    """What the checker found."""

    errors: int
    states: int
    is_complete: bool
    words: str


@pytest.fixture(autouse=True)
def tools() -> None:
    for tool in ("spin", "gcc"):
        if shutil.which(tool) is None:
            skip_tier("spin", f"no {tool} on PATH")


def searched(model: str, place: Path, *options: str, is_long: bool = False) -> Search:
    """Every run of the model within its bounds, or as many as it takes to find one that fails."""
    for command in (
        ["spin", "-a", *(f"-D{option}" for option in options), str(MODELS / f"{model}.pml")],
        # A failing run is found sooner than a good compiler is done.
        ["gcc", "-O1" if is_long else "-O0", "-DSAFETY", "-o", "pan", "pan.c"],
    ):
        made = subprocess.run(command, cwd=place, capture_output=True, text=True, check=False, timeout=600)
        assert made.returncode == 0, made.stdout + made.stderr
    done = subprocess.run(
        ["./pan", f"-m{DEPTH}", "-n", "-w22"], cwd=place, capture_output=True, text=True, check=False, timeout=600
    )
    words = done.stdout + done.stderr
    errors = re.search(r"errors: (\d+)", words)
    states = re.search(r"(\d+) states, stored", words)
    assert errors, words
    assert states, words
    is_complete = not re.search(r"max search depth too small|Search not completed|out of memory", words)
    return Search(int(errors[1]), int(states[1]), is_complete, words)


@pytest.mark.long
@pytest.mark.parametrize(
    ("model", "options", "states_least"),
    [("push", ["EXACT"], 1_000_000), ("lease", [], 10_000), ("rights", [], 400_000)],
)
def test_no_run_within_the_bounds_breaks_the_property(
    model: str, options: list[str], states_least: int, tmp_path: Path
) -> None:
    found = searched(model, tmp_path, *options, is_long=True)
    print(f"{model}: {found.states} states")
    assert found.errors == 0, found.words
    assert found.is_complete, found.words
    assert found.states >= states_least


@pytest.mark.long(but_one_in=4)
@pytest.mark.parametrize(("model", "mutant"), MUTANTS)
def test_without_one_rule_the_property_is_broken(model: str, mutant: str, tmp_path: Path) -> None:
    found = searched(model, tmp_path, mutant)
    assert found.errors == 1, found.words
    assert "assertion violated" in found.words


def test_every_model_has_its_mutants() -> None:
    by_model = {model: [mutant for owner, mutant in MUTANTS if owner == model] for model, _mutant in MUTANTS}
    assert {model: len(mutants) for model, mutants in by_model.items()} == {"lease": 6, "push": 7, "rights": 13}
