"""One shelf stays true behind a shop and an eBay account, over the real wires."""

from __future__ import annotations

import pytest

from flow.world import MARKET, SHOP, World, open_world
from oneshelf.connectors.ebay.simulator import EbaySimulator
from oneshelf.connectors.ebay.simulator_books import Lane
from oneshelf.domain.identity import Channel, Sku
from oneshelf.domain.rights import Mode
from oneshelf.storage import rights

SKUS = {"MUG": 5, "CAP": 7, "BAG": 4, "PEN": 6}


async def stays_verified(world: World) -> None:
    await world.until_verified()
    await world.assert_ledger_balances()


def ebay_of(world: World) -> EbaySimulator:
    simulator = world.simulators[MARKET]
    assert isinstance(simulator, EbaySimulator)
    return simulator


def one_of(world: World, lane: Lane) -> str:
    """A SKU that is listed in this world of eBay."""
    return next(variation.sku for variation in ebay_of(world).ebay.of_lane(lane))


async def test_a_sale_on_either_side_is_cut_and_proved_on_the_other_in_both_worlds_of_ebay(dsn: str) -> None:
    async with open_world(dsn, skus=SKUS, market="ebay") as world:
        for lane in Lane:
            sku = one_of(world, lane)
            world.sell(SHOP, sku, 2)
            await stays_verified(world)
            assert await world.available(sku) == SKUS[sku] - 2
            world.sell(MARKET, sku)
            await stays_verified(world)
            assert await world.available(sku) == SKUS[sku] - 3
        assert await world.drifts() == []


@pytest.mark.long
async def test_a_cancelled_order_comes_back_everywhere(dsn: str) -> None:
    async with open_world(dsn, skus=SKUS, market="ebay") as world:
        sku = one_of(world, Lane.TRADING)
        order_id = world.sell(MARKET, sku, 3)
        await stays_verified(world)
        assert world.simulators[MARKET].cancel(order_id)

        async def is_back() -> bool:
            return await world.available(sku) == SKUS[sku]

        await world.until(is_back, what="the units are back")
        await stays_verified(world)


@pytest.mark.long
async def test_the_last_unit_sold_in_the_shop_ends_on_ebay_where_a_zero_is_refused(dsn: str) -> None:
    async with open_world(dsn, skus={"MUG": 2}, market="ebay") as world:
        ebay = ebay_of(world)
        ebay.habits.has_out_of_stock_control = False
        world.sell(SHOP, "MUG", 2)
        await stays_verified(world)
        assert not ebay.ebay.catalogue["MUG"].is_on_sale
        await world.receive("MUG", 3, key="second")

        async def is_on_sale() -> bool:
            return ebay.ebay.catalogue["MUG"].is_on_sale

        await world.until(is_on_sale, what="it is on sale again")
        await stays_verified(world)
        assert [row["parked_reason"] for row in await world.listings()] == ["", ""]


@pytest.mark.long
@pytest.mark.parametrize("fault", ["row_failed", "concurrent_refused", "write_never_applied", "reply_lost"])
async def test_whatever_ebay_makes_of_a_write_the_figure_is_proved_in_the_end(dsn: str, fault: str) -> None:
    async with open_world(dsn, skus=SKUS, market="ebay") as world:
        ebay_of(world).switches.set({fault: 0.4})
        for sku in SKUS:
            world.sell(SHOP, sku)
        await stays_verified(world)
        ebay_of(world).switches.set({fault: 0.0})
        assert {row["parked_reason"] for row in await world.listings()} == {""}


@pytest.mark.long
async def test_the_last_unit_that_ebay_and_amazon_sell_at_once_is_counted_once_and_short_once(dsn: str) -> None:
    """Pooled, both show it: what is sold twice is seen, held for nobody, and shown nowhere any more."""
    async with open_world(dsn, skus={"MUG": 1}, shop="ebay") as world:
        # Both are sold before the engine takes another turn: it has heard of neither.
        world.sell(SHOP, "MUG")
        world.sell(MARKET, "MUG")
        assert [len(simulator.orders()) for simulator in world.simulators.values()] == [1, 1]
        assert await world.rows("select 1 from inbox union all select 1 from facts") == []
        await stays_verified(world)
        assert await world.available("MUG") == 0
        assert {row["desired_units"] for row in await world.listings()} == {0}
        assert await lines(world) == {"held": 1, "short": 1}
        await world.receive("MUG", 3, key="second")
        await stays_verified(world)
        assert await world.available("MUG") == 2


@pytest.mark.long
async def test_of_a_guarded_sku_ebay_or_amazon_shows_the_last_unit_and_never_both(dsn: str) -> None:
    async with open_world(dsn, skus={"MUG": 4}, shop="ebay") as world:
        async with world.database.transaction() as tx:
            await rights.set_mode(tx, [Sku("MUG")], Mode.GUARDED)
        await world.until(lambda: shows(world, 4), what="the four are shared")
        for left in (4, 3, 2, 1):
            assert await shows(world, left), "no unit is shown twice"
            # Whoever of the two has a unit sells it; a second buyer, a moment later, finds what is left.
            channel = next(name for name in (SHOP, MARKET) if shown_by(world, name))
            world.sell(channel, "MUG")
            await stays_verified(world)
        assert await lines(world) == {"held": 4, "short": 0}


def shown_by(world: World, channel: Channel) -> int:
    return sum(listing.units for listing in world.simulators[channel].listings())


async def shows(world: World, units: int) -> bool:
    """Whether buyers see so many units at both places together, and that is proved."""
    return shown_by(world, SHOP) + shown_by(world, MARKET) == units and await world.is_settled()


async def lines(world: World) -> dict[str, int]:
    """Units of all orders that are held for them, and those that nothing is there for."""
    held = "sum(units_pending + units_committed)::int as held"
    return (await world.rows(f"select {held}, sum(units_short)::int as short from order_lines"))[0]
