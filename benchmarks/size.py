"""Publishing at size: `python -m benchmarks size --listings 1000000`.

Fills a private PostgreSQL with so many SKUs, each listed at four channels, and everything in order: each figure sent
and verified, with the publication it came from. Then it times

- full sweeps of one channel in a process of its own, of which one listing in a hundred shows another figure, and the
  memory which that process took at most; beside one bare update that notes of each listing when it was read;
- SKUs far apart that are marked as moved, and claimed for planning with their listings locked;
- sales of SKUs far apart, as the engine posts them: how fast their listings get new figures (`plan`), and how fast
  these are claimed by the four writers (`push`), beside the same rows written and claimed by one bare update each.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from random import Random
from typing import Any, cast

import psycopg

from benchmarks.report import machine, written
from oneshelf.clock import SystemClock
from oneshelf.connectors.shopify.kind import CAPABILITY
from oneshelf.domain.command import CommandKey, Demand, ReservationKind, Reserve
from oneshelf.domain.identity import Channel, ChannelSku, Location, Sku
from oneshelf.flow import plan, post, push, reconcile, stock_source
from oneshelf.flow.channel import OpenChannel
from oneshelf.sdk.message import StockPage, StockReading
from oneshelf.storage import publications, touched
from oneshelf.storage.database import Database
from oneshelf.storage.embedded import EmbeddedPostgres
from oneshelf.storage.migrate import migrate
from oneshelf.telemetry import configure_logging

CHANNELS = tuple(Channel(f"shop-{number}") for number in range(4))
WAREHOUSE = Location("warehouse")
ROUNDS = 3
DIFFERENT = 100  # one listing in so many shows another figure
POSTED = 500  # commands in a transaction
FLOOR_BATCH = 1000 * len(CHANNELS)  # listings in a transaction of the bare updates: as many as plan has
TABLES = ("skus", "balances", "listings", "publications")

clock = SystemClock()

_SHAPE = """
    create view s as select i, 'SKU-' || lpad(i::text, 7, '0') as sku, 20 + i % 50 as units
        from generate_series(0, current_setting('bench.skus')::bigint - 1) as i;
    insert into locations (location) values ('warehouse');
    insert into channels (channel, kind, mode, location, live_since)
        select 'shop-' || n, 'bench', 'live', 'warehouse', now() from generate_series(0, 3) as n;
    insert into schedules (channel, task, every_s) select channel, 'stock', 3600 from channels;
    insert into skus (sku) select sku from s;
    insert into balances (sku, location, available, version) select sku, 'warehouse', units, 1 from s;
"""
# The ids of Shopify's variants are as long.
_LISTED = """
    insert into listings (channel, channel_sku, merchant_sku, title, sku, desired_units, desired_version, desired_at,
        sent_units, sent_version, sent_at, accepted_version, accepted_at, verified_units, verified_version, verified_at,
        base_units, next_at)
    select 'shop-' || n, (40000000000000 + i)::text, sku, 'Article ' || i, sku, units, 1, now(), units, 1, now(), 1,
        now(), units, 1, now(), units, now()
    from s, (select current_setting('bench.n')::int as n) as b;
    insert into publications (channel, channel_sku, version, sku, units, derivation, planned_at, sent_at, accepted_at,
        verified_at)
    select 'shop-' || n, (40000000000000 + i)::text, 1, sku, units, jsonb_build_object('available',
        jsonb_build_object('warehouse', units), 'ledger_versions', '{"warehouse": 1}'::jsonb, 'in_suspense', 0,
        'suspense_version', 0, 'available_to_sell', units, 'pack_units', 1), now(), now(), now(), now()
    from s, (select current_setting('bench.n')::int as n) as b;
"""
_INDEXES = """
    select indexname, indexdef from pg_indexes
    where tablename in ('listings', 'publications') and indexname not like '%_pkey'
"""
# What was claimed is taken for written and proved, without the call.
_SETTLE = """
    update listings set sent_units = desired_units, sent_version = desired_version, accepted_version = desired_version,
        verified_units = desired_units, verified_version = desired_version, base_units = desired_units,
        base_net = net_units, lease = null, lease_until = null
    where channel = %(channel)s and channel_sku = any(%(channel_skus)s)
"""
_FLOOR_MARK = """
    update listings l set desired_units = new.units, desired_version = l.desired_version + 1, desired_at = now()
    from unnest(%(channels)s::text[], %(channel_skus)s::text[], %(units)s::bigint[])
        as new (channel, channel_sku, units)
    where l.channel = new.channel and l.channel_sku = new.channel_sku
"""
_FLOOR_CLAIM = """
    update listings l set lease = gen_random_uuid(), lease_until = now() + interval '1 minute'
    from unnest(%(channel_skus)s::text[]) as new (channel_sku)
    where l.channel = %(channel)s and l.channel_sku = new.channel_sku
    returning l.*
"""


_FLOOR_SWEEP = """
    update listings l set verified_at = now() from unnest(%(channel_skus)s::text[]) as new (channel_sku)
    where l.channel = %(channel)s and l.channel_sku = new.channel_sku
"""


@dataclass(frozen=True, slots=True)
class Sweep:
    """One full sweep of a channel. `cpu_s`: of the engine's process alone. `floor_s`: of the bare update."""

    seconds: float
    cpu_s: float
    listings: int
    memory_mb: float
    floor_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Changes:
    """So many listings got a new figure in `marking_s`, and were claimed in `claiming_s`."""

    count: int
    marking_s: float
    claiming_s: float

    @property
    def per_s(self) -> tuple[float, float, float]:
        """Marked, claimed, and both, a second."""
        return (
            self.count / self.marking_s,
            self.count / self.claiming_s,
            self.count / (self.marking_s + self.claiming_s),
        )


def name_of(number: int) -> ChannelSku:
    return ChannelSku(str(40000000000000 + number))


def units_of(number: int) -> int:
    return 20 + number % 50


class Snapshot:
    """The whole stock of a channel, page by page, as a connector gives it. No network is between."""

    def __init__(self, count: int, page: int) -> None:
        self._count = count
        self._page = page

    async def fetch_stock(self, cursor: str | None) -> StockPage:
        begin = int(cursor or 0)
        end = min(begin + self._page, self._count)
        readings = tuple(
            StockReading(
                name_of(number), units_of(number) + (number % DIFFERENT == 0), f"SKU-{number:07}", f"Article {number}"
            )
            for number in range(begin, end)
        )
        return StockPage(readings, str(end) if end < self._count else None)


def opened(channel: Channel, count: int) -> OpenChannel:
    """A channel as Shopify's are, which gives its stock and is asked for nothing else."""
    connector = cast("Any", Snapshot(count, CAPABILITY.page_reads))
    return OpenChannel(name=channel, kind="bench", connector=connector, capability=CAPABILITY)


def fill(dsn: str, count: int) -> None:
    """So many SKUs, each listed everywhere, all of them proved to show what they should."""
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("select set_config('bench.skus', %s, false)", (str(count),))
        connection.execute("set session_replication_role = replica")
        connection.execute("set maintenance_work_mem = '1GB'")
        indexes = connection.execute(_INDEXES.encode()).fetchall()
        for name, _ in indexes:
            connection.execute(f"drop index {name}".encode())
        connection.execute(_SHAPE.encode())
        for number in range(len(CHANNELS)):
            connection.execute("select set_config('bench.n', %s, false)", (str(number),))
            connection.execute(_LISTED.encode())
        for _, definition in indexes:
            connection.execute(definition.encode())
        connection.execute("vacuum analyze")


# Sweeps ---------------------------------------------------------------------------------------------------------------


async def swept(dsn: str, count: int) -> Sweep:
    """One sweep, in this process."""
    async with Database.open(dsn, connections_max=2) as database:
        began, cpu = clock.monotonic(), time.process_time()
        read = await reconcile.sweep(database, opened(CHANNELS[0], count), clock)
        return Sweep(clock.monotonic() - began, time.process_time() - cpu, read, peak_memory_mb())


def peak_memory_mb() -> float:
    """The most that this program has had. What getrusage tells on Linux has the parent's in it."""
    status = Path("/proc/self/status")
    if status.exists():
        return int(status.read_text().partition("VmHWM:")[2].split()[0]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def sweep_apart(dsn: str, count: int) -> Sweep:
    """One sweep in a process of its own. Every difference was found, and every other listing proved again."""
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("update schedules set next_at = now(), lease = null, lease_until = null")
        connection.execute("update listings set look_at = null where look_at is not null")
        connection.execute("vacuum listings")
        before = connection.execute("select now()").fetchone()
        said = subprocess.run(
            [sys.executable, "-m", "benchmarks.size", "--sweep", dsn, "--listings", str(count)],
            capture_output=True,
            text=True,
            check=True,
        )
        found = connection.execute(
            "select count(*) filter (where look_at is not null), count(*) filter (where verified_at > %s) "
            "from listings where channel = %s",
            (before and before[0], CHANNELS[0]),
        ).fetchone()
    different = len(range(0, count, DIFFERENT))
    assert found == (different, count - different), f"{found} instead of {different} differences in {count}"
    done = Sweep(**json.loads(said.stdout))
    assert done.listings == count
    return replace(done, floor_s=floor_of_sweep(dsn, count))


def floor_of_sweep(dsn: str, count: int) -> float:
    """Seconds to note of each listing of the channel that it was read, in transactions as large as those of a sweep."""
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("vacuum listings")
        began = clock.monotonic()
        for start in range(0, count, stock_source.GATHER_READINGS):
            names = [name_of(number) for number in range(start, min(start + stock_source.GATHER_READINGS, count))]
            connection.execute(_FLOOR_SWEEP.encode(), {"channel": CHANNELS[0], "channel_skus": names})
        return clock.monotonic() - began


# Changes --------------------------------------------------------------------------------------------------------------


async def sell(database: Database, numbers: Sequence[int], label: str) -> None:
    """One unit of each of these SKUs is set aside, as the engine posts it."""
    for start in range(0, len(numbers), POSTED):
        commands = [
            Reserve(
                key=CommandKey(scope="bench", key=f"{label}-{number}"),
                kind=ReservationKind.HOLD,
                lines=(Demand(sku=Sku(f"SKU-{number:07}"), location=WAREHOUSE, units=1),),
                ttl_s=900,
            )
            for number in numbers[start : start + POSTED]
        ]
        await post.post_commands(database, clock.new_id, commands)


async def changed(database: Database, connection: psycopg.Connection[Any], numbers: Sequence[int]) -> Changes:
    """What was sold is planned, and then claimed by each channel's writer."""
    count = len(numbers) * len(CHANNELS)
    began = clock.monotonic()
    while await plan.plan(database):
        pass
    marking_s = clock.monotonic() - began
    claiming_s, claimed = 0.0, 0
    for channel in CHANNELS:
        while True:
            began = clock.monotonic()
            taken = await push.claim(database, opened(channel, 0), clock.new_id())
            claiming_s += clock.monotonic() - began
            if not taken:
                break
            claimed += len(taken)
            # A batch is on its way before the next one is claimed.
            settled = {"channel": channel, "channel_skus": [listing.channel_sku for listing in taken]}
            connection.execute(_SETTLE.encode(), settled)
    assert claimed == count, f"{claimed} claimed, {count} have changed"
    return Changes(count, marking_s, claiming_s)


async def queued(database: Database, numbers: Sequence[int]) -> Changes:
    """What moved is marked, as postings do, and claimed with its listings, as planning does; nothing is planned."""
    marking_s = claiming_s = 0.0
    count = 0
    for start in range(0, len(numbers), POSTED):
        began = clock.monotonic()
        async with database.transaction() as tx:
            await touched.mark(tx, [Sku(f"SKU-{number:07}") for number in numbers[start : start + POSTED]])
        marking_s += clock.monotonic() - began
    while True:
        began = clock.monotonic()
        async with database.transaction() as tx:
            claimed = await touched.claim(tx, limit=plan.BATCH)
            listings = await publications.lock_for_planning(tx, claimed.skus) if claimed.skus else []
        if not claimed.skus:
            break
        claiming_s += clock.monotonic() - began
        count += len(listings)
    assert count == len(numbers) * len(CHANNELS), f"{count} claimed of {len(numbers)} SKUs"
    return Changes(count, marking_s, claiming_s)


async def floor(database: Database, connection: psycopg.Connection[Any], numbers: Sequence[int]) -> Changes:
    """As many listings written and taken by one bare update each, in transactions of the same sizes."""
    rows = [(channel, name_of(number), units_of(number) - 1) for channel in CHANNELS for number in sorted(numbers)]
    marking_s = claiming_s = 0.0
    for start in range(0, len(rows), FLOOR_BATCH):
        channels, channel_skus, units = zip(*rows[start : start + FLOOR_BATCH], strict=True)
        began = clock.monotonic()
        async with database.transaction() as tx:
            await tx.execute(
                _FLOOR_MARK.encode(),
                {"channels": list(channels), "channel_skus": list(channel_skus), "units": list(units)},
            )
        marking_s += clock.monotonic() - began
    size = CAPABILITY.batch_writes
    for channel in CHANNELS:
        names = [name_of(number) for number in sorted(numbers)]
        for start in range(0, len(names), size):
            part = {"channel": channel, "channel_skus": names[start : start + size]}
            began = clock.monotonic()
            async with database.transaction() as tx:
                taken = await (await tx.execute(_FLOOR_CLAIM.encode(), part)).fetchall()
            claiming_s += clock.monotonic() - began
            assert len(taken) == len(names[start : start + size])
            connection.execute(_SETTLE.encode(), part)
    return Changes(len(rows), marking_s, claiming_s)


async def changes(dsn: str, count: int, sold: int) -> tuple[list[Changes], list[Changes], list[Changes], int]:
    """The engine, the floor and the queue in turn, with other SKUs each time.

    And how often `listings` was read as a whole.
    """
    numbers = Random(1).sample(range(count), 2 * ROUNDS * sold)
    ours: list[Changes] = []
    bare: list[Changes] = []
    queue: list[Changes] = []
    async with Database.open(dsn) as database:
        with psycopg.connect(dsn, autocommit=True) as connection:
            scans = scanned(connection)
            for number in range(ROUNDS):
                mine, others = (numbers[at * sold : (at + 1) * sold] for at in (2 * number, 2 * number + 1))
                await sell(database, mine, f"round-{number}")
                ours.append(await changed(database, connection, mine))
                bare.append(await floor(database, connection, others))
                queue.append(await queued(database, others))
                said = f"{told(ours[-1])}; floor {told(bare[-1])}; queue {told(queue[-1])}"
                print(f"    round {number + 1}: {said}", flush=True)
            return ours, bare, queue, scanned(connection) - scans


def scanned(connection: psycopg.Connection[Any]) -> int:
    """How often all of `listings` was read, as the server counts."""
    connection.execute("select pg_stat_force_next_flush()")
    row = connection.execute("select seq_scan from pg_stat_user_tables where relname = 'listings'").fetchone()
    return int(row[0]) if row else 0


def told(one: Changes) -> str:
    marked, claimed, both = one.per_s
    return f"{marked:,.0f} marked, {claimed:,.0f} claimed, {both:,.0f} both a second"


# Report ---------------------------------------------------------------------------------------------------------------


def section(described: str, options: argparse.Namespace, found: dict[str, Any]) -> str:
    """The result as Markdown."""
    ours, bare, queue = (
        [statistics.median(column) for column in zip(*(one.per_s for one in found[name]), strict=True)]
        for name in ("ours", "bare", "queue")
    )
    sweeps: list[Sweep] = found["sweeps"]
    names = ("seconds", "floor_s", "cpu_s", "memory_mb")
    seconds, bare_s, cpu_s, memory = (statistics.median(getattr(one, name) for one in sweeps) for name in names)
    read = sweeps[0].listings
    rows = zip(("planned, the new figure written", "claimed for a write", "**both**"), ours, bare, strict=True)
    return "\n".join(
        [
            described,
            "",
            f"{options.listings:,} SKUs, each listed at {len(CHANNELS)} channels: "
            f"{options.listings * len(CHANNELS):,} listings; {found['size_gb']:.1f} GB. Medians of {ROUNDS} rounds, "
            f"engine and floor in turn. {options.sold:,} SKUs far apart are sold in each, so "
            f"{options.sold * len(CHANNELS):,} listings change. "
            f'`make bench ARGS="size --listings {options.listings} --sold {options.sold}"`',
            "",
            "| listing changes a second | oneshelf | floor: the same by one bare update each | of the floor |",
            "|---|---:|---:|---:|",
            f"| marked as moved | {queue[0]:,.0f} | | |",
            f"| claimed for planning, locked and read | {queue[1]:,.0f} | | |",
            f"| **marked and claimed** | {queue[2]:,.0f} | | |",
            *(f"| {what} | {mine:,.0f} | {other:,.0f} | {mine / other:.0%} |" for what, mine, other in rows),
            "",
            f"`listings` was read from end to end {found['scans']} times meanwhile.",
            "",
            f"One channel swept in pages of {CAPABILITY.page_reads}; one listing in {DIFFERENT} shows another figure, "
            "and all of these are found. No network is between.",
            "",
            "| | seconds | CPU seconds of the engine | listings a second | MB of the engine at most |",
            "|---|---:|---:|---:|---:|",
            f"| **{read:,} listings** | {seconds:.1f} | {cpu_s:.1f} | {read / seconds:,.0f} | {memory:.0f} |",
            f"| floor: one bare update of each | {bare_s:.1f} | | {read / bare_s:,.0f} | |",
        ]
    )


def measured(dsn: str, options: argparse.Namespace) -> dict[str, Any]:
    """All of it on one filled database."""
    with psycopg.connect(dsn, autocommit=True) as connection:
        size = connection.execute("select pg_database_size(current_database()) / 1e9").fetchone()
    sweeps = []
    for _ in range(ROUNDS):
        sweeps.append(sweep_apart(dsn, options.listings))
        print(f"    {sweeps[-1]}", flush=True)
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("update listings set look_at = null where look_at is not null")
        connection.execute("vacuum listings")
    ours, bare, queue, scans = asyncio.run(changes(dsn, options.listings, options.sold))
    counted = {"scans": scans, "size_gb": float(size[0]) if size else 0.0}
    return {"sweeps": sweeps, "ours": ours, "bare": bare, "queue": queue, **counted}


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, print, and write the README's section."""
    parser = argparse.ArgumentParser(prog="benchmarks size", description=__doc__)
    parser.add_argument("--listings", type=int, default=50_000, help="listings of each channel; 1000000 need 10 GB")
    parser.add_argument("--sold", type=int, default=5_000, help="SKUs sold in each round; at most a sixth of them")
    parser.add_argument("--sweep", metavar="DSN", help=argparse.SUPPRESS)
    parser.add_argument("--print-only", action="store_true", help="leave benchmarks/README.md as it is")
    options = parser.parse_args(arguments)
    configure_logging(level="CRITICAL")
    if options.sweep:
        done = asyncio.run(swept(options.sweep, options.listings))
        print(json.dumps(asdict(done)))
        return
    with tempfile.TemporaryDirectory(prefix="oneshelf-bench-", ignore_cleanup_errors=True) as name:
        directory = Path(name)
        directory.chmod(0o755)  # The database's own user has to reach it.
        began = clock.monotonic()
        with EmbeddedPostgres(directory / "postgres", durable=False, settings={"max_wal_size": "4GB"}) as server:
            migrate(server.dsn)
            fill(server.dsn, options.listings)
        print(f"filled in {clock.monotonic() - began:.0f} s", flush=True)
        # Again, with the settings that a user has.
        with EmbeddedPostgres(directory / "postgres") as server:
            described = asyncio.run(machine(server.dsn))
            text = section(described, options, measured(server.dsn, options))
    print(text)
    if not options.print_only:
        written(text, section="size")


if __name__ == "__main__":
    main()
