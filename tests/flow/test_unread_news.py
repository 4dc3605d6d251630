"""What an order sold that nobody could read is not offered again: the fall waits until a person has dealt with it."""

from __future__ import annotations

import pytest

from flow.market import DAY_S, HOUR_S, MARKET, MUG, SETTLED_S, Market, open_ebay
from oneshelf.connectors.ebay.simulator import EbaySimulator
from oneshelf.connectors.ebay.simulator_books import Lane
from oneshelf.domain.rights import Mode
from oneshelf.flow import receive
from oneshelf.storage import inbox, rights

pytestmark = pytest.mark.pg

MODES = pytest.mark.parametrize("mode", [Mode.POOLED, Mode.GUARDED], ids=str)


async def the_wait(it: Market[EbaySimulator], mode: Mode) -> None:
    """Three mugs are sold by an order that nobody can read, and the fall has waited for days."""
    async with it.database.transaction() as tx:
        await rights.set_mode(tx, [MUG], mode, guard_at_units=0)
    await it.live(SETTLED_S)
    it.buy(3)
    # The poll brings it, and what is stored is in words that the connector does not know.
    await it.pass_time(400)
    await it.done(lambda: receive.poll_orders(it.database, it.channels[MARKET], it.clock))
    changed = await it.rows(
        "update inbox set body = convert_to(replace(convert_from(body, 'UTF8'), 'lineItems', 'lines'), 'UTF8')"
        " where state = 'new' and channel = 'market' returning inbox_id"
    )
    assert changed
    await it.live(it.channels[MARKET].suspense_s + 2 * DAY_S, every_s=1800)
    assert {row["state"] for row in await it.rows("select state from inbox where state <> 'done'")} == {"parked"}
    [drift] = await it.drifts()
    assert (drift["cause"], drift["resolution"]) == ("unknown", "")
    assert "oneshelf errors list" in drift["waiting_for"]
    shown, elsewhere = it.shown(), it.shown_elsewhere
    assert max(shown, elsewhere) <= 17, (shown, elsewhere)
    if mode is Mode.GUARDED:
        assert shown + elsewhere <= 17


@MODES
async def test_what_an_unreadable_order_sold_is_not_offered_again_until_it_is_read(dsn: str, mode: Mode) -> None:
    async with open_ebay(dsn, Lane.INVENTORY) as it:
        await the_wait(it, mode)
        # A connector that knows the words has come.
        await it.rows(
            "update inbox set body = convert_to(replace(convert_from(body, 'UTF8'), '\"lines\"', '\"lineItems\"'),"
            " 'UTF8') where state = 'parked' returning 1"
        )
        async with it.database.transaction() as tx:
            assert await inbox.set_parked_state(tx, None, state="new")
        await it.live(3 * SETTLED_S)
        [drift] = await it.drifts()
        assert (drift["cause"], drift["resolution"], drift["waiting_for"]) == ("unseen order", "explained", "")
        assert await it.available() == 17
        if mode is Mode.POOLED:
            await it.assert_all_is_right()


async def test_what_is_dismissed_sold_nothing_and_the_figure_is_written_again(dsn: str) -> None:
    async with open_ebay(dsn, Lane.INVENTORY) as it:
        await the_wait(it, Mode.POOLED)
        async with it.database.transaction() as tx:
            assert await inbox.set_parked_state(tx, None, state="dismissed")
        await it.live(SETTLED_S)
        [drift] = await it.drifts()
        assert (drift["resolution"], drift["waiting_for"]) == ("republished", "")
        assert it.shown() == it.shown_elsewhere == 20


async def test_news_that_cannot_be_read_holds_up_neither_a_rise_nor_a_fall_of_another_day(dsn: str) -> None:
    async with open_ebay(dsn, Lane.INVENTORY) as it:
        await it.rows(
            "insert into inbox (channel, delivery_key, topic, body, state, received_at)"
            " values ('market', 'unread', 'order', '', 'parked', db_now()) returning 1"
        )
        it.place.edit_by_hand(MUG, 30)
        await it.live(it.channels[MARKET].suspense_s + 4 * HOUR_S, every_s=600)
        assert [one["resolution"] for one in await it.drifts()] == ["republished"]
        assert it.shown() == 20
        await it.live(2 * DAY_S, every_s=3600)
        it.place.edit_by_hand(MUG, 12)
        await it.live(it.channels[MARKET].suspense_s + 4 * HOUR_S, every_s=600)
        assert [one["resolution"] for one in await it.drifts()] == ["republished"] * 2
        assert it.shown() == 20


async def test_an_order_that_cannot_be_posted_holds_up_what_it_sold_and_nothing_else(dsn: str) -> None:
    async with open_ebay(dsn, Lane.INVENTORY) as it:
        order = (
            "insert into facts (channel, order_id, snapshot, state, received_at) values ('market', '{0}',"
            """ '{{"lines": [{{"channel_sku": "{0}", "units": 3}}]}}', 'parked', db_now()) returning 1"""
        )
        await it.rows(order.format("CUP"))
        it.place.edit_by_hand(MUG, 17)
        await it.live(it.channels[MARKET].suspense_s + 4 * HOUR_S, every_s=600)
        assert [one["resolution"] for one in await it.drifts()] == ["republished"]
        await it.rows(order.format(MUG))
        it.place.edit_by_hand(MUG, 17)
        await it.live(it.channels[MARKET].suspense_s + 4 * HOUR_S, every_s=600)
        [_, drift] = await it.drifts()
        assert (drift["resolution"], "errors list" in drift["waiting_for"]) == ("", True)
