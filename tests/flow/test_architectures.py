"""The four shapes of a shop, each through the whole flow with simulated channels."""

from __future__ import annotations

import pytest

from flow.world import MARKET, SHOP, World, open_world
from oneshelf.domain.architecture import Architecture, Wish
from oneshelf.domain.identity import Channel
from oneshelf.flow import entrust
from oneshelf.storage import conflicts

pytestmark = [pytest.mark.pg, pytest.mark.timeout(300)]


async def arrange(world: World, architecture: Architecture, leader: Channel | None = None) -> entrust.Arranged:
    wish = Wish(architecture=architecture, leader=leader or "")
    done = await entrust.arrange(world.database, wish, actor="test", reason="a test")
    assert isinstance(done, entrust.Arranged)
    assert (await entrust.arrangement(world.database)).architecture is architecture
    return done


def shows(world: World, channel: Channel, sku: str) -> int:
    """What buyers see there."""
    return next(one.units for one in world.simulators[channel].listings() if one.merchant_sku == sku)


async def drift_kinds(world: World) -> list[tuple[str, str]]:
    async with world.database.transaction() as tx:
        return [(row.kind, row.winner["source"]) for row in await conflicts.listed(tx)]


@pytest.mark.long
@pytest.mark.parametrize("shown", [9, 2], ids=["more", "fewer"])
async def test_in_a_hub_what_the_leading_channel_shows_is_adopted_and_the_others_follow(dsn: str, shown: int) -> None:
    async with open_world(dsn, skus={"MUG": 5}) as world:
        assert [one.what for one in (await arrange(world, Architecture.HUB, SHOP)).changes] == ["rule"]
        world.simulators[SHOP].edit_by_hand(world.listing(SHOP, "MUG"), shown)

        async def has_followed() -> bool:
            return await world.available("MUG") == shown and shows(world, MARKET, "MUG") > 0

        await world.until(has_followed, what="the ledger took the leader's figure")
        await world.until_verified()
        assert (shows(world, SHOP, "MUG"), await world.available("MUG")) == (shown, shown)
        assert {one["resolution"] for one in await world.drifts()} == {"adopted"}
        assert await drift_kinds(world) == [("drift", "shop")]
        await world.assert_ledger_balances()


@pytest.mark.long
async def test_in_a_hub_fewer_than_are_promised_elsewhere_leave_the_latest_orders_short(dsn: str) -> None:
    """Who counts three fewer at the leader is right, also where others have sold them in that moment."""
    async with open_world(dsn, skus={"MUG": 5}) as world:
        await arrange(world, Architecture.HUB, SHOP)
        world.simulators[SHOP].edit_by_hand(world.listing(SHOP, "MUG"), 2)
        world.sell(MARKET, "MUG", 4)

        async def is_short() -> bool:
            async with world.database.transaction() as tx:
                found = await (await tx.execute("select sum(units_short)::bigint from order_lines")).fetchone()
            return found == (2,)

        await world.until(is_short, what="of four that were sold two are not there")
        await world.until_verified()
        assert (await world.available("MUG"), shows(world, SHOP, "MUG"), shows(world, MARKET, "MUG")) == (0, 0, 0)
        assert {one["resolution"] for one in await world.drifts()} == {"adopted"}
        await world.assert_ledger_balances()


@pytest.mark.long
async def test_in_a_hub_what_another_channel_shows_is_written_over_and_its_orders_reach_the_leader(dsn: str) -> None:
    async with open_world(dsn, skus={"MUG": 5}) as world:
        await arrange(world, Architecture.HUB, SHOP)
        world.simulators[MARKET].edit_by_hand(world.listing(MARKET, "MUG"), 9)

        async def is_decided() -> bool:
            return any(one["resolution"] == "republished" for one in await world.drifts())

        await world.until(is_decided, what="the follower's figure is written over")
        await world.until_verified()
        assert await world.available("MUG") == 5
        world.sell(MARKET, "MUG", 2)
        await world.until_verified()
        assert (await world.available("MUG"), shows(world, SHOP, "MUG")) == (3, 3)
        assert await drift_kinds(world) == []
        await world.assert_ledger_balances()


@pytest.mark.long
async def test_with_none_the_engine_watches_and_tells_and_writes_to_nobody(dsn: str) -> None:
    async with open_world(dsn, skus={"MUG": 5}) as world:
        done = await arrange(world, Architecture.NONE)
        assert [(one.what, one.after) for one in done.changes] == [
            ("channel market", "watch"),
            ("channel shop", "watch"),
        ]
        world.simulators[SHOP].edit_by_hand(world.listing(SHOP, "MUG"), 2)

        async def is_told() -> bool:
            return any(one["resolved_at"] is None for one in await world.drifts())

        await world.until(is_told, what="the edit is an open drift")
        world.sell(MARKET, "MUG", 1)

        async def is_posted() -> bool:
            return await world.orders_posted() == 1

        await world.until(is_posted, what="the order is in the ledger")
        for _ in range(20):
            await world.turn()
        assert (shows(world, SHOP, "MUG"), shows(world, MARKET, "MUG")) == (2, 4)
        assert await world.available("MUG") == 4
        (drift,) = await world.drifts()
        assert (drift["channel"], drift["resolution"]) == ("shop", "")


@pytest.mark.long
async def test_with_ims_what_any_channel_shows_is_written_over(dsn: str) -> None:
    async with open_world(dsn, skus={"MUG": 5}) as world:
        await arrange(world, Architecture.HUB, SHOP)
        (change,) = (await arrange(world, Architecture.IMS)).changes
        assert (change.what, change.after) == ("rule", "everything: engine")
        world.simulators[SHOP].edit_by_hand(world.listing(SHOP, "MUG"), 9)

        async def is_decided() -> bool:
            return any(one["resolution"] == "republished" for one in await world.drifts())

        await world.until(is_decided, what="the shop's figure is written over")
        await world.until_verified()
        assert (await world.available("MUG"), shows(world, SHOP, "MUG")) == (5, 5)
