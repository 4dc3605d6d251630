"""What a call takes from the budget that a channel grants, and what the channel says of that budget."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Charge:
    """What a call takes from a bucket: `cost` tokens, where `leaves` of them stay for what matters more."""

    bucket: str
    cost: float = 1.0
    leaves: float = 0.0


@dataclass(frozen=True, slots=True)
class Learned:
    """What the channel itself says of a bucket; it overrules what is declared. None: it does not say.

    `left`: tokens that are there now, by the channel's count. `back`: of those that the call took, so many are given
    back.
    """

    rate_per_s: float | None = None
    burst: float | None = None
    left: float | None = None
    back: float = 0.0
