"""Hand a channel many writes in one file, where it takes such and nothing of them is urgent.

Reads: listings whose desired version is ahead of the sent one; the feed that is under way. Writes: intents and outcomes
on the listing, feeds.
Next: confirm.

A listing that a feed carries stays in phase `sending`, with all that it may sell reserved, until the feed has ended.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from uuid import UUID

from oneshelf.clock import Clock
from oneshelf.domain.identity import ChannelSku
from oneshelf.domain.listing import Listing, Phase, carried, intend, without_a_write
from oneshelf.errors import MalformedError
from oneshelf.flow import hold
from oneshelf.flow.channel import CHANNEL_FAILURES, OpenChannel, report_answer, report_fault, words_of
from oneshelf.flow.writing import after_outcome, write_of
from oneshelf.sdk.capability import WriteKind
from oneshelf.sdk.contract import WritesByFeed
from oneshelf.sdk.fault import ChannelFault, NeedsPersonError, OutcomeUnknownError, RefusedError
from oneshelf.sdk.http import sending_before
from oneshelf.sdk.message import FeedReport, FeedState, Throttled, Unknown, WriteOutcome
from oneshelf.storage import feeds, publishing, rights
from oneshelf.storage.database import Database, now
from oneshelf.storage.feeds import Feed
from oneshelf.telemetry import get_logger

# What shows fewer units is scarce: it is written by itself, and so is every zero.
UNITS_LEAST = 10
# So many listings are dealt with in a transaction.
CHUNK = 1_000
# Whoever begins or looks at a feed is done by then, or dead. What is sent before `SEND_BEFORE_S` is answered by then.
LEASE_S = 180.0
SEND_BEFORE_S = LEASE_S - 45.0
LOOK_AGAIN_S = 30.0
# A channel that took no feed is not asked to take another one before this.
AFTER_REFUSAL_S = 3600.0
# Where the channel is done sooner, so often within its time.
LOOKS = 4
# How the words begin of a feed of which the channel refuses to tell, or tells what nobody can read.
UNTOLD = "what came of it is not told"

log = get_logger(__name__)


def look_again_s(channel: OpenChannel) -> float:
    """How long until a feed that is under way is looked at again."""
    return min(LOOK_AGAIN_S, max(1.0, channel.capability.feed_s_max / LOOKS))


async def feed(database: Database, channel: OpenChannel, clock: Clock) -> int:
    """Begin a feed where that is worth it, or look at the one under way. Returns the listings dealt with."""
    connector, declared = channel.connector, channel.capability
    # What compares is written on top of a fresh reading, which a feed never is; where changes are counted each one is
    # weighed by itself (`pace`).
    if not (declared.feed_writes and isinstance(connector, WritesByFeed)):
        return 0
    if declared.write_kind is WriteKind.COMPARE_AND_SET or declared.changes_per_day:
        return 0
    lease = clock.new_id()
    async with database.transaction() as tx:
        under_way = await feeds.claim(tx, channel.name, lease=lease, lease_s=LEASE_S)
        is_other = under_way is None and await feeds.is_under_way(tx, channel.name)
    if under_way is not None:
        return await _look(database, channel, connector, under_way, lease)
    return 0 if is_other else await _begin(database, channel, connector, clock, lease)


# Beginning ---------------------------------------------------------------------------------------------------------


async def _begin(database: Database, channel: OpenChannel, connector: WritesByFeed, clock: Clock, lease: UUID) -> int:
    ready = await _ready(database, channel, connector)
    if not ready:
        return 0
    send_before = clock.monotonic() + SEND_BEFORE_S
    opened = Feed(clock.new_id(), channel.name, (), False, 0, clock.now(), None)
    async with database.transaction() as tx:
        if not await feeds.begin(tx, opened.feed_id, channel.name, lease=lease, lease_s=LEASE_S):
            return 0
    for start in range(0, len(ready), CHUNK):
        await _intend(database, channel, opened.feed_id, ready[start : start + CHUNK], clock)
    async with database.transaction() as tx:
        limit = channel.capability.feed_writes
        listings = await feeds.carried(tx, opened.feed_id, limit=limit, is_locked=False)
        if not listings:
            await feeds.end(tx, opened.feed_id, words="nothing was left to write")
    if listings:
        with sending_before(send_before):
            await _hand_over(database, channel, connector, opened._replace(write_count=len(listings)), listings, lease)
    return len(listings)


async def _ready(database: Database, channel: OpenChannel, connector: WritesByFeed) -> tuple[ChannelSku, ...]:
    """The listings that go by a feed now; empty where they are too few, or not all of them are known yet."""
    declared = channel.capability
    async with database.transaction() as tx:
        if (await hold.look(tx, channel.name)).held is not None:
            return ()
        if await feeds.was_refused(tx, channel.name, within_s=AFTER_REFUSAL_S):
            return ()
        wanted = await feeds.waiting(tx, channel.name, least_units=UNITS_LEAST, limit=declared.feed_writes)
    if len(wanted) < declared.feed_writes_least:
        return ()
    try:
        plan = await connector.plan_feed(wanted)
    except CHANNEL_FAILURES as fault:
        await report_fault(database, channel.name, fault)
        return ()
    is_enough = len(plan.ready) >= declared.feed_writes_least
    return plan.ready if is_enough and not plan.unread_count else ()


async def _intend(
    database: Database, channel: OpenChannel, feed_id: UUID, channel_skus: Sequence[ChannelSku], clock: Clock
) -> None:
    """Record what will be written, from the figures of this very moment."""
    async with database.transaction() as tx:
        standing = await hold.lock(tx, channel.name)
        at = await now(tx)
        locked = await feeds.lock_waiting(tx, channel.name, channel_skus, least_units=UNITS_LEAST)
        passed = await hold.pass_writes(tx, standing, locked)
        free = await rights.lock_free(tx, channel.name, [listing.channel_sku for listing in locked])
        changed: list[Listing] = []
        for listing in locked:
            if listing.shows_what_is_desired:
                changed.append(without_a_write(listing, now=at))
            elif listing.key in passed and not free.counts(listing.channel_sku):
                written = intend(listing, op_id=clock.new_id(), now=at, is_compared=False)
                changed.append(replace(written, feed_id=feed_id))
        await publishing.save(tx, changed)


async def _hand_over(
    database: Database,
    channel: OpenChannel,
    connector: WritesByFeed,
    opened: Feed,
    listings: Sequence[Listing],
    lease: UUID,
) -> None:
    """Send it. A fault becomes the outcome of every write in it."""
    try:
        begun = await connector.begin_feed([write_of(listing) for listing in listings])
    except (OutcomeUnknownError, MalformedError) as lost:
        # It may be under way all the same: it is looked for, and its units stay reserved meanwhile.
        await report_fault(database, channel.name, lost)
        async with database.transaction() as tx:
            await feeds.keep(tx, opened, lease=lease, look_after_s=look_again_s(channel), words=words_of(lost))
        return
    except (RefusedError, NeedsPersonError) as refusal:
        # Of this feed, and of no other call: the figures go one by one, and the next feed is tried some time later.
        log.warning("feed.refused", channel=channel.name, writes=len(listings), words=words_of(refusal))
        async with database.transaction() as tx:
            await feeds.keep(tx, opened, lease=lease, look_after_s=0.0, words=words_of(refusal))
        await _settle(database, channel, opened, lease, lambda _listing: Throttled(0.0), words=words_of(refusal))
        return
    except ChannelFault as fault:
        pause_s = await report_fault(database, channel.name, fault)
        await _settle(database, channel, opened, lease, lambda _listing: Throttled(pause_s), words=words_of(fault))
        return
    await report_answer(database, channel.name)
    if begun.left_out:
        await _leave_out(database, channel, opened, begun.left_out)
    log.info("feed.begun", channel=channel.name, name=begun.name, writes=len(listings) - len(begun.left_out))
    async with database.transaction() as tx:
        count = len(listings) - len(begun.left_out)
        taken = opened._replace(names=(begun.name,), is_answered=True, write_count=count)
        await feeds.keep(tx, taken, lease=lease, look_after_s=look_again_s(channel))


# Looking -----------------------------------------------------------------------------------------------------------


async def _look(database: Database, channel: OpenChannel, connector: WritesByFeed, one: Feed, lease: UUID) -> int:
    reports: list[FeedReport] = []
    said: list[str] = []
    try:
        if not one.is_answered:
            found = await connector.find_feeds(since=one.begun_at)
            one = one._replace(names=tuple(dict.fromkeys((*one.names, *found))))
        reports = [await connector.look_at_feed(name) for name in one.names]
    except (RefusedError, MalformedError) as fault:
        # Of this one feed: the channel as a whole answers.
        said = [f"{UNTOLD}: {words_of(fault)}"]
    except CHANNEL_FAILURES as fault:
        pause_s = await report_fault(database, channel.name, fault)
        async with database.transaction() as tx:
            after_s = max(pause_s, look_again_s(channel))
            await feeds.keep(tx, one, lease=lease, look_after_s=after_s, words=words_of(fault))
        return 1
    await report_answer(database, channel.name)
    async with database.transaction() as tx:
        age_s = (await now(tx) - one.begun_at).total_seconds()
    if said and one.stuck_at is not None and one.words.startswith(UNTOLD):
        # Too late, cancelled where that is possible, and untold of twice in a row: nobody will tell of it any more.
        return await _settle(database, channel, one, lease, _nobody_knows, words=said[0])
    said += [
        f"{name} is {report.words or 'under way'}"
        for name, report in zip(one.names, reports, strict=False)
        if report.state is FeedState.UNDER_WAY
    ]
    if said:
        return await _wait(database, channel, one, lease, age_s=age_s, said="; ".join(said))
    # Whoever began it sends nothing when its lease is over.
    if not one.is_answered and age_s < LEASE_S + channel.capability.feed_shown_s:
        async with database.transaction() as tx:
            words = "whether it was taken is not known"
            await feeds.keep(tx, one, lease=lease, look_after_s=look_again_s(channel), words=words)
        return 1
    words = "; ".join(f"{report.state.value} {report.words}".strip() for report in reports) or "it was never taken"
    outcome_of = _outcomes(one, reports[0]) if one.is_answered else _nobody_knows
    return await _settle(database, channel, one, lease, outcome_of, words=words)


def _nobody_knows(_listing: Listing) -> WriteOutcome:
    return Unknown("what came of the feed is not known")


def _outcomes(one: Feed, report: FeedReport) -> Callable[[Listing], WriteOutcome]:
    """What came of each write, of a feed that has ended."""
    if report.state is FeedState.CANCELLED:
        return lambda _listing: Throttled(0.0)
    lost = Unknown(f"the feed is {report.state.value}, and does not tell of this listing; {report.words}")
    others = report.others if report.write_count == one.write_count else None
    return lambda listing: report.outcomes.get(listing.channel_sku, others or lost)


async def _wait(database: Database, channel: OpenChannel, one: Feed, lease: UUID, *, age_s: float, said: str) -> int:
    """It goes on. Where it takes too long it is cancelled; where that is too late, its listings are let go of.

    Those of guarded SKUs are not: what it may still write is reserved until it has ended. `said`: the channel's words.
    """
    is_stuck = age_s >= channel.capability.feed_s_max
    count, words = 0, said
    if is_stuck:
        words = f"{said}, {age_s:.0f} s after it was begun"
        if one.stuck_at is None:
            log.warning("feed.stuck", channel=channel.name, age_s=round(age_s), words=words)
            try:
                await _drop(channel, one)
            except CHANNEL_FAILURES as fault:
                words = f"{words}; it cannot be cancelled: {words_of(fault)}"
        else:
            count = await _record(database, channel, one, lease, _nobody_knows, leaves_guarded=True)
    async with database.transaction() as tx:
        after_s = look_again_s(channel)
        await feeds.keep(tx, one, lease=lease, look_after_s=after_s, is_stuck=is_stuck, words=words[:500])
    return max(1, count)


async def _drop(channel: OpenChannel, one: Feed) -> None:
    """Have it cancelled, where it is certainly ours. Raises what the channel says against it."""
    if one.is_answered and isinstance(channel.connector, WritesByFeed):
        for name in one.names:
            await channel.connector.drop_feed(name)


# Outcomes ----------------------------------------------------------------------------------------------------------


async def _settle(
    database: Database,
    channel: OpenChannel,
    one: Feed,
    lease: UUID,
    outcome_of: Callable[[Listing], WriteOutcome],
    *,
    words: str,
) -> int:
    """Record what came of every write that it still carries; it has ended once it carries none."""
    count = await _record(database, channel, one, lease, outcome_of)
    async with database.transaction() as tx:
        has_ended = await feeds.holds(tx, one.feed_id, lease=lease) and not await feeds.carried(
            tx, one.feed_id, limit=1, is_locked=False
        )
        if has_ended:
            await feeds.end(tx, one.feed_id, words=words[:500])
    if has_ended:
        log.info("feed.ended", channel=channel.name, names=",".join(one.names), writes=count, words=words[:200])
    return count


async def _record(
    database: Database,
    channel: OpenChannel,
    one: Feed,
    lease: UUID,
    outcome_of: Callable[[Listing], WriteOutcome],
    *,
    leaves_guarded: bool = False,
) -> int:
    """Store what came of the writes, some at a time: whoever dies in between leaves the rest to the next."""
    total = 0
    while True:
        async with database.transaction() as tx:
            if not await feeds.holds(tx, one.feed_id, lease=lease):
                return total
            at = await now(tx)
            locked = await feeds.carried(tx, one.feed_id, limit=CHUNK, is_locked=True, leaves_guarded=leaves_guarded)
            changed = [after_outcome(carried(listing, now=at), outcome_of(listing), at, channel) for listing in locked]
            await publishing.save(tx, changed)
        _tell_parked(changed)
        total += len(changed)
        if len(changed) < CHUNK:
            return total


async def _leave_out(
    database: Database, channel: OpenChannel, one: Feed, left_out: Mapping[ChannelSku, WriteOutcome]
) -> None:
    """What the feed does not carry after all."""
    async with database.transaction() as tx:
        at = await now(tx)
        locked = await publishing.lock(tx, [(channel.name, channel_sku) for channel_sku in left_out], lease=None)
        changed = [
            after_outcome(carried(listing, now=at), left_out[listing.channel_sku], at, channel)
            for listing in locked
            if listing.feed_id == one.feed_id and listing.phase is Phase.SENDING
        ]
        await publishing.save(tx, changed)
    _tell_parked(changed)


def _tell_parked(changed: Sequence[Listing]) -> None:
    for listing in changed:
        if listing.phase is Phase.PARKED:
            log.warning("listing.parked", listing=listing.channel_sku, words=listing.parked_reason[:200])
