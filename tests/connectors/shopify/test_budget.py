"""All calls to a shop share one budget of points; orders always find theirs."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import TYPE_CHECKING, Any

import pytest

from oneshelf.connectors.shopify.graphql import LIMITS, POINTS
from oneshelf.sdk.conformance.wire import Buckets
from oneshelf.sdk.fault import RetryLaterError
from oneshelf.sdk.message import Applied

if TYPE_CHECKING:
    from connectors.shopify.conftest import Bench


async def waits(bench: Bench, reading: Coroutine[Any, Any, object]) -> asyncio.Task[object] | None:
    """Whether somebody who reads has to wait for points; None: it is done."""
    task = asyncio.ensure_future(reading)
    await bench.clock.live(0.0)
    return None if task.done() else task


async def test_however_much_is_read_writes_and_orders_find_their_points_and_nobody_is_throttled(bench: Bench) -> None:
    """The shop throttles by its own count: that it never does is that ours is never above it."""
    connector = bench.open(limiter=Buckets(LIMITS, bench.clock))
    await connector.poll_orders(None)
    for _ in range(300):
        if waiting := await waits(bench, connector.fetch_stock(None)):
            break
    else:
        pytest.fail("the readings were never stopped")
    assert await connector.push([bench.write(bench.skus[0], 4)]) == (Applied(),)
    await connector.poll_orders(None)
    assert not waiting.done()
    await bench.clock.live(10.0)
    await waiting


async def test_what_calls_cost_is_learned_of_their_answers_and_the_rest_is_given_back(bench: Bench) -> None:
    """A page of orders may cost hundreds of points and costs a few: hundreds of polls fit in one bucket."""
    buckets = Buckets(LIMITS, bench.clock)
    connector = bench.open(limiter=buckets)
    for _ in range(100):
        await connector.poll_orders(None)
    told = buckets.learned[POINTS]
    assert (told.rate_per_s, told.burst) == (100.0, 2000)
    assert told.back > 500


async def test_another_plan_is_learned_with_the_first_answer(bench: Bench) -> None:
    bench.sim.points.restore_rate = 1_000.0
    buckets = Buckets(LIMITS, bench.clock)
    await bench.open(limiter=buckets).fetch_stock(None)
    assert buckets.learned[POINTS].rate_per_s == 1_000.0


async def test_points_that_somebody_else_of_the_app_spent_are_noticed(bench: Bench) -> None:
    connector = bench.open(limiter=Buckets(LIMITS, bench.clock))
    assert await waits(bench, connector.fetch_stock(None)) is None
    query = "{ productVariants(first: 250) { nodes { inventoryItem { id } } } }"
    while (await bench.post(query))["extensions"]["cost"]["throttleStatus"]["currentlyAvailable"] > 850:
        pass
    await connector.push([bench.write(bench.skus[0], 4)])
    waiting = await waits(bench, connector.fetch_stock(None))
    assert waiting
    await bench.clock.live(10.0)
    await waiting


async def test_a_call_that_fails_keeps_no_points_of_ours(bench: Bench) -> None:
    buckets = Buckets(LIMITS, bench.clock)
    connector = bench.open(limiter=buckets)
    await connector.fetch_stock(None)
    before = buckets.spent[POINTS]
    bench.sim.switches.set({"server_error": {"next": 3}})
    for _ in range(3):
        with pytest.raises(RetryLaterError):
            await connector.fetch_stock(None)
    assert buckets.spent[POINTS] == before
