"""Wait for an event that only the database knows: somebody stands before a lock."""

from __future__ import annotations

import asyncio

from oneshelf.storage.database import Database

WAIT_S_MAX = 60.0


async def until_somebody_waits(database: Database, *, sessions: int = 1) -> None:
    """So many sessions of this database wait for a lock that another one holds. Fails when they do not for a while."""
    try:
        async with asyncio.timeout(WAIT_S_MAX):
            while await _waiting_count(database) < sessions:
                pass
    except TimeoutError:
        raise AssertionError(f"not within {WAIT_S_MAX} s: {sessions} sessions wait for a lock") from None


async def _waiting_count(database: Database) -> int:
    # A transaction each: within one, the statistics do not change.
    async with database.transaction() as tx:
        cursor = await tx.execute(
            "select from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'"
        )
        return len(await cursor.fetchall())
