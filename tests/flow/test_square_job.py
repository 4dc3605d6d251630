"""One shelf stays true behind a shop and a till of Square's, over the real wires."""

from __future__ import annotations

import pytest

from flow.world import BERLIN, CLOCK, MARKET, SHOP, SPEED, World, open_world
from oneshelf.connectors.square.simulator import SquareSimulator
from oneshelf.domain.command import CommandKey, Count
from oneshelf.domain.identity import Sku
from oneshelf.flow import post

SKUS = {"MUG": 6, "CAP": 7}
# Square's own pace is that of the engine's calls here: five in a second.
TIMING = {"poll_orders_s": 0.5, "sweep_stock_s": 2.0}


def till_of(world: World) -> SquareSimulator:
    simulator = world.simulators[MARKET]
    assert isinstance(simulator, SquareSimulator)
    return simulator


async def stays_verified(world: World) -> None:
    await world.until_verified()
    await world.assert_ledger_balances()


async def is_available(world: World, sku: str, units: int) -> None:
    async def is_so() -> bool:
        return await world.available(sku) == units

    await world.until(is_so, what=f"{units} of {sku} are free")


async def counted(world: World, sku: str, units: int) -> None:
    key = CommandKey(scope="test", key=str(CLOCK.new_id()))
    counting = Count(key=key, sku=Sku(sku), location=BERLIN, units=units)
    await post.post_commands(world.database, CLOCK.new_id, [counting])
    await world.turn()


@pytest.mark.long
async def test_a_sale_at_the_till_is_cut_and_proved_in_the_shop_and_the_other_way_round(dsn: str) -> None:
    async with open_world(dsn, skus=SKUS, market="square", timing=TIMING) as world:
        listing = world.listing(MARKET, "MUG")
        till_of(world).sell_at_till([(listing, 2)])
        await is_available(world, "MUG", 4)
        await stays_verified(world)
        world.sell(SHOP, "MUG")
        await is_available(world, "MUG", 3)
        await stays_verified(world)
        assert till_of(world).articles[listing].units == 3
        world.sell(MARKET, "CAP", 3)
        await is_available(world, "CAP", 4)
        await stays_verified(world)
        assert await world.drifts() == []


@pytest.mark.long
async def test_a_count_made_elsewhere_is_published_to_square_and_verified(dsn: str) -> None:
    async with open_world(dsn, skus=SKUS, market="square", timing=TIMING) as world:
        await counted(world, "MUG", 16)
        await is_available(world, "MUG", 16)
        await stays_verified(world)
        assert till_of(world).articles[world.listing(MARKET, "MUG")].units == 16
        # The same count again after a sale: Square drops what repeats its last count, unless it is told not to.
        till_of(world).sell_at_till([(world.listing(MARKET, "MUG"), 1)])
        await is_available(world, "MUG", 15)
        await counted(world, "MUG", 16)
        await is_available(world, "MUG", 16)
        await stays_verified(world)
        assert till_of(world).articles[world.listing(MARKET, "MUG")].units == 16


@pytest.mark.long
async def test_a_sale_of_an_offline_till_that_a_count_has_swallowed_at_square_is_cut_there_too(dsn: str) -> None:
    """Square goes on showing the count, since the sale is older. No sweep has to come by."""
    async with open_world(dsn, skus=SKUS, market="square", timing={**TIMING, "sweep_stock_s": 600.0}) as world:
        till, listing = till_of(world), world.listing(MARKET, "MUG")
        till.sell_at_till([(listing, 2)], offline_s=4.0 * SPEED)
        await world.receive("MUG", 4, key="second")
        await world.turn()
        await is_available(world, "MUG", 10)
        await stays_verified(world)
        assert till.articles[listing].units == 10, "the sale is not told yet"
        await is_available(world, "MUG", 8)
        await stays_verified(world)
        assert till.articles[listing].units == 8
        assert {listing.units for listing in world.simulators[SHOP].listings()} == {8, 7}
        assert {drift["state"] for drift in await world.drifts()} <= {"resolved"}


@pytest.mark.long
async def test_a_late_sale_that_a_count_had_seen_leaves_too_few_and_never_too_many(dsn: str) -> None:
    """Sold offline, counted, and told after the count: decision 0009 has it taken once more, until the next count."""
    async with open_world(dsn, skus=SKUS, market="square", timing=TIMING) as world:
        till, listing = till_of(world), world.listing(MARKET, "MUG")
        sold_at = CLOCK.now()
        till.sell_at_till([(listing, 2)], offline_s=4.0 * SPEED)
        await counted(world, "MUG", 4)
        await is_available(world, "MUG", 2)
        await stays_verified(world)
        assert till.articles[listing].units == 2
        [told] = await world.rows("select placed_at from order_lines where sku = 'MUG'")
        assert abs((told["placed_at"] - sold_at).total_seconds()) < 1, "by the clock of the till"
        await counted(world, "MUG", 4)
        await is_available(world, "MUG", 4)
        await stays_verified(world)


@pytest.mark.long
async def test_an_order_of_the_website_takes_its_units_when_it_is_paid_and_no_more_when_it_ships(dsn: str) -> None:
    async with open_world(dsn, skus=SKUS, market="square", timing=TIMING) as world:
        till = till_of(world)
        order_id = world.sell(MARKET, "CAP", 3)
        await is_available(world, "CAP", 4)
        assert till.ship(order_id)
        await stays_verified(world)
        assert await world.available("CAP") == 4


@pytest.mark.long
async def test_what_a_cashier_puts_on_sale_again_is_written_over_until_somebody_receives_it(dsn: str) -> None:
    async with open_world(dsn, skus=SKUS, market="square", timing=TIMING) as world:
        till, listing = till_of(world), world.listing(MARKET, "MUG")
        sold = till.sell_at_till([(listing, 2)])
        assert sold is not None
        await is_available(world, "MUG", 4)
        await stays_verified(world)
        assert till.take_back(sold, f"{sold}-1", 1, restock=True)

        assert till.articles[listing].units == 5

        async def is_written_over() -> bool:
            return till.articles[listing].units == 4

        await world.until(is_written_over, what="the risen count is found")
        await stays_verified(world)
        assert (await world.available("MUG"), till.articles[listing].units) == (4, 4)
        await world.receive("MUG", 1, key="came-back")
        await world.turn()
        await is_available(world, "MUG", 5)
        await stays_verified(world)
        assert till.articles[listing].units == 5


@pytest.mark.long
@pytest.mark.parametrize("fault", ["write_never_applied", "reply_lost", "stale_read"])
async def test_whatever_square_makes_of_a_write_the_figure_is_proved_in_the_end(dsn: str, fault: str) -> None:
    async with open_world(dsn, skus=SKUS, market="square", timing=TIMING) as world:
        till_of(world).switches.set({fault: 0.4})
        for sku in SKUS:
            world.sell(SHOP, sku)
        for sku, units in SKUS.items():
            await is_available(world, sku, units - 1)
        await stays_verified(world)
        till_of(world).switches.set({fault: 0.0})
        assert {row["parked_reason"] for row in await world.listings()} == {""}
