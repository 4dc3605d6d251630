"""What is written at eBay: by the API that made the listing, both figures of it, and a zero that is refused."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from connectors.ebay.desk import CAP, INVENTORY, MUG, TRADING, calls, ebay_of, played, pushed
from oneshelf.connectors.ebay.day import is_day_used_up, seconds_to_the_next_day
from oneshelf.connectors.ebay.simulator_books import Lane
from oneshelf.connectors.ebay.zero import way_out
from oneshelf.domain.identity import ChannelSku
from oneshelf.sdk.conformance.bench import Bench
from oneshelf.sdk.conformance.wire import Sent
from oneshelf.sdk.message import Accepted, Refused, StockWrite, Throttled, Unknown, UsedUp, WriteOutcome

BOTH = pytest.mark.parametrize("lane", [INVENTORY, TRADING], ids=str)


@BOTH
def test_a_listing_is_written_by_the_api_that_made_it(lane: Lane) -> None:
    async def story(bench: Bench) -> None:
        assert await pushed(bench, MUG, 4) == Accepted()
        await bench.applied()
        assert bench.shown()[MUG] == 4
        assert calls(bench, "bulk_update_price_quantity") == (lane is INVENTORY)
        assert calls(bench, "ReviseInventoryStatus") == (lane is TRADING)

    played(story, lanes=[lane])


def test_the_quantity_of_the_item_and_that_of_its_offer_are_both_written() -> None:
    async def story(bench: Bench) -> None:
        assert await pushed(bench, MUG, 25) == Accepted()
        await bench.applied()
        figures = ebay_of(bench).ebay.catalogue[MUG].figures
        assert (figures.item_units, figures.offer_units) == (25, 25)

    played(story, lanes=[INVENTORY])


def test_the_lesser_of_item_and_offer_is_what_a_listing_shows() -> None:
    async def story(bench: Bench) -> None:
        for item, offer in ((3, 8), (8, 3)):
            figures = ebay_of(bench).ebay.catalogue[MUG].figures
            figures.item_units, figures.offer_units = item, offer
            assert await bench.units_read(MUG) == 3

    played(story, lanes=[INVENTORY])


def test_what_was_sold_is_no_part_of_what_is_available() -> None:
    async def story(bench: Bench) -> None:
        for sku in bench.skus:
            bench.placed((sku, 4))
        assert {sku: one.units for sku, one in (await bench.read(*bench.skus)).items()} == dict.fromkeys(bench.skus, 6)
        assert {one.units for one in await bench.fetched()} == {6}

    played(story, items=4, group_share=1.0)


def test_a_listing_that_went_over_to_the_other_world_is_found_again() -> None:
    async def story(bench: Bench) -> None:
        await bench.read(MUG)
        books = ebay_of(bench).ebay
        moved = books.catalogue[MUG]
        moved.listing.lane, moved.offer_id, moved.figures.offer_units = INVENTORY, "8999", 10
        books.offers["8999"] = moved
        refused = await pushed(bench, MUG, 4)
        assert isinstance(refused, Refused)
        assert "Inventory-based listing management" in refused.words
        assert await pushed(bench, MUG, 4) == Accepted()

    played(story, lanes=[TRADING])


# Rows ---------------------------------------------------------------------------------------------------------


@BOTH
def test_a_row_that_fails_within_a_good_answer_is_not_accepted(lane: Lane) -> None:
    async def story(bench: Bench) -> None:
        await bench.read(MUG, CAP)
        bench.simulator.switches.set({"row_failed": {"next": 1}})
        writes = [bench.write(MUG, 4), bench.write(CAP, 5)]
        outcomes = await bench.push(*writes)
        assert sorted(type(outcome).__name__ for outcome in outcomes) == ["Accepted", "Unknown"]
        await bench.applied()
        shown = bench.shown()
        for write, outcome in zip(writes, outcomes, strict=True):
            assert shown[write.channel_sku] == (write.units if outcome == Accepted() else 10)

    played(story, lanes=[lane, lane])


def test_two_writes_of_one_item_at_once_are_tried_again() -> None:
    async def story(bench: Bench) -> None:
        await bench.read(MUG)
        bench.simulator.switches.set({"concurrent_refused": {"next": 1}})
        (outcome,) = await bench.connector.push([bench.write(MUG, 4)])
        assert isinstance(outcome, Throttled)
        await bench.applied()
        assert bench.shown()[MUG] == 10
        assert await pushed(bench, MUG, 4) == Accepted()

    played(story, lanes=[INVENTORY])


def test_a_listing_on_hold_is_refused_in_ebays_words_and_holds_nobody_up() -> None:
    async def story(bench: Bench) -> None:
        ebay_of(bench).ebay.catalogue[MUG].listing.is_on_hold = True
        mug, cap = await bench.push(bench.write(MUG, 4), bench.write(CAP, 4))
        assert isinstance(mug, Refused)
        assert "on hold" in mug.words
        assert cap == Accepted()

    for lane in (INVENTORY, TRADING):
        played(story, lanes=[lane, lane])


@BOTH
def test_a_listing_whose_revisions_of_the_day_are_used_up_waits_for_the_next_day(lane: Lane) -> None:
    async def story(bench: Bench) -> None:
        await bench.read(MUG)
        ebay_of(bench).habits.revisions_a_day = 1
        assert await pushed(bench, MUG, 4) == Accepted()
        (outcome,) = await bench.connector.push([bench.write(MUG, 5)])
        assert isinstance(outcome, Throttled)
        await bench.live(86_400)
        assert await pushed(bench, MUG, 5) == Accepted()

    played(story, lanes=[lane])


@BOTH
def test_a_zero_on_a_day_that_is_used_up_waits_for_the_next_one_and_says_so(lane: Lane) -> None:
    async def story(bench: Bench) -> None:
        # One of several variations: what sells on is not ended for it.
        await bench.read(*bench.skus)
        ebay_of(bench).habits.revisions_a_day = 1
        assert await pushed(bench, CAP, 4) == Accepted()
        await bench.applied()
        (outcome,) = await bench.connector.push([bench.write(MUG, 0)])
        assert isinstance(outcome, UsedUp), outcome
        assert "tried again once the day is over" in outcome.words
        assert 0 < outcome.retry_after_s <= 86_400
        assert bench.shown()[MUG] == 10
        await bench.live(86_400)
        assert await pushed(bench, MUG, 0) == Accepted()

    played(story, lanes=[lane, lane], group_share=1.0)


def test_a_day_may_end_at_midnight_or_when_it_does_in_california() -> None:
    at = datetime(2026, 11, 26, 5, 0, tzinfo=UTC)
    assert seconds_to_the_next_day(at) == 2 * 3600 + 60
    assert seconds_to_the_next_day(at.replace(hour=7)) == 3600 + 60
    assert seconds_to_the_next_day(at.replace(hour=8)) == 16 * 3600 + 60


@pytest.mark.parametrize(
    ("words", "is_used_up"),
    [
        ("25019: Cannot revise the listing. The limit of revisions of this listing is reached for today.", True),
        ("240: You have reached the maximum of 250 revisions for this item.", True),
        ("25097: This listing is on hold due to a policy violation, and revisions are not possible.", False),
        ("25019: Cannot revise the listing. This would exceed your selling limit.", False),
        ("25026: Selling limit exceeded.", False),
    ],
)
def test_only_a_day_that_is_used_up_is_waited_for(words: str, is_used_up: bool) -> None:
    assert is_day_used_up(words) is is_used_up
    # Out-of-stock control has nothing to do with it where the day is used up.
    assert ("once the day is over" in way_out(words), "out-of-stock" in way_out(words)) == (is_used_up, not is_used_up)


# Zero ---------------------------------------------------------------------------------------------------------


@BOTH
def test_without_out_of_stock_control_a_zero_takes_the_listing_off_sale_and_units_bring_it_back(lane: Lane) -> None:
    async def story(bench: Bench) -> None:
        first_id = ebay_of(bench).ebay.catalogue[MUG].listing.listing_id
        assert await pushed(bench, MUG, 0) == Accepted()
        await bench.applied()
        assert bench.shown()[MUG] == 0
        reading = (await bench.read(MUG))[MUG]
        assert (reading.units, bool(reading.note)) == (0, True)
        for _ in range(5):
            outcome = await pushed(bench, MUG, 7)
            await bench.applied()
            if outcome == Accepted():
                break
        assert bench.shown()[MUG] == 7
        reading = (await bench.read(MUG))[MUG]
        assert (reading.units, reading.note) == (7, "")
        assert reading.group not in {"", first_id}

    played(story, lanes=[lane, lane], has_control=False)


def strikes(bench: Bench, fault: str, *, has_offer: bool) -> None:
    """The next row that writes an item alone, or its offer too, meets this fault."""

    def before(sent: Sent) -> None:
        if "bulk_update_price_quantity" in sent.url and (b'"offers"' in sent.body) is has_offer:
            bench.wire.before = None
            bench.simulator.switches.set({fault: {"next": 1}})

    bench.wire.before = before


async def until_shown(bench: Bench, units: int) -> None:
    """Push until it shows: eBay accepts a quantity some seconds before it goes by it."""
    outcome: WriteOutcome | None = None
    for _ in range(8):
        outcome = await pushed(bench, MUG, units)
        assert not isinstance(outcome, Refused)
        await bench.applied()
        if await bench.units_read(MUG) == bench.shown()[MUG] == units:
            return
    raise AssertionError(f"{units} units were not taken: {outcome}")


@pytest.mark.parametrize("has_offer", [False, True])
def test_where_ebay_stumbles_as_a_listing_comes_back_it_is_looked_at_and_no_person_is_asked(has_offer: bool) -> None:
    """The item is written first, and the offer once it is on sale: with the figure of before, whatever that was."""

    async def story(bench: Bench) -> None:
        assert await pushed(bench, MUG, 0) == Accepted()
        await bench.applied()
        strikes(bench, "row_failed", has_offer=has_offer)
        outcomes = []
        while bench.wire.before is not None:
            outcomes.append(await pushed(bench, MUG, 7))
            await bench.applied()
        assert [type(outcome) for outcome in outcomes[:-1]] == [Throttled] * (len(outcomes) - 1)
        assert isinstance(outcomes[-1], Unknown), outcomes[-1]
        assert "25001" in outcomes[-1].words
        assert (bench.shown()[MUG] > 0) is has_offer
        assert await bench.units_read(MUG) == bench.shown()[MUG] <= 7
        await until_shown(bench, 7)

    played(story, lanes=[INVENTORY], items=1, has_control=False)


def test_a_listing_that_ebay_is_too_busy_to_write_once_it_is_on_sale_is_not_said_to_show_nothing() -> None:
    async def story(bench: Bench) -> None:
        assert await pushed(bench, MUG, 0) == Accepted()
        await bench.applied()
        strikes(bench, "concurrent_refused", has_offer=True)
        outcome: WriteOutcome | None = None
        while bench.wire.before is not None:
            outcome = await pushed(bench, MUG, 7)
            await bench.applied()
        assert isinstance(outcome, Unknown), outcome
        assert bench.shown()[MUG] > 0
        await until_shown(bench, 7)

    played(story, lanes=[INVENTORY], items=1, has_control=False)


def test_where_ebay_stumbles_at_the_mark_of_a_listing_that_it_took_off_sale_nothing_is_said_to_be_refused() -> None:
    async def story(bench: Bench) -> None:
        strikes(bench, "row_failed", has_offer=False)
        outcome = await pushed(bench, MUG, 0)
        assert isinstance(outcome, Unknown), outcome
        await bench.applied()
        assert await bench.units_read(MUG) == bench.shown()[MUG] == 0
        assert await pushed(bench, MUG, 0) == Accepted()
        await until_shown(bench, 7)

    played(story, lanes=[INVENTORY], items=1, has_control=False)


def test_an_offer_that_we_withdrew_is_known_as_such_by_every_process() -> None:
    async def story(bench: Bench) -> None:
        await pushed(bench, MUG, 0)
        await bench.applied()
        bench.connector = bench.another_connector()
        assert await bench.units_read(MUG) == 0
        for _ in range(5):
            await pushed(bench, MUG, 7)
            await bench.applied()
        assert bench.shown()[MUG] == 7

    played(story, lanes=[INVENTORY], has_control=False)


def test_an_offer_that_a_person_withdrew_is_left_alone() -> None:
    async def story(bench: Bench) -> None:
        books = ebay_of(bench).ebay
        books.end(books.catalogue[MUG].listing)
        reading = (await bench.read(MUG))[MUG]
        assert (reading.units, "publish it at eBay" in reading.note) == (None, True)
        refused = await pushed(bench, MUG, 7)
        assert isinstance(refused, Refused)
        assert "publish it at eBay" in refused.words
        await bench.applied()
        assert bench.shown()[MUG] == 0

    played(story, lanes=[INVENTORY])


@BOTH
def test_a_zero_that_cannot_be_written_either_way_is_refused_and_says_the_way_out(lane: Lane) -> None:
    async def story(bench: Bench) -> None:
        # The last variation that has units: to end the listing would end its neighbours too.
        await bench.read(*bench.skus)
        assert await pushed(bench, CAP, 0) == Accepted()
        await bench.applied()
        refused = await pushed(bench, MUG, 0)
        assert isinstance(refused, Refused)
        assert "out-of-stock control" in refused.words
        assert bench.shown()[MUG] == 10

    played(story, lanes=[lane, lane], has_control=False, group_share=1.0)


# What may not be written --------------------------------------------------------------------------------------


def test_two_listings_under_one_sku_are_neither_read_nor_written() -> None:
    async def story(bench: Bench) -> None:
        books = ebay_of(bench).ebay
        # The seller listed the same thing once more.
        books.catalogue[CAP].sku = MUG
        for readings in (await bench.fetched(), list((await bench.read(MUG)).values())):
            (mug,) = [one for one in readings if one.channel_sku == MUG]
            assert (mug.units, "two listings" in mug.note) == (None, True)
        refused = await pushed(bench, MUG, 4)
        assert isinstance(refused, Refused)
        assert "end one of them" in refused.words
        assert calls(bench, "ReviseInventoryStatus") == 0

    played(story, lanes=[TRADING, TRADING])


def test_what_has_no_sku_is_called_by_its_item_id_and_a_variation_without_one_is_not_written() -> None:
    async def story(bench: Bench) -> None:
        books = ebay_of(bench).ebay
        alone, *_ = variations = [books.catalogue[sku] for sku in bench.skus]
        is_group = alone.variation_id != 0
        for variation in variations:
            variation.sku = ""
        name = ChannelSku(f"v1|{alone.listing.listing_id}|0")
        reading = next(one for one in await bench.fetched() if one.channel_sku == name)
        assert reading.merchant_sku is None
        outcome = await pushed(bench, name, 4)
        if is_group:
            assert (reading.units, "give it one at eBay" in reading.note) == (None, True)
            assert isinstance(outcome, Refused)
        else:
            assert (reading.units, outcome) == (10, Accepted())
            assert (await bench.read(name))[name].units is not None

    for group_share in (0.0, 1.0):
        played(story, lanes=[TRADING, TRADING], group_share=group_share)


def test_a_listing_of_which_nothing_is_known_is_looked_up_before_it_is_written() -> None:
    async def story(bench: Bench) -> None:
        nowhere = ChannelSku("NOWHERE")
        writes = [StockWrite(bench.clock.new_id(), sku, units=4, expected_units=10) for sku in (MUG, nowhere, CAP)]
        mug, gone, cap = await bench.push(*writes)
        assert (mug, cap) == (Accepted(), Accepted())
        assert isinstance(gone, Refused)
        assert "no listing on sale under NOWHERE" in gone.words

    played(story, lanes=[INVENTORY, TRADING])


def test_many_unknown_skus_do_not_eat_the_days_trading_calls() -> None:
    async def story(bench: Bench) -> None:
        for _ in range(20):
            assert await bench.read(ChannelSku("NOWHERE")) == {}
            await bench.live(30.0)
        assert calls(bench, "GetMyeBaySelling") == 1

    played(story)


@BOTH
def test_what_ebay_did_not_answer_is_unknown(lane: Lane) -> None:
    async def story(bench: Bench) -> None:
        await bench.read(MUG)
        bench.simulator.switches.set({"reply_lost": {"next": 1}})
        assert isinstance(await pushed(bench, MUG, 4), Unknown)
        await bench.applied()
        assert bench.shown()[MUG] == 4

    played(story, lanes=[lane])
