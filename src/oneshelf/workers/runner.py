"""Runs one step again and again: at once while there is work, else when woken or after a short wait."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass

from oneshelf.errors import DatabaseUnavailableError, OverloadedError, StillPostingError
from oneshelf.telemetry import get_logger

FAILURE_PAUSE_S_MAX = 10.0

log = get_logger(__name__)


class Pulse:
    """Lets whoever made work wake the step that does it, within this process.

    A wake-up is a courtesy that saves milliseconds. The rows are the queue: a step also looks by itself.
    `failing`: step -> how often in a row it ended with what nobody expected; those alone that do so now.
    `done`: step -> how much it did since it was started.
    """

    def __init__(self) -> None:
        self.failing: dict[str, int] = {}
        self.done: dict[str, int] = {}
        self._ended_at: dict[str, float] = {}
        self._events: dict[str, asyncio.Event] = {}

    def listen(self, name: str) -> None:
        """Remember wake-ups for this step from now on, also before it waits for the first time."""
        self._events.setdefault(name, asyncio.Event())

    def note_end(self, name: str, done: int) -> None:
        """The step came to its end, and did so much."""
        self.failing.pop(name, None)
        self.done[name] = self.done.get(name, 0) + done
        self._ended_at[name] = asyncio.get_running_loop().time()

    def forget(self, name: str) -> None:
        """The step runs no more."""
        for figures in (self.failing, self.done, self._ended_at):
            figures.pop(name, None)

    def ages_s(self) -> dict[str, float]:
        """Step -> since it last came to its end without a failure; those that run."""
        now_s = asyncio.get_running_loop().time()
        return {name: now_s - at_s for name, at_s in self._ended_at.items()}

    def wake(self, names: Iterable[str]) -> None:
        """Wake these steps: `push shop-1` that one, `push` those of all channels."""
        wanted = set(names)
        for name, event in self._events.items():
            if name in wanted or name.split(" ", 1)[0] in wanted:
                event.set()

    async def wait(self, name: str, *, at_most_s: float) -> None:
        """Wait until woken, or until the time is up."""
        self.listen(name)
        event = self._events[name]
        try:
            async with asyncio.timeout(at_most_s):
                await event.wait()
        except TimeoutError:
            pass
        event.clear()


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
    pulse.listen(step.name)
    pulse.note_end(step.name, 0)  # One that hangs in its first turn has an age too.
    try:
        await _run(step, pulse)
    finally:
        pulse.forget(step.name)


async def _run(step: Step, pulse: Pulse) -> None:
    failures, is_database_away = 0, False
    while True:
        try:
            done = await step.work()
        except DatabaseUnavailableError as failure:
            failures += 1
            if not is_database_away:
                log.warning("database.unavailable", step=step.name, words=str(failure))
            is_database_away = True
        except (OverloadedError, StillPostingError) as failure:
            # Who posts has too much to do. What a step asks for has a key: it asks again.
            failures += 1
            log.warning("step.put_off", step=step.name, words=str(failure))
        except Exception:
            failures += 1
            pulse.failing[step.name] = failures
            log.exception("step.failed", step=step.name, failures=failures)
        else:
            failures = 0
            pulse.note_end(step.name, done)
            if is_database_away:
                log.info("database.available", step=step.name)
            is_database_away = False
        stop_if_cancelled()
        if failures:
            await asyncio.sleep(min(FAILURE_PAUSE_S_MAX, 0.1 * 2.0 ** min(failures, 10)))
        elif done:
            pulse.wake(step.wakes)
            await asyncio.sleep(step.pace_s)
        else:
            await pulse.wait(step.name, at_most_s=step.idle_s)


def stop_if_cancelled() -> None:
    """End this task if somebody wanted that and something it waited for swallowed the wish.

    `asyncio.wait_for` does so before Python 3.12 when its time and its result come together, and the database driver
    waits through it.
    """
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError
