"""Set: goods come in, each delivery under a key of its own. Each acknowledged one is in the ledger once."""

from __future__ import annotations

from collections import Counter
from itertools import count
from random import Random

from simulation.cluster import checker
from simulation.cluster.history import History
from simulation.cluster.till import Till


class Receipts:
    """A few SKUs, so that deliveries meet in transactions and locks."""

    name = "set"
    clients = 2
    words = frozenset({"posted"})

    def __init__(self, number: int, whole: History) -> None:
        self.history = History(whole)
        self.skus = [f"SET-{number}-{at}" for at in range(3)]
        self._numbers = count(1)

    async def prepare(self, till: Till) -> None:
        await till.name(*self.skus)

    async def step(self, till: Till, chance: Random) -> None:
        sku = chance.choice(self.skus)
        key = f"{sku}-{next(self._numbers)}"
        units = chance.randint(1, 9)
        await till.command(f"api {key}", key, {"type": "receive", "sku": sku, "location": "BER", "units": units})

    async def verdict(self, till: Till) -> list[str]:
        complaints: list[str] = []
        ops = self.history.ops
        for sku in self.skus:
            rows = await till.movements(sku)
            found = Counter(row["source"] for row in rows)
            complaints += checker.effects([op for op in ops if op.asked["sku"] == sku], found)
            units = sum(row["units"] for row in rows)
            shelf = await till.shelf(sku)
            if shelf["available"] != units:
                complaints.append(f"{sku}: {shelf['available']} available, its movements brought {units}")
        return complaints
