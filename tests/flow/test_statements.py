"""External systems state figures: what they had seen is replaced, what they had not stands, in whatever order."""

from __future__ import annotations

from datetime import timedelta
from itertools import permutations
from typing import Any

import pytest

from domain.shop import BERLIN, MUG, NOON, SHOP, key
from flow.shelf_world import CLOCK, Ledger, open_ledger
from oneshelf.domain.command import Adjust, Command, CountedFigure, Receive
from oneshelf.domain.identity import ChannelSku
from oneshelf.domain.order import OrderLine, OrderSnapshot
from oneshelf.domain.outcome import Outcome
from oneshelf.domain.statement import Document, Stated, Statement
from oneshelf.domain.statement_answer import Answer, Refused
from oneshelf.domain.truth import Scope, Strategy, TruthRule
from oneshelf.flow import post, state
from oneshelf.flow.count import CountBegun, begin_count
from oneshelf.storage import conflicts, sources, truth_rules

pytestmark = pytest.mark.pg

ON_HAND, AVAILABLE = CountedFigure.ON_HAND, CountedFigure.AVAILABLE
TABLES = ("conflicts", "settlements", "statements", "ruling_counts", "counts", "movements", "order_lines", "orders")


def poster(ledger: Ledger) -> state.Post:
    async def ask(command: Command) -> tuple[Outcome, bool]:
        [answered] = await post.post_commands(ledger.database, CLOCK.new_id, [command])
        return answered.outcome, answered.was_replayed

    return ask


async def tell(ledger: Ledger, *said: Statement) -> list[Answer]:
    return await state.take(ledger.database, CLOCK.new_id, poster(ledger), said)


async def tell_one(ledger: Ledger, said: Statement) -> Answer:
    [answer] = await tell(ledger, said)
    return answer


async def know(ledger: Ledger, *names: str, **rule: Any) -> None:
    """These sources are known, and a rule holds for everything where one is given."""
    async with ledger.database.transaction() as tx:
        for name in names:
            await sources.add(tx, name, title="", error_s=5, actor="test")
        if rule:
            await truth_rules.put(tx, Scope(), TruthRule(**rule), actor="test", reason="a test")


def difference(document: str, units: int, source: str = "erp") -> Statement:
    return Statement(source=source, document=document, sku=MUG, location=BERLIN, units=units)


def figure(
    document: str, units: int, *seen: tuple[str, str], source: str = "erp", what: CountedFigure = ON_HAND, **more: Any
) -> Statement:
    documents = tuple(Document(*one) for one in seen)
    return Statement(
        source=source,
        document=document,
        sku=MUG,
        location=BERLIN,
        units=units,
        figure=what,
        documents=documents,
        **more,
    )


async def start_again(ledger: Ledger) -> None:
    """The shelf is empty, and nobody has stated anything."""
    for table in (*TABLES, "balances"):
        await ledger.rows(f"delete from {table} returning 1")
    await ledger.rows("delete from commands returning 1")


async def shown(ledger: Ledger) -> list[tuple[str, str, str]]:
    async with ledger.database.transaction() as tx:
        return [(row.kind, row.state, row.beaten["source"]) for row in await conflicts.listed(tx)]


# The worked events ----------------------------------------------------------------------------------------------------


@pytest.mark.long
async def test_a_warehouse_count_races_a_shipment_and_ends_at_6_in_all_24_orders(dsn: str) -> None:
    """10 came (A1), 2 left (W1), 1 left (W2), and 7 were counted by who had seen A1 and W1."""
    async with open_ledger(dsn) as ledger:
        await know(ledger, "erp", "wms", strategy=Strategy.LEADER, leader="wms")
        told = [
            difference("A1", 10),
            difference("W1", -2, "wms"),
            difference("W2", -1, "wms"),
            figure("C1", 7, ("erp", "A1"), ("wms", "W1"), source="wms"),
        ]
        for order in permutations(told):
            await start_again(ledger)
            await tell(ledger, *order)
            assert await ledger.figures() == {"available": 6}, [one.document for one in order]
            await ledger.assert_sound()


async def test_a_count_races_a_sale_and_what_is_free_is_the_count_less_the_promise(dsn: str) -> None:
    async with open_ledger(dsn) as ledger:
        await know(ledger, "wms", strategy=Strategy.LEADER, leader="wms")
        for is_sold_first in (True, False):
            await start_again(ledger)
            await tell(ledger, difference("A1", 9, "wms"))
            counted = figure("C1", 7, ("wms", "A1"), source="wms")
            if is_sold_first:
                await shop_sells(ledger, "o7")
            await tell(ledger, counted)
            if not is_sold_first:
                await shop_sells(ledger, "o7")
            assert await ledger.figures() == {"available": 6, "committed": 1}, is_sold_first
            await ledger.assert_sound()


@pytest.mark.long
async def test_an_erp_that_sets_the_free_units_races_two_sales_and_ends_at_24_in_all_24_orders(dsn: str) -> None:
    """20 came, the shop sold 1 and the other shop 1; the ERP says 25 are free and has seen the first two."""
    async with open_ledger(dsn) as ledger:
        await know(ledger, "erp", strategy=Strategy.LEADER, leader="erp")
        for order in permutations(("rec", "shop", "amz", "erp")):
            await start_again(ledger)
            for what in order:
                match what:
                    case "rec":
                        await tell(ledger, difference("GR-1", 20))
                    case "erp":
                        await tell(ledger, figure("S-1", 25, ("erp", "GR-1"), ("shop", "o1"), what=AVAILABLE))
                    case _:
                        await shop_sells(ledger, {"shop": "o1", "amz": "o2"}[what])
            assert await ledger.figures() == {"available": 24, "committed": 2}, order
            await ledger.assert_sound()


@pytest.mark.long
async def test_two_concurrent_counts_go_by_rank_and_the_beaten_one_is_shown_until_a_later_count_has_seen_both(
    dsn: str,
) -> None:
    """12 came; the ERP says 12 and has seen that, the warehouse says 9 and has also seen that 1 left."""
    async with open_ledger(dsn) as ledger:
        await know(ledger, "erp", "wms", strategy=Strategy.RANKS, ranks=("erp", "wms"))
        told = [
            difference("GR-1", 12),
            difference("W1", -1, "wms"),
            figure("E-1", 12, ("erp", "GR-1")),
            figure("C-1", 9, ("erp", "GR-1"), ("wms", "W1"), source="wms"),
        ]
        for order in permutations(told):
            await start_again(ledger)
            await tell(ledger, *order)
            assert await ledger.figures() == {"available": 11}, [one.document for one in order]
            assert ("statement", "open", "wms") in await shown(ledger)
            await tell(ledger, figure("C-2", 8, ("erp", "GR-1"), ("wms", "W1"), ("erp", "E-1"), source="wms"))
            assert await ledger.figures() == {"available": 8}
            assert "open" not in {found for kind, found, _ in await shown(ledger) if kind == "statement"}
            await ledger.assert_sound()


@pytest.mark.long
async def test_two_concurrent_counts_of_one_rank_end_at_the_lower_one(dsn: str) -> None:
    async with open_ledger(dsn) as ledger:
        await know(ledger, "erp", "wms", strategy=Strategy.RANKS, ranks=("erp|wms",))
        told = [
            difference("GR-1", 12),
            difference("W1", -1, "wms"),
            figure("E-1", 12, ("erp", "GR-1")),
            figure("C-1", 9, ("erp", "GR-1"), ("wms", "W1"), source="wms"),
        ]
        for order in permutations(told):
            await start_again(ledger)
            await tell(ledger, *order)
            assert await ledger.figures() == {"available": 9}, [one.document for one in order]
            assert ("statement", "open", "erp") in await shown(ledger)


# Rules and statements ------------------------------------------------------------------------------------------------


async def test_where_no_rule_is_said_the_engine_rules_and_what_differs_is_a_conflict(dsn: str) -> None:
    async with open_ledger(dsn) as ledger:
        await know(ledger, "erp")
        await tell(ledger, difference("GR-1", 10))
        answer = await tell_one(ledger, figure("S-1", 25, ("erp", "GR-1")))
        assert (answer.outcome, await ledger.figures()) == (Stated.BEATEN, {"available": 10})
        assert await shown(ledger) == [("statement", "open", "erp")]
        assert answer.conflict_id is not None
        agreed = await tell_one(ledger, figure("S-2", 10, ("erp", "GR-1"), ("erp", "S-1")))
        assert agreed.outcome is Stated.AGREED
        assert await shown(ledger) == [("statement", "ended", "erp")]


async def test_the_same_document_is_the_same_statement_and_with_another_content_it_is_quarantined(dsn: str) -> None:
    async with open_ledger(dsn) as ledger:
        await know(ledger, "erp", strategy=Strategy.LEADER, leader="erp")
        for said, other in (
            (difference("GR-1", 10), difference("GR-1", 100)),
            (figure("S-1", 8, ("erp", "GR-1"), sequence=4), figure("S-1", 80, ("erp", "GR-1"), sequence=4)),
        ):
            first = await tell_one(ledger, said)
            left = await ledger.figures()
            again = await tell_one(ledger, said)
            assert (again.outcome, again.is_replayed, again.statement_id) == (first.outcome, True, first.statement_id)
            for _ in range(2):
                refused = await tell_one(ledger, other)
                assert (refused.outcome, await ledger.figures()) == (Refused.QUARANTINED, left)
        other_number = figure("S-2", 5, ("erp", "GR-1"), sequence=4)
        assert (await tell_one(ledger, other_number)).outcome is Refused.QUARANTINED
        assert [kind for kind, found, _ in await shown(ledger) if found == "open"] == ["equivocation"] * 3
        await ledger.assert_sound()


@pytest.mark.long
async def test_a_leader_rules_in_its_own_order_whatever_arrives_first(dsn: str) -> None:
    async with open_ledger(dsn) as ledger:
        await know(ledger, "erp", "wms", strategy=Strategy.LEADER, leader="erp")
        told = [
            figure("S-1", 5, sequence=1),
            figure("S-2", 6, sequence=2),
            figure("S-3", 7, sequence=1, epoch=1),
            figure("C-1", 90, source="wms"),
        ]
        for order in permutations(told):
            await start_again(ledger)
            await tell(ledger, *order)
            assert await ledger.figures() == {"available": 7}, [one.document for one in order]
            assert ("statement", "open", "wms") in await shown(ledger)


async def test_a_difference_waits_until_its_units_are_there_and_moves_them_once(dsn: str) -> None:
    async with open_ledger(dsn) as ledger:
        await know(ledger, "wms")
        leaves = difference("W1", -3, "wms")
        for _ in range(3):
            assert (await tell_one(ledger, leaves)).outcome is Stated.WAITING
        await ledger.ask(Receive(key=key(), sku=MUG, location=BERLIN, units=5))
        assert await state.state(ledger.database, CLOCK.new_id, poster(ledger)) == 1
        assert await state.state(ledger.database, CLOCK.new_id, poster(ledger)) == 0
        assert (await tell_one(ledger, leaves)).outcome is Stated.POSTED
        assert await ledger.figures() == {"available": 2}


async def test_whoever_states_something_waits_for_a_few_of_the_differences_that_wait(dsn: str) -> None:
    count = 2 * state.RETRIES_MAX
    async with open_ledger(dsn) as ledger:
        await know(ledger, "wms")
        post_one, asked = poster(ledger), 0

        async def ask(command: Command) -> tuple[Outcome, bool]:
            nonlocal asked
            asked += 1
            return await post_one(command)

        await tell(ledger, *(difference(f"W{number}", -1, "wms") for number in range(count)))
        arrived = difference("W-IN", count + 5, "wms")
        [answer] = await state.take(ledger.database, CLOCK.new_id, ask, [arrived])
        assert answer.outcome is Stated.POSTED
        # Each under its old key, which was answered, and a new one.
        assert asked <= 1 + 2 * state.RETRIES_MAX
        while await state.state(ledger.database, CLOCK.new_id, ask):
            pass
        assert await ledger.figures() == {"available": 5}


async def test_what_a_source_has_from_us_is_no_news(dsn: str) -> None:
    async with open_ledger(dsn, {"MUG": 5}) as ledger:
        await know(ledger, "erp", strategy=Strategy.LEADER, leader="erp")
        [moved] = await ledger.rows("select movement_id from movements")
        for said in (
            Statement(source="erp", document="D-1", sku=MUG, location=BERLIN, units=5, write_id=moved["movement_id"]),
            figure("S-1", 99, write_id=moved["movement_id"]),
        ):
            assert (await tell_one(ledger, said)).outcome is Stated.ECHO
        assert await ledger.figures() == {"available": 5}
        assert await shown(ledger) == []
        news = await tell_one(ledger, figure("S-2", 99, write_id=CLOCK.new_id()))
        assert news.outcome is Stated.RULES


async def test_within_the_tolerance_nothing_moves(dsn: str) -> None:
    async with open_ledger(dsn, {"MUG": 10}) as ledger:
        await know(ledger, "erp", strategy=Strategy.LEADER, leader="erp", tolerance_units=2)
        source = ("test", (await ledger.rows("select key from commands"))[0]["key"])
        assert source
        within = await tell_one(ledger, figure("S-1", 12, as_of=CLOCK.now()))
        assert (within.outcome, await ledger.figures()) == (Stated.AGREED, {"available": 10})


async def test_a_figure_as_of_an_instant_takes_what_nobody_can_tell_as_it_makes_it_lower(dsn: str) -> None:
    async with open_ledger(dsn) as ledger:
        await know(ledger, "erp", strategy=Strategy.LEADER, leader="erp")
        await tell(ledger, difference("GR-1", 10))
        await ledger.rows(
            "update movements set posted_at = posted_at - interval '1 day', "
            "happened_at = happened_at - interval '1 day' returning 1"
        )
        at = CLOCK.now() - timedelta(hours=1)
        for document, units, minutes in (("D-1", 4, 0), ("D-2", -3, 0), ("D-3", -1, 30)):
            await tell(
                ledger,
                Statement(
                    source="erp",
                    document=document,
                    sku=MUG,
                    location=BERLIN,
                    units=units,
                    happened_at=at + timedelta(minutes=minutes),
                ),
            )
        answer = await tell_one(ledger, figure("S-1", 11, as_of=at, error_s=120))
        assert (answer.outcome, await ledger.figures()) == (Stated.RULES, {"available": 7})
        assert "7 units moved so close" in answer.words
        assert await shown(ledger) == [("ledger", "open", "engine")]


async def test_who_is_unknown_and_what_nobody_can_tell_is_refused_with_the_way_out(dsn: str) -> None:
    async with open_ledger(dsn, {"MUG": 5}) as ledger:
        await know(ledger, "erp")
        await ledger.define_duo()
        later = CLOCK.now() + timedelta(hours=1)
        for said, refusal, way_out in (
            (difference("D", 1, "sap"), Refused.UNKNOWN_SOURCE, "oneshelf source add sap"),
            (figure("S", 1, as_of=later), Refused.IN_FUTURE, "still to come"),
            (figure("S", 1, as_of=later - timedelta(days=9)), Refused.BEFORE_HISTORY, "quote documents"),
            (figure("S", 1, token=CLOCK.new_id()), Refused.NO_SUCH_COUNT, "count-begin BER MUG"),
        ):
            answer = await tell_one(ledger, said)
            assert answer.outcome is refusal
            assert way_out in answer.words
        assert await ledger.rows("select 1 from statements") == []


async def test_a_count_token_says_all_that_was_seen(dsn: str) -> None:
    async with open_ledger(dsn, {"MUG": 10}) as ledger:
        await know(ledger, "wms", strategy=Strategy.LEADER, leader="wms")
        begun = await begin_count(ledger.database, CLOCK.new_id, BERLIN, [MUG])
        assert isinstance(begun, CountBegun)
        await ledger.ask(Adjust(key=key(), sku=MUG, location=BERLIN, delta_units=-2))
        answer = await tell_one(ledger, figure("C-1", 9, source="wms", token=begun.token))
        assert (answer.outcome, await ledger.figures()) == (Stated.RULES, {"available": 7})


async def shop_sells(ledger: Ledger, order_id: str, units: int = 1) -> None:
    """A channel tells of an order."""
    await ledger.rows(
        "insert into listings (channel, channel_sku, sku) values ('shop', 'mug', 'MUG') on conflict do nothing "
        "returning 1"
    )
    line = OrderLine("l1", ChannelSku("mug"), units)
    await ledger.tell(OrderSnapshot(SHOP, order_id, "1", NOON, False, (line,)))
