"""Every list of the dashboard and of the API over a large catalogue: `python -m benchmarks pages --skus 100000`.

Fills a private PostgreSQL (`benchmarks.catalogue`), starts `oneshelf serve` on it, waits for its first audit, and asks
each address 30 times, all of them in turn, over one connection on loopback: the first page, one far behind it, and each
filter. The routes are those that the application has: one that is neither asked here nor left out with a reason ends
the measurement before it begins.
"""

from __future__ import annotations

import argparse
import asyncio
import http.client
import json
import re
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from html import unescape
from pathlib import Path
from typing import Any, NamedTuple, cast
from urllib.parse import quote

import psycopg

from benchmarks import catalogue
from benchmarks.http import until_ready
from benchmarks.report import machine, written
from oneshelf.clock import SystemClock
from oneshelf.demo.children import HOST, Child, any_free_port
from oneshelf.storage.database import Database
from oneshelf.storage.embedded import EmbeddedPostgres, running_dsn
from oneshelf.storage.migrate import migrate
from oneshelf.web.needs import NEEDS, each_route
from oneshelf.web.server import create_app
from oneshelf.workers.poster import Poster

BOUND_MS, HOME_BOUND_MS = 300, 500
ROUNDS = 30
# So many pages on, of so many rows where the route lets one choose, lies the page that is asked for as the deep one.
DEEP_PAGES, DEEP_LIMIT = 5, 1000
SETTLED_S = 900
_CLOCK = SystemClock()

# Not lists, or lists that do not grow with the shelf: why nobody measures them here.
_SIGN_IN = "signing in"
LEFT_OUT: Mapping[str, str] = {
    "/login": _SIGN_IN,
    "/login/second": _SIGN_IN,
    "/login/oidc": _SIGN_IN,
    "/login/oidc/return": _SIGN_IN,
    "/login/style.css": _SIGN_IN,
    "/set-up": _SIGN_IN,
    "/account": _SIGN_IN,
    "/account/second-factor": _SIGN_IN,
    "/favicon.ico": "a redirect",
    "/healthz": "one word",
    "/readyz": "one word",
    "/openapi.json": "the same whatever the shelf holds",
    "/webhooks/{channel}": "answers a challenge of a channel",
    "/connect": "the kinds of channels",
    "/connect/{kind}": "a form",
    "/channels/{channel}/check": "asks the channel",
    "/v1/exports/{kind}": "a whole table as a file",
    "/v1/imports/{import_id}": "one file's report",
    "/files/{import_id}": "one file's report",
    "/v1/events": "a stream that does not end",
    "/v1/channels/{channel}/windows": "four figures of one channel",
    "/v1/tills/{channel}/stock": "of a channel that is a till; none is here",
    "/v1/tills/{channel}/devices": "of a channel that is a till; none is here",
}
_STATES = ("verified", "waiting", "sending", "accepted", "unknown", "suspect", "drifting", "parked", "held", "unlinked")
_CAUSES = ("zero", "cut", "raise", "parked", "twins", "unlinked", "unread", "uncounted", "same")
# Route -> its questions. Names in braces, also within a question, are those of `names_in`.
ASKED: Mapping[str, Sequence[str]] = {
    "/": ("",),
    "/skus": ("", "?q=SKU-05", "?after={late_sku}", "?q=nothing"),
    "/skus/{sku}": ("", "?location=warehouse"),
    "/drifts": ("", "?all=1"),
    "/drifts/{drift_id}": ("",),
    "/conflicts": ("", "?all=1", "?kind=drift", "?kind=equivocation&all=1", "?sku={sku}&all=1"),
    "/conflicts/{conflict_id}": ("",),
    "/errors": ("",),
    "/short": ("", "?sku={sku}"),
    "/orders": ("", "?channel=shop-2", "?short=1", "?short=1&channel=shop-2", "?channel=shop-3"),
    "/wholesale": ("", "?which=closed", "?which=short", "?customer=customer-7"),
    "/stock": ("",),
    "/stock/counts/{task}": ("",),
    "/files": ("",),
    "/explain": ("?channel=shop-0&listing={channel_sku}",),
    "/go-live": ("",),
    "/go-live/{channel}": ("", *(f"?cause={cause}" for cause in _CAUSES)),
    "/channels": ("",),
    "/channels/{channel}": ("",),
    "/rules": ("",),
    "/rules/history": ("",),
    "/rules/architecture": ("",),
    "/rules/pools": ("", "?sku={sku}"),
    "/settings": ("",),
    "/settings/people": ("",),
    "/settings/tokens": ("",),
    "/settings/activity": ("", "?who=user-7", "?refused=1", "?about=drift 1999", "?via=token"),
    "/settings/events": ("",),
    "/metrics": ("",),
    "/v1/skus": ("", "?limit=1000", "?after={late_sku}"),
    "/v1/skus/{sku}": ("",),
    "/v1/skus/{sku}/movements": ("",),
    "/v1/skus/{sku}/sharing": ("",),
    "/v1/skus/{sku}/pools": ("",),
    "/v1/exposures": ("", "?after={late_sku}"),
    "/v1/locations": ("",),
    "/v1/count-tasks": ("", "?only_to_do=false"),
    "/v1/count-tasks/{task}": ("",),
    "/v1/shipments": ("", "?only_to_do=false", "?sku={sku}", "?location=outlet", "?shipment_id=PO-7"),
    "/v1/transfers": ("", "?only_under_way=false", "?sku={sku}", "?location=warehouse"),
    "/v1/inspections": ("", "?sku={sku}", "?location=outlet"),
    "/v1/low-stock": ("",),
    "/v1/reorder-rules": ("",),
    "/v1/reservations/{reservation_id}": ("",),
    "/v1/audit-log": ("", "?who=user-7", "?who=nobody"),
    "/v1/orders": ("", "?limit=1000", "?channel=shop-2", "?short=true", "?short=true&channel=shop-2"),
    "/v1/errors": ("",),
    "/v1/imports": ("",),
    "/v1/short": ("", "?sku={sku}"),
    "/v1/bundles": ("",),
    "/v1/kits": ("",),
    "/v1/backorders": ("",),
    "/v1/drifts": ("", "?open=true"),
    "/v1/drifts/{drift_id}": ("",),
    "/v1/drift-detection": ("",),
    "/v1/policies": ("", "?channel=shop-2"),
    "/v1/policies/allocations": ("",),
    "/v1/policies/history": ("",),
    "/v1/sources": ("",),
    "/v1/statements": ("", "?source=pos", "?sku={sku}"),
    "/v1/truth-rules": ("",),
    "/v1/truth-rules/history": ("",),
    "/v1/architecture": ("",),
    "/v1/conflicts": ("", "?open=true", "?sku={sku}"),
    "/v1/conflicts/{conflict_id}": ("",),
    "/v1/wholesale/orders": ("", "?customer=customer-7", "?state=closed", "?short=true"),
    "/v1/wholesale/orders/{customer}/{po_number}": ("",),
    "/v1/listings": (
        "",
        "?limit=1000",
        "?channel=shop-2",
        "?after={late_listing}",
        *(f"?state={state}" for state in _STATES),
        *(f"?state={state}&channel=shop-3" for state in _STATES),
    ),
    "/v1/alerts": ("",),
    "/v1/channels": ("",),
    "/v1/channels/{channel}/plan": ("", *(f"?cause={cause}" for cause in _CAUSES)),
    "/v1/channels/{channel}/listings/{channel_sku}/explain": ("",),
    "/v1/endpoints": ("",),
}
_NEXT_LINK = re.compile(r'<a href="([^"]+)" rel="next"')


class Measured(NamedTuple):
    """What an address took in ms, each time it was asked, and how large the answer was."""

    address: str
    took_ms: list[float]
    size: int

    @property
    def bound_ms(self) -> int:
        return HOME_BOUND_MS if self.address == "/" else BOUND_MS

    def at(self, share: float) -> float:
        """The time within which this share of them was answered."""
        took = sorted(self.took_ms)
        return took[min(len(took) - 1, int(len(took) * share))]

    @property
    def is_late(self) -> bool:
        return self.at(0.95) > self.bound_ms

    def row(self) -> str:
        mark = f"**above {self.bound_ms}**" if self.is_late else ""
        return f"| `{self.address}` | {self.at(0.5):,.0f} | {self.at(0.95):,.0f} | {self.size:,} | {mark} |"


def addresses(names: Mapping[str, str]) -> list[str]:
    """All that is asked. Raises SystemExit for a route that is said neither here nor there."""
    application = create_app(
        database=cast(Database, None),
        channels={},
        clock=_CLOCK,
        wake=lambda _steps: None,
        post=Poster(cast(Database, None), _CLOCK.new_id).post,
    )
    routes = {path for route, path in each_route(application.routes) if "GET" in route.methods and path in NEEDS}
    unsaid = sorted(routes - set(ASKED) - set(LEFT_OUT)) + sorted({*ASKED, *LEFT_OUT} - routes)
    if unsaid:
        raise SystemExit(f"benchmarks pages: say in ASKED or LEFT_OUT what becomes of {', '.join(unsaid)}")
    return [
        (path + question).format_map(names).replace(" ", "%20")
        for path, questions in ASKED.items()
        for question in questions
    ]


def names_in(dsn: str, sku_count: int) -> dict[str, str]:
    """What stands for the names in the addresses: things of this database."""
    late = sku_count * 9 // 10
    names = {
        "sku": "SKU-0000003",
        "late_sku": f"SKU-{late:07}",
        "channel": catalogue.WATCHED,
        "channel_sku": "40000000000003",
        "late_listing": f"shop-2/{40000000000000 + late}",
        "task": "count-0001",
        "customer": "customer-1",
        "po_number": "PO-1",
    }
    with psycopg.connect(dsn) as connection:
        for name, table in (("drift_id", "drifts"), ("conflict_id", "conflicts"), ("reservation_id", "reservations")):
            found = connection.execute(f"select {name} from {table} limit 1".encode()).fetchone()
            assert found is not None
            names[name] = str(found[0])
    return names


class Client:
    """One connection that stays open."""

    def __init__(self, port: int) -> None:
        self._connection = http.client.HTTPConnection(HOST, port, timeout=300)

    def get(self, address: str) -> tuple[float, bytes]:
        """The ms until the whole answer was there, and the answer."""
        began = time.perf_counter()
        self._connection.request("GET", address)
        answer = self._connection.getresponse()
        body = answer.read()
        took_ms = (time.perf_counter() - began) * 1000
        assert answer.status == 200, f"{address}: {answer.status} {body[:500]!r}"
        return took_ms, body


def following(address: str, body: bytes) -> str | None:
    """The address of the next page."""
    if not address.startswith("/v1"):
        found = _NEXT_LINK.search(body.decode())
        return unescape(found[1]) if found else None
    told: Any = json.loads(body)
    cursor = told.get("next") if isinstance(told, dict) else None
    if cursor is None:
        return None
    path, _, question = address.partition("?")
    name = "before" if path.endswith(("/movements", "/audit-log", "/alerts")) else "after"
    kept = [one for one in question.split("&") if one and not one.startswith((f"{name}=", "limit="))]
    return path + "?" + "&".join([*kept, f"limit={DEEP_LIMIT}", f"{name}={quote(str(cursor), safe='')}"])


def deep(client: Client, address: str) -> str | None:
    """The address of a page that lies far behind the first one; None where there is but one."""
    at, found = address, None
    for _ in range(DEEP_PAGES):
        at = following(at, client.get(at)[1]) or ""
        if not at:
            break
        found = at
    return found and re.sub(rf"limit={DEEP_LIMIT}&", "", found)


def settle(client: Client) -> None:
    """Wait until the engine has audited its ledger once: before that it reads all of it."""
    for _ in range(SETTLED_S):
        if b"\noneshelf_audit_age_seconds" in client.get("/metrics")[1]:
            return
        time.sleep(1)
    raise TimeoutError("the first audit did not end")


def measured(port: int, names: Mapping[str, str], *, rounds: int, only: str) -> list[Measured]:
    """Every address in turn, so often."""
    client = Client(port)
    settle(client)
    firsts = [address for address in addresses(names) if re.search(only, address)]
    deeps = [found for address in firsts if (found := deep(client, address)) is not None]
    rows = {address: Measured(address, [], len(client.get(address)[1])) for address in [*firsts, *deeps]}
    for number in range(rounds):
        for address, row in rows.items():
            row.took_ms.append(client.get(address)[0])
        print(f"    round {number + 1} of {rounds}", flush=True)
    return list(rows.values())


def section(described: str, rows: Sequence[Measured], options: argparse.Namespace, size_gb: float) -> str:
    """The result as Markdown."""
    late = [row for row in rows if row.is_late]
    slowest = sorted(rows, key=lambda row: row.at(0.95), reverse=True)
    return "\n".join(
        [
            described,
            "",
            f"{options.skus:,} SKUs, {options.skus * len(catalogue.CHANNELS):,} listings at "
            f"{len(catalogue.CHANNELS)} channels, {size_gb:.1f} GB; one `oneshelf serve`, one connection, each address "
            f"{options.rounds} times, all in turn: ms until the whole answer was there. "
            f'`make bench ARGS="pages --skus {options.skus}"`',
            "",
            f"{len(rows)} addresses: {len(rows) - len(late)} within the bound ({BOUND_MS} ms at p95, Home "
            f"{HOME_BOUND_MS} ms), {len(late)} above it. The slowest, and Home:",
            "",
            "| address | p50 ms | p95 ms | bytes | |",
            "|---|---:|---:|---:|---|",
            *(row.row() for row in slowest[: max(25, len(late))]),
            *(row.row() for row in rows if row.address == "/" and row not in slowest[: max(25, len(late))]),
        ]
    )


def main(arguments: Sequence[str] | None = None) -> None:
    """Fill, measure, print, and write the README's section."""
    parser = argparse.ArgumentParser(prog="benchmarks pages", description=__doc__)
    parser.add_argument("--skus", type=int, default=100_000, help="each listed at four channels; 1000000 need 10 GB")
    parser.add_argument("--rounds", type=int, default=ROUNDS, help="how often each address is asked")
    parser.add_argument("--only", default="", help="only addresses that this regular expression finds")
    parser.add_argument("--keep", type=Path, help="keep the filled database in this directory, and use it again")
    parser.add_argument("--print-only", action="store_true", help="leave benchmarks/README.md as it is")
    options = parser.parse_args(arguments)
    addresses(dict.fromkeys(_braced(), "x"))
    with ExitStack() as stack:
        if options.keep is None:
            name = tempfile.TemporaryDirectory(prefix="oneshelf-bench-", ignore_cleanup_errors=True)
            directory = Path(stack.enter_context(name))
        else:
            directory = options.keep
            directory.mkdir(parents=True, exist_ok=True)
        directory.chmod(0o755)  # The database's own user has to reach it.
        if not (directory / "filled").exists():
            began = time.perf_counter()
            with EmbeddedPostgres(directory / "postgres", durable=False, settings={"max_wal_size": "4GB"}) as server:
                migrate(server.dsn)
                catalogue.fill(server.dsn, options.skus)
            (directory / "filled").touch()
            print(f"filled in {time.perf_counter() - began:.0f} s", flush=True)
        text = _asked(directory, options)
    print(text)
    if not options.print_only:
        written(text, section="pages")


def _braced() -> set[str]:
    texts = [*ASKED, *(question for questions in ASKED.values() for question in questions)]
    return {name for text in texts for name in re.findall(r"{(\w+)}", text)}


def _asked(directory: Path, options: argparse.Namespace) -> str:
    port = any_free_port()
    environment = {"ONESHELF_DATA_DIR": str(directory), "ONESHELF_PORT": str(port), "ONESHELF_API_TOKEN": ""}
    engine = Child(["serve"], environment=environment, log_file=directory / "engine.log")
    engine.start()
    try:
        asyncio.run(until_ready(port))
        Client(port).get("/readyz")
        dsn = running_dsn(directory / "postgres")
        assert dsn is not None
        described = asyncio.run(machine(dsn))
        with psycopg.connect(dsn) as connection:
            size = connection.execute("select pg_database_size(current_database()) / 1e9").fetchone()
        rows = measured(port, names_in(dsn, options.skus), rounds=options.rounds, only=options.only)
    finally:
        engine.stop()
    full = "\n".join(row.row() for row in rows)
    (directory / "pages.md").write_text(full + "\n")
    print(full)
    return section(described, rows, options, float(size[0]) if size else 0.0)


if __name__ == "__main__":
    main()
