"""Rows that change all day stay where they are: no index grows, and the tables stay small."""

from __future__ import annotations

from random import Random

import pytest

from domain.shop import BERLIN, HAMBURG, SHOP
from flow.shelf_world import CLOCK, open_ledger
from flow.trade import Trade
from oneshelf.domain.identity import Sku
from oneshelf.flow import post
from oneshelf.storage import catalog, facts
from oneshelf.storage.database import Database
from storage.hot_rows import Wear, wear_of, wear_out

pytestmark = pytest.mark.pg

UPDATES = 40_000  # `make simulate` does a million.
SEED = 3
HOT_SHARE_MIN, BLOAT_MAX = 0.9, 2.0


@pytest.mark.long
async def test_balances_that_are_changed_all_day_are_changed_in_place(dsn: str) -> None:
    async with Database.open(dsn, connections_max=2) as database:
        done = await wear_out(database, updates=UPDATES, seed=SEED, progress=lambda _: None)
    # What the sessions counted is told when they end.
    async with Database.open(dsn, connections_max=2) as database, database.transaction() as tx:
        wear = await wear_of(tx, "balances")
    print(f"balances: {wear}")  # shown when it fails
    assert wear.updates == done >= UPDATES
    assert wear.hot_share > HOT_SHARE_MIN
    assert wear.bloat < BLOAT_MAX


@pytest.mark.long
async def test_a_day_of_commands_and_orders_leaves_small_tables(dsn: str) -> None:
    skus = [Sku(f"SKU-{number:03}") for number in range(100)]
    async with open_ledger(dsn) as ledger:
        async with ledger.database.transaction() as tx:
            await catalog.add_skus(tx, dict.fromkeys(skus, ""))
        await ledger.rows(
            "insert into listings (channel, channel_sku, sku) select 'shop', sku, sku from skus returning 1"
        )
        trade = Trade(Random(SEED), skus, [BERLIN, HAMBURG], SHOP)
        for _ in range(60):
            batch = trade.batch(100)
            trade.learn(batch, await ledger.ask(*batch))
            async with ledger.database.transaction() as tx:
                await facts.add(tx, [(snapshot, CLOCK.now()) for snapshot in trade.snapshots(50)])
            await post.post_facts(ledger.database, CLOCK.new_id)
        await ledger.assert_sound()
    worn: dict[str, Wear] = {}
    async with Database.open(dsn, connections_max=2) as database, database.transaction() as tx:
        for table in ("balances", "reservations", "order_lines", "orders", "movements", "commands"):
            worn[table] = await wear_of(tx, table)
            print(f"{table}: {worn[table]}")  # shown when it fails
    assert worn["movements"].updates == worn["commands"].updates == 0, "what happened is never written over"
    assert worn["balances"].hot_share > HOT_SHARE_MIN
    assert {table: wear.bloat for table, wear in worn.items() if wear.bloat > BLOAT_MAX} == {}
