"""Leases across the queues: claims of work that die with the engine that made them.

A lease runs out by itself. An engine that starts and finds itself alone need not wait for that: whoever held one is
dead. Freeing a lease that is in use after all is safe, since each writer looks for its own lease before it writes.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import psycopg

from oneshelf.storage.database import Database

# Any number will do, as long as it is this one and not the one that migrations take turns by.
_ENGINES = int.from_bytes(b"engines")
_PATIENCE_S = 1


@asynccontextmanager
async def only_engine(dsn: str) -> AsyncIterator[bool]:
    """Be counted among the running engines. Gives whether no other one runs on this database."""
    async with await psycopg.AsyncConnection.connect(dsn, autocommit=True) as session:
        # The server takes a moment to notice that the client at the other end was killed.
        await session.execute(f"set lock_timeout = '{_PATIENCE_S:d}s'")
        try:
            await session.execute("select pg_advisory_lock(%(engines)s)", {"engines": _ENGINES})
        except psycopg.errors.LockNotAvailable:
            is_alone = False
        else:
            is_alone = True
        await session.execute("set lock_timeout = 0")
        await session.execute("select pg_advisory_lock_shared(%(engines)s)", {"engines": _ENGINES})
        if is_alone:
            await session.execute("select pg_advisory_unlock(%(engines)s)", {"engines": _ENGINES})
        yield is_alone


async def clear(database: Database) -> int:
    """Free every listing and every task. Returns how many were held."""
    async with database.transaction() as tx:
        held = await tx.execute("update listings set lease = null, lease_until = null where lease is not null")
        tasks = await tx.execute("update schedules set lease = null, lease_until = null where lease is not null")
    return held.rowcount + tasks.rowcount
