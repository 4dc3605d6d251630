"""Holds: units that are set aside for a second or two. No unit is in two live holds, and all come back."""

from __future__ import annotations

from itertools import count
from random import Random
from time import monotonic

from simulation.cluster import checker
from simulation.cluster.checker import Hold
from simulation.cluster.history import History, Op, Outcome
from simulation.cluster.house import until
from simulation.cluster.till import Till

UNITS = 5
RELEASE_SHARE = 0.3
BACK_S_MAX = 120.0
# Database and clients share a clock; only its step may differ.
CLOCK_STEP_S = 0.01


class Holds:
    """One SKU with a few units."""

    name = "holds"
    clients = 2
    words = frozenset({"reserved", "released"})

    def __init__(self, number: int, whole: History) -> None:
        self.history = History(whole)
        self.sku = f"HOLD-{number}"
        self._numbers = count(1)
        self._granted: dict[str, Op] = {}
        # Reservation -> when its release was first asked for.
        self._released_s: dict[str, float] = {}

    async def prepare(self, till: Till) -> None:
        await till.name(self.sku)
        goods = {"type": "receive", "sku": self.sku, "location": "BER", "units": UNITS}
        await till.command(f"api {self.sku}-start", f"{self.sku}-start", goods, insists=True)

    async def step(self, till: Till, chance: Random) -> None:
        key = f"{self.sku}-{next(self._numbers)}"
        held = [name for name in self._granted if name not in self._released_s]
        if held and chance.random() < RELEASE_SHARE:
            name = chance.choice(held[-UNITS:])
            self._released_s[name] = monotonic()
            await till.command(f"released {name}", key, {"type": "release", "reservation_id": name})
            return
        lines = [{"sku": self.sku, "location": "BER", "units": chance.choice([1, 1, 2])}]
        op = await till.reserve(key, key, {"kind": "hold", "ttl_s": chance.choice([1, 1, 2]), "lines": lines})
        if op.outcome is Outcome.OK:
            self._granted[op.figures["reservation_id"]] = op

    async def verdict(self, till: Till) -> list[str]:
        async def are_back() -> bool:
            return bool((await till.shelf(self.sku))["available"] == UNITS)

        await until(are_back, at_most_s=BACK_S_MAX)
        available = (await till.shelf(self.sku))["available"]
        return checker.holds(map(self._hold, self._granted.items()), units=UNITS, available=available)

    def _hold(self, granted: tuple[str, Op]) -> Hold:
        """Surely held: from when it was told until the earliest moment at which it can have ended."""
        name, op = granted
        ends_s = op.invoked_s + op.asked["ttl_s"] - CLOCK_STEP_S
        until_s = min(ends_s, self._released_s.get(name, ends_s))
        return Hold(name, op.ended_s, until_s, op.figures["units"])
