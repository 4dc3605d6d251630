"""A command happens once, however often it is asked for."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from uuid import UUID

import pytest

from oneshelf.clock import SystemClock
from oneshelf.domain.account import StockState
from oneshelf.domain.command import Adjust, CommandKey, Count, Receive
from oneshelf.domain.identity import Location, Sku
from oneshelf.domain.outcome import KeyReused, Outcome, Posted, Short, UnknownSku
from oneshelf.flow.audit import audit
from oneshelf.flow.post import Answered, post_commands
from oneshelf.storage import balances, catalog
from oneshelf.storage.database import Database
from storage.locks import until_somebody_waits

pytestmark = pytest.mark.pg

MUG, BERLIN = Sku("MUG"), Location("BER")
new_id = SystemClock().new_id


def key(text: str = "k1", *, scope: str = "till") -> CommandKey:
    return CommandKey(scope=scope, key=text)


def receive(units: int, *, under: CommandKey | None = None, sku: Sku = MUG) -> Receive:
    return Receive(key=under or key(), sku=sku, location=BERLIN, units=units)


@asynccontextmanager
async def opened(dsn: str) -> AsyncIterator[Database]:
    async with Database.open(dsn) as database:
        async with database.transaction() as tx:
            await catalog.add_skus(tx, {MUG: ""})
            await catalog.add_location(tx, BERLIN)
        yield database


async def state(database: Database) -> tuple[int, int, int]:
    """Available units, movements and remembered commands."""
    async with database.transaction() as tx:
        shelf = (await balances.read(tx, [MUG]))[MUG]
        cursor = await tx.execute("select (select count(*) from movements), (select count(*) from commands)")
        row = await cursor.fetchone()
    assert row is not None
    available = sum(balance.units[StockState.AVAILABLE] for balance in shelf.values())
    return available, row[0], row[1]


def fresh(outcome: Outcome) -> Answered:
    return Answered(outcome, was_replayed=False)


def replayed(outcome: Outcome) -> Answered:
    return Answered(outcome, was_replayed=True)


async def test_the_same_key_with_the_same_payload_replays_the_first_answer(dsn: str) -> None:
    async with opened(dsn) as database:
        first = await post_commands(database, new_id, [receive(5)])
        await post_commands(database, new_id, [receive(2, under=key("k2"))])
        again = await post_commands(database, new_id, [receive(5)])
        assert first == [fresh(Posted(units_moved=5, available=5))]
        assert again == [replayed(Posted(units_moved=5, available=5))], "as it was then, not as it is now"
        assert await state(database) == (7, 2, 2)


async def test_a_refusal_is_replayed_also_when_it_would_be_granted_by_now(dsn: str) -> None:
    async with opened(dsn) as database:
        take = Adjust(key=key(), sku=MUG, location=BERLIN, delta_units=-3)
        short = Short(sku=MUG, location=BERLIN, asked=3, available=0)
        assert await post_commands(database, new_id, [take]) == [fresh(short)]
        await post_commands(database, new_id, [receive(9, under=key("k2"))])
        assert await post_commands(database, new_id, [take]) == [replayed(short)]
        assert await state(database) == (9, 1, 2)


@pytest.mark.parametrize(
    "other",
    [
        receive(6),
        receive(5, sku=Sku("CUP")),
        Count(key=key(), sku=MUG, location=BERLIN, units=5),
        Adjust(key=key(), sku=MUG, location=BERLIN, delta_units=5),
    ],
)
async def test_the_same_key_with_another_payload_is_refused(dsn: str, other: Receive | Count | Adjust) -> None:
    async with opened(dsn) as database:
        await post_commands(database, new_id, [receive(5)])
        assert await post_commands(database, new_id, [other]) == [fresh(KeyReused("k1"))]
        assert await post_commands(database, new_id, [receive(5)]) == [replayed(Posted(5, 5))]
        assert await state(database) == (5, 1, 1)


async def test_each_scope_numbers_for_itself(dsn: str) -> None:
    async with opened(dsn) as database:
        await post_commands(database, new_id, [receive(5)])
        other = receive(6, under=key(scope="warehouse"))
        assert await post_commands(database, new_id, [other]) == [fresh(Posted(6, 11))]


async def test_a_duplicate_inside_one_batch_happens_once(dsn: str) -> None:
    async with opened(dsn) as database:
        batch = [receive(5), receive(1, under=key("k2")), receive(5), receive(6)]
        assert await post_commands(database, new_id, batch) == [
            fresh(Posted(5, 5)),
            fresh(Posted(1, 6)),
            replayed(Posted(5, 5)),
            fresh(KeyReused("k1")),
        ]
        assert await state(database) == (6, 2, 2)
        assert await post_commands(database, new_id, batch) == [
            replayed(Posted(5, 5)),
            replayed(Posted(1, 6)),
            replayed(Posted(5, 5)),
            fresh(KeyReused("k1")),
        ]
        assert await state(database) == (6, 2, 2)


async def test_refused_and_posted_commands_of_one_batch_each_get_their_answer(dsn: str) -> None:
    async with opened(dsn) as database:
        batch = [receive(1, sku=Sku("GHOST")), receive(4, under=key("k2"))]
        assert await post_commands(database, new_id, batch) == [fresh(UnknownSku(Sku("GHOST"))), fresh(Posted(4, 4))]
        assert await state(database) == (4, 1, 2)


async def test_no_commands_no_answers(dsn: str) -> None:
    async with opened(dsn) as database:
        assert await post_commands(database, new_id, []) == []


async def test_of_two_transactions_with_one_key_the_second_waits_and_replays(dsn: str) -> None:
    async with opened(dsn) as database, opened(dsn) as other, asyncio.TaskGroup() as group:
        async with database.transaction() as tx:
            # Whoever holds the balance keeps the first one from ending, with its key already claimed.
            await balances.lock(tx, [(MUG, BERLIN)])
            first = group.create_task(post_commands(database, new_id, [receive(5)]))
            await until_somebody_waits(database)
            second = group.create_task(post_commands(other, new_id, [receive(5)]))
            await until_somebody_waits(database, sessions=2)
        answers = [*await first, *await second]
        assert sorted(answers, key=lambda answer: answer.was_replayed) == [fresh(Posted(5, 5)), replayed(Posted(5, 5))]
        assert await state(database) == (5, 1, 1)


async def test_when_the_first_of_two_dies_the_second_does_it(dsn: str) -> None:
    async with opened(dsn) as database, opened(dsn) as other, asyncio.TaskGroup() as group:
        async with database.transaction() as tx:
            await balances.lock(tx, [(MUG, BERLIN)])
            first = group.create_task(post_commands(database, new_id, [receive(5)]))
            await until_somebody_waits(database)
            second = group.create_task(post_commands(other, new_id, [receive(5)]))
            await until_somebody_waits(database, sessions=2)
            first.cancel()
            await asyncio.wait([first])
        assert await second == [fresh(Posted(5, 5))]
        assert await state(database) == (5, 1, 1)


async def test_one_command_asked_for_by_many_at_once_happens_once(dsn: str) -> None:
    async with opened(dsn) as database:
        keys = [key(f"k{number}") for number in range(6)]
        batches = [[receive(1, under=one) for one in (keys if turn % 2 else keys[::-1])] for turn in range(10)]
        answers = await asyncio.gather(*(post_commands(database, new_id, batch) for batch in batches))
        assert sum(not answer.was_replayed for batch in answers for answer in batch) == len(keys)
        assert await state(database) == (6, 6, 6)
        assert (await audit(database)).violations == ()


async def test_a_rolled_back_command_leaves_no_trace(dsn: str) -> None:
    def no_id() -> UUID:
        raise LookupError("no id to be had")

    async with opened(dsn) as database:
        with pytest.raises(LookupError):
            await post_commands(database, no_id, [receive(5)])
        assert await state(database) == (0, 0, 0)
        assert await post_commands(database, new_id, [receive(5)]) == [fresh(Posted(5, 5))]
