"""Recurring work of a channel: one node at a time, under a lease."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from uuid import UUID

import pytest

from oneshelf.clock import SystemClock
from oneshelf.storage import catalog, schedules
from oneshelf.storage.database import Database
from oneshelf.storage.schedules import Due
from storage.locks import until_somebody_waits
from storage.pinned import NOON, SHOP, PinnedDatabase, pinned

pytestmark = pytest.mark.pg

EVERY_S, LEASE_S = 60.0, 30.0


def a_lease() -> UUID:
    return SystemClock().new_id()


async def scheduled(pin: PinnedDatabase, *, every_s: float = EVERY_S) -> None:
    async with pin.database.transaction() as tx:
        await schedules.ensure(tx, SHOP, {"orders": every_s, "stock": 900.0})


async def claim(node: Database, task: str = "orders") -> Due | None:
    async with node.transaction() as tx:
        return await schedules.claim(tx, SHOP, task, lease=a_lease(), lease_s=LEASE_S)


async def claimed(node: Database, task: str = "orders") -> Due:
    due = await claim(node, task)
    assert due is not None
    return due


async def advance(node: Database, due: Due, cursor: str, *, is_finished: bool) -> bool:
    async with node.transaction() as tx:
        return await schedules.advance(
            tx, due, cursor=cursor, covered_until=NOON if is_finished else None, is_finished=is_finished
        )


async def hurry(node: Database, *, gap_s: float) -> None:
    async with node.transaction() as tx:
        await schedules.hurry(tx, SHOP, "orders", at_most_every_s=gap_s)


async def test_only_one_node_gets_a_due_task(dsn: str) -> None:
    async with pinned(dsn) as pin:
        await scheduled(pin)
        tries = await asyncio.gather(*(claim(node) for node in pin.nodes * 8))
        assert sum(due is not None for due in tries) == 1
        assert await claim(pin.database, "stock") is not None, "the other task is its own"


async def test_a_node_that_is_just_claiming_makes_the_other_one_wait_and_go_without(dsn: str) -> None:
    async with pinned(dsn) as pin:
        await scheduled(pin)
        one, other = pin.nodes
        async with asyncio.TaskGroup() as group, one.transaction() as tx:
            assert await schedules.claim(tx, SHOP, "orders", lease=a_lease(), lease_s=LEASE_S)
            second = group.create_task(claim(other))
            await until_somebody_waits(one)
            assert not second.done()
        assert second.result() is None


async def test_a_finished_run_sets_the_next_one(dsn: str) -> None:
    async with pinned(dsn) as pin:
        await scheduled(pin)
        assert await advance(pin.database, await claimed(pin.database), "c1", is_finished=True)
        await pin.turn(EVERY_S - 0.001)
        assert await claim(pin.database) is None
        await pin.turn(0.001)
        due = await claimed(pin.database)
        assert (due.cursor, due.covered_until) == ("c1", NOON)


async def test_progress_within_a_run_is_kept_and_the_run_goes_on(dsn: str) -> None:
    async with pinned(dsn) as pin:
        await scheduled(pin)
        due = await claimed(pin.database)
        assert await advance(pin.database, due, "page 2", is_finished=False)
        assert await claim(pin.nodes[1]) is None
        assert await advance(pin.database, due, "page 3", is_finished=True)
        await pin.turn(EVERY_S)
        assert (await claimed(pin.database)).cursor == "page 3"


async def test_a_dead_nodes_lease_runs_out(dsn: str) -> None:
    async with pinned(dsn) as pin:
        await scheduled(pin)
        dead, other = pin.nodes
        await advance(dead, await claimed(dead), "page 2", is_finished=False)
        await pin.turn(LEASE_S)
        assert await claim(other) is None
        await pin.turn(0.001)
        assert (await claimed(other)).cursor == "page 2", "it goes on where the dead one stopped"


async def test_a_lost_lease_cannot_record_progress(dsn: str) -> None:
    async with pinned(dsn) as pin:
        await scheduled(pin)
        slow, other = pin.nodes
        old = await claimed(slow)
        await pin.turn(LEASE_S + 1)
        new = await claimed(other)
        assert not await advance(slow, old, "old", is_finished=False)
        assert not await advance(slow, old, "old", is_finished=True)
        async with slow.transaction() as tx:
            await schedules.postpone(tx, old, after_s=1000, fault="late")
        assert await advance(other, new, "new", is_finished=True)
        assert not await advance(slow, old, "old", is_finished=True)
        await pin.turn(EVERY_S)
        assert (await claimed(other)).cursor == "new"


async def test_a_long_run_that_makes_progress_keeps_its_lease(dsn: str) -> None:
    """Otherwise two nodes would take a long sweep from each other for ever, and none would end it."""
    async with pinned(dsn) as pin:
        await scheduled(pin)
        slow, other = pin.nodes
        due = await claimed(slow)
        for page in range(5):
            await pin.turn(LEASE_S * 0.9)
            assert await claim(other) is None
            assert await advance(slow, due, f"page {page}", is_finished=False)
        await pin.turn(LEASE_S + 0.001)
        assert await claim(other) is not None, "and loses it when it stops"


async def test_a_failed_run_is_tried_again_after_the_pause(dsn: str) -> None:
    async with pinned(dsn) as pin:
        await scheduled(pin)
        due = await claimed(pin.database)
        async with pin.database.transaction() as tx:
            await schedules.postpone(tx, due, after_s=5, fault="x" * 10_000)
        await pin.turn(4.999)
        assert await claim(pin.nodes[1]) is None
        await pin.turn(0.001)
        assert await claim(pin.nodes[1]) is not None


async def test_hurry_brings_a_run_forward_but_not_closer_than_the_gap(dsn: str) -> None:
    async with pinned(dsn) as pin:
        await scheduled(pin)
        await advance(pin.database, await claimed(pin.database), "c", is_finished=True)
        await pin.turn(1.0)
        await hurry(pin.database, gap_s=3.0)
        assert await claim(pin.database) is None
        await pin.turn(1.999)
        assert await claim(pin.database) is None
        await pin.turn(0.001)
        await advance(pin.database, await claimed(pin.database), "c", is_finished=True)
        await pin.turn(10.0)
        await hurry(pin.database, gap_s=3.0)
        assert await claim(pin.database) is not None, "the gap is long over"


async def test_hurry_never_puts_a_run_off(dsn: str) -> None:
    async with pinned(dsn) as pin:
        await scheduled(pin)
        await advance(pin.database, await claimed(pin.database), "c", is_finished=True)
        await hurry(pin.database, gap_s=10 * EVERY_S)
        await pin.turn(EVERY_S)
        assert await claim(pin.database) is not None


async def test_hurry_leaves_a_run_alone_that_is_under_way(dsn: str) -> None:
    async with pinned(dsn) as pin:
        await scheduled(pin)
        due = await claimed(pin.database)
        await hurry(pin.nodes[1], gap_s=0.0)
        assert await claim(pin.nodes[1]) is None
        assert await advance(pin.database, due, "c", is_finished=True)


async def test_a_paused_channel_is_not_polled(dsn: str) -> None:
    async with pinned(dsn) as pin:
        await scheduled(pin)
        async with pin.database.transaction() as tx:
            await catalog.pause(tx, SHOP, pause_s=20)
        for seconds in (0.0, 19.999):
            await pin.turn(seconds)
            assert await claim(pin.database) is None
            assert await claim(pin.nodes[1], "stock") is None
        await pin.turn(0.001)
        assert await claim(pin.database) is not None


async def test_a_channel_that_answered_is_polled_at_once(dsn: str) -> None:
    async with pinned(dsn) as pin:
        await scheduled(pin)
        async with pin.database.transaction() as tx:
            await catalog.record_failure(tx, SHOP, fault="down")
            await catalog.pause(tx, SHOP, pause_s=20)
            assert await catalog.record_success(tx, SHOP)
        assert await claim(pin.database) is not None


async def test_a_new_pace_holds_from_the_next_run_on_and_keeps_the_cursor(dsn: str) -> None:
    async with pinned(dsn) as pin:
        await scheduled(pin)
        await advance(pin.database, await claimed(pin.database), "c1", is_finished=True)
        await scheduled(pin, every_s=5.0)
        await pin.turn(EVERY_S)
        due = await claimed(pin.database)
        assert due.cursor == "c1"
        await advance(pin.database, due, "c2", is_finished=True)
        await pin.turn(5.0)
        assert await claim(pin.database) is not None


async def test_what_was_covered_is_never_forgotten(dsn: str) -> None:
    async with pinned(dsn) as pin:
        await scheduled(pin)
        due = await claimed(pin.database)
        async with pin.database.transaction() as tx:
            assert await schedules.covered_until(tx, SHOP, "orders") is None
            later = NOON + timedelta(seconds=9)
            await schedules.advance(tx, due, cursor="c", covered_until=later, is_finished=False)
            await schedules.advance(tx, due, cursor="c", covered_until=None, is_finished=False)
            assert await schedules.covered_until(tx, SHOP, "orders") == later
