"""The budget of calls that a channel grants us, shared by every node of the engine."""

from __future__ import annotations

from typing import Protocol


class Limiter(Protocol):
    """Token buckets of one channel, one per operation. The engine keeps them in the database."""

    async def take(self, operation: str) -> float:
        """Take one token. Returns 0 when it was granted, else the seconds until one will be free."""
        ...

    async def learn(self, operation: str, rate_per_s: float) -> None:
        """The channel itself says what the rate is now; it overrules the declared one."""
        ...


class Unlimited:
    """A limiter for a channel without limits, and for tests of what lies beyond them."""

    async def take(self, operation: str) -> float:
        return 0.0

    async def learn(self, operation: str, rate_per_s: float) -> None:
        return None
