"""Updates of tables with generated columns stay cheap: see migration 0043."""

from __future__ import annotations

import psycopg
import pytest

# Of these a row is changed once in its life.
RARELY_CHANGED = {"endpoint_secrets"}

_UNGUARDED = """
select c.relname from pg_class c
where c.relnamespace = 'public'::regnamespace and c.relkind = 'r'
  and exists (select from pg_attribute a where a.attrelid = c.oid and a.attgenerated = 's')
  -- Of a trigger's type: 1 for each row, 2 before, 16 updates.
  and not exists (select from pg_trigger t where t.tgrelid = c.oid and t.tgtype & 19 = 19 and t.tgenabled <> 'D')
"""


@pytest.mark.pg
def test_a_trigger_before_updates_has_the_columns_worked_out_at_once(dsn: str) -> None:
    with psycopg.connect(dsn) as connection:
        unguarded = {name for (name,) in connection.execute(_UNGUARDED)}
    assert unguarded == RARELY_CHANGED
