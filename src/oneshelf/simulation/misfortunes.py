"""Acts in which one message is late, lost or crossed by another one, at the moment at which that is worst.

What chance meets once in many days is arranged here: each act leads to one instant at which a rule of the engine alone
keeps a unit from being sold twice. Undisturbed the engine comes through each of them; a planted bug of that rule does
not. Where an act waits for something that does not come, the run says so (`MISSED`), since it would prove nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import httpx2

from oneshelf.connectors.amazon.simulator import AmazonSimulator
from oneshelf.simulation.network import Way, written_listings
from oneshelf.simulation.node import Node
from oneshelf.simulation.staged import Staged, ask, buy, hold, try_to_buy
from oneshelf.simulation.world import AMAZON, FIRST, OTHER_LOCATION, SECOND, SHOPIFY, World

MISSED = "what a scenario waits for did not come"
TICK_S = 0.02
# Until all that an act has set off is proved.
CALM_S = 20.0
TWIN = f"{FIRST}/2"
# A channel that applies late and answers from long ago, and whose stock is not read as a whole meanwhile.
SLOW = {"apply_s": 20.0, "stale_s": 14.0, "sweep_stock_s": 600.0}

Asking = tuple[str, httpx2.Request]


class _Scene:
    """What an act sees of the engine, and what it does to messages. A message is taken once."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.network = world.network
        self.session = world.network.nodes[0].database.session

    def shown(self, channel: str, name: str = FIRST) -> int:
        return next(one.units for one in self.world.channels[channel].listings() if one.merchant_sku == name)

    def of_listing(self, channel: str, what: str, name: str = FIRST) -> Any:
        """What the engine has written down of a listing."""
        statement = f"select {what} from listings where channel = %s and merchant_sku = %s"  # noqa: S608  # of this file
        row = self.session.execute(statement, (channel, name), prepare=True).fetchone()
        return row[0] if row else None

    async def until(self, has_come: Callable[[], bool], *, at_most_s: float = 60.0, is_needed: bool = True) -> bool:
        """Let time pass until that."""
        until_s = self.world.kernel.now_s + at_most_s
        while not has_come() and self.world.kernel.now_s < until_s:  # noqa: ASYNC110  # virtual time
            await asyncio.sleep(TICK_S)
        if not has_come() and is_needed:
            self.world.faults.saw(MISSED)
        return has_come()

    async def until_proved(self, channel: str, units: int) -> None:
        """Until the listing is proved to show that and nothing is in flight."""
        await self.until(
            lambda: (
                bool(self.of_listing(channel, f"verified_units = {units} and phase = 'idle'"))
                and self.shown(channel) == units
            )
        )

    async def until_polled(self, channel: str) -> None:
        """Until the engine has asked this channel for its orders once more, and been answered."""
        asked = "select last_done_at from schedules where channel = %s and task = 'orders'"
        before = self.session.execute(asked, (channel,)).fetchone()
        await self.until(lambda: self.session.execute(asked, (channel,)).fetchone() != before)

    def silence(self, *, deliveries: int | None = None) -> None:
        """The shop's next deliveries are lost, or all from now on."""
        lost: object = 1.0 if deliveries is None else {"next": deliveries}
        self.world.channels[SHOPIFY].switches.set({"webhook_lost": lost})

    def lead(self, is_meant: Callable[[Asking], bool], way: Way, *, then: Callable[[], None] | None = None) -> None:
        """The next request that is meant goes this way. `then`: what somebody does at the moment it leaves."""

        def way_of(channel: str, request: httpx2.Request) -> Way | None:
            if not is_meant((channel, request)):
                return None
            self.network.way_of = lambda _channel, _request: None
            if then is not None:
                then()
            return way

        self.network.way_of = way_of

    def when_arrives(self, is_meant: Callable[[Asking], bool], act: Callable[[], object]) -> None:
        """Somebody does something at the channel just before the next request that is meant is done there."""

        def arrives(channel: str, request: httpx2.Request) -> None:
            if is_meant((channel, request)):
                self.network.before_request = None
                act()

        self.network.before_request = arrives

    def before_step(self, act: Callable[[Node], bool]) -> None:
        """Do that before a step of any node, until it says that it is done."""

        def step_of(node: Node) -> Callable[[str], None]:
            def step(what: str) -> None:
                if what == "database" and act(node):
                    for one in self.network.nodes:
                        one.before_step = lambda _what: None

            return step

        for node in self.network.nodes:
            node.before_step = step_of(node)


def _writes(channel: str) -> Callable[[Asking], bool]:
    return lambda asking: asking[0] == channel and bool(written_listings(asking[1]))


def _reads(channel: str) -> Callable[[Asking], bool]:
    """Readings of single listings, as before a write."""
    return lambda asking: asking[0] == channel and b"nodes(ids" in asking[1].content


def _polls(channel: str) -> Callable[[Asking], bool]:
    return lambda asking: (
        asking[0] == channel and (b"orders(" in asking[1].content or asking[1].url.path.startswith("/orders/"))
    )


# Orders that come late, twice or not at all ------------------------------------------------------------------------


async def _told_by_a_poll_alone(world: World) -> None:
    scene = _Scene(world)
    scene.silence()
    buy(world, SHOPIFY, (FIRST, 1))
    await asyncio.sleep(10.0)


async def _overtaken(world: World) -> None:
    """The order is announced long after its cancellation, when a poll has told of that as well."""
    world.network.late_s_of = lambda _channel, request: (
        15.0 if request.headers["X-Shopify-Topic"] == "orders/create" else 0.0
    )
    order = buy(world, SHOPIFY, (FIRST, 2))
    await asyncio.sleep(0.1)
    world.channels[SHOPIFY].cancel(order)
    await asyncio.sleep(2 * CALM_S)


async def _second_page(world: World) -> None:
    """What was sold while nobody could ask comes on two pages."""
    scene, shop = _Scene(world), world.channels[SHOPIFY]
    scene.silence()
    await scene.until_polled(SHOPIFY)
    scene.lead(_polls(SHOPIFY), Way(there_s=None))
    for _ in range(2):
        buy(world, SHOPIFY, (FIRST, 1))
        await asyncio.sleep(2.0)
    shop.switches.set({"partial_page": 1.0})
    await scene.until_polled(SHOPIFY)
    shop.switches.set({"partial_page": 0.0})
    await asyncio.sleep(CALM_S)


async def _sold_and_cancelled_slowly(world: World) -> None:
    """A unit comes back to a listing long after all have forgotten its sale."""
    order = buy(world, SHOPIFY, (FIRST, 1))
    await asyncio.sleep(2 * CALM_S)
    world.channels[SHOPIFY].cancel(order)
    await asyncio.sleep(CALM_S)


async def _figure_before_order(world: World) -> None:
    """A figure has risen, and what tells why is lost: only the next poll does."""
    scene = _Scene(world)
    order = buy(world, SHOPIFY, (FIRST, 1))
    await asyncio.sleep(CALM_S)
    await scene.until_polled(SHOPIFY)
    scene.silence(deliveries=2)
    world.channels[SHOPIFY].cancel(order)
    await asyncio.sleep(CALM_S)


# Cuts ---------------------------------------------------------------------------------------------------------------


def _sell_out_amazon(world: World) -> None:
    """Amazon has nothing left, so Shopify has to give something up for it."""
    buy(world, AMAZON, (FIRST, _Scene(world).shown(AMAZON)))


async def _cut_meets_a_sale(world: World) -> None:
    """A buyer is faster than the cut that is to free a unit for the other shop, and nobody tells."""
    scene = _Scene(world)
    scene.silence()
    scene.when_arrives(_writes(SHOPIFY), lambda: buy(world, SHOPIFY, (FIRST, 1)))
    _sell_out_amazon(world)
    await asyncio.sleep(2 * CALM_S)


async def _cut_dies(world: World) -> None:
    """The engine dies with a cut in its hands that nobody has received."""
    scene = _Scene(world)
    scene.lead(_writes(SHOPIFY), Way(there_s=None), then=world.network.nodes[0].crash)
    _sell_out_amazon(world)
    await asyncio.sleep(2 * CALM_S)


# Raises -------------------------------------------------------------------------------------------------------------


async def _raise_arrives_late(world: World) -> None:
    """A raise is done when nobody waits for it any more, over a figure that looks as it did."""
    scene = _Scene(world)
    before = scene.shown(SHOPIFY)
    scene.lead(_writes(SHOPIFY), Way(there_s=80.0))
    await ask(world, "receive", FIRST, units=2)
    await scene.until(lambda: scene.shown(SHOPIFY) > before, at_most_s=50.0, is_needed=False)
    await _back_to(scene, before)
    await asyncio.sleep(100.0)


async def _back_to(scene: _Scene, units: int) -> None:
    """Buyers take what is shown above that."""
    more = scene.shown(SHOPIFY) - units
    if more > 0:
        buy(scene.world, SHOPIFY, (FIRST, more))
    await asyncio.sleep(CALM_S)


async def _raise_of_a_sleeper(world: World) -> None:
    """An engine stands still with a raise in its hands while another one settles it, and wakes."""
    scene = _Scene(world)
    before = scene.shown(SHOPIFY)

    def stops(node: Node) -> bool:
        is_sending = scene.of_listing(SHOPIFY, "phase = 'sending'")
        if is_sending:
            node.stand_still(400.0)
        return bool(is_sending)

    scene.before_step(stops)
    await ask(world, "receive", FIRST, units=2)
    if await scene.until(lambda: scene.shown(SHOPIFY) > before, at_most_s=350.0):
        await _back_to(scene, before)
    await asyncio.sleep(250.0)


async def _raise_meets_a_sale(world: World) -> None:
    """A unit was sold, and nobody has told, when the listing is to be raised; what is left is taken at once."""
    scene = _Scene(world)
    await scene.until_polled(SHOPIFY)
    scene.silence()
    before = scene.shown(SHOPIFY)
    buy(world, SHOPIFY, (FIRST, 1))
    await ask(world, "receive", FIRST, units=12)
    await scene.until(lambda: scene.shown(SHOPIFY) > before)
    await hold(world, **{FIRST: 6})
    await asyncio.sleep(2 * CALM_S)


async def _cancelled_under_a_write(world: World) -> None:
    """A raise is done, and before its answer is heard a unit comes back."""
    scene = _Scene(world)
    order = buy(world, SHOPIFY, (FIRST, 1))
    await asyncio.sleep(CALM_S)
    before = scene.shown(SHOPIFY)
    scene.lead(_writes(SHOPIFY), Way(back_s=5.0))
    await ask(world, "receive", FIRST, units=2)
    await scene.until(lambda: scene.shown(SHOPIFY) > before)
    world.channels[SHOPIFY].cancel(order)
    await asyncio.sleep(2 * CALM_S)


def _held_at_the_reading(back_s: float) -> Callable[[World], Any]:
    """Ten times a raise is about to be written when somebody asks for the very units that it would give."""

    async def act(world: World) -> None:
        scene, kernel = _Scene(world), world.kernel
        for _ in range(10):
            asked: list[asyncio.Task[str]] = []

            def grab(asked: list[asyncio.Task[str]] = asked) -> None:
                asked.append(kernel.loop.create_task(hold(world, **{FIRST: 2})))

            scene.lead(_reads(SHOPIFY), Way(there_s=0.01, back_s=back_s))
            scene.when_arrives(_reads(SHOPIFY), grab)
            await ask(world, "receive", FIRST, units=2)
            await asyncio.sleep(3.0)
            for one in asked:
                if reservation := await one:
                    await world.ask({"type": "release", "reservation_id": reservation})
            await asyncio.sleep(CALM_S)

    return act


async def _twin_cut_and_raised(world: World) -> None:
    """Of two listings at one shop one is cut and one raised in the same write, and what the raise was to have is gone.

    Planning rests for a moment after each time, so two pieces of news within that are planned together.
    """
    scene, kernel = _Scene(world), world.kernel
    scene.silence()
    await scene.until_polled(SHOPIFY)
    buy(world, SHOPIFY, (TWIN, scene.shown(SHOPIFY, TWIN)))

    def plan_now() -> None:
        kernel.loop.create_task(_ask_twice(world))

    scene.when_arrives(_polls(SHOPIFY), plan_now)
    scene.lead(_polls(SHOPIFY), Way(there_s=0.05, back_s=0.01))
    await scene.until(lambda: scene.network.before_request is None)
    scene.lead(_reads(SHOPIFY), Way(there_s=0.01, back_s=0.02))
    scene.when_arrives(_reads(SHOPIFY), lambda: kernel.loop.create_task(_take_and_buy(scene)))
    await asyncio.sleep(2 * CALM_S)


async def _ask_twice(world: World) -> None:
    # Nothing is shown of what lies there, so that this is planned and nothing is written.
    await world.ask({"type": "receive", "sku": SECOND, "location": OTHER_LOCATION, "units": 1})
    await asyncio.sleep(0.02)
    await ask(world, "receive", FIRST, units=2)


async def _take_and_buy(scene: _Scene) -> None:
    await hold(scene.world, **{FIRST: 2})
    scene.when_arrives(_writes(SHOPIFY), lambda: buy(scene.world, SHOPIFY, (FIRST, 1)))


# Where nobody compares ----------------------------------------------------------------------------------------------


async def _cancelled_after_the_reading(world: World) -> None:
    """A listing is proved to be empty, and a unit comes back to it before anybody has concluded anything from that."""
    scene = _Scene(world)
    await scene.until_polled(AMAZON)
    order = buy(world, AMAZON, (FIRST, 1))
    await asyncio.sleep(CALM_S)
    await ask(world, "receive", FIRST, units=12)
    await scene.until(lambda: bool(scene.of_listing(AMAZON, "op_units = 0 and suspect_at is not null")))
    world.channels[AMAZON].cancel(order)
    await scene.until(lambda: bool(scene.of_listing(AMAZON, "op_units > 0")))
    try_to_buy(world, AMAZON, (FIRST, 1))
    await asyncio.sleep(2 * CALM_S)


async def _old_reading_of_nothing(world: World) -> None:
    """A unit comes back to an empty listing, and a reading from before that seems to prove that it was emptied."""
    scene, amazon = _Scene(world), world.channels[AMAZON]
    if not isinstance(amazon, AmazonSimulator):
        raise TypeError(f"{AMAZON} is a {type(amazon).__name__}")
    order = buy(world, AMAZON, (FIRST, 1))
    await asyncio.sleep(CALM_S)
    amazon.habits.apply_s = (570.0, 590.0)
    amazon.habits.stale_s_max = 390.0
    # A poll leaves out what is that new, so it is the next one that tells.
    scene.when_arrives(_polls(AMAZON), lambda: amazon.cancel(order))
    await scene.until(lambda: scene.of_listing(AMAZON, "net_units") == 0)
    await ask(world, "receive", FIRST, units=12)
    await scene.until(lambda: bool(scene.of_listing(AMAZON, "op_units = 0")))
    amazon.switches.set({"stale_read": 1.0})
    await scene.until(lambda: bool(scene.of_listing(AMAZON, "op_units > 0")))
    try_to_buy(world, AMAZON, (FIRST, 1))
    amazon.switches.set({"stale_read": 0.0})
    await asyncio.sleep(2 * CALM_S)


def _guarded(act: Callable[[World], Any], units: int, **more: Any) -> Staged:
    return Staged(act=act, goods={FIRST: units, SECOND: 3}, mode="guarded", **more)


MISFORTUNES: dict[str, Staged] = {
    "a sale at Shopify that only a poll tells": Staged(act=_told_by_a_poll_alone, goods={FIRST: 5}),
    "an order is announced after its cancellation": Staged(act=_overtaken, goods={FIRST: 5}),
    "orders come on two pages": Staged(act=_second_page, goods={FIRST: 5}),
    "a unit comes back long after its sale": _guarded(_sold_and_cancelled_slowly, 6),
    "a figure rises before anybody tells why": _guarded(_figure_before_order, 6, patience=2.0),
    "a cut meets a sale": _guarded(_cut_meets_a_sale, 6),
    "the engine dies with a cut in its hands": _guarded(_cut_dies, 6),
    "a raise arrives when nobody waits for it": _guarded(_raise_arrives_late, 4, patience=4.0),
    "an engine sleeps with a raise in its hands": _guarded(_raise_of_a_sleeper, 4, node_count=2),
    "a raise meets a sale": _guarded(_raise_meets_a_sale, 6),
    "a unit comes back while a raise is answered": _guarded(_cancelled_under_a_write, 6),
    "somebody takes what a raise is about to give": _guarded(_held_at_the_reading(0.0), 2),
    "somebody has just taken what a raise was to give": _guarded(_held_at_the_reading(0.02), 2),
    "one of two listings is cut and the other raised": _guarded(
        _twin_cut_and_raised, 16, channels=(SHOPIFY,), twins={SHOPIFY: (TWIN,)}
    ),
    "a unit comes back after a listing was seen empty": _guarded(_cancelled_after_the_reading, 6),
    "an old reading of an empty listing": _guarded(
        _old_reading_of_nothing,
        2,
        patience=2.0,
        timing={AMAZON: {"apply_s": 20.0, "stale_s": 14.0, "sweep_stock_s": 600.0}},
    ),
}
