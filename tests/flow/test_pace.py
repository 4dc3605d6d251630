"""A channel that takes only so many changes a day: raises wait, cuts do not, and zero has changes left."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, cast

import pytest

from flow.world import MARKET, SHOP, World, open_world
from oneshelf.sdk.contract import Connector
from oneshelf.sdk.message import StockWrite, UsedUp, WriteOutcome
from oneshelf.storage import change_budgets, views

PER_DAY = 20


def limit(world: World, per_day: int = PER_DAY) -> None:
    opened = world.channels.by_name[SHOP]
    world.channels.by_name[SHOP] = replace(opened, capability=replace(opened.capability, changes_per_day=per_day))


async def spent(world: World) -> int:
    [row] = await world.rows("select coalesce(sum(changes), 0)::int as n from listing_changes where channel = 'shop'")
    return int(row["n"])


def shown(world: World) -> int:
    [listing] = world.simulators[SHOP].listings()
    return listing.units


async def turn(world: World, times: int = 6) -> None:
    for _ in range(times):
        await world.turn()


async def use_up(world: World, changes: int) -> None:
    async with world.database.transaction() as tx:
        await tx.execute(
            """
            insert into listing_changes
            values ('shop', %(budget)s, date_trunc('hour', db_now()), %(changes)s, db_now())
            """,
            {"budget": world.listing(SHOP, "MUG"), "changes": changes},
        )


@pytest.mark.long
async def test_receipts_all_day_leave_changes_for_the_cut_to_zero(dsn: str) -> None:
    async with open_world(dsn, skus={"MUG": 6}) as world:
        limit(world)
        for number in range(PER_DAY):
            await world.receive("MUG", 1, key=f"more-{number}")
            await turn(world, 2)
        await turn(world)
        assert await world.available("MUG") == 6 + PER_DAY
        assert 0 < await spent(world) < PER_DAY * 0.8
        assert shown(world) < 6 + PER_DAY, "a raise waits"
        raised = await spent(world)
        await turn(world)
        assert await spent(world) == raised, "and goes on waiting"

        await world.until(lambda: is_shown(world, MARKET, 6 + PER_DAY), what="the market shows all")
        world.sell(MARKET, "MUG", 6 + PER_DAY)
        await world.until(lambda: is_shown(world, SHOP, 0), what="nothing is left, and the shop says so")
        assert await spent(world) == raised + 1


async def is_shown(world: World, channel: object, units: int) -> bool:
    return {str(name): one.listings()[0].units for name, one in world.simulators.items()}[str(channel)] == units


@pytest.mark.long
async def test_with_the_last_changes_a_cut_is_a_cut_to_zero(dsn: str) -> None:
    async with open_world(dsn, skus={"MUG": 6}) as world:
        limit(world)
        await use_up(world, 18)
        world.sell(MARKET, "MUG", 2)
        await world.until(lambda: is_shown(world, SHOP, 0), what="4 are left, and no change for the next cut")
        await turn(world, 12)
        assert (shown(world), await spent(world)) == (0, 19)


@pytest.mark.long
async def test_without_a_change_left_nothing_is_sent_until_one_is_a_day_old(dsn: str) -> None:
    async with open_world(dsn, skus={"MUG": 6}) as world:
        limit(world)
        await use_up(world, PER_DAY)
        world.sell(MARKET, "MUG", 6)
        await turn(world, 12)
        assert (shown(world), await spent(world)) == (6, PER_DAY)
        async with world.database.transaction() as tx:
            assert await change_budgets.busiest(tx, SHOP, limit=5) == [(world.listing(SHOP, "MUG"), PER_DAY)]
            await tx.execute("update listing_changes set hour = hour - interval '25 hours'")
            await tx.execute("update listings set next_at = db_now()")
        await world.until(lambda: is_shown(world, SHOP, 0), what="the day is over")
        assert await spent(world) == 1, "what is older than a day is gone"


@pytest.mark.long
async def test_a_change_that_the_channel_did_not_make_is_not_counted(dsn: str) -> None:
    async with open_world(dsn, skus={"MUG": 6}) as world:
        limit(world)
        world.simulators[SHOP].switches.set({"throttle": 1.0})
        await world.receive("MUG", 1, key="more")
        await turn(world, 8)
        assert (shown(world), await spent(world)) == (6, 0)
        world.simulators[SHOP].switches.set({"throttle": 0.0})
        await world.until(lambda: is_shown(world, SHOP, 7), what="written")
        assert await spent(world) == 1


@pytest.mark.long
async def test_the_parts_of_a_group_share_their_changes(dsn: str) -> None:
    # The simulated shop knows no groups: no sweep says so while this lasts.
    async with open_world(dsn, skus={"MUG": 6, "CUP": 6}, timing={"sweep_stock_s": 600.0}) as world:
        limit(world)
        async with world.database.transaction() as tx:
            await tx.execute("update listings set channel_group = 'item-1' where channel = 'shop'")
            await tx.execute(
                "insert into listing_changes values ('shop', 'item-1', date_trunc('hour', db_now()), 16, db_now())"
            )
        for sku in ("MUG", "CUP"):
            await world.receive(sku, 1, key=f"more-{sku}")
        await turn(world, 8)
        assert [one.units for one in world.simulators[SHOP].listings()] == [6, 6], "neither is raised any more"
        async with world.database.transaction() as tx:
            assert await change_budgets.busiest(tx, SHOP, limit=5) == [("item-1", 16)]


@pytest.mark.long
async def test_what_the_channel_takes_no_change_of_waits_and_says_so_and_zero_is_tried(dsn: str) -> None:
    async with open_world(dsn, skus={"MUG": 6}) as world:
        opened = world.channels.by_name[SHOP]
        connector = _UsedUp(opened.connector)
        world.channels.by_name[SHOP] = replace(opened, connector=cast(Connector, connector))
        await world.receive("MUG", 1, key="more")
        await world.until(lambda: is_told(world, connector.words), what="the channel's own words are shown")
        tries = connector.tries
        await turn(world, 8)
        assert (connector.tries, shown(world)) == (tries, 6), "another figure waits"
        await world.until(lambda: is_shown(world, MARKET, 7), what="the market shows all")
        world.sell(MARKET, "MUG", 7)
        await world.until(lambda: is_shown(world, SHOP, 0), what="zero is taken")


@pytest.mark.long
async def test_a_zero_that_the_channel_takes_no_change_for_waits_until_its_day_is_over(dsn: str) -> None:
    async with open_world(dsn, skus={"MUG": 6}) as world:
        opened = world.channels.by_name[SHOP]
        connector = _UsedUp(opened.connector, takes_zero=False)
        world.channels.by_name[SHOP] = replace(opened, connector=cast(Connector, connector))
        world.sell(MARKET, "MUG", 6)
        await world.until(lambda: is_told(world, connector.words), what="the channel's own words are shown")
        tries = connector.tries
        await turn(world, 8)
        assert (connector.tries, shown(world)) == (tries, 6), "not again before its day is over"
        [row] = [row for row in await world.listings() if row["channel"] == SHOP]
        assert (row["phase"], row["parked_reason"]) == ("idle", ""), "no person is needed for it to go on"
        connector.takes_zero = True
        await world.database_do("update listings set next_at = db_now() where channel = 'shop'")
        await world.until(lambda: is_shown(world, SHOP, 0), what="zero is taken the next day")


async def is_told(world: World, words: str) -> bool:
    async with world.database.transaction() as tx:
        return any(row.parked_reason == words for row in await views.listing_rows(tx, channel=SHOP))


class _UsedUp:
    """The shop's connector, and a shop that takes nothing but zero today, or not even that."""

    words = "no more revisions today"

    def __init__(self, connector: Connector, *, takes_zero: bool = True) -> None:
        self._connector = connector
        self.takes_zero = takes_zero
        self.tries = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connector, name)

    async def push(self, writes: Sequence[StockWrite]) -> tuple[WriteOutcome, ...]:
        self.tries += 1
        return tuple(
            [
                (await self._connector.push([write]))[0]
                if write.units == 0 and self.takes_zero
                else UsedUp(3600.0, self.words)
                for write in writes
            ]
        )
