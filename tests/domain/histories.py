"""Many lives of a ledger from one seed. Each thing that happens in them is counted, with what was answered."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import get_args

import hypothesis
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from domain.machine import LedgerMachine
from oneshelf.domain.command import Command
from oneshelf.domain.order import OrderSnapshot
from oneshelf.domain.outcome import Outcome
from oneshelf.errors import InvariantError

TOLD, WAITED = "an order told", "time passes"
STEPS_EACH = 40
HISTORIES_AT_ONCE = 60

COMMANDS = frozenset(kind.__name__ for kind in get_args(Command))
OUTCOMES = frozenset(kind.__name__ for kind in get_args(Outcome))
# What the machine never meets, each with where it is met instead.
ELSEWHERE = {
    "UnknownSku": "names are looked up in the catalogue before the rules are asked: tests/flow/test_commands.py",
    "UnknownLocation": "as UnknownSku",
    "KeyReused": "keys are kept by the database: tests/flow/test_ledger_machine.py",
    "NoSuchReservation": "the machine names only reservations that it was given: tests/flow/test_reservations.py",
    "AnsweredBefore": "answers are forgotten by the housekeeping: tests/flow/test_answers.py",
    "Counted": "what a count had seen is read from the database: tests/flow/test_ledger_machine.py",
    "NoSuchCount": "as Counted: tests/flow/test_counts.py",
    "CountOutdated": "as Counted: tests/flow/test_counts.py",
    "BeforeHistory": "as Counted: tests/flow/test_counts.py",
    "InFuture": "the machine has one clock: tests/flow/test_counts.py",
    "NoRecipe": "recipes are kept by the database: tests/flow/test_kits.py",
    "OtherRecipe": "as NoRecipe",
    "NoRoom": "takes more units than the machine ever moves: tests/domain/test_commands.py",
}


@dataclass
class Tally:
    """(what happened, what was answered) -> how often. Each is a step: both ledgers took it and were compared."""

    met: Counter[tuple[str, str]] = field(default_factory=Counter)
    histories: int = 0

    @property
    def steps(self) -> int:
        return self.met.total()

    def add(self, other: Tally) -> None:
        self.met.update(other.met)
        self.histories += other.histories

    def missed(self) -> set[str]:
        """Kinds of commands that were never asked, and of answers that were never given."""
        to_be_met = {*COMMANDS, *OUTCOMES, TOLD, WAITED} - set(ELSEWHERE)
        return to_be_met - {name for pair in self.met for name in pair}


def counted(machine: type[LedgerMachine], tally: Tally) -> type[LedgerMachine]:
    """The machine, with every step noted in the tally. A bug found by the engine itself is a disagreement, too."""

    class Counted(machine):  # type: ignore[valid-type, misc]  # the class is an argument
        def __init__(self) -> None:
            super().__init__()
            tally.histories += 1

        def ask(self, command: Command) -> Outcome:
            try:
                outcome: Outcome = super().ask(command)
            except InvariantError as bug:
                raise AssertionError(f"{command}: {bug}") from bug
            tally.met[type(command).__name__, type(outcome).__name__] += 1
            return outcome

        def tell(self, snapshot: OrderSnapshot) -> None:
            try:
                super().tell(snapshot)
            except InvariantError as bug:
                raise AssertionError(f"{snapshot}: {bug}") from bug
            tally.met[TOLD, "-"] += 1

        def pass_time(self, seconds: int) -> None:
            super().pass_time(seconds)
            tally.met[WAITED, "-"] += 1

        def present(self) -> datetime:
            instant: datetime = super().present()
            return instant

    return Counted


def live(machine: type[LedgerMachine], tally: Tally, *, seed: int, steps: int, shrinks: bool = True) -> None:
    """Let ledgers live until at least `steps` steps are counted.

    Raises AssertionError where the engine and the paper disagree; the shortest history found is in its notes.
    """
    part = 0
    while tally.steps < steps:
        before = tally.steps
        lives = min(HISTORIES_AT_ONCE, -(-(steps - before) // STEPS_EACH))
        try:
            run_state_machine_as_test(
                hypothesis.seed(seed * 1_000_000 + part)(counted(machine, tally)),
                settings=settings(
                    max_examples=lives,
                    stateful_step_count=STEPS_EACH,
                    deadline=None,
                    database=None,
                    phases=[Phase.generate, Phase.shrink] if shrinks else [Phase.generate],
                    suppress_health_check=list(HealthCheck),
                ),
            )
        except AssertionError as disagreement:
            disagreement.add_note(f"seed {seed}, part {part}, after {before} steps")
            raise
        assert tally.steps > before, f"seed {seed}, part {part}: nothing happened"
        part += 1


def live_until(
    machine: type[LedgerMachine],
    tally: Tally,
    has_met_all: Callable[[], bool],
    *,
    seed: int,
    steps: int,
    shrinks: bool = True,
) -> None:
    """Let ledgers live for so many steps, and go on until all was met that is to be: for ten times as many at most.

    What a step meets may depend on when it is taken, and so on the machine.
    """
    for number in range(10):
        live(machine, tally, seed=seed + 1_000 * number, steps=steps * (number + 1), shrinks=shrinks)
        if has_met_all():
            return
