"""External systems state figures: what they had seen is replaced, what they had not stands, in whatever order."""

from __future__ import annotations

from itertools import permutations
from typing import Any

import pytest

from domain.shop import BERLIN, MUG, SHOP
from flow.shelf_world import CLOCK, Ledger, open_ledger
from oneshelf.domain.command import Command, CountedFigure
from oneshelf.domain.outcome import Outcome
from oneshelf.domain.statement import Document, Stated, Statement
from oneshelf.domain.statement_answer import Answer, Refused
from oneshelf.domain.truth import Scope, Strategy, TruthRule
from oneshelf.flow import post, state
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
        await ledger.rows(f"delete from {table} returning 1")  # noqa: S608
    await ledger.rows("delete from commands returning 1")


async def shown(ledger: Ledger) -> list[tuple[str, str, str]]:
    async with ledger.database.transaction() as tx:
        return [(row.kind, row.state, row.beaten["source"]) for row in await conflicts.listed(tx)]


# The worked events ----------------------------------------------------------------------------------------------------


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
