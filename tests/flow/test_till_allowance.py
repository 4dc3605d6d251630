"""What tills may sell before we hear of it is kept back from guarded listings, and counts as exposure everywhere."""

from __future__ import annotations

import pytest

from flow.till_world import SECRET, TILL
from flow.world import BERLIN, MARKET, SHOP, World, open_world
from oneshelf.domain.identity import ChannelSku, Sku
from oneshelf.domain.rights import Mode
from oneshelf.errors import MalformedError
from oneshelf.flow.explain import explain
from oneshelf.storage import catalog, home_views, rights

pytestmark = pytest.mark.pg
MUG = Sku("MUG")


async def connect_till(world: World, allowance_units: int) -> None:
    settings = {"allowance_units": str(allowance_units)}
    new = catalog.NewChannel(TILL, "till", BERLIN, settings, {"webhook_secret": SECRET}, {}, shows_figures=False)
    async with world.database.transaction() as tx:
        await catalog.add_channel(tx, new)


async def shown(world: World) -> int:
    return sum(one.units for each in world.simulators.values() for one in each.listings())


@pytest.mark.long
async def test_what_tills_may_sell_is_kept_from_guarded_listings(dsn: str) -> None:
    async with open_world(dsn, skus={"MUG": 6}) as world:
        async with world.database.transaction() as tx:
            await rights.set_mode(tx, [MUG], Mode.GUARDED)

        async def is_split(units: int) -> bool:
            return await shown(world) == units and await world.is_settled()

        await world.until(lambda: is_split(6), what="all 6 are on sale once")
        await connect_till(world, 2)
        await world.until(lambda: is_split(4), what="two are kept for the till")
        [sharing] = await _sharing(world)
        assert (sharing.till_allowance_units, sharing.exposure_units) == (2, 0)
        [listing] = [row for row in await world.listings() if row["channel"] == SHOP]
        why = await explain(world.database, (SHOP, ChannelSku(listing["channel_sku"])))
        assert why is not None
        assert why.derivation is not None
        assert "2 kept back for tills that may sell unseen" in why.derivation.steps[-1].name
        # Fewer are kept: the others get them back.
        await connect_till(world, 0)
        await world.until(lambda: is_split(6), what="nothing is kept")


async def test_what_tills_may_sell_counts_as_exposure_of_a_pooled_sku(dsn: str) -> None:
    async with open_world(dsn, skus={"MUG": 6}) as world:
        async with world.database.transaction() as tx:
            await rights.set_mode(tx, [MUG], Mode.POOLED)
        await world.until_verified()
        [before] = await _sharing(world)
        await connect_till(world, 2)
        [after] = await _sharing(world)
        assert (before.exposure_units, after.exposure_units) == (6, 8)
        async with world.database.transaction() as tx:
            assert (await home_views.exposure(tx, limit=5)).units == 8
            assert {row.channel for row in await catalog.channels(tx) if row.shows_figures} == {SHOP, MARKET}


async def test_a_till_cannot_go_live(dsn: str) -> None:
    async with open_world(dsn, skus={"MUG": 6}) as world:
        await connect_till(world, 1)
        async with world.database.transaction() as tx:
            with pytest.raises(MalformedError, match="shows no figure"):
                await catalog.set_mode(tx, TILL, "live")


async def _sharing(world: World) -> list[rights.Sharing]:
    async with world.database.transaction() as tx:
        return await rights.sharing_of(tx, MUG)
