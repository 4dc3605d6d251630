"""Decide what becomes of a drift.

Reads: open drifts. Writes: the decision; a listing to be written again.
Next: push.

The engine is the source of truth of every SKU for now: its figure is published again. A channel in mode `watch` is
never written, so its drifts stay open for a person. A fall waits in suspense first, since the order that explains it
may still come; only then is it taken for somebody's edit.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta

from oneshelf.domain.drift import Cause, Resolution
from oneshelf.domain.identity import Channel
from oneshelf.domain.listing import Listing, Phase
from oneshelf.domain.reading import end_suspense, rewrite
from oneshelf.flow.channel import OpenChannel
from oneshelf.storage import drifts, publishing, touched
from oneshelf.storage.database import Database, now

BATCH = 200


async def resolve(database: Database, channels: Mapping[Channel, OpenChannel]) -> int:
    """Decide one batch of drifts. They close once a reading shows the desired figure. Returns how many."""
    async with database.transaction() as tx:
        undecided = await drifts.claim_undecided(tx, limit=BATCH)
        if not undecided:
            return 0
        at = await now(tx)
        due = {
            (drift.channel, drift.channel_sku): drift
            for drift in undecided
            if drift.channel in channels and _is_due(drift, at, channels[drift.channel])
        }
        if not due:
            return 0
        # A write on the wire is left to end first: the next one starts from what it leaves.
        idle = [listing for listing in await publishing.lock(tx, due, lease=None) if listing.phase is Phase.IDLE]
        await publishing.save(tx, [_published_again(listing, at) for listing in idle], keeps_lease=True)
        await touched.mark(tx, [listing.sku for listing in idle if listing.suspense_units])
        decisions = {due[listing.key].drift_id: _cause(due[listing.key]) for listing in idle}
        await drifts.decide(tx, decisions, Resolution.REPUBLISHED)
    return len(decisions)


def _is_due(drift: drifts.DriftRow, at: datetime, channel: OpenChannel) -> bool:
    """A rise is cut at once; a fall without a known cause is given time."""
    is_fall = drift.observed_units < drift.expected_units
    if not is_fall or drift.cause != Cause.UNKNOWN.value:
        return True
    return at >= drift.opened_at + timedelta(seconds=channel.suspense_s)


def _published_again(listing: Listing, at: datetime) -> Listing:
    return rewrite(end_suspense(listing), now=at)


def _cause(drift: drifts.DriftRow) -> Cause:
    """No order came to explain the fall, so it was an edit."""
    return Cause.FOREIGN_EDIT if drift.cause == Cause.UNKNOWN.value else Cause(drift.cause)
