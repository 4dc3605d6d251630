"""Count a large catalogue, so that nobody who looks at it has to wait for that.

Reads: everything. Writes: tallies.
Next: nothing; the pages, the API and the commands tell it.
"""

from __future__ import annotations

from oneshelf.storage import tallies
from oneshelf.storage.database import Database

EVERY_S = 10.0


async def survey(database: Database) -> int:
    """Count where the last count is no longer good enough. Returns 0: nothing follows from it."""
    async with database.transaction() as tx:
        if await tallies.try_lock(tx) and await tallies.is_due(tx):
            await tallies.store(tx, await tallies.count(tx))
    return 0
