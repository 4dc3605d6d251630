"""Last unit: more buyers than units. Each unit is given away once, and none is kept back."""

from __future__ import annotations

import asyncio
from collections import Counter, defaultdict
from itertools import count
from random import Random
from typing import Any

from simulation.cluster import checker
from simulation.cluster.history import History, Op
from simulation.cluster.till import Till

# So many buyers are refused before the next shelf is opened.
REFUSALS = 3


class LastUnit:
    """One shelf after the other, each with a few units."""

    name = "last unit"
    clients = 3
    words = frozenset({"reserved", "short"})

    def __init__(self, number: int, whole: History) -> None:
        self.history = History(whole)
        self._number = number
        self._numbers = count(1)
        self._units: dict[str, int] = {}
        self._refusals: Counter[str] = Counter()
        self._opening = asyncio.Lock()

    async def prepare(self, till: Till) -> None:
        await self._open_shelf(till, Random(self._number))

    async def step(self, till: Till, chance: Random) -> None:
        async with self._opening:
            sku = next(reversed(self._units))
            if self._refusals[sku] >= REFUSALS:
                sku = await self._open_shelf(till, chance)
        key = f"{sku}-{next(self._numbers)}"
        kind: dict[str, Any] = chance.choice([{"kind": "lock"}, {"kind": "hold", "ttl_s": 86_400}])
        op = await till.reserve(key, key, {**kind, "lines": [{"sku": sku, "location": "BER", "units": 1}]})
        self._refusals[sku] += op.word == "short"

    async def _open_shelf(self, till: Till, chance: Random) -> str:
        sku = f"LAST-{self._number}-{len(self._units)}"
        units = chance.randint(3, 12)
        await till.name(sku)
        goods = {"type": "receive", "sku": sku, "location": "BER", "units": units}
        await till.command(f"api {sku}", sku, goods, insists=True)
        self._units[sku] = units
        return sku

    async def verdict(self, till: Till) -> list[str]:
        of_sku: dict[str, list[Op]] = defaultdict(list)
        for op in self.history.ops:
            if "lines" in op.asked:
                of_sku[op.asked["lines"][0]["sku"]].append(op)
        complaints = []
        for sku, units in self._units.items():
            granted = _granted(await till.movements(sku))
            complaints += [f"{sku}: {words}" for words in checker.last_unit(of_sku[sku], units=units, granted=granted)]
            shelf = await till.shelf(sku)
            if (shelf["available"], shelf["reserved"]) != (units - sum(granted.values()), sum(granted.values())):
                complaints.append(f"{sku}: {shelf} does not follow from what was granted: {granted}")
        return complaints


def _granted(rows: list[dict[str, Any]]) -> dict[str, int]:
    """Reservation -> units that went to it."""
    granted: Counter[str] = Counter()
    for row in rows:
        if row["reason"] == "reserved":
            granted[row["source"].removeprefix("reservation ")] += row["units"]
    return granted
