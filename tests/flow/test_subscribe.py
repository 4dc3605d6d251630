"""The engine sees that a channel goes on telling it, and finds by itself what nobody told."""

from __future__ import annotations

from collections.abc import Mapping

from structlog.testing import capture_logs

from flow.one_shop import CREDENTIALS, OneShop, open_shop
from flow.world import SHOP
from oneshelf.connectors.shopify.simulator_tokens import SCOPES
from oneshelf.flow.channel import webhook_address
from oneshelf.storage import subscriptions
from oneshelf.storage.subscriptions import SubscriptionCheck

STATIC = {"access_token": "shpat_simulated", "webhook_secret": CREDENTIALS["client_secret"]}


async def the_check(shop: OneShop) -> SubscriptionCheck:
    async with shop.database.transaction() as tx:
        return (await subscriptions.checks(tx))[SHOP]


def sell(shop: OneShop) -> str:
    order_id = shop.sim.place([(shop.sim.listings()[0].channel_sku, 1)])
    assert order_id
    return order_id


async def is_due(shop: OneShop) -> Mapping[str, bool]:
    rows = await shop.rows("select task, next_at <= db_now() as is_due from schedules")
    return {row["task"]: row["is_due"] for row in rows}


async def test_an_engine_that_starts_is_told_of_sales_from_then_on(dsn: str) -> None:
    async with open_shop(dsn) as shop:
        made = await shop.watchdog().keep()
        assert made == len(shop.sim.webhooks.subscriptions.topics) > 10
        order_id = sell(shop)

        async def is_told() -> bool:
            return await shop.orders() == [order_id]

        await shop.until(is_told, what="the sale is announced and posted")
        check = await the_check(shop)
        assert check.address == webhook_address("http://127.0.0.1:8700", SHOP) == "http://127.0.0.1:8700/webhooks/shop"
        assert (len(check.topics), check.refused, check.lost_count) == (made, {}, 0)


async def test_it_looks_when_it_starts_and_every_hour(dsn: str) -> None:
    async with open_shop(dsn) as shop:
        watchdog = shop.watchdog()
        assert await watchdog.keep() > 0
        shop.sim.webhooks.subscriptions.forget()
        assert await watchdog.keep() == 0
        assert shop.sim.webhooks.subscriptions.topics == []
        [row] = await shop.rows(
            "select every_s, round(extract(epoch from next_at - last_done_at)) as wait_s from schedules "
            "where task = 'subscriptions'"
        )
        assert (row["every_s"], row["wait_s"]) == (3600, 3600)
        # It was looked at just now: of two that start together one looks.
        assert await shop.watchdog().keep() == 0
        await shop.rows("update schedules set last_done_at = last_done_at - interval '2 minutes' returning 1")
        assert await shop.watchdog().keep() > 0


async def test_what_was_lost_is_made_anew_told_once_and_what_nobody_told_is_polled_for(dsn: str) -> None:
    async with open_shop(dsn) as shop:
        watchdog = shop.watchdog()
        await watchdog.keep()
        await shop.poll()
        assert await is_due(shop) == {"orders": False, "stock": True, "subscriptions": False}
        await shop.rows("update schedules set next_at = db_now() + interval '1 day' where task = 'stock' returning 1")
        shop.sim.webhooks.subscriptions.forget()
        order_id = sell(shop)
        assert await shop.poll() == 0
        assert await shop.orders() == []
        await shop.make_due("subscriptions")
        with capture_logs() as logs:
            assert await watchdog.keep() > 10
        [line] = [line for line in logs if line["event"] == "subscriptions.lost"]
        check = await the_check(shop)
        assert line["count"] == check.lost_count == len(check.lost_topics) == len(check.topics)
        assert check.lost_at is not None
        # The poll goes on where its last one ended, and so covers the whole of the gap; the sweep reads all stock.
        assert await is_due(shop) == {"orders": True, "stock": True, "subscriptions": False}
        assert await shop.poll() == 1
        assert await shop.orders() == [order_id]
        await shop.make_due("subscriptions")
        with capture_logs() as logs:
            assert await watchdog.keep() == 0
        assert logs == []
        assert (await the_check(shop)).lost_count == check.lost_count


async def test_another_address_is_subscribed_to_and_nothing_was_lost(dsn: str) -> None:
    async with open_shop(dsn) as shop:
        made = await shop.watchdog().keep()
        await shop.rows("update schedules set last_done_at = null returning 1")
        assert await shop.watchdog(public_url="https://shelf.example").keep() == made
        check = await the_check(shop)
        assert (check.address, check.lost_count) == ("https://shelf.example/webhooks/shop", 0)
        # Those to the former address are left to the shop, which drops what cannot be delivered.
        assert len(shop.sim.webhooks.subscriptions.topics) == 2 * made


async def test_an_address_that_the_shop_refuses_is_told_once_and_tried_again_soon(dsn: str) -> None:
    async with open_shop(dsn) as shop:
        watchdog = shop.watchdog(public_url="http://shelf.example")
        with capture_logs() as logs:
            assert await watchdog.keep() == 0
            await shop.make_due("subscriptions")
            assert await watchdog.keep() == 0
        assert [line["event"] for line in logs] == ["subscriptions.refused"]
        assert set((await the_check(shop)).refused.values()) == {"Address protocol http:// is not supported"}
        [row] = await shop.rows(
            "select next_at < db_now() + interval '6 minutes' as is_soon, last_fault from schedules "
            "where task = 'subscriptions'"
        )
        assert row["is_soon"]
        assert "not supported" in row["last_fault"]


async def test_a_shop_that_is_busy_is_asked_again_and_nothing_counts_as_lost(dsn: str) -> None:
    async with open_shop(dsn) as shop:
        watchdog = shop.watchdog()
        shop.sim.switches.set({"throttle": {"next": 1}})
        assert await watchdog.keep() == 0
        assert await shop.rows("select 1 from subscription_checks") == []
        await shop.rows("update channels set paused_until = null returning 1")
        await shop.make_due("subscriptions")
        assert await watchdog.keep() > 10


async def test_a_shop_from_which_the_app_was_uninstalled_is_left_alone_with_the_reason(dsn: str) -> None:
    async with open_shop(dsn) as shop:
        await shop.watchdog().keep()
        shop.sim.installed.uninstall()

        async def is_paused() -> bool:
            await shop.read_on()
            return bool(await shop.rows("select 1 from channels where paused_until > db_now()"))

        with capture_logs() as logs:
            await shop.until(is_paused, what="the uninstallation is told")
        assert [line["event"] for line in logs] == ["channel.access_lost"]
        [row] = await shop.rows("select last_fault, mode from channels")
        assert "uninstalled" in row["last_fault"]
        await shop.make_due("orders")
        assert await shop.poll() == 0
        # It is tried again by itself, since such a message may be a day old.
        shop.sim.installed.install()
        await shop.rows("update channels set paused_until = null returning 1")
        order_id = sell(shop)
        assert await shop.poll() == 1
        assert await shop.orders() == [order_id]
        assert (await shop.rows("select last_fault, fail_streak from channels"))[0] == {
            "last_fault": "",
            "fail_streak": 0,
        }


async def test_a_right_that_was_taken_away_is_shown_and_one_that_is_not_needed_is_nothing(dsn: str) -> None:
    async with open_shop(dsn, STATIC) as shop:
        await shop.watchdog().keep()
        shop.sim.installed.leave_scopes((*SCOPES, "read_returns"))
        shop.sim.installed.leave_scopes(("read_orders", "read_locations", "read_products"))

        async def are_read() -> bool:
            await shop.read_on()
            rows = await shop.rows("select 1 from inbox where topic = 'app/scopes_update' and state = 'done'")
            return len(rows) == 2

        await shop.until(are_read, what="both changes of rights are read")
        [row] = await shop.rows("select last_fault, fail_streak from channels")
        assert "write_inventory" in row["last_fault"]
        assert row["fail_streak"] == 1
