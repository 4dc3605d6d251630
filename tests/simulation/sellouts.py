"""Sell-outs: the whole engine between channels whose buyers come until nothing is left; virtual time, no faults.

A market has one engine, simulated channels on their real wire, and goods that do not touch each other, several of which
are sold out at once. It begins with slow sales of other goods: from these the blind window `tau` is measured, by the
books of the channels alone: from a sale at one of them until another one shows it. The buyers of a sell-out then come
at `load / tau` a second, so that `load` of them come in a blind window.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from random import Random

import httpx2
import msgspec

from oneshelf.connectors.amazon.simulator import AmazonSimulator
from oneshelf.connectors.shopify.simulator import ShopifySimulator
from oneshelf.domain.identity import Channel, Location, Sku
from oneshelf.domain.policy import Scope
from oneshelf.flow.rule import change_rule
from oneshelf.sdk.simulator import CatalogueItem, Simulator
from oneshelf.simulation.database import SimulatedDatabase
from oneshelf.simulation.faults import BY_NAME, OFF, Faults
from oneshelf.simulation.kernel import Kernel, SimulatedClock, all_leave
from oneshelf.simulation.network import ENGINE_PORT, HOST, Network
from oneshelf.simulation.node import Node
from oneshelf.simulation.shops import WEBHOOK_SECRET, account
from oneshelf.simulation.world import LOCATION
from oneshelf.storage import breakers, catalog, rights
from oneshelf.storage.catalog import NewChannel
from oneshelf.storage.database import Database
from simulation import sellout_history
from simulation.sellout_terms import LOOK_S, PLACES, Played, SellOut, Size, Terms

# What was put off is looked for so often, as by an idle step in production; and what is measured.
IDLE_S, MEASURE_S = 0.25, 60.0
# Sales after which the engine has measured the windows of each channel.
MEASURED_SALES = 480
QUIET_GOODS, QUIET_UNITS = 8, 1_000
# While tau is measured, and while the engine measures what it needs.
QUIET_LOAD, USUAL_LOAD = 0.1, 0.5
SETTLE_S_MAX = 1_800.0

# The steps of channels that have something to do now.
_DUE = """
    select distinct 'push ' || channel from listings
    where base_units is not null and desired_version > sent_version and next_at <= db_now()
      and (lease_until is null or lease_until < db_now())
    union select distinct 'confirm ' || channel from listings
    where look_at <= db_now() and (lease_until is null or lease_until < db_now())
    union select distinct 'weigh ' || l.channel from listings l join schedules s on s.channel = l.channel
    where s.task = 'orders' and l.suspect_at <= s.covered_until
    union select 'resolve' from drifts where resolved_at is null
    union select case task when 'orders' then 'poll ' else 'sweep ' end || channel from schedules
    where next_at <= db_now() and (lease_until is null or lease_until < db_now())
"""


def play(dsn: str, terms: Terms, seed: int, size: Size) -> Played:
    """Sell goods out on this migrated database, which is emptied first.

    Raises AssertionError where the books of the engine are not those of the channels.
    """
    kernel = Kernel(f"sellouts:{seed}")
    database = SimulatedDatabase(dsn, kernel)
    try:
        asyncio.set_event_loop(kernel.loop)
        market = _Market(terms, seed, kernel, database, size)
        return kernel.loop.run_until_complete(market.live())
    finally:
        kernel.loop.run_until_complete(all_leave())
        asyncio.set_event_loop(None)
        kernel.loop.close()


def _fewer(slow: Sequence[SellOut], sales: int) -> Iterator[str]:
    if min(sum(one.sold for one in slow), sum(len(one.delays_s) for one in slow)) < sales:
        yield f"fewer than {sales} sales were made, or were followed to another channel"


class _OrdersOnly(httpx2.AsyncBaseTransport):
    """A shop whose webhooks were set up for orders alone: what changed a level is told of by nobody else."""

    def __init__(self, transport: httpx2.AsyncBaseTransport) -> None:
        self._transport = transport

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        if request.headers["X-Shopify-Topic"].startswith("orders/"):
            return await self._transport.handle_async_request(request)
        return httpx2.Response(200, request=request)


class _Market:
    def __init__(self, terms: Terms, seed: int, kernel: Kernel, database: SimulatedDatabase, size: Size) -> None:
        self._size = size
        self._terms, self._seed, self._kernel, self._database = terms, seed, kernel, database
        self._random = Random(f"{seed}:buyers")  # repeatable, not a secret
        self._place = PLACES[terms.place]
        self._network = Network(kernel, Faults(dict.fromkeys(BY_NAME, OFF), self._random))
        self._node = Node("node", kernel, database, self._network, self._network.faults)
        self._network.nodes.append(self._node)
        self._channels: dict[str, Simulator] = {}
        self._listed: dict[tuple[str, str], str] = {}
        self._goods = [[f"GOODS-{wave}-{n}" for n in range(size.at_once)] for wave in range(size.waves)]
        self._quiet = [f"QUIET-{n}" for n in range(min(QUIET_GOODS, size.quiet_sales))]
        self._watched: list[SellOut] = []

    @property
    def _all_goods(self) -> list[str]:
        return [sku for wave in self._goods for sku in wave]

    async def live(self) -> Played:
        await self._open()
        # Whichever of these fails ends the market.
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(one.run()) for one in self._channels.values()]
            tasks += [group.create_task(one) for one in (self._watch(), self._look_for_work())]
            self._node.start(is_alone=True)
            try:
                return await self._trade()
            finally:
                await self._node.stop()
                await self._network.close()
                for task in tasks:
                    task.cancel()

    async def _trade(self) -> Played:
        tau_s = await self._measured_tau()
        rate = self._terms.load / tau_s
        if self._terms.is_known:
            await self._usual_sales()
            await self._told_of_a_week(rate)
        played = Played(self._terms, self._seed, tau_s, [])
        for wave in self._goods:
            played.sellouts += await self._sold_out(wave, rate)
        await self._until(lambda: self._not_in_the_books(played.sellouts))
        played.thresholds, played.buffers = sellout_history.worked_out(self._database.session, self._all_goods)
        return played

    async def _open(self) -> None:
        """The goods are named and listed everywhere, the channels are connected and live."""
        clerk = Node("clerk", self._kernel, self._database, self._network, self._network.faults)
        skus = [*self._quiet, *self._all_goods]
        store = clerk.connect()
        async with store.transaction() as tx:
            await catalog.add_location(tx, Location(LOCATION))
            await catalog.add_skus(tx, {Sku(sku): sku for sku in skus})
            for number, kind in enumerate(self._place.kinds):
                name = f"{kind}{number}"
                simulator = self._channels[name] = self._simulator(name, kind, number)
                address = self._network.connect(name, simulator)
                simulator.stock_catalogue([CatalogueItem(sku, sku, 0) for sku in skus])
                simulator.connect(address=f"http://{HOST}:{ENGINE_PORT}/webhooks/{name}", secret=WEBHOOK_SECRET)
                self._listed.update({(name, one.merchant_sku): one.channel_sku for one in simulator.listings()})
                settings, secrets = account(kind, address)
                if self._place.speed == 1.0:
                    # As documented.
                    del settings["orders_lag_s"]
                timing = dict(self._place.timing.get(kind, {}))
                wish = NewChannel(Channel(name), kind, Location(LOCATION), settings, secrets, timing)
                await catalog.add_channel(tx, wish)
                await catalog.set_mode(tx, Channel(name), "live")
                # Most of this small catalogue comes in at once, and nobody is there to say that this is meant.
                await breakers.set_limits(tx, Channel(name), {"change_share": 1.0})
            await rights.set_mode(tx, [Sku(sku) for sku in self._all_goods], self._terms.mode)
        if self._terms.manner == "buffered":
            await self._keep_back(store)
        await clerk.stop()

    def _simulator(self, name: str, kind: str, number: int) -> Simulator:
        seed, clock = self._seed * 100 + number, SimulatedClock(self._kernel)
        if kind == "amazon":
            return AmazonSimulator(seed=seed, speed=self._place.speed, clock=clock)
        client = httpx2.AsyncClient(transport=_OrdersOnly(self._network.arriving(name)), trust_env=False)
        return ShopifySimulator(seed=seed, speed=self._place.speed, clock=clock, webhook_client=client)

    async def _keep_back(self, store: Database) -> None:
        for sku in self._all_goods:
            await change_rule(store, Scope(sku=Sku(sku)), {"computed_buffer": True}, actor="test")

    # Sales ---------------------------------------------------------------------------------------------------------

    async def _measured_tau(self) -> float:
        """Sell other goods, slowly, until enough is known of the way from a sale to the other channels."""
        await self._stock_up(self._quiet, QUIET_UNITS)
        slow = await self._sold_slowly(self._size.quiet_sales, QUIET_LOAD)
        delays = [delay for one in slow for delay in one.delays_s]
        return sum(delays) / len(delays)

    async def _usual_sales(self) -> None:
        """Sell so much of them that the engine has measured the windows of every channel."""
        await self._sold_slowly(MEASURED_SALES, USUAL_LOAD)

    async def _sold_slowly(self, sales: int, load: float) -> list[SellOut]:
        slow = [await self._begun(sku, QUIET_UNITS, load / self._place.guess_s) for sku in self._quiet]
        buyers = [self._kernel.loop.create_task(self._buyers(one, clump=1.0)) for one in slow]
        await self._until(lambda: _fewer(slow, sales))
        for one, task in zip(slow, buyers, strict=True):
            one.is_over = True
            task.cancel()
        return slow

    async def _sold_out(self, skus: Sequence[str], rate: float) -> list[SellOut]:
        await self._stock_up(skus, self._size.units)
        running = [await self._begun(sku, self._size.units, rate) for sku in skus]
        await asyncio.gather(*(self._buyers(one, clump=self._terms.clump) for one in running))
        return running

    async def _begun(self, sku: str, units: int, rate: float) -> SellOut:
        one = SellOut(sku, units, rate, self._kernel.now_s)
        one.begin(self._shown()[sku])
        self._watched.append(one)
        return one

    async def _buyers(self, one: SellOut, *, clump: float) -> None:
        """They come by themselves, or in groups of geometric size, and each goes to a channel of its own choice."""
        random, on = self._random, list(self._channels)
        size = (1 + clump) / 2
        while not one.is_over:
            await asyncio.sleep(random.expovariate(one.rate_per_s / size))
            buyers = 1
            while random.random() > 1 / size:
                buyers += 1
            for _ in range(0 if one.is_over else buyers):
                channel = random.choice(on)
                if self._channels[channel].place([(self._listed[channel, one.sku], 1)]):
                    one.sold_at[channel].append(self._kernel.now_s)
                else:
                    one.refused += 1
                    one.refused_early += one.sold < one.units

    def _shown(self) -> dict[str, dict[str, int]]:
        """SKU -> channel -> units that can be bought there now."""
        shown: dict[str, dict[str, int]] = {}
        for name, simulator in self._channels.items():
            for listing in simulator.listings():
                shown.setdefault(listing.merchant_sku, {})[name] = listing.units
        return shown

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(LOOK_S)
            if self._node.bug:
                raise AssertionError(self._node.bug)
            self._watched = [one for one in self._watched if not one.is_over]
            shown = self._shown() if self._watched else {}
            for one in self._watched:
                one.look(shown[one.sku], now_s=self._kernel.now_s, quiet_s=self._place.quiet_s)

    async def _look_for_work(self) -> None:
        """Wake the steps for which something has become due, as soon as their own idle looks would find it.

        Idle steps of a simulated node look seldom, since each look costs real time. One statement looks for all.
        """
        measured_s = 0.0
        while True:
            await asyncio.sleep(IDLE_S)
            if self._node.engine is None:
                continue
            self._database.tell_time()
            due = [name for (name,) in self._database.session.execute(_DUE, prepare=True)]
            if self._kernel.now_s - measured_s > MEASURE_S:
                measured_s = self._kernel.now_s
                due.append("measure")
            self._node.engine.supervisor.pulse.wake(due)

    # The engine ------------------------------------------------------------------------------------------------------

    async def _stock_up(self, skus: Sequence[str], units: int) -> None:
        """The goods come in, and every listing of them shows what it should."""
        received = [
            {"type": "receive", "key": f"k{sku}", "sku": sku, "location": LOCATION, "units": units} for sku in skus
        ]
        body = msgspec.json.encode({"commands": received})
        headers = {"Content-Type": "application/json"}
        request = httpx2.Request("POST", f"http://{HOST}:{ENGINE_PORT}/v1/commands", headers=headers, content=body)
        status = 503
        while status == 503:
            await asyncio.sleep(1.0)
            if self._node.is_up:
                status = (await self._network.ask(self._node, request)).status_code
        assert status == 200, f"{skus} were not received: {status}"
        await self._until(lambda: self._not_offered(skus))

    def _not_offered(self, skus: Sequence[str]) -> Iterator[str]:
        """Goods whose listings do not show yet what they should."""
        for row in self._database.session.execute(
            """
            select s.sku, l.channel, l.desired_units, l.verified_units, l.phase
            from unnest(%s::text[]) as s (sku) left join listings l on l.sku = s.sku
            where l.sku is null or l.desired_units is null or l.verified_units is distinct from l.desired_units
               or l.verified_version is distinct from l.desired_version
               or s.sku in (select sku from touched)
               or (select sum(verified_units) from listings o where o.sku = s.sku) = 0
            """,
            (list(skus),),
        ):
            yield str(row)

    async def _told_of_a_week(self, rate: float) -> None:
        """The engine finds a week of such sales in its records, and works out what follows from it and its windows."""
        session, per_channel = self._database.session, list(self._channels)
        sellout_history.write(session, self._all_goods, per_channel, rate, clump=self._terms.clump, random=self._random)
        await self._until(lambda: sellout_history.not_worked_out(session, self._all_goods, per_channel))

    def _not_in_the_books(self, sellouts: Sequence[SellOut]) -> Iterator[str]:
        """Where the ledger and the channels disagree: every sale once, the rest free, what was sold twice short."""
        session = self._database.session
        held = {
            sku: (units, short)
            for sku, units, short in session.execute(
                """
                select sku, sum(units_pending + units_committed + units_short + units_shipped)::bigint,
                       sum(units_short)::bigint
                from order_lines group by sku
                """
            )
        }
        free = dict(session.execute("select sku, available from balances"))
        for one in sellouts:
            found = (*held.get(one.sku, (0, 0)), free.get(one.sku))
            if found != (one.sold, one.oversold, one.stranded):
                yield f"{one.sku}: sold, short and free are {found}, not {one.sold, one.oversold, one.stranded}"

    async def _until(self, missing: object) -> None:
        """Wait until nothing is missing. `missing`: yields what is."""
        assert callable(missing)
        until_s = self._kernel.now_s + SETTLE_S_MAX
        while first := next(missing(), ""):
            assert self._kernel.now_s < until_s, f"seed {self._seed}, {self._terms}: {first}"
            await asyncio.sleep(0.5)
