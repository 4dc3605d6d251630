"""Rows of `sources`: external systems that state figures."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import NamedTuple

from psycopg.rows import class_row

from oneshelf.storage.database import Transaction


class SourceRow(NamedTuple):
    """A system, by how many seconds its clock may be wrong, and what has come of it. `waiting_count`: differences that
    the ledger cannot take yet."""

    source: str
    title: str
    error_s: int
    added_at: datetime
    added_by: str
    statement_count: int
    waiting_count: int
    last_at: datetime | None


async def add(tx: Transaction, source: str, *, title: str, error_s: int, actor: str) -> None:
    """Know this system from now on; said again, its title and error are as said last."""
    await tx.execute(
        """
        insert into sources (source, title, error_s, added_by) values (%(source)s, %(title)s, %(error_s)s, %(actor)s)
        on conflict (source) do update set title = excluded.title, error_s = excluded.error_s
        """,
        {"source": source, "title": title, "error_s": error_s, "actor": actor},
    )


async def error_s(tx: Transaction, source: str) -> int | None:
    """By how much its clock may be wrong; None: nobody knows the system."""
    cursor = await tx.execute("select error_s from sources where source = %(source)s", {"source": source})
    row = await cursor.fetchone()
    return row[0] if row else None


async def listed(tx: Transaction) -> list[SourceRow]:
    """All systems by name."""
    cursor = tx.cursor(row_factory=class_row(SourceRow))
    await cursor.execute(
        """
        select s.source, s.title, s.error_s, s.added_at, s.added_by,
               count(t.document) as statement_count, count(*) filter (where t.state = 'waiting') as waiting_count,
               max(t.received_at) as last_at
        from sources s left join statements t on t.source = s.source
        group by s.source order by s.source
        """
    )
    return await cursor.fetchall()


async def names(tx: Transaction) -> list[str]:
    """The names of all systems, sorted."""
    cursor = await tx.execute("select source from sources order by source")
    return [name async for (name,) in cursor]


async def unknown(tx: Transaction, names: Collection[str]) -> list[str]:
    """Of these names those of no system and no channel, sorted."""
    cursor = await tx.execute(
        """
        select name from unnest(%(names)s::text[]) as wanted (name)
        where not exists (select from sources s where s.source = name)
          and not exists (select from channels c where c.channel = name)
        order by name
        """,
        {"names": sorted(names)},
    )
    return [name async for (name,) in cursor]


async def is_channel(tx: Transaction, name: str) -> bool:
    """Whether a channel has this name."""
    cursor = await tx.execute("select exists (select from channels where channel = %(name)s)", {"name": name})
    row = await cursor.fetchone()
    return bool(row and row[0])
