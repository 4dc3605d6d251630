"""One run of one seed: built, lived through, judged."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Collection, Mapping
from itertools import islice
from random import Random

from oneshelf.connectors.amazon.simulator import AmazonSimulator
from oneshelf.connectors.ebay.simulator import EbaySimulator
from oneshelf.connectors.shopify.simulator import ShopifySimulator
from oneshelf.connectors.shopify.simulator_tokens import CLIENT_ID, CLIENT_SECRET, REFRESH_TOKEN
from oneshelf.domain.allocation import plan_of
from oneshelf.domain.identity import Channel, Location, Sku
from oneshelf.domain.policy import Scope
from oneshelf.domain.rights import Mode
from oneshelf.sdk.simulator import CatalogueItem, Simulator
from oneshelf.simulation.auditor import Auditor, ViolationError
from oneshelf.simulation.database import SimulatedDatabase
from oneshelf.simulation.faults import BY_NAME, OFF, Faults, drawn
from oneshelf.simulation.honesty import Haste, Honesty, find_out
from oneshelf.simulation.kernel import Kernel, SimulatedClock, StalledError, all_leave
from oneshelf.simulation.network import ENGINE_PORT, HOST, Network
from oneshelf.simulation.node import PATIENCE, Node, turning_points
from oneshelf.simulation.outcome import ACTIVE_S, Outcome, drawn_mode
from oneshelf.simulation.peers import Peers
from oneshelf.simulation.pool_auditor import drawn_shares
from oneshelf.simulation.scenarios import SCENARIOS
from oneshelf.simulation.shapes import HUB, drawn_shape, shape_of, switch, take
from oneshelf.simulation.shops import CHANNELS, TIMING, WEBHOOK_SECRET, account, simulators
from oneshelf.simulation.staged import Staged, heard_by_queue, put_twins_on_sale
from oneshelf.simulation.world import LOCATION, OTHER_LOCATION, World
from oneshelf.storage import allocations, catalog, rights
from oneshelf.storage.catalog import NewChannel
from oneshelf.workers.supervisor import REFRESH_S

HOURLY_SECRETS = {"client_id": CLIENT_ID, "client_secret": CLIENT_SECRET, "refresh_token": REFRESH_TOKEN}
# Of the announcements to a subscription that the engine made.
DROPPED_SHARE = 0.2
SETTLE_S_MAX = 900.0
TWO_NODES_SHARE = 0.4
# Of mode auto.
GUARD_AT_UNITS = 6
# To empty a listing, prove it and raise it takes most of a pooled day; so does it to follow another ruler.
LONGER = 3.0
# What a guarded SKU is not safe from.
NOT_GUARDED = ("foreign_edit", "order_late")


def live(  # noqa: PLR0913  # one run, and all that may be asked of it
    dsn: str,
    seed: int,
    *,
    grades: Mapping[str, str] | None = None,
    lines: list[str] | None = None,
    active_s: float = ACTIVE_S,
    scenario: str | Staged = "",
    crash_at: int | None = None,
    mode: str = "",
    shape: str = "",
    kinds: Collection[str] = (),
    lies: Collection[str] = (),
    is_probed: bool = False,
    is_hourly: bool = False,
) -> Outcome:
    """Run a seed on this migrated database, which is emptied first. After `active_s` of the day everything works.

    With a `scenario` (of `SCENARIOS`, or one of the caller's own) that alone happens, and no fault but that the engine
    dies at its `crash_at`-th step, if given.
    `mode`: of all SKUs; default: drawn, and on some days an allocation plan with it. Of a guarded SKU no unit may be
    sold twice, so nobody but the engine changes what its listings show, no order is later than declared, and no unit
    is lost: nobody can promise these.
    `shape`: of the shop, see `shapes.SHAPES`; default: drawn where the mode is.
    `kinds`: of its channels, of `shops.KINDS`, with the one that is to rule; default: drawn.
    `lies`: switches of the Shopify simulator that are always on, so that it does not do what is declared; all that
    it shows is bought just as a write arrives there. `is_probed`: that was found out first.
    `is_hourly`: the engine gets into Shopify by tokens of an hour, and is told of what it subscribes to itself; the
    shop drops subscriptions now and then. Otherwise by a token for ever, and the app's own configuration tells.
    """
    play = SCENARIOS[scenario] if isinstance(scenario, str) and scenario else scenario or None
    if play:
        grades = dict.fromkeys(BY_NAME, OFF)
    chance = Random(f"{seed}:faults")  # noqa: S311  # repeatable, not a secret
    merchants = Random(f"{seed}:merchants")  # noqa: S311  # as above
    mix = dict(grades) if grades is not None else drawn(seed)
    asked_mode = mode or (play.mode if play else drawn_mode(seed))
    outcome = Outcome(seed, mix, asked_mode, shape, kinds=tuple(kinds), active_s=active_s)
    if outcome.mode == Mode.GUARDED:
        mix.update(dict.fromkeys(NOT_GUARDED, OFF))
    if lies or any(mix.get(name, OFF) != OFF for name in ("foreign_edit", "order_rerouted")):
        # An edit hides it, and so does an order that is moved and heard of late. A shop that does not compare loses it.
        mix["silent_move"] = OFF
    kernel = Kernel(str(seed))
    kernel.lines = lines
    database = SimulatedDatabase(dsn, kernel)
    began = time.perf_counter()
    try:
        asyncio.set_event_loop(kernel.loop)
        kernel.loop.run_until_complete(
            _Run(
                seed,
                kernel,
                database,
                Faults(mix, chance, merchants),
                outcome,
                play,
                Honesty(frozenset(lies), is_probed, is_hourly),
                # Where nobody has said how SKUs are shared, that is drawn too.
                is_drawn=not (mode or play),
            ).live(active_s, crash_at)
        )
    except (ViolationError, StalledError) as failure:
        outcome.violation = str(failure)
    finally:
        kernel.loop.run_until_complete(all_leave())
        outcome.trace, outcome.events = kernel.trace, kernel.step_count
        outcome.took_s = time.perf_counter() - began
        asyncio.set_event_loop(None)
        kernel.loop.close()
    return outcome


class _Run:
    def __init__(  # noqa: PLR0913  # all that a run is made of
        self,
        seed: int,
        kernel: Kernel,
        database: SimulatedDatabase,
        faults: Faults,
        outcome: Outcome,
        play: Staged | None,
        honesty: Honesty,
        *,
        is_drawn: bool,
    ) -> None:
        self._random = Random(f"{seed}:scene")  # noqa: S311  # as above
        self._kernel = kernel
        self._database = database
        self._faults = faults
        self._outcome = outcome
        self._play = play
        self._is_judged = not play or play.is_judged
        self._honesty = honesty
        self._network = Network(kernel, faults)
        self._channels = self._simulators(seed)
        self._world = World(str(seed), kernel, self._network, faults, self._channels)
        self._world.is_guarded = outcome.mode == Mode.GUARDED
        if is_drawn and not outcome.shape:
            self._world.shares = drawn_shares(seed, list(self._channels))
            if self._world.shares is None and HUB in self._channels:
                outcome.shape = drawn_shape(seed)
        self._world.shape = shape_of(outcome.shape)
        if not self._world.shape.is_ordinary:
            # A figure that is typed hides it.
            faults.grades["silent_move"] = outcome.grades["silent_move"] = OFF
        self._world.is_honest = not honesty.lies
        self._world.is_compared &= "ignores_compare" not in honesty.lies
        self._auditor = Auditor(database.session, self._world)
        self._world.known = self._auditor.known
        if self._world.shape.is_middleware:
            peers = Peers(str(seed), self._network, faults, database.session)
            peers.is_guarded = self._world.is_guarded
            self._world.peers = peers
        self._violation: ViolationError | None = None

    def _simulators(self, seed: int) -> dict[str, Simulator]:
        # Who is to rule has to be there.
        possible = [kinds for kinds in CHANNELS if not self._outcome.shape or HUB in kinds]
        kinds = self._play.channels if self._play else self._outcome.kinds or self._random.choice(possible)
        made = simulators(kinds, seed, SimulatedClock(self._kernel), self._network)
        for name, simulator in made.items():
            if self._faults.strikes("channel_clock", name):
                simulator.skew_clock()
            if name == "shopify":
                simulator.switches.set(dict.fromkeys(self._honesty.lies, 1.0))
            if isinstance(simulator, EbaySimulator) and self._faults.grades["zero_refused"] != OFF:
                # What eBay ends with all its variations is listed anew by a person, and nobody is there.
                simulator.ebay.habits.group_share = 0.0
        return made

    async def live(self, active_s: float, crash_at: int | None) -> None:
        world, kernel = self._world, self._kernel
        count = self._play.node_count if self._play else 1 + (self._random.random() < TWO_NODES_SHARE)
        for number in range(count):
            node = Node(f"node{number}", kernel, self._database, self._network, self._faults)
            node.patience = self._play.patience if self._play else PATIENCE
            node.public_url = f"http://{HOST}:{ENGINE_PORT}" if self._honesty.is_hourly else ""
            self._network.nodes.append(node)
        time_of_channels = [kernel.loop.create_task(one.run()) for one in self._channels.values()]
        try:
            await self._open()
            if not self._play:
                await self._world.buy_early()
            if self._is_judged:
                self._database.changed = self._look
            for number, node in enumerate(self._network.nodes):
                node.start(is_alone=number == 0)
            if self._play:
                await self._perform(self._play, crash_at)
            else:
                is_longer = self._world.is_guarded or not self._world.shape.is_ordinary
                await self._day(active_s * (LONGER if is_longer else 1.0))
            if self._is_judged:
                await self._settle()
        finally:
            self._count()
            await world.leave()
            for node in self._network.nodes:
                await node.stop()
            await self._network.close()
            for task in time_of_channels:
                task.cancel()
            await asyncio.gather(*time_of_channels, return_exceptions=True)

    async def _day(self, active_s: float) -> None:
        """Whatever chance brings."""
        self._world.watch()
        shop = self._channels.get("shopify")
        if self._honesty.is_probed and isinstance(shop, ShopifySimulator):
            await self._probe(shop)
        if self._world.is_guarded:
            # What nothing is on sale of cannot be sold twice.
            self._faults.are_resting = True
            await self._stock_up({sku: self._random.randint(2, 8) for sku in self._world.skus})
            self._faults.are_resting = False
        self._world.begin()
        if self._honesty.lies and isinstance(shop, ShopifySimulator):
            self._network.before_request = Haste(self._outcome.seed, shop, self._network, self._faults).arrives
        for name, simulator in self._channels.items():
            simulator.switches.set(self._faults.switches(simulator.switches.names))
            if name == "shopify" and self._honesty.is_hourly:
                simulator.switches.set({"subscription_dropped": DROPPED_SHARE})
        switching = self._kernel.loop.create_task(self._switch())
        await self._sleep(active_s)
        while not switching.done():
            await self._sleep(1.0)
        await switching
        self._faults.stop()
        self._network.before_request = None
        for simulator in self._channels.values():
            stopped = [name for name in simulator.switches.names if name not in self._honesty.lies]
            simulator.switches.set(dict.fromkeys(stopped, 0.0))
            simulator.grant()

    async def _switch(self) -> None:
        """Now and then somebody says anew who rules, while everybody goes on."""
        if self._world.shape.is_switched:
            clerk = self._clerk("architect")
            try:
                await switch(clerk.connect(), self._world.shape, self._faults, self._outcome.seed)
            finally:
                await clerk.stop()

    def _clerk(self, name: str) -> Node:
        """Somebody at the database, whom no fault reaches."""
        quiet = Faults(dict.fromkeys(self._outcome.grades, OFF), self._random)
        return Node(name, self._kernel, self._database, self._network, quiet)

    async def _probe(self, simulator: ShopifySimulator) -> None:
        """Somebody tries the shop before anything is on sale, and every engine hears of it."""
        clerk = self._clerk("prober")
        self._faults.are_resting = True
        clock = SimulatedClock(self._kernel)
        await find_out(clerk.connect(), clock, simulator, Channel("shopify"), pause_s=2.0)
        await clerk.stop()
        await self._sleep(2 * REFRESH_S * PATIENCE)
        self._faults.are_resting = False
        self._faults.saw("a shop was probed")

    async def _perform(self, play: Staged, crash_at: int | None) -> None:
        """One scenario, once everything is right."""
        self._world.watch()
        await self._stock_up(play.goods)
        node = self._network.nodes[0]
        node.point_count, node.crash_at = 0, crash_at
        node.points = [] if crash_at is None else None
        act = asyncio.ensure_future(play.act(self._world))
        while not act.done():
            await self._sleep(1.0)
        await act

    async def _stock_up(self, goods: Mapping[str, int]) -> None:
        """The first goods come in, and everything that shows them is right."""
        opening = [
            self._world.ask({"type": "receive", "sku": sku, "location": LOCATION, "units": units})
            for sku, units in goods.items()
        ]
        await asyncio.gather(*opening)
        while any(self._auditor.unsettled()):
            await self._sleep(1.0)
        self._auditor.are_in_order = True

    async def _open(self) -> None:
        """The goods are named, the channels are stocked and connected, and live."""
        skus = list(self._play.goods) if self._play else [f"SKU-{n}" for n in range(self._random.randint(2, 5))]
        self._world.skus = skus
        if self._world.peers is not None:
            self._world.peers.skus = skus
        clerk = self._clerk("clerk")
        database = clerk.connect()
        async with database.transaction() as tx:
            for place in (LOCATION, OTHER_LOCATION):
                await catalog.add_location(tx, Location(place))
            await catalog.add_skus(tx, {Sku(sku): sku for sku in skus})
            for name, simulator in self._channels.items():
                address = self._network.connect(name, simulator)
                simulator.stock_catalogue([CatalogueItem(sku, sku, self._shown(name)) for sku in skus])
                settings, secrets = account(name, address)
                if self._play and self._play.is_listening and isinstance(simulator, AmazonSimulator):
                    settings, secrets = heard_by_queue(simulator, address)
                if name == "shopify" and self._honesty.is_hourly:
                    secrets = dict(HOURLY_SECRETS)
                else:
                    simulator.connect(address=f"http://{HOST}:{ENGINE_PORT}/webhooks/{name}", secret=WEBHOOK_SECRET)
                timing = {**TIMING[name], **(self._play.timing.get(name, {}) if self._play else {})}
                wish = NewChannel(Channel(name), name, Location(LOCATION), settings, secrets, timing)
                await catalog.add_channel(tx, wish)
                await catalog.set_mode(tx, Channel(name), "live")
                if self._play:
                    await put_twins_on_sale(tx, name, simulator, self._play.twins.get(name, ()))
            wanted = Mode(self._outcome.mode)
            await rights.set_mode(tx, [Sku(sku) for sku in skus], wanted, guard_at_units=GUARD_AT_UNITS)
            if self._world.shares:
                self._faults.saw("a plan shares all SKUs among the channels")
                plan = plan_of(Scope(), self._world.shares.stated())
                await allocations.put(tx, plan.scope, plan, actor="world")
        if self._world.shape.is_hub or self._world.peers:
            await take(database, self._world.shape)
            self._faults.saw("peers rule by rank" if self._world.peers else "a channel rules")
        await clerk.stop()

    def _shown(self, channel: str) -> int:
        """What a listing shows before anything happens."""
        if self._play and channel in self._play.shown:
            return self._play.shown[channel]
        units = self._random.randint(0, 0 if self._world.is_guarded else 4)
        # What the one that rules shows at the start is to be counted in first, by a person who goes live.
        return 0 if self._world.shape.is_hub and channel == HUB else units

    def _look(self) -> None:
        if self._violation is None:
            try:
                self._auditor.look()
            except ViolationError as violation:
                self._violation = violation

    async def _sleep(self, seconds: float) -> None:
        until_s = self._kernel.now_s + seconds
        while self._kernel.now_s < until_s:
            await asyncio.sleep(1.0)
            if self._is_judged:
                self._auditor.look_at_channels()
            if self._network.wire.violation:
                raise ViolationError(self._network.wire.violation)
            for node in self._network.nodes:
                if node.bug:
                    raise ViolationError(f"{node.name} stopped of a bug: {node.bug}")
                for step in node.failing:
                    raise ViolationError(f"{node.name}: no step fails but of its surroundings, and {step} did")
            if self._violation is not None:
                raise self._violation

    async def _settle(self) -> None:
        """Without faults everything comes to rest, in time."""
        began_s = self._kernel.now_s
        closing = self._kernel.loop.create_task(self._world.close())
        while True:
            await self._sleep(2.0)
            missing = self._auditor.unsettled() if closing.done() else iter(["the world is not closed"])
            first = next(missing, "")
            if not first:
                break
            if self._kernel.now_s - began_s > SETTLE_S_MAX:
                named = "; ".join((first, *islice(missing, 4)))
                raise ViolationError(f"after {SETTLE_S_MAX:.0f} s without faults: {named}")
        if bug := closing.exception():
            raise ViolationError(f"the world stopped of a bug: {bug!r}")
        self._outcome.settled_s = self._kernel.now_s - began_s

    def _count(self) -> None:
        outcome = self._outcome
        outcome.looks = self._auditor.look_count
        outcome.orders = sum(len(one.orders()) for one in self._channels.values())
        outcome.commands = len(self._world.asked)
        outcome.crashes = sum(node.crash_count for node in self._network.nodes)
        outcome.crash_points = turning_points(self._network.nodes[0].points or [])
        outcome.hits, outcome.sometimes = self._faults.hits, self._faults.sometimes
        for name, simulator in self._channels.items():
            for fault, count in simulator.switches.hits.items():
                if fault in BY_NAME:
                    outcome.hits[fault, name] += count
                else:
                    outcome.sometimes[f"{name}: {fault}"] += count
