"""What every workload is: buyers or clerks with one wish, and a verdict when all is healed."""

from __future__ import annotations

from random import Random
from typing import Protocol

from simulation.cluster.history import History
from simulation.cluster.till import Till


class Workload(Protocol):
    """`name` and the round go into its SKUs, so rounds do not meet. `clients` of them `step` at the same time.

    `words`: the outcomes that it has met before a round ends, however slow the machine is.
    """

    name: str
    clients: int
    words: frozenset[str]
    history: History

    async def prepare(self, till: Till) -> None:
        """Name what it needs, before anything goes wrong."""

    async def step(self, till: Till, chance: Random) -> None:
        """One client asks once."""

    async def verdict(self, till: Till) -> list[str]:
        """All complaints, once everything is well again."""
