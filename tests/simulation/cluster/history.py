"""What clients asked for and what came of it: the only thing that the checker believes about them."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


class Outcome(StrEnum):
    """How a question ended."""

    OK = "ok"
    REFUSED = "refused"  # it did not happen
    UNKNOWN = "unknown"  # it happened, or not


@dataclass(frozen=True, slots=True)
class Op:
    """One question. `mark` names its effect in the ledger; times are monotonic seconds of the asking machine.

    `word` is what the engine called the outcome, or the fault.
    """

    mark: str
    asked: Mapping[str, Any]
    invoked_s: float
    ended_s: float
    outcome: Outcome
    word: str
    figures: Mapping[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        times = f"{self.invoked_s:.3f} to {self.ended_s:.3f}"
        return f"{self.mark}: {self.outcome} ({self.word}), {times}: {dict(self.asked)} -> {dict(self.figures)}"


class History:
    """Questions in the order in which they ended. Lets others wait for them. What is added here is in `whole` too."""

    def __init__(self, whole: History | None = None) -> None:
        self._whole = whole
        self.ops: list[Op] = []
        self.counts: Counter[Outcome] = Counter()
        self._has_grown = asyncio.Event()

    def add(self, op: Op) -> None:
        self.ops.append(op)
        self.counts[op.outcome] += 1
        self._has_grown.set()
        if self._whole is not None:
            self._whole.add(op)

    async def until_more(self, count: int, outcome: Outcome | None = None, *, at_most_s: float) -> bool:
        """Wait until so many more have ended so; False when that took too long."""
        wanted = self._count(outcome) + count
        with suppress(TimeoutError):
            async with asyncio.timeout(at_most_s):
                while self._count(outcome) < wanted:
                    self._has_grown.clear()
                    await self._has_grown.wait()
        return self._count(outcome) >= wanted

    def _count(self, outcome: Outcome | None) -> int:
        return len(self.ops) if outcome is None else self.counts[outcome]
