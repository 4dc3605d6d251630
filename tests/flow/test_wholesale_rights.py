"""Wholesale and listings over the real wire: what is set aside was taken off every listing first."""

from __future__ import annotations

import pytest

from flow.test_guarded import is_split, set_mode, shown, within_stock
from flow.world import BERLIN, CLOCK, MARKET, SHOP, World, open_world
from oneshelf.domain.identity import Sku
from oneshelf.domain.rights import Mode
from oneshelf.domain.wholesale import WantedLine, WholesaleWish
from oneshelf.flow import allocate
from oneshelf.flow.allocate import Shown

pytestmark = [pytest.mark.pg, pytest.mark.timeout(300)]

MUG = Sku("MUG")


async def place(world: World, units: int, po: str = "PO-1") -> Shown:
    line = WantedLine(line_id="1", sku=MUG, units=units)
    wish = WholesaleWish(customer="ACME", po_number=po, location=BERLIN, lines=(line,))
    placed = await allocate.place(world.database, CLOCK.new_id, wish, came_by="test")
    assert isinstance(placed, Shown)
    return placed


async def allocated(world: World, po: str = "PO-1") -> int:
    """What the order holds, once everything that is due was looked at."""
    assert await within_stock(world)
    await world.rows("update wholesale_lines set look_at = db_now() returning 1")
    await allocate.allocate(world.database, CLOCK.new_id)
    assert await within_stock(world)
    found = await allocate.show(world.database, f"ACME/{po}")
    assert isinstance(found, Shown)
    return found.order.units_allocated


@pytest.mark.long
async def test_of_a_guarded_sku_listings_are_cut_and_proved_before_a_unit_is_set_aside(dsn: str) -> None:
    async with open_world(dsn, skus={"MUG": 12}) as world:
        await set_mode(world, Mode.GUARDED)
        await world.until(lambda: is_split(world, 12), what="all 12 are on sale once")
        # Listings may sell all of them: nothing is promised to the customer yet.
        assert (await place(world, 10)).order.units_allocated == 0
        assert sum((await shown(world)).values()) == 12

        async def is_set_aside() -> bool:
            return await allocated(world) == 6 and await is_split(world, 6)

        await world.until(is_set_aside, what="half is set aside, and the other half is on sale once")
        assert await world.available("MUG") == 6
        # What the channels keep sells to the last unit, and nothing is short.
        world.sell(SHOP, "MUG", 3)
        world.sell(MARKET, "MUG", 3)
        await world.until(lambda: is_split(world, 0), what="sold out")
        assert await world.rows("select 1 from order_lines where units_short > 0") == []
        await world.assert_ledger_balances()


@pytest.mark.long
async def test_of_a_pooled_sku_listings_are_cut_after_it(dsn: str) -> None:
    async with open_world(dsn, skus={"MUG": 12}) as world:
        await set_mode(world, Mode.POOLED)
        await world.until(world.is_settled, what="each shows all 12")
        assert (await place(world, 4)).order.units_allocated == 4

        async def shows_the_rest() -> bool:
            return await shown(world) == {"shop": 8, "market": 8}

        await world.until(shows_the_rest, what="each shows what is left")
