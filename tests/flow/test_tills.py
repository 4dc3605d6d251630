"""What tills tell, late, twice, in any order and by wrong clocks, moves each unit once."""

from __future__ import annotations

from datetime import timedelta
from itertools import permutations
from typing import Any

import pytest

from domain.shop import BERLIN, MUG, key
from flow.shelf_world import CLOCK
from flow.till_world import SECRET, TILL, Tills, ago, back, event, line, open_tills, sale
from oneshelf.domain.command import Count, Receive
from oneshelf.domain.identity import ChannelSku, Sku
from oneshelf.domain.last_unit import Way
from oneshelf.flow import interpret, post
from oneshelf.flow.link import Wanted, link_listings
from oneshelf.flow.receive import receive_webhook
from oneshelf.sdk.fault import SignatureError
from oneshelf.sdk.message import Request
from oneshelf.sdk.simulated_sender import signed_headers
from oneshelf.storage import detail_views, short_list

pytestmark = pytest.mark.pg


def count(units: int, minutes_ago: float | None = None) -> Count:
    as_of = None if minutes_ago is None else ago(minutes_ago)
    return Count(key=key(), sku=MUG, location=BERLIN, units=units, as_of=as_of)


async def available(tills: Tills) -> int:
    return (await tills.ledger.figures()).get("available", 0)


async def test_a_sale_leaves_the_shelf_at_once(dsn: str) -> None:
    async with open_tills(dsn, {"MUG": 5}) as tills:
        await tills.tell(sale(1, 2))
        assert await tills.ledger.figures() == {"available": 3}
        assert [(row["order_id"], row["units_shipped"]) for row in await tills.lines()] == [("till-1/R-1", 2)]
        await tills.ledger.assert_sound()


async def test_a_number_counts_once_however_often_it_comes(dsn: str) -> None:
    async with open_tills(dsn, {"MUG": 9}) as tills:
        one, two = sale(1, at=ago(9)), sale(2, 2, at=ago(8))
        await tills.tell(one)
        await tills.tell(one, two, two)
        await tills.tell(two, one, sent_at=ago(0))
        assert await available(tills) == 6
        device = await tills.device()
        assert (device.told_count, device.highest, device.conflict_count) == (2, 2, 0)
        await tills.ledger.assert_sound()


async def test_a_number_with_other_content_is_shown_and_not_applied(dsn: str) -> None:
    async with open_tills(dsn, {"MUG": 9}) as tills:
        at = ago(9)
        await tills.tell(sale(1, 1, at=at))
        await tills.tell(sale(1, 5, at=at))
        await tills.tell(sale(1, 5, at=at), sale(2, 1, at=at))
        assert await available(tills) == 7
        assert (await tills.device()).conflict_count == 1
        [question] = await tills.questions()
        assert (question.device, question.sequence) == ("till-1", 1)
        assert "other content" in question.reason


async def test_a_gap_is_noticed_and_closes_by_itself(dsn: str) -> None:
    async with open_tills(dsn, {"MUG": 99}) as tills:
        await tills.tell(sale(3), sale(7))
        assert await tills.gaps() == [(1, 2), (4, 6)]
        device = await tills.device()
        assert (device.gap_count, device.missing_count) == (2, 5)
        assert device.gap_age_s is not None
        await tills.tell(sale(5))
        assert await tills.gaps() == [(1, 2), (4, 4), (6, 6)]
        await tills.tell(sale(1), sale(2), sale(4), sale(6))
        assert await tills.gaps() == []
        assert await available(tills) == 99 - 7


async def test_a_heartbeat_tells_that_the_last_numbers_are_missing(dsn: str) -> None:
    async with open_tills(dsn, {"MUG": 9}) as tills:
        await tills.tell(sale(1))
        beat = {"type": "heartbeat", "device": "till-1", "sequence": 3, "at": ago(1).isoformat()}
        await tills.tell(beat)
        assert await tills.gaps() == [(2, 3)]
        await tills.tell(sale(2), sale(3))
        assert await tills.gaps() == []


@pytest.mark.parametrize("is_void_first", [True, False])
async def test_a_void_takes_a_sale_back_whichever_comes_first(dsn: str, is_void_first: bool) -> None:
    async with open_tills(dsn, {"MUG": 5}) as tills:
        sold = sale(1, 3, at=ago(20))
        void = event("void", 2, receipt="R-1", at=ago(10))
        if is_void_first:
            await tills.tell(void)
            assert (await tills.device()).waiting_count == 1
        await tills.tell(sold)
        await tills.tell(void)
        assert await tills.ledger.figures() == {"available": 5}
        assert (await tills.device()).waiting_count == 0
        # Once more, by another number: it is shown and moves nothing.
        await tills.tell(event("void", 3, receipt="R-1", at=ago(5)))
        assert await tills.ledger.figures() == {"available": 5}
        [question] = await tills.questions()
        assert "was voided before" in question.reason
        await tills.ledger.assert_sound()


async def test_another_device_voids_a_sale(dsn: str) -> None:
    async with open_tills(dsn, {"MUG": 5}) as tills:
        await tills.tell(event("void", 1, device="till-2", receipt="R-1", receipt_device="till-1"), sale(1, 3))
        assert await available(tills) == 5


@pytest.mark.parametrize(
    ("disposition", "figures"),
    [
        ("available", {"available": 6}),
        ("damaged", {"available": 4, "damaged": 2}),
        ("quality_control", {"available": 4, "quality_control": 2}),
        ("written_off", {"available": 4}),
    ],
)
@pytest.mark.parametrize("has_receipt", [True, False])
async def test_a_return_goes_where_it_is_put(
    dsn: str, disposition: str, figures: dict[str, int], has_receipt: bool
) -> None:
    async with open_tills(dsn, {"MUG": 5}) as tills:
        more: dict[str, Any] = {"of_receipt": "R-1"} if has_receipt else {}
        await tills.tell(event("return", 2, returned=[back(2, disposition)], **more), sale(1))
        assert await tills.ledger.figures() == figures
        await tills.ledger.assert_sound()


async def test_an_exchange_is_both_in_one_transaction(dsn: str) -> None:
    async with open_tills(dsn, {"MUG": 1, "CAP": 1}) as tills:
        await tills.tell(event("exchange", 1, lines=[line("CAP")], returned=[back(1, "damaged")]))
        assert await tills.ledger.figures() == {"available": 1, "damaged": 1}
        assert await tills.ledger.figures("CAP") == {}
        [row] = await tills.ledger.rows(
            "select count(distinct posted_at) as instants from movements where source like 'order%'"
        )
        assert row["instants"] == 1
        await tills.ledger.assert_sound()


async def test_what_was_sold_beyond_the_shelf_is_short_and_paid_by_what_comes_in(dsn: str) -> None:
    async with open_tills(dsn, {"MUG": 1}) as tills:
        await tills.tell(sale(1, 3))
        assert await tills.ledger.figures() == {}
        assert [(row["units_shipped"], row["units_short"]) for row in await tills.lines()] == [(1, 2)]
        async with tills.ledger.database.transaction() as tx:
            [advised] = (await short_list.advised(tx, await detail_views.short_rows(tx))).values()
        assert advised.advice.way is Way.COUNT
        await tills.ledger.ask(Receive(key=key(), sku=MUG, location=BERLIN, units=5))
        assert await tills.ledger.figures() == {"available": 3}
        assert [(row["units_shipped"], row["units_short"]) for row in await tills.lines()] == [(3, 0)]
        await tills.ledger.assert_sound()


@pytest.mark.parametrize("minutes_ago", [None, 10.0])
async def test_a_count_that_saw_the_empty_place_owes_nothing_for_it(dsn: str, minutes_ago: float | None) -> None:
    async with open_tills(dsn, {"MUG": 1}) as tills:
        await tills.tell(sale(1, 3))
        await tills.ledger.ask(count(4, minutes_ago))
        assert await tills.ledger.figures() == {"available": 4}
        assert [(row["units_shipped"], row["units_short"]) for row in await tills.lines()] == [(3, 0)]
        await tills.ledger.assert_sound()


async def test_a_count_before_the_sale_is_less_by_all_of_it(dsn: str) -> None:
    async with open_tills(dsn, {"MUG": 1}) as tills:
        await tills.tell(sale(1, 3, at=ago(30)))
        await tills.ledger.ask(count(4, 60))
        assert await tills.ledger.figures() == {"available": 1}
        await tills.ledger.assert_sound()


async def test_a_count_of_nine_told_at_eleven_keeps_the_sales_of_ten(dsn: str) -> None:
    async with open_tills(dsn, {"MUG": 50}) as tills:
        await tills.tell(sale(1, 4, at=ago(120)))
        await tills.ledger.ask(count(20, 180))
        assert await available(tills) == 16


async def test_a_sale_that_a_count_had_seen_is_not_subtracted_again(dsn: str) -> None:
    async with open_tills(dsn, {"MUG": 50}) as tills:
        await tills.ledger.ask(count(20, 180))
        await tills.tell(sale(1, 4, at=ago(210)))
        assert await available(tills) == 20
        assert [(row["units_shipped"], row["units_short"]) for row in await tills.lines()] == [(4, 0)]
        await tills.ledger.assert_sound()


@pytest.mark.long
async def test_every_order_of_counts_and_tills_ends_the_same(dsn: str) -> None:
    """A sale before the count, one after it, its void, a return: told in all orders around the count."""
    things = {
        "before": sale(1, 4, at=ago(210)),
        "after": sale(2, 3, at=ago(120)),
        "void": event("void", 3, receipt="R-2", at=ago(110)),
        "return": event("return", 4, returned=[back(2)], at=ago(100)),
        "count": None,
    }
    for number, order in enumerate(permutations(things)):
        if number % 4:
            continue  # Each of them is a world of its own.
        async with open_tills(dsn, {"MUG": 50}) as tills:
            for name in order:
                told = things[name]
                if told is None:
                    await tills.ledger.ask(count(20, 180))
                else:
                    await tills.tell(
                        {**told, "device": f"till-{number}", "receipt_device": f"till-{number}"}
                        if name == "void"
                        else {**told, "device": f"till-{number}"}
                    )
            assert await available(tills) == 22, order
            await tills.forget()


async def test_a_clock_that_is_wrong_by_hours_is_known_by_what_it_shows_when_it_sends(dsn: str) -> None:
    async with open_tills(dsn, {"MUG": 50}) as tills:
        await tills.ledger.ask(count(20, 180))
        # Its clock is five hours ahead. The sale was 210 minutes ago, which the count had seen.
        ahead = timedelta(hours=5)
        await tills.tell(sale(1, 4, at=ago(210) + ahead), sent_at=CLOCK.now() + ahead)
        assert await available(tills) == 20
        clock_ahead_s = (await tills.device()).clock_ahead_s
        assert clock_ahead_s is not None
        assert abs(clock_ahead_s - ahead.total_seconds()) < 60


@pytest.mark.parametrize(("error_s", "left"), [("30", 20), ("600", 16)])
async def test_within_the_error_of_the_clock_the_figure_is_the_lower_one(dsn: str, error_s: str, left: int) -> None:
    for is_count_first in (True, False):
        async with open_tills(dsn, {"MUG": 50}, {"clock_error_s": error_s}) as tills:
            if is_count_first:
                await tills.ledger.ask(count(20, 180))
            await tills.tell(sale(1, 4, at=ago(185)))
            if not is_count_first:
                await tills.ledger.ask(count(20, 180))
            assert await available(tills) == left
            await tills.forget()


async def test_a_clock_that_has_lost_its_year_hides_no_sale(dsn: str) -> None:
    async with open_tills(dsn, {"MUG": 50}) as tills:
        await tills.ledger.ask(count(20, 180))
        await tills.tell(sale(1, 4, at=CLOCK.now().replace(year=2001)))
        assert await available(tills) == 16


async def test_a_receipt_is_told_once(dsn: str) -> None:
    async with open_tills(dsn, {"MUG": 9}) as tills:
        await tills.tell(sale(1), sale(2, receipt="R-1"))
        assert await available(tills) == 8
        [question] = await tills.questions()
        assert "new receipt and number" in question.reason


async def test_a_return_cannot_be_voided(dsn: str) -> None:
    for is_void_first in (True, False):
        async with open_tills(dsn, {"MUG": 9}) as tills:
            told = [event("return", 1, returned=[back()]), event("void", 2, receipt="R-1")]
            for one in reversed(told) if is_void_first else told:
                await tills.tell(one)
            assert await available(tills) == 10
            [question] = await tills.questions()
            assert "only a sale can be voided" in question.reason
            await tills.forget()


async def test_packs_bundles_and_barcodes_are_counted_in_units(dsn: str) -> None:
    async with open_tills(dsn, {"MUG": 20, "CAP": 20}) as tills:
        await tills.ledger.define_duo()
        await tills.tell(sale(1, lines=[line("DUO", 2), line("MUG", 1, pack=6)]))
        assert await tills.ledger.figures() == {"available": 20 - 4 - 6}
        assert await tills.ledger.figures("CAP") == {"available": 18}
        await tills.tell(sale(2, lines=[{"barcode": "4006381333931", "units": 2}, line("CAP")]))
        [reason] = await tills.parked()
        assert "oneshelf listing link till 4006381333931" in reason
        assert await tills.ledger.figures("CAP") == {"available": 17}
        await link_listings(tills.ledger.database, [Wanted(TILL, ChannelSku("4006381333931"), Sku("MUG"), 3)])
        await tills.tell(sale(3, lines=[line("CAP")]))
        assert await tills.ledger.figures() == {"available": 20 - 4 - 6 - 6}
        assert await tills.parked() == []
        await tills.ledger.assert_sound()


async def test_one_event_that_cannot_be_read_keeps_no_other_from_counting(dsn: str) -> None:
    async with open_tills(dsn, {"MUG": 9}) as tills:
        await tills.tell(sale(1), {**sale(2), "lines": [{"sku": "MUG", "units": "two"}]}, sale(3))
        assert await available(tills) == 7
        [reason] = await tills.parked()
        assert "event 2: lines[0]: units must be a whole number" in reason
        assert await tills.gaps() == [(2, 2)]
        await tills.tell(sale(2, 2))
        assert await tills.gaps() == []


async def test_nothing_is_believed_without_the_signature(dsn: str) -> None:
    async with open_tills(dsn, {"MUG": 9}) as tills:
        body = b"[]"
        headers = signed_headers(body, delivery_id="a", timestamp=1, secret=SECRET + "x")
        with pytest.raises(SignatureError):
            await receive_webhook(tills.ledger.database, tills.channel, Request(headers, body))


async def test_a_till_is_never_planned(dsn: str) -> None:
    async with open_tills(dsn, {"MUG": 9}) as tills:
        await tills.tell(sale(1))
        assert await tills.ledger.rows("select 1 from granted") == []


@pytest.mark.long
async def test_a_fleet_that_comes_back_is_read_in_parts_that_a_transaction_can_hold(dsn: str) -> None:
    """Sixty tills at once were more than one transaction may take, and it was begun anew for ever."""
    async with open_tills(dsn, {"MUG": 99_999}) as tills:
        for device in range(12):
            events = [sale(number, 1, device=f"till-{device}", at=ago(60)) for number in range(1, 1_001)]
            await tills.store({"sent_at": ago(0).isoformat(), "events": events})
        reads = [await interpret.interpret(tills.ledger.database, {TILL: tills.channel})]
        while reads[-1]:
            reads.append(await interpret.interpret(tills.ledger.database, {TILL: tills.channel}))
        assert sum(reads) == 12
        assert max(reads) < 12
        assert (await tills.device("till-11")).told_count == 1_000
        async with tills.ledger.database.transaction() as tx:
            [(waiting,)] = await (await tx.execute("select count(*) from facts where state = 'new'")).fetchall()
        assert waiting == 12_000
        await tills.forget()


@pytest.mark.long
async def test_long_receipts_are_posted_in_parts_that_a_transaction_can_hold(dsn: str) -> None:
    async with open_tills(dsn, {"MUG": 99_999}) as tills:
        for first in range(1, 41, 10):
            await tills.post([sale(n, lines=[line(units=1)] * 500, at=ago(60)) for n in range(first, first + 10)])
        posted = [await post.post_facts(tills.ledger.database, CLOCK.new_id)]
        while posted[-1]:
            posted.append(await post.post_facts(tills.ledger.database, CLOCK.new_id))
        assert sum(posted) == 40
        assert max(posted) < 40
        assert await available(tills) == 99_999 - 40 * 500
        await tills.ledger.assert_sound()
        await tills.forget()
