"""Find what no event told: read every listing of a channel, and weigh readings that facts did not explain.

Reads: a channel's whole stock, page by page or from a file; suspicions. Writes: listings (new ones linked by exact
SKU), wishes to look at listings, their other stock states, drifts, when to poll.
Next: confirm (a figure that differs), plan (a new link), resolve (a drift).
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Sequence
from datetime import datetime, timedelta
from uuid import UUID

from oneshelf.clock import Clock
from oneshelf.domain.identity import printable
from oneshelf.domain.listing import Listing
from oneshelf.domain.reading import DriftFound, Read
from oneshelf.domain.sweep_plan import Way, due, give_up_s, sweep_plan
from oneshelf.domain.weighing import weigh
from oneshelf.errors import MalformedError
from oneshelf.flow import hold
from oneshelf.flow.channel import (
    CHANNEL_FAILURES,
    OpenChannel,
    issues_in,
    known_until,
    read_budget,
    report_answer,
    report_fault,
    states_in,
    tell_drift,
    words_of,
)
from oneshelf.flow.stock_source import Ending, File, FileTerms, Pages, Part, Source
from oneshelf.sdk.contract import WritesStockFile
from oneshelf.storage import (
    breakers,
    drifts,
    facts,
    hot_listings,
    listing_issues,
    listings,
    publications,
    publishing,
    schedules,
    stock_states,
    touched,
)
from oneshelf.storage.database import Database, Transaction, now
from oneshelf.storage.sweep_places import Place, cursor_of, place_from
from oneshelf.telemetry import get_logger

SWEEP_LEASE_S = 120.0
# More than any catalogue has, of pages with a few listings.
PAGES_MAX = 1_000_000
LATE_WRITE_DEADLINES = 2
TEXT_LENGTH_MAX = 500
# So many polls for a declared one are asked for at most, while readings wait for the orders from before them.
HURRIED_POLLS = 6
# Hot listings are chosen so often, from so many.
HOT_EVERY_S = 60.0
HOT_MAX = 5_000

# After these the pages are next.
_BY_PAGES = frozenset({Ending.PARTIAL, Ending.BY_PAGES})

log = get_logger(__name__)


async def sweep(database: Database, channel: OpenChannel, clock: Clock) -> int:
    """Read the channel's whole stock if that is due, or go on. Absence proves nothing. Returns listings read."""
    async with database.transaction() as tx:
        due = await schedules.claim(tx, channel.name, "stock", lease=clock.new_id(), lease_s=SWEEP_LEASE_S)
        if due is None:
            return 0
        begun_at = await now(tx)
        listing_count = await breakers.last_swept(tx, channel.name)
    source = _source(database, channel, clock, due, place_from(due.cursor), listing_count)
    read_count = page_count = 0
    following: Part | None = None
    try:
        while True:
            part = following or await source.next_part()
            read_count += len(part.readings)
            page_count += part.page_count
            storing = _stored(database, channel, due, part, begun_at)
            goes_on, following = await _and_next(storing, source) if _leads_on(source, part) else (await storing, None)
            if part.fault is not None:
                raise part.fault
            if not goes_on:
                break
            if page_count >= PAGES_MAX:
                raise MalformedError(f"after {page_count} pages of its stock the channel still says that more follow")
            if following is None:
                # This source leads no further, and another one does.
                await source.close()
                source = _source(database, channel, clock, due, part.place, max(listing_count, read_count))
    except CHANNEL_FAILURES as fault:
        pause_s = await report_fault(database, channel.name, fault)
        async with database.transaction() as tx:
            await schedules.postpone(tx, due, after_s=max(pause_s, 0.5), fault=words_of(fault))
        return read_count
    finally:
        await source.close()
    await report_answer(database, channel.name)
    return read_count


def _leads_on(source: Source, part: Part) -> bool:
    """Whether the next part comes from the same source, whatever comes of storing this one."""
    is_too_large = isinstance(source, Pages) and source.is_too_large
    return part.ending is Ending.MORE and part.fault is None and not is_too_large


async def _and_next(storing: Awaitable[bool], source: Source) -> tuple[bool, Part]:
    """A part is stored while the channel tells the next one: neither waits for the other."""
    stored, following = await asyncio.gather(storing, source.next_part(), return_exceptions=True)
    if isinstance(stored, BaseException):
        raise stored
    if isinstance(following, BaseException):
        raise following
    return stored, following


def _source(
    database: Database, channel: OpenChannel, clock: Clock, due: schedules.Due, place: Place, listing_count: int
) -> Source:
    """The file that is under way, or what is best for so many listings."""
    budget, connector = read_budget(channel.capability), channel.connector
    if not (budget.has_file and isinstance(connector, WritesStockFile)) or place.by_pages:
        return Pages(database, channel, clock, took_s=place.took_s, until_count=None)
    if place.file or place.try_count or budget.way(listing_count) is Way.FILE:
        terms = FileTerms(give_up_s(listing_count, budget), channel.capability.stock_file_age_s)
        return File(database, connector, clock, place=place, terms=terms, covered_until=due.covered_until)
    return Pages(database, channel, clock, took_s=place.took_s, until_count=budget.pages_most)


async def _stored(database: Database, channel: OpenChannel, due: schedules.Due, part: Part, begun_at: datetime) -> bool:
    """Store a part, and how far the pass has got with it. Whether it goes on now."""
    if part.ending is Ending.WHOLE:
        # By itself: whoever wants to write to the channel waits for its row.
        async with database.transaction() as tx:
            await hold.record_sweep(tx, channel.name, part.seen_count)
    if part.ending in _BY_PAGES:
        log.warning("stock_file.failed", channel=channel.name, ending=part.ending.value, words=part.words)
    # Before the first whole pass nobody knows what a partial file lacks: pages tell it at once, and not the next time.
    is_over = part.ending is Ending.WHOLE or (part.ending is Ending.PARTIAL and due.covered_until is not None)
    pass_begun_at = part.asked_at if part.is_from_file else begun_at
    async with database.transaction() as tx:
        await _record(tx, channel, part)
        if is_over and due.covered_until is not None and (part.is_from_file or not due.cursor):
            # Absence proves nothing: what was proved before, and not by this pass, is asked for.
            await publishing.look_at_unseen(tx, channel.name, before=pass_begun_at)
        covered_until = min(begun_at, part.asked_at) if part.is_from_file else begun_at
        is_ours = await schedules.advance(
            tx,
            due,
            cursor=cursor_of(part.place),
            covered_until=covered_until if part.ending is Ending.WHOLE else None,
            is_finished=is_over,
        )
        if part.ending is Ending.LATER:
            await schedules.postpone(tx, due, after_s=part.later_s, fault=part.words)
    return is_ours and not is_over and part.ending is not Ending.LATER


async def look_often(database: Database, channel: OpenChannel) -> int:
    """Have listings that sell or are scarce read back between two sweeps, as the channel's budget allows.

    Returns how many are to be read.
    """
    budget = read_budget(channel.capability)
    async with database.transaction() as tx:
        watched = await hot_listings.hot(tx, channel.name, limit=HOT_MAX)
        plan = sweep_plan(
            listing_count=len(watched),
            hot_count=len(watched),
            budget=budget,
            wanted_every_s=channel.capability.sweep_stock_s,
        )
        wanted = due(watched, plan, budget, now=await now(tx), span_s=HOT_EVERY_S)
        if wanted:
            await listings.request_look(tx, channel.name, channel_skus=wanted)
    return len(wanted)


async def weigh_suspicions(database: Database, channel: OpenChannel, clock: Clock) -> int:
    """Decide about readings once every order that could explain them has been posted. Returns how many."""
    async with database.transaction() as tx:
        gap_s = channel.capability.poll_orders_s / HURRIED_POLLS
        lag_s = channel.capability.orders_lag_s
        await schedules.hurry_to_weigh(tx, channel.name, lag_s=lag_s, at_most_every_s=gap_s)
        covered_until = await known_until(tx, channel.name)
        if covered_until is None:
            return 0
        suspicious = await publishing.claim_suspicious(tx, channel.name, seen_before=covered_until)
        at = await now(tx)
        since = at - timedelta(seconds=LATE_WRITE_DEADLINES * channel.capability.apply_s)
        sent = await publications.sent_since(tx, [listing.key for listing in suspicious], since=since)
        seen = await stock_states.read(tx, [listing.key for listing in suspicious])
        reads = [
            weigh(
                listing,
                recently_sent=sent.get(listing.key, ()),
                now=at,
                terms=channel.terms,
                moved_units=_moved(listing, seen.get(listing.key)),
            )
            for listing in suspicious
        ]
        await publishing.save(tx, [done.listing for done in reads])
        held = {listing.key for listing in suspicious if listing.suspense_units}
        await touched.mark(
            tx, [done.listing.sku for done in reads if done.listing.suspense_units or done.listing.key in held]
        )
        await _open_drifts(tx, reads, clock, at)
    return len(reads)


def _moved(listing: Listing, seen: stock_states.SeenStates | None) -> int:
    """Units that lay in other states by the suspicious reading, beyond what is accounted for."""
    suspicion = listing.suspicion
    if seen is None or suspicion is None or seen.shown_at > suspicion.seen_at:
        return 0
    return sum(seen.shown.values()) - sum(seen.accounted.values())


async def _record(tx: Transaction, channel: OpenChannel, part: Part) -> None:
    """Remember the listings of these pages; have those read back that show another figure than we believe."""
    # By name: what was on two pages is as the later one says.
    seen = {
        reading.channel_sku: listings.SeenListing(
            reading.channel_sku,
            printable(reading.alias, length_max=TEXT_LENGTH_MAX),
            printable(reading.merchant_sku or "", length_max=TEXT_LENGTH_MAX),
            printable(reading.title, length_max=TEXT_LENGTH_MAX),
            printable(reading.note, length_max=TEXT_LENGTH_MAX),
            printable(reading.group, length_max=TEXT_LENGTH_MAX),
        )
        for reading in part.readings
        if printable(reading.channel_sku, length_max=TEXT_LENGTH_MAX) == reading.channel_sku
    }
    linked = await listings.remember(tx, channel.name, seen.values())
    # Orders that sold them before anybody knew what they are: these count before their figures are written.
    await facts.requeue_for_listings(tx, channel.name, [channel_sku for _, channel_sku in linked])
    await touched.mark(tx, linked.values())
    shown = {reading.channel_sku: reading.units for reading in part.readings}
    await publishing.compare(
        tx,
        channel.name,
        {channel_sku: units for channel_sku, units in shown.items() if units is not None},
        asked_at=part.asked_at,
    )
    await stock_states.see(tx, channel.name, states_in(part.readings), asked_at=part.asked_at)
    await listing_issues.see(tx, channel.name, issues_in(part.readings))
    if part.ending is Ending.WHOLE and (known := await known_until(tx, channel.name)) is not None:
        await stock_states.settle(tx, channel.name, after_s=channel.suspense_s, known_until=known)


async def _open_drifts(tx: Transaction, reads: Sequence[Read], clock: Clock, at: datetime) -> None:
    found: list[tuple[UUID, DriftFound]] = [(clock.new_id(), done.drift) for done in reads if done.drift is not None]
    await drifts.open_all(tx, found, at=at)
    for _, drift in found:
        await drifts.observe(tx, [_observation(drift)], at=at)
        tell_drift(drift)


def _observation(drift: DriftFound) -> drifts.Observation:
    listing = drift.listing
    return drifts.Observation(
        listing.channel, listing.channel_sku, drift.observed_units, drift.expected_units, "reconcile"
    )
