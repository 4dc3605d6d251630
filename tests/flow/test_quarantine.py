"""One bad listing never blocks the others."""

from __future__ import annotations

from typing import cast

import pytest

from flow.world import SHOP, World, open_world
from oneshelf.connectors.shopify.simulator import ShopifySimulator


@pytest.mark.long
@pytest.mark.parametrize("names_row", [True, False])
async def test_a_listing_that_the_channel_refuses_is_parked_and_the_others_are_written(
    dsn: str, *, names_row: bool
) -> None:
    skus = {f"MUG-{n}": 5 for n in range(7)}
    async with open_world(dsn, skus=skus) as world:
        bad = world.listing(SHOP, "MUG-3")
        cast(ShopifySimulator, world.simulators[SHOP]).refuse_writes(bad, names_row=names_row)
        for sku in skus:
            await world.receive(sku, 2, key=f"more-{sku}")
        await world.until(lambda: all_but(world, "MUG-3", shows=7), what="the others are written")
        parked = [row for row in await world.listings() if row["phase"] == "parked"]
        assert [row["channel_sku"] for row in parked] == [bad]
        assert "could not be found" in parked[0]["parked_reason"]
        assert await world.rows("select 1 from channels where paused_until > db_now()") == []


async def all_but(world: World, sku: str, *, shows: int) -> bool:
    figures = {listing.merchant_sku: listing.units for listing in world.simulators[SHOP].listings()}
    parked = any(row["phase"] == "parked" for row in await world.listings())
    return parked and all(units == shows for name, units in figures.items() if name != sku)
