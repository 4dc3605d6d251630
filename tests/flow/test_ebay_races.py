"""What may go wrong between eBay and us, at eBay's own pace, with the whole engine."""

from __future__ import annotations

import pytest

from flow.market import HOUR_S, MARKET, MUG, SETTLED_S, open_ebay
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
