"""Cycle counts: what is to be counted, the difference that a person looks at, and what the ledger makes of it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Any

import pytest

from domain.shop import BERLIN, CAP, DUO, HAMBURG, MUG, demand, key, lock
from flow.shelf_world import CLOCK, Ledger, open_ledger
from oneshelf.domain.account import StockState
from oneshelf.domain.command import Claim, Command, Move, OrderRef, Receive, Ship
from oneshelf.domain.count_task import (
    CountWish,
    Decision,
    EnteredBefore,
    Entry,
    LineState,
    NoSuchTask,
    NothingToCount,
    NotInTask,
    NotToRule,
    OtherRound,
    Ruling,
    SalesClass,
    TaskExists,
    Threshold,
    task_in_words,
)
from oneshelf.domain.identity import Channel, Location, Sku
from oneshelf.domain.outcome import Outcome, Reserved, UnknownLocation, UnknownSku
from oneshelf.flow import count, post
from oneshelf.storage import count_tasks

pytestmark = pytest.mark.pg
ADA, BEN = "Ada", "Ben"


@pytest.fixture
async def ledger(dsn: str) -> AsyncIterator[Ledger]:
    async with open_ledger(dsn, {"MUG": 10, "CAP": 5}) as opened:
        yield opened


async def opened(ledger: Ledger, **wish: Any) -> object:
    told: dict[str, Any] = {"task": "c1", "location": BERLIN, **wish}
    return await count.open_task(ledger.database, CLOCK.new_id, CountWish(**told), by=BEN)


async def entered(ledger: Ledger, units: int, sku: Sku = MUG, round_: int | None = None) -> object:
    entry = Entry(task="c1", sku=sku, units=units, by=ADA, round=round_)
    return await count.enter(ledger.database, CLOCK.new_id, entry)


async def ruled(ledger: Ledger, ruling: Ruling, sku: Sku = MUG, round_: int | None = None) -> object:
    decision = Decision(task="c1", sku=sku, ruling=ruling, by=BEN, reason="looked again", round=round_)
    return await count.decide(ledger.database, CLOCK.new_id, decision)


async def posted(ledger: Ledger) -> int:
    async def ask(commands: Sequence[Command]) -> list[Outcome]:
        return [one.outcome for one in await post.post_commands(ledger.database, CLOCK.new_id, commands)]

    return await count.post_accepted(ledger.database, ask)


async def line(ledger: Ledger, sku: Sku = MUG) -> count_tasks.LineRow:
    async with ledger.database.transaction() as tx:
        [found] = [row for row in await count_tasks.lines(tx, "c1", limit=10) if row.sku == sku]
    return found


async def ship(ledger: Ledger, units: int) -> None:
    """A parcel leaves."""
    reserved = await ledger.ask_one(lock(demand(MUG, units)))
    assert isinstance(reserved, Reserved)
    order = OrderRef(Channel("till"), str(reserved.reservation_id))
    await ledger.ask(Claim(key=key(), reservation_id=reserved.reservation_id, order=order))
    await ledger.ask(Ship(key=key(), order=order, sku=MUG, location=BERLIN, units=units))


async def test_a_figure_that_agrees_is_posted_and_the_counter_sees_no_figure_before(ledger: Ledger) -> None:
    assert await opened(ledger) == 2
    before = await line(ledger)
    assert (before.state, before.units_expected, before.variance_units) == ("open", None, None)
    assert await entered(ledger, 10) is LineState.ACCEPTED
    assert await posted(ledger) == 1
    after = await line(ledger)
    assert (after.state, after.units_expected, after.variance_units) == ("posted", 10, 0)
    assert await ledger.rows("select units from ruling_counts where sku = 'MUG'") == [{"units": 10}]
    assert await posted(ledger) == 0
    await ledger.assert_sound()


async def test_a_difference_within_the_threshold_is_posted_and_one_beyond_it_waits_for_a_person(ledger: Ledger) -> None:
    await opened(ledger, threshold=Threshold(units=1))
    assert await entered(ledger, 9) is LineState.ACCEPTED
    assert await entered(ledger, 2, CAP) is LineState.REVIEW
    await posted(ledger)
    assert (await ledger.figures("MUG"), await ledger.figures("CAP")) == ({"available": 9}, {"available": 5})
    assert await ruled(ledger, Ruling.ACCEPT, CAP) is LineState.ACCEPTED
    await posted(ledger)
    assert await ledger.figures("CAP") == {"available": 2}
    told = await line(ledger, CAP)
    assert (told.state, told.decided_by, told.reason, told.variance_units) == ("posted", BEN, "looked again", -3)
    assert "3 units moved" in told.answer
    await ledger.assert_sound()


async def test_what_is_sold_and_shipped_while_somebody_counts_is_not_erased(ledger: Ledger) -> None:
    await opened(ledger)
    await ship(ledger, 3)
    # Counted before the parcel left: the ledger had 10 then.
    assert await entered(ledger, 10) is LineState.ACCEPTED
    await ship(ledger, 1)
    await posted(ledger)
    assert await ledger.figures() == {"available": 6}
    await ledger.assert_sound()


async def test_what_ships_between_the_review_and_the_posting_is_not_erased(ledger: Ledger) -> None:
    await opened(ledger)
    await ship(ledger, 2)
    assert await entered(ledger, 6) is LineState.REVIEW  # 8 are there: it fits neither 10 nor 8
    assert (await line(ledger)).is_doubtful
    await ship(ledger, 1)
    await ruled(ledger, Ruling.ACCEPT)
    await posted(ledger)
    assert await ledger.figures() == {"available": 5}
    await ledger.assert_sound()


async def test_counted_again_it_begins_again(ledger: Ledger) -> None:
    await opened(ledger)
    await entered(ledger, 4)
    assert await ruled(ledger, Ruling.RECOUNT, round_=1) is LineState.OPEN
    assert await ruled(ledger, Ruling.RECOUNT, round_=1) is LineState.OPEN, "said again"
    assert (await line(ledger)).round == 2
    assert await entered(ledger, 4, round_=1) == OtherRound("c1", MUG, asked=1, round=2), "of the round before"
    assert await entered(ledger, 10, round_=2) is LineState.ACCEPTED
    await posted(ledger)
    assert await ledger.figures() == {"available": 10}


async def test_what_was_said_once_is_not_done_again(ledger: Ledger) -> None:
    await opened(ledger)
    assert await opened(ledger) == 2, "opened again"
    assert await opened(ledger, location=HAMBURG) == TaskExists("c1", BERLIN)
    assert await entered(ledger, 9) is LineState.REVIEW
    assert await entered(ledger, 9) is LineState.REVIEW
    assert await entered(ledger, 8) == EnteredBefore("c1", MUG, 1, 9)
    assert await ruled(ledger, Ruling.ACCEPT) is LineState.ACCEPTED
    assert await ruled(ledger, Ruling.ACCEPT) is LineState.ACCEPTED
    await posted(ledger)
    assert await ruled(ledger, Ruling.ACCEPT) is LineState.POSTED
    assert await ruled(ledger, Ruling.DROP) == NotToRule("c1", MUG, Ruling.DROP, "posted")
    assert len(await ledger.rows("select 1 from commands where scope = 'count-task'")) == 1


async def test_a_posting_that_died_before_it_was_noted_is_not_posted_twice(ledger: Ledger) -> None:
    await opened(ledger, threshold=Threshold(units=5))
    await entered(ledger, 8)
    await posted(ledger)
    await ledger.rows("update count_lines set state = 'accepted', posted_at = null where sku = 'MUG' returning 1")
    await ledger.ask(Receive(key=key(), sku=MUG, location=BERLIN, units=4))
    assert await posted(ledger) == 1
    assert await ledger.figures() == {"available": 12}
    assert (await line(ledger)).state == "posted"


async def test_what_is_not_to_be_counted_is_dropped(ledger: Ledger) -> None:
    await opened(ledger)
    assert await ruled(ledger, Ruling.DROP) is LineState.DROPPED
    assert await entered(ledger, 3) == EnteredBefore("c1", MUG, 1, None)
    assert await posted(ledger) == 0


async def test_a_count_of_which_nobody_knows_the_beginning_any_more_is_to_be_counted_again(ledger: Ledger) -> None:
    await opened(ledger)
    await entered(ledger, 4)
    await ledger.rows("delete from counts returning 1")
    await ruled(ledger, Ruling.ACCEPT)
    await posted(ledger)
    told = await line(ledger)
    assert (told.state, "refused" in told.answer) == ("refused", True)
    assert await ledger.figures() == {"available": 10}
    assert await ruled(ledger, Ruling.RECOUNT) is LineState.OPEN
    assert await entered(ledger, 10) is LineState.ACCEPTED


async def chosen(ledger: Ledger, **wish: Any) -> list[Sku]:
    told: dict[str, Any] = {"task": "c", "location": BERLIN, **wish}
    async with ledger.database.transaction() as tx:
        return await count_tasks.chosen(tx, CountWish(**told))


async def test_what_is_to_be_counted_is_chosen(ledger: Ledger) -> None:
    await ledger.define_duo()
    assert await chosen(ledger) == [CAP, MUG], "all that ever lay there, and no bundle"
    assert await chosen(ledger, pattern="M?G") == [MUG]
    assert await chosen(ledger, pattern="m*") == []
    assert await chosen(ledger, pattern="M%") == []
    assert await chosen(ledger, skus=(DUO, Sku("SET"))) == [Sku("SET")], "named, although none ever lay there"
    assert await chosen(ledger, location=HAMBURG) == []
    await ledger.rows(
        "insert into sku_sales (sku, channel, slot_at, units, line_count)"
        " values ('MUG', 'shop', now(), 90, 9), ('CAP', 'shop', now(), 10, 1) returning 1"
    )
    assert await chosen(ledger, sales_classes=(SalesClass.A,)) == [MUG]
    assert await chosen(ledger, sales_classes=(SalesClass.B, SalesClass.C)) == [CAP]
    assert await chosen(ledger, only_drifting=True) == []
    await opened(ledger, skus=(MUG,))
    await entered(ledger, 10)
    await posted(ledger)
    assert await chosen(ledger, limit=1) == [CAP], "the one that was counted longer ago"


@pytest.mark.parametrize(
    ("wish", "refusal"),
    [
        ({"skus": (Sku("NOBODY"),)}, UnknownSku(Sku("NOBODY"))),
        ({"location": Location("ROM")}, UnknownLocation(Location("ROM"))),
        ({"location": HAMBURG}, NothingToCount(HAMBURG)),
    ],
)
async def test_what_cannot_be_counted_is_refused(ledger: Ledger, wish: dict[str, Any], refusal: object) -> None:
    assert await opened(ledger, **wish) == refusal
    assert await ledger.rows("select 1 from count_tasks") == []


async def test_nobody_counts_in_a_task_that_is_none(ledger: Ledger) -> None:
    assert await entered(ledger, 1) == NoSuchTask("c1")
    assert await ruled(ledger, Ruling.ACCEPT) == NoSuchTask("c1")
    await opened(ledger, skus=(MUG,))
    refused = await entered(ledger, 1, CAP)
    assert refused == NotInTask("c1", CAP)
    assert isinstance(refused, NotInTask)
    assert "count-lines c1" in task_in_words(refused)
    assert await ruled(ledger, Ruling.ACCEPT, CAP) == refused


async def test_damaged_units_lie_there_too(ledger: Ledger) -> None:
    available, damaged = StockState.AVAILABLE, StockState.DAMAGED
    await ledger.ask(Move(key=key(), sku=MUG, location=BERLIN, units=2, origin=available, target=damaged))
    await opened(ledger)
    assert await entered(ledger, 10) is LineState.ACCEPTED
