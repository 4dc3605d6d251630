"""What a run plays instead of a day: one act that somebody wrote, and how the stage is set for it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field

from oneshelf.simulation.world import World


@dataclass(frozen=True, slots=True, kw_only=True)
class Staged:
    """`goods`: SKU -> units that come in before the act. `shown`: channel -> units that each of its listings shows
    before that; drawn where it is left out. `timing`: channel -> its own seconds, see `oneshelf channel add --timing`.

    `is_judged`: the auditor looks at every change, and all has to come to rest after the act.
    """

    act: Callable[[World], Awaitable[object]]
    goods: Mapping[str, int]
    channels: tuple[str, ...] = ("shopify", "amazon")
    shown: Mapping[str, int] = field(default_factory=dict)
    timing: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    mode: str = "pooled"
    is_judged: bool = True
