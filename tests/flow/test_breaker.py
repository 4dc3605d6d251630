"""A mass change stops and asks; sales go on."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from flow.world import BERLIN, CLOCK, MARKET, SHOP, World, open_world
from oneshelf.domain.command import Command, CommandKey, Count
from oneshelf.domain.identity import Sku
from oneshelf.flow import post
from oneshelf.storage import breakers

SKUS = {f"MUG-{n:02}": 5 for n in range(14)}
OTHERS = ("CAP", "HAT")
BOTH = {"market": "zeroed", "shop": "zeroed"}


def counts(skus: Iterable[str], units: int, *, file: str) -> list[Command]:
    """A count file."""
    return [
        Count(key=CommandKey(scope="file", key=f"{file}/{sku}"), sku=Sku(sku), location=BERLIN, units=units)
        for sku in skus
    ]


async def upload(world: World, commands: list[Command]) -> None:
    await post.post_commands(world.database, CLOCK.new_id, commands)


async def turn(world: World, times: int = 8) -> None:
    for _ in range(times):
        await world.turn()


def shown(world: World) -> dict[str, set[int]]:
    return {
        str(name): {listing.units for listing in simulator.listings()} for name, simulator in world.simulators.items()
    }


async def held(world: World) -> dict[str, str]:
    rows = await world.rows("select channel, held_reason from channels where held_at is not null")
    return {row["channel"]: row["held_reason"] for row in rows}


async def release(world: World) -> None:
    async with world.database.transaction() as tx:
        for channel in (SHOP, MARKET):
            await breakers.end_hold(tx, channel, lets_go=True)


@pytest.mark.long
async def test_a_count_file_full_of_zeros_reaches_no_channel(dsn: str) -> None:
    async with open_world(dsn, skus={**SKUS, "CAP": 5}) as world:
        await upload(world, counts(SKUS, 0, file="night"))
        await world.until(lambda: is_held(world, BOTH), what="both channels are held")
        await turn(world)
        assert await held(world) == BOTH
        assert shown(world) == {"market": {5}, "shop": {5}}

        # The statement that counts and the rule that judges agree.
        async with world.database.transaction() as tx:
            for channel in (SHOP, MARKET):
                found = await breakers.changes(tx, channel, [row["channel_sku"] for row in await world.listings()])
                counted = await breakers.count(tx, channel, window_s=3600)
                assert counted.waiting == sum(change.is_by_hand for change in found.values()) == 14
                most = await breakers.most(tx, channel, window_s=3600)
                assert most == counted.figures  # no sale is among them
                assert counted.figures.zeroed == sum(change.is_by_hand and change.is_zero for change in found.values())

        # What is sold is cut elsewhere all the same, and nothing else.
        world.sell(SHOP, "CAP", 2)
        await world.until(lambda: shows(world, "CAP", 3), what="the sale is cut at the other channel")
        assert shown(world) == {"market": {5, 3}, "shop": {5, 3}}
        assert await held(world) == BOTH

        # The file was wrong: it is counted again, and nobody has to say that the channels may be written.
        await upload(world, counts(SKUS, 5, file="morning"))
        await world.rows("update channels set hold_checked_at = '2000-01-01' returning 1")
        await world.until_verified()
        assert await held(world) == {}
        assert shown(world) == {"market": {5, 3}, "shop": {5, 3}}
        await world.assert_ledger_balances()


@pytest.mark.long
async def test_a_person_lets_it_go(dsn: str) -> None:
    async with open_world(dsn, skus=SKUS) as world:
        await upload(world, counts(SKUS, 0, file="after-the-fair"))
        await world.until(lambda: is_held(world, BOTH), what="both channels are held")
        await turn(world)
        assert await held(world) == BOTH
        [row] = await world.rows("select held_figures from channels where channel = 'shop'")
        assert row["held_figures"] == {"shown": 14, "linked": 14, "zeroed": 14, "changed": 14}
        await release(world)
        await world.until_verified()
        assert shown(world) == {"market": {0}, "shop": {0}}
        assert await held(world) == {}


@pytest.mark.long
async def test_sales_that_empty_the_shelf_are_never_held(dsn: str) -> None:
    async with open_world(dsn, skus=SKUS) as world:
        for sku in SKUS:
            world.sell(SHOP, sku, 5)
        await world.until_verified()
        assert shown(world) == {"market": {0}, "shop": {0}}
        assert await held(world) == {}
        assert await world.rows("select 1 from channels where held_from is not null") == []


@pytest.mark.long
async def test_zeros_that_trickle_in_are_counted_over_the_window(dsn: str) -> None:
    async with open_world(dsn, skus=SKUS) as world:
        for sku in list(SKUS)[:9]:
            await upload(world, counts([sku], 0, file="trickle"))
            await world.until(lambda sku=sku: shows(world, sku, 0), what=f"{sku} is off sale")  # type: ignore[misc]  # a lambda that binds
        assert await held(world) == {}
        await upload(world, counts(list(SKUS)[9:], 0, file="trickle"))
        await world.until(lambda: is_held(world, BOTH), what="both channels are held")
        await turn(world)
        assert await held(world) == BOTH
        assert shown(world) == {"market": {0, 5}, "shop": {0, 5}}


@pytest.mark.long
async def test_a_channel_with_limits_of_its_own_is_held_for_what_would_be_raised(dsn: str) -> None:
    async with open_world(dsn, skus=SKUS) as world:
        async with world.database.transaction() as tx:
            await breakers.set_limits(tx, SHOP, {"change_least": 5, "change_share": 0.3})
        for n, sku in enumerate(list(SKUS)[:6]):
            await world.receive(sku, 500, key=f"typo-{n}")
        await world.until(lambda: is_held(world, {"shop": "changed"}), what="the shop is held")
        await world.until(lambda: market_shows(world, {5, 505}), what="the market has its usual limits, and is written")
        assert shown(world)["shop"] == {5}


async def is_held(world: World, reasons: dict[str, str]) -> bool:
    return await held(world) == reasons


async def market_shows(world: World, figures: set[int]) -> bool:
    return shown(world)["market"] == figures


async def shows(world: World, sku: str, units: int) -> bool:
    return all(
        listing.units == units
        for simulator in world.simulators.values()
        for listing in simulator.listings()
        if listing.merchant_sku == sku
    )
