"""What the catalog says of the tables: asked, never typed again."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import psycopg
from psycopg import sql

# Tables with a column `sku` that are no ledger, each with its reason.
NO_LEDGER: Mapping[str, str] = {
    "listings": "an entry of a channel: its key is the channel's, and its SKU a link that a person may change",
    "publications": "what was desired for a listing; read by listing, of which the SKU is a part of the key",
    "drifts": "a reading of a listing; the SKU is there to be shown",
    "allocation_plans": "a plan may name no SKU at all: its key begins with the pattern",
    "policies": "a rule may name no SKU at all: its key begins with the channel",
    "reorder_rules": "a rule may name no SKU at all: its key begins with the group",
    "policy_changes": "who changed which rule, in the order of time",
    "truth_rules": "a rule may name no SKU at all: its key begins with the group",
    "truth_rule_changes": "who changed which rule, in the order of time",
    "touched": "a queue in the order of its marks, emptied within seconds",
}

# Tables that posting writes and that know no SKU. Where the ledger is split by SKU, these are split by their own key.
WITHOUT_SKU: Mapping[str, str] = {
    "commands": "one answer for a key, and a command may name many SKUs",
    "orders": "one lock for all lines of an order, which may be of many SKUs",
    "facts": "the queue of posting",
    "untold": "the queue of telling, emptied within a second",
}

# References between two SKUs. Where the ledger is split by SKU, these have to become lookups.
BETWEEN_SKUS: Mapping[str, str] = {
    "bundle_components_component_fkey": "a component is another SKU than its bundle; written rarely",
    "kit_components_component_fkey": "a component is another SKU than its kit; written rarely",
}

Connection = psycopg.Connection[tuple[object, ...]]


class Index(NamedTuple):
    """An index that lets no two rows be alike."""

    table: str
    name: str
    columns: tuple[str, ...]


class ForeignKey(NamedTuple):
    """A reference between two tables, and how it is declared."""

    table: str
    name: str
    target: str
    definition: str


def tables_with_sku(connection: Connection) -> set[str]:
    rows = connection.execute(
        """
        select c.relname::text from pg_class c join pg_attribute a on a.attrelid = c.oid
        where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p') and not c.relispartition
          and a.attname = 'sku' and not a.attisdropped
        """
    )
    return {str(name) for (name,) in rows}


def ledger_tables(connection: Connection) -> list[str]:
    return sorted(tables_with_sku(connection) - set(NO_LEDGER))


def filled_tables(connection: Connection) -> set[str]:
    """Tables with at least one row."""
    names = connection.execute(
        """
        select relname::text from pg_class
        where relnamespace = 'public'::regnamespace and relkind in ('r', 'p') and not relispartition
        """
    ).fetchall()
    found = set()
    for (name,) in names:
        first = connection.execute(sql.SQL("select 1 from {} limit 1").format(sql.Identifier(str(name)))).fetchone()
        found |= {str(name)} if first else set()
    return found


def unique_indexes(connection: Connection) -> list[Index]:
    """Primary keys, unique constraints and unique indexes of every table, partial ones too."""
    rows = connection.execute(
        """
        select t.relname::text, i.relname::text,
               array(select coalesce(a.attname::text, '(expression)')
                     from unnest(x.indkey::int2[]) with ordinality as k (attnum, at)
                     left join pg_attribute a on a.attrelid = x.indrelid and a.attnum = k.attnum and k.attnum > 0
                     where k.at <= x.indnkeyatts order by k.at)
        from pg_index x join pg_class i on i.oid = x.indexrelid join pg_class t on t.oid = x.indrelid
        where t.relnamespace = 'public'::regnamespace and not t.relispartition and x.indisunique
        order by 1, 2
        """
    )
    return [Index(str(table), str(name), tuple(columns)) for table, name, columns in rows]  # type: ignore[arg-type]  # rows have columns of any type


def foreign_keys(connection: Connection) -> list[ForeignKey]:
    rows = connection.execute(
        """
        select conrelid::regclass::text, conname::text, confrelid::regclass::text, pg_get_constraintdef(oid)
        from pg_constraint where contype = 'f' and connamespace = 'public'::regnamespace and conparentid = 0
        order by 1, 2
        """
    )
    return [ForeignKey(*map(str, row)) for row in rows]


def storage_options(connection: Connection, table: str) -> sql.Composable:
    """The `with (…)` of a table, or nothing."""
    row = connection.execute("select reloptions from pg_class where oid = %s::regclass", (table,)).fetchone()
    options: list[str] = row[0] if row and isinstance(row[0], list) else []
    return sql.SQL("with ({})").format(sql.SQL(", ").join(map(sql.SQL, options))) if options else sql.SQL("")


def partition_by_sku(connection: Connection, *, count: int) -> list[str]:
    """Turn every (empty) ledger table into `count` partitions by the hash of its SKU. Returns the tables.

    Columns, defaults, checks, keys and indexes are those of the migrated table; references and views are declared
    again as they were.
    """
    ledger = ledger_tables(connection)
    views = connection.execute(
        "select viewname, definition from pg_views where schemaname = 'public' order by viewname"
    ).fetchall()
    for name, _ in views:
        connection.execute(sql.SQL("drop view {}").format(sql.Identifier(str(name))))
    references = [key for key in foreign_keys(connection) if {key.table, key.target} & set(ledger)]
    for key in references:
        connection.execute(
            sql.SQL("alter table {} drop constraint {}").format(sql.Identifier(key.table), sql.Identifier(key.name))
        )
    for table in ledger:
        options = storage_options(connection, table)
        whole, old = sql.Identifier(table), sql.Identifier(f"{table}_whole")
        connection.execute(sql.SQL("alter table {} rename to {}").format(whole, old))
        connection.execute(
            sql.SQL("create table {} (like {} including all) partition by hash (sku)").format(whole, old)
        )
        connection.execute(sql.SQL("drop table {}").format(old))
        for number in range(count):
            part = sql.SQL("create table {} partition of {} for values with (modulus {}, remainder {}) {}").format(
                sql.Identifier(f"{table}_{number}"), whole, sql.Literal(count), sql.Literal(number), options
            )
            connection.execute(part)
    for key in references:
        definition = sql.SQL(key.definition)
        connection.execute(
            sql.SQL("alter table {} add constraint {} {}").format(
                sql.Identifier(key.table), sql.Identifier(key.name), definition
            )
        )
    for name, written in views:
        connection.execute(sql.SQL("create view {} as {}").format(sql.Identifier(str(name)), sql.SQL(str(written))))
    return ledger
