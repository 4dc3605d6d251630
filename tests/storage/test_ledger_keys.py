"""The ledger can be split by SKU: every key of it begins with one, and it runs on partitions."""

from __future__ import annotations

from collections import Counter
from random import Random
from typing import get_args

import psycopg
import pytest

from domain.histories import Tally, live
from domain.shop import BERLIN, HAMBURG, SHOP
from flow.shelf_world import CLOCK, open_ledger
from flow.test_ledger_machine import PostgresMachine
from flow.trade import Trade
from oneshelf.domain.identity import Sku
from oneshelf.domain.outcome import Refusal
from oneshelf.flow import post
from oneshelf.storage import catalog
from storage.schema import (
    BETWEEN_SKUS,
    NO_LEDGER,
    WITHOUT_SKU,
    filled_tables,
    foreign_keys,
    ledger_tables,
    partition_by_sku,
    tables_with_sku,
    unique_indexes,
)

pytestmark = [pytest.mark.pg, pytest.mark.timeout(300)]

PARTITIONS = 8
REFUSALS = {kind.__name__ for group in get_args(Refusal) for kind in get_args(group) or (group,)}


def test_every_key_of_the_ledger_begins_with_the_sku(dsn: str) -> None:
    with psycopg.connect(dsn) as connection:
        ledger = ledger_tables(connection)
        indexes = [index for index in unique_indexes(connection) if index.table in ledger]
    assert {"balances", "movements", "order_lines", "reservations", "skus", "transfers"} <= set(ledger)
    assert {index.table for index in indexes} == set(ledger), "a table of the ledger without a key"
    assert [index for index in indexes if index.columns[0] != "sku"] == []


def test_what_is_no_ledger_is_listed_with_its_reason_and_only_where_that_is_needed(dsn: str) -> None:
    with psycopg.connect(dsn) as connection:
        assert set(NO_LEDGER) <= tables_with_sku(connection)
        for table, reason in NO_LEDGER.items():
            keys = [index.columns[0] for index in unique_indexes(connection) if index.table == table]
            assert reason
            assert any(first != "sku" for first in keys), f"{table} could be a table of the ledger"


def test_a_reference_between_tables_of_the_ledger_carries_the_sku(dsn: str) -> None:
    with psycopg.connect(dsn) as connection:
        ledger = ledger_tables(connection)
        between = [key for key in foreign_keys(connection) if key.table in ledger and key.target in ledger]
    assert between
    others = {key.name for key in between if not key.definition.startswith("FOREIGN KEY (sku")}
    assert others == set(BETWEEN_SKUS)


def partitioned(dsn: str) -> None:
    with psycopg.connect(dsn) as connection:
        before = {key.name for key in foreign_keys(connection)}
        tables = partition_by_sku(connection, count=PARTITIONS)
        parts = connection.execute("select count(*) from pg_class where relispartition and relkind = 'r'").fetchone()
        assert parts == (len(tables) * PARTITIONS,)
        assert {key.name for key in foreign_keys(connection)} == before, "a reference was lost on the way"


@pytest.mark.long
async def test_the_ledger_runs_on_hash_partitions_by_sku(dsn: str) -> None:
    partitioned(dsn)
    skus, seed = [Sku(f"SKU-{number}") for number in range(40)], 7
    met: Counter[str] = Counter()
    async with open_ledger(dsn) as ledger:
        async with ledger.database.transaction() as tx:
            await catalog.add_skus(tx, dict.fromkeys(skus, ""))
        await ledger.rows(
            "insert into listings (channel, channel_sku, sku) select 'shop', sku, sku from skus returning 1"
        )
        trade = Trade(Random(seed), skus, [BERLIN, HAMBURG], SHOP)
        for size in (1, 40, 200, 400):
            batch = trade.batch(size)
            outcomes = await ledger.ask(*batch)
            trade.learn(batch, outcomes)
            met.update(type(outcome).__name__ for outcome in outcomes)
            for snapshot in trade.snapshots(20):
                await ledger.tell(snapshot)
        await ledger.let_holds_expire()
        assert await post.post_expiries(ledger.database, CLOCK.new_id) > 0
        await ledger.assert_sound()
        [spread] = await ledger.rows("select count(distinct tableoid) as parts from movements")
        assert spread["parts"] == PARTITIONS
        [written] = await ledger.rows(
            "select (select count(*) from order_lines) as lines, (select count(*) from reservations) as reservations, "
            "(select count(*) from transfers) as transfers"
        )
    assert all(written.values()), written
    with psycopg.connect(dsn) as connection:
        others = filled_tables(connection) - set(ledger_tables(connection)) - set(NO_LEDGER) - {"schema_migrations"}
    assert others == {*WITHOUT_SKU, "channels", "locations"}
    assert sum(met.values()) > 600
    assert {"Posted", "Reserved", "Claimed", "Released", "Short"} <= set(met), met
    assert set(met) & REFUSALS


@pytest.mark.long
def test_on_partitions_too_the_database_agrees_with_a_ledger_on_paper(dsn: str) -> None:
    partitioned(dsn)
    PostgresMachine.dsn = dsn
    tally = Tally()
    live(PostgresMachine, tally, seed=2, steps=120, shrinks=False)
    assert tally.steps >= 120
