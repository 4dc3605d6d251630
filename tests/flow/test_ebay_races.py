"""What may go wrong between eBay and us, at eBay's own pace, with the whole engine."""

from __future__ import annotations

import pytest

from flow.market import DAY_S, HOUR_S, MARKET, MUG, SETTLED_S, Market, open_ebay
from oneshelf.connectors.ebay.simulator import EbaySimulator
from oneshelf.connectors.ebay.simulator_books import Lane

pytestmark = pytest.mark.pg

BOTH = pytest.mark.parametrize("lane", list(Lane), ids=str)


@BOTH
async def test_after_six_hours_away_it_catches_up_within_what_ebay_grants(dsn: str, lane: Lane) -> None:
    async with open_ebay(dsn, lane, units=300) as it:
        for _ in range(36):
            await it.pass_time(600)
            for _ in range(3):
                it.buy(1)
        await it.live(900)
        assert len(await it.posted()) == 108
        await it.live(2 * SETTLED_S)
        assert it.answers(429) == []
        assert it.place.ebay.catalogue[MUG].listing.revisions[1] < 250
        await it.assert_all_is_right()


@BOTH
async def test_what_sells_out_while_we_are_away_comes_back_also_where_a_zero_is_refused(dsn: str, lane: Lane) -> None:
    async with open_ebay(dsn, lane, has_control=False) as it:
        it.buy(20)
        assert not it.place.ebay.catalogue[MUG].is_on_sale
        await it.pass_time(6 * HOUR_S)
        await it.live(SETTLED_S)
        assert (await it.available(), it.shown(), it.shown_elsewhere) == (0, 0, 0)
        await it.restock(8, key="second")
        await it.live(SETTLED_S)
        assert await it.available() == 8
        await it.assert_all_is_right()


@pytest.mark.parametrize("is_restarted", [False, True], ids=["same process", "restarted"])
@BOTH
async def test_a_sold_out_listing_comes_back_with_what_is_cancelled(dsn: str, lane: Lane, is_restarted: bool) -> None:
    """EBay ended it by itself, and puts back nothing of an order that is cancelled later. Nobody saw it end."""
    async with open_ebay(dsn, lane, has_control=False) as it:
        order_id = it.buy(20)
        assert not it.place.ebay.catalogue[MUG].is_on_sale
        if is_restarted:
            await it.restart()
        assert it.place.cancel(order_id)
        # A sweep misses it. An order that explains the fall is waited for as long as one may stay unheard of.
        await it.live(2 * HOUR_S + it.channels[MARKET].suspense_s, every_s=300.0)
        assert await it.available() == 20
        await it.assert_all_is_right()


@BOTH
async def test_what_a_person_ended_stays_ended_also_for_an_engine_that_was_not_there(dsn: str, lane: Lane) -> None:
    async with open_ebay(dsn, lane, has_control=False) as it:
        it.place.ebay.end(it.place.ebay.catalogue[MUG].listing)
        await it.restart()
        await it.sell_elsewhere(2)
        await it.live(3 * SETTLED_S)
        assert not it.place.ebay.catalogue[MUG].is_on_sale
        assert (await it.available(), it.shown_elsewhere) == (18, 18)


@BOTH
async def test_what_sold_out_before_a_restart_comes_back_with_new_units(dsn: str, lane: Lane) -> None:
    async with open_ebay(dsn, lane, has_control=False) as it:
        it.buy(20)
        await it.restart()
        await it.live(SETTLED_S)
        assert (await it.available(), it.shown()) == (0, 0)
        await it.restock(8, key="second")
        await it.live(2 * SETTLED_S)
        assert await it.available() == 8
        await it.assert_all_is_right()


@BOTH
async def test_a_write_that_crosses_a_sale_is_put_right(dsn: str, lane: Lane) -> None:
    async with open_ebay(dsn, lane) as it:
        it.place.habits.apply_s = (60.0, 60.0)
        await it.sell_elsewhere(1)
        await it.work()
        assert it.shown() == 20, "eBay has accepted 19, and shows it later"
        it.buy(2)
        assert it.shown() == 18
        shown = set()
        for _ in range(10):
            await it.live(20, every_s=20)
            shown.add(it.shown())
        assert 19 in shown, "the write has undone the sale, as a blind one does"
        await it.live(SETTLED_S)
        assert await it.available() == 17
        await it.assert_all_is_right()


@BOTH
async def test_a_write_whose_answer_was_lost_after_it_was_done_is_found_and_not_sent_again(
    dsn: str, lane: Lane
) -> None:
    async with open_ebay(dsn, lane) as it:
        it.place.switches.set({"reply_lost": {"next": 1}})
        await it.sell_elsewhere(4)
        await it.work()
        [listing] = await it.rows("select phase from listings where channel = 'market'")
        assert (listing["phase"], it.place.switches.hits["reply_lost"]) == ("unknown", 1)
        await it.live(SETTLED_S)
        assert revisions(it) == 1
        assert it.shown() == 16
        await it.assert_all_is_right()


@BOTH
async def test_news_that_is_doubled_overtaken_and_lost_moves_each_unit_once(dsn: str, lane: Lane) -> None:
    async with open_ebay(dsn, lane, units=60, has_webhooks=True) as it:
        share = {"webhook_duplicate": 0.4, "webhook_reorder": 0.3, "webhook_lost": 0.3}
        it.place.switches.set({**share, "order_late": {"next": 2}})
        for number in range(12):
            order_id = it.buy(1 + number % 3)
            await it.live(200, every_s=100)
            if number % 4 == 3:
                assert it.place.cancel(order_id)
        it.place.switches.set({**dict.fromkeys(share, 0.0), "webhook_tampered": {"next": 1}})
        it.buy(1)
        await it.live(2 * SETTLED_S)
        hits = it.place.switches.hits
        assert all(hits[name] > 0 for name in [*share, "order_late", "webhook_tampered"]), hits
        assert it.refused_count >= 1
        assert len(await it.posted()) == 13
        await it.assert_all_is_right()


@BOTH
async def test_a_sale_is_known_everywhere_as_soon_as_ebay_tells(dsn: str, lane: Lane) -> None:
    async with open_ebay(dsn, lane, has_webhooks=True) as it:
        order_id = it.buy(3)
        await it.pass_time(20)
        # Between two polls: the order was asked for by its id.
        await it.work()
        assert await it.posted() == [order_id]
        assert it.wiretap.count("GET", f"/order/{order_id}") >= 1
        assert await it.available() == it.shown_elsewhere == 17
        await it.live(SETTLED_S)
        await it.assert_all_is_right()


async def test_units_of_an_order_that_is_not_paid_for_days_are_kept_and_come_back_once(dsn: str) -> None:
    async with open_ebay(dsn, Lane.TRADING) as it:
        it.place.habits.unpaid_share = 1.0
        it.place.habits.confirm_s = (20 * DAY_S, 20 * DAY_S)
        it.buy(2)
        await it.live(HOUR_S, every_s=300)
        for _ in range(19):
            await it.live(DAY_S, every_s=DAY_S)
            assert await it.figures() == {"available": 18, "reserved": 2}
            assert it.shown_elsewhere == 18
        await it.live(2 * DAY_S, every_s=HOUR_S * 6)
        assert [order.status for order in it.place.orders()] == ["cancelled"]
        await it.live(SETTLED_S)
        assert await it.figures() == {"available": 20}
        await it.assert_all_is_right()


@BOTH
async def test_a_figure_that_the_seller_types_is_seen_within_minutes_and_put_right(dsn: str, lane: Lane) -> None:
    async with open_ebay(dsn, lane) as it:
        edited_at = it.clock.now()
        it.place.edit_by_hand(MUG, 30)
        # Read within ten minutes; then it waits for an order that could explain it, which may be late.
        await it.live(1800, every_s=60)
        [drift] = await it.drifts()
        assert (drift["opened_at"] - edited_at).total_seconds() < 1800, "long before the next look at all listings"
        await it.live(it.channels[MARKET].suspense_s + SETTLED_S, every_s=300)
        [drift] = await it.drifts()
        assert (drift["cause"], drift["resolution"]) == ("foreign edit", "republished")
        assert it.shown() == 20
        await it.assert_all_is_right()


@BOTH
async def test_sales_on_both_sides_stay_within_the_changes_that_ebay_takes_in_a_day(dsn: str, lane: Lane) -> None:
    """No storm of writes: a sale at eBay lowers its own figure, and what came meanwhile goes in one write."""
    async with open_ebay(dsn, lane, units=300) as it:
        for _ in range(6):
            for _ in range(3):
                it.buy(1)
                await it.sell_elsewhere(1)
            await it.live(600, every_s=200)
            await it.live(3000, every_s=1500)
        await it.live(SETTLED_S)
        assert revisions(it) <= 3 * 6 * 3, "a write that crosses a sale has to be repeated, now and then twice"
        assert it.place.ebay.catalogue[MUG].listing.revisions[1] * 4 < 250
        before = revisions(it)
        await it.live(6 * HOUR_S, every_s=HOUR_S)
        assert revisions(it) == before, "nothing was sold, and nobody wrote"
        sold = sum(line.units for order in it.place.orders() for line in order.lines) + it.paper_orders
        assert sold + await it.available() == 300
        await it.assert_all_is_right()


def revisions(it: Market[EbaySimulator]) -> int:
    """How often eBay was written to."""
    writes = it.wiretap.count("POST", "/bulk_update_price_quantity")
    calls = [one.request.headers.get("x-ebay-api-call-name", "") for one in it.wiretap.exchanges]
    return writes + calls.count("ReviseInventoryStatus")
