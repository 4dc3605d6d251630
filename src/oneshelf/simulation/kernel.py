"""Virtual time and a seeded order of steps: the only source of time and chance in a simulated run.

Whatever an engine waits for (the database, a channel, the clock) is a step. As long as steps wait, one of them is drawn
and goes on; only when none waits does time pass, to the next timer. Nothing here depends on the real clock, so the same
seed gives the same run.
"""

from __future__ import annotations

import asyncio
import hashlib
from datetime import datetime, timedelta
from random import Random
from uuid import UUID

from oneshelf.clock import uuid7
from oneshelf.sdk.virtual_time import EPOCH, StalledError, VirtualLoop

__all__ = ["EPOCH", "Kernel", "SimulatedClock", "StalledError", "all_leave"]


class Kernel:
    """One run. `note` adds to its trace, whose hash two runs of a seed have in common."""

    def __init__(self, seed: str) -> None:
        self.random = Random(f"{seed}:order")  # noqa: S311  # a run that can be repeated, not a secret
        self._ids = Random(f"{seed}:ids")  # noqa: S311  # as above
        self.now_s = 0.0
        self.step_count = 0
        self.lines: list[str] | None = None
        self._trace = hashlib.sha256()
        self._waiting: list[asyncio.Future[None]] = []
        self.loop = VirtualLoop(self)

    @property
    def trace(self) -> str:
        """The hash of all that was noted until now."""
        return self._trace.hexdigest()

    def note(self, line: str) -> None:
        """Something happened."""
        text = f"{self.now_s:.6f} {line}\n"
        self._trace.update(text.encode())
        if self.lines is not None:
            self.lines.append(text)

    async def step(self) -> None:
        """Let chance decide who goes on."""
        turn: asyncio.Future[None] = self.loop.create_future()
        self._waiting.append(turn)
        await turn
        self.step_count += 1

    def new_id(self) -> UUID:
        return uuid7(unix_ms=int(EPOCH.timestamp() * 1000 + self.now_s * 1000), randomness=self._ids.randbytes(10))

    def pass_time(self, timeout: float | None) -> None:
        """Nothing is ready: the next step, or the next timer."""
        while self._waiting:
            turn = self._waiting.pop(self.random.randrange(len(self._waiting)))
            if not turn.done():
                turn.set_result(None)
                return
        if timeout is None:
            raise StalledError("everybody waits, and no timer runs")
        self.now_s += timeout


async def all_leave() -> None:
    """What still waits is ended, so that nothing is left of this run."""
    others = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)


class SimulatedClock:
    """The clock of one node or channel. `ahead_s`: how far it is from the true time, which nobody knows."""

    def __init__(self, kernel: Kernel, *, ahead_s: float = 0.0) -> None:
        self._kernel = kernel
        self.ahead_s = ahead_s

    def now(self) -> datetime:
        return EPOCH + timedelta(seconds=self._kernel.now_s + self.ahead_s)

    def monotonic(self) -> float:
        return self._kernel.now_s

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

    def new_id(self) -> UUID:
        return self._kernel.new_id()
