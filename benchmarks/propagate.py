"""From a sale at one channel until the others verifiably show it, at the channels' real limits: `propagate`.

In the virtual time of the simulation, so that Amazon's minutes pass in seconds: one engine on a real PostgreSQL, the
channels' simulators over their wire with the documented limits, lags and delays, buyers, and no fault. The engine's own
work takes no virtual time; `make bench ARGS=flow` measures that.
"""

from __future__ import annotations

import argparse
import asyncio
import tempfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from random import Random

import httpx2

from benchmarks.report import machine, written
from oneshelf.clock import SystemClock
from oneshelf.connectors.amazon.simulator import SIMULATED_SECRETS, SIMULATED_SETTINGS, TOKEN_PATH, AmazonSimulator
from oneshelf.connectors.shopify.simulator import ACCESS_TOKEN, ShopifySimulator
from oneshelf.connectors.shopify.simulator_shop import LOCATION_ID
from oneshelf.domain.identity import Channel, Location, Sku
from oneshelf.sdk.simulator import CatalogueItem, Simulator
from oneshelf.simulation.database import SimulatedDatabase
from oneshelf.simulation.faults import BY_NAME, OFF, Faults
from oneshelf.simulation.kernel import Kernel, SimulatedClock
from oneshelf.simulation.network import ENGINE_PORT, HOST, Network, written_listings
from oneshelf.simulation.node import Node
from oneshelf.simulation.world import LOCATION, World
from oneshelf.storage import blind_windows, catalog
from oneshelf.storage.blind_windows import Window
from oneshelf.storage.catalog import NewChannel
from oneshelf.storage.database import now
from oneshelf.storage.embedded import EmbeddedPostgres
from oneshelf.storage.migrate import migrate
from oneshelf.telemetry import configure_logging

SECRET = "bench-webhook-secret"  # noqa: S105  # between two parts of this process
SKU_COUNT, UNITS = 20, 100_000
# Idle steps that nothing wakes look so many times less often than in a real engine, to save simulated steps: up to 5 s
# more where a poll or a read-back waits for its time.
PATIENCE = 20.0
# Longer than the slowest write of the simulated Amazon and the look after it.
SETTLE_S = 420.0
PARTS = ("ingested", "proved", "elsewhere")


@dataclass
class Calls:
    """What the engine asked of one channel."""

    count: int = 0
    writes: int = 0
    listings_written: int = 0


@dataclass
class CountingNetwork:
    """Counts the calls on their way from the engine to the channels."""

    network: Network
    calls: dict[str, Calls] = field(default_factory=dict)

    def watch(self) -> None:
        """From now on every call is counted."""
        leaving = self.network.leaving
        self.network.leaving = lambda node: _Counted(self, leaving(node))  # type: ignore[method-assign]  # the network looks it up on itself

    def note(self, request: httpx2.Request) -> None:
        channel, _ = self.network.channels[int(request.url.port or 0)]
        calls = self.calls.setdefault(channel, Calls())
        names = written_listings(request)
        calls.count += 1
        calls.writes += bool(names)
        calls.listings_written += len(names)


class _Counted(httpx2.AsyncBaseTransport):
    def __init__(self, counting: CountingNetwork, transport: httpx2.AsyncBaseTransport) -> None:
        self._counting = counting
        self._transport = transport

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        self._counting.note(request)
        return await self._transport.handle_async_request(request)


@dataclass(frozen=True, slots=True)
class Found:
    """What came of the run: sales by channel, the parts of the way, calls, and the virtual seconds it took."""

    sales: Counter[str]
    windows: list[Window]
    calls: dict[str, Calls]
    idle_calls: dict[str, Calls]
    seconds: float


async def run(kernel: Kernel, database: SimulatedDatabase, *, minutes: float, gap_s: float, seed: int) -> Found:
    """One engine and its two channels: quiet for a while, then sales, then until all is proved."""
    faults = Faults(dict.fromkeys(BY_NAME, OFF), Random(seed))
    network = Network(kernel, faults)
    counting = CountingNetwork(network)
    counting.watch()
    clock = SimulatedClock(kernel)
    webhooks = httpx2.AsyncClient(transport=network.arriving("shopify"), trust_env=False)
    channels: dict[str, Simulator] = {
        "shopify": ShopifySimulator(seed=seed, speed=1.0, clock=clock, webhook_client=webhooks),
        "amazon": AmazonSimulator(seed=seed, speed=1.0, clock=clock),
    }
    node = Node("node0", kernel, database, network, faults)
    node.patience = PATIENCE
    network.nodes.append(node)
    running = [kernel.loop.create_task(one.run()) for one in channels.values()]
    clerk = Node("clerk", kernel, database, network, faults)
    skus = [f"SKU-{number:02}" for number in range(SKU_COUNT)]
    try:
        await _open(clerk, network, channels, skus)
        node.start(is_alone=True)
        world = World(str(seed), kernel, network, faults, channels)
        await asyncio.sleep(60)
        receipts = [{"type": "receive", "sku": sku, "location": LOCATION, "units": UNITS} for sku in skus]
        await asyncio.gather(*(world.ask(receipt) for receipt in receipts))
        await asyncio.sleep(SETTLE_S)
        counting.calls.clear()
        await asyncio.sleep(60 * minutes)
        idle = dict(counting.calls)
        counting.calls.clear()
        began_s = kernel.now_s
        sales = await _sell(channels, Random(seed), seconds=60 * minutes, gap_s=gap_s)
        calls, seconds = {name: Calls(**vars(one)) for name, one in counting.calls.items()}, kernel.now_s - began_s
        await asyncio.sleep(SETTLE_S)
        async with clerk.connect().transaction() as tx:
            windows = await blind_windows.exact(tx, since=await now(tx) - timedelta(seconds=SETTLE_S + seconds))
        return Found(sales, windows, calls, idle, seconds)
    finally:
        await node.stop()
        await clerk.stop()
        await network.close()
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)


async def _open(clerk: Node, network: Network, channels: dict[str, Simulator], skus: Sequence[str]) -> None:
    """Both channels stocked, connected and live, at the declared timing."""
    async with clerk.connect().transaction() as tx:
        await catalog.add_location(tx, Location(LOCATION))
        await catalog.add_skus(tx, {Sku(sku): sku for sku in skus})
        for name, simulator in channels.items():
            address = network.connect(name, simulator)
            simulator.stock_catalogue([CatalogueItem(sku, sku, 0) for sku in skus])
            if name == "amazon":
                settings = {**SIMULATED_SETTINGS, "base_url": address, "token_url": address + TOKEN_PATH}
                secrets = dict(SIMULATED_SECRETS)
            else:
                simulator.connect(address=f"http://{HOST}:{ENGINE_PORT}/webhooks/{name}", secret=SECRET)
                settings = {"base_url": address, "location_id": str(LOCATION_ID)}
                secrets = {"access_token": ACCESS_TOKEN, "webhook_secret": SECRET}
            await catalog.add_channel(tx, NewChannel(Channel(name), name, Location(LOCATION), settings, secrets, {}))
            await catalog.set_mode(tx, Channel(name), "live")


async def _sell(channels: dict[str, Simulator], random: Random, *, seconds: float, gap_s: float) -> Counter[str]:
    """Buyers at both channels, the first SKUs sell most. Returns sales by channel."""
    sales: Counter[str] = Counter()
    passed_s = 0.0
    weights = [1 / (rank + 1) for rank in range(SKU_COUNT)]
    while passed_s < seconds:
        wait_s = random.expovariate(1 / gap_s)
        passed_s += wait_s
        await asyncio.sleep(wait_s)
        name = random.choice(sorted(channels))
        listings = {one.merchant_sku: one.channel_sku for one in channels[name].listings()}
        [sku] = random.choices([f"SKU-{number:02}" for number in range(SKU_COUNT)], weights)
        sales[name] += channels[name].place([(listings[sku], 1)]) is not None
    return sales


def measured(dsn: str, *, minutes: float, gap_s: float, seed: int) -> Found:
    """The run, in a loop whose time is the simulation's."""
    kernel = Kernel(str(seed))
    database = SimulatedDatabase(dsn, kernel)
    try:
        asyncio.set_event_loop(kernel.loop)
        return kernel.loop.run_until_complete(run(kernel, database, minutes=minutes, gap_s=gap_s, seed=seed))
    finally:
        asyncio.set_event_loop(None)
        kernel.loop.close()


def section(described: str, found: Found, *, minutes: float, gap_s: float, seed: int, took_s: float) -> str:
    """The result as Markdown."""
    total = sum(found.sales.values())
    by = {(one.channel, one.part): one for one in found.windows}
    lines = [
        described + " Measured with other load on the machine, which the virtual time does not see.",
        "",
        f"{total} sales in {found.seconds / 60:.0f} virtual minutes, one in {gap_s:g} s, of {SKU_COUNT} SKUs at two "
        f"channels at their real limits, lags and delays (the simulated Amazon applies a write after 1 to 5 minutes); "
        f'seed {seed}, {took_s:.0f} s. `make bench ARGS="propagate --minutes {minutes:g}"`',
        "",
        "| | of sales at / of writes to | samples | p50 s | p95 s | p99 s |",
        "|---|---|---:|---:|---:|---:|",
    ]
    words = {
        "ingested": "tau in: sold → in the ledger",
        "proved": "tau out: decided → read back",
        "elsewhere": "**sold → every other listing read back**",
    }
    for part in PARTS:
        for name in sorted(found.sales):
            if one := by.get((Channel(name), part)):
                lines.append(
                    f"| {words[part]} | {name} | {one.sample_count} | {one.p50_s:.1f} | {one.p95_s:.1f} | "
                    f"{one.p99_s:.1f} |"
                )
    lines += [
        "",
        "| calls per 1,000 sales | write calls | listings written | with a write per sale | other calls "
        "| of these when nothing sells |",
        "|---|---:|---:|---:|---:|---:|",
    ]
    for name, calls in sorted(found.calls.items()):
        each = 1000 / total
        idle = found.idle_calls.get(name, Calls())
        lines.append(
            f"| to {name} | {calls.writes * each:.0f} | {calls.listings_written * each:.0f} | 1,000 | "
            f"{(calls.count - calls.writes) * each:.0f} | {(idle.count - idle.writes) * each:.0f} |"
        )
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, print, and write the README's section."""
    parser = argparse.ArgumentParser(prog="benchmarks propagate", description=__doc__)
    parser.add_argument("--minutes", type=float, default=3.0, help="virtual minutes of sales")
    parser.add_argument("--gap-s", type=float, default=2.0, help="virtual seconds between two sales")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--print-only", action="store_true", help="leave benchmarks/README.md as it is")
    options = parser.parse_args(arguments)
    configure_logging(level="CRITICAL")
    clock = SystemClock()
    chosen = {"minutes": options.minutes, "gap_s": options.gap_s, "seed": options.seed}
    with tempfile.TemporaryDirectory(prefix="oneshelf-bench-", ignore_cleanup_errors=True) as name:
        directory = Path(name)
        directory.chmod(0o755)  # The database's own user has to reach it.
        with EmbeddedPostgres(directory / "postgres", durable=False) as server:
            migrate(server.dsn)
            described = asyncio.run(machine(server.dsn))
            began = clock.monotonic()
            found = measured(server.dsn, **chosen)
    text = section(described, found, took_s=clock.monotonic() - began, **chosen)
    print(text)
    if not options.print_only:
        written(text, section="propagate")


if __name__ == "__main__":
    main()
