"""An order that is to leave from another location is on no shelf of ours, and two channels of one shop share it."""

from __future__ import annotations

from functools import partial

import pytest

from flow.world import BERLIN, CLOCK, SHOP, World, open_world, shopify_config
from oneshelf.connectors.shopify.simulator_shop import OTHER_LOCATION_ID
from oneshelf.domain.identity import Channel, ChannelSku, Location
from oneshelf.flow import interpret, receive
from oneshelf.storage import catalog, inbox, listings

HAMBURG, SECOND = Location("HAM"), Channel("shop-hamburg")


async def held(world: World) -> dict[str, int]:
    """Location -> units that lie there for orders."""
    rows = await world.rows("select location, sum(committed)::int as units from balances group by 1")
    return {row["location"]: row["units"] for row in rows if row["units"]}


async def is_held(world: World, units: int) -> bool:
    return (await held(world)).get(BERLIN, 0) == units


def line_of(world: World, order_id: str) -> str:
    (line,) = next(order for order in world.simulators[SHOP].orders() if order.order_id == order_id).lines
    return line.line_id


@pytest.mark.long
async def test_an_order_that_is_moved_away_frees_its_units_everywhere_and_back_it_takes_them(dsn: str) -> None:
    async with open_world(dsn, skus={"MUG": 5}, timing={"suspense_s": 60.0}) as world:
        order_id = world.sell(SHOP, "MUG", 3)
        await world.until(lambda: is_held(world, 3), what="the order is held")
        await world.until_verified()
        shop, line_id = world.simulators[SHOP], line_of(world, order_id)
        for elsewhere in (2, 3, 0):
            assert shop.ships_elsewhere(order_id, line_id, elsewhere)
            await world.until(partial(is_held, world, 3 - elsewhere), what=f"{elsewhere} are elsewhere")
            await world.until_verified()
            assert {row["desired_units"] for row in await world.listings()} == {2 + elsewhere}
        await world.assert_ledger_balances()


@pytest.mark.long
async def test_a_line_that_leaves_from_two_locations_is_held_once_in_each(dsn: str) -> None:
    """One shop, connected for each of its locations."""
    async with open_world(dsn, skus={"MUG": 5}) as world:
        settings, secrets = shopify_config()
        settings = {**settings, "location_id": OTHER_LOCATION_ID}
        async with world.database.transaction() as tx:
            await catalog.add_location(tx, HAMBURG)
            await catalog.add_channel(tx, catalog.NewChannel(SECOND, "shopify", HAMBURG, settings, secrets, {}))
        await world.channels.refresh()
        sku = ChannelSku(world.listing(SHOP, "MUG"))
        async with world.database.transaction() as tx:
            await tx.execute(
                "insert into listings (channel, channel_sku, alias, merchant_sku, title, sku) "
                "select %(second)s, channel_sku, alias, merchant_sku, title, sku from listings "
                "where channel = %(shop)s",
                {"second": SECOND, "shop": SHOP},
            )
            assert await listings.lock_links(tx, {(SECOND, sku)})
        order_id = world.sell(SHOP, "MUG", 3)
        assert world.simulators[SHOP].ships_elsewhere(order_id, line_of(world, order_id), 2)
        await world.until(lambda: is_split(world), what="one unit is held here, two there")
        assert world.simulators[SHOP].ship(order_id)
        await world.until(lambda: has_left(world, 3), what="all have left")
        assert await held(world) == {}
        await world.assert_ledger_balances()


async def is_split(world: World) -> bool:
    rows = await world.rows("select channel, units_committed + units_short as units from order_lines")
    return {row["channel"]: row["units"] for row in rows} == {SHOP: 1, SECOND: 2}


async def has_left(world: World, units: int) -> bool:
    rows = await world.rows("select coalesce(sum(units_shipped), 0)::int as units from order_lines")
    return rows == [{"units": units}]


@pytest.mark.long
async def test_a_message_about_fulfilment_orders_brings_the_next_poll_forward(dsn: str) -> None:
    async with open_world(dsn, skus={"MUG": 5}, timing={"poll_orders_s": 86_400.0}) as world:
        async with world.database.transaction() as tx:
            await tx.execute("update schedules set last_done_at = db_now() - interval '1 hour' where task = 'orders'")
            await tx.execute("update schedules set next_at = db_now() + interval '1 day' where task = 'orders'")
        shop = world.channels.by_name[SHOP]
        assert await receive.poll_orders(world.database, shop, CLOCK) == 0
        async with world.database.transaction() as tx:
            hint = inbox.NewDelivery("h", "fulfillment_orders/moved", b"{}")
            assert await inbox.store(tx, SHOP, [hint]) == 1
        await interpret.interpret(world.database, world.channels.by_name)
        due = await world.rows("select channel from schedules where task = 'orders' and next_at <= db_now()")
        assert due == [{"channel": SHOP}]
