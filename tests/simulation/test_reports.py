"""Reports of days are put together state by state of the code."""

from __future__ import annotations

from typing import Any

from oneshelf.simulation import many
from simulation.engine import joined


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
