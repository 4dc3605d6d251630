"""What is told late beside counts, one case each: see `test_every_channel` for all of them together."""

from __future__ import annotations

import pytest

from domain.shop import BERLIN, MUG, NOON, SHOP, key
from files.desk import Desk
from flow.test_wholesale import place, ship, wish
from flow.till_world import Tills, ago, back, event, open_tills, sale
from oneshelf.domain.command import Count, Receive
from oneshelf.domain.identity import ChannelSku
from oneshelf.domain.order import OrderLine, OrderSnapshot
from oneshelf.files.report import State

pytestmark = pytest.mark.pg

LISTING = "insert into listings (channel, channel_sku, sku) values ('shop', 'mug', 'MUG') returning 1"


async def counted(tills: Tills, units: int, minutes_ago: float) -> None:
    await tills.ledger.ask(Count(key=key(), sku=MUG, location=BERLIN, units=units, as_of=ago(minutes_ago)))


async def received(tills: Tills, units: int, minutes_ago: float) -> None:
    await tills.ledger.ask(Receive(key=key(), sku=MUG, location=BERLIN, units=units, happened_at=ago(minutes_ago)))


async def ordered(tills: Tills, units: int, *, shipped: int = 0, order_id: str = "o1") -> None:
    line = OrderLine("l1", ChannelSku("mug"), units, units_shipped=shipped)
    await tills.ledger.tell(OrderSnapshot(SHOP, order_id, str(shipped), NOON, False, (line,)))


async def owed_at_tills(tills: Tills) -> int:
    return sum(row["units_short"] for row in await tills.lines())


async def test_a_count_of_nine_imported_at_eleven_keeps_what_every_channel_ordered_at_ten(dsn: str) -> None:
    async with open_tills(dsn, {"MUG": 50}) as tills:
        await tills.ledger.rows(LISTING)
        await ordered(tills, 3)
        await ordered(tills, 4, shipped=4, order_id="o2")
        await tills.tell(sale(1, 2, at=ago(60)))
        await place(tills.ledger, wish(("1", MUG, 6)))
        await ship(tills.ledger, ("1", 5))
        an_hour = "update movements set posted_at = posted_at - interval '1 hour'"
        await tills.ledger.rows(f"{an_hour} where posted_at > db_now() - interval '1 hour' returning 1")
        desk = Desk(tills.ledger, dsn)
        report = await desk.bring("sku,location,on_hand\nMUG,BER,40\n", taken_at=ago(120))
        assert report.state is State.APPLIED
        # 40 less what has left: 4 by parcel, 2 over the counter, 5 of wholesale. 3 and 1 are promised.
        assert await tills.ledger.figures() == {"available": 25, "committed": 3, "reserved": 1}
        await tills.ledger.assert_sound()


@pytest.mark.parametrize("is_count_first", [True, False])
async def test_a_parcel_that_nobody_had_counted_is_in_a_count_from_before_it(dsn: str, is_count_first: bool) -> None:
    """Ten lay there and the books said one; a parcel of three left after the count."""
    async with open_tills(dsn, {"MUG": 1}) as tills:
        await tills.ledger.rows(LISTING)
        if is_count_first:
            await counted(tills, 10, 60)
        await ordered(tills, 3)
        await ordered(tills, 3, shipped=3)
        if not is_count_first:
            await counted(tills, 10, 60)
        assert await tills.ledger.figures() == {"available": 7}
        await tills.ledger.assert_sound()


@pytest.mark.parametrize("is_count_first", [True, False])
async def test_what_tills_sold_beyond_a_count_is_short_whichever_is_told_first(dsn: str, is_count_first: bool) -> None:
    """Five were counted and seven sold afterwards: two came from a delivery that is booked later."""
    async with open_tills(dsn, {"MUG": 20}) as tills:
        if is_count_first:
            await counted(tills, 5, 90)
        await tills.tell(sale(1, 3, at=ago(80)), sale(2, 4, at=ago(50)))
        if not is_count_first:
            await counted(tills, 5, 90)
        assert await tills.ledger.figures() == {}
        assert await owed_at_tills(tills) == 2
        await tills.ledger.assert_sound()
        await received(tills, 6, 70)
        assert await tills.ledger.figures() == {"available": 4}
        # A later count, told after all of it: it had seen the delivery and the first sale.
        await counted(tills, 9, 60)
        assert await tills.ledger.figures() == {"available": 5}
        await tills.ledger.assert_sound()


@pytest.mark.parametrize("is_count_first", [True, False])
async def test_a_sale_that_was_short_and_is_voided_comes_back_whole_after_a_count_between(
    dsn: str, is_count_first: bool
) -> None:
    """One was in the books and three were sold; four were counted then, and the customer put three back."""
    async with open_tills(dsn, {"MUG": 1}) as tills:
        await tills.tell(sale(1, 3, at=ago(60)))
        if is_count_first:
            await counted(tills, 4, 50)
        await tills.tell(event("void", 2, receipt="R-1", at=ago(40)))
        if not is_count_first:
            await counted(tills, 4, 50)
        assert await tills.ledger.figures() == {"available": 7}
        await tills.tell(event("return", 3, returned=[back(2)], at=ago(30)))
        assert await tills.ledger.figures() == {"available": 9}
        await tills.ledger.assert_sound()
