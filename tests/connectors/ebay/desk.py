"""A connector at a simulated eBay, in virtual time, with listings in the world that a test needs."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable

import httpx2

from oneshelf.clock import Clock
from oneshelf.connectors.ebay.kind import EbayKind
from oneshelf.connectors.ebay.simulator import EbaySimulator
from oneshelf.connectors.ebay.simulator_books import Lane
from oneshelf.domain.identity import Channel, ChannelSku
from oneshelf.sdk.conformance.bench import Bench, opened
from oneshelf.sdk.contract import Connector
from oneshelf.sdk.http import ChannelHttp
from oneshelf.sdk.message import ChannelConfig, StockWrite, WriteOutcome
from oneshelf.sdk.secret_store import SecretStore
from oneshelf.sdk.virtual_time import VirtualClock, run_virtually

MUG, CAP = ChannelSku("MUG-0"), ChannelSku("MUG-1")
INVENTORY, TRADING = Lane.INVENTORY, Lane.TRADING
Story = Callable[[Bench], Awaitable[None]]


class Kind(EbayKind):
    """eBay, of which each simulation is prepared by the test before anything is listed."""

    def __init__(self, prepare: Callable[[EbaySimulator], None]) -> None:
        self._prepare = prepare
        self.store: SecretStore | None = None

    def open(
        self,
        config: ChannelConfig,
        *,
        channel: Channel,
        http: ChannelHttp,
        clock: Clock,
        store: SecretStore | None = None,
    ) -> Connector:
        """All connectors of the account share what is kept, as all nodes do."""
        self.store = self.store or store
        return super().open(config, channel=channel, http=http, clock=clock, store=self.store)

    def simulator(
        self, *, seed: int, speed: float, clock: Clock, webhook_client: httpx2.AsyncClient | None = None
    ) -> EbaySimulator:
        simulator = super().simulator(seed=seed, speed=speed, clock=clock, webhook_client=webhook_client)
        self._prepare(simulator)
        return simulator


def played(
    story: Story,
    *,
    lanes: Iterable[Lane] = (),
    items: int = 2,
    units: int = 10,
    has_control: bool = True,
    group_share: float = 0.0,
) -> None:
    """Play a story at an account with so many listings, each in its world; the rest are listings of Seller Hub.

    `has_control`: out-of-stock control is on. `group_share`: how many are variations of one listing.
    """

    def prepare(simulator: EbaySimulator) -> None:
        simulator.habits.inventory_share = 0.0
        simulator.habits.group_share = group_share
        simulator.habits.has_out_of_stock_control = has_control
        simulator.ebay.lanes.update({f"MUG-{at}": lane for at, lane in enumerate(lanes)})

    clock = VirtualClock("ebay:7")

    async def live() -> None:
        async with opened(Kind(prepare), clock=clock, items=items, units=units) as bench:
            await story(bench)

    run_virtually(clock, live())


def ebay_of(bench: Bench) -> EbaySimulator:
    """The simulated eBay behind a bench."""
    assert isinstance(bench.simulator, EbaySimulator)
    return bench.simulator


async def pushed(bench: Bench, sku: ChannelSku, units: int) -> WriteOutcome:
    """The outcome of one write."""
    (outcome,) = await bench.push(StockWrite(bench.clock.new_id(), sku, units=units, expected_units=0))
    return outcome


def calls(bench: Bench, name: str) -> int:
    """How many requests had this in their address, or as the name of a Trading call."""
    return sum(name in sent.url or sent.headers.get("x-ebay-api-call-name") == name for sent in bench.wire.sent)
