"""Mode auto, which a new SKU is in: what counts as scarce, and what a channel's silence makes scarce."""

from __future__ import annotations

import pytest

from domain.shop import BERLIN, BUNDLES, CAP, DUO, HAMBURG, MUG, SHOP, demand, key, lock
from flow.shelf_world import Ledger, open_ledger
from oneshelf.domain.command import Receive
from oneshelf.domain.identity import Channel, ChannelSku, Location
from oneshelf.domain.policy import Scope, rule_of
from oneshelf.domain.rights import Mode
from oneshelf.flow import plan, rule
from oneshelf.storage import catalog, hearing, rights, schedules, sign_offs

pytestmark = pytest.mark.pg

MARKET, STORE = Channel("market"), Channel("store")
EVERY_S = 60.0


async def connect(ledger: Ledger, channel: Channel, location: Location, *skus: str, shows: int) -> None:
    """A live channel whose orders were asked for just now, and its listings, each read to show so many."""
    async with ledger.database.transaction() as tx:
        await catalog.add_channel(tx, catalog.NewChannel(channel, "paper", location, {}, {}, {}))
        await catalog.set_mode(tx, channel, "live")
        await schedules.ensure(tx, channel, {"orders": EVERY_S})
        for sku in skus:
            await tx.execute(
                "insert into listings (channel, channel_sku, sku, base_units) values (%s, %s, %s, %s)",
                [channel, sku.lower(), sku, shows],
            )
            await tx.execute("insert into touched (sku) values (%s)", [sku])
    await fall_silent(ledger, channel, 0)


async def fall_silent(ledger: Ledger, channel: Channel, silent_s: float) -> None:
    """Nobody could ask it for orders for so long, and the engine looks."""
    async with ledger.database.transaction() as tx:
        await tx.execute(
            "update schedules set last_done_at = db_now() - make_interval(secs => %s) where channel = %s",
            [silent_s, channel],
        )
        await hearing.mark_changes(tx)


async def sells(ledger: Ledger, sku: str, a_day: float) -> None:
    """So much was measured: units a day in windows of a minute."""
    await ledger.rows(
        "insert into sku_demand (sku, channel, rate_per_s, variance_factor, threshold_units, inputs) "
        f"values ('{sku}', '', {a_day / 86_400}, 1, 1, '{{\"kept\": {{\"window_s\": 60}}}}') returning 1"
    )


async def planned(ledger: Ledger) -> dict[str, int]:
    """Plans all there is to plan. channel/listing -> desired units."""
    while await plan.plan(ledger.database):
        pass
    rows = await ledger.rows("select channel, channel_sku, desired_units from listings")
    return {f"{row['channel']}/{row['channel_sku']}": row["desired_units"] for row in rows}


async def guarded(ledger: Ledger) -> set[str]:
    await planned(ledger)
    return {row["sku"] for row in await ledger.rows("select sku from skus where is_guarded")}


async def touched(ledger: Ledger) -> set[str]:
    return {row["sku"] for row in await ledger.rows("select distinct sku from touched")}


async def test_a_new_sku_is_in_mode_auto_and_shares_its_last_units(dsn: str) -> None:
    async with open_ledger(dsn, {"MUG": 5}) as ledger:
        await sells(ledger, "MUG", 1)
        for channel in (SHOP, MARKET):
            await connect(ledger, channel, BERLIN, "MUG", shows=5)
        assert await planned(ledger) == {"shop/mug": 5, "market/mug": 5}
        await ledger.rows("update sku_demand set threshold_units = 5 returning 1")
        await ledger.rows("insert into touched (sku) values ('MUG') returning 1")
        assert sorted((await planned(ledger)).values()) == [2, 3]


async def test_what_may_be_short_is_offered_beyond_the_shelf_until_that_ends(dsn: str) -> None:
    async with open_ledger(dsn, {"MUG": 2}) as ledger:
        async with ledger.database.transaction() as tx:
            await rights.set_mode(tx, [MUG], Mode.AUTO, guard_at_units=4)
        for channel in (SHOP, MARKET):
            await connect(ledger, channel, BERLIN, "MUG", shows=2)
        assert await planned(ledger) == {"shop/mug": 1, "market/mug": 1}
        await ledger.allow(5)
        assert await planned(ledger) == {"shop/mug": 7, "market/mug": 7}
        await ledger.ask(lock(demand(MUG, 7)))
        assert await planned(ledger) == {"shop/mug": 0, "market/mug": 0}
        assert await guarded(ledger) == set(), "the cap was given to all, used up or not"
        await ledger.allow(None)
        assert await guarded(ledger) == {"MUG"}


async def test_a_floor_that_may_oversell_is_shown_of_what_is_scarce(dsn: str) -> None:
    async with open_ledger(dsn, {"MUG": 2}) as ledger:
        async with ledger.database.transaction() as tx:
            await rights.set_mode(tx, [MUG], Mode.AUTO, guard_at_units=4)
        for channel in (SHOP, MARKET):
            await connect(ledger, channel, BERLIN, "MUG", shows=2)
        floor = rule_of(Scope(sku=MUG, channel=MARKET), {"floor_units": 3, "may_oversell": True})
        await rule.put_rule(ledger.database, floor, actor="test")
        assert await planned(ledger) == {"shop/mug": 2, "market/mug": 3}


async def test_in_mode_guarded_nothing_is_offered_beyond_the_shelf(dsn: str) -> None:
    async with open_ledger(dsn, {"MUG": 2}) as ledger:
        async with ledger.database.transaction() as tx:
            await rights.set_mode(tx, [MUG], Mode.GUARDED)
        for channel in (SHOP, MARKET):
            await connect(ledger, channel, BERLIN, "MUG", shows=2)
        await ledger.allow(5)
        assert await planned(ledger) == {"shop/mug": 1, "market/mug": 1}


async def test_a_bundle_is_bounded_by_its_scarce_component_alone(dsn: str) -> None:
    """The plentiful one is shown twice, as a mug and in bundles: that takes nothing from the bundle."""
    async with open_ledger(dsn, {"MUG": 90, "CAP": 3}) as ledger:
        await ledger.define_duo()
        await sells(ledger, "CAP", 1)
        await ledger.rows("update sku_demand set threshold_units = 4 returning 1")
        await connect(ledger, SHOP, BERLIN, "MUG", "CAP", "DUO", shows=0)
        figures = await planned(ledger)
        assert figures["shop/mug"] == 90
        assert figures["shop/cap"] + figures["shop/duo"] == 3
        assert figures["shop/duo"] > 0
        assert await guarded(ledger) == {"CAP"}


async def test_a_bundle_has_no_units_of_its_own_that_could_be_scarce(dsn: str) -> None:
    async with open_ledger(dsn, {"MUG": 90, "CAP": 90}) as ledger:
        await ledger.define_duo(BUNDLES[DUO])
        await connect(ledger, SHOP, BERLIN, "MUG", "CAP", "DUO", shows=0)
        assert await planned(ledger) == {"shop/mug": 90, "shop/cap": 90, "shop/duo": 45}


async def test_a_frozen_bundle_sells_nothing_and_its_components_go_on(dsn: str) -> None:
    async with open_ledger(dsn, {"MUG": 90, "CAP": 90}) as ledger:
        await ledger.define_duo()
        async with ledger.database.transaction() as tx:
            await rights.set_mode(tx, [DUO], Mode.FROZEN)
        await connect(ledger, SHOP, BERLIN, "MUG", "CAP", "DUO", shows=0)
        assert await planned(ledger) == {"shop/mug": 90, "shop/cap": 90, "shop/duo": 0}


async def test_units_are_scarce_where_they_are_sold_whatever_lies_elsewhere(dsn: str) -> None:
    """And whichever other SKUs happen to be planned together with it."""
    async with open_ledger(dsn, {"MUG": 1, "CAP": 90}) as ledger:
        await ledger.ask(Receive(key=key(), sku=MUG, location=HAMBURG, units=500))
        await ledger.ask(Receive(key=key(), sku=CAP, location=HAMBURG, units=500))
        await sells(ledger, "MUG", 1)
        for channel in (SHOP, MARKET):
            await connect(ledger, channel, BERLIN, "MUG", "CAP", shows=0)
        await connect(ledger, STORE, HAMBURG, "CAP", shows=0)
        assert await guarded(ledger) == {"MUG"}
        assert sum(units for name, units in (await planned(ledger)).items() if name.endswith("mug")) == 1


async def test_a_place_that_has_none_makes_nothing_scarce_elsewhere(dsn: str) -> None:
    async with open_ledger(dsn, {"MUG": 500}) as ledger:
        await sells(ledger, "MUG", 1)
        await connect(ledger, SHOP, BERLIN, "MUG", shows=0)
        await connect(ledger, STORE, HAMBURG, "MUG", shows=0)
        assert await planned(ledger) == {"shop/mug": 500, "store/mug": 0}
        assert await guarded(ledger) == set()


async def test_to_connect_a_channel_and_look_takes_nothing_from_those_that_are_live(dsn: str) -> None:
    """It shows all there is, as before we came, and is guarded with the others once it is signed off."""
    async with open_ledger(dsn, {"MUG": 3}) as ledger:
        async with ledger.database.transaction() as tx:
            await rights.set_mode(tx, [MUG], Mode.AUTO, guard_at_units=4)
        await connect(ledger, SHOP, BERLIN, "MUG", shows=3)
        await connect(ledger, MARKET, BERLIN, "MUG", "CAP", shows=3)
        async with ledger.database.transaction() as tx:
            await catalog.set_mode(tx, MARKET, "watch")
        assert (await planned(ledger))["shop/mug"] == 3
        async with ledger.database.transaction() as tx:
            assert await sign_offs.sign_off(tx, MARKET, [ChannelSku("cap")], by="Ada") == 1
        assert (await planned(ledger))["shop/mug"] == 3, "the mugs there are not signed off"
        async with ledger.database.transaction() as tx:
            assert await sign_offs.sign_off(tx, MARKET, [ChannelSku("mug")], by="Ada") == 1
        figures = await planned(ledger)
        assert sorted((figures["shop/mug"], figures["market/mug"])) == [1, 2]


# A channel that is silent ---------------------------------------------------------------------------------------------


async def test_a_silent_channel_makes_scarce_what_could_run_out_meanwhile_and_nothing_else(dsn: str) -> None:
    async with open_ledger(dsn, {"MUG": 90, "CAP": 90, "SET": 90}) as ledger:
        await sells(ledger, "MUG", 2_400)
        await sells(ledger, "CAP", 2)
        for channel in (SHOP, MARKET):
            await connect(ledger, channel, BERLIN, "MUG", "CAP", "SET", shows=90)
        await planned(ledger)
        await fall_silent(ledger, MARKET, 2 * EVERY_S)
        assert await touched(ledger) == set(), "a poll or two is missed every day"
        await fall_silent(ledger, MARKET, 4 * EVERY_S)
        assert await guarded(ledger) == set(), "in minutes nothing runs out"
        await fall_silent(ledger, MARKET, 3600)
        assert await touched(ledger) == {"MUG"}, "what does not sell that much is not even looked at"
        assert await guarded(ledger) == {"MUG"}, "100 mugs are sold in an hour"
        assert sum(units for name, units in (await planned(ledger)).items() if name.endswith("mug")) == 90
        await fall_silent(ledger, MARKET, 0)
        assert await touched(ledger) == {"MUG"}
        assert await guarded(ledger) == set()
        await fall_silent(ledger, MARKET, 0)
        assert await touched(ledger) == set()


async def test_while_a_silence_lasts_a_shop_is_looked_at_a_few_times(dsn: str) -> None:
    async with open_ledger(dsn, {"MUG": 3}) as ledger:
        for channel in (SHOP, MARKET):
            await connect(ledger, channel, BERLIN, "MUG", shows=3)
        await planned(ledger)
        looks = 0
        for minute in range(1, 24 * 60, 7):
            await fall_silent(ledger, MARKET, 60.0 * minute)
            looks += bool(await touched(ledger))
            await planned(ledger)
        assert 1 <= looks <= 20
        assert await guarded(ledger) == {"MUG"}


async def test_an_own_threshold_holds_while_a_channel_is_silent(dsn: str) -> None:
    async with open_ledger(dsn, {"MUG": 90}) as ledger:
        for channel in (SHOP, MARKET):
            await connect(ledger, channel, BERLIN, "MUG", shows=90)
        for own, expected in ((100, {"MUG"}), (0, set())):
            async with ledger.database.transaction() as tx:
                await rights.set_mode(tx, [MUG], Mode.AUTO, guard_at_units=own)
            await fall_silent(ledger, MARKET, 3600)
            assert await guarded(ledger) == expected
        await ledger.ask(lock(demand(MUG, 89)))
        assert await guarded(ledger) == {"MUG"}, "of which nothing is known sells one in an hour, perhaps"


async def test_a_channel_that_is_not_live_is_not_missed(dsn: str) -> None:
    async with open_ledger(dsn, {"MUG": 3}) as ledger:
        for channel in (SHOP, MARKET):
            await connect(ledger, channel, BERLIN, "MUG", shows=3)
        await fall_silent(ledger, MARKET, 86_400)
        assert await guarded(ledger) == {"MUG"}
        async with ledger.database.transaction() as tx:
            await catalog.set_mode(tx, MARKET, "paused")
        await fall_silent(ledger, MARKET, 86_400)
        assert await guarded(ledger) == set()
