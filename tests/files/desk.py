"""A desk with files on it: what a test brings in, and what is in the database before and after."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from io import BytesIO
from typing import Any

import psycopg

from flow.shelf_world import CLOCK, Ledger, open_ledger
from oneshelf.files.importing import Wish, bring_in, silent
from oneshelf.files.kind import Told
from oneshelf.files.kinds import kind_named
from oneshelf.files.report import Report
from oneshelf.files.table import Reading

EVERYTHING = """
select c.relname from pg_class c
where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p') order by c.relname
"""


@dataclass
class Desk:
    """Files are brought in here."""

    ledger: Ledger
    dsn: str

    async def bring(self, content: str | bytes, kind: str = "counts", **said: Any) -> Report:
        """Bring in a file with this content; what is said about it by names of `Wish`, `Told` and `Reading`;
        `tell`."""
        tell = said.pop("tell", silent)
        told = {name: said.pop(name) for name in ("taken_at", "says_taken_at", "location") if name in said}
        if "taken_at" in told:
            told["says_taken_at"] = True
        reading = {name: said.pop(name) for name in ("encoding", "sheet", "names", "ignored") if name in said}
        wish = Wish(kind=kind_named(kind), file_name="file.csv", told=Told(**told), reading=Reading(**reading), **said)
        text = content.encode() if isinstance(content, str) else content
        return await bring_in(self.ledger.database, CLOCK.new_id, BytesIO(text), wish, tell)

    def everything(self) -> dict[str, list[str]]:
        """table -> all its rows as text, sorted: equal where nothing at all has changed."""
        found: dict[str, list[str]] = {}
        with psycopg.connect(self.dsn) as connection:
            for (table,) in connection.execute(EVERYTHING).fetchall():
                rows = connection.execute(f'select t::text from "{table}" t order by t::text')
                found[table] = [text for (text,) in rows]
        return found


@asynccontextmanager
async def open_desk(dsn: str) -> AsyncIterator[Desk]:
    """A desk beside a ledger that has 10 mugs and 4 caps in Berlin."""
    async with open_ledger(dsn) as ledger:
        await ledger.name_all()
        yield Desk(ledger, dsn)
