"""Read back what a channel shows: accepted is not applied, and only a reading verifies.

Reads: listings that are due to be looked at. Writes: verified figures, other stock states, suspicions, drifts.
Next: push (a write that missed or a first reading), plan (a figure that is not the desired one), reconcile (a
suspicion), resolve (a drift).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from uuid import UUID

from oneshelf.clock import Clock
from oneshelf.domain.identity import ChannelSku
from oneshelf.domain.listing import Listing
from oneshelf.domain.reading import Read, Verdict, read
from oneshelf.flow import leading
from oneshelf.flow.channel import (
    CHANNEL_FAILURES,
    HURRY_ORDERS_S,
    OpenChannel,
    issues_in,
    report_answer,
    report_fault,
    states_in,
    tell_drift,
)
from oneshelf.sdk.bisect import read_each
from oneshelf.sdk.message import StockReading
from oneshelf.storage import adoptions, drifts, listing_issues, publishing, schedules, stock_states, touched
from oneshelf.storage.database import Database, now
from oneshelf.storage.listings import ListingKey
from oneshelf.telemetry import get_logger

LEASE_S = 60.0
# What the answer left out is asked for again: soon, and ever more seldom the longer ago it was proved.
MISSING_LOOK_S = 30.0
MISSING_LOOK_S_MAX = 3600.0
MISSING_LOOK_SHARE = 0.1

log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class _Asked:
    """The listings that were asked for, as they were before the question, and when that was."""

    listings: Mapping[ListingKey, Listing]
    at: datetime


async def confirm(database: Database, channel: OpenChannel, clock: Clock) -> int:
    """Read one batch of listings back. Returns how many."""
    lease = clock.new_id()
    async with database.transaction() as tx:
        claimed = await publishing.claim_to_look(
            tx, channel.name, limit=channel.capability.batch_reads, lease=lease, lease_s=LEASE_S
        )
        asked = _Asked({listing.key: listing for listing in claimed}, await now(tx)) if claimed else None
    if asked is None:
        return 0
    try:
        readings = await read_each(channel.connector.read_stock, [listing.channel_sku for listing in claimed])
    except CHANNEL_FAILURES as fault:
        pause_s = await report_fault(database, channel.name, fault)
        async with database.transaction() as tx:
            await publishing.release(tx, channel.name, lease=lease, retry_after_s=pause_s)
        return len(claimed)
    await report_answer(database, channel.name)
    await _record(database, channel, asked, readings, clock, lease)
    return len(claimed)


async def _record(
    database: Database,
    channel: OpenChannel,
    asked: _Asked,
    readings: Sequence[StockReading],
    clock: Clock,
    lease: UUID,
) -> None:
    shown: dict[ChannelSku, int | None] = {reading.channel_sku: reading.units for reading in readings}
    async with database.transaction() as tx:
        at = await now(tx)
        locked = await publishing.lock(tx, asked.listings, lease=lease)
        reads = [_read(listing, shown.get(listing.channel_sku), asked, at, channel) for listing in locked]
        await publishing.save(tx, [done.listing for done in reads])
        await stock_states.see(tx, channel.name, states_in(readings), asked_at=asked.at)
        await listing_issues.see(tx, channel.name, issues_in(readings))
        verified = [done.listing.key for done in reads if done.verdict is Verdict.MATCH]
        # What a channel that rules showed is taken first, also where what is desired covers it up.
        undecided = await adoptions.undecided_of(tx, verified)
        taken_first = {drift.key for drift, _ in await leading.led(tx, undecided, {channel.name: channel})}
        await drifts.close_verified(tx, [key for key in verified if key not in taken_first], at=at)
        # Orders have changed what it shows while it was in doubt: plan says whether that is right.
        await touched.mark(tx, [done.listing.sku for done in reads if _shows_something_else(done)])
        found = [(clock.new_id(), done.drift) for done in reads if done.drift is not None]
        await drifts.open_all(tx, found, at=at)
        await drifts.observe(tx, _observations(channel, locked, reads, shown), at=at)
        if any(done.verdict in {Verdict.UNEXPLAINED, Verdict.SEEN, Verdict.PENDING} for done in reads):
            await schedules.hurry(tx, channel.name, "orders", at_most_every_s=HURRY_ORDERS_S)
    for _, drift in found:
        tell_drift(drift)


def _shows_something_else(done: Read) -> bool:
    """Whether it is proved to show a figure that is not the desired one."""
    return done.verdict is Verdict.MATCH and done.listing.verified_units != done.listing.desired_units


def _read(listing: Listing, units: int | None, asked: _Asked, at: datetime, channel: OpenChannel) -> Read:
    """A listing that the answer leaves out proves nothing: look again later."""
    if units is None:
        proved_s = (at - listing.verified_at).total_seconds() if listing.verified_at else 0.0
        wait_s = min(MISSING_LOOK_S_MAX, max(MISSING_LOOK_S, MISSING_LOOK_SHARE * proved_s))
        return Read(replace(listing, look_at=at + timedelta(seconds=wait_s)), Verdict.NOT_YET)
    before = asked.listings[listing.key]
    return read(
        listing,
        units,
        net_before=before.net_units,
        turnover_before=before.turnover_units,
        asked_at=asked.at,
        now=at,
        terms=channel.terms,
    )


def _observations(
    channel: OpenChannel, before: Sequence[Listing], reads: Sequence[Read], shown: Mapping[ChannelSku, int | None]
) -> list[drifts.Observation]:
    return [
        drifts.Observation(channel.name, listing.channel_sku, units, listing.belief, "confirm")
        for listing, done in zip(before, reads, strict=True)
        if done.verdict not in {Verdict.MATCH, Verdict.NOT_YET, Verdict.PENDING}
        and (units := shown.get(listing.channel_sku)) is not None
    ]
