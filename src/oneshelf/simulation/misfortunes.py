"""Acts in which one message is late, lost or crossed by another one, at the moment at which that is worst.

What chance meets once in many days is arranged here: each act leads to one instant at which a rule of the engine alone
keeps a unit from being sold twice. Undisturbed the engine comes through each of them; a planted bug of that rule does
not. Where an act waits for something that does not come, the run says so (`MISSED`), since it would prove nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from oneshelf.connectors.amazon.simulator import AmazonSimulator
from oneshelf.connectors.shopify.polling import OVERLAP_S
from oneshelf.simulation.network import Way
from oneshelf.simulation.node import Node
from oneshelf.simulation.scene import Scene, polls, reads, writes
from oneshelf.simulation.staged import Staged, ask, buy, hold, try_to_buy
from oneshelf.simulation.world import AMAZON, FIRST, OTHER_LOCATION, SECOND, SHOPIFY, World

# Until all that an act has set off is proved.
CALM_S = 20.0
# More than it takes the engine to store a page.
PAGE_STEPS = 5
TWIN = f"{FIRST}/2"


# Orders that come late, twice or not at all ------------------------------------------------------------------------


async def _dies_over_a_page(world: World) -> None:
    """The engine dies while it stores what a poll has told, each time one step later.

    A poll looks back some seconds before the newest order that it knows, so the page has one that is older than that.
    """
    scene = Scene(world)
    [node] = world.network.nodes
    scene.silence()
    for count in range(PAGE_STEPS):
        await scene.until_polled(SHOPIFY)
        scene.lead(polls(SHOPIFY), Way(there_s=None))
        buy(world, SHOPIFY, (FIRST, 1))
        await asyncio.sleep(OVERLAP_S + 4.0)
        buy(world, SHOPIFY, (FIRST, 1))
        before = node.crash_count
        scene.when_arrives(polls(SHOPIFY), _dying_after(scene, count))
        await scene.until(lambda before=before: node.crash_count > before)  # type: ignore[misc]  # bound early
        await scene.until(lambda: node.is_up)
    await asyncio.sleep(CALM_S)


def _dying_after(scene: Scene, count: int) -> Callable[[], None]:
    """What has a node die after so many more of its steps."""
    steps = iter(range(count))

    def dies(node: Node) -> bool:
        is_last = next(steps, None) is None
        if is_last:
            node.crash()
        return is_last

    return lambda: scene.before_step(dies)


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
    scene, shop = Scene(world), world.channels[SHOPIFY]
    scene.silence()
    await scene.until_polled(SHOPIFY)
    scene.lead(polls(SHOPIFY), Way(there_s=None))
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


async def _cancelled_while_short(world: World) -> None:
    """Units come back to a listing that nobody had: what is available stays, and the figure must not."""
    scene = Scene(world)
    for shop in (SHOPIFY, AMAZON):
        buy(world, shop, (FIRST, 3))
    await scene.until_proved(AMAZON, 0)
    await asyncio.sleep(2 * CALM_S)
    world.channels[AMAZON].cancel(world.orders(AMAZON)[-1].order_id)
    await asyncio.sleep(2 * CALM_S)


async def _figure_before_order(world: World) -> None:
    """A figure has risen, and what tells why is lost: only the next poll does."""
    scene = Scene(world)
    order = buy(world, SHOPIFY, (FIRST, 1))
    await asyncio.sleep(CALM_S)
    await scene.until_polled(SHOPIFY)
    scene.silence(deliveries=2)
    world.channels[SHOPIFY].cancel(order)
    await asyncio.sleep(CALM_S)


# Cuts ---------------------------------------------------------------------------------------------------------------


def _sell_out_amazon(world: World) -> None:
    """Amazon has nothing left, so Shopify has to give something up for it."""
    buy(world, AMAZON, (FIRST, Scene(world).shown(AMAZON)))


async def _cut_meets_a_sale(world: World) -> None:
    """A buyer is faster than the cut that is to free a unit for the other shop, and nobody tells."""
    scene = Scene(world)
    scene.silence()
    scene.when_arrives(writes(SHOPIFY), lambda: buy(world, SHOPIFY, (FIRST, 1)))
    _sell_out_amazon(world)
    await asyncio.sleep(2 * CALM_S)


async def _cut_dies(world: World) -> None:
    """The engine dies with a cut in its hands that nobody has received."""
    scene = Scene(world)
    scene.lead(writes(SHOPIFY), Way(there_s=None), then=world.network.nodes[0].crash)
    _sell_out_amazon(world)
    await asyncio.sleep(2 * CALM_S)


# Raises -------------------------------------------------------------------------------------------------------------


async def _raise_arrives_late(world: World) -> None:
    """A raise is done when nobody waits for it any more, over a figure that looks as it did."""
    scene = Scene(world)
    before = scene.shown(SHOPIFY)
    scene.lead(writes(SHOPIFY), Way(there_s=80.0))
    await ask(world, "receive", FIRST, units=2)
    await scene.until(lambda: scene.shown(SHOPIFY) > before, at_most_s=50.0, is_needed=False)
    await _back_to(scene, before)
    await asyncio.sleep(100.0)


async def _back_to(scene: Scene, units: int) -> None:
    """Buyers take what is shown above that."""
    more = scene.shown(SHOPIFY) - units
    if more > 0:
        buy(scene.world, SHOPIFY, (FIRST, more))
    await asyncio.sleep(CALM_S)


async def _raise_of_a_sleeper(world: World) -> None:
    """An engine stands still with a raise in its hands while another one settles it, and wakes."""
    scene = Scene(world)
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
    scene = Scene(world)
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
    scene = Scene(world)
    order = buy(world, SHOPIFY, (FIRST, 1))
    await asyncio.sleep(CALM_S)
    before = scene.shown(SHOPIFY)
    scene.lead(writes(SHOPIFY), Way(back_s=5.0))
    await ask(world, "receive", FIRST, units=2)
    await scene.until(lambda: scene.shown(SHOPIFY) > before)
    world.channels[SHOPIFY].cancel(order)
    await asyncio.sleep(2 * CALM_S)


def _held_at_the_reading(back_s: float) -> Callable[[World], Any]:
    """Ten times a raise is about to be written when somebody asks for the very units that it would give."""

    async def act(world: World) -> None:
        scene, kernel = Scene(world), world.kernel
        for _ in range(10):
            asked: list[asyncio.Task[str]] = []

            def grab(asked: list[asyncio.Task[str]] = asked) -> None:
                asked.append(kernel.loop.create_task(hold(world, **{FIRST: 2})))

            scene.lead(reads(SHOPIFY), Way(there_s=0.01, back_s=back_s))
            scene.when_arrives(reads(SHOPIFY), grab)
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
    scene, kernel = Scene(world), world.kernel
    scene.silence()
    await scene.until_polled(SHOPIFY)
    buy(world, SHOPIFY, (TWIN, scene.shown(SHOPIFY, TWIN)))

    def plan_now() -> None:
        kernel.loop.create_task(_ask_twice(world))

    scene.when_arrives(polls(SHOPIFY), plan_now)
    scene.lead(polls(SHOPIFY), Way(there_s=0.05, back_s=0.01))
    await scene.until(lambda: scene.network.before_request is None)
    scene.lead(reads(SHOPIFY), Way(there_s=0.01, back_s=0.02))
    scene.when_arrives(reads(SHOPIFY), lambda: kernel.loop.create_task(_take_and_buy(scene)))
    await asyncio.sleep(2 * CALM_S)


async def _ask_twice(world: World) -> None:
    # Nothing is shown of what lies there, so that this is planned and nothing is written.
    await world.ask({"type": "receive", "sku": SECOND, "location": OTHER_LOCATION, "units": 1})
    await asyncio.sleep(0.02)
    await ask(world, "receive", FIRST, units=2)


async def _take_and_buy(scene: Scene) -> None:
    await hold(scene.world, **{FIRST: 2})
    scene.when_arrives(writes(SHOPIFY), lambda: buy(scene.world, SHOPIFY, (FIRST, 1)))


# Where nobody compares ----------------------------------------------------------------------------------------------


async def _cancelled_after_the_reading(world: World) -> None:
    """A listing is proved to be empty, and a unit comes back to it before anybody has concluded anything from that."""
    scene = Scene(world)
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
    scene, amazon = Scene(world), world.channels[AMAZON]
    if not isinstance(amazon, AmazonSimulator):
        raise TypeError(f"{AMAZON} is a {type(amazon).__name__}")
    order = buy(world, AMAZON, (FIRST, 1))
    await asyncio.sleep(CALM_S)
    amazon.habits.apply_s = (570.0, 590.0)
    amazon.habits.stale_s_max = 390.0
    # A poll leaves out what is that new, so it is the next one that tells.
    scene.when_arrives(polls(AMAZON), lambda: amazon.cancel(order))
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
    "the engine dies over a page of orders": Staged(act=_dies_over_a_page, goods={FIRST: 2 * PAGE_STEPS}),
    "an order is announced after its cancellation": Staged(act=_overtaken, goods={FIRST: 5}),
    "orders come on two pages": Staged(act=_second_page, goods={FIRST: 5}),
    "a unit comes back long after its sale": _guarded(_sold_and_cancelled_slowly, 6),
    "units come back that were never there": Staged(act=_cancelled_while_short, goods={FIRST: 3}),
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
