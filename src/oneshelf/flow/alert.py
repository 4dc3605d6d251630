"""Alert people: what is wrong is told once when it opens and once when it is over, and never in between.

Reads: what is low, oversold, exposed, stale, held, drifting or failing. Writes: alerts, and that they are to be told.
Next: tell.
"""

from __future__ import annotations

from oneshelf.domain.alert import follow
from oneshelf.storage import alerts
from oneshelf.storage.database import Database, now

EVERY_S = 15.0


async def alert(database: Database) -> int:
    """Look once. Returns how many alerts opened or closed; 0 also while another node looks.

    One transaction: the alerts, and what is told of them. Killed at any point, it is as if nobody had looked.
    """
    async with database.transaction() as tx:
        if not await alerts.try_lock(tx):
            return 0
        turn = follow(await alerts.standing(tx), await alerts.known(tx), now=await now(tx))
        await alerts.write(tx, turn)
        await alerts.forget(tx)
    return turn.told_count
