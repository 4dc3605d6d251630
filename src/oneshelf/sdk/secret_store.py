"""Where a connector keeps what its channel hands out: access tokens and refresh tokens, for all nodes together.

What a person typed in is in `ChannelConfig.secrets` and is never changed by a connector.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from oneshelf.clock import Clock
from oneshelf.domain.kept import Kept


class SecretStore(Protocol):
    """The store of one channel. It is never asked inside a transaction of the caller."""

    async def latest(self) -> Kept:
        """What was kept last."""
        ...

    async def claim(self, *, for_s: float) -> bool:
        """Whether the caller alone may now ask the channel for new values. It ends with `replace`, or after `for_s`."""
        ...

    async def release(self) -> None:
        """Give back a claim without new values."""
        ...

    async def replace(self, values: Mapping[str, str], *, read: Kept) -> bool:
        """Keep all these values in the place of `read`, or none.

        False where somebody has kept others since, or has typed other secrets in: what was handed out for the former
        ones is not to be used.
        """
        ...


class MemorySecretStore:
    """A store that ends with the process: for tests, and for whoever only checks settings."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._kept = Kept()
        self._kept_at = 0.0
        self._claimed_until = float("-inf")

    async def latest(self) -> Kept:
        age_s = self._clock.monotonic() - self._kept_at if self._kept.version else 0.0
        return Kept(self._kept.version, self._kept.values, age_s)

    async def claim(self, *, for_s: float) -> bool:
        if self._clock.monotonic() < self._claimed_until:
            return False
        self._claimed_until = self._clock.monotonic() + for_s
        return True

    async def release(self) -> None:
        self._claimed_until = float("-inf")

    async def replace(self, values: Mapping[str, str], *, read: Kept) -> bool:
        if read.version != self._kept.version:
            return False
        self._kept = Kept(read.version + 1, dict(values))
        self._kept_at = self._clock.monotonic()
        await self.release()
        return True
