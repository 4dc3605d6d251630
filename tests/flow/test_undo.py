"""Taking back what was done by hand leaves what was sold as it is."""

from __future__ import annotations

from domain.shop import BERLIN, MUG, key
from flow.shelf_world import Ledger, open_ledger
from oneshelf.domain.account import StockState
from oneshelf.domain.command import (
    Command,
    CommandKey,
    Count,
    Demand,
    Move,
    Receive,
    ReservationKind,
    Reserve,
)
from oneshelf.domain.outcome import Short
from oneshelf.domain.undo import opposite, to_undo
from oneshelf.storage import deeds


async def undo(ledger: Ledger, wanted: str) -> list[Command]:
    async with ledger.database.transaction() as tx:
        found = to_undo(await deeds.of_commands(tx, wanted))
    commands = [command for one in found for command in opposite(one)]
    await ledger.ask(*commands)
    return commands


def named(name: str) -> CommandKey:
    return CommandKey(scope="file", key=name)


async def test_a_count_that_took_promised_and_damaged_units_is_taken_back_wholly(dsn: str) -> None:
    async with open_ledger(dsn, {"MUG": 10}) as ledger:
        lines = (Demand(sku=MUG, location=BERLIN, units=4),)
        await ledger.ask(
            Move(key=key(), sku=MUG, location=BERLIN, units=2, origin=StockState.AVAILABLE, target=StockState.DAMAGED),
            Reserve(key=key(), kind=ReservationKind.LOCK, lines=lines),
        )
        before = await ledger.figures()
        assert before == {"available": 4, "reserved": 4, "damaged": 2}
        await ledger.ask_one(Count(key=named("night"), sku=MUG, location=BERLIN, units=0))
        assert await ledger.figures() == {}
        assert len(await undo(ledger, "night")) == 2
        assert await ledger.figures() == before
        assert await ledger.rows("select 1 from reservations where units_short > 0") == []
        assert await undo(ledger, "night") == []
        await ledger.assert_sound()


async def test_what_was_reserved_since_stands(dsn: str) -> None:
    async with open_ledger(dsn, {"MUG": 10}) as ledger:
        await ledger.ask_one(Count(key=named("half"), sku=MUG, location=BERLIN, units=5))
        lines = (Demand(sku=MUG, location=BERLIN, units=3),)
        await ledger.ask_one(Reserve(key=key(), kind=ReservationKind.LOCK, lines=lines))
        await undo(ledger, "half")
        assert await ledger.figures() == {"available": 7, "reserved": 3}
        await ledger.assert_sound()


async def test_units_that_are_promised_by_now_are_not_taken_back(dsn: str) -> None:
    async with open_ledger(dsn, {"MUG": 1}) as ledger:
        await ledger.ask_one(Receive(key=named("typo"), sku=MUG, location=BERLIN, units=100))
        lines = (Demand(sku=MUG, location=BERLIN, units=50),)
        await ledger.ask_one(Reserve(key=key(), kind=ReservationKind.LOCK, lines=lines))
        async with ledger.database.transaction() as tx:
            [one] = to_undo(await deeds.of_commands(tx, "typo"))
        assert isinstance(await ledger.ask_one(opposite(one)[0]), Short)
        assert await ledger.figures() == {"available": 51, "reserved": 50}


async def test_only_the_named_scope_or_beginning_is_chosen(dsn: str) -> None:
    async with open_ledger(dsn) as ledger:
        for scope, name in (("file", "night/1"), ("file", "night/2"), ("cli", "night/1"), ("file", "day/1")):
            command = CommandKey(scope=scope, key=name)
            await ledger.ask_one(Receive(key=command, sku=MUG, location=BERLIN, units=1))
        async with ledger.database.transaction() as tx:
            assert len(await deeds.of_commands(tx, "night/*")) == 3
            assert len(await deeds.of_commands(tx, "night/*", scope="file")) == 2
            assert [one.source for one in await deeds.of_commands(tx, "day/1")] == ["file day/1"]
            assert await deeds.of_commands(tx, "day") == []
