"""What came of a run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from random import Random

from oneshelf.domain.rights import Mode

# How long a day is, unless it is asked for otherwise.
ACTIVE_S = 30.0


@dataclass(frozen=True, slots=True)
class Terms:
    """What is asked of days whose seeds draw all else. `grades`: of faults; None: drawn, as are `kinds` if empty."""

    grades: Mapping[str, str] | None = None
    kinds: tuple[str, ...] = ()
    active_s: float = ACTIVE_S


@dataclass(slots=True)
class Outcome:
    """What came of a run. `violation` is empty where all held."""

    seed: int
    grades: dict[str, str]
    mode: str = Mode.POOLED.value
    # Who rules; "": nothing was said or drawn, so the engine does.
    shape: str = ""
    # Of the channels of its shop, where that was asked for; and how long it was to be until everything works.
    kinds: tuple[str, ...] = ()
    active_s: float = ACTIVE_S
    violation: str = ""
    trace: str = ""
    events: int = 0
    looks: int = 0
    settled_s: float = 0.0
    took_s: float = 0.0
    orders: int = 0
    commands: int = 0
    crashes: int = 0
    # Where a crash can make a difference: what was written is other than at the point before.
    crash_points: list[int] = field(default_factory=list)
    hits: Counter[tuple[str, str]] = field(default_factory=Counter)
    sometimes: Counter[str] = field(default_factory=Counter)


def drawn_mode(seed: int) -> str:
    """The mode of all SKUs on the day of this seed."""
    return Random(f"{seed}:mode").choice(  # noqa: S311  # repeatable, not a secret
        (Mode.POOLED.value, Mode.POOLED.value, Mode.GUARDED.value, Mode.GUARDED.value, Mode.AUTO.value)
    )
