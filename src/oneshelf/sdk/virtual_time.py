"""Virtual time: an event loop that waits for nothing. When nobody can go on, time passes to the next timer."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Coroutine, Mapping
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any, Protocol, TypeVar
from uuid import UUID

from oneshelf.clock import uuid7

# Where virtual time begins.
EPOCH = datetime(2026, 3, 2, 8, 0, tzinfo=UTC)

Result = TypeVar("Result")


class StalledError(Exception):
    """Everybody waits, and nothing is going to happen."""


class PassesTime(Protocol):
    """Who says what time it is. `pass_time`: nothing is ready; go on to the next timer, `timeout` seconds away."""

    now_s: float

    def pass_time(self, timeout: float | None) -> None: ...


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop whose time is somebody's who passes it."""

    def __init__(self, passes: PassesTime) -> None:
        self._passes = passes
        super().__init__(_Selector(passes))

    def time(self) -> float:
        return self._passes.now_s


class VirtualClock:
    """Time that passes by itself as soon as nobody has anything to do, and ids from a seed."""

    def __init__(self, seed: str) -> None:
        self.now_s = 0.0
        self._ids = Random(f"{seed}:ids")  # noqa: S311  # a run that can be repeated, not a secret

    def pass_time(self, timeout: float | None) -> None:
        """Raises StalledError where no timer runs."""
        if timeout is None:
            raise StalledError("everybody waits, and no timer runs")
        self.now_s += timeout

    def now(self) -> datetime:
        return EPOCH + timedelta(seconds=self.now_s)

    def monotonic(self) -> float:
        return self.now_s

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

    def new_id(self) -> UUID:
        return uuid7(unix_ms=int(EPOCH.timestamp() * 1000 + self.now_s * 1000), randomness=self._ids.randbytes(10))


def run_virtually(clock: VirtualClock, what: Coroutine[Any, Any, Result]) -> Result:
    """The result of a coroutine that lives in the time of `clock`. Real time hardly passes."""
    loop = VirtualLoop(clock)
    try:
        return loop.run_until_complete(what)
    finally:
        loop.run_until_complete(_end_all())
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.close()


async def _end_all() -> None:
    left = asyncio.all_tasks() - {asyncio.current_task()}
    for task in left:
        task.cancel()
    await asyncio.gather(*left, return_exceptions=True)


class _Selector(selectors.BaseSelector):
    """Asked what the network has, it has nothing: it lets time pass."""

    def __init__(self, passes: PassesTime) -> None:
        self._passes = passes
        self._keys: dict[Any, selectors.SelectorKey] = {}

    def register(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        key = self._keys[fileobj] = selectors.SelectorKey(fileobj, fileobj, events, data)
        return key

    def unregister(self, fileobj: Any) -> selectors.SelectorKey:
        return self._keys.pop(fileobj)

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None or timeout > 0:
            self._passes.pass_time(timeout)
        return []

    def get_map(self) -> Mapping[Any, selectors.SelectorKey]:
        return self._keys
