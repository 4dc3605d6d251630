"""Promises beyond the shelf on the database: the cap holds however many ask at once, and all that is short is seen."""

from __future__ import annotations

import asyncio

import pytest

from domain.shop import BERLIN, MUG, NOON, SHOP, claim, demand, hold, key, lock
from flow.shelf_world import Ledger, open_ledger
from oneshelf.domain.command import Receive
from oneshelf.domain.identity import ChannelSku
from oneshelf.domain.order import OrderLine, OrderSnapshot
from oneshelf.domain.outcome import Claimed, Reserved, Short
from oneshelf.storage import backorders, detail_views, views

pytestmark = pytest.mark.pg


async def receive(ledger: Ledger, units: int) -> None:
    await ledger.ask_one(Receive(key=key(), sku=MUG, location=BERLIN, units=units))


async def shortages(ledger: Ledger) -> list[tuple[str, int]]:
    async with ledger.database.transaction() as tx:
        return [(row.promised_to, row.units_short) for row in await detail_views.short_rows(tx)]


async def test_many_who_race_for_backorders_get_exactly_the_cap(dsn: str) -> None:
    async with open_ledger(dsn, {"MUG": 3}) as ledger:
        await ledger.allow(5)
        async with asyncio.TaskGroup() as group:
            racing = [group.create_task(ledger.ask_one(lock(demand(MUG, 1)))) for _ in range(30)]
        outcomes = [task.result() for task in racing]
        reserved = [outcome for outcome in outcomes if isinstance(outcome, Reserved)]
        assert (sum(one.units for one in reserved), sum(one.units_short for one in reserved)) == (3, 5)
        assert {type(outcome) for outcome in outcomes} == {Reserved, Short}
        await ledger.assert_sound()
        await receive(ledger, 4)
        await receive(ledger, 4)
        assert await ledger.figures() == {"available": 3, "reserved": 8}
        await ledger.assert_sound()


async def test_one_batch_keeps_to_the_cap_too(dsn: str) -> None:
    async with open_ledger(dsn, {"MUG": 1}) as ledger:
        await ledger.allow(2)
        outcomes = await ledger.ask(*(hold(demand(MUG, 1)) for _ in range(6)))
        assert [type(outcome) for outcome in outcomes] == [Reserved] * 3 + [Short] * 3
        await ledger.let_holds_expire()
        await ledger.sweep()
        assert await ledger.figures() == {"available": 1}
        assert await shortages(ledger) == []
        await ledger.assert_sound()


async def test_all_that_is_short_is_listed_and_filled_the_oldest_first(dsn: str) -> None:
    async with open_ledger(dsn) as ledger:
        await ledger.rows("insert into listings (channel, channel_sku, sku) values ('shop', 'mug', 'MUG') returning 1")
        await ledger.allow(9)
        line = OrderLine("l1", ChannelSku("mug"), 2)
        await ledger.tell(OrderSnapshot(SHOP, "o1", "1", NOON.replace(year=2020), False, (line,)))
        first = await ledger.ask_one(lock(demand(MUG, 2)))
        assert isinstance(first, Reserved)
        late = OrderSnapshot(SHOP, "late", "1", NOON.replace(year=2040), False, (line,))
        await ledger.tell(late)
        assert await shortages(ledger) == [("order shop/o1", 2), ("", 2), ("order shop/late", 2)]
        async with ledger.database.transaction() as tx:
            [policy] = await backorders.listed(tx)
            assert (policy.cap_units, policy.units_short) == (9, 6)
            overview = await views.overview(tx)
            [row] = await views.sku_rows(tx, limit=9, only=[MUG])
        assert (overview.short_line_count, overview.short_units, row.short) == (3, 6, 6)
        await receive(ledger, 3)
        assert await shortages(ledger) == [("", 1), ("order shop/late", 2)]
        assert await ledger.ask_one(claim(first.reservation_id, "o2")) == Claimed(first.reservation_id, 1, 1)
        assert await shortages(ledger) == [("order shop/o2", 1), ("order shop/late", 2)]
        await receive(ledger, 3)
        assert await shortages(ledger) == []
        await ledger.assert_sound()


async def test_the_end_of_a_policy_keeps_what_was_promised(dsn: str) -> None:
    async with open_ledger(dsn) as ledger:
        await ledger.allow(2)
        assert isinstance(await ledger.ask_one(lock(demand(MUG, 2))), Reserved)
        await ledger.allow(None)
        assert await ledger.ask_one(lock(demand(MUG, 1))) == Short(MUG, BERLIN, asked=1, available=0)
        await receive(ledger, 2)
        assert await ledger.figures() == {"reserved": 2}


@pytest.mark.parametrize(
    ("broken", "rule"),
    [
        ("update reservations set units_short = 0 returning 1", "reserved units are those"),
        ("update reservations set units_lost = 1 returning 1", "a reservation ended once"),
        ("update balances set available = 1 returning 1", "no order waits"),
    ],
)
async def test_the_auditor_sees_what_is_wrong_with_a_short_reservation(dsn: str, broken: str, rule: str) -> None:
    async with open_ledger(dsn, {"MUG": 1}) as ledger:
        await ledger.allow(2)
        await ledger.ask_one(lock(demand(MUG, 2)))
        await ledger.assert_sound()
        await ledger.rows(broken)
        assert any(found.startswith(rule) for found in await ledger.broken_rules())
