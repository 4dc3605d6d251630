"""Every command on the database: once, together, and so that the auditor agrees."""

from __future__ import annotations

import asyncio

import pytest

from domain.shop import BERLIN, CAP, HAMBURG, MUG, NOON, SHOP, claim, demand, hold, key
from flow.shelf_world import Ledger, open_ledger
from oneshelf.domain.account import StockState
from oneshelf.domain.command import (
    Adjust,
    Arrive,
    Assemble,
    Cancel,
    Command,
    Component,
    Count,
    Dispatch,
    Expect,
    Move,
    OrderRef,
    Receive,
    Return,
    ReturnInto,
    Ship,
)
from oneshelf.domain.identity import ChannelSku, Sku
from oneshelf.domain.order import OrderLine, OrderSnapshot
from oneshelf.domain.outcome import (
    Arrived,
    CountedShort,
    NoSuchLine,
    NoSuchTransfer,
    NotThatManyShipped,
    Posted,
    Reserved,
    TransferEnded,
    UnknownSku,
)

pytestmark = pytest.mark.pg

SET, ORDER = Sku("SET"), OrderRef(SHOP, "o1")


def dispatch(units: int, transfer_id: str = "t1") -> Dispatch:
    return Dispatch(key=key(), transfer_id=transfer_id, sku=MUG, origin=BERLIN, target=HAMBURG, units=units)


def arrive(units: int, *, is_last: bool = True, transfer_id: str = "t1") -> Arrive:
    return Arrive(key=key(), transfer_id=transfer_id, sku=MUG, units=units, is_last=is_last)


def come_back(units: int, into: ReturnInto) -> Return:
    return Return(key=key(), order=ORDER, sku=MUG, location=HAMBURG, units=units, into=into)


async def ship_three_mugs(ledger: Ledger) -> None:
    await ledger.rows("insert into listings (channel, channel_sku, sku) values ('shop', 'mug', 'MUG') returning 1")
    line = OrderLine("l1", ChannelSku("mug"), 3, units_shipped=3)
    await ledger.tell(OrderSnapshot(SHOP, "o1", "1", NOON, False, (line,)))


async def test_units_are_moved_announced_and_put_together(dsn: str) -> None:
    async with open_ledger(dsn, {"MUG": 6, "CAP": 2}) as ledger:
        parts = (Component(sku=MUG, units=2), Component(sku=CAP, units=1))
        outcomes = await ledger.ask(
            Move(
                key=key(),
                sku=MUG,
                location=BERLIN,
                units=1,
                origin=StockState.AVAILABLE,
                target=StockState.SAFETY_STOCK,
            ),
            Expect(key=key(), sku=MUG, location=BERLIN, delta_units=9),
            Assemble(key=key(), sku=SET, location=BERLIN, units=2, components=parts),
        )
        assert outcomes == [Posted(1, 5), Posted(9, 5), Posted(2, 2)]
        assert await ledger.figures() == {"available": 1, "safety_stock": 1, "incoming": 9}
        assert await ledger.figures("SET") == {"available": 2}
        await ledger.assert_sound()


async def test_a_transfer_is_under_way_between_two_commands(dsn: str) -> None:
    async with open_ledger(dsn, {"MUG": 6}) as ledger:
        assert await ledger.ask_one(arrive(1)) == NoSuchTransfer("t1", MUG)
        assert await ledger.ask_one(dispatch(5)) == Posted(5, 1)
        await ledger.assert_sound()
        assert await ledger.ask_one(arrive(2, is_last=False)) == Arrived(2, 0, 0, available=2)
        assert await ledger.ask_one(arrive(2)) == Arrived(2, 0, 1, available=4)
        assert await ledger.ask_one(arrive(1)) == TransferEnded("t1", MUG, 5, 4, 1)
        unknown = Arrive(key=key(), transfer_id="t1", sku=Sku("NOBODY"), units=1)
        assert await ledger.ask_one(unknown) == UnknownSku(Sku("NOBODY"))
        assert await ledger.figures("MUG", "HAM") == {"available": 4}
        await ledger.assert_sound()


async def test_a_transfer_may_leave_and_arrive_in_one_batch(dsn: str) -> None:
    async with open_ledger(dsn, {"MUG": 6}) as ledger:
        assert await ledger.ask(dispatch(2), arrive(3)) == [Posted(2, 4), Arrived(3, 1, 0, available=2)]
        await ledger.assert_sound()


async def test_many_who_unload_one_transfer_bring_it_in_once(dsn: str) -> None:
    async with open_ledger(dsn, {"MUG": 6}) as ledger:
        await ledger.ask(dispatch(6))
        async with asyncio.TaskGroup() as group:
            racing = [group.create_task(ledger.ask_one(arrive(6))) for _ in range(8)]
        assert sum(isinstance(task.result(), Arrived) for task in racing) == 1
        assert await ledger.figures("MUG", "HAM") == {"available": 6}
        await ledger.assert_sound()


async def test_each_shipped_unit_comes_back_once_even_when_asked_at_the_same_time(dsn: str) -> None:
    async with open_ledger(dsn, {"MUG": 3}) as ledger:
        assert await ledger.ask_one(come_back(1, ReturnInto.AVAILABLE)) == NoSuchLine(SHOP, "o1", MUG)
        await ship_three_mugs(ledger)
        dispositions = [*ReturnInto, ReturnInto.AVAILABLE, ReturnInto.DAMAGED]
        async with asyncio.TaskGroup() as group:
            racing = [group.create_task(ledger.ask_one(come_back(1, into))) for into in dispositions]
        outcomes = [task.result() for task in racing]
        assert sum(isinstance(outcome, Posted) for outcome in outcomes) == 3
        assert sum(isinstance(outcome, NotThatManyShipped) for outcome in outcomes) == 3
        await ledger.assert_sound()


async def test_a_written_off_return_is_lost_and_not_on_any_shelf(dsn: str) -> None:
    async with open_ledger(dsn, {"MUG": 3}) as ledger:
        await ship_three_mugs(ledger)
        assert await ledger.ask_one(come_back(3, ReturnInto.WRITTEN_OFF)) == Posted(3, 0)
        assert await ledger.figures("MUG", "HAM") == {}
        await ledger.assert_sound()


async def test_a_claimed_order_ships_is_cancelled_and_comes_back(dsn: str) -> None:
    async with open_ledger(dsn, {"MUG": 4}) as ledger:
        reserved = await ledger.ask_one(hold(demand(MUG, 4)))
        assert isinstance(reserved, Reserved)
        outcomes = await ledger.ask(
            claim(reserved.reservation_id),
            Ship(key=key(), order=ORDER, sku=MUG, location=BERLIN, units=2),
            Cancel(key=key(), order=ORDER, sku=MUG, location=BERLIN, units=1),
            come_back(1, ReturnInto.QUALITY_CONTROL),
        )
        assert outcomes[1:] == [Posted(2, 0), Posted(1, 1), Posted(1, 0)]
        assert await ledger.figures() == {"available": 1, "committed": 1}
        assert await ledger.figures("MUG", "HAM") == {"quality_control": 1}
        await ledger.assert_sound()


async def test_a_count_below_what_is_promised_shortens_holds_and_orders(dsn: str) -> None:
    async with open_ledger(dsn, {"MUG": 6}) as ledger:
        await ledger.rows("insert into listings (channel, channel_sku, sku) values ('shop', 'mug', 'MUG') returning 1")
        for number in range(2):
            line = OrderLine("l1", ChannelSku("mug"), 2)
            placed_at = NOON.replace(hour=number)
            await ledger.tell(OrderSnapshot(SHOP, f"o{number}", "1", placed_at, number == 1, (line,)))
        await ledger.ask_one(hold(demand(MUG, 1)))
        counted = Count(key=key(), sku=MUG, location=BERLIN, units=3)
        assert await ledger.ask_one(counted) == CountedShort(units_moved=3, available=0, units_short=2)
        lines = await ledger.rows("select order_id, units_short from order_lines order by order_id")
        assert lines == [{"order_id": "o0", "units_short": 0}, {"order_id": "o1", "units_short": 1}]
        assert await ledger.rows("select units_short from reservations") == [{"units_short": 1}]
        await ledger.assert_sound()
        assert await ledger.ask_one(counted) == CountedShort(units_moved=3, available=0, units_short=2)
        await ledger.ask_one(Receive(key=key(), sku=MUG, location=BERLIN, units=2))
        assert await ledger.figures() == {"committed": 2, "reserved": 3}
        await ledger.assert_sound()


async def test_every_answer_is_the_same_when_asked_again(dsn: str) -> None:
    async with open_ledger(dsn, {"MUG": 9, "CAP": 9}) as ledger:
        commands: list[Command] = [
            hold(demand(MUG, 1), demand(CAP, 2)),
            hold(demand(MUG, 90)),
            Adjust(key=key(), sku=MUG, location=BERLIN, delta_units=-1),
            dispatch(2),
            arrive(1, is_last=False),
            come_back(1, ReturnInto.DAMAGED),
            Count(key=key(), sku=MUG, location=BERLIN, units=0),
            Assemble(key=key(), sku=SET, location=BERLIN, units=1, components=(Component(sku=CAP, units=1),)),
        ]
        first = await ledger.ask(*commands)
        before = await ledger.rows("select count(*) as n from movements")
        assert await ledger.ask(*reversed(commands)) == first[::-1]
        assert await ledger.ask(*commands, *commands) == first + first
        assert await ledger.rows("select count(*) as n from movements") == before
        await ledger.assert_sound()


@pytest.mark.parametrize(
    ("broken", "rule"),
    [
        ("update transfers set units_sent = units_sent + 1 returning 1", "units in transit are those"),
        ("update order_lines set units_returned = 1 returning 1", "what customers have is"),
    ],
)
async def test_the_auditor_sees_units_that_vanish_outside(dsn: str, broken: str, rule: str) -> None:
    async with open_ledger(dsn, {"MUG": 5}) as ledger:
        await ship_three_mugs(ledger)
        await ledger.ask_one(dispatch(2))
        await ledger.assert_sound()
        await ledger.rows(broken)
        assert any(found.startswith(rule) for found in await ledger.broken_rules())
