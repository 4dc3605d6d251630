"""Reservations and commands a second over HTTP, of one `oneshelf serve`: `python -m benchmarks http`.

The engine runs as its users run it, on its embedded PostgreSQL. The sender of the load is another process on the same
cores: connections that stay open, each with one request under way. Compared in the same run with what HTTP and the
database cost here by themselves (`benchmarks/http_floor.py`).
"""

from __future__ import annotations

import argparse
import asyncio
import functools
import json
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import NamedTuple, cast

import uvloop

from benchmarks.report import machine, written
from oneshelf.demo.children import HOST, Child, any_free_port
from oneshelf.storage.embedded import running_dsn

UNITS = 1_000_000_000
LOCATION = "warehouse"
BATCH = 100
# Connections of the requests for a single reservation.
CONNECTIONS = 64
ONE = f"`/v1/reservations`, one hot SKU, {CONNECTIONS} connections"
EMPTY = f"floor of HTTP: a fixed answer of a bare server, {CONNECTIONS} connections"
ROWS = f"floor of both: the same rows by unnest behind a bare server, {CONNECTIONS} connections"


class Round(NamedTuple):
    """What a round gave. `commands` is what the requests asked for in all; latencies in milliseconds."""

    commands: int
    seconds: float
    took: list[float]

    def figures(self) -> tuple[float, float, float]:
        took = sorted(self.took)
        return self.commands / self.seconds, took[len(took) // 2], took[int(len(took) * 0.99)]


class Connection(asyncio.Protocol):
    """Sends a request, waits for the whole answer, sends the next one, until there is no more."""

    def __init__(
        self, next_body: Callable[[], bytes | None], path: str, headers: Mapping[str, str] | None = None
    ) -> None:
        self._next_body = next_body
        named = {"Host": HOST, "Content-Type": "application/json", **(headers or {})}
        told = "".join(f"{name}: {value}\r\n" for name, value in named.items())
        self._head = f"POST {path} HTTP/1.1\r\n{told}Content-Length: "
        self._answer = b""
        self._asked = 0.0
        self.took: list[float] = []
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._ask()

    def data_received(self, data: bytes) -> None:
        self._answer += data
        head, separator, body = self._answer.partition(b"\r\n\r\n")
        if not separator:
            return
        length = int(head.lower().partition(b"content-length:")[2].split(b"\r\n", 1)[0])
        if len(body) < length:
            return
        self.took.append((perf_counter() - self._asked) * 1000)
        if not head.startswith(b"HTTP/1.1 200"):
            self.done.set_exception(AssertionError(self._answer[:500].decode()))
            return
        self._answer = b""
        self._ask()

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.done.done():
            self.done.set_exception(exc or ConnectionResetError("the engine closed the connection"))

    def _ask(self) -> None:
        body = self._next_body()
        if body is None:
            self.done.set_result(None)
            self._transport.close()
            return
        self._asked = perf_counter()
        self._transport.write(f"{self._head}{len(body)}\r\n\r\n".encode() + body)


async def send(
    port: int,
    path: str,
    body_of: Callable[[int], bytes],
    *,
    connections: int,
    seconds: float,
    headers: Mapping[str, str] | None = None,
) -> Round:
    """Load for so long. The commands of a request are counted by the caller."""
    number = 0
    begun = perf_counter()

    def next_body() -> bytes | None:
        nonlocal number
        if perf_counter() - begun >= seconds:
            return None
        number += 1
        return body_of(number)

    loop = asyncio.get_running_loop()
    opened = [
        (await loop.create_connection(lambda: Connection(next_body, path, headers), HOST, port))[1]
        for _ in range(connections)
    ]
    await asyncio.gather(*(one.done for one in opened))
    return Round(number, perf_counter() - begun, [latency for one in opened for latency in one.took])


def reservation(number: int, run: str) -> bytes:
    line = {"sku": "SKU-HOT", "location": LOCATION, "units": 1}
    return json.dumps({"key": f"{run}-{number}", "kind": "hold", "lines": [line], "ttl_s": 600}).encode()


def batch(number: int, run: str, kind: str) -> bytes:
    """A hundred reservations of one unit, or a hundred receipts, of as many SKUs."""
    made: list[dict[str, object]] = []
    for at in range(BATCH):
        sku, key = f"SKU-{at:03}", f"{run}-{number}-{at}"
        if kind == "receive":
            made.append({"type": "receive", "key": key, "sku": sku, "location": LOCATION, "units": 1})
        else:
            lines = [{"sku": sku, "location": LOCATION, "units": 1}]
            made.append({"type": "reserve", "key": key, "kind": "hold", "lines": lines, "ttl_s": 600})
    return json.dumps({"commands": made}).encode()


async def prepare(port: int) -> None:
    """One location, and SKUs with plenty of units."""

    async def once(path: str, document: object) -> None:
        bodies = iter([json.dumps(document).encode()])
        _, one = await asyncio.get_running_loop().create_connection(
            lambda: Connection(lambda: next(bodies, None), path), HOST, port
        )
        await one.done

    names = ["SKU-HOT", *(f"SKU-{at:03}" for at in range(BATCH))]
    await once("/v1/locations", {"locations": [{"location": LOCATION}]})
    await once("/v1/skus", {"skus": [{"sku": name} for name in names]})
    received = [
        {"type": "receive", "key": f"first-{name}", "sku": name, "location": LOCATION, "units": UNITS // 10}
        for name in names
    ]
    await once("/v1/commands", {"commands": received})


async def rounds_of(port: int, floor_port: int, *, rounds: int, seconds: float) -> dict[str, list[Round]]:
    """Each kind of request in turn, of the engine and of the floor."""
    found: dict[str, list[Round]] = {}
    for turn in range(rounds):
        run = f"run{turn}"
        for what, to_port, path in (
            (EMPTY, floor_port, "/empty"),
            (ROWS, floor_port, "/rows"),
            (ONE, port, "/v1/reservations"),
        ):
            name = f"{run}{path}"
            one = await send(
                to_port,
                path,
                functools.partial(reservation, run=name),
                connections=CONNECTIONS,
                seconds=seconds,
            )
            found.setdefault(what, []).append(one)
        for kind in ("reserve", "receive"):
            many = await send(
                port,
                "/v1/commands",
                functools.partial(batch, run=f"{run}{kind}", kind=kind),
                connections=4,
                seconds=seconds,
            )
            several = many._replace(commands=many.commands * BATCH)
            found.setdefault(f"`/v1/commands`, {BATCH} times {kind} in a request, 4 connections", []).append(several)
    return found


def section(described: str, found: dict[str, list[Round]], *, seconds: float, rounds: int) -> str:
    """The result as Markdown."""
    lines = [
        described,
        "",
        f"One server process; medians of {rounds} interleaved rounds of {seconds:g} s. `make bench ARGS=http`",
        "",
        "| requests | commands a second | p50 ms | p99 ms |",
        "|---|---:|---:|---:|",
    ]
    for what, several in found.items():
        per_s, p50, p99 = (median(column) for column in zip(*(one.figures() for one in several), strict=True))
        lines.append(f"| {what} | {per_s:,.0f} | {p50:.1f} | {p99:.1f} |")
    ours, empty, rows = (median(one.figures()[0] for one in found[what]) for what in (ONE, EMPTY, ROWS))
    lines += [
        "",
        f"Of reservations a second, HTTP alone would allow {empty:,.0f} and the rows behind HTTP {rows:,.0f}:",
    ]
    lines += [f"the engine, which also checks, locks and decides, reaches {ours / rows:.0%} of the latter."]
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, print, and write the README's section."""
    parser = argparse.ArgumentParser(prog="benchmarks http", description=__doc__)
    parser.add_argument("--seconds", type=float, default=5.0, help="of each round")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--print-only", action="store_true", help="leave benchmarks/README.md as it is")
    options = parser.parse_args(arguments)
    port = any_free_port()
    with tempfile.TemporaryDirectory(prefix="oneshelf-bench-", ignore_cleanup_errors=True) as name:
        directory = Path(name)
        directory.chmod(0o755)  # The database's own user has to reach it.
        environment = {"ONESHELF_DATA_DIR": str(directory), "ONESHELF_PORT": str(port), "ONESHELF_API_TOKEN": ""}
        engine = Child(["serve"], environment=environment, log_file=directory / "engine.log")
        engine.start()
        try:
            uvloop.run(until_ready(port))
            uvloop.run(prepare(port))
            dsn = running_dsn(directory / "postgres")
            assert dsn is not None
            with _floor(dsn) as floor_port:
                uvloop.run(until_ready(floor_port))
                found = uvloop.run(rounds_of(port, floor_port, rounds=options.rounds, seconds=options.seconds))
            described = asyncio.run(machine(dsn))
        finally:
            engine.stop()
    text = section(described, found, seconds=options.seconds, rounds=options.rounds)
    print(text)
    if not options.print_only:
        written(text, section="http")


@contextmanager
def _floor(dsn: str) -> Iterator[int]:
    """The bare server on the engine's database. Yields its port."""
    port = any_free_port()
    with subprocess.Popen([sys.executable, "-m", "benchmarks.http_floor", str(port), dsn]) as server:
        try:
            yield port
        finally:
            server.terminate()


async def until_ready(port: int) -> None:
    for _ in range(600):
        try:
            _, writer = await asyncio.open_connection(HOST, port)
        except OSError:
            await asyncio.sleep(0.1)
        else:
            writer.close()
            return
    raise TimeoutError("the engine did not start")


if __name__ == "__main__":
    main()
