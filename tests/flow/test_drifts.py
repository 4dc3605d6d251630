"""A drift has a cause with its evidence, ends by a rule or by a person, and is never healed for ever."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from uuid import UUID

import pytest

from flow.world import CLOCK, MARKET, SHOP, World, open_world
from oneshelf.connectors.amazon.simulator import AmazonSimulator
from oneshelf.domain.command import Adopt
from oneshelf.domain.drift import HEALS_MAX, How
from oneshelf.domain.identity import Channel
from oneshelf.domain.outcome import Outcome
from oneshelf.errors import CannotResolveError
from oneshelf.flow import post, resolve
from oneshelf.storage import catalog


def poster(world: World) -> Callable[[Adopt], Awaitable[Outcome]]:
    async def ask(wish: Adopt) -> Outcome:
        [answered] = await post.post_commands(world.database, CLOCK.new_id, [wish])
        return answered.outcome

    return ask


async def by_hand(world: World, drift_id: UUID, how: How, wait_s: int = 0) -> str:
    return await resolve.by_hand(
        world.database,
        drift_id,
        how,
        post=poster(world),
        book=lambda: post.post_moves(world.database, CLOCK.new_id),
        wait_s=wait_s,
    )


async def set_timing(world: World, **seconds: float) -> None:
    for name, value in seconds.items():
        async with world.database.transaction() as tx:
            await tx.execute(
                "update channels set timing = timing || jsonb_build_object(%(name)s::text, %(value)s::float8)",
                {"name": name, "value": value},
            )
    await world.channels.refresh()


async def set_mode(world: World, channel: Channel, mode: str) -> None:
    async with world.database.transaction() as tx:
        await catalog.set_mode(tx, channel, mode)


def opens(world: World, **wanted: object) -> Callable[[], Awaitable[bool]]:
    async def has() -> bool:
        return any(all(drift[name] == value for name, value in wanted.items()) for drift in await world.drifts())

    return has


@pytest.mark.long
async def test_a_write_that_is_never_applied_is_tried_a_few_times_and_then_waits_for_a_person(dsn: str) -> None:
    async with open_world(dsn, skus={"MUG": 5}) as world:
        await set_timing(world, apply_s=0.3)
        market = world.simulators[MARKET]
        market.switches.set({"write_never_applied": 1.0})
        world.sell(SHOP, "MUG", 2)

        async def waits() -> bool:
            return any(drift["waiting_for"] for drift in await world.drifts())

        await world.until(waits, what="the drift waits for a person")
        (drift,) = await world.drifts()
        assert (drift["cause"], drift["heal_count"], drift["resolved_at"]) == ("lost write", HEALS_MAX, None)
        assert "never shown" in drift["waiting_for"]
        assert drift["evidence"]["writes"][-1]["units"] == 3
        tries = market.switches.hits["write_never_applied"]
        for _ in range(20):
            await world.turn()
        assert market.switches.hits["write_never_applied"] == tries

        market.switches.set({"write_never_applied": 0.0})
        assert "written again" in await by_hand(world, drift["drift_id"], How.PUBLISH)
        await world.until_verified()
        (drift,) = await world.drifts()
        assert (drift["resolution"], drift["waiting_for"]) == ("republished", "")


@pytest.mark.long
async def test_a_drift_of_a_channel_that_is_only_watched_waits_and_can_be_adopted_once(dsn: str) -> None:
    async with open_world(dsn, skus={"MUG": 5}) as world:
        await set_mode(world, SHOP, "watch")
        world.simulators[SHOP].edit_by_hand(world.listing(SHOP, "MUG"), 2)
        await world.until(opens(world, resolved_at=None, cause="unknown"), what="the fall is a drift")
        for _ in range(10):
            await world.turn()
        (drift,) = await world.drifts()
        assert (drift["resolution"], drift["resolved_at"]) == ("", None)
        with pytest.raises(CannotResolveError, match="channel live"):
            await by_hand(world, drift["drift_id"], How.PUBLISH)
        assert "-3 MUG" in await by_hand(world, drift["drift_id"], How.ADOPT)
        assert await world.available("MUG") == 2
        assert "adopted already" in await by_hand(world, drift["drift_id"], How.ADOPT)
        with pytest.raises(CannotResolveError, match="adopted already"):
            await by_hand(world, drift["drift_id"], How.PUBLISH)
        assert await world.available("MUG") == 2
        (drift,) = await world.drifts()
        assert (drift["resolution"], drift["resolved_at"] is None) == ("adopted", False)

        async def market_shows_it() -> bool:
            return [listing.units for listing in world.simulators[MARKET].listings()] == [2]

        await world.until(market_shows_it, what="the other channel shows what was adopted")
        await world.assert_ledger_balances()


@pytest.mark.long
async def test_an_adopted_fall_of_a_live_channel_is_proved_and_not_written_over(dsn: str) -> None:
    async with open_world(dsn, skus={"MUG": 5}, timing={"suspense_s": 60.0}) as world:
        world.simulators[SHOP].edit_by_hand(world.listing(SHOP, "MUG"), 1)
        await world.until(opens(world, resolved_at=None, cause="unknown"), what="the fall is a drift")
        (drift,) = await world.drifts()
        await by_hand(world, drift["drift_id"], How.ADOPT)
        await world.until_verified()
        assert await world.available("MUG") == 1
        (drift,) = await world.drifts()
        assert (drift["resolution"], drift["cause"]) == ("adopted", "foreign edit")
        assert drift["resolved_at"] is not None


@pytest.mark.long
async def test_a_drift_can_be_put_off_and_is_decided_afterwards(dsn: str) -> None:
    async with open_world(dsn, skus={"MUG": 5}) as world:
        await set_mode(world, SHOP, "watch")
        world.simulators[SHOP].edit_by_hand(world.listing(SHOP, "MUG"), 9)
        await world.until(opens(world, resolved_at=None), what="the rise is a drift")
        (drift,) = await world.drifts()
        await by_hand(world, drift["drift_id"], How.WAIT, wait_s=3600)
        await set_mode(world, SHOP, "live")
        for _ in range(10):
            await world.turn()
        assert [row["resolution"] for row in await world.drifts()] == [""]
        await by_hand(world, drift["drift_id"], How.WAIT)
        await world.until_verified()
        assert [row["resolution"] for row in await world.drifts()] == ["republished"]


@pytest.mark.long
async def test_an_order_that_comes_after_its_drift_is_over_still_explains_it_and_is_named(dsn: str) -> None:
    async with open_world(dsn, skus={"MUG": 5}) as world:
        market = world.simulators[MARKET]
        assert isinstance(market, AmazonSimulator)
        # Later than the fall is decided upon, with every order known of the time in which it was held back.
        market.habits.late_s = (6000.0, 6000.0)
        market.switches.set({"order_late": {"next": 1}})
        order_id = world.sell(MARKET, "MUG", 2)
        await world.until(opens(world, resolution="republished"), what="nobody can explain the fall in time")

        async def is_explained() -> bool:
            await resolve.explain_late(world.database, world.channels.by_name)
            return any(drift["explained_by"] for drift in await world.drifts())

        await world.until(is_explained, what="the order came")
        drift = (await world.drifts())[0]
        assert drift["explained_by"] == f"market/{order_id}"
        assert drift["cause"] in {"unseen order", "late pending"}
        assert drift["evidence"]["orders"][0]["units"] == 2
        assert await resolve.explain_late(world.database, world.channels.by_name) == 0


@pytest.mark.long
async def test_nobody_is_said_to_have_edited_where_a_late_order_explains_a_part_of_it(dsn: str) -> None:
    async with open_world(dsn, skus={"MUG": 5}) as world:
        market = world.simulators[MARKET]
        assert isinstance(market, AmazonSimulator)
        market.habits.late_s = (6000.0, 6000.0)
        market.switches.set({"order_late": {"next": 1}})
        order_id = world.sell(MARKET, "MUG", 2)
        market.edit_by_hand(world.listing(MARKET, "MUG"), 1)
        await world.until(opens(world, resolution="republished"), what="nobody can explain the fall in time")
        assert (await world.drifts())[0]["cause"] == "foreign edit"

        async def is_seen() -> bool:
            await resolve.explain_late(world.database, world.channels.by_name)
            return any(drift["cause"] != "foreign edit" for drift in await world.drifts())

        await world.until(is_seen, what="the order came")
        drift = (await world.drifts())[0]
        assert (drift["cause"], drift["explained_by"]) == ("unknown", "")
        assert f"market/{order_id}" in drift["evidence"]["why"]
