"""A count file of a million rows, in and out: `python -m benchmarks files --rows 1000000`.

Fills a private PostgreSQL with so many SKUs, of which each has units and a movement of the day before; writes a CSV
file that counts them all as of an hour ago, and brings it in, row by row, by a process of its own and its helpers:
seconds of each pass, rows a second, CPU seconds of them and of all processes of PostgreSQL, and the memory that they
took at most, each at its own worst moment. Then the same file again. Then all of that kind is written out, as CSV and
as a workbook, each by a process of its own. `--kind skus`: a file of so many SKUs that are new; `receipts`: as many
deliveries.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import psycopg

from benchmarks.report import machine, written
from oneshelf.clock import SystemClock
from oneshelf.files.exporting import SHEET_ROWS_MAX, Format, write_out
from oneshelf.files.helper import helpers_count
from oneshelf.files.importing import Atomic, Wish, bring_in
from oneshelf.files.kind import Told
from oneshelf.files.kinds import kind_named
from oneshelf.storage.database import Database
from oneshelf.storage.embedded import EmbeddedPostgres
from oneshelf.storage.migrate import migrate

_FILL = """
    insert into locations (location) values ('BER');
    insert into skus (sku) select 'SKU-' || lpad(i::text, 7, '0') from generate_series(1, {rows}) as i;
    insert into balances (sku, location, available, version) select sku, 'BER', 20, 1 from skus;
    insert into movements (sku, movement_id, posted_at, units, from_account, to_location, to_account, reason, source,
                           version)
    select sku, ('0193' || substr(md5(sku), 1, 8) || '7' || substr(md5(sku), 9, 3) || '8'
                 || substr(md5(sku), 12, 15))::uuid,
           db_now() - interval '1 day', 20, 'supplier', 'BER', 'available', 'received', 'bench ' || sku, 1 from skus;
    analyze;
"""


def main(options: Sequence[str]) -> None:
    """Measure, and write the table."""
    parser = argparse.ArgumentParser(prog="benchmarks files", description=__doc__)
    parser.add_argument("--rows", type=int, default=100_000, help="rows of the file")
    parser.add_argument("--kind", choices=("counts", "receipts", "skus"), default="counts", help="what is in the file")
    parser.add_argument("--dsn", default="", help=argparse.SUPPRESS)
    parser.add_argument("--file", default="", help=argparse.SUPPRESS)
    parser.add_argument("--into", default="", help=argparse.SUPPRESS)
    asked = parser.parse_args(options)
    if asked.file or asked.into:
        done = (
            _bring(asked.dsn, asked.kind, Path(asked.file))
            if asked.file
            else _take_out(asked.dsn, asked.kind, asked.into)
        )
        sys.stdout.write(json.dumps(asyncio.run(done)))
        return
    with tempfile.TemporaryDirectory(prefix="oneshelf-bench-") as directory:
        path = Path(directory) / "counts.csv"
        Path(directory).chmod(0o755)  # The database's own user has to reach it.
        with EmbeddedPostgres(Path(directory) / "pg") as server:
            migrate(server.dsn)
            with psycopg.connect(server.dsn, autocommit=True) as connection:
                connection.execute(_FILL.format(rows=asked.rows))
                row = connection.execute("select to_char(db_now() - interval '1 hour', 'YYYY-MM-DD\"T\"HH24:MI:SSOF')")
                taken_at = (row.fetchone() or ("",))[0]
            _WRITERS[asked.kind](path, asked.rows, taken_at)
            before = _cpu_s(server.postmaster_pid)
            first = _apart(server.dsn, asked.kind, "--file", path)
            # What has ended is counted where its parent has seen it.
            time.sleep(1)
            first["database_cpu_s"] = _cpu_s(server.postmaster_pid) - before
            second = _apart(server.dsn, asked.kind, "--file", path)
            size, out = path.stat().st_size, {}
            path.unlink()
            for form in Format:
                if form is Format.CSV or asked.rows < SHEET_ROWS_MAX:
                    before = _cpu_s(server.postmaster_pid)
                    into = Path(directory) / f"out.{form.value}"
                    one = _apart(server.dsn, asked.kind, "--into", into)
                    time.sleep(1)
                    out[form] = {
                        **one,
                        "size": into.stat().st_size,
                        "database_cpu_s": _cpu_s(server.postmaster_pid) - before,
                    }
            described = asyncio.run(machine(server.dsn))
        _tell(described, asked, size, first, second, out)


def _write_skus(path: Path, rows: int, _taken_at: str) -> None:
    with path.open("w", encoding="utf-8") as file:
        file.write("sku,title\n")
        for number in range(1, rows + 1):
            file.write(f"NEW-{number:07},Mug number {number}\n")


def _write(path: Path, rows: int, taken_at: str) -> None:
    with path.open("w", encoding="utf-8") as file:
        file.write("sku,location,on_hand,taken_at\n")
        for number in range(1, rows + 1):
            file.write(f"SKU-{number:07},BER,{15 + number % 10},{taken_at}:00\n")


def _write_receipts(path: Path, rows: int, taken_at: str) -> None:
    with path.open("w", encoding="utf-8") as file:
        file.write("sku,location,received,received_at\n")
        for number in range(1, rows + 1):
            file.write(f"SKU-{number:07},BER,{1 + number % 10},{taken_at}:00\n")


_WRITERS = {"counts": _write, "receipts": _write_receipts, "skus": _write_skus}


def _cpu_s(postmaster: int) -> float:
    """CPU seconds of this server so far: of all its processes, and of those that have ended."""
    ticks = 0
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and (entry / "stat").exists():
            fields = (entry / "stat").read_text().rpartition(")")[2].split()
            if int(entry.name) == postmaster:
                ticks += sum(map(int, fields[11:15]))
            elif int(fields[1]) == postmaster:
                ticks += sum(map(int, fields[11:13]))
    return ticks / os.sysconf("SC_CLK_TCK")


def _apart(dsn: str, kind: str, direction: str, path: Path) -> dict[str, Any]:
    """Bring it in, or write it out, by a process of its own, whose memory is measured."""
    command = [sys.executable, "-m", "benchmarks", "files", "--dsn", dsn, "--kind", kind, direction, str(path)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    figures: dict[str, Any] = json.loads(done.stdout)
    return figures


async def _bring(dsn: str, kind: str, path: Path) -> dict[str, Any]:
    began, passed = time.monotonic(), {"checked": 0.0, "applied": 0.0}

    def tell(stage: str, row_count: int, _import_id: str) -> None:
        del row_count
        passed[stage] = time.monotonic() - began

    wish = Wish(kind=kind_named(kind), file_name=path.name, told=Told(), atomic=Atomic.ROW)
    async with Database.open(dsn) as database:
        with path.open("rb") as origin:
            report = await bring_in(database, SystemClock().new_id, origin, wish, tell)
    used, helped = resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN)
    return {
        "state": report.state,
        "applied": report.applied_count,
        "problems": report.problem_count,
        "first_problem": report.problems[0].reason if report.problems else "",
        "checked_s": passed["checked"],
        "seconds": time.monotonic() - began,
        "cpu_s": used.ru_utime + used.ru_stime + helped.ru_utime + helped.ru_stime,
        # Of the children the largest is known: as if all were so large.
        "mb": (used.ru_maxrss + helpers_count() * helped.ru_maxrss) / 1024,
    }


async def _take_out(dsn: str, kind: str, into: str) -> dict[str, Any]:
    began, path = time.monotonic(), Path(into)
    async with Database.open(dsn) as database:
        rows = await write_out(database, kind, path, Format(path.suffix[1:]))
    used = resource.getrusage(resource.RUSAGE_SELF)
    return {
        "rows": rows,
        "seconds": time.monotonic() - began,
        "cpu_s": used.ru_utime + used.ru_stime,
        "mb": used.ru_maxrss / 1024,
    }


def _tell(
    described: str,
    asked: argparse.Namespace,
    size: int,
    first: dict[str, Any],
    second: dict[str, Any],
    out: Mapping[Format, dict[str, Any]],
) -> None:
    rows = asked.rows
    what = {
        "counts": f"{rows:,} counts, {size / 1e6:.0f} MB, each of another SKU, as of an hour ago",
        "receipts": f"{rows:,} receipts, {size / 1e6:.0f} MB, each of another SKU, of an hour ago",
        "skus": f"{rows:,} new SKUs, {size / 1e6:.0f} MB",
    }[asked.kind]
    assert first["applied"] == rows, first
    assert second["state"] == "applied_before", second
    all_cpu_s = first["cpu_s"] + first["database_cpu_s"]
    text = "\n".join(
        [
            f'{described} `make bench ARGS="files --kind {asked.kind} --rows {rows}"`',
            "",
            f"A CSV file of {what}, brought in row by row, and all of that kind written out.",
            "",
            "| | seconds | rows a second | CPU s of Python | CPU s of PostgreSQL | µs a row of both | MB of Python |",
            "|---|---:|---:|---:|---:|---:|---:|",
            f"| read and judged | {first['checked_s']:.1f} | {rows / first['checked_s']:,.0f} | | | | |",
            f"| **judged and applied** | {first['seconds']:.1f} | {rows / first['seconds']:,.0f} | {first['cpu_s']:.1f}"
            f" | {first['database_cpu_s']:.1f} | {all_cpu_s / rows * 1e6:.0f} | {first['mb']:.0f} |",
            f"| the same file again | {second['seconds']:.1f} | | {second['cpu_s']:.1f} | | | {second['mb']:.0f} |",
            *(_line(form, one) for form, one in out.items()),
            "",
            f"The load of the machine was {os.getloadavg()[0]:.0f} at the end.",
        ]
    )
    print(text)
    written(text, section="files" if asked.kind == "counts" else f"files of {asked.kind}")


def _line(form: Format, one: Mapping[str, Any]) -> str:
    cpu_s = one["cpu_s"] + one["database_cpu_s"]
    return (
        f"| **written out**, {one['rows']:,} rows as {form.value}, {one['size'] / 1e6:.0f} MB | {one['seconds']:.1f}"
        f" | {one['rows'] / one['seconds']:,.0f} | {one['cpu_s']:.1f} | {one['database_cpu_s']:.1f}"
        f" | {cpu_s / one['rows'] * 1e6:.0f} | {one['mb']:.0f} |"
    )
