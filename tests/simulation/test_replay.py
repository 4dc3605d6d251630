"""The command that a failing day prints lives that day again, to the byte."""

from __future__ import annotations

import shlex
import subprocess
import sys

import msgspec
import pytest

from oneshelf.simulation import many
from oneshelf.simulation.faults import BY_NAME, HEAVY, OFF
from oneshelf.simulation.outcome import Outcome
from oneshelf.simulation.run import live
from simulation import mutants

pytestmark = [pytest.mark.pg, pytest.mark.timeout(600)]

SHORT_S = 3.0


def test_the_command_that_a_short_day_prints_lives_it_again(dsn: str) -> None:
    lived = live(dsn, 103, kinds=("amazon",), active_s=SHORT_S)
    tally = many.Tally()
    tally.add(lived)
    program, *arguments = shlex.split(many.replay_command(lived))
    assert program == "oneshelf"
    command = [sys.executable, "-m", "oneshelf.cli", *arguments, "--workers", "1", "--json"]
    again = subprocess.run(command, check=True, capture_output=True)
    report = msgspec.json.decode(again.stdout)
    assert report["digest"] == tally.digest
    assert report["events"] == lived.events > 500
    assert report["orders"] == lived.orders > 0


def test_a_short_day_that_is_made_small_stays_short(dsn: str) -> None:
    grades = {**dict.fromkeys(BY_NAME, OFF), "slow": HEAVY}
    with mutants.planted(mutants.BY_NAME["reserved units are not written"]), many.workplace() as directory:
        broken = live(dsn, 202, grades=grades, kinds=("ebay",), active_s=SHORT_S)
        smallest = many.shrunk(directory, broken, tell=lambda _: None)
    assert broken.violation
    assert smallest.violation
    wanted = "oneshelf simulate --seeds 1 --seed 202 --channels ebay --seconds 3.0 --faults none"
    assert many.replay_command(smallest) == wanted


def test_a_whole_day_of_a_drawn_shop_is_repeated_by_its_seed_and_faults() -> None:
    lived = Outcome(5, {**dict.fromkeys(BY_NAME, OFF), "crash": HEAVY})
    assert many.replay_command(lived) == "oneshelf simulate --seeds 1 --seed 5 --faults crash=heavy"
