"""A few SKUs that everybody buys: their balances are written over and over, as posting does it."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any, NamedTuple

from oneshelf.domain.account import StockState
from oneshelf.domain.identity import Location, Sku
from oneshelf.storage import balances, catalog
from oneshelf.storage.database import Database, Transaction

BERLIN = Location("BER")
SKUS, BATCH = 2_000, 200


class Wear(NamedTuple):
    """How a table took it. `hot_share`: updates that touched no index; `bloat`: its size over that of a fresh copy."""

    updates: int
    hot_share: float
    bloat: float

    def __str__(self) -> str:
        return f"{self.updates:,} updates, {self.hot_share:.1%} of them HOT, {self.bloat:.2f} times a fresh copy"


async def wear_out(database: Database, *, updates: int, seed: int, progress: Callable[[int], None]) -> int:
    """Change balances in batches as posting does, the first SKUs most often. Returns how many rows were updated."""
    chance = Random(seed)
    skus = [Sku(f"HOT-{number:05}") for number in range(SKUS)]
    weights = [1 / (rank + 1) for rank in range(SKUS)]
    async with database.transaction() as tx:
        await catalog.add_skus(tx, dict.fromkeys(skus, ""))
        await catalog.add_location(tx, BERLIN)
        await balances.lock(tx, [(sku, BERLIN) for sku in skus])
    done = 0
    while done < updates:
        keys = [(sku, BERLIN) for sku in set(chance.choices(skus, weights, k=BATCH))]
        async with database.transaction(is_pipelined=True) as tx:
            locked = await balances.lock(tx, keys)
            for balance in locked.values():
                balance.version += 1
                balance.units[StockState.AVAILABLE] += 2
                balance.units[StockState.RESERVED] += 1
            await balances.write(tx, locked)
        done += len(keys)
        progress(done)
    return done


async def wear_of(tx: Transaction, table: str) -> Wear:
    """What PostgreSQL counted, and the table beside a copy of what is alive in it."""
    options = await _one(
        tx, "select array_to_string(reloptions, ', ') from pg_class where oid = %(table)s::regclass", table
    )
    # The names are those of our own tables.
    await tx.execute(f"create temp table fresh (like {table}) {f'with ({options})' if options else ''}".encode())
    await tx.execute(f"insert into fresh select * from {table}".encode())
    updates = await _one(tx, "select pg_stat_get_tuples_updated(%(table)s::regclass)", table)
    hot = await _one(tx, "select pg_stat_get_tuples_hot_updated(%(table)s::regclass)", table)
    bloat = await _one(tx, "select pg_relation_size(%(table)s::regclass)::float8 / pg_relation_size('fresh')", table)
    await tx.execute("drop table fresh")
    return Wear(updates, hot / updates if updates else 1.0, bloat)


async def _one(tx: Transaction, query: str, table: str) -> Any:
    row = await (await tx.execute(query.encode(), {"table": table})).fetchone()
    assert row is not None
    return row[0]
