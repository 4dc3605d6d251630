"""A large catalogue with everything that a list shows, made by the server itself: for `benchmarks.pages`.

Of each SKU units were received once, and it is listed at four channels. Three of these are live; the fourth is only
watched, and all of its listings wait to be signed off. What is open (drifts, parked writes, short lines, reservations,
counts, deliveries, wholesale) grows with the catalogue, slower.
"""

from __future__ import annotations

from pathlib import Path

import psycopg

CHANNELS = tuple(f"shop-{number}" for number in range(4))
WATCHED = CHANNELS[-1]
_SQL = Path(__file__).parent / "catalogue.sql"
_INDEXES = """
    select indexname, indexdef from pg_indexes
    where tablename in ('listings', 'publications', 'movements') and indexname not like '%_pkey'
"""


def fill(dsn: str, sku_count: int) -> None:
    """So many SKUs. Nothing is checked on the way: the rows fit together."""
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("select set_config('bench.skus', %s, false)", (str(sku_count),))
        connection.execute("set session_replication_role = replica")
        connection.execute("set maintenance_work_mem = '1GB'")
        connection.execute("set jit = off")
        indexes = connection.execute(_INDEXES.encode()).fetchall()
        for name, _ in indexes:
            connection.execute(f"drop index {name}".encode())
        connection.execute(_SQL.read_bytes())
        for _, definition in indexes:
            connection.execute(definition.encode())
        connection.execute("vacuum analyze")
