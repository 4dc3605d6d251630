"""What may go wrong between Amazon and us, at Amazon's own pace, with the whole engine."""

from __future__ import annotations

import pytest

from flow.market import DAY_S, HOUR_S, MUG, SETTLED_S, TWIN, open_market

pytestmark = pytest.mark.pg

ORDER_PATH = "/orders/2026-01-01/orders/"


async def test_a_sale_is_known_everywhere_as_soon_as_the_queue_tells(dsn: str) -> None:
    async with open_market(dsn) as it:
        order_id = it.buy(3)
        await it.live(60, every_s=20)
        assert await it.posted() == [order_id]
        # Amazon hides the last two minutes from a search: it was asked for by its id.
        assert it.wiretap.count("GET", ORDER_PATH + order_id) >= 1
        assert (await it.figures(), it.shown_elsewhere) == ({"available": 17, "reserved": 3}, 17)
        await it.live(SETTLED_S)
        await it.assert_all_is_right()


async def test_a_write_that_crosses_a_sale_is_put_right(dsn: str) -> None:
    async with open_market(dsn) as it:
        await it.sell_elsewhere(1)
        await it.work()
        assert (it.writes, it.shown()) == (1, 20), "Amazon has accepted 19, and shows it later"
        it.buy(2)
        assert it.shown() == 18
        shown = set()
        for _ in range(20):
            await it.live(20, every_s=20)
            shown.add(it.shown())
        assert 19 in shown, "the write has undone the sale, as a blind one does"
        await it.live(SETTLED_S)
        assert await it.available() == 17
        await it.assert_all_is_right()


async def test_news_that_is_doubled_overtaken_and_lost_moves_each_unit_once(dsn: str) -> None:
    async with open_market(dsn, units=60) as it:
        share = {"notification_duplicate": 0.4, "notification_reorder": 0.3, "notification_lost": 0.3}
        it.amazon.switches.set({**share, "order_late": {"next": 2}})
        for number in range(12):
            order_id = it.buy(1 + number % 3)
            await it.live(200, every_s=100)
            if number % 4 == 3:
                assert it.amazon.cancel(order_id)
        it.amazon.switches.set(dict.fromkeys(share, 0.0))
        await it.live(2 * SETTLED_S)
        hits = it.amazon.switches.hits
        assert all(hits[name] > 0 for name in [*share, "order_late"]), hits
        assert len(await it.posted()) == 12
        await it.assert_all_is_right()


async def test_an_outage_of_a_whole_type_of_news_costs_time_and_no_sale(dsn: str) -> None:
    async with open_market(dsn) as it:
        it.amazon.switches.set({"notification_outage": {"next": 2}})
        for _ in range(3):
            it.buy(2)
            await it.live(300)
        await it.live(SETTLED_S)
        assert it.amazon.switches.hits["notification_outage"] == 2, "orders and quantities"
        assert it.amazon.queue.sent_count == 0
        assert len(await it.posted()) == 3
        await it.assert_all_is_right()


async def test_units_of_an_order_that_is_not_paid_for_20_days_are_kept_and_come_back_once(dsn: str) -> None:
    async with open_market(dsn) as it:
        it.amazon.habits.unpaid_share = 1.0
        it.amazon.habits.verify_s = (20 * DAY_S, 20 * DAY_S)
        it.amazon.switches.set({"payment_for_weeks": {"next": 1}, "notification_duplicate": 1.0})
        order_id = it.buy(2)
        await it.live(HOUR_S, every_s=300)
        for _ in range(19 * 2 - 1):
            await it.live(DAY_S / 2, every_s=DAY_S / 2)
            assert await it.figures() == {"available": 18, "reserved": 2}
            assert it.shown_elsewhere == 18
        [order] = it.amazon.orders()
        assert order.status == "pending"
        await it.live(2 * DAY_S, every_s=HOUR_S * 6)
        [order] = it.amazon.orders()
        assert (order.order_id, order.status) == (order_id, "cancelled")
        await it.live(SETTLED_S)
        assert await it.figures() == {"available": 20}
        await it.assert_all_is_right()


async def test_an_order_that_is_paid_after_weeks_is_shipped_from_what_was_kept(dsn: str) -> None:
    async with open_market(dsn) as it:
        it.amazon.switches.set({"payment_for_weeks": {"next": 1}})
        it.buy(2)
        await it.live(HOUR_S, every_s=300)
        assert await it.figures() == {"available": 18, "reserved": 2}
        await it.live(21 * DAY_S, every_s=DAY_S)
        await it.live(SETTLED_S)
        assert await it.figures() == {"available": 18, "committed": 2}
        await it.assert_all_is_right()


async def test_a_write_whose_answer_was_lost_after_it_was_done_is_found_and_not_sent_again(dsn: str) -> None:
    async with open_market(dsn) as it:
        it.amazon.switches.set({"reply_lost": {"next": 1}})
        await it.sell_elsewhere(4)
        await it.work()
        [listing] = await it.rows("select phase from listings where channel = 'market'")
        assert (listing["phase"], it.amazon.switches.hits["reply_lost"]) == ("unknown", 1)
        await it.live(SETTLED_S)
        assert it.writes == 1
        assert it.shown() == 16
        await it.assert_all_is_right()


@pytest.mark.parametrize("has_queue", [True, False], ids=["queue", "polled alone"])
async def test_after_six_hours_away_it_catches_up_within_what_amazon_grants(dsn: str, has_queue: bool) -> None:
    async with open_market(dsn, units=300, has_queue=has_queue) as it:
        for _ in range(36):
            await it.pass_time(600)
            for _ in range(3):
                it.buy(1)
        await it.live(900)
        assert len(await it.posted()) == 108
        assert it.answers(429) == []
        await it.live(2 * SETTLED_S)
        assert it.answers(429) == []
        assert it.amazon.queue.visible_count == 0
        assert await it.rows("select * from wanted_orders") == []
        await it.assert_all_is_right()


async def test_a_figure_that_the_seller_types_is_seen_within_minutes_and_put_right(dsn: str) -> None:
    async with open_market(dsn) as it:
        await it.live(HOUR_S)
        edited_at = it.clock.now()
        it.amazon.edit_by_hand(MUG, 3)
        await it.live(600)
        [drift] = await it.drifts()
        assert (drift["opened_at"] - edited_at).total_seconds() < 600, "long before the next look at all listings"
        await it.live(2 * SETTLED_S)
        [drift] = await it.drifts()
        assert (drift["cause"], drift["resolution"]) == ("foreign edit", "republished")
        assert it.shown() == 20
        await it.assert_all_is_right()


async def test_what_amazon_ships_itself_moves_nothing_of_ours_and_is_never_written(dsn: str) -> None:
    async with open_market(dsn, has_twin=True) as it:
        it.buy(2, sku=TWIN)
        it.buy(1)
        await it.sell_elsewhere(1)
        await it.live(2 * SETTLED_S)
        assert await it.available() == 18
        assert it.shown(TWIN) == 18, "two of Amazon's own are sold, and nobody wrote"
        assert it.amazon.amazon.catalogue[TWIN].channel_code == "AMAZON_NA"
        assert it.wiretap.count("PATCH", TWIN) == 0
        await it.assert_all_is_right()


async def test_nobody_writes_because_of_news_of_ones_own_writes(dsn: str) -> None:
    async with open_market(dsn, units=100) as it:
        for _ in range(5):
            it.buy(1)
            await it.sell_elsewhere(1)
            await it.live(HOUR_S, every_s=240)
        sent = it.amazon.queue.sent_count
        # A sale at Amazon lowers what is shown by itself; a write may cross one, and has to be repeated then.
        assert 5 <= it.writes <= 3 * 5
        before = it.writes
        await it.live(12 * HOUR_S, every_s=HOUR_S)
        assert it.writes == before, "nothing was sold"
        assert sent > it.writes, "each write and each sale was told"
        await it.assert_all_is_right()
