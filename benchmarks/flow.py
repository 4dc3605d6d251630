"""Orders a second through the flow, and seconds from a sale to proof: `python -m benchmarks.flow`.

Three measurements on a PostgreSQL of its own that syncs every commit: the steps on the database alone, the whole
engine behind its webhook address, and a demo without faults. The result is written into `benchmarks/README.md`.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import subprocess
import sys
import tempfile
from collections.abc import Awaitable, Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

import msgspec

from benchmarks.report import machine, written
from oneshelf.app import open_channels
from oneshelf.clock import SystemClock
from oneshelf.connectors.shopify.simulator import ACCESS_TOKEN
from oneshelf.connectors.shopify.simulator_payloads import order_payload
from oneshelf.connectors.shopify.simulator_shop import LOCATION_ID, SHOP_DOMAIN, Shop
from oneshelf.demo.children import HOST, Child, any_free_port
from oneshelf.domain.command import CommandKey, Receive
from oneshelf.domain.identity import Channel, ChannelSku, Location, Sku
from oneshelf.flow import interpret, plan, post
from oneshelf.sdk.signature import hmac_sha256_base64
from oneshelf.sdk.simulator import CatalogueItem
from oneshelf.storage import catalog, inbox, listings, reports
from oneshelf.storage.database import Database
from oneshelf.storage.embedded import EmbeddedPostgres
from oneshelf.storage.migrate import migrate

CHANNEL, LOCATION, SECRET = Channel("shop"), Location("warehouse"), "bench-webhook-secret"
SKU_COUNT = 500
CONNECTIONS = 16
BATCH = 500
DRAIN_S_MAX = 60.0

clock = SystemClock()


@dataclass(frozen=True, slots=True)
class Measured:
    """Something that was done `count` times in `seconds`."""

    what: str
    count: int
    seconds: float

    def row(self) -> str:
        return f"| {self.what} | {self.count} | {self.seconds:.2f} | {self.count / self.seconds:,.0f} |"


class Orders:
    """Orders of a shop that sells every SKU, as the bodies of its webhooks. The first SKUs sell most."""

    def __init__(self, seed: int) -> None:
        self._random = Random(seed)
        self._shop = Shop()
        self.skus = [Sku(f"SKU-{number:05}") for number in range(SKU_COUNT)]
        for sku in self.skus:
            self._shop.add(CatalogueItem(sku, sku, 10_000_000), now=clock.now())
        self.variants = [ChannelSku(article.variant_id) for article in self._shop.articles]
        self._weights = [1 / (rank + 1) for rank in range(SKU_COUNT)]

    def bodies(self, count: int) -> list[bytes]:
        """The next orders: six in seven have one line, the others two."""
        made = []
        for _ in range(count):
            wanted = self._random.choices(self.variants, self._weights, k=2 if self._random.random() < 0.15 else 1)
            order = self._shop.place([(variant, 1) for variant in dict.fromkeys(wanted)], now=clock.now())
            assert order is not None
            made.append(msgspec.json.encode(order_payload(order)))
        return made


async def prepared(database: Database, orders: Orders, base_url: str) -> None:
    """SKUs with plenty of stock, and one channel in mode watch that lists them all: nothing is written to it."""
    async with database.transaction() as tx:
        await catalog.add_location(tx, LOCATION)
        await catalog.add_skus(tx, dict.fromkeys(orders.skus, ""))
        settings = {"base_url": base_url, "location_id": LOCATION_ID}
        secrets = {"access_token": ACCESS_TOKEN, "webhook_secret": SECRET}
        slow = {"poll_orders_s": 3600.0, "sweep_stock_s": 3600.0}
        await catalog.add_channel(tx, catalog.NewChannel(CHANNEL, "shopify", LOCATION, settings, secrets, slow))
        seen = [
            listings.SeenListing(variant, "", sku, sku, "")
            for variant, sku in zip(orders.variants, orders.skus, strict=True)
        ]
        await listings.remember(tx, CHANNEL, seen)
    received = [
        Receive(key=CommandKey(scope="bench", key=sku), sku=sku, location=LOCATION, units=1_000_000)
        for sku in orders.skus
    ]
    await post.post_commands(database, clock.new_id, received)
    while await plan.plan(database):
        pass


async def steps_alone(dsn: str, bodies: Sequence[bytes]) -> list[Measured]:
    """Each step by itself until its queue is empty, in one process, without HTTP."""
    count = len(bodies)

    async def store() -> int:
        for start in range(0, count, BATCH):
            part = bodies[start : start + BATCH]
            deliveries = [
                inbox.NewDelivery(f"steps/{start + at}", "orders/create", body) for at, body in enumerate(part)
            ]
            async with database.transaction() as tx:
                await inbox.store(tx, CHANNEL, deliveries)
        return 0

    async with Database.open(dsn) as database, open_channels(database) as channels:
        steps: list[tuple[str, Callable[[], Awaitable[int]]]] = [
            ("receive (stored in batches)", store),
            ("interpret", lambda: interpret.interpret(database, channels.by_name)),
            ("post", lambda: post.post_facts(database, clock.new_id)),
            ("plan", lambda: plan.plan(database)),
        ]
        measured = []
        for name, step in steps:
            began = clock.monotonic()
            while await step():
                pass
            measured.append(Measured(name, count, clock.monotonic() - began))
    whole = sum(one.seconds for one in measured)
    return [*measured, Measured("**all steps, one after the other**", count, whole)]


async def through_webhooks(dsn: str, port: int, bodies: Sequence[bytes]) -> list[Measured]:
    """Signed webhooks over 16 connections to a running engine, until every order is posted and planned."""
    async with Database.open(dsn, connections_max=2) as database:
        await until_up(port)
        before = await posted_count(database)
        shares = [bodies[at::CONNECTIONS] for at in range(CONNECTIONS)]
        began = clock.monotonic()
        await asyncio.gather(*(send_all(port, at, share) for at, share in enumerate(shares)))
        acknowledged = clock.monotonic()
        await until_planned(database, before + len(bodies))
        planned = clock.monotonic()
    return [
        Measured("webhooks verified, stored and acknowledged", len(bodies), acknowledged - began),
        Measured("**orders from webhook to planned listings**", len(bodies), planned - began),
    ]


async def posted_count(database: Database) -> int:
    """Order lines in the ledger, by orders."""
    async with database.transaction() as tx:
        return len({row.order_id for row in await reports.held_lines(tx)})


async def until_up(port: int) -> None:
    give_up_at = clock.monotonic() + DRAIN_S_MAX
    while clock.monotonic() < give_up_at:
        try:
            _reader, writer = await asyncio.open_connection(HOST, port)
        except OSError:
            await clock.sleep(0.05)
        else:
            writer.close()
            return
    raise SystemExit("the engine did not start")


async def until_planned(database: Database, order_count: int) -> None:
    give_up_at = clock.monotonic() + DRAIN_S_MAX
    while clock.monotonic() < give_up_at:
        async with database.transaction() as tx:
            waiting = await reports.waiting(tx)
        if not any(waiting):
            found = await posted_count(database)
            assert found == order_count, f"{found} orders are posted, {order_count} were sent"
            return
        await clock.sleep(0.02)
    raise SystemExit("the engine did not finish")


async def send_all(port: int, connection: int, bodies: Sequence[bytes]) -> None:
    """One connection that sends its share, each after the answer to the one before."""
    reader, writer = await asyncio.open_connection(HOST, port)
    for number, body in enumerate(bodies):
        head = (
            f"POST /webhooks/{CHANNEL} HTTP/1.1\r\nHost: {HOST}\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(body)}\r\nX-Shopify-Topic: orders/create\r\n"
            f"X-Shopify-Hmac-Sha256: {hmac_sha256_base64(SECRET, body)}\r\n"
            f"X-Shopify-Shop-Domain: {SHOP_DOMAIN}\r\nX-Shopify-Webhook-Id: http-{connection}-{number}\r\n\r\n"
        )
        writer.write(head.encode() + body)
        answer = (await reader.readuntil(b"\r\n\r\n")).lower()
        assert b" 200 " in answer.split(b"\r\n")[0], answer
        if b"content-length:" in answer:
            await reader.readexactly(int(answer.split(b"content-length:")[1].split(b"\r\n")[0]))
    writer.close()


def sale_to_proof(directory: Path, *, seconds: float, seed: int) -> dict[str, Any]:
    """The report of a demo without faults."""
    options = {"--seconds": seconds, "--seed": seed, "--data-dir": directory, "--port": any_free_port()}
    arguments = [str(part) for option in options.items() for part in option]
    said = subprocess.run(
        [sys.executable, "-m", "oneshelf.cli", "demo", "--json", "--calm", *arguments],
        capture_output=True,
        text=True,
        check=False,
    )
    if not said.stdout:
        raise SystemExit(said.stderr)
    document: dict[str, Any] = json.loads(said.stdout)
    return document


def section(described: str, alone: list[Measured], http: list[Measured], demo: dict[str, Any], seed: int) -> str:
    """The result as Markdown."""
    lines = [
        described,
        "",
        f"Orders of 1 to 2 lines over {SKU_COUNT} SKUs, the first SKUs sell most; seed {seed}.",
        "",
        "| measured | orders | seconds | orders a second |",
        "|---|---:|---:|---:|",
        *(one.row() for one in (*alone, *http)),
        "",
        f"From a sale seen to every other listing of its SKU proved by a reading: a demo of {demo['seconds']:g} s "
        f"without faults, {demo['sku_count']} SKUs at two shops, {demo['orders_per_s']:g} orders a second, the "
        f"channels' limits and delays {demo['speed']:g} times as fast as the real ones. The simulated Amazon applies "
        "a write after 1 to 5 s; that is in its figures.",
        "",
        "| listings of | sales | p50 s | p95 s | p99 s |",
        "|---|---:|---:|---:|---:|",
        *(
            f"| {row['channel'] or 'both'} | {row['sale_count']} | {row['p50_s']} | {row['p95_s']} | {row['p99_s']} |"
            for row in demo["latency"]
        ),
    ]
    return "\n".join(lines)


def measured(directory: Path, *, count: int, seed: int) -> tuple[str, list[Measured], list[Measured]]:
    """Machine, steps alone, whole engine, on one database."""
    orders = Orders(seed)
    port, shop_port = any_free_port(), any_free_port()
    with ExitStack() as stack:
        server = stack.enter_context(EmbeddedPostgres(directory / "postgres"))
        migrate(server.dsn)

        async def prepare() -> None:
            async with Database.open(server.dsn) as database:
                await prepared(database, orders, f"http://{HOST}:{shop_port}")

        asyncio.run(prepare())
        alone = asyncio.run(steps_alone(server.dsn, orders.bodies(count)))
        environment = {"ONESHELF_DATABASE_URL": server.dsn, "ONESHELF_PORT": str(port), "ONESHELF_API_TOKEN": ""}
        for name, arguments in (
            ("shop", ["channel", "simulate", "shopify", "--port", str(shop_port)]),
            ("engine", ["serve"]),
        ):
            child = Child(arguments, environment=environment, log_file=directory / f"{name}.log")
            child.start()
            stack.callback(child.stop)
        http = asyncio.run(through_webhooks(server.dsn, port, orders.bodies(count)))
        return asyncio.run(machine(server.dsn)), alone, http


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, print, and write the README's section."""
    parser = argparse.ArgumentParser(prog="benchmarks flow", description=__doc__)
    parser.add_argument("--orders", type=int, default=4000, help="orders in each of the first two measurements")
    parser.add_argument("--seconds", type=float, default=20.0, help="shopping in the demo")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--print-only", action="store_true", help="leave benchmarks/README.md as it is")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="oneshelf-bench-", ignore_cleanup_errors=True) as name:
        directory = Path(name)
        directory.chmod(0o755)  # The database's own user has to reach it.
        described, alone, http = measured(directory, count=options.orders, seed=options.seed)
        demo = sale_to_proof(directory / "demo", seconds=options.seconds, seed=options.seed)
    text = section(described, alone, http, demo, options.seed)
    print(text)
    if not options.print_only:
        written(text, section="flow")


if __name__ == "__main__":
    main()
