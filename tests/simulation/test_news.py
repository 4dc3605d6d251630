"""An engine that hears of Amazon's sales through a queue, alone and killed: what it heard is not lost."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from oneshelf.connectors.amazon.simulator import AmazonSimulator
from oneshelf.simulation.run import live
from oneshelf.simulation.staged import Staged, buy
from oneshelf.simulation.world import AMAZON, FIRST, World

pytestmark = pytest.mark.pg

# A poll comes too late for what happens in here.
LATER_S = 60.0
# How many of the points at which a crash can make a difference are tried.
POINTS = 5


async def _sold_and_cancelled(world: World) -> None:
    order_id = buy(world, AMAZON, (FIRST, 2))
    await asyncio.sleep(4.0)
    world.channels[AMAZON].cancel(order_id)
    buy(world, AMAZON, (FIRST, 1))
    await asyncio.sleep(8.0)


HEARD = Staged(
    act=_sold_and_cancelled,
    goods={FIRST: 5},
    channels=(AMAZON,),
    is_listening=True,
    timing={AMAZON: {"poll_orders_s": LATER_S}},
)


@pytest.mark.long
def test_sales_that_only_the_queue_tells_are_counted_once_wherever_the_engine_dies(dsn: str) -> None:
    heard: list[int] = []

    async def act(world: World) -> None:
        await _sold_and_cancelled(world)
        amazon = world.channels[AMAZON]
        assert isinstance(amazon, AmazonSimulator)
        heard.append(amazon.queue.received_count)

    calm = live(dsn, 1, scenario=replace(HEARD, act=act))
    assert (calm.violation, calm.crashes) == ("", 0)
    assert heard[0] >= 3, "orders and quantities came by the queue"
    assert len(calm.crash_points) > POINTS
    step = len(calm.crash_points) // POINTS
    for point in calm.crash_points[::step]:
        outcome = live(dsn, 1, scenario=HEARD, crash_at=point)
        assert (outcome.violation, outcome.crashes) == ("", 1), f"killed at {point}"
