"""Pools over the real wire: each channel sells its own, and what is guarded is never sold twice."""

from __future__ import annotations

import pytest

from flow.test_guarded import is_split, set_mode, shown, within_stock
from flow.world import MARKET, SHOP, World, open_world
from oneshelf.domain.allocation import AllocationPlan, Part, PoolKind, Refill
from oneshelf.domain.identity import Channel, Sku
from oneshelf.domain.policy import Scope
from oneshelf.domain.rights import Mode
from oneshelf.flow import rule

pytestmark = [pytest.mark.pg, pytest.mark.timeout(300)]

MUG = Sku("MUG")


async def allocate(
    world: World, *, kind: PoolKind = PoolKind.HARD, overflow: Channel | None = None, refill: Refill = Refill.RECEIPTS
) -> None:
    """Sixty percent for the shop, thirty for the market, ten for nobody."""
    parts = (Part(channel=SHOP, percent=60, kind=kind), Part(channel=MARKET, percent=30, kind=kind))
    plan = AllocationPlan(scope=Scope(), parts=parts, overflow=overflow, refill=refill)
    assert isinstance(await rule.put_plan(world.database, plan, actor="test"), rule.PlanPut)


async def until_shown(world: World, **units: int) -> None:
    async def are_shown() -> bool:
        return await shown(world) == units and await world.is_settled()

    await world.until(are_shown, what=f"{units} are shown and proved")


@pytest.mark.long
async def test_a_sale_in_one_pool_lowers_no_other_listing_and_a_receipt_refills(dsn: str) -> None:
    async with open_world(dsn, skus={"MUG": 20}) as world:
        await set_mode(world, Mode.POOLED)
        await allocate(world)
        await until_shown(world, shop=12, market=6)
        world.sell(SHOP, "MUG", 12)
        await until_shown(world, shop=0, market=6)
        world.sell(MARKET, "MUG", 2)
        await until_shown(world, shop=0, market=4)
        await world.receive("MUG", 10, key="second")
        await until_shown(world, shop=6, market=7)
        assert await world.rows("select 1 from order_lines where units_short > 0") == []
        await world.assert_ledger_balances()


@pytest.mark.long
async def test_the_overflow_channel_sells_the_rest_and_a_sold_out_soft_pool_borrows(dsn: str) -> None:
    async with open_world(dsn, skus={"MUG": 20}) as world:
        await set_mode(world, Mode.POOLED)
        await allocate(world, kind=PoolKind.SOFT, overflow=SHOP)
        await until_shown(world, shop=14, market=6)
        world.sell(MARKET, "MUG", 6)
        await until_shown(world, shop=8, market=6)
        world.sell(SHOP, "MUG", 8)
        await until_shown(world, shop=3, market=3)
        await world.assert_ledger_balances()


@pytest.mark.long
async def test_guarded_each_sells_its_pool_and_nothing_is_sold_twice(dsn: str) -> None:
    async with open_world(dsn, skus={"MUG": 10}) as world:
        await set_mode(world, Mode.GUARDED)
        await allocate(world, refill=Refill.MANUAL)
        await until_shown(world, shop=6, market=3)
        assert await within_stock(world)
        # Both sell all they show before the engine hears of anything.
        world.sell(SHOP, "MUG", 6)
        world.sell(MARKET, "MUG", 3)
        await until_shown(world, shop=0, market=0)
        assert (await world.available("MUG"), await world.rows("select 1 from order_lines where units_short > 0")) == (
            1,
            [],
        )
        await world.receive("MUG", 9, key="second")
        await until_shown(world, shop=0, market=0)
        assert await rule.refill_pools(world.database, MUG) == 1
        await until_shown(world, shop=6, market=3)
        assert await within_stock(world)
        await rule.end_plan(world.database, Scope(), actor="test")
        await world.until(lambda: is_split(world, 10), what="all 10 are on sale once")
        await world.assert_ledger_balances()
