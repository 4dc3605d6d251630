"""A document came with two contents: nothing moves for the second, and the alarm ends by later news or by a person."""

from __future__ import annotations

from uuid import UUID

import pytest

from flow.shelf_world import CLOCK, Ledger, open_ledger
from flow.test_statements import difference, figure, know, poster, shown, tell_one
from oneshelf.domain.statement import Statement
from oneshelf.domain.statement_answer import Refused
from oneshelf.domain.truth import Strategy
from oneshelf.errors import CannotResolveError
from oneshelf.flow.overrule import keep, overrule
from oneshelf.flow.state import settle
from oneshelf.storage.statements import FigureKey

pytestmark = pytest.mark.pg


async def overruled(ledger: Ledger, conflict_id: UUID) -> str:
    post = poster(ledger)

    async def again(key: FigureKey) -> int:
        return await settle(ledger.database, CLOCK.new_id, post, key)

    return await overrule(ledger.database, conflict_id, actor="Ada", reason="", post=post, settle=again)


async def quarantined(ledger: Ledger, first: Statement, *others: Statement) -> list[UUID]:
    """The conflicts of a document that came with these contents."""
    await tell_one(ledger, first)
    answers = [await tell_one(ledger, other) for other in others]
    assert {one.outcome for one in answers} == {Refused.QUARANTINED}
    return [one.conflict_id for one in answers if one.conflict_id]


async def test_a_person_ends_an_alarm_about_two_contents_and_it_stays_ended(dsn: str) -> None:
    async with open_ledger(dsn) as ledger:
        await know(ledger, "erp", strategy=Strategy.LEADER, leader="erp")
        [of_difference] = await quarantined(ledger, difference("GR-1", 10), difference("GR-1", 100))
        [of_figure] = await quarantined(ledger, figure("S-1", 8, ("erp", "GR-1")), figure("S-1", 80, ("erp", "GR-1")))
        for conflict_id in (of_difference, of_figure):
            left = await ledger.figures()
            told = await keep(ledger.database, conflict_id, actor="Ada", reason="I called them")
            assert "its other content is set aside" in told
            assert "kept already by Ada" in await keep(ledger.database, conflict_id, actor="Ben", reason="")
            assert await ledger.figures() == left
            with pytest.raises(CannotResolveError, match="Ada has ended this conflict"):
                await overruled(ledger, conflict_id)
        await tell_one(ledger, difference("GR-1", 100))
        assert {found for _, found, _ in await shown(ledger)} <= {"ended", "decided"}, "told again it is no news"
        await ledger.assert_sound()


async def test_a_later_figure_of_its_source_ends_an_alarm_about_two_contents(dsn: str) -> None:
    async with open_ledger(dsn) as ledger:
        await know(ledger, "erp", strategy=Strategy.LEADER, leader="erp")
        await tell_one(ledger, difference("GR-1", 10))
        first, other = figure("S-1", 8, ("erp", "GR-1")), figure("S-1", 80, ("erp", "GR-1"))
        await quarantined(ledger, first, other)
        assert ("equivocation", "open", "erp") in await shown(ledger)
        await tell_one(ledger, figure("S-2", 7, ("erp", "GR-1"), ("erp", "S-1")))
        assert ("equivocation", "ended", "erp") in await shown(ledger)
        await ledger.assert_sound()


async def test_of_two_contents_of_a_difference_the_second_is_made_right_once(dsn: str) -> None:
    async with open_ledger(dsn) as ledger:
        await know(ledger, "erp")
        second, third = await quarantined(
            ledger, difference("GR-1", 10), difference("GR-1", 7), difference("GR-1", 100)
        )
        assert "took -3" in await overruled(ledger, second)
        assert await ledger.figures() == {"available": 7}
        assert "made right already" in await overruled(ledger, second)
        with pytest.raises(CannotResolveError, match="was used before"):
            await overruled(ledger, third)
        assert await ledger.figures() == {"available": 7}
        assert "is set aside" in await keep(ledger.database, third, actor="Ada", reason="")
        assert {found for _, found, _ in await shown(ledger)} == {"overruled", "ended"}
        await ledger.assert_sound()


async def test_what_a_second_content_of_a_figure_had_seen_is_not_guessed(dsn: str) -> None:
    async with open_ledger(dsn) as ledger:
        await know(ledger, "erp", strategy=Strategy.LEADER, leader="erp")
        await tell_one(ledger, difference("GR-1", 10))
        [conflict_id] = await quarantined(ledger, figure("S-1", 8, ("erp", "GR-1")), figure("S-1", 80, ("erp", "GR-1")))
        with pytest.raises(CannotResolveError, match="under a new document number, which ends this"):
            await overruled(ledger, conflict_id)
        assert ("equivocation", "open", "erp") in await shown(ledger)
