"""The own time of a simulated channel, on a clock that a test turns."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from oneshelf.sdk.simulator import Action, Simulator


class Life:
    """A simulated channel that acts at its own instants, where `Simulator.run` would look fifty times a second."""

    def __init__(self, simulator: Simulator, tasks: asyncio.TaskGroup) -> None:
        self._simulator = simulator
        self._tasks = tasks
        self._begun: set[asyncio.Task[None]] = set()

    @property
    def next_at(self) -> float:
        """The monotonic instant before which nothing happens of itself."""
        return self._simulator.next_due_at

    def act(self) -> None:
        """Begin what is due now."""
        for action in self._simulator.due():
            task = self._tasks.create_task(_awaited(action))
            self._begun.add(task)
            task.add_done_callback(self._begun.discard)

    def end(self) -> None:
        for task in self._begun:
            task.cancel()


async def _awaited(action: Action) -> None:
    await action()


@asynccontextmanager
async def living(simulator: Simulator, lives: list[Life]) -> AsyncIterator[None]:
    """Within the block the channel is one of these lives."""
    async with asyncio.TaskGroup() as tasks:
        life = Life(simulator, tasks)
        lives.append(life)
        try:
            yield
        finally:
            lives.remove(life)
            life.end()


def next_of(lives: list[Life], sleeper_at: float) -> float:
    """When the next of them acts, or the next sleeper wakes."""
    return min([sleeper_at, *(life.next_at for life in lives)])
