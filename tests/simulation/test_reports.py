"""Reports of days are put together state by state of the code."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from oneshelf.simulation import many
from simulation.engine import NOT_LIVED, joined


def part(code: str, seeds: list[list[int]], **more: Any) -> dict[str, Any]:
    runs = sum(last - first + 1 for first, last in seeds)
    nothing = many.as_document(many.Tally(), seconds=10.0, seeds=[0], machine="two cores")
    return {**nothing, "code": code, "seeds": seeds, "runs": runs, **more}


def test_states_of_the_code_are_counted_together_and_none_of_their_failures_is_lost() -> None:
    failure = {"seed": 7, "violation": "a unit is gone", "replay": "…"}
    before = part("a", [[1, 5], [7, 7]], failures=[failure], hits={"crash": 3, "clock": 1}, settled_s_max=9.0)
    after = part("b", [[6, 8]], hits={"crash": 2}, settled_s_max=4.0)
    total = joined([before, after])
    assert total["seeds"] == [[1, 8]]
    assert (total["runs"], total["seconds"], total["settled_s_max"]) == (9, 20.0, 9.0)
    assert total["hits"] == {"clock": 1, "crash": 5}
    assert total["failures"] == [failure]
    assert before["runs"] == 6


def test_no_days_at_all_are_no_days() -> None:
    assert joined([])["runs"] == 0


@pytest.mark.long
@pytest.mark.pg
def test_what_no_day_runs_is_not_part_of_the_code_that_a_report_names(dsn: str) -> None:
    """The days of a report count for the code that they ran, whatever has become of pages and commands since."""
    day = """
import inspect, sys
from oneshelf.simulation.run import live
awaited = set()
def note(frame, event, _):
    if event == "call" and frame.f_code.co_flags & inspect.CO_COROUTINE:
        awaited.add(frame.f_code.co_filename)
sys.setprofile(note)
assert live(sys.argv[1], 3, active_s=12.0).events > 500
sys.setprofile(None)
loaded = [module for name, module in sys.modules.items() if name.startswith(("oneshelf.cli.", "oneshelf.demo."))]
print(*awaited, *(module.__file__ for module in loaded))
"""
    told = subprocess.run([sys.executable, "-c", day, dsn], capture_output=True, text=True, check=True)
    home = Path(many.__file__).parents[1]
    files = {Path(name) for name in told.stdout.splitlines()[-1].split()}
    lived = {file.relative_to(home).as_posix() for file in files if home in file.parents}
    assert {"web/webhooks.py", "flow/push.py", "workers/supervisor.py"} < lived
    assert [file for file in lived if file.startswith(NOT_LIVED)] == []
