"""Which tables a test has written to."""

from __future__ import annotations

from typing import Any

import psycopg

# Tables that hold a page.
_FILLED = """
select c.relname from pg_class c
where c.relnamespace = 'public'::regnamespace and c.relkind = 'r' and pg_relation_size(c.oid) > 0
"""


def filled(connection: psycopg.Connection[tuple[Any, ...]]) -> set[str]:
    """Those that have rows, or had some."""
    return {table for (table,) in connection.execute(_FILLED)}
