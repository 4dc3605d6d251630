"""Seconds of an audit of a large ledger: `python -m benchmarks audit --movements 10000000`.

Fills a private PostgreSQL with a ledger that balances, as years of trade leave it: receipts, orders (most of them
shipped), holds (released, expired, claimed, held) and transfers, over SKUs whose movements lie far apart. Then it
times the full audit, the first and the next incremental ones, and what they find once every rule has been broken.
"""

from __future__ import annotations

import argparse
import asyncio
import tempfile
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import psycopg

from benchmarks.report import machine, written
from oneshelf.clock import SystemClock
from oneshelf.domain.command import CommandKey, Demand, ReservationKind, Reserve
from oneshelf.domain.identity import Location, Sku
from oneshelf.flow import audit, post
from oneshelf.storage.database import Database
from oneshelf.storage.embedded import EmbeddedPostgres
from oneshelf.storage.migrate import migrate
from oneshelf.telemetry import configure_logging

LINES, HOLDS, CLAIMS = 30, 14, 2  # of a SKU; a line and a hold make two movements each, a claim three
clock = SystemClock()

MOVEMENTS_OF_A_SKU = 3 + 2 * LINES - 3 + 2 * HOLDS - 1 + 3 * CLAIMS
MINUTE = 6_000  # movements between two incremental audits: a hundred a second

_PREPARE = """
    set session_replication_role = replica;
    alter table movements drop constraint movements_pkey;
    drop index movements_by_xid;
    insert into locations (location) values ('A'), ('B'), ('C');
    insert into channels (channel, kind, mode, location, created_at)
        select 'shop-' || n, 'bench', 'watch', 'A', '2020-01-01' from generate_series(0, 2) as n;
    create function at(n bigint) returns timestamptz language sql stable as
        $$ select timestamptz '2024-01-01 00:00Z' + n * interval '1 hour' $$;
    create function id(n bigint, i bigint, k int) returns uuid language sql stable as
        $$ select (lpad(to_hex((extract(epoch from at(n)) * 1000)::bigint), 12, '0') || '7' || lpad(to_hex(k), 3, '0')
                   || '8000' || lpad(to_hex(i), 12, '0'))::uuid $$;
    create view s as select i, 'SKU-' || lpad(i::text, 7, '0') as sku,
        (array['A', 'B', 'C'])[1 + i % 3] as location, (array['B', 'C', 'A'])[1 + i % 3] as next_location
        from generate_series(0, current_setting('bench.skus')::bigint - 1) as i;
    insert into skus (sku) select sku from s;
"""
_COLUMNS = (
    "sku, movement_id, posted_at, units, from_location, from_account, to_location, to_account, reason, source, version"
)
_ROUNDS: Sequence[tuple[int, str]] = (
    (
        1,
        f"""
        insert into movements ({_COLUMNS})
        select sku, id(0, i, 1), at(0), 200, null, 'supplier', location, 'available', 'received', 'bench/' || i, 1
        from s;
        insert into movements ({_COLUMNS})
        select sku, id(0, i, 2), at(0), 5, location, 'available', null, 'in_transit', 'dispatched', 'transfer T', 2
        from s;
        insert into movements ({_COLUMNS})
        select sku, id(1, i, 1), at(1), 4, null, 'in_transit', next_location, 'available', 'arrived', 'transfer T', 1
        from s;
        insert into transfers (sku, transfer_id, origin, target, units_sent, units_arrived, created_at)
        select sku, 'T', location, next_location, 5, 4, at(0) from s;
        """,
    ),
    (
        # Every tenth line shares the order of the one before. The last three of a SKU have not shipped.
        LINES,
        f"""
        create temporary table line as
        select s.*, 'shop-' || n % 3 as channel, (n * 7 + 1000)::text as order_id, (k % 10 = 1)::int + 1 as line_id
        from (select s.*, b.k, s.i * {LINES} + b.k - (b.k % 10 = 1)::int as n
              from s, (select current_setting('bench.k')::bigint as k) as b) as s;
        insert into movements ({_COLUMNS})
        select sku, id(10 + k * 10, i, 3), at(10 + k * 10), 1 + k % 2, location, 'available', location, 'committed',
               'committed', 'order ' || channel || '/' || order_id || '/' || line_id, 3 from line;
        insert into movements ({_COLUMNS})
        select sku, id(15 + k * 10, i, 4), at(15 + k * 10), 1 + k % 2, location, 'committed', null, 'customer',
               'shipped', 'order ' || channel || '/' || order_id || '/' || line_id, 4 from line where k < {LINES} - 3;
        insert into order_lines (sku, channel, order_id, line_id, location, channel_sku, placed_at, units_pending,
            units_committed, units_shipped, units_short, is_pending, pack_units, units_off_listing)
        select sku, channel, order_id, line_id, location, 'listing-' || i, at(10 + k * 10), 0,
               case when k < {LINES} - 3 then 0 else 1 + k % 2 end, case when k < {LINES} - 3 then 1 + k % 2 else 0 end,
               0, false, 1, 1 + k % 2 from line;
        insert into orders (channel, order_id, placed_at, seen_at, snapshot)
        select channel, order_id, at(10 + k * 10), at(10 + k * 10), jsonb_build_object(
            'channel', channel, 'order_id', order_id, 'version', at(10 + k * 10), 'placed_at', at(10 + k * 10),
            'is_pending', false, 'lines', case when k % 10 = 0 then jsonb_build_array(said(1, i, 1), said(2, i, 2))
            else jsonb_build_array(said(1, i, 1 + k % 2)) end)
        from line where k % 10 <> 1;
        drop table line;
        """,
    ),
    (
        # Of fourteen, one is held, two have expired.
        HOLDS,
        f"""
        create temporary table hold as
        select s.*, k, id(12 + k * 20, i, 5) as reservation_id from s, (select current_setting('bench.k')::int as k) b;
        insert into movements ({_COLUMNS})
        select sku, id(12 + k * 20, i, 6), at(12 + k * 20), 2, location, 'available', location, 'reserved', 'reserved',
               'reservation ' || reservation_id, 5 from hold;
        insert into movements ({_COLUMNS})
        select sku, id(13 + k * 20, i, 7), at(13 + k * 20), 2, location, 'reserved', location, 'available',
               case when k < 3 then 'expired' else 'released' end, 'reservation ' || reservation_id, 6
        from hold where k > 0;
        insert into reservations (sku, reservation_id, location, kind, units, state, expires_at, created_at)
        select sku, reservation_id, location, case when k = 0 then 'lock' else 'hold' end, 2,
               case when k = 0 then 'held' when k < 3 then 'expired' else 'released' end,
               case when k > 0 then at(13 + k * 20) end, at(12 + k * 20) from hold;
        drop table hold;
        """,
    ),
    (
        CLAIMS,
        f"""
        create temporary table claim as
        select s.*, k, id(14 + k * 30, i, 8) as reservation_id, 'order till/' || i || '-' || k as holder
        from s, (select current_setting('bench.k')::int as k) b;
        insert into movements ({_COLUMNS})
        select sku, id(14 + k * 30, i, 9), at(14 + k * 30), 1, location, 'available', location, 'reserved', 'reserved',
               'reservation ' || reservation_id, 7 from claim;
        insert into movements ({_COLUMNS})
        select sku, id(16 + k * 30, i, 10), at(16 + k * 30), 1, location, 'reserved', location, 'committed',
               'committed', holder || '/' || reservation_id || '/' || sku || '/' || location, 8 from claim;
        insert into movements ({_COLUMNS})
        select sku, id(17 + k * 30, i, 11), at(17 + k * 30), 1, location, 'committed', null, 'customer', 'shipped',
               holder || '/' || reservation_id || '/' || sku || '/' || location, 9 from claim;
        insert into reservations (sku, reservation_id, location, kind, units, state, holder, created_at)
        select sku, reservation_id, location, 'lock', 1, 'claimed', holder, at(14 + k * 30) from claim;
        insert into orders (channel, order_id, placed_at, seen_at)
        select 'till', i || '-' || k, at(16 + k * 30), at(16 + k * 30) from claim;
        insert into order_lines (sku, channel, order_id, line_id, location, channel_sku, placed_at, units_pending,
            units_committed, units_shipped, units_short, is_pending, pack_units, units_off_listing)
        select sku, 'till', i || '-' || k, reservation_id || '/' || sku || '/' || location, location, '',
               at(16 + k * 30), 0, 0, 1, 0, false, 1, 0 from claim;
        drop table claim;
        """,
    ),
)
_LINE_JSON = """
    create function said(n int, i bigint, units bigint) returns jsonb language sql stable as
    $$ select jsonb_build_object('line_id', n::text, 'channel_sku', 'listing-' || i, 'units_ordered', units,
       'units_cancelled', 0, 'units_relisted', 0, 'units_shipped', 0) $$;
"""
_FINISH = f"""
    insert into balances (sku, location, available, committed, reserved, version)
    select sku, location, 200 - 5 - {sum(1 + k % 2 for k in range(LINES))} - 2 - {CLAIMS},
           {sum(1 + k % 2 for k in range(LINES - 3, LINES))}, 2, 100 from s
    union all
    select sku, next_location, 4, 0, 0, 1 from s;
    insert into listings (channel, channel_sku, sku, net_units)
    select channel, channel_sku, min(sku), sum(units_off_listing) from order_lines where channel_sku <> ''
        group by 1, 2;
    set maintenance_work_mem = '1GB';
    alter table movements add primary key (sku, movement_id);
    create index movements_by_xid on movements using brin (xid) with (pages_per_range = 32, autosummarize = on);
"""
# Each breaks one rule, for one SKU of its own; of the second and third, units are missed at one place and too many at
# another.
_BROKEN: Sequence[str] = (
    "update balances set damaged = 1 where sku = 'SKU-0000001' and location = 'B'",
    "update order_lines set location = 'A' where sku = 'SKU-0000002' and units_committed > 0",
    "update reservations set location = 'B' where sku = 'SKU-0000003' and state = 'held'",
    "update reservations set units = units + 1 where sku = 'SKU-0000004' and created_at = at(14)",
    "update transfers set units_lost = 1 where sku = 'SKU-0000005'",
    "update order_lines set units_returned = 1 where sku = 'SKU-0000006' and channel = 'till'",
    "insert into order_lines select sku, channel, order_id, 'more', location, '', placed_at, 0, 0, 0, 1, false, 1, 0 "
    "from order_lines where sku = 'SKU-0000007' and channel = 'till' limit 1",
    "update orders set snapshot = jsonb_set(snapshot, '{lines,0,units_ordered}', '9') "
    "where channel = 'shop-1' and order_id = (select min(order_id) from order_lines where sku = 'SKU-0000008' "
    "and channel = 'shop-1')",
    "update listings set net_units = net_units + 1 where sku = 'SKU-0000009' and channel = 'shop-1'",
)


@dataclass(frozen=True, slots=True)
class Timed:
    """An audit that was timed."""

    what: str
    movements: int
    seconds: float
    violations: int

    def row(self) -> str:
        return f"| {self.what} | {self.movements:,} | {self.seconds:.2f} | {self.violations} |"


def fill(dsn: str, sku_count: int) -> None:
    """A ledger that balances, with about a hundred movements of each SKU."""
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("select set_config('bench.skus', %s, false)", (str(sku_count),))
        connection.execute("set jit = off")
        connection.execute(_PREPARE.encode() + _LINE_JSON.encode())
        for rounds, statements in _ROUNDS:
            for k in range(rounds):
                connection.execute("select set_config('bench.k', %s, false)", (str(k),))
                connection.execute(statements.encode())
        connection.execute(_FINISH.encode())
        connection.execute("vacuum analyze")


def break_every_rule(dsn: str) -> None:
    """One rule after the other, by hand and behind the engine's back."""
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("set session_replication_role = replica")
        for statement in _BROKEN:
            assert connection.execute(statement.encode()).rowcount > 0, statement
        # The patrol comes by next where they are.
        connection.execute("update audit_position set patrolled_sku = ''")


async def trade(database: Database, sku_count: int, count: int, *, first: int) -> None:
    """So many holds, over SKUs far apart, as the engine posts them."""
    for start in range(first, first + count, 500):
        numbers = [number * 7919 % sku_count for number in range(start, min(start + 500, first + count))]
        commands = [
            Reserve(
                key=CommandKey(scope="bench", key=f"hold-{start}-{at}"),
                kind=ReservationKind.HOLD,
                lines=(Demand(sku=Sku(f"SKU-{number:07}"), location=Location("ABC"[number % 3]), units=1),),
                ttl_s=900,
            )
            for at, number in enumerate(numbers)
        ]
        await post.post_commands(database, clock.new_id, commands)


class Watch:
    """How long each part of an audit took."""

    def __init__(self) -> None:
        self.parts: list[tuple[str, float]] = []

    def __call__(self, what: str) -> None:
        self.parts.append((what, clock.monotonic()))

    def told(self, end: float) -> str:
        ends = [at for _, at in self.parts[1:]] + [end]
        return "; ".join(f"{what} {after - at:.2f} s" for (what, at), after in zip(self.parts, ends, strict=True))


async def timed(what: str, run: Callable[[Watch], Awaitable[audit.Audit]]) -> Timed:
    """One audit, by the clock. What it spent its time on is printed."""
    watch, began = Watch(), clock.monotonic()
    found = await run(watch)
    end = clock.monotonic()
    done = Timed(what, found.movement_count, end - began, found.violation_count)
    print(f"{done.row()}\n    {watch.told(end)}", flush=True)
    return done


async def measured(dsn: str, sku_count: int) -> list[Timed]:
    """Audits of a sound ledger, between a minute's trade, and of one in which every rule is broken."""
    async with Database.open(dsn) as database:

        async def whole(watch: Watch) -> audit.Audit:
            return await audit.audit(database, progress=watch)

        async def new(watch: Watch) -> audit.Audit:
            return await audit.audit_new(database, progress=watch)

        rows = [await timed("the first run of the engine's audit, which reads all", new)]
        rows.append(await timed("**everything** (`oneshelf audit`)", whole))
        rows.append(await timed("what is new, when nothing is", new))
        await trade(database, sku_count, MINUTE, first=0)
        rows.append(await timed("**what is new, after a minute of 100 movements a second**", new))
        await trade(database, sku_count, 10 * MINUTE, first=MINUTE)
        rows.append(await timed("what is new, after ten such minutes", new))
        assert not any(row.violations for row in rows)
        break_every_rule(dsn)
        expected = len(_BROKEN) + 2
        for row in (
            await timed("what is new, every rule broken at one place", new),
            await timed("everything, every rule broken at one place", whole),
        ):
            assert row.violations == expected, f"{row.violations} violations instead of {expected}"
            rows.append(row)
    return rows


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, print, and write the README's section."""
    parser = argparse.ArgumentParser(prog="benchmarks audit", description=__doc__)
    parser.add_argument("--movements", type=int, default=1_000_000, help="movements in the ledger")
    parser.add_argument("--print-only", action="store_true", help="leave benchmarks/README.md as it is")
    options = parser.parse_args(arguments)
    configure_logging(level="CRITICAL")
    sku_count = max(1_000, options.movements // MOVEMENTS_OF_A_SKU)
    with tempfile.TemporaryDirectory(prefix="oneshelf-bench-", ignore_cleanup_errors=True) as name:
        directory = Path(name)
        directory.chmod(0o755)  # The database's own user has to reach it.
        began = clock.monotonic()
        with EmbeddedPostgres(directory / "postgres", durable=False, settings={"max_wal_size": "4GB"}) as server:
            migrate(server.dsn)
            fill(server.dsn, sku_count)
        print(f"filled in {clock.monotonic() - began:.0f} s", flush=True)
        # Again, with the settings that a user has.
        with EmbeddedPostgres(directory / "postgres") as server:
            described = asyncio.run(machine(server.dsn))
            rows = asyncio.run(measured(server.dsn, sku_count))
    text = "\n".join(
        [
            described,
            "",
            f'`make bench ARGS="audit --movements {options.movements}"`: {sku_count:,} SKUs with some '
            f"{MOVEMENTS_OF_A_SKU} movements each, {sku_count * (LINES + CLAIMS):,} order lines, "
            f"{sku_count * (HOLDS + CLAIMS):,} reservations, {sku_count:,} transfers.",
            "",
            "| audited | movements read | seconds | violations |",
            "|---|---:|---:|---:|",
            *(row.row() for row in rows),
        ]
    )
    print(text)
    if not options.print_only:
        written(text, section="audit")


if __name__ == "__main__":
    main()
