"""Reservations on the database: exactly the units that are there, however many ask at once."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any
from uuid import UUID

import msgspec
import pytest

from domain.shop import BERLIN, CAP, MUG, NOON, SHOP, claim, demand, hold, key, lock, release
from flow.shelf_world import CLOCK, Ledger, open_ledger
from oneshelf.domain.command import Extend
from oneshelf.domain.identity import Channel, ChannelSku, Location, Sku
from oneshelf.domain.order import OrderLine, OrderSnapshot
from oneshelf.domain.outcome import (
    Claimed,
    KeyReused,
    NoSuchReservation,
    Outcome,
    Released,
    ReservationEnded,
    Reserved,
    Short,
    UnknownLocation,
    UnknownSku,
)
from oneshelf.flow import post

pytestmark = pytest.mark.pg


def reservation(outcome: Outcome) -> UUID:
    assert isinstance(outcome, Reserved)
    return outcome.reservation_id


def order(units: int, order_id: str = "o1", **said: Any) -> OrderSnapshot:
    return OrderSnapshot(SHOP, order_id, "1", NOON, False, (OrderLine("l1", ChannelSku("mug"), units, **said),))


async def link(ledger: Ledger) -> None:
    await ledger.rows("insert into listings (channel, channel_sku, sku) values ('shop', 'mug', 'MUG') returning 1")


async def test_many_who_race_for_the_last_units_get_exactly_those(dsn: str) -> None:
    async with open_ledger(dsn, {"MUG": 7}) as ledger:
        async with asyncio.TaskGroup() as group:
            racing = [group.create_task(ledger.ask_one(hold(demand(MUG, 1)))) for _ in range(40)]
        outcomes = [task.result() for task in racing]
        assert sum(isinstance(outcome, Reserved) for outcome in outcomes) == 7
        assert {type(outcome) for outcome in outcomes} == {Reserved, Short}
        assert await ledger.figures() == {"reserved": 7}
        await ledger.assert_sound()


async def test_baskets_that_race_in_opposite_order_never_lock_each_other_out(dsn: str) -> None:
    async with open_ledger(dsn, {"MUG": 10, "CAP": 10}) as ledger:
        baskets = [
            [hold(demand(MUG, 1), demand(CAP, 1)), hold(demand(CAP, 1), demand(MUG, 1))][number % 2]
            for number in range(30)
        ]
        async with asyncio.TaskGroup() as group:
            racing = [group.create_task(ledger.ask_one(basket)) for basket in baskets]
        assert sum(isinstance(task.result(), Reserved) for task in racing) == 10
        assert await ledger.figures() == await ledger.figures("CAP") == {"reserved": 10}
        await ledger.assert_sound()


async def test_many_who_end_one_reservation_end_it_once(dsn: str) -> None:
    async with open_ledger(dsn, {"MUG": 3}) as ledger:
        held = reservation(await ledger.ask_one(hold(demand(MUG, 3))))
        async with asyncio.TaskGroup() as group:
            racing = [
                group.create_task(ledger.ask_one(claim(held, f"o{number}") if number % 2 else release(held)))
                for number in range(20)
            ]
        outcomes = [task.result() for task in racing]
        assert sum(isinstance(outcome, Claimed | Released) for outcome in outcomes) == 1
        assert sum(isinstance(outcome, ReservationEnded) for outcome in outcomes) == 19
        await ledger.assert_sound()


async def test_one_key_reserves_once_even_when_asked_at_the_same_time(dsn: str) -> None:
    async with open_ledger(dsn, {"MUG": 9}) as ledger:
        wanted = hold(demand(MUG, 1))
        async with asyncio.TaskGroup() as group:
            racing = [group.create_task(ledger.ask_one(wanted)) for _ in range(10)]
        assert len({reservation(task.result()) for task in racing}) == 1
        assert await ledger.ask_one(msgspec.structs.replace(wanted, ttl_s=61)) == KeyReused(wanted.key.key)
        assert await ledger.figures() == {"available": 8, "reserved": 1}


async def test_a_hold_past_its_time_never_blocks_a_sale_that_the_sweep_has_not_reached(dsn: str) -> None:
    async with open_ledger(dsn, {"MUG": 2}) as ledger:
        await link(ledger)
        first = reservation(await ledger.ask_one(hold(demand(MUG, 2))))
        assert await ledger.ask_one(hold(demand(MUG, 1))) == Short(MUG, BERLIN, asked=1, available=0)
        await ledger.let_holds_expire()
        assert isinstance(await ledger.ask_one(hold(demand(MUG, 1))), Reserved)
        assert await ledger.ask_one(claim(first)) == ReservationEnded(first, "expired")
        await ledger.let_holds_expire()
        await ledger.tell(order(2))
        assert await ledger.figures() == {"committed": 2}
        await ledger.assert_sound()


async def test_the_sweep_takes_back_what_is_due_and_nothing_else(dsn: str) -> None:
    async with open_ledger(dsn, {"MUG": 5, "CAP": 5}) as ledger:
        await ledger.ask(hold(demand(MUG, 2), demand(CAP, 1)), hold(demand(CAP, 1)), lock(demand(MUG, 1)))
        await ledger.let_holds_expire()
        # This one meets the two due holds of caps, and takes them back itself.
        fresh = reservation(await ledger.ask_one(hold(demand(CAP, 1))))
        assert await ledger.sweep() == 1
        assert await ledger.sweep() == 0
        assert await ledger.figures() == {"available": 4, "reserved": 1}
        assert await ledger.figures("CAP") == {"available": 4, "reserved": 1}
        assert isinstance(await ledger.ask_one(release(fresh)), Released)
        await ledger.assert_sound()


async def test_two_engines_that_sweep_at_once_give_units_back_once(dsn: str) -> None:
    async with open_ledger(dsn, {"MUG": 30}) as ledger:
        await ledger.ask(*(hold(demand(MUG, 1)) for _ in range(30)))
        await ledger.let_holds_expire()
        async with asyncio.TaskGroup() as group:
            sweeps = [group.create_task(ledger.sweep()) for _ in range(4)]
        assert sum(task.result() for task in sweeps) == 30
        assert await ledger.figures() == {"available": 30}
        await ledger.assert_sound()


async def test_a_hold_is_extended_and_claimed_over_the_database(dsn: str) -> None:
    async with open_ledger(dsn, {"MUG": 3}) as ledger:
        held = reservation(await ledger.ask_one(hold(demand(MUG, 2), ttl_s=60)))
        extended = await ledger.ask_one(Extend(key=key(), reservation_id=held, ttl_s=500))
        assert isinstance(extended, Reserved)
        assert extended.expires_at is not None
        assert (extended.expires_at - CLOCK.now()).total_seconds() == pytest.approx(500, abs=90)
        assert await ledger.ask_one(claim(held)) == Claimed(held, units=2, units_short=0)
        assert await ledger.figures() == {"available": 1, "committed": 2}
        await ledger.assert_sound()


@pytest.mark.parametrize("told_first", [True, False])
async def test_an_order_and_the_claim_of_its_hold_take_the_units_once(dsn: str, told_first: bool) -> None:
    async with open_ledger(dsn, {"MUG": 3}) as ledger:
        await link(ledger)
        held = reservation(await ledger.ask_one(hold(demand(MUG, 2))))
        for is_told in (told_first, not told_first):
            if is_told:
                await ledger.tell(order(2))
            else:
                await ledger.ask_one(claim(held))
        await ledger.tell(order(2, units_shipped=1))
        assert await ledger.figures() == {"available": 1, "committed": 1}
        assert await ledger.rows("select placed_at from orders") == [{"placed_at": NOON}]
        await ledger.assert_sound()


async def test_an_order_and_the_claim_of_its_hold_may_race(dsn: str) -> None:
    async with open_ledger(dsn, {"MUG": 30}) as ledger:
        await link(ledger)
        held = [reservation(one) for one in await ledger.ask(*(hold(demand(MUG, 2)) for _ in range(10)))]
        async with asyncio.TaskGroup() as group:
            for number, one in enumerate(held):
                group.create_task(ledger.ask_one(claim(one, f"o{number}")))
                group.create_task(ledger.tell(order(2, f"o{number}")))
        await post.post_facts(ledger.database, CLOCK.new_id)
        assert await ledger.figures() == {"available": 10, "committed": 20}
        await ledger.assert_sound()


async def test_an_order_of_a_shop_that_is_no_connected_channel_can_claim(dsn: str) -> None:
    async with open_ledger(dsn, {"MUG": 3}) as ledger:
        held = reservation(await ledger.ask_one(lock(demand(MUG, 2))))
        wanted = claim(held)
        own = replace(wanted, order=replace(wanted.order, channel=Channel("counter")))
        assert isinstance(await ledger.ask_one(own), Claimed)
        [line] = await ledger.rows("select channel, order_id, units_committed from order_lines")
        assert line == {"channel": "counter", "order_id": "o1", "units_committed": 2}
        await ledger.assert_sound()


async def test_a_refused_claim_leaves_no_trace_of_an_order(dsn: str) -> None:
    async with open_ledger(dsn) as ledger:
        assert await ledger.ask_one(claim(UUID(int=7))) == NoSuchReservation(UUID(int=7))
        assert await ledger.rows("select * from orders") == []


async def test_what_has_no_name_cannot_be_reserved(dsn: str) -> None:
    async with open_ledger(dsn, {"MUG": 3}) as ledger:
        outcomes = await ledger.ask(
            hold(demand(MUG, 1), demand(Sku("NOBODY"), 1)),
            hold(demand(MUG, 1, Location("NOWHERE"))),
            hold(demand(MUG, 1, Location("NOWHERE")), demand(Sku("NOBODY"), 1)),
        )
        assert outcomes == [UnknownSku(Sku("NOBODY")), UnknownLocation(Location("NOWHERE")), UnknownSku(Sku("NOBODY"))]
        assert await ledger.figures() == {"available": 3}


@pytest.mark.parametrize(
    ("broken", "rule"),
    [
        ("update reservations set state = 'released' returning 1", "reserved units are those"),
        ("update reservations set units = units + 1 returning 1", "reserved units are those"),
        ("delete from reservations returning 1", "a reservation ended once"),
    ],
)
async def test_the_auditor_sees_a_reservation_that_lost_its_units(dsn: str, broken: str, rule: str) -> None:
    async with open_ledger(dsn, {"MUG": 3}) as ledger:
        await ledger.ask_one(hold(demand(MUG, 2)))
        await ledger.assert_sound()
        await ledger.rows(broken)
        assert any(found.startswith(rule) for found in await ledger.broken_rules())
