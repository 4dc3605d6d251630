"""Decide what becomes of a drift.

Reads: open drifts. Writes: the decision; a listing to be written again.
Next: push.

The engine is the source of truth of every SKU for now: its figure is published again. A channel in mode `watch` is
never written, so its drifts stay open for a person.
"""

from __future__ import annotations

from oneshelf.domain.drift import Resolution
from oneshelf.domain.listing import Phase
from oneshelf.domain.reading import rewrite
from oneshelf.storage import drifts, publishing
from oneshelf.storage.database import Database, now
from oneshelf.telemetry import get_logger

BATCH = 200

log = get_logger(__name__)


async def resolve(database: Database) -> int:
    """Decide one batch of drifts. They close once a reading shows the desired figure. Returns how many."""
    async with database.transaction() as tx:
        undecided = await drifts.claim_undecided(tx, limit=BATCH)
        if not undecided:
            return 0
        at = await now(tx)
        locked = await publishing.lock(tx, [(drift.channel, drift.channel_sku) for drift in undecided], lease=None)
        # A write on the wire is left to end first; the next one starts from what it leaves.
        await publishing.save(
            tx, [rewrite(listing, now=at) for listing in locked if listing.phase is Phase.IDLE], keeps_lease=True
        )
        decided = {listing.key for listing in locked if listing.phase is not Phase.PARKED}
        drift_ids = [drift.drift_id for drift in undecided if (drift.channel, drift.channel_sku) in decided]
        await drifts.decide(tx, drift_ids, Resolution.REPUBLISHED)
    return len(drift_ids)
