"""How long an answer at the checkout takes: `python -m benchmarks checkout`.

The web server in this process, on loopback, with a private PostgreSQL: one eBay channel of many listings and two shops
beside it. SKUs are pooled, guarded, under a rule of policies, or bundles, in turn. Connections that stay open, each
with one question under way; eBay waits for 500 ms.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import socket
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from statistics import median

import httpx2
import psycopg
import uvicorn
import uvloop

from benchmarks.http import Round, send
from benchmarks.report import machine, written
from oneshelf.clock import SystemClock
from oneshelf.connectors.ebay import CONNECTOR
from oneshelf.domain.identity import Channel
from oneshelf.flow.channel import OpenChannel
from oneshelf.sdk.basic import basic
from oneshelf.sdk.http import ChannelHttp
from oneshelf.sdk.limits import Unlimited
from oneshelf.sdk.message import ChannelConfig
from oneshelf.storage.database import Database
from oneshelf.storage.embedded import EmbeddedPostgres
from oneshelf.storage.migrate import migrate
from oneshelf.web import checkout as door
from oneshelf.web.server import create_app
from oneshelf.workers.poster import Poster

EBAY = Channel("my-ebay")
USER, PASSWORD = "ebay", "a-password-of-the-benchmark"
BOUND_MS = 50
_SECRETS = {
    "client_id": "app",
    "client_secret": "cert",
    "refresh_token": "token",
    "verification_token": "t" * 32,
    "checkout_user": USER,
    "checkout_password": PASSWORD,
}
# Every fourth SKU is a bundle of its two neighbours, every fourth one guarded.
_FILL = """
insert into locations (location) values ('BER');
insert into channels (channel, kind, mode, location, settings, secrets)
    select name, 'ebay', 'live', 'BER', '{}', '{}' from unnest(array['my-ebay', 'shop-1', 'shop-2']) as name;
insert into skus (sku, mode, is_guarded)
    select 'SKU-' || n, case when n % 4 = 1 then 'guarded' else 'pooled' end, n % 4 = 1
    from generate_series(1, %(skus)s) as n;
insert into bundle_components (sku, component, units)
    select 'SKU-' || n, 'SKU-' || n + d, d from generate_series(4, %(skus)s - 2, 4) as n, unnest(array[1, 2]) as d;
insert into balances (sku, location, available, version)
    select 'SKU-' || n, 'BER', n % 20, 1 from generate_series(1, %(skus)s) as n where n % 4 <> 0;
insert into policies (channel, sku_group, sku, stated, set_by)
    select 'my-ebay', '', 'SKU-' || n, '{"buffer_units": 1}', 'benchmark' from generate_series(2, %(skus)s, 4) as n;
insert into listings (channel, channel_sku, merchant_sku, sku, base_units, desired_units)
    select channel, 'SKU-' || n, 'SKU-' || n, 'SKU-' || n, n % 7, n % 7
    from channels, generate_series(1, %(skus)s) as n;
"""


def fill(dsn: str, skus: int) -> None:
    """The catalogue, as if it had been planned and proved."""
    with psycopg.connect(dsn, autocommit=True) as connection:
        for statement in _FILL.split(";\n"):
            if statement.strip():
                connection.execute(statement.replace("%(skus)s", str(skus)).encode())
        connection.execute("analyze")


@asynccontextmanager
async def served(dsn: str) -> AsyncIterator[int]:
    """The web server with its eBay channel. Yields its port."""
    clock = SystemClock()
    async with Database.open(dsn) as database, httpx2.AsyncClient() as client:
        http = ChannelHttp(client, clock=clock, limiter=Unlimited())
        connector = CONNECTOR.open(
            ChannelConfig(EBAY, {"user_id": "me"}, _SECRETS), channel=EBAY, http=http, clock=clock
        )
        app = create_app(
            database=database,
            channels={EBAY: OpenChannel(EBAY, "ebay", connector, CONNECTOR.capability)},
            clock=clock,
            wake=lambda _steps: None,
            post=Poster(database, clock.new_id).post,
        )
        # The sender shares this loop: where it is held up, a connection must not look idle.
        config = uvicorn.Config(
            app, http="httptools", log_level="critical", access_log=False, lifespan="off", timeout_keep_alive=600
        )
        server = uvicorn.Server(config)
        with socket.create_server(("127.0.0.1", 0), backlog=1024) as listener:
            async with asyncio.TaskGroup() as group:
                group.create_task(server.serve(sockets=[listener]))
                yield listener.getsockname()[1]
                server.should_exit = True


def question(number: int, *, skus: int, lines: int) -> bytes:
    """One object, or a list of so many."""
    asked = [
        {
            "locationID": "main",
            "SKU": f"SKU-{(number * 7919 + line * 104_729) % skus + 1}",
            "fulfillmentType": "SHIP_TO_HOME",
            "requestedQuantity": 1,
        }
        for line in range(lines)
    ]
    return json.dumps(asked if lines > 1 else asked[0]).encode()


async def rounds_of(port: int, *, skus: int, lines: int, connections: int, rounds: int, seconds: float) -> list[Round]:
    """Each round of one kind of question."""
    return [
        await send(
            port,
            f"/checkout/{EBAY}",
            lambda number: question(number, skus=skus, lines=lines),
            connections=connections,
            seconds=seconds,
            headers={"Authorization": basic(USER, PASSWORD)},
        )
        for _ in range(rounds)
    ]


async def measured(dsn: str, options: argparse.Namespace) -> list[str]:
    """A row of the table for each kind of question."""
    rows = []
    async with served(dsn) as port:
        await rounds_of(port, skus=options.skus, lines=1, connections=1, rounds=1, seconds=1.0)
        for lines, connections in ((1, 1), (1, 8), (5, 1), (50, 1)):
            found = await rounds_of(
                port,
                skus=options.skus,
                lines=lines,
                connections=connections,
                rounds=options.rounds,
                seconds=options.seconds,
            )
            per_s, p50, p99 = (median(column) for column in zip(*(one.figures() for one in found), strict=True))
            within = "yes" if p99 < BOUND_MS else "**no**"
            rows.append(f"| {lines} | {connections} | {per_s:,.0f} | {p50:.1f} | {p99:.1f} | {within} |")
    return rows


def main(arguments: Sequence[str] | None = None) -> None:
    """Fill, measure, print, and write the README's section."""
    parser = argparse.ArgumentParser(prog="benchmarks checkout", description=__doc__)
    parser.add_argument("--skus", type=int, default=20_000, help="each listed at three channels")
    parser.add_argument("--seconds", type=float, default=5.0, help="of each round")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--print-only", action="store_true", help="leave benchmarks/README.md as it is")
    options = parser.parse_args(arguments)
    # What is later than eBay waits is measured too.
    door.ANSWER_S_MAX = 60.0
    with tempfile.TemporaryDirectory(prefix="oneshelf-bench-", ignore_cleanup_errors=True) as name:
        directory = Path(name)
        directory.chmod(0o755)  # The database's own user has to reach it.
        with EmbeddedPostgres(directory / "postgres") as database:
            migrate(database.dsn)
            fill(database.dsn, options.skus)
            described = asyncio.run(machine(database.dsn))
            rows = uvloop.run(measured(database.dsn, options))
    head = [
        described,
        "",
        f"The answer at eBay's checkout over loopback, {options.skus:,} SKUs at three channels; medians of "
        f"{options.rounds} rounds of {options.seconds:g} s. `make bench ARGS=checkout`",
        "",
        f"| SKUs in a call | connections | calls a second | p50 ms | p99 ms | p99 within {BOUND_MS} ms |",
        "|---:|---:|---:|---:|---:|---|",
    ]
    text = "\n".join([*head, *rows])
    print(text)
    if not options.print_only:
        written(text, section="checkout")


if __name__ == "__main__":
    main()
