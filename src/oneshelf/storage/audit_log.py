"""Rows of `audit_log`: who did what, from where, and what came of it. Only added to; the database refuses the rest."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

from psycopg.rows import class_row

from oneshelf.storage.database import Transaction

TEXT_LENGTH_MAX = 500


class Entry(NamedTuple):
    """One act. `via`: cli, session, token, setting, form or issuer. Never a payload, never a secret."""

    via: str
    who: str
    act: str
    result: str
    object: str = ""
    credential: str = ""
    address: str = ""


class EntryRow(NamedTuple):
    """An act as it was written down."""

    entry_id: int
    at: datetime
    via: str
    who: str
    credential: str
    address: str
    act: str
    object: str
    result: str


async def add(tx: Transaction, entry: Entry) -> None:
    """Write an act down. The commit does not wait for the disk.

    A power cut or a kill of the database may take the last half second.
    """
    await tx.execute("set local synchronous_commit = off")
    values = {name: _kept(value) for name, value in entry._asdict().items()}
    await tx.execute(
        """
        insert into audit_log (via, who, credential, address, act, object, result)
        values (%(via)s, %(who)s, %(credential)s, %(address)s, %(act)s, %(object)s, %(result)s)
        """,
        values,
    )


def _kept(text: str) -> str:
    """As the database can keep it: a name of the operating system need not be text."""
    return text.replace("\0", "").encode(errors="replace").decode()[:TEXT_LENGTH_MAX]


class Sought(NamedTuple):
    """Which entries: of somebody, of one way in, with a piece of the act or of what it was done to, only refused ones.

    `before`: those older than this entry.
    """

    who: str | None = None
    via: str | None = None
    about: str = ""
    only_refused: bool = False
    before: int | None = None


async def newest(tx: Transaction, sought: Sought, *, limit: int) -> list[EntryRow]:
    """The last acts first."""
    cursor = tx.cursor(row_factory=class_row(EntryRow))
    await cursor.execute(
        """
        select entry_id, at, via, who, credential, address, act, object, result from audit_log
        where (%(before)s::bigint is null or entry_id < %(before)s) and (%(who)s::text is null or who = %(who)s)
          and (%(via)s::text is null or via = %(via)s)
          and (%(about)s = '' or strpos(lower(act || ' ' || object), lower(%(about)s)) > 0)
          and (not %(only_refused)s or result ~ '^([45]|failed)')
        order by entry_id desc limit %(limit)s
        """,
        {**sought._asdict(), "limit": limit},
    )
    return await cursor.fetchall()
