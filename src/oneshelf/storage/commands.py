"""Rows of `commands`: what was asked once, and what was answered. A row is written once and stays for ever."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from psycopg import AsyncCursor

from oneshelf.domain.command import CommandKey
from oneshelf.storage import arrays
from oneshelf.storage.database import Transaction


class Answer(NamedTuple):
    """The answer to a command. `figures`: its fields as JSON; None once they were forgotten."""

    key: CommandKey
    fingerprint: bytes
    kind: str
    figures: bytes | None
    posted_at: datetime | None = None


async def ask_given(tx: Transaction, keys: Collection[CommandKey]) -> AsyncCursor[tuple[Any, ...]]:
    """Ask for the answers that were given before, to be read with `told_given`."""
    ordered = sorted(keys, key=_by_key)
    return await tx.execute(
        """
        select c.scope, c.key, c.fingerprint, c.kind, c.figures::text, c.posted_at
        from unnest(%(scopes)s::text[], %(keys)s::text[]) as wanted (scope, key)
        join commands c on c.scope = wanted.scope and c.key = wanted.key
        """,
        {"scopes": arrays.texts([key.scope for key in ordered]), "keys": arrays.texts([key.key for key in ordered])},
    )


async def told_given(asked: AsyncCursor[tuple[Any, ...]]) -> dict[CommandKey, Answer]:
    """The answer to `ask_given`: those keys that were answered before."""
    given = {}
    for scope, text, fingerprint, kind, figures, posted_at in await asked.fetchall():
        key = CommandKey(scope=scope, key=text)
        body = None if figures is None else figures.encode()
        given[key] = Answer(key, bytes(fingerprint), kind, body, posted_at)
    return given


async def give(tx: Transaction, answers: Sequence[Answer]) -> None:
    """Store answers. Raises RowExistsError at the commit where another transaction was faster with one of the keys."""
    ordered = sorted(answers, key=lambda answer: _by_key(answer.key))
    await tx.execute(
        """
        insert into commands (scope, key, fingerprint, kind, figures, posted_at)
        select scope, key, fingerprint, kind, figures, (select db_now())
        from unnest(%(scopes)s::text[], %(keys)s::text[], %(fingerprints)s::bytea[], %(kinds)s::text[],
                    %(figures)s::json[]) as new (scope, key, fingerprint, kind, figures)
        """,
        {
            "scopes": arrays.texts([answer.key.scope for answer in ordered]),
            "keys": arrays.texts([answer.key.key for answer in ordered]),
            "fingerprints": arrays.hashes([answer.fingerprint for answer in ordered]),
            "kinds": arrays.texts([answer.kind for answer in ordered]),
            "figures": arrays.texts([answer.figures.decode() if answer.figures else None for answer in ordered]),
        },
    )


async def forget(tx: Transaction, *, kept_s: float, limit: int) -> int:
    """Drop the figures of answers older than `kept_s`, the oldest first; key, fingerprint and kind stay. How many."""
    await tx.execute("insert into housekeeping (task) values ('answers') on conflict do nothing")
    cursor = await tx.execute(
        """
        with begun as (
            select done_until from housekeeping where task = 'answers' for update skip locked
        ), due as (
            select c.scope, c.key, c.posted_at from commands c, begun
            where c.posted_at >= begun.done_until and c.posted_at < db_now() - make_interval(secs => %(kept_s)s)
              and c.figures is not null
            order by c.posted_at limit %(limit)s
        ), forgotten as (
            update commands c set figures = null from due where c.scope = due.scope and c.key = due.key
            returning c.posted_at
        )
        update housekeeping set done_until = (select max(posted_at) from forgotten)
        where task = 'answers' and exists (select from forgotten)
        returning (select count(*) from forgotten)
        """,
        {"kept_s": kept_s, "limit": limit},
    )
    row = await cursor.fetchone()
    return int(row[0]) if row else 0


def _by_key(key: CommandKey) -> tuple[str, str]:
    return (key.scope, key.key)
