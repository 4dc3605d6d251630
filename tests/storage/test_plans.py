"""With a million SKUs each statement of posting finds its rows by an index, whatever the planner knows of them."""

from __future__ import annotations

from random import Random
from time import monotonic

import psycopg
import pytest

from domain.shop import SHOP
from flow.shelf_world import CLOCK, Ledger
from flow.trade import Trade
from oneshelf.domain.identity import Location, Sku
from oneshelf.flow import post
from oneshelf.storage import facts
from oneshelf.storage.database import Database
from storage.big_shop import SKUS, fill
from storage.statements import LEDGER_TABLES, Statement, caught_statements, largest_of_each, whole_scans

pytestmark = [pytest.mark.pg, pytest.mark.timeout(400)]

SEED = 11
SIZES = (1, 30, 500, 500)


async def posted(dsn: str) -> list[Statement]:
    """The statements that posting batches of every kind of command, orders and expiries sends."""
    chance = Random(SEED)
    skus = [Sku(f"SKU-{number:07}") for number in sorted(chance.sample(range(1, 2000), 600))]
    caught: list[Statement] = []
    async with Database.open(dsn) as database:
        ledger = Ledger(database)
        trade = Trade(chance, skus, [Location("BER"), Location("HAM")], SHOP)
        with caught_statements(caught):
            for size in SIZES:
                batch = trade.batch(size)
                trade.learn(batch, await ledger.ask(*batch))
                async with database.transaction() as tx:
                    await facts.add(tx, [(snapshot, CLOCK.now()) for snapshot in trade.snapshots(size)])
                while await post.post_facts(database, CLOCK.new_id):
                    pass
        await ledger.rows(
            "update reservations set expires_at = expires_at - interval '8 days' "
            "where expires_at is not null returning 1"
        )
        with caught_statements(caught):
            await ledger.sweep()
    return caught


@pytest.mark.long
async def test_posting_never_reads_a_table_of_the_ledger_from_end_to_end(dsn: str) -> None:
    began = monotonic()
    with psycopg.connect(dsn) as connection:
        fill(connection)
    filled = monotonic()
    statements = largest_of_each(await posted(dsn))
    asked = monotonic()
    with psycopg.connect(dsn) as connection:
        assert connection.execute("select count(*) from pg_stats where schemaname = 'public'").fetchone() == (0,)
        fresh = whole_scans(connection, statements)
        connection.execute("analyze")
        known = whole_scans(connection, statements)
        connection.rollback()
    print(  # shown when it fails
        f"seed {SEED}, {SKUS} SKUs filled in {filled - began:.1f} s, posted in {asked - filled:.1f} s; "
        f"{len(statements)} statements planned four ways in {monotonic() - asked:.1f} s"
    )
    texts = {one.text for one in statements}
    assert all(any(table in text for text in texts) for table in LEDGER_TABLES)
    assert max(one.size for one in statements) >= SIZES[-1] / 2
    assert {"before": fresh, "after": known} == {"before": [], "after": []}, "the tables are analysed"
