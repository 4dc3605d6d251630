"""Guarded SKUs over the real wire: what the listings may sell never adds up to more than there is."""

from __future__ import annotations

import pytest

from flow.world import BERLIN, CLOCK, MARKET, SHOP, World, open_world
from oneshelf.domain.availability import FROZEN
from oneshelf.domain.command import CommandKey, Demand, ReservationKind, Reserve
from oneshelf.domain.identity import ChannelSku, Sku
from oneshelf.domain.listing import intend
from oneshelf.domain.outcome import Reserved, Short
from oneshelf.domain.rights import Mode
from oneshelf.errors import InvariantError
from oneshelf.flow import post
from oneshelf.storage import catalog, listings, publishing, rights

MUG = Sku("MUG")


async def set_mode(world: World, mode: Mode, **more: int) -> None:
    async with world.database.transaction() as tx:
        assert await rights.set_mode(tx, [MUG], mode, **more) == [MUG]


async def shown(world: World) -> dict[str, int]:
    """What each channel really shows."""
    return {str(name): one.units for name, each in world.simulators.items() for one in each.listings()}


async def is_split(world: World, units: int) -> bool:
    return sum((await shown(world)).values()) == units and await world.is_settled()


async def within_stock(world: World) -> bool:
    [row] = await world.rows("select units, available from granted join balances using (sku, location)")
    return bool(row["units"] <= row["available"])


@pytest.mark.long
async def test_the_last_units_are_shared_and_nothing_is_left_lying(dsn: str) -> None:
    async with open_world(dsn, skus={"MUG": 6}) as world:
        await set_mode(world, Mode.GUARDED)
        await world.until(lambda: is_split(world, 6), what="all 6 are on sale once")
        assert await shown(world) == {"shop": 3, "market": 3}
        assert await within_stock(world)
        # Both sell all they show before the engine hears of anything.
        world.sell(SHOP, "MUG", 3)
        world.sell(MARKET, "MUG", 3)
        await world.until(lambda: is_split(world, 0), what="sold out")
        assert await world.rows("select 1 from order_lines where units_short > 0") == []
        await world.assert_ledger_balances()


async def test_goods_that_come_in_are_shared(dsn: str) -> None:
    async with open_world(dsn, skus={"MUG": 2}) as world:
        await set_mode(world, Mode.GUARDED)
        await world.until(lambda: is_split(world, 2), what="shared")
        await world.receive("MUG", 8, key="second")
        await world.until(lambda: is_split(world, 10), what="10 are on sale once")
        assert min((await shown(world)).values()) >= 3


@pytest.mark.long
async def test_who_has_sold_out_gets_units_of_who_has_some(dsn: str) -> None:
    async with open_world(dsn, skus={"MUG": 8}) as world:
        await set_mode(world, Mode.GUARDED)
        await world.until(lambda: is_split(world, 8), what="shared")
        world.sell(SHOP, "MUG", 4)
        await world.until(lambda: is_split(world, 4), what="shared again")
        assert await shown(world) == {"shop": 2, "market": 2}


@pytest.mark.long
async def test_frozen_sells_nothing_anywhere_and_thawed_all_again(dsn: str) -> None:
    async with open_world(dsn, skus={"MUG": 5}) as world:
        await set_mode(world, Mode.FROZEN)
        await world.until(lambda: is_split(world, 0), what="nothing is shown")
        assert await world.available("MUG") == 5
        told = await world.rows("select derivation::text as steps from publications where units = 0")
        assert told
        assert all(FROZEN in row["steps"] for row in told)
        await set_mode(world, Mode.POOLED)
        await world.until(lambda: is_split(world, 10), what="5 are shown by each")


@pytest.mark.long
async def test_auto_is_guarded_while_scarce(dsn: str) -> None:
    async with open_world(dsn, skus={"MUG": 9}) as world:
        await set_mode(world, Mode.AUTO, guard_at_units=4)
        await world.until(lambda: is_split(world, 18), what="9 are shown by each")
        world.sell(SHOP, "MUG", 5)
        await world.until(lambda: is_split(world, 4), what="scarce, so shared")
        await world.receive("MUG", 8, key="second")
        await world.until(lambda: is_split(world, 24), what="12 are shown by each")


@pytest.mark.long
async def test_units_that_listings_may_sell_are_promised_to_nobody_else(dsn: str) -> None:
    async with open_world(dsn, skus={"MUG": 6}) as world:

        async def reserve(units: int, key: str) -> object:
            wish = Reserve(
                key=CommandKey(scope="test", key=key),
                kind=ReservationKind.LOCK,
                lines=(Demand(sku=MUG, location=BERLIN, units=units),),
            )
            [answer] = await post.post_commands(world.database, CLOCK.new_id, [wish])
            return answer.outcome

        await set_mode(world, Mode.GUARDED, allowance_units=2)
        await world.until(lambda: is_split(world, 4), what="2 are kept")
        assert await reserve(3, "a") == Short(MUG, BERLIN, asked=3, available=2, sellable_by_listings=4)
        assert isinstance(await reserve(2, "b"), Reserved)
        assert isinstance(await reserve(1, "c"), Short)


@pytest.mark.long
async def test_a_note_of_the_channel_gives_the_units_of_a_listing_to_nobody(dsn: str) -> None:
    """A row that could not be read once: the listing sells on."""
    async with open_world(dsn, skus={"MUG": 6}) as world:
        await set_mode(world, Mode.GUARDED)
        await world.until(lambda: is_split(world, 6), what="shared")
        name = ChannelSku(world.listing(MARKET, "MUG"))
        async with world.database.transaction() as tx:
            noted = listings.SeenListing(name, "", "MUG", "Mug", "cannot be read: the quantity is 'three'")
            await listings.remember(tx, MARKET, [noted])
            [granted] = (await rights.granted(tx, [MUG])).values()
        assert granted.units == 6


@pytest.mark.long
async def test_the_database_refuses_a_write_that_would_sell_a_unit_twice(dsn: str) -> None:
    async with open_world(dsn, skus={"MUG": 6}) as world:
        await set_mode(world, Mode.GUARDED)
        await world.until(lambda: is_split(world, 6), what="shared")

        async def raise_by_one() -> None:
            key = (SHOP, ChannelSku(world.listing(SHOP, "MUG")))
            async with world.database.transaction() as tx:
                await tx.execute("update listings set desired_units = 4 where channel = 'shop'")
                [listing] = await publishing.lock(tx, [key], lease=None)
                await publishing.save(tx, [intend(listing, op_id=CLOCK.new_id(), now=CLOCK.now())])

        with pytest.raises(InvariantError, match="available"):
            await raise_by_one()


@pytest.mark.long
async def test_the_column_repeats_what_the_code_says(dsn: str) -> None:
    async with open_world(dsn, skus={"MUG": 6}) as world:
        for mode in (Mode.GUARDED, Mode.POOLED):
            await set_mode(world, mode)
            for _ in range(12):
                await world.turn()
                stored = {
                    (row["channel"], row["channel_sku"]): row["rights_units"]
                    for row in await world.rows("select channel, channel_sku, rights_units from listings")
                }
                async with world.database.transaction() as tx:
                    for listing in await publishing.lock(tx, list(stored), lease=None):
                        assert listing.rights == stored[listing.key]


@pytest.mark.long
async def test_what_was_never_counted_can_be_frozen(dsn: str) -> None:
    async with open_world(dsn, skus={"MUG": 5}, link=False) as world:
        async with world.database.transaction() as tx:
            await catalog.add_skus(tx, {MUG: ""})
        await set_mode(world, Mode.FROZEN)
        await world.until(lambda: is_split(world, 0), what="nothing is shown")
