"""What a file says is applied once, all of it or row by row, and never erases what was sold since it was taken."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
import pytest_asyncio

from domain.shop import BERLIN, MUG, key
from files.desk import Desk, open_desk
from flow.test_counts import a_day_passes, ago, receive, sold
from oneshelf.domain.command import Receive
from oneshelf.domain.file_breaker import Allowance
from oneshelf.domain.identity import Sku
from oneshelf.domain.undo import opposite, to_undo
from oneshelf.errors import DatabaseUnavailableError
from oneshelf.files.helper import helpers_count
from oneshelf.files.importing import Atomic
from oneshelf.files.report import State, in_words, report_of
from oneshelf.storage import catalog, deeds, imports
from oneshelf.storage.database import Database

pytestmark = pytest.mark.pg

NOW: dict[str, Any] = {"taken_at": None}
TWO = "sku,location,on_hand\nMUG,BER,7\nCAP,BER,4\n"


@pytest_asyncio.fixture
async def desk(dsn: str) -> AsyncIterator[Desk]:
    """10 mugs lie in Berlin since yesterday."""
    async with open_desk(dsn) as opened:
        await opened.ledger.ask(receive(10))
        await a_day_passes(opened.ledger)
        yield opened


async def test_a_count_file_is_what_lies_there(desk: Desk) -> None:
    report = await desk.bring(TWO, **NOW)
    assert (report.state, report.row_count, report.applied_count) == (State.APPLIED, 2, 2)
    assert await desk.ledger.figures() == {"available": 7}
    assert await desk.ledger.figures("CAP") == {"available": 4}
    await desk.ledger.assert_sound()


@pytest.mark.parametrize("said_in", ["a column", "an option"])
async def test_a_count_of_nine_that_comes_at_eleven_does_not_erase_the_orders_of_ten(desk: Desk, said_in: str) -> None:
    taken = ago(120)
    await desk.ledger.ask(sold(2, at=ago(60)))
    if said_in == "a column":
        await desk.bring(f"sku,location,on_hand,taken_at\nMUG,BER,9,{taken.isoformat()}\n")
    else:
        await desk.bring("sku,location,on_hand\nMUG,BER,9\n", taken_at=taken)
    assert await desk.ledger.figures() == {"available": 7}


async def test_a_figure_without_an_instant_is_refused(desk: Desk) -> None:
    before = desk.everything()
    report = await desk.bring(TWO)
    assert report.state is State.REFUSED
    assert "--taken-at now" in report.refusal
    assert desk.everything() == before


async def test_the_same_file_again_changes_nothing_and_says_so(desk: Desk) -> None:
    first = await desk.bring(TWO, **NOW)
    await desk.ledger.ask(sold(3))
    before = desk.everything()
    again = await desk.bring(TWO, **NOW)
    assert (again.state, again.import_id) == (State.APPLIED_BEFORE, first.import_id)
    assert desk.everything() == before


async def test_the_same_bytes_of_another_instant_are_another_count(desk: Desk) -> None:
    await desk.bring(TWO, **NOW)
    await desk.ledger.ask(sold(3))
    assert (await desk.bring(TWO, taken_at=ago(0))).state is State.APPLIED
    assert await desk.ledger.figures() == {"available": 4}  # The sale is so near that the lower figure is taken.


async def test_a_preview_says_what_each_row_does_and_changes_nothing(desk: Desk) -> None:
    before = desk.everything()
    report = await desk.bring(TWO + "HAT,BER,3\nMUG,BER,8\n", **NOW, is_preview=True)
    assert report.state is State.PREVIEWED
    assert [(one.line, one.row, one.effect) for one in report.effects] == [
        (2, "MUG at BER: 7 on_hand", "posted: 3 units moved, 7 available"),
        (3, "CAP at BER: 4 on_hand", "posted: 4 units moved, 4 available"),
    ]
    assert [(one.line, one.column, one.value) for one in report.problems] == [
        (4, "sku", "HAT"),
        (5, "", "MUG at BER: 8 on_hand"),
    ]
    assert desk.everything() == before


async def test_one_bad_row_holds_a_whole_file(desk: Desk) -> None:
    before = desk.everything()
    report = await desk.bring(TWO + "HAT,BER,3\n", **NOW)
    assert report.state is State.REFUSED
    assert "--atomic row" in report.refusal
    assert desk.everything() == before


async def test_row_by_row_the_good_ones_are_applied_and_the_others_can_follow(desk: Desk) -> None:
    file = TWO + "HAT,BER,3\n"
    report = await desk.bring(file, **NOW, atomic=Atomic.ROW)
    assert (report.state, report.applied_count, report.problem_count) == (State.APPLIED, 2, 1)
    assert "oneshelf stock add-sku" in report.problems[0].reason
    await desk.ledger.ask(sold(1))
    async with desk.ledger.database.transaction() as tx:
        await catalog.add_skus(tx, {Sku("HAT"): ""})
    again = await desk.bring(file, **NOW, atomic=Atomic.ROW)
    assert (again.applied_count, again.replayed_count, again.problem_count) == (1, 2, 0)
    assert await desk.ledger.figures("HAT") == {"available": 3}
    assert await desk.ledger.figures() == {"available": 6}


async def test_what_the_ledger_refuses_holds_a_whole_file_too(desk: Desk) -> None:
    before = desk.everything()
    report = await desk.bring("sku,location,delta\nMUG,BER,-3\nCAP,BER,-1\n", **NOW)
    assert report.state is State.REFUSED
    assert [one.line for one in report.problems] == [3]
    assert desk.everything() == before


async def test_what_the_ledger_refused_is_tried_anew_once_the_units_are_there(desk: Desk) -> None:
    """A refusal that was kept with the key of its row would have refused this row for ever."""
    file = "sku,location,delta\nMUG,BER,-3\nCAP,BER,-1\n"
    first = await desk.bring(file, **NOW, atomic=Atomic.ROW)
    assert (first.applied_count, first.problem_count) == (1, 1)
    await desk.ledger.ask(Receive(key=key(), sku=Sku("CAP"), location=BERLIN, units=4))
    again = await desk.bring(file, **NOW, atomic=Atomic.ROW)
    assert (again.applied_count, again.replayed_count, again.problem_count) == (1, 1, 0)
    assert await desk.ledger.figures("CAP") == {"available": 3}
    assert await desk.ledger.figures() == {"available": 7}
    await desk.ledger.assert_sound()


async def test_differences_of_one_sku_add_up(desk: Desk) -> None:
    await desk.bring("sku,location,delta,reason\nMUG,BER,-3,broken\nMUG,BER,+1,found\n", **NOW)
    assert await desk.ledger.figures() == {"available": 8}


async def test_a_file_is_taken_back_as_one(desk: Desk) -> None:
    report = await desk.bring(TWO, **NOW)
    await desk.ledger.ask(sold(2))
    assert report.undo == f"oneshelf undo --scope import --command '{report.import_id}/*'"
    async with desk.ledger.database.transaction() as tx:
        found = to_undo(await deeds.of_commands(tx, f"{report.import_id}/*", scope="import"))
    await desk.ledger.ask(*(command for deed in found for command in opposite(deed)))
    assert await desk.ledger.figures() == {"available": 8}
    assert await desk.ledger.figures("CAP") == {}
    await desk.ledger.assert_sound()


async def take_back(desk: Desk, import_id: str) -> None:
    async with desk.ledger.database.transaction() as tx:
        found = to_undo(await deeds.of_commands(tx, f"{import_id}/*", scope="import"))
    await desk.ledger.ask(*(command for deed in found for command in opposite(deed)))


async def test_a_file_that_was_taken_back_counts_again_only_where_it_is_meant_so(desk: Desk) -> None:
    file, again = "sku,location,delta\nMUG,BER,5\n", frozenset({Allowance.AGAIN})
    first = await desk.bring(file, **NOW)
    assert (await desk.bring(file, **NOW, allowed=again)).state is State.APPLIED_BEFORE
    await take_back(desk, first.import_id)
    told = await desk.bring(file, **NOW)
    assert (told.state, await desk.ledger.figures()) == (State.APPLIED_BEFORE, {"available": 10})
    assert "--allow again" in in_words(told)
    for state in (State.APPLIED, State.APPLIED_BEFORE):
        second = await desk.bring(file, **NOW, allowed=again)
        assert (second.state, await desk.ledger.figures()) == (state, {"available": 15})
    await take_back(desk, second.import_id)
    assert (await desk.bring(file, **NOW, allowed=again)).state is State.APPLIED
    assert await desk.ledger.figures() == {"available": 15}
    await desk.ledger.assert_sound()


@pytest.mark.parametrize("ends", ["with a wrong row", "stopped"])
async def test_a_file_of_which_a_part_was_applied_and_taken_back_counts_again(desk: Desk, ends: str) -> None:
    """Its rows were answered as if they still counted."""
    skus = await full_shelf(desk, 20)
    wrong = "NONE,BER,3\n" if ends == "with a wrong row" else ""
    file = "sku,location,delta\n" + "".join(f"{sku},BER,5\n" for sku in skus) + wrong

    def stop(stage: str, _row_count: int, _import_id: str) -> None:
        if stage == "applied" and ends == "stopped":
            with psycopg.connect(desk.dsn) as connection:
                connection.execute("update imports set stopped_by = 'Ada' where ended_at is null")

    async def lying() -> int:
        return sum([(await desk.ledger.figures(sku)).get("available", 0) for sku in skus])

    before = await lying()
    first = await desk.bring(file, **NOW, tell=stop, atomic=Atomic.ROW, chunk=1)
    assert (first.state is State.STOPPED) == (ends == "stopped")
    assert first.applied_count > 0
    await take_back(desk, first.import_id)
    assert await lying() == before
    told = await desk.bring(file, **NOW, atomic=Atomic.ROW, chunk=1)
    assert told.replayed_count == first.applied_count
    assert "taken back" in in_words(told)
    assert "--allow again" in in_words(told)
    await take_back(desk, first.import_id)
    for rows in (20, 0):
        second = await desk.bring(file, **NOW, atomic=Atomic.ROW, chunk=1, allowed=frozenset({Allowance.AGAIN}))
        assert (second.applied_count, await lying()) == (rows, before + 100)
    await desk.ledger.assert_sound()


async def test_a_policy_that_is_said_again_after_another_one_holds_again(desk: Desk) -> None:
    async def percent() -> object:
        [row] = await desk.ledger.rows("select stated ->> 'percent' as percent from policies")
        return row["percent"]

    half, most = "sku,percent\nMUG,50\n", "sku,percent\nMUG,80\n"
    for file in (half, most, half):
        report = await desk.bring(file, "policies")
        assert (report.state, report.applied_count, report.undo) == (State.APPLIED, 1, "")
    assert await percent() == "50"
    assert (await desk.bring(half, "policies")).replayed_count == 1


async def test_a_receipt_with_a_number_says_that_it_is_taken_back_by_that(desk: Desk) -> None:
    report = await desk.bring("sku,location,received,receipt\nMUG,BER,5,DN 7/1\n", "receipts", **NOW)
    assert "oneshelf undo --scope receipt --command 'NUMBER/*'" in report.undo
    async with desk.ledger.database.transaction() as tx:
        assert not await deeds.of_commands(tx, f"{report.import_id}/*", scope="import")
        assert len(await deeds.of_commands(tx, "DN%207%2F1/*", scope="receipt")) == 1


@pytest.mark.parametrize("chunk", [1, 2, 3, 500])
async def test_a_file_in_parts_of_any_size_does_the_same(desk: Desk, chunk: int) -> None:
    file = "sku,location,delta\nMUG,BER,-3\nCAP,BER,2\nCAP,BER,-1\nMUG,BER,4\nNONE,BER,1\nCAP,HAM,6\n"
    report = await desk.bring(file, **NOW, atomic=Atomic.ROW, chunk=chunk)
    assert (report.applied_count, report.problem_count) == (5, 1)
    assert await desk.ledger.figures() == {"available": 11}
    assert await desk.ledger.figures("CAP") == {"available": 1}
    assert await desk.ledger.figures("CAP", "HAM") == {"available": 6}


# What a person has to look at -----------------------------------------------------------------------------------------


async def full_shelf(desk: Desk, count: int) -> list[Sku]:
    skus = [Sku(f"S{number:02}") for number in range(count)]
    async with desk.ledger.database.transaction() as tx:
        await catalog.add_skus(tx, dict.fromkeys(skus, ""))
    await desk.ledger.ask(*(Receive(key=key(), sku=sku, location=BERLIN, units=5) for sku in skus))
    return skus


async def test_a_file_that_empties_the_shelf_is_held_until_somebody_says_that_it_is_meant_so(desk: Desk) -> None:
    skus = await full_shelf(desk, 20)
    file = "sku,location,on_hand\n" + "".join(f"{sku},BER,0\n" for sku in skus)
    before = desk.everything()
    report = await desk.bring(file, **NOW)
    assert report.state is State.REFUSED
    assert "nothing of 20 of the 21 SKUs" in report.refusal
    assert "--allow zeros" in report.refusal
    assert desk.everything() == before
    assert (await desk.bring(file, **NOW, allowed=frozenset({Allowance.ZEROS}))).state is State.APPLIED
    assert await desk.ledger.figures("S03") == {}


async def test_a_file_that_is_much_shorter_than_the_last_of_its_source_is_held(desk: Desk) -> None:
    skus = await full_shelf(desk, 20)
    rows = [f"{sku},BER,6\n" for sku in skus]
    await desk.bring("sku,location,on_hand\n" + "".join(rows), **NOW, source="erp")
    short = "sku,location,on_hand\n" + "".join(rows[:5])
    before = desk.everything()
    report = await desk.bring(short, **NOW, source="erp")
    assert "it has 5 rows, and the last one from erp had 20" in report.refusal
    assert desk.everything() == before
    assert (await desk.bring(short, **NOW, source="3pl")).state is State.APPLIED
    assert (await desk.bring(short, taken_at=ago(0), source="erp", allowed=frozenset({Allowance.FEWER}))).is_done


# Names ----------------------------------------------------------------------------------------------------------------


async def test_skus_and_locations_are_named_by_file(desk: Desk) -> None:
    report = await desk.bring("sku,title\nHAT,A hat\nMUG,Other\n", "skus")
    assert (report.applied_count, report.replayed_count) == (1, 1)
    await desk.bring("location;title\nMUC;Munich, the south\n", "locations")
    assert await desk.ledger.rows("select title from skus where sku in ('HAT', 'MUG') order by sku") == [
        {"title": "A hat"},
        {"title": ""},
    ]
    assert await desk.ledger.rows("select title from locations where location = 'MUC'") == [
        {"title": "Munich, the south"}
    ]


async def test_a_file_may_call_its_columns_as_it_likes(desk: Desk) -> None:
    file = "Item No\tQty\tBin\nMUG\t6\tA-7\n"
    said: dict[str, Any] = {
        "names": {"sku": "item no", "on_hand": "QTY"},
        "ignored": frozenset({"bin"}),
        "location": BERLIN,
    }
    assert (await desk.bring(file, **NOW, **said)).state is State.APPLIED
    assert await desk.ledger.figures(MUG) == {"available": 6}


# Why rows are refused -----------------------------------------------------------------------------------------------


@pytest.mark.long
@pytest.mark.parametrize("more", [{}, {"chunk": 3, "shared_from_bytes": 0}])
async def test_rows_that_are_refused_for_the_same_reason_are_counted_and_the_first_of_them_named(
    desk: Desk, more: dict[str, Any]
) -> None:
    unknown = "".join(f"NEW-{number},BER,1\n" for number in range(12))
    report = await desk.bring(f"{TWO}MUG,MUC,many\n{unknown}", **NOW, atomic=Atomic.ROW, **more)
    assert [(one.column, one.row_count, one.line) for one in report.reasons] == [("sku", 12, 5), ("on_hand", 1, 4)]
    assert "add-sku" in report.reasons[0].reason
    assert len(report.problems) == 13
    assert [problem.line for problem in report.examples] == [4, 5, 6, 7, 8, 9]
    assert [one.row_count for one in report.rest(report.examples)] == [7]
    assert report.rest(report.problems) == []
    async with desk.ledger.database.transaction() as tx:
        kept = await imports.find(tx, report.import_id)
    assert kept is not None
    assert report_of(kept).reasons == report.reasons


async def test_a_count_of_too_early_an_instant_is_refused_in_words_of_the_file(desk: Desk) -> None:
    async with desk.ledger.database.transaction() as tx:
        await catalog.add_skus(tx, dict.fromkeys(map(Sku, ("NEW-1", "NEW-2")), ""))
    file = "sku,location,on_hand,counted on\n" + "".join(f"NEW-{one},BER,1,2026-01-01T09:00:00Z\n" for one in (1, 2))
    report = await desk.bring(file, names={"taken_at": "counted on"}, atomic=Atomic.ROW)
    [reason] = report.reasons
    assert (reason.column, reason.row_count) == ("counted on", 2)
    assert "--taken-at now" in reason.reason
    assert "as_of" not in reason.reason
    seen = await desk.bring(file, names={"taken_at": "counted on"}, atomic=Atomic.ROW, is_preview=True)
    assert [one.effect.partition(":")[0] for one in seen.effects] == ["refused", "refused"]
    mended = await desk.bring("sku,location,on_hand,taken_at\nNEW-1,BER,1,\nNEW-2,BER,1,\n", **NOW)
    assert (mended.state, mended.applied_count) == (State.APPLIED, 2), "the way out is one"


# Broken off ---------------------------------------------------------------------------------------------------------


async def test_a_file_whose_process_died_is_told_from_one_that_is_under_way(desk: Desk) -> None:
    skus = await full_shelf(desk, 8)

    class Died(BaseException):
        """The power went."""

    def die(stage: str, row_count: int, _import_id: str) -> None:
        if stage == "applied" and row_count >= 4:
            raise Died

    with pytest.raises(Died):
        await desk.bring(many(8), **NOW, tell=die, atomic=Atomic.ROW, chunk=2)

    async def state() -> State:
        async with desk.ledger.database.transaction() as tx:
            [row] = await imports.listed(tx, limit=9)
        return report_of(row).state

    assert await state() is State.UNDER_WAY
    await desk.ledger.rows("update imports set heard_at = db_now() - interval '3 minutes' returning 1")
    assert await state() is State.BROKEN_OFF
    report = await desk.bring(many(8), **NOW, atomic=Atomic.ROW)
    assert (report.applied_count + report.replayed_count, report.replayed_count >= 4) == (8, True)
    assert await state() is State.APPLIED
    assert [(await desk.ledger.figures(sku)).get("available", 0) for sku in skus] == list(range(8))


@pytest.mark.long
@pytest.mark.parametrize("more", [{}, {"shared_from_bytes": 0}])
async def test_a_file_that_somebody_stops_goes_on_where_it_comes_again(desk: Desk, more: dict[str, Any]) -> None:
    skus = await full_shelf(desk, 200)

    stops: list[int] = []

    def stop(stage: str, row_count: int, _import_id: str) -> None:
        if stage == "applied" and not stops:
            stops.append(row_count)
            with psycopg.connect(desk.dsn) as connection:
                connection.execute("update imports set stopped_by = 'Ada' where ended_at is null")

    stopped = await desk.bring(many(200), **NOW, tell=stop, atomic=Atomic.ROW, chunk=2, **more)
    assert (stopped.state, stopped.is_done, 0 < stopped.applied_count < 200) == (State.STOPPED, False, True)
    assert "the rest is done, and nothing twice" in in_words(stopped)
    async with desk.ledger.database.transaction() as tx:
        kept = await imports.find(tx, stopped.import_id)
        assert kept is not None
        assert (report_of(kept).state, kept.is_complete, kept.stopped_by) == (State.STOPPED, False, "Ada")
        await imports.ask_to_stop(tx, stopped.import_id, by="Ben")
        ended = await imports.find(tx, stopped.import_id)
        assert ended == kept, "it has ended"
    rest = await desk.bring(many(200), **NOW, atomic=Atomic.ROW, chunk=2)
    assert (rest.state, rest.applied_count + rest.replayed_count) == (State.APPLIED, 200)
    assert rest.replayed_count >= stopped.applied_count
    assert [(await desk.ledger.figures(sku)).get("available", 0) for sku in skus] == list(range(200))


async def test_a_wish_to_stop_a_file_holds_though_somebody_brings_it_again_meanwhile(desk: Desk) -> None:
    await full_shelf(desk, 60)
    said: list[int] = []

    def stop(stage: str, row_count: int, import_id: str) -> None:
        if stage == "applied" and not said:
            said.append(row_count)
            somebody = threading.Thread(target=lambda: asyncio.run(stopped_and_begun(import_id)))
            somebody.start()
            somebody.join()

    async def stopped_and_begun(import_id: str) -> None:
        async with Database.open(desk.dsn) as database, database.transaction() as tx:
            await imports.ask_to_stop(tx, import_id, by="Ada")
            await imports.begin(tx, import_id=import_id, kind="counts", source="", file_name="again", row_count=60)

    report = await desk.bring(many(60), **NOW, tell=stop, atomic=Atomic.ROW, chunk=1)
    assert (report.state, said != [], report.applied_count < 60) == (State.STOPPED, True, True)
    whole = await desk.bring(many(60), **NOW, atomic=Atomic.ROW, chunk=1)
    assert (whole.state, whole.applied_count + whole.replayed_count) == (State.APPLIED, 60)


# A large file ---------------------------------------------------------------------------------------------------------


def helpers() -> list[int]:
    """The processes that help this one now."""
    return [int(one) for one in Path(f"/proc/self/task/{threading.get_native_id()}/children").read_text().split()]


def many(count: int) -> str:
    return "sku,location,on_hand\n" + "".join(f"S{number:02},BER,{number}\n" for number in range(count))


@pytest.mark.long
async def test_a_large_file_is_shared_by_processes_and_does_the_same(desk: Desk) -> None:
    skus = await full_shelf(desk, 40)
    file = many(40) + "NONE,BER,1\nS03,BER,9\n S04 ,BER,9\nS05,BER\nS06,BER,many\n"
    report = await desk.bring(file, **NOW, atomic=Atomic.ROW, chunk=3, shared_from_bytes=0)
    assert (report.state, report.row_count, report.applied_count) == (State.APPLIED, 45, 40)
    assert [problem.line for problem in report.problems] == [42, 43, 44, 45, 46]
    assert report.zeroed_count == 1
    assert [(await desk.ledger.figures(sku)).get("available", 0) for sku in skus] == list(range(40))
    # One that has dealt the rows to so many processes is answered by one that is alone.
    again = await desk.bring(file, **NOW, atomic=Atomic.ROW)
    assert (again.import_id, again.applied_count, again.replayed_count) == (report.import_id, 0, 40)
    await desk.ledger.assert_sound()


@pytest.mark.long
async def test_a_preview_of_a_large_file_lists_the_first_effects_in_the_order_of_the_file(desk: Desk) -> None:
    await full_shelf(desk, 30)
    before = desk.everything()
    report = await desk.bring(many(30), **NOW, is_preview=True, chunk=2, shared_from_bytes=0)
    assert [effect.line for effect in report.effects] == list(range(2, 32))
    assert report.effects[7].effect == "posted: 2 units moved, 7 available"
    assert desk.everything() == before


@pytest.mark.long
async def test_differences_of_one_sku_are_done_in_the_order_of_a_large_file(desk: Desk) -> None:
    file = "sku,location,delta\n" + "MUG,BER,-8\nMUG,BER,6\nCAP,BER,2\n" * 20
    report = await desk.bring(file, **NOW, atomic=Atomic.ROW, chunk=1, shared_from_bytes=0)
    # 10, 2, 8, 0, 6, and 6 is less than 8: with the next 6 it is 12, 4 and 10, and all begins anew.
    assert (report.applied_count, report.problem_count) == (55, 5)
    assert [problem.line for problem in report.problems] == [8, 20, 32, 44, 56]
    assert await desk.ledger.figures() == {"available": 10}
    assert await desk.ledger.figures("CAP") == {"available": 40}


@pytest.mark.long
async def test_a_damaged_large_file_is_refused_whole(desk: Desk) -> None:
    before = desk.everything()
    report = await desk.bring(many(9) + 'S10,BER,"1\n', **NOW, atomic=Atomic.ROW, shared_from_bytes=0)
    assert (report.state, desk.everything()) == (State.REFUSED, before)
    assert "never closed" in report.refusal


@pytest.mark.long
@pytest.mark.skipif(helpers_count() == 1, reason="one core: nobody helps")
async def test_a_process_that_is_killed_in_the_middle_of_a_large_file_loses_nothing(desk: Desk) -> None:
    skus = await full_shelf(desk, 60)
    # No part of the file comes to its end before one has been killed.
    with psycopg.connect(desk.dsn) as other:
        other.execute("select from skus where sku >= 'S40' for update")

        def kill_one(stage: str, row_count: int, _import_id: str) -> None:
            if stage == "applied" and row_count >= 4:
                os.kill(helpers()[0], signal.SIGKILL)
                other.rollback()

        with pytest.raises(DatabaseUnavailableError, match="Bring the file in again"):
            await desk.bring(many(60), **NOW, tell=kill_one, atomic=Atomic.ROW, chunk=2, shared_from_bytes=0)
    assert not helpers()
    report = await desk.bring(many(60), **NOW, atomic=Atomic.ROW, chunk=2, shared_from_bytes=0)
    assert report.applied_count + report.replayed_count == 60
    assert report.replayed_count > 0
    assert [(await desk.ledger.figures(sku)).get("available", 0) for sku in skus] == list(range(60))
    await desk.ledger.assert_sound()
