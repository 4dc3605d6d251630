"""A large Shopify shop read whole, from one file and by pages: `python -m benchmarks bulk --items 50000`.

A simulated shop with so many variants in a process of its own, a private PostgreSQL, and the engine in another process,
with real HTTP between them. Each listing is linked and proved; one in a hundred then shows another figure. A pass over
the catalogue has to find all of these and prove the others anew, once from the file of a bulk operation and once by
pages. Told are the calls to the Admin API, the points that these cost, the seconds, and the memory which the process of
the engine took at most.

The shop's limits are `--speed` times as high as on the smallest plan, and a bulk operation of it writes 500 objects a
second times that: Shopify publishes no figure.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import httpx2
import psycopg

from benchmarks.report import machine, written
from benchmarks.size import peak_memory_mb
from oneshelf.app import open_channels
from oneshelf.clock import SystemClock
from oneshelf.connectors.shopify.kind import CAPABILITY
from oneshelf.connectors.shopify.simulator_bulk import ROOTS_PER_S
from oneshelf.connectors.shopify.simulator_shop import LOCATION_ID
from oneshelf.connectors.shopify.simulator_tokens import ACCESS_TOKEN
from oneshelf.demo.children import Child, any_free_port
from oneshelf.demo.shops import SimulatedShop
from oneshelf.domain.identity import Channel, Location, Sku
from oneshelf.domain.sweep_plan import Way
from oneshelf.flow import reconcile
from oneshelf.flow.channel import OpenChannel, read_budget
from oneshelf.sdk.simulator import CatalogueItem
from oneshelf.storage import catalog
from oneshelf.storage.database import Database
from oneshelf.storage.embedded import EmbeddedPostgres
from oneshelf.storage.migrate import migrate
from oneshelf.telemetry import configure_logging

SHOP = Channel("shop")
UNITS = 20
DIFFERENT = 100  # one listing in so many shows another figure
LOOK_S = 0.1
MEMORY_MB_MAX = 300
_COST = re.compile(rb'"actualQueryCost":(\d+)')

clock = SystemClock()


@dataclass
class Pass:
    """What one pass took. `file_s`: of the seconds, from the first byte of the file to the last listing stored."""

    way: str
    listings: int = 0
    calls: int = 0
    points: int = 0
    bytes_read: int = 0
    seconds: float = 0.0
    file_s: float = 0.0
    cpu_s: float = 0.0
    memory_mb: float = 0.0


class Watched(httpx2.AsyncHTTPTransport):
    """Counts what goes to the shop. A file is counted by its bytes, and never held."""

    def __init__(self, counted: Pass) -> None:
        super().__init__()
        self._counted = counted
        self.file_began: float | None = None

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        response = await super().handle_async_request(request)
        if request.method == "GET":
            self.file_began = self.file_began or clock.monotonic()
            self._counted.bytes_read += int(response.headers.get("content-length", 0))
            return response
        self._counted.calls += 1
        body = await response.aread()
        cost = _COST.search(body)
        self._counted.points += int(cost[1]) if cost else 0
        return response


# The engine, in a process of its own ----------------------------------------------------------------------------------


async def passed(dsn: str, way: Way) -> Pass:
    """One pass that is due, to its end."""
    counted = Pass(way.value)
    transport = Watched(counted)
    async with (
        Database.open(dsn, connections_max=2) as database,
        open_channels(database, clock, httpx2.AsyncClient(transport=transport, trust_env=False)) as channels,
    ):
        opened = channels.by_name[SHOP]
        channel = replace(opened, capability=replace(opened.capability, has_stock_file=way is Way.FILE))
        began, cpu = clock.monotonic(), time.process_time()
        counted.listings = await _swept(database, channel)
        counted.seconds = clock.monotonic() - began
        counted.file_s = clock.monotonic() - transport.file_began if transport.file_began else 0.0
        counted.cpu_s = time.process_time() - cpu
    counted.memory_mb = peak_memory_mb()
    return counted


async def _swept(database: Database, channel: OpenChannel) -> int:
    read_count, before = 0, await _done(database)
    while await _done(database) == before:
        read_count += await reconcile.sweep(database, channel, clock)
        await clock.sleep(LOOK_S)
    return read_count


async def _done(database: Database) -> object:
    async with database.transaction() as tx:
        cursor = await tx.execute("select last_done_at from schedules where task = 'stock'")
        return await cursor.fetchone()


# Around it ------------------------------------------------------------------------------------------------------------


async def prepared(dsn: str, shop: SimulatedShop, count: int) -> None:
    """So many variants in the shop, as many SKUs with us, and the channel connected."""
    names = [f"SKU-{number:07}" for number in range(count)]
    await shop.wait_until_up()
    for start in range(0, count, 5_000):
        await shop.stock([CatalogueItem(name, f"Article {name}", UNITS) for name in names[start : start + 5_000]])
    settings = {"base_url": shop.address, "location_id": LOCATION_ID}
    secrets = {"access_token": ACCESS_TOKEN, "webhook_secret": "hush"}
    new = catalog.NewChannel(SHOP, "shopify", Location("BER"), settings, secrets, {"sweep_stock_s": 86_400.0})
    async with Database.open(dsn, connections_max=2) as database, database.transaction() as tx:
        await catalog.add_location(tx, Location("BER"))
        await catalog.add_skus(tx, {Sku(name): "" for name in names})
        await catalog.add_channel(tx, new)


def engine(dsn: str, way: Way) -> Pass:
    """A pass in a process of its own."""
    program = [sys.executable, "-m", "benchmarks.bulk", "--engine", dsn, "--way", way.value]
    said = subprocess.run(program, capture_output=True, text=True, check=False)
    if said.returncode:
        raise SystemExit(said.stderr)
    return Pass(**json.loads(said.stdout))


def proved(dsn: str) -> None:
    """As if each listing had been linked, written and proved long ago; the next pass is due."""
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute(
            """
            update listings set phase = 'idle', desired_units = %(units)s, desired_version = 1, sent_units = %(units)s,
                sent_version = 1, sent_at = now() - interval '1 day', verified_units = %(units)s, verified_version = 1,
                verified_at = now() - interval '1 day', base_units = %(units)s, base_net = net_units, look_at = null
            """,
            {"units": UNITS},
        )
        connection.execute(
            # A file that was asked for before counts as read.
            "update schedules set next_at = now(), cursor = null, covered_until = now() where task = 'stock'"
        )
        connection.execute("vacuum analyze listings")


def judged(dsn: str, done: Pass, count: int) -> Pass:
    """Every difference was found, and every other listing proved anew."""
    with psycopg.connect(dsn, autocommit=True) as connection:
        found = connection.execute(
            "select count(*) filter (where look_at is not null), "
            "count(*) filter (where look_at is null and verified_at > now() - interval '12 hours') from listings"
        ).fetchone()
    different = len(range(0, count, DIFFERENT))
    assert found == (different, count - different), f"{done.way}: {found} instead of {different} of {count}"
    assert done.listings == count, f"{done.listings} listings were read of {count}"
    assert done.memory_mb < MEMORY_MB_MAX, f"{done.way}: {done.memory_mb:.0f} MB"
    return done


def measured(dsn: str, directory: Path, *, count: int, speed: float) -> list[Pass]:
    """The first pass, which meets an empty database, and then one each way."""
    port = any_free_port()
    with ExitStack() as stack:
        arguments = ["channel", "simulate", "shopify", "--port", str(port), "--speed", str(speed)]
        child = Child(arguments, environment={}, log_file=directory / "shop.log")
        child.start()
        stack.callback(child.stop)

        async def ready() -> None:
            async with httpx2.AsyncClient(trust_env=False, timeout=120) as client:
                await prepared(dsn, SimulatedShop("shopify", port, client, clock), count)

        asyncio.run(ready())
        first = engine(dsn, Way.FILE)
        asyncio.run(edited(port, count, UNITS + 1))
        passes = [replace(first, way="first")]
        for way in (Way.FILE, Way.PAGES):
            proved(dsn)
            passes.append(judged(dsn, engine(dsn, way), count))
        return passes


async def edited(port: int, count: int, units: int) -> None:
    """Somebody types another figure for one listing in a hundred."""
    async with httpx2.AsyncClient(trust_env=False, timeout=120) as client:
        shop = SimulatedShop("shopify", port, client, clock)
        listings = (await shop.books()).listings
        for number in range(0, count, DIFFERENT):
            await shop.tell("edit", {"channel_sku": listings[number].channel_sku, "units": units})


def section(described: str, passes: Sequence[Pass], *, count: int, speed: float) -> str:
    """The result as Markdown."""
    first, by_file, by_pages = passes
    budget = read_budget(CAPABILITY)
    lines = [
        f"{described} The load of the machine was {os.getloadavg()[0]:.0f} at the end.",
        "",
        f"A simulated Shopify shop with {count:,} variants, each linked and proved; one in {DIFFERENT} then shows "
        "another figure, and a pass finds all of these and proves the others anew. The shop runs in a process of its "
        f"own, with its limits {speed:g} times as high as on the smallest plan; its bulk operation writes "
        f"{ROOTS_PER_S * speed:,.0f} objects a second at most, a pace of ours: Shopify publishes none. "
        f'`make bench ARGS="bulk --items {count} --speed {speed:g}"`',
        "",
        "| a whole pass | calls to the Admin API | points | MB of the file | seconds | of these the engine's CPU "
        "| MB of the engine at most |",
        "|---|---:|---:|---:|---:|---:|---:|",
        _row("**from one file**", by_file),
        _row("page by page", by_pages),
        _row("the first ever, which knows nothing: pages, then the file", first),
        "",
        f"Of the {by_file.seconds:.1f} s from the file, {by_file.file_s:.1f} s went into reading and storing it; until "
        "then it was waited for, mostly for the simulator's own work. At the smallest plan's real limits the pages "
        f"take {budget.pages_s(count):,.0f} s, with the share of the budget that a pass may have (`oneshelf channel "
        f"sweep-plan`). The engine asks for the file where there are more than {budget.pages_most:,} listings.",
    ]
    return "\n".join(lines)


def _row(name: str, done: Pass) -> str:
    return (
        f"| {name} | {done.calls:,} | {done.points:,} | {done.bytes_read / 1e6:.1f} | {done.seconds:.1f} | "
        f"{done.cpu_s:.1f} | {done.memory_mb:.0f} |"
    )


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, print, and write the README's section."""
    parser = argparse.ArgumentParser(prog="benchmarks bulk", description=__doc__)
    parser.add_argument("--items", type=int, default=50_000, help="variants in the shop, more than 15,000")
    parser.add_argument("--speed", type=float, default=20.0, help="how many times the shop's real limits")
    parser.add_argument("--print-only", action="store_true", help="leave benchmarks/README.md as it is")
    parser.add_argument("--engine", metavar="DSN", help=argparse.SUPPRESS)
    parser.add_argument("--way", default=Way.FILE.value, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    configure_logging(level="CRITICAL")
    if options.engine:
        print(json.dumps(asdict(asyncio.run(passed(options.engine, Way(options.way))))))
        return
    with tempfile.TemporaryDirectory(prefix="oneshelf-bench-", ignore_cleanup_errors=True) as name:
        directory = Path(name)
        directory.chmod(0o755)  # The database's own user has to reach it.
        with EmbeddedPostgres(directory / "postgres") as server:
            migrate(server.dsn)
            described = asyncio.run(machine(server.dsn))
            passes = measured(server.dsn, directory, count=options.items, speed=options.speed)
    text = section(described, passes, count=options.items, speed=options.speed)
    print(text)
    if not options.print_only:
        written(text, section="bulk")


if __name__ == "__main__":
    main()
