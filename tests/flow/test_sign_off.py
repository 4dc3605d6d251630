"""Nothing is written to a listing that nobody signed off, also where its channel is live."""

from __future__ import annotations

import pytest

from flow.test_breaker import SKUS, counts, held, shown, turn, upload
from flow.world import MARKET, SHOP, World, open_world
from oneshelf.domain.breaker import HoldReason
from oneshelf.domain.identity import ChannelSku
from oneshelf.domain.undo import opposite, to_undo
from oneshelf.flow import hold
from oneshelf.storage import breakers, catalog, deeds, sign_offs

BY = "Ada"


async def watch(world: World) -> None:
    async with world.database.transaction() as tx:
        await catalog.set_mode(tx, SHOP, "watch")


def shop_shows(world: World) -> dict[str, int]:
    return {listing.merchant_sku: listing.units for listing in world.simulators[SHOP].listings()}


@pytest.mark.long
async def test_listings_opt_in_one_by_one(dsn: str) -> None:
    async with open_world(dsn, skus={"MUG": 5, "CAP": 5}) as world:
        await watch(world)
        async with world.database.transaction() as tx:
            mug = ChannelSku(world.listing(SHOP, "MUG"))
            assert await sign_offs.sign_off(tx, SHOP, [mug], by=BY) == 1
        for sku in ("MUG", "CAP"):
            await world.receive(sku, 2, key=f"more-{sku}")
        await world.until(lambda: is_shown(world, {"MUG": 7, "CAP": 5}), what="one of two is written")
        await turn(world)
        assert shop_shows(world) == {"MUG": 7, "CAP": 5}
        async with world.database.transaction() as tx:
            await sign_offs.sign_off_all(tx, SHOP, by=BY)
        await world.until_verified()
        assert shop_shows(world) == {"MUG": 7, "CAP": 7}


@pytest.mark.long
async def test_what_was_signed_off_is_not_held(dsn: str) -> None:
    """Somebody has read that all of it would be zero, and said yes."""
    async with open_world(dsn, skus=SKUS) as world:
        await watch(world)
        await upload(world, counts(SKUS, 0, file="closing"))
        await turn(world)
        async with world.database.transaction() as tx:
            await sign_offs.sign_off_all(tx, SHOP, by=BY)
        await world.until(lambda: is_shown(world, dict.fromkeys(SKUS, 0)), what="the shop is closed")
        assert await held(world) == {"market": "zeroed"}


@pytest.mark.long
async def test_what_the_breaker_held_is_taken_back_in_one_action(dsn: str) -> None:
    async with open_world(dsn, skus=SKUS) as world:
        await world.receive("MUG-00", 1, key="before")
        await world.until(lambda: is_shown(world, {**SKUS, "MUG-00": 6}), what="one more is shown")
        await world.until_verified()
        await upload(world, counts(SKUS, 0, file="night"))
        await turn(world)
        assert await held(world) == {"market": "zeroed", "shop": "zeroed"}
        async with world.database.transaction() as tx:
            since = (await breakers.held(tx, MARKET)).held_from
            assert since is not None
            found = to_undo(await deeds.since(tx, MARKET, since))
        assert {deed.source.split("/")[0] for deed in found} == {"file night"}
        assert len(found) == len(SKUS)
        await upload(world, [command for deed in found for command in opposite(deed)])
        await world.rows("update channels set hold_checked_at = '2000-01-01' returning 1")
        await world.until_verified()
        assert await held(world) == {}
        assert shown(world) == {"market": {5, 6}, "shop": {5, 6}}
        async with world.database.transaction() as tx:
            assert to_undo(await deeds.since(tx, MARKET, since)) == []
        await world.assert_ledger_balances()


@pytest.mark.long
async def test_a_channel_that_shows_half_of_its_listings_is_held_until_it_shows_them_again(dsn: str) -> None:
    async with open_world(dsn, skus=SKUS) as world:
        for seen, is_held in ((14, False), (6, True), (6, True), (13, False), (7, False), (3, False)):
            async with world.database.transaction() as tx:
                await hold.record_sweep(tx, SHOP, seen)
            assert bool(await held(world)) is is_held, seen

        async with world.database.transaction() as tx:
            await hold.record_sweep(tx, SHOP, 14)
            await hold.record_sweep(tx, SHOP, 2)
        assert await held(world) == {"shop": HoldReason.TRUNCATED.value}
        # Somebody deleted them, and says so: from now on this is what the channel has.
        async with world.database.transaction() as tx:
            assert await breakers.end_hold(tx, SHOP, lets_go=True)
            await hold.record_sweep(tx, SHOP, 2)
        assert await held(world) == {}


async def is_shown(world: World, figures: dict[str, int]) -> bool:
    return shop_shows(world) == figures
