"""Count how many cancellations each channel still forgives.

Reads: the orders of the channels' windows. Writes: cancellation budgets; marks SKUs whose guard may change.
Next: plan.
"""

from __future__ import annotations

from oneshelf.domain.seller_metric import RULES
from oneshelf.storage import budgets, catalog, touched
from oneshelf.storage.database import Database

EVERY_S = 300.0


async def tally_cancellations(database: Database) -> int:
    """Count at all channels whose kind has a rule. Returns how many SKUs have to be planned again."""
    async with database.transaction() as tx:
        ruled = {row.channel: RULES[row.kind] for row in await catalog.channels(tx) if row.kind in RULES}
        before = await budgets.tight_skus(tx)
        measured = [one for channel, rule in ruled.items() for one in await budgets.measure(tx, channel, rule)]
        await budgets.store(tx, ruled, measured)
        changed = before ^ await budgets.tight_skus(tx)
        await touched.mark(tx, changed)
    return len(changed)
