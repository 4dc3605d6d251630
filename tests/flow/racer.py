"""A till of its own process: it reads races from standard input and writes what it was answered.

python racer.py DSN; each line `SEED SKU` is a race, and its answer one JSON object: key -> what was said.
Also how tests start some of them.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from random import Random
from typing import IO

from oneshelf.clock import SystemClock
from oneshelf.domain.command import CommandKey, Demand, ReservationKind, Reserve
from oneshelf.domain.identity import Location, Sku
from oneshelf.domain.outcome import KeyReused, Outcome, Reserved, Short
from oneshelf.flow.post import Answered, post_commands
from oneshelf.storage.database import Database

BERLIN = Location("BER")
# Far more is asked than is there, and every process asks for most of the keys.
KEYS, ASKED_EACH, CALLERS, BATCH_MAX = 1_000, 600, 8, 20


def wish(seed: int, sku: Sku, number: int) -> Reserve:
    """What key `number` of this race asks for: the same in every process. Some ask for one SKU on several lines."""
    lines = Random(f"{seed}/{number}").choice([(1,), (1,), (1,), (1, 1), (2, 1)])
    return Reserve(
        key=CommandKey(scope="race", key=f"{seed}-{number}"),
        kind=ReservationKind.LOCK,
        lines=tuple(Demand(sku=sku, location=BERLIN, units=units) for units in lines),
    )


async def race(database: Database, seed: int, sku: Sku, racer: int) -> dict[str, list[str]]:
    """Ask from several callers at once, in batches of all sizes. Returns key -> every answer it got, in words."""
    chance, clock = Random(f"{seed}/{racer}"), SystemClock()
    wishes = [wish(seed, sku, chance.randint(1, KEYS)) for _ in range(ASKED_EACH)]
    told: dict[str, list[str]] = {}

    async def ask() -> None:
        while wishes:
            size = chance.randint(1, BATCH_MAX)
            batch, wishes[:] = wishes[:size], wishes[size:]
            for one, answered in zip(batch, await post_commands(database, clock.new_id, batch), strict=True):
                told.setdefault(one.key.key, []).append(in_a_word(answered))

    async with asyncio.TaskGroup() as group:
        for _ in range(CALLERS):
            group.create_task(ask())
    return told


def in_a_word(answered: Answered) -> str:
    outcome: Outcome = answered.outcome
    again = " again" if answered.was_replayed else ""
    match outcome:
        case Reserved():
            return f"reserved {outcome.units} {outcome.reservation_id}{again}"
        case Short():
            return f"short {outcome.asked} of {outcome.available}{again}"
        case KeyReused():
            return "reused"
        case _:
            return f"unexpected {outcome}"


async def main(dsn: str, racer: int) -> None:
    async with Database.open(dsn, connections_max=4) as database:
        print("ready", flush=True)
        for line in sys.stdin:
            seed, sku = line.split()
            print(json.dumps(await race(database, int(seed), Sku(sku), racer)), flush=True)


class Racer:
    """A racer's process, seen from the test."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        self._asks: IO[str] = process.stdin
        self._says: IO[str] = process.stdout

    def until_ready(self) -> None:
        assert self._says.readline() == "ready\n"

    def start(self, seed: int, sku: str) -> None:
        self._asks.write(f"{seed} {sku}\n")
        self._asks.flush()

    def result(self) -> dict[str, list[str]]:
        said: dict[str, list[str]] = json.loads(self._says.readline())
        return said


@contextmanager
def started_racers(dsn: str, count: int) -> Iterator[list[Racer]]:
    """That many processes, each connected and waiting for a race."""
    with ExitStack() as stack:
        racers = []
        for number in range(count):
            process = stack.enter_context(
                subprocess.Popen(
                    [sys.executable, __file__, dsn, str(number)],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    text=True,
                )
            )
            stack.callback(process.kill)
            racers.append(Racer(process))
        for racer in racers:
            racer.until_ready()
        yield racers


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2])))
