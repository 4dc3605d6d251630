"""The only place that knows the time, makes ids, and waits.

Everything else receives `now` or a `Clock`, so that a test or the simulation decides what time it is.
Leases and due times are compared with the database's clock, `db_now()` in SQL, which all nodes share.
"""

from __future__ import annotations

import asyncio
import os
import time
from datetime import UTC, datetime
from functools import lru_cache
from typing import Protocol
from uuid import UUID

_STORE_BYTES = 10 * 256


class Clock(Protocol):
    """Time, waiting and ids, all from one source."""

    def now(self) -> datetime:
        """The present instant, aware, in UTC."""
        ...

    def monotonic(self) -> float:
        """Seconds that never run backwards; only differences mean anything."""
        ...

    async def sleep(self, seconds: float) -> None: ...

    def new_id(self) -> UUID:
        """A UUID version 7: sorts by the millisecond in which it was made (RFC 9562 section 5.7)."""
        ...


_WITHOUT_VERSION = ~(0xF << 76 | 0x3 << 62)
_VERSION = 0x7 << 76 | 0x2 << 62


def uuid7(*, unix_ms: int, randomness: bytes) -> UUID:
    """The UUID version 7 for a millisecond and ten random bytes."""
    value = (unix_ms & (1 << 48) - 1) << 80 | int.from_bytes(randomness[:10], "big")
    return UUID(int=value & _WITHOUT_VERSION | _VERSION)


@lru_cache(maxsize=1_024)
def first_id(instant: datetime) -> UUID:
    """No id that is made at this instant or later is smaller. Remembered: many rows ask for the same few instants."""
    return uuid7(unix_ms=max(0, int(instant.timestamp() * 1000)), randomness=bytes(10))


class SystemClock:
    """The clock of this machine."""

    def __init__(self) -> None:
        # Asking the system for randomness costs as much as making the id: some is kept in store.
        self._randomness = b""
        self._used = 0

    def now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic(self) -> float:
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

    def new_id(self) -> UUID:
        if self._used >= len(self._randomness):
            self._randomness, self._used = os.urandom(_STORE_BYTES), 0
        start = self._used
        self._used += 10
        return uuid7(unix_ms=time.time_ns() // 1_000_000, randomness=self._randomness[start : self._used])
