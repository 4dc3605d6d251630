"""Leases across the queues: claims of work that die with the engine that made them.

A lease runs out by itself. An engine that starts and finds itself alone need not wait for that: whoever held one is
dead. A lease that is in use after all must not be freed: its holder looks for it before it writes to the database, but
a write that is on its way to a channel is not called back.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import psycopg

from oneshelf.storage.database import Database

# Any number will do, as long as it is this one and not the one that migrations take turns by.
_ENGINES = int.from_bytes(b"engines")
_PATIENCE_S = 1
_LOOK_AGAIN_S = 0.05
# What the connections of a running engine call themselves: the lock above is gone when the server restarts, and its
# engines come back without it.
ENGINE = "oneshelf serve"


@asynccontextmanager
async def only_engine(dsn: str) -> AsyncIterator[bool]:
    """Be counted among the running engines. Gives whether no other one runs on this database."""
    async with await psycopg.AsyncConnection.connect(dsn, autocommit=True) as session:
        # The server takes a moment to notice that the client at the other end was killed.
        await session.execute(f"set lock_timeout = '{_PATIENCE_S:d}s'")
        try:
            await session.execute("select pg_advisory_lock(%(engines)s)", {"engines": _ENGINES})
        except psycopg.errors.LockNotAvailable:
            has_lock = is_alone = False
        else:
            has_lock = True
            is_alone = not await _others_are_connected(session)
        await session.execute("set lock_timeout = 0")
        await session.execute("select pg_advisory_lock_shared(%(engines)s)", {"engines": _ENGINES})
        if has_lock:
            await session.execute("select pg_advisory_unlock(%(engines)s)", {"engines": _ENGINES})
        yield is_alone


async def _others_are_connected(session: psycopg.AsyncConnection[tuple[Any, ...]]) -> bool:
    """Whether connections of an engine are there, and stay: those of a killed one take a moment to go."""
    for _ in range(round(_PATIENCE_S / _LOOK_AGAIN_S)):
        cursor = await session.execute(
            """
            select from pg_stat_activity
            where datname = current_database() and application_name = %(engine)s and pid <> pg_backend_pid()
            """,
            {"engine": ENGINE},
        )
        if not await cursor.fetchall():
            return False
        await asyncio.sleep(_LOOK_AGAIN_S)
    return True


async def clear(database: Database) -> int:
    """Free every listing, task, wanted order and endpoint. Returns how many were held."""
    async with database.transaction() as tx:
        held = await tx.execute("update listings set lease = null, lease_until = null where lease is not null")
        others = await tx.execute(
            """
            with tasks as (
                update schedules set lease = null, lease_until = null where lease is not null returning 1
            ), wanted as (
                update wanted_orders set lease = null, lease_until = null where lease is not null returning 1
            ), called as (
                update endpoints set lease = null, lease_until = null where lease is not null returning 1
            )
            select 1 from tasks union all select 1 from wanted union all select 1 from called
            """
        )
    return held.rowcount + others.rowcount
