"""Fault switches of a simulator: each fault happens at a rate, or the next n times, and counts its hits."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from random import Random

from oneshelf.errors import MalformedError


class Switches:
    """The faults one simulator knows. Off until somebody sets them.

    Each fault throws dice of its own, and only while it has a share: leaving one out changes no other.
    """

    def __init__(self, random: Random, names: tuple[str, ...]) -> None:
        start = random.getrandbits(64)
        self._dice = {name: Random(f"{start}:{name}") for name in names}
        self.names = names
        self._rates: dict[str, float] = {}
        self._next: Counter[str] = Counter()
        self.hits: Counter[str] = Counter()

    def set(self, wanted: Mapping[str, object]) -> None:
        """Set faults: `{"throttle": 0.05}` for a share of occasions, `{"reply_lost": {"next": 1}}` for the next n.

        Raises MalformedError for an unknown name or a value of another shape; then nothing is changed.
        """
        for name, value in wanted.items():
            if name not in self.names:
                raise MalformedError(f"unknown fault {name!r}; this simulator knows {', '.join(self.names)}")
            if not _is_rate(value) and not _is_next(value):
                raise MalformedError(f'fault {name!r} takes a share from 0 to 1, or {{"next": n}}')
        for name, value in wanted.items():
            if isinstance(value, Mapping):
                self._next[name] += int(value["next"])
            elif isinstance(value, int | float):
                self._rates[name] = float(value)

    def strikes(self, name: str) -> bool:
        """Whether the fault happens on this occasion."""
        if self._next[name] > 0:
            self._next[name] -= 1
        elif not (rate := self._rates.get(name, 0.0)) or self._dice[name].random() >= rate:
            return False
        self.hits[name] += 1
        return True


def _is_rate(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= 1


def _is_next(value: object) -> bool:
    return (
        isinstance(value, Mapping)
        and set(value) == {"next"}
        and isinstance(value["next"], int)
        and not isinstance(value["next"], bool)
        and value["next"] >= 0
    )
