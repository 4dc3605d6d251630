"""A unit that comes back to a shop and is on sale there again is on sale everywhere, once."""

from __future__ import annotations

import pytest

from flow.world import BERLIN, CLOCK, MARKET, SHOP, World, open_world
from oneshelf.domain.command import CommandKey, OrderRef, Return, ReturnInto
from oneshelf.domain.identity import Sku
from oneshelf.domain.outcome import Posted
from oneshelf.flow import post


async def shipped(world: World, units: int) -> tuple[str, str]:
    """An order of the shop that has left; its line."""
    order_id = world.sell(SHOP, "MUG", units)
    shop = world.simulators[SHOP]
    assert shop.ship(order_id)
    await world.until(lambda: moved(world, "shipped"), what="the shipment is posted")
    await world.until_verified()
    (line,) = next(order for order in shop.orders() if order.order_id == order_id).lines
    return order_id, line.line_id


async def moved(world: World, reason: str) -> bool:
    return bool(await world.rows(f"select 1 from movements where reason = '{reason}'"))


async def book(world: World, order_id: str, into: ReturnInto) -> object:
    """Somebody in the warehouse unpacks a parcel."""
    command = Return(
        key=CommandKey(scope="test", key=f"back-{into}"),
        order=OrderRef(SHOP, order_id),
        sku=Sku("MUG"),
        location=BERLIN,
        units=1,
        into=into,
    )
    (answered,) = await post.post_commands(world.database, CLOCK.new_id, [command])
    return answered.outcome


@pytest.mark.long
async def test_a_refund_with_restock_raises_the_other_shop(dsn: str) -> None:
    async with open_world(dsn, skus={"MUG": 5}, timing={"suspense_s": 60.0}) as world:
        order_id, line_id = await shipped(world, 3)
        assert world.simulators[SHOP].refund(order_id, line_id, 2, restock=True)
        await world.until(lambda: moved(world, "returned"), what="the return is posted")
        await world.until_verified()
        assert await world.available("MUG") == 4
        assert {row["desired_units"] for row in await world.listings()} == {4}
        await world.assert_ledger_balances()


@pytest.mark.long
async def test_a_refund_without_restock_puts_nothing_on_sale(dsn: str) -> None:
    async with open_world(dsn, skus={"MUG": 5}) as world:
        order_id, line_id = await shipped(world, 3)
        assert world.simulators[SHOP].refund(order_id, line_id, 2, restock=False)
        world.sell(MARKET, "MUG")
        await world.until_verified()
        assert await world.available("MUG") == 1
        assert not await moved(world, "returned")


@pytest.mark.long
@pytest.mark.parametrize("is_booked_first", [True, False])
async def test_what_people_book_and_the_shop_puts_on_sale_is_one_unit(dsn: str, is_booked_first: bool) -> None:
    async with open_world(dsn, skus={"MUG": 5}, timing={"suspense_s": 60.0}) as world:
        order_id, line_id = await shipped(world, 3)
        if is_booked_first:
            assert await book(world, order_id, ReturnInto.DAMAGED) == Posted(units_moved=1, available=2)
        assert world.simulators[SHOP].refund(order_id, line_id, 1, restock=True)
        await world.until(lambda: restocked(world, order_id, 1), what="the return is posted")
        if not is_booked_first:
            assert await book(world, order_id, ReturnInto.DAMAGED) == Posted(units_moved=1, available=2)
        await world.until_verified()
        [balance] = await world.rows("select available, damaged from balances")
        assert balance == {"available": 2, "damaged": 1}
        assert {row["desired_units"] for row in await world.listings()} == {2}
        await world.assert_ledger_balances()


async def restocked(world: World, order_id: str, units: int) -> bool:
    rows = await world.rows("select order_id, units_restocked from order_lines")
    return {"order_id": order_id, "units_restocked": units} in rows
