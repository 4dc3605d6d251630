"""A count replaces what it had seen and never erases what it had not, in whatever order things are told."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import datetime, timedelta
from itertools import permutations
from uuid import UUID

import pytest

from domain.shop import BERLIN, CAP, HAMBURG, MUG, NOON, SHOP, claim, demand, hold, key
from flow.shelf_world import CLOCK, Ledger, open_ledger
from oneshelf.domain.account import StockState
from oneshelf.domain.command import (
    Adjust,
    Command,
    Count,
    CountedFigure,
    Dispatch,
    Move,
    OrderRef,
    Receive,
    Ship,
)
from oneshelf.domain.count_outcome import BeforeHistory, Counted, CountOutdated, InFuture, NoSuchCount, PostedLate
from oneshelf.domain.identity import ChannelSku, Location, Sku
from oneshelf.domain.order import OrderLine, OrderSnapshot
from oneshelf.domain.outcome import Posted, Reserved, UnknownLocation, UnknownSku, in_words
from oneshelf.domain.posting import post_command
from oneshelf.domain.reach import reach_of
from oneshelf.flow.count import CountBegun, begin_count, end_old_counts
from oneshelf.storage import shelves

pytestmark = pytest.mark.pg

ORDER = OrderRef(SHOP, "o1")
ON_HAND, UNSHIPPED, AVAILABLE = CountedFigure.ON_HAND, CountedFigure.UNSHIPPED, CountedFigure.AVAILABLE


def ago(minutes: float) -> datetime:
    return CLOCK.now() - timedelta(minutes=minutes)


def receive(units: int, *, at: datetime | None = None) -> Receive:
    return Receive(key=key(), sku=MUG, location=BERLIN, units=units, happened_at=at)


def sold(units: int, *, at: datetime | None = None) -> Adjust:
    """A sale at a till that nobody else tells of."""
    return Adjust(key=key(), sku=MUG, location=BERLIN, delta_units=-units, happened_at=at)


def ship(units: int, *, at: datetime | None = None) -> Ship:
    return Ship(key=key(), order=ORDER, sku=MUG, location=BERLIN, units=units, happened_at=at)


def count(units: int, figure: CountedFigure = ON_HAND, *, token: UUID | None = None) -> Count:
    return Count(key=key(), sku=MUG, location=BERLIN, units=units, figure=figure, token=token)


def count_as_of(at: datetime, units: int, figure: CountedFigure = ON_HAND, *, error_s: int | None = None) -> Count:
    return Count(key=key(), sku=MUG, location=BERLIN, units=units, figure=figure, as_of=at, error_s=error_s)


async def begin(ledger: Ledger, *skus: Sku, at: Location = BERLIN) -> UUID:
    begun = await begin_count(ledger.database, CLOCK.new_id, at, skus)
    assert isinstance(begun, CountBegun)
    return begun.token


async def a_day_passes(ledger: Ledger) -> None:
    """All that has moved so far moved yesterday."""
    await ledger.rows("update movements set posted_at = posted_at - interval '1 day' returning 1")
    await ledger.rows("update ruling_counts set counted_at = counted_at - interval '1 day' returning 1")


async def claim_order(ledger: Ledger, units: int) -> None:
    reserved = await ledger.ask_one(hold(demand(MUG, units)))
    assert isinstance(reserved, Reserved)
    await ledger.ask(claim(reserved.reservation_id))


async def shop_sells(ledger: Ledger, order_id: str, units: int = 1) -> None:
    """A channel tells of an order."""
    await ledger.rows(
        "insert into listings (channel, channel_sku, sku) values ('shop', 'mug', 'MUG') on conflict do nothing "
        "returning 1"
    )
    line = OrderLine("l1", ChannelSku("mug"), units)
    await ledger.tell(OrderSnapshot(SHOP, order_id, "1", NOON, False, (line,)))


async def start_again(ledger: Ledger, units: int) -> None:
    """The shelf is as it was yesterday: so many mugs, and nobody has counted."""
    for table in ("ruling_counts", "counts", "movements", "order_lines", "reservations", "orders", "balances"):
        await ledger.rows(f"delete from {table} returning 1")
    await ledger.ask(receive(units))


# The worked events -------------------------------------------------------------------------------------------------


@pytest.mark.long
async def test_a_warehouse_count_races_a_shipment_and_ends_at_6_in_every_order(dsn: str) -> None:
    """10 came, 2 left, then somebody counted 7, then 1 left: whoever is told first, 6 lie there."""
    async with open_ledger(dsn) as ledger:
        for order in permutations(range(4)):
            await start_again(ledger, 5)
            await claim_order(ledger, 3)
            await a_day_passes(ledger)
            told: list[Command] = [
                receive(10, at=ago(40)),
                ship(2, at=ago(30)),
                count_as_of(ago(20), 7),
                ship(1, at=ago(10)),
            ]
            for number in order:
                await ledger.ask(told[number])
            assert await ledger.figures() == {"available": 6}, order
            await ledger.assert_sound()


async def test_a_warehouse_count_races_a_shipment_and_ends_at_6_when_all_are_told_at_once(dsn: str) -> None:
    async with open_ledger(dsn) as ledger:
        for together in (False, True, False, True, False):
            await start_again(ledger, 5)
            await claim_order(ledger, 3)
            await a_day_passes(ledger)
            told: list[Command] = [
                receive(10, at=ago(40)),
                ship(2, at=ago(30)),
                count_as_of(ago(20), 7),
                ship(1, at=ago(10)),
            ]
            if together:
                await ledger.ask(*reversed(told))
            else:
                async with asyncio.TaskGroup() as group:
                    for command in told:
                        group.create_task(ledger.ask(command))
            assert await ledger.figures() == {"available": 6}
            await ledger.assert_sound()


@pytest.mark.parametrize(
    ("order", "left"),
    [(("begin", "count", "ship"), 6), (("begin", "ship", "count"), 6), (("ship", "begin", "count"), 7)],
    ids=lambda value: "-".join(value) if isinstance(value, tuple) else "",
)
async def test_a_shipment_after_a_count_began_is_not_in_it(dsn: str, order: Sequence[str], left: int) -> None:
    async with open_ledger(dsn, {"MUG": 10}) as ledger:
        await claim_order(ledger, 3)
        await ledger.ask(ship(2))
        token = None
        for what in order:
            if what == "begin":
                token = await begin(ledger, MUG)
            else:
                await ledger.ask(ship(1) if what == "ship" else count(7, token=token))
        assert await ledger.figures() == {"available": left}
        await ledger.assert_sound()


@pytest.mark.parametrize("is_sold_first", [True, False])
@pytest.mark.parametrize("how", ["now", "token", "as of"])
async def test_a_sale_does_not_change_what_lies_there(dsn: str, how: str, is_sold_first: bool) -> None:
    async with open_ledger(dsn, {"MUG": 9}) as ledger:
        await a_day_passes(ledger)
        token = await begin(ledger, MUG)
        counted = {"now": count(7), "token": count(7, token=token), "as of": count_as_of(ago(5), 7)}[how]
        if is_sold_first:
            await shop_sells(ledger, "o7")
        await ledger.ask(counted)
        if not is_sold_first:
            await shop_sells(ledger, "o7")
        assert await ledger.figures() == {"available": 6, "committed": 1}
        await ledger.assert_sound()


@pytest.mark.long
async def test_an_erp_that_sets_the_free_units_races_two_sales_and_ends_at_24_in_every_order(dsn: str) -> None:
    """20 came, the shop sold 1, the ERP says 25 and has seen both, Amazon sold 1 since."""
    async with open_ledger(dsn) as ledger:
        for order in permutations(range(4)):
            await start_again(ledger, 5)
            await a_day_passes(ledger)
            told: list[Command] = [
                receive(20, at=ago(40)),
                sold(1, at=ago(30)),
                count_as_of(ago(20), 25, AVAILABLE),
                sold(1, at=ago(10)),
            ]
            for number in order:
                await ledger.ask(told[number])
            assert await ledger.figures() == {"available": 24}, order
            await ledger.assert_sound()


@pytest.mark.parametrize("is_sold_first", [True, False])
async def test_an_erp_with_a_token_races_the_order_of_a_channel(dsn: str, is_sold_first: bool) -> None:
    async with open_ledger(dsn, {"MUG": 25}) as ledger:
        await shop_sells(ledger, "o1")
        token = await begin(ledger, MUG)
        if is_sold_first:
            await shop_sells(ledger, "o2")
        await ledger.ask(count(25, AVAILABLE, token=token))
        if not is_sold_first:
            await shop_sells(ledger, "o2")
        assert await ledger.figures() == {"available": 24, "committed": 2}
        await ledger.assert_sound()


async def test_a_movement_that_commits_after_the_token_is_after_it_although_its_id_is_older(dsn: str) -> None:
    async with open_ledger(dsn, {"MUG": 10}) as ledger:
        leaves = sold(1)
        async with ledger.database.transaction() as tx:
            opened = await shelves.open_for_commands(tx, CLOCK.new_id, [leaves.key], reach_of([leaves]))
            assert post_command(opened.shelf, leaves, now=opened.now) == Posted(1, 9)
            await shelves.write(tx, opened.shelf, now=opened.now)
            token = await begin(ledger, MUG)
        assert await ledger.ask_one(count(10, token=token)) == Counted(0, 9, -1, 0, 0)
        await ledger.assert_sound()


async def test_sales_during_a_count_are_neither_lost_nor_taken_twice(dsn: str) -> None:
    async with open_ledger(dsn, {"MUG": 40}) as ledger:
        for counted in (30, 35, 33):
            async with asyncio.TaskGroup() as group:
                for _ in range(4):
                    group.create_task(ledger.ask(sold(1)))
                token = group.create_task(begin(ledger, MUG))
                for _ in range(4):
                    group.create_task(ledger.ask(sold(1)))
            [begun] = await ledger.rows(f"select available from counts where token = '{token.result()}'")
            [now] = await ledger.rows("select available from balances")
            since = now["available"] - begun["available"]
            outcome = await ledger.ask_one(count(counted, token=token.result()))
            assert isinstance(outcome, Counted)
            assert (outcome.units_since, outcome.available) == (since, counted + since)
        await ledger.assert_sound()


# What a count says ---------------------------------------------------------------------------------------------------


async def test_each_figure_counts_its_own_units(dsn: str) -> None:
    async with open_ledger(dsn, {"MUG": 10}) as ledger:
        await claim_order(ledger, 3)
        for units, target in ((1, StockState.DAMAGED), (2, StockState.SAFETY_STOCK)):
            await ledger.ask(
                Move(key=key(), sku=MUG, location=BERLIN, units=units, origin=StockState.AVAILABLE, target=target)
            )
        whole = {"available": 4, "committed": 3, "damaged": 1, "safety_stock": 2}
        assert await ledger.figures() == whole
        for units, figure in ((10, ON_HAND), (9, UNSHIPPED), (4, AVAILABLE)):
            assert await ledger.ask_one(count(units, figure)) == Posted(0, 4)
        assert await ledger.figures() == whole
        assert await ledger.ask_one(count(8, UNSHIPPED)) == Posted(1, 3)
        outcome = await ledger.ask_one(count(2, UNSHIPPED))
        assert in_words(outcome).endswith("1 promised units are short")
        assert await ledger.figures() == {"committed": 2, "damaged": 1}
        await ledger.assert_sound()


async def test_two_people_who_count_the_same_shelf_correct_it_once(dsn: str) -> None:
    async with open_ledger(dsn, {"MUG": 10}) as ledger:
        tokens = [await begin(ledger, MUG), await begin(ledger)]
        assert await ledger.ask_one(count(8, token=tokens[0])) == Counted(2, 8, 0, 0, 0)
        await ledger.ask(sold(1))
        assert await ledger.ask_one(count(8, token=tokens[1])) == Counted(0, 7, -1, 0, 0)
        assert await ledger.ask(sold(1), count(9, token=tokens[0]), count(8, token=tokens[1])) == [
            Posted(1, 6),
            Counted(1, 7, -2, 0, 0),
            Counted(1, 6, -2, 0, 0),
        ]
        await ledger.assert_sound()


async def test_a_count_as_of_an_earlier_instant_does_not_undo_a_later_one(dsn: str) -> None:
    async with open_ledger(dsn, {"MUG": 10}) as ledger:
        await a_day_passes(ledger)
        early, late = ago(30), ago(20)
        assert await ledger.ask_one(count_as_of(late, 7)) == Counted(3, 7, 0, 0, 0)
        assert await ledger.ask_one(count_as_of(early, 9)) == CountOutdated(MUG, BERLIN, early, late)
        assert await ledger.ask_one(count_as_of(late, 8)) == Counted(1, 8, 0, 0, 0)
        await ledger.assert_sound()


async def test_what_moved_within_the_error_of_the_clock_is_taken_as_it_makes_the_figure_lower(dsn: str) -> None:
    async with open_ledger(dsn, {"MUG": 10}) as ledger:
        await a_day_passes(ledger)
        await ledger.ask(receive(4, at=ago(20)), sold(3, at=ago(20)), sold(1, at=ago(5)))
        outcome = await ledger.ask_one(count_as_of(ago(20), 11, error_s=120))
        assert outcome == Counted(units_moved=3, available=7, units_since=-4, units_ambiguous=7, units_short=0)
        assert "count again: 7 units moved so close to it that nobody can tell" in in_words(outcome)
        assert await ledger.ask_one(receive(2, at=ago(21))) == PostedLate(2, 7, units_seen=0, units_ambiguous=2)
        assert await ledger.ask_one(sold(2, at=ago(21))) == PostedLate(2, 5, units_seen=0, units_ambiguous=2)
        await ledger.assert_sound()


async def test_more_that_left_than_was_counted_leaves_nothing_and_asks_for_a_second_look(dsn: str) -> None:
    async with open_ledger(dsn, {"MUG": 10}) as ledger:
        token = await begin(ledger, MUG)
        await ledger.ask(sold(6))
        outcome = await ledger.ask_one(count(4, token=token))
        assert outcome == Counted(units_moved=4, available=0, units_since=-6, units_ambiguous=2, units_short=0)
        await ledger.assert_sound()


# Told late ---------------------------------------------------------------------------------------------------------


async def test_a_receipt_that_the_count_had_seen_changes_nothing_when_it_is_booked(dsn: str) -> None:
    async with open_ledger(dsn, {"MUG": 5}) as ledger:
        await shop_sells(ledger, "o1", 9)
        await ledger.ask(count(8))
        await a_day_passes(ledger)
        before = await ledger.figures()
        late = await ledger.ask_one(receive(3, at=ago(60 * 24 + 60)))
        assert late == PostedLate(units_moved=3, available=0, units_seen=3, units_ambiguous=0)
        assert await ledger.figures() == before == {"committed": 8}
        moved = await ledger.rows("select reason, units from movements where happened_at is not null order by version")
        assert moved == [{"reason": "received", "units": 3}, {"reason": "seen_by_count", "units": 3}]
        await ledger.assert_sound()


async def test_units_that_a_count_found_gone_can_still_be_told_to_have_left(dsn: str) -> None:
    async with open_ledger(dsn, {"MUG": 5}) as ledger:
        await a_day_passes(ledger)
        await ledger.ask(count_as_of(ago(20), 0))
        left = Dispatch(
            key=key(), transfer_id="t1", sku=MUG, origin=BERLIN, target=HAMBURG, units=5, happened_at=ago(30)
        )
        assert await ledger.ask_one(left) == PostedLate(5, 0, units_seen=5, units_ambiguous=0)
        assert await ledger.figures() == {}
        await ledger.assert_sound()


async def test_an_order_that_a_count_shortened_can_still_be_told_to_have_shipped(dsn: str) -> None:
    async with open_ledger(dsn, {"MUG": 3}) as ledger:
        await shop_sells(ledger, "o0")
        await claim_order(ledger, 2)
        await a_day_passes(ledger)
        await ledger.ask(count_as_of(ago(20), 0))
        assert await ledger.figures() == {}
        assert await ledger.ask_one(ship(2, at=ago(30))) == PostedLate(2, 0, units_seen=2, units_ambiguous=0)
        lines = await ledger.rows("select order_id, units_short, units_shipped from order_lines order by order_id")
        assert lines == [
            {"order_id": "o0", "units_short": 1, "units_shipped": 0},
            {"order_id": "o1", "units_short": 0, "units_shipped": 2},
        ]
        assert await ledger.figures() == {}
        await ledger.assert_sound()


async def test_a_unit_put_aside_before_the_free_ones_were_counted_does_not_lower_them_again(dsn: str) -> None:
    async with open_ledger(dsn, {"MUG": 5}) as ledger:
        await a_day_passes(ledger)
        await ledger.ask(count_as_of(ago(20), 4, AVAILABLE))
        states = {"origin": StockState.AVAILABLE, "target": StockState.DAMAGED}
        await ledger.ask(Move(key=key(), sku=MUG, location=BERLIN, units=1, happened_at=ago(30), **states))
        assert await ledger.figures() == {"available": 4, "damaged": 1}
        await ledger.assert_sound()


# What is refused -----------------------------------------------------------------------------------------------------


async def test_a_count_that_cannot_say_what_it_had_seen_is_refused(dsn: str) -> None:
    async with open_ledger(dsn, {"MUG": 5}) as ledger:
        nobody, elsewhere, of_caps = UUID(int=7), await begin(ledger, at=HAMBURG), await begin(ledger, CAP)
        assert await ledger.ask_one(count(1, token=nobody)) == NoSuchCount(nobody, MUG, BERLIN, "")
        assert await ledger.ask_one(count(1, token=elsewhere)) == NoSuchCount(elsewhere, MUG, BERLIN, "HAM")
        assert await ledger.ask_one(count(1, token=of_caps)) == NoSuchCount(of_caps, MUG, BERLIN, "")
        too_early = await ledger.ask_one(count_as_of(ago(60), 1))
        assert isinstance(too_early, BeforeHistory)
        assert too_early.first_at is not None
        of_a_cap = Count(key=key(), sku=CAP, location=BERLIN, units=1, as_of=ago(1))
        assert await ledger.ask_one(of_a_cap) == BeforeHistory(CAP, of_a_cap.as_of or NOON, None)
        for to_come in (count_as_of(ago(-2), 1), receive(1, at=ago(-2))):
            assert isinstance(await ledger.ask_one(to_come), InFuture)
        assert await ledger.figures() == {"available": 5}
        await ledger.assert_sound()


async def test_a_count_begins_only_where_something_is_known(dsn: str) -> None:
    async with open_ledger(dsn) as ledger:
        begun = await begin_count(ledger.database, CLOCK.new_id, Location("ROM"))
        assert begun == UnknownLocation(Location("ROM"))
        begun = await begin_count(ledger.database, CLOCK.new_id, BERLIN, [MUG, Sku("NOBODY")])
        assert begun == UnknownSku(Sku("NOBODY"))
        everything = await begin_count(ledger.database, CLOCK.new_id, BERLIN)
        assert isinstance(everything, CountBegun)
        assert everything.sku_count == 4


async def test_looking_back_reads_a_range_of_the_sku_and_not_the_whole_history(dsn: str) -> None:
    async with open_ledger(dsn, {"MUG": 5}) as ledger:
        await ledger.rows(
            "insert into movements (sku, movement_id, units, from_account, to_location, to_account, reason, source, "
            "version, posted_at) select 'SKU' || n % 97, gen_random_uuid(), 1, 'supplier', 'BER', 'available', "
            "'received', 'x', n, now() from generate_series(1, 20000) as n returning 1"
        )
        by_id = await ledger.rows(
            "explain select from_account, to_account, sum(units) from movements where sku = 'MUG' and movement_id >= "
            "'019ab000-0000-7000-8000-000000000000' and 'BER' in (from_location, to_location) group by 1, 2"
        )
        assert any("movements_pkey" in line["QUERY PLAN"] for line in by_id)
        beside = await ledger.rows(
            "explain select units from movements where sku = 'MUG' and version > 3 "
            "and (reason in ('counted', 'seen_by_count', 'shipped_uncounted') or happened_at is not null)"
        )
        assert any("movements_beside_counts" in line["QUERY PLAN"] for line in beside)


async def test_a_count_that_began_long_ago_is_forgotten_and_has_to_begin_again(dsn: str) -> None:
    async with open_ledger(dsn) as ledger:
        await ledger.ask_one(Receive(key=key(), sku=MUG, location=BERLIN, units=5))
        token = await begin(ledger)
        assert await end_old_counts(ledger.database, every_s=0) == 0
        assert isinstance(
            await ledger.ask_one(Count(key=key(), sku=MUG, location=BERLIN, units=4, token=token)), Counted
        )
        assert await end_old_counts(ledger.database, kept_s=0) == 0, "it was looked at within the hour"
        assert await end_old_counts(ledger.database, kept_s=0, every_s=0) >= 2
        late = Count(key=key(), sku=MUG, location=BERLIN, units=9, token=token)
        assert await ledger.ask_one(late) == NoSuchCount(token, MUG, BERLIN, "")
        assert await ledger.figures() == {"available": 4}
        await ledger.assert_sound()
