"""Bank: units move between states and locations. None comes or goes, and no figure is ever below zero."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from datetime import timedelta
from itertools import count
from random import Random
from time import monotonic
from typing import Any

from oneshelf.clock import SystemClock
from simulation.cluster import checker
from simulation.cluster.checker import Sight, Transfer
from simulation.cluster.history import History, Op
from simulation.cluster.till import Till

UNITS = 60
LOCATIONS = ("BER", "HAM")
STATES = ("available", "damaged", "quality_control", "safety_stock")
TRANSIT = "in transit"
READ_SHARE = 0.25
# Only so far back that it is no future for any clock.
AGO = timedelta(milliseconds=20)


class Bank:
    """One SKU, all of whose units were there when the round began."""

    name = "bank"
    clients = 2
    words = frozenset({"posted", "arrived"})

    def __init__(self, number: int, whole: History) -> None:
        self.history = History(whole)
        self.sku = f"BANK-{number}"
        self._numbers = count(1)
        self._sights: list[Sight] = []
        self._sent: list[tuple[str, Op]] = []
        self._clock = SystemClock()

    async def prepare(self, till: Till) -> None:
        await till.name(self.sku)
        goods = {"type": "receive", "sku": self.sku, "location": "BER", "units": UNITS}
        await till.command(f"api {self.sku}-start", f"{self.sku}-start", goods, insists=True)

    async def step(self, till: Till, chance: Random) -> None:
        kind = chance.random()
        if kind < READ_SHARE:
            await self._look(till)
        elif kind < 0.6:
            await self._move(till, chance)
        elif self._sent and kind < 0.85:
            await self._arrive(till, chance)
        else:
            await self._dispatch(till, chance)

    async def _move(self, till: Till, chance: Random) -> None:
        key = f"{self.sku}-{next(self._numbers)}"
        origin, target = chance.sample(STATES, 2)
        asked = {"type": "move", "sku": self.sku, "location": chance.choice(LOCATIONS), "units": chance.randint(1, 9)}
        await till.command(f"api {key}", key, {**asked, "origin": origin, "target": target})

    async def _dispatch(self, till: Till, chance: Random) -> None:
        key = f"{self.sku}-{next(self._numbers)}"
        origin, target = chance.sample(LOCATIONS, 2)
        asked = {"type": "dispatch", "transfer_id": key, "sku": self.sku, "units": chance.randint(1, 9)}
        self._sent.append(
            (key, await till.command(f"dispatched {key}", key, {**asked, "origin": origin, "target": target}))
        )

    async def _arrive(self, till: Till, chance: Random) -> None:
        """Of a transfer that left, or perhaps did not; now and then of one that has arrived before."""
        at = chance.randrange(len(self._sent))
        transfer, sent = self._sent[at] if chance.random() < 0.2 else self._sent.pop(at)
        asked = {"type": "arrive", "transfer_id": transfer, "sku": self.sku, "units": sent.asked["units"]}
        key = f"{self.sku}-{next(self._numbers)}"
        await till.command(f"arrived {transfer}", key, asked)

    async def _look(self, till: Till) -> None:
        at = self._clock.now() - AGO
        seen = await till.read(f"/v1/skus/{self.sku}", at=at.isoformat())
        if seen:
            self._sights.append(Sight(monotonic(), _units(seen["balances"], seen["outside"])))

    async def verdict(self, till: Till) -> list[str]:
        rows = await till.movements(self.sku)
        found = Counter(_mark(row) for row in rows)
        transfers = [_transfer(op, self.history.ops) for op in self.history.ops if op.asked["type"] != "receive"]
        start = {"BER available": UNITS}
        shelf = await till.shelf(self.sku)
        under_way = sum(_in_transit(row) for row in rows)
        end = _units(shelf["balances"], {"in_transit": under_way})
        return [
            *checker.effects(self.history.ops, found),
            *checker.bank(start, transfers, found, self._sights, end),
        ]


def _units(balances: list[dict[str, Any]], outside: Mapping[str, int]) -> dict[str, int]:
    seen = {f"{row['location']} {state}": row[state] for row in balances for state in STATES}
    return {**seen, TRANSIT: outside.get("in_transit", 0)}


def _mark(row: Mapping[str, Any]) -> str:
    """The name that the op gave to this movement."""
    return str(row["source"]).replace("transfer", row["reason"], 1)


def _in_transit(row: Mapping[str, Any]) -> int:
    into, out = int(row["to_account"] == "in_transit"), int(row["from_account"] == "in_transit")
    return int(row["units"]) * (into - out)


def _transfer(op: Op, ops: list[Op]) -> Transfer:
    asked = op.asked
    match asked["type"]:
        case "move":
            origin, target = (f"{asked['location']} {asked[state]}" for state in ("origin", "target"))
        case "dispatch":
            origin, target = f"{asked['origin']} available", TRANSIT
        case _:
            [sent] = [one for one in ops if one.mark == f"dispatched {asked['transfer_id']}"]
            origin, target = TRANSIT, f"{sent.asked['target']} available"
    return Transfer(op.mark, {origin: -asked["units"], target: asked["units"]})
