"""Callers of one process share transactions, in turn, within bounds, and nobody spoils another's."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from oneshelf.clock import SystemClock
from oneshelf.domain.command import Adjust, Command, CommandKey, Demand, Receive, ReservationKind, Reserve
from oneshelf.domain.identity import Location, Sku
from oneshelf.domain.outcome import Posted, Reserved, Short
from oneshelf.errors import DatabaseRefusedError, OverloadedError, StillPostingError
from oneshelf.flow.audit import audit
from oneshelf.storage import balances, catalog
from oneshelf.storage.database import Database
from oneshelf.workers import poster as poster_module
from oneshelf.workers.poster import Poster
from oneshelf.workers.runner import Pulse, Step, run_for_ever

pytestmark = pytest.mark.pg

MUG, CAP, BERLIN = Sku("MUG"), Sku("CAP"), Location("BER")
CLOCK = SystemClock()


def receive(units: int, *, key: str = "", sku: Sku = MUG, location: Location = BERLIN) -> Receive:
    return Receive(
        key=CommandKey(scope="till", key=key or str(CLOCK.new_id())), sku=sku, location=location, units=units
    )


def hold(sku: Sku = MUG) -> Reserve:
    line = Demand(sku=sku, location=BERLIN, units=1)
    key = CommandKey(scope="till", key=str(CLOCK.new_id()))
    return Reserve(key=key, kind=ReservationKind.HOLD, lines=(line,), ttl_s=600)


@asynccontextmanager
async def opened(dsn: str, *, queue_max: int = 5_000) -> AsyncIterator[tuple[Database, Poster]]:
    """A database with two SKUs, and a poster that nobody drives yet."""
    async with Database.open(dsn) as database:
        async with database.transaction() as tx:
            await catalog.add_skus(tx, {MUG: "", CAP: ""})
            await catalog.add_location(tx, BERLIN)
        yield database, Poster(database, CLOCK.new_id, queue_max=queue_max)


@asynccontextmanager
async def running(poster: Poster, *, lanes: int = 2) -> AsyncIterator[None]:
    async with asyncio.TaskGroup() as group:
        tasks = [
            group.create_task(run_for_ever(Step(f"commands {lane}", poster.post_next), Pulse()))
            for lane in range(lanes)
        ]
        yield
        for task in tasks:
            task.cancel()


async def test_hundreds_of_callers_get_what_there_is_and_not_one_more(dsn: str) -> None:
    async with opened(dsn) as (database, poster), running(poster):
        await poster.post([receive(100)])
        answers = await asyncio.gather(*(poster.post([hold()]) for _ in range(300)))
        outcomes = [answered.outcome for [answered] in answers]
        assert sum(isinstance(outcome, Reserved) for outcome in outcomes) == 100
        assert sum(isinstance(outcome, Short) for outcome in outcomes) == 200
        assert (await audit(database)).violations == ()


async def test_waiting_callers_share_a_transaction(dsn: str) -> None:
    async with opened(dsn) as (database, poster), asyncio.TaskGroup() as group:
        asked = [group.create_task(poster.post([receive(1)])) for _ in range(50)]
        await asyncio.sleep(0)
        assert poster.waiting_count == 50
        assert await poster.post_next() == 50
        assert {len(await one) for one in asked} == {1}
        async with database.transaction() as tx:
            cursor = await tx.execute("select count(distinct posted_at) from movements")
            assert await cursor.fetchall() == [(1,)]


async def test_the_commands_of_one_caller_stay_together_and_in_order(dsn: str) -> None:
    async with opened(dsn) as (_, poster), running(poster):
        taken = Adjust(key=CommandKey(scope="till", key="a"), sku=MUG, location=BERLIN, delta_units=-2)
        answers = await poster.post([receive(2), taken, receive(3)])
        assert [answered.outcome for answered in answers] == [Posted(2, 2), Posted(2, 0), Posted(3, 3)]


async def test_a_run_on_one_sku_leaves_the_others_their_turn(dsn: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(poster_module, "BATCH_MAX", 10)
    async with opened(dsn) as (_, poster), asyncio.TaskGroup() as group:
        run = [group.create_task(poster.post([receive(1, sku=MUG)])) for _ in range(100)]
        await asyncio.sleep(0)
        quiet = group.create_task(poster.post([receive(1, sku=CAP)]))
        await asyncio.sleep(0)
        await poster.post_next()
        await asyncio.sleep(0)
        assert quiet.done(), "the last to come has its turn in the first batch"
        assert sum(task.done() for task in run) == 9
        while poster.waiting_count:
            await poster.post_next()


async def test_too_many_are_turned_away_at_once_with_nothing_done(dsn: str) -> None:
    async with opened(dsn, queue_max=3) as (database, poster), asyncio.TaskGroup() as group:
        waiting = [group.create_task(poster.post([receive(1)])) for _ in range(3)]
        await asyncio.sleep(0)
        with pytest.raises(OverloadedError, match="3 commands wait already"):
            await poster.post([receive(1)])
        await poster.post_next()
        assert len([await one for one in waiting]) == 3
        async with database.transaction() as tx:
            assert (await balances.read(tx, [MUG]))[MUG][BERLIN].available == 3


async def test_a_caller_who_was_not_reached_in_time_is_told_and_not_posted_later(
    dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(poster_module, "ANSWER_S_MAX", 0.05)
    async with opened(dsn) as (database, poster):
        with pytest.raises(OverloadedError, match="was not reached"):
            await poster.post([receive(5)])
        monkeypatch.undo()
        async with asyncio.TaskGroup() as group:
            next_one = group.create_task(poster.post([receive(1)]))
            await asyncio.sleep(0)
            await poster.post_next()
            assert len(await next_one) == 1
        async with database.transaction() as tx:
            assert (await balances.read(tx, [MUG]))[MUG][BERLIN].available == 1


async def test_a_caller_whose_answer_takes_too_long_asks_again_with_the_same_key(
    dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with opened(dsn) as (database, poster), running(poster):
        await poster.post([receive(1)])
        monkeypatch.setattr(poster_module, "ANSWER_S_MAX", 1.0)
        async with database.transaction() as tx:
            await balances.lock(tx, [(MUG, BERLIN)])
            with pytest.raises(StillPostingError, match="ask again with the same key"):
                await poster.post([receive(5, key="slow")])
        monkeypatch.undo()
        [answered] = await poster.post([receive(5, key="slow")])
        assert (answered.outcome, answered.was_replayed) == (Posted(5, 6), True)


async def test_one_command_that_cannot_be_stored_spoils_no_other(dsn: str) -> None:
    async with opened(dsn) as (_, poster), asyncio.TaskGroup() as group:
        good: list[Command] = [receive(1), receive(1, sku=CAP)]
        asked = [group.create_task(poster.post([one])) for one in good]
        # No request gets as far as this: the door refuses it. Whatever else the database may refuse, it does like this.
        bad = asyncio.ensure_future(poster.post([receive(1, sku=Sku("M\0G"))]))
        await asyncio.sleep(0)
        await poster.post_next()
        assert [answered.outcome for one in asked for answered in await one] == [Posted(1, 1), Posted(1, 1)]
        with pytest.raises(DatabaseRefusedError):
            await bad
