"""Write desired figures to a channel: record the intent, commit, call, record the outcome.

Reads: listings whose desired version is ahead of the sent one. Writes: intents and outcomes on the listing.
Next: confirm.

A channel that compares is sent a write only when a fresh reading agrees with what facts make us believe; otherwise
there is news, so orders are asked for first. What is sent as the compared figure is the belief.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from uuid import UUID

from oneshelf.clock import Clock
from oneshelf.domain import straying
from oneshelf.domain.identity import ChannelSku, printable
from oneshelf.domain.listing import REASON_LENGTH_MAX, Listing, Phase, Terms, lost, without_a_write
from oneshelf.domain.reading import read
from oneshelf.errors import InvariantError, MalformedError
from oneshelf.flow import hold, leading
from oneshelf.flow.channel import (
    CHANNEL_FAILURES,
    HURRY_ORDERS_S,
    SEND_BEFORE_S,
    WRITE_LEASE_S,
    OpenChannel,
    report_answer,
    report_fault,
)
from oneshelf.flow.pace import pace as pace_of
from oneshelf.flow.writing import PUT_OFF_S, after_outcome, write_of
from oneshelf.sdk.bisect import push_each, read_each
from oneshelf.sdk.capability import WriteKind
from oneshelf.sdk.fault import ChannelFault, OutcomeUnknownError
from oneshelf.sdk.http import sending_before
from oneshelf.sdk.message import Refused, Stale, StockWrite, Throttled, Unknown, UsedUp, WriteOutcome
from oneshelf.storage import change_budgets, drifts, publishing, rights, schedules, touched
from oneshelf.storage.database import Database, Transaction, now
from oneshelf.telemetry import get_logger

log = get_logger(__name__)


async def push(database: Database, channel: OpenChannel, clock: Clock) -> int:
    """Write one batch of figures. Returns how many listings were dealt with."""
    lease = clock.new_id()
    send_before = clock.monotonic() + SEND_BEFORE_S
    claimed = await claim(database, channel, lease)
    if not claimed:
        return 0
    try:
        readings = await _fresh_readings(channel, claimed)
        writes = await _intend(database, channel, claimed, readings, clock, lease)
    except CHANNEL_FAILURES as fault:
        pause_s = await report_fault(database, channel.name, fault)
        async with database.transaction() as tx:
            await publishing.release(tx, channel.name, lease=lease, retry_after_s=pause_s)
        return len(claimed)
    if writes:
        with sending_before(send_before):
            outcomes = await _call(database, channel, writes)
        await _record(database, channel, dict(zip(writes, outcomes, strict=True)), lease)
    return len(claimed)


async def claim(database: Database, channel: OpenChannel, lease: UUID) -> list[Listing]:
    """Take one batch of listings that have to be written, the most urgent first. The lease keeps others off."""
    async with database.transaction() as tx:
        standing = await hold.look(tx, channel.name)
        claimed = await publishing.claim_to_push(
            tx,
            channel.name,
            phases=_phases(channel),
            limit=channel.capability.batch_writes,
            lease=lease,
            lease_s=WRITE_LEASE_S,
        )
        if claimed:
            claimed = await hold.keep_back(tx, standing, await _settle_without_calls(tx, channel, claimed))
    return claimed


def _phases(channel: OpenChannel) -> tuple[Phase, ...]:
    """One write in flight per listing. Where an answer means applied, an answered write is no longer in flight."""
    if channel.capability.is_applied_when_answered:
        return (Phase.IDLE, Phase.ACCEPTED)
    return (Phase.IDLE,)


async def _settle_without_calls(tx: Transaction, channel: OpenChannel, claimed: list[Listing]) -> list[Listing]:
    """Deal with what needs no call; returns the listings that do.

    A writer that died while sending leaves an unknown outcome: it is read back, never assumed. A listing that shows
    the desired figure by its own sales needs only the proof.
    """
    at = await now(tx)
    rest, settled = [], []
    for listing in claimed:
        if listing.phase is Phase.SENDING:
            settled.append(lost(listing, now=at, look_after_s=0))
        elif listing.shows_what_is_desired:
            settled.append(without_a_write(listing, now=at))
        else:
            rest.append(listing)
    await publishing.save(tx, settled)
    return rest


async def _fresh_readings(channel: OpenChannel, claimed: Sequence[Listing]) -> Mapping[ChannelSku, int | None]:
    """What the channel shows now, where it compares what we write. Empty for a channel that cannot compare."""
    if channel.capability.write_kind is not WriteKind.COMPARE_AND_SET:
        return {}
    readings = await read_each(channel.connector.read_stock, [listing.channel_sku for listing in claimed])
    return {reading.channel_sku: reading.units for reading in readings}


async def _intend(
    database: Database,
    channel: OpenChannel,
    claimed: Sequence[Listing],
    readings: Mapping[ChannelSku, int | None],
    clock: Clock,
    lease: UUID,
) -> list[StockWrite]:
    """Record what will be written, from the figures of this very moment. Returns the writes to send."""
    compares = channel.capability.write_kind is WriteKind.COMPARE_AND_SET
    asked = {listing.key: listing for listing in claimed}
    async with database.transaction() as tx:
        standing = await hold.lock(tx, channel.name)
        at = await now(tx)
        intended: list[Listing] = []
        put_off: list[Listing] = []
        observed: list[drifts.Observation] = []
        locked = await publishing.lock(tx, list(asked), lease=lease)
        passed = await hold.pass_writes(tx, standing, locked)
        free = await rights.lock_free(tx, channel.name, [listing.channel_sku for listing in locked])
        pace = await pace_of(tx, channel, locked, at=at)
        unsettled = await leading.unsettled(tx, channel.name, locked) if compares else set()
        for listing in locked:
            belief = listing.belief
            shown = readings.get(listing.channel_sku) if compares else belief
            if listing.shows_what_is_desired:
                put_off.append(without_a_write(listing, now=at))
            elif shown is None or _has_to_be_read(listing, compares=compares):
                put_off.append(_put_off(listing, at))
            elif listing.key in unsettled:
                put_off.append(_put_off_until_settled(listing, at, channel.terms))
            elif shown == belief and listing.key not in passed:
                put_off.append(replace(listing, next_at=at + timedelta(seconds=hold.PUT_OFF_S)))
            elif shown == belief and (waiting := pace.waiting(listing)) is not None:
                put_off.append(waiting)
            elif shown == belief:
                written = pace.intend(free, listing, op_id=clock.new_id(), is_compared=compares)
                (intended if written else put_off).append(written or _put_off(listing, at))
            else:
                put_off.append(_put_off(_read(listing, shown, asked[listing.key], at, channel.terms), at))
                observed.append(drifts.Observation(channel.name, listing.channel_sku, shown, belief, "push"))
        await publishing.save(tx, intended, keeps_lease=True)
        await publishing.save(tx, put_off)
        await pace.save(tx)
        await touched.mark(tx, free.refused)
        await drifts.observe(tx, observed, at=at)
        if observed:
            await schedules.hurry(tx, channel.name, "orders", at_most_every_s=HURRY_ORDERS_S)
    return [write_of(listing) for listing in intended]


def _has_to_be_read(listing: Listing, *, compares: bool) -> bool:
    """Whether nobody knows what a write would start from."""
    belief = listing.belief
    # A blind write on a belief below zero would bury cancellations that we have not heard of.
    if belief is None or (belief < 0 and not compares):
        return True
    # The figure fell by an old reading, perhaps: only a newer one tells.
    return listing.suspense_units > 0 and listing.look_at is not None


def _put_off(listing: Listing, at: datetime) -> Listing:
    """Not now: there is news at the channel that has to be read first."""
    return replace(listing, next_at=at + timedelta(seconds=PUT_OFF_S), look_at=listing.look_at or at)


def _put_off_until_settled(listing: Listing, at: datetime, terms: Terms) -> Listing:
    """Not before a reading that cannot be as old as the last one."""
    again = straying.looked_at_again(listing, now=at, terms=terms)
    return _put_off(again, again.look_at or at)


def _read(listing: Listing, shown: int, asked: Listing, at: datetime, terms: Terms) -> Listing:
    """The listing after the reading before the write. `asked`: as it was before the question."""
    net, turnover = asked.net_units, asked.turnover_units
    return read(listing, shown, net_before=net, turnover_before=turnover, now=at, terms=terms).listing


async def _call(database: Database, channel: OpenChannel, writes: Sequence[StockWrite]) -> tuple[WriteOutcome, ...]:
    """Send the writes. A fault of the whole call becomes the outcome of every write in it."""
    try:
        outcomes = await push_each(channel.connector.push, writes)
    except OutcomeUnknownError as fault:
        return (Unknown(str(fault)),) * len(writes)
    except MalformedError as fault:
        # An answer that nobody can read is none: the channel may have done it.
        await report_fault(database, channel.name, fault)
        return (Unknown(str(fault)),) * len(writes)
    except ChannelFault as fault:
        pause_s = await report_fault(database, channel.name, fault)
        return (Throttled(pause_s),) * len(writes)
    await report_answer(database, channel.name)
    return outcomes


async def _record(
    database: Database, channel: OpenChannel, outcomes: Mapping[StockWrite, WriteOutcome], lease: UUID
) -> None:
    """Store what came of each write, and give the listings back."""
    by_key = {write.key: outcome for write, outcome in outcomes.items()}
    keys = [(channel.name, write.channel_sku) for write in outcomes]
    async with database.transaction() as tx:
        at = await now(tx)
        before = [
            listing
            for listing in await publishing.lock(tx, keys, lease=lease)
            if listing.operation is not None and listing.operation.op_id in by_key
        ]
        changed = [after_outcome(listing, _outcome(listing, by_key), at, channel) for listing in before]
        await publishing.save(tx, changed)
        if channel.capability.changes_per_day > 0:
            await change_budgets.give_back(tx, channel.name, _not_made(before, by_key))
        shut = _shut(before, by_key, at)
        await change_budgets.shut(tx, channel.name, shut)
        if any(isinstance(outcome, Stale) for outcome in by_key.values()):
            await schedules.hurry(tx, channel.name, "orders", at_most_every_s=HURRY_ORDERS_S)
    for one in shut:
        log.warning("listing.changes_used_up", listing=one.channel_sku, until=one.until, words=one.words[:200])
    for listing in changed:
        if listing.phase is Phase.PARKED:
            log.warning("listing.parked", listing=listing.channel_sku, words=listing.parked_reason[:200])


def _outcome(listing: Listing, by_key: Mapping[UUID, WriteOutcome]) -> WriteOutcome:
    if listing.operation is None:
        raise InvariantError(f"{listing.channel_sku}: an outcome of no write")
    return by_key[listing.operation.op_id]


def _not_made(before: Sequence[Listing], by_key: Mapping[UUID, WriteOutcome]) -> list[tuple[ChannelSku, datetime]]:
    """Of listings with a write in flight, those of which the channel certainly made no change, and when it was sent."""
    return [
        (listing.channel_sku, listing.sent_at)
        for listing in before
        if listing.sent_at is not None and isinstance(_outcome(listing, by_key), Stale | Refused | Throttled)
    ]


def _shut(before: Sequence[Listing], by_key: Mapping[UUID, WriteOutcome], at: datetime) -> list[change_budgets.Shut]:
    """Those of which the channel takes nothing but zero for a while."""
    found = []
    for listing in before:
        outcome = _outcome(listing, by_key)
        if isinstance(outcome, UsedUp):
            until = at + timedelta(seconds=outcome.retry_after_s)
            words = printable(outcome.words, length_max=REASON_LENGTH_MAX)
            found.append(change_budgets.Shut(listing.channel_sku, until, words))
    return found
