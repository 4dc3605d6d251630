"""The budget of calls that a channel grants us, shared by every node of the engine."""

from __future__ import annotations

from typing import Protocol

from oneshelf.domain.charge import Charge, Learned


class Limiter(Protocol):
    """Token buckets of one channel. The engine keeps them in the database, for all its nodes together."""

    async def take(self, charge: Charge) -> float:
        """Take tokens. Returns 0 when they were granted, else the seconds until they will be there.

        What costs more than the bucket holds beside what it must leave is granted when that is full.
        """
        ...

    async def learn(self, bucket: str, told: Learned) -> None:
        """The channel said something of a bucket. Where it counts fewer tokens than we do, it is right."""
        ...


class Unlimited:
    """A limiter for a channel without limits, and for tests of what lies beyond them."""

    async def take(self, charge: Charge) -> float:
        return 0.0

    async def learn(self, bucket: str, told: Learned) -> None:
        return None
