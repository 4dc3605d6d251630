"""What a channel handed out and a store keeps: values that belong together, and how old they are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Kept:
    """What was kept last. `version`: 0 where nothing was. `age_s`: since then, by the one clock of the store.

    The values never appear in a `repr`.
    """

    version: int = 0
    values: Mapping[str, str] = field(default_factory=dict, repr=False)
    age_s: float = 0.0
