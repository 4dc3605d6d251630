"""Runs one step again and again: at once while there is work, else when woken or after a short wait."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass

from oneshelf.errors import DatabaseUnavailableError
from oneshelf.telemetry import get_logger

FAILURE_PAUSE_S_MAX = 10.0

log = get_logger(__name__)


class Pulse:
    """Lets whoever made work wake the step that does it, within this process.

    A wake-up is a courtesy that saves milliseconds. The rows are the queue: a step also looks by itself.
    """

    def __init__(self) -> None:
        self._events: dict[str, asyncio.Event] = {}

    def wake(self, names: Iterable[str]) -> None:
        """Wake these steps: `push shop-1` that one, `push` those of all channels."""
        wanted = set(names)
        for name, event in self._events.items():
            if name in wanted or name.split(" ", 1)[0] in wanted:
                event.set()

    async def wait(self, name: str, *, at_most_s: float) -> None:
        """Wait until woken, or until the time is up."""
        event = self._event(name)
        try:
            async with asyncio.timeout(at_most_s):
                await event.wait()
        except TimeoutError:
            pass
        event.clear()

    def _event(self, name: str) -> asyncio.Event:
        return self._events.setdefault(name, asyncio.Event())


@dataclass(frozen=True, slots=True)
class Step:
    """A step to be run for ever. `work` returns how much it did; then the steps in `wakes` have work too.

    `idle_s`: how long to wait when there was nothing to do. `pace_s`: least time between two runs, so that one call
    to a channel serves many listings.
    """

    name: str
    work: Callable[[], Awaitable[int]]
    wakes: tuple[str, ...] = ()
    idle_s: float = 0.25
    pace_s: float = 0.0


async def run_for_ever(step: Step, pulse: Pulse) -> None:
    """Run a step until cancelled. A failure is logged, waited out, and tried again; a bug stops the engine."""
    failures = 0
    while True:
        try:
            done = await step.work()
        except DatabaseUnavailableError as failure:
            failures += 1
            if failures == 1:
                log.warning("database.unavailable", step=step.name, words=str(failure))
        except Exception:
            failures += 1
            log.exception("step.failed", step=step.name, failures=failures)
        else:
            failures = 0
            if done:
                pulse.wake(step.wakes)
                await asyncio.sleep(step.pace_s)
            else:
                await pulse.wait(step.name, at_most_s=step.idle_s)
            continue
        await asyncio.sleep(min(FAILURE_PAUSE_S_MAX, 0.1 * 2.0 ** min(failures, 10)))
