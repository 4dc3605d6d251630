"""Reservations a second, of oneshelf and of four other designs, in one run: `python -m benchmarks reserve`.

Every design writes the same rows into the same tables of one PostgreSQL that syncs every commit. Rounds are
interleaved, each starts with empty tables, and the median of the rounds counts. After each round the books are checked.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from statistics import median
from time import perf_counter

import psycopg
import uvloop

from benchmarks.designs import DESIGNS, LOCATION, Reserving
from benchmarks.plot import bars
from benchmarks.report import machine, written
from oneshelf.cli.serve import calm_collector
from oneshelf.domain.identity import Sku
from oneshelf.storage.database import Database
from oneshelf.storage.embedded import EmbeddedPostgres
from oneshelf.storage.migrate import migrate

UNITS = 100_000_000
SKUS = 10_000
ZIPF = 1.1
CALLERS = (1, 8, 32, 128)
# Connections open and plans are made in the first moments of a round, which do not count.
WARM_UP_S = 0.5
PLOT = Path(__file__).parent / "reserve.svg"
OURS, FLOOR = "oneshelf", "floor: the same rows by unnest"


@dataclass(frozen=True, slots=True)
class Load:
    """How the callers come. `skus`: 1 is one hot SKU, more are asked for as Zipf's law has it."""

    skus: int
    callers: int
    processes: int = 1

    def __str__(self) -> str:
        what = "one hot SKU" if self.skus == 1 else f"{self.skus:,} SKUs"
        return f"{what}, {self.callers} callers" + (f" in {self.processes} processes" if self.processes > 1 else "")


@dataclass(frozen=True, slots=True)
class Figures:
    """What a round gave. Latencies in milliseconds."""

    per_s: float
    p50_ms: float
    p99_ms: float


def sku_name(number: int) -> Sku:
    return Sku(f"SKU-{number:05}")


def wishes(load: Load, seed: int) -> list[Sku]:
    """Enough SKUs to be asked for in turn."""
    if load.skus == 1:
        return [sku_name(0)]
    weights = [1 / (rank + 1) ** ZIPF for rank in range(load.skus)]
    return [sku_name(number) for number in Random(seed).choices(range(load.skus), weights, k=50_000)]


async def call(database: Database, design: str, load: Load, *, seconds: float, seed: int) -> tuple[int, list[float]]:
    """Let the callers of one process reserve for so long. How many were granted, warm-up and all, and how long each
    took after it, in ms.
    """
    wanted = wishes(load, seed)
    took: list[float] = []
    number = 0

    async with DESIGNS[design](database) as reserve:
        begun = perf_counter() + WARM_UP_S

        async def caller(reserve: Reserving) -> None:
            nonlocal number
            while (asked := perf_counter()) - begun < seconds:
                number += 1
                granted = await reserve(wanted[number % len(wanted)], f"{seed}-{number}")
                assert granted, "there are units for all"
                if asked >= begun:
                    took.append((perf_counter() - asked) * 1000)

        async with asyncio.TaskGroup() as callers:
            for _ in range(load.callers):
                callers.create_task(caller(reserve))
    return number, took


async def one_process(dsn: str, design: str, load: Load, *, seconds: float, seed: int) -> dict[str, object]:
    """A round of one process, as JSON can tell it."""
    calm_collector()
    async with Database.open(dsn, connections_max=min(32, load.callers + 2)) as database:
        begun = perf_counter() + WARM_UP_S
        granted, took = await call(database, design, load, seconds=seconds, seed=seed)
        return {"granted": granted, "seconds": perf_counter() - begun, "took": took}


def round_of(dsn: str, design: str, load: Load, *, seconds: float, seed: int) -> Figures:
    """One round with empty tables, checked afterwards."""
    asyncio.run(emptied(dsn, load.skus))
    if load.processes == 1:
        told = [uvloop.run(one_process(dsn, design, load, seconds=seconds, seed=seed))]
    else:
        told = of_processes(dsn, design, load, seconds=seconds, seed=seed)
    granted = sum(int(str(one["granted"])) for one in told)
    asyncio.run(checked(dsn, granted))
    took = sorted(latency for one in told for latency in one["took"])  # type: ignore[attr-defined]  # a list, see one_process
    longest = max(float(str(one["seconds"])) for one in told)
    return Figures(len(took) / longest, took[len(took) // 2], took[int(len(took) * 0.99)])


def of_processes(dsn: str, design: str, load: Load, *, seconds: float, seed: int) -> list[dict[str, object]]:
    """The same from several processes at once, each with its share of the callers."""
    share = load.callers // load.processes
    program = [sys.executable, "-m", "benchmarks.reserve", "--child"]
    asked = json.dumps([dsn, design, load.skus, share, seconds])
    with tempfile.TemporaryDirectory(prefix="oneshelf-bench-told-") as name:
        files = [Path(name) / f"{number}.json" for number in range(load.processes)]
        children = [
            subprocess.Popen([*program, asked, "--seed", str(seed * 100 + number), "--tell", str(file)])
            for number, file in enumerate(files)
        ]
        assert not any(child.wait(timeout=seconds + 60) for child in children), f"a process of {design} failed"
        return [json.loads(file.read_text()) for file in files]


async def emptied(dsn: str, skus: int) -> None:
    """No reservation yet, and plenty of units."""
    async with Database.open(dsn, connections_max=2) as database, database.transaction() as tx:
        await tx.execute(
            'create table if not exists bench_units (sku text collate "C", unit_id bigint, primary key (sku, unit_id))'
        )
        await tx.execute("create sequence if not exists bench_unit_ids cache 1000")
        await tx.execute(
            "truncate reservations, movements, commands, touched, bench_units, balances, skus, locations cascade"
        )
        await tx.execute("insert into locations (location) values (%(location)s)", {"location": LOCATION})
        await tx.execute(
            "insert into skus (sku) select 'SKU-' || lpad(n::text, 5, '0') from generate_series(0, %(skus)s - 1) as n",
            {"skus": skus},
        )
        await tx.execute(
            "insert into balances (sku, location, available) select sku, %(location)s, %(units)s from skus",
            {"location": LOCATION, "units": UNITS},
        )
    async with Database.open(dsn, connections_max=2) as database, database.transaction() as tx:
        await tx.execute("analyze reservations, movements, commands, balances, skus")
    # Each round begins with a disk at rest, and with segments of the log that need not be made first.
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("checkpoint")


async def checked(dsn: str, granted: int) -> None:
    """Every grant is one reservation, one movement, one key and one unit less on the shelf."""
    async with Database.open(dsn, connections_max=2) as database, database.transaction() as tx:
        cursor = await tx.execute(
            """
            select (select count(*) from reservations), (select sum(units) from movements),
                   (select count(*) from commands),
                   (select sum(reserved) from balances) - (select count(*) from bench_units),
                   (select bool_and(available + reserved = %(units)s) from balances)
            """,
            {"units": UNITS},
        )
        [row] = await cursor.fetchall()
        assert row == (granted, granted, granted, granted, True), f"the books do not balance: {row}, granted {granted}"


def measured(dsn: str, loads: Sequence[Load], *, seconds: float, rounds: int) -> dict[tuple[str, Load], Figures]:
    """Each design under each load: the round in the middle by speed, of interleaved ones."""
    found: dict[tuple[str, Load], list[Figures]] = {}
    for number in range(rounds):
        for load in loads:
            for design in DESIGNS:
                figures = round_of(dsn, design, load, seconds=seconds, seed=number + 1)
                found.setdefault((design, load), []).append(figures)
                print(
                    f"round {number + 1} of {rounds}, {load}, {design}: {figures.per_s:,.0f}/s, "
                    f"p50 {figures.p50_ms:.1f} ms, p99 {figures.p99_ms:.1f} ms",
                    file=sys.stderr,
                    flush=True,
                )
    return {
        key: Figures(*(median(getattr(one, name) for one in several) for name in ("per_s", "p50_ms", "p99_ms")))
        for key, several in found.items()
    }


def section(described: str, found: dict[tuple[str, Load], Figures], *, seconds: float, rounds: int) -> str:
    """The result as Markdown."""
    loads = list(dict.fromkeys(load for _, load in found))
    lines = [
        described,
        "",
        f"One unit set aside for {LOCATION}, durable and idempotent: reservations a second (p50 / p99 in ms). "
        f"Medians of {rounds} interleaved rounds of {seconds:g} s, each from empty tables. `make bench ARGS=reserve`",
        "",
        "| load | " + " | ".join(DESIGNS) + " | of the floor |",
        "|---|" + "---:|" * (len(DESIGNS) + 1),
    ]
    for load in loads:
        cells = [
            f"{found[design, load].per_s:,.0f} ({found[design, load].p50_ms:.1f} / {found[design, load].p99_ms:.1f})"
            for design in DESIGNS
        ]
        share = found[OURS, load].per_s / found[FLOOR, load].per_s
        lines.append(f"| {load} | " + " | ".join(cells) + f" | {share:.0%} |")
    others = [design for design in DESIGNS if design not in (OURS, FLOOR)]
    hottest = Load(1, max(load.callers for load in loads))
    ratios = ", ".join(
        f"{found[OURS, hottest].per_s / found[design, hottest].per_s:.1f} times as fast as {design}"
        for design in others
    )
    return "\n".join([*lines, "", f"{hottest}: oneshelf is {ratios}.", "", "![Reservations a second](reserve.svg)"])


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, print, and write the README's section."""
    parser = argparse.ArgumentParser(prog="benchmarks reserve", description=__doc__)
    parser.add_argument("--seconds", type=float, default=3.0, help="of each round")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--quick", action="store_true", help="one hot SKU and 128 callers only")
    parser.add_argument("--print-only", action="store_true", help="leave benchmarks/README.md as it is")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    parser.add_argument("--tell", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--seed", type=int, default=1, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.child:
        dsn, design, skus, callers, seconds = json.loads(options.child)
        told = uvloop.run(one_process(dsn, design, Load(skus, callers), seconds=seconds, seed=options.seed))
        options.tell.write_text(json.dumps(told))
        return
    loads = [Load(1, max(CALLERS))]
    if not options.quick:
        loads = [Load(skus, callers) for skus in (1, SKUS) for callers in CALLERS] + [Load(1, 128, processes=4)]
    with tempfile.TemporaryDirectory(prefix="oneshelf-bench-", ignore_cleanup_errors=True) as name:
        directory = Path(name)
        directory.chmod(0o755)  # The database's own user has to reach it.
        with EmbeddedPostgres(directory / "postgres", settings={"max_connections": "300"}) as server:
            migrate(server.dsn)
            found = measured(server.dsn, loads, seconds=options.seconds, rounds=options.rounds)
            described = asyncio.run(machine(server.dsn))
    text = section(described, found, seconds=options.seconds, rounds=options.rounds)
    print(text)
    if not options.print_only:
        written(text, section="reserve")
        PLOT.write_text(
            bars(
                {str(load): {d: found[d, load].per_s for d in DESIGNS} for _, load in found},
                unit="reservations a second",
            )
        )


if __name__ == "__main__":
    main()
