"""The devices of simulated tills: each with a clock and numbers of its own, off line now and then."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

BURST_MAX = 250

Event = dict[str, Any]


@dataclass(slots=True)
class Device:
    """One device. `waiting`: events that it has not told yet; `kept_back`: one that it forgot, and will tell later."""

    name: str
    skew_s: float
    sequence: int = 0
    is_online: bool = True
    tries: int = 0
    waiting: list[Event] = field(default_factory=list)
    kept_back: list[Event] = field(default_factory=list)
    told: list[Event] = field(default_factory=list)

    def next_sequence(self) -> int:
        self.sequence += 1
        return self.sequence
