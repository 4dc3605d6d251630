"""The simulation finds what it looks for, and says how to see it again."""

from __future__ import annotations

import pytest

from domain.histories import Tally, live
from domain.machine import Figures
from domain.test_ledger_machine import PureMachine


class LosesUnits(PureMachine):
    """A ledger that forgets a unit on its way between two locations."""

    def accounts(self) -> Figures:
        books = super().accounts()
        for of_sku in books.values():
            if of_sku.get("in_transit", 0) > 1:
                of_sku["in_transit"] -= 1
        return books


@pytest.mark.long
def test_a_disagreement_names_its_seed_and_the_shortest_history() -> None:
    tally = Tally()
    with pytest.raises(AssertionError) as found:
        live(LosesUnits, tally, seed=9, steps=10_000)
    said = "\n".join(found.value.__notes__)
    assert "seed 9, part" in said
    assert "dispatch(" in said
    # Goods must be there, and leave. Whatever else had happened before is gone, or became mere waiting.
    happened = [line.strip() for line in said.splitlines() if line.strip().startswith("state.")]
    assert sum(not line.startswith("state.wait(") for line in happened) <= 4, said


def test_as_many_steps_are_taken_as_were_asked_for() -> None:
    tally = Tally()
    live(PureMachine, tally, seed=9, steps=500)
    assert 500 <= tally.steps < 700
    assert tally.steps == sum(tally.met.values())
