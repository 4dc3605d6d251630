"""Decide what becomes of a drift.

Reads: open drifts, what is known about them. Writes: the decision with its evidence; a listing to be written again.
Next: push, post (units that lie in another state).

Where the engine is the source of truth its figure is published again; where the channel itself is, by the rule of the
SKU and the channel's location, the ledger takes the channel's figure (`_adopt`). A channel in mode `watch` is never
written, so its drifts stay open for a person, who may also decide otherwise (`by_hand`). A fall waits in suspense
first, since the order that explains it may still come; only then is it taken for somebody's edit, and not while that
order may be among what cannot be read (`errors list`). Units that the same reading shows in another state were not
sold: where the channel's rule says so the ledger moves them too, at once.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from oneshelf.domain import straying
from oneshelf.domain.attribution import attribute, blurred_by_orders, explained_by_orders
from oneshelf.domain.command import Adopt
from oneshelf.domain.drift import ENDS, Cause, How, Resolution, why_a_person
from oneshelf.domain.identity import Channel, Location, Sku
from oneshelf.domain.listing import Listing, Phase
from oneshelf.domain.outcome import CountedShort, Done, Outcome
from oneshelf.domain.outcome import in_words as outcome_in_words
from oneshelf.domain.reading import end_suspense, rewrite
from oneshelf.domain.state_change import Rule, in_words, moves_behind, units_of
from oneshelf.domain.truth import TruthRule
from oneshelf.errors import CannotResolveError, UnknownDriftError
from oneshelf.flow import leading
from oneshelf.flow.channel import OpenChannel, known_until
from oneshelf.storage import (
    adoptions,
    bundles,
    catalog,
    conflicts,
    drifts,
    evidence,
    listings,
    publishing,
    stock_states,
    touched,
)
from oneshelf.storage.database import Database, Transaction, now
from oneshelf.storage.listings import ListingKey
from oneshelf.telemetry import get_logger

BATCH = 200
# What the ledger could not take from a channel that rules is tried again after a while.
ADOPT_AGAIN_S = 60
# News that cannot be read may explain what falls within this time after it, the slowest sweep included; and how soon it
# is seen that a person has dealt with it.
UNREAD_S = 86_400.0
UNREAD_AGAIN_S = 60
UNREAD = "the order that explains it may be among what cannot be read: oneshelf errors list, then retry or dismiss it"

log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Ledger:
    """How drifts reach the ledger. `post`: has it take an adjustment, whose key is made of the drift and its figures:
    asked again, the units move once. `book`: has it move units as they were moved at channels, see `post.post_moves`.
    """

    post: Callable[[Adopt], Awaitable[Outcome]]
    book: Callable[[], Awaitable[int]]


async def resolve(database: Database, channels: Mapping[Channel, OpenChannel], ledger: Ledger | None = None) -> int:
    """Decide one batch of drifts. They close once a reading shows the desired figure. Returns how many.

    Without a `ledger` the drifts of channels that rule are left alone.
    """
    decided_count, led = await _decide(database, channels)
    if ledger is None:
        return decided_count
    for drift, rule in led:
        decided_count += await _adopt(database, drift, rule, ledger)
    return decided_count


async def _decide(
    database: Database, channels: Mapping[Channel, OpenChannel]
) -> tuple[int, list[tuple[drifts.DriftRow, TruthRule]]]:
    """How many the engine decided, and those whose channel rules: the ledger is to take its figure."""
    async with database.transaction() as tx:
        undecided = await drifts.claim_undecided(tx, limit=BATCH)
        if not undecided:
            return 0, []
        at = await now(tx)
        seen = await stock_states.read(tx, {drift.key for drift in undecided})
        due = await _due(tx, undecided, channels, seen)
        if not due:
            return 0, []
        # A write on the wire is left to end first: the next one starts from what it leaves. And units in suspense are
        # offered again only once a second reading has not found them on sale.
        idle = [
            listing
            for listing in await publishing.lock(tx, due, lease=None)
            if listing.phase is Phase.IDLE and not (listing.suspense_units and listing.look_at)
        ]
        led = await leading.led(tx, [due[listing.key] for listing in idle], channels)
        ruling = {drift.key for drift, _ in led}
        in_doubt = {one.key: one for one in idle if one.key in ruling and not straying.may_be_taken(one)}
        again = [straying.looked_at_again(one, now=at, terms=channels[one.channel].terms) for one in in_doubt.values()]
        await publishing.save(tx, again, keeps_lease=True)
        led = [(drift, rule) for drift, rule in led if drift.key not in in_doubt]
        idle = [listing for listing in idle if listing.key not in ruling]
        rows = [due[listing.key] for listing in idle]
        decisions = await _decisions(tx, rows, channels)
        booked, waiting = await _by_state(tx, rows, decisions, seen, channels)
        for drift in rows:
            if drift.drift_id not in booked and (reason := _why_a_person(drift, decisions[drift.drift_id])):
                waiting.setdefault(drift.drift_id, reason)
        again = [listing for listing in idle if due[listing.key].drift_id not in {*waiting, *booked}]
        await publishing.save(tx, [_published_again(listing, at) for listing in again], keeps_lease=True)
        await touched.mark(tx, [listing.sku for listing in again if listing.suspense_units])
        written = {drift_id: one for drift_id, one in decisions.items() if drift_id not in {*waiting, *booked}}
        await drifts.decide(tx, written, Resolution.REPUBLISHED)
        await drifts.decide(tx, {drift_id: decisions[drift_id] for drift_id in booked}, Resolution.BOOKED)
        await drifts.attribute(tx, {drift_id: decisions[drift_id] for drift_id in waiting})
        await drifts.wait_for_a_person(tx, waiting)
    for drift in rows:
        if drift.drift_id in waiting:
            log.warning("drift.waits", listing=drift.channel_sku, reason=waiting[drift.drift_id])
    return len(decisions), led


async def _due(
    tx: Transaction,
    undecided: list[drifts.DriftRow],
    channels: Mapping[Channel, OpenChannel],
    seen: Mapping[ListingKey, stock_states.SeenStates],
) -> dict[ListingKey, drifts.DriftRow]:
    """What is decided now. A fall of which news that cannot be read may tell says so, and waits for a person."""
    known = {
        channel: await known_until(tx, channel)
        for channel in {drift.channel for drift in undecided if _is_held_back(drift)}
    }
    due: dict[ListingKey, drifts.DriftRow] = {}
    in_doubt: dict[UUID, float] = {}
    for drift in undecided:
        channel = channels.get(drift.channel)
        lies_elsewhere = _lies_elsewhere(drift, seen.get(drift.key))
        if channel is None or not (lies_elsewhere or _is_due(drift, known.get(drift.channel), channel)):
            continue
        due[drift.key] = drift
        if _is_held_back(drift) and not lies_elsewhere:
            in_doubt[drift.drift_id] = max(UNREAD_S, channel.suspense_s)
    unread = await evidence.with_unread_news(tx, in_doubt)
    await drifts.wait_for_a_person(tx, dict.fromkeys(unread, UNREAD), again_s=UNREAD_AGAIN_S)
    for drift in undecided:
        if drift.drift_id in unread and drift.waiting_for != UNREAD:
            log.warning("drift.waits", listing=drift.channel_sku, reason=UNREAD)
    return {key: drift for key, drift in due.items() if drift.drift_id not in unread}


# Where the channel rules ----------------------------------------------------------------------------------------------


async def _adopt(database: Database, drift: drifts.DriftRow, rule: TruthRule, ledger: Ledger) -> int:
    """The ledger takes the channel's figure, and what it said itself is written down. Returns 1 when it did."""
    async with database.transaction() as tx:
        location, pack_units = await listings.place_of(tx, drift.key)
    try:
        words = await by_hand(database, drift.drift_id, How.ADOPT, post=ledger.post, book=ledger.book)
    except CannotResolveError as refusal:
        async with database.transaction() as tx:
            await drifts.put_off(tx, drift.drift_id, wait_s=ADOPT_AGAIN_S)
        log.warning("drift.not_adopted", listing=drift.channel_sku, words=str(refusal))
        return 0
    async with database.transaction() as tx:
        adopted = await drifts.find(tx, drift.drift_id)
        if adopted is not None and adopted.resolution == Resolution.ADOPTED.value:
            await conflicts.note(tx, [conflicts.of_drift(adopted, str(rule), location, pack_units=pack_units)])
    log.info("drift.adopted", listing=drift.channel_sku, words=words)
    return 1


# Units in another state -----------------------------------------------------------------------------------------------


def _lies_elsewhere(drift: drifts.DriftRow, seen: stock_states.SeenStates | None) -> bool:
    """Whether all that is missing on sale lies in another state: no order can explain it, so none is waited for."""
    fall = drift.unexplained_units
    return seen is not None and fall > 0 and units_of(moves_behind(seen.accounted, seen.shown, fall=fall)) == fall


async def _by_state(
    tx: Transaction,
    rows: list[drifts.DriftRow],
    decisions: Mapping[UUID, drifts.Decision],
    seen: Mapping[ListingKey, stock_states.SeenStates],
    channels: Mapping[Channel, OpenChannel],
) -> tuple[set[UUID], dict[UUID, str]]:
    """Drifts whose units the ledger moves too, and those of which a person is asked, with the reason."""
    moved = [drift for drift in rows if decisions[drift.drift_id].evidence.moved]
    booked: set[UUID] = set()
    asked: dict[UUID, str] = {}
    if not moved:
        return booked, asked
    rules = await stock_states.rules(tx)
    has_parts = await bundles.components(tx, {Sku(drift.sku) for drift in moved})
    for drift in moved:
        # Just after a move was seen, an old reading still shows the units on sale.
        last = seen[drift.key]
        stale = timedelta(seconds=channels[drift.channel].capability.stale_s)
        if rules[drift.channel] is Rule.IGNORE or (drift.size > 0 and last.shown_at < last.accounted_at + stale):
            continue
        words = in_words(decisions[drift.drift_id].evidence.moved)
        if has_parts.get(Sku(drift.sku)):
            asked[drift.drift_id] = f"{words}: {drift.sku} is a bundle and has no units of its own; move its components"
        elif rules[drift.channel] is Rule.ASK:
            asked[drift.drift_id] = f"{words}: --adopt has the ledger follow, --publish writes our figure again"
        else:
            booked.add(drift.drift_id)
    return booked, asked


async def explain_late(database: Database, channels: Mapping[Channel, OpenChannel]) -> int:
    """Look again at drifts that were decided, where orders from before them have come since. Returns how many."""
    async with database.transaction() as tx:
        rows = await drifts.claim_explainable(tx, limit=BATCH)
        if not rows:
            return 0
        gathered = await evidence.gather(tx, rows, silent_states=_silent_states(channels))
        decisions = {}
        for drift in rows:
            kept = gathered[drift.drift_id]
            blurred = blurred_by_orders(kept) if drift.cause == Cause.FOREIGN_EDIT.value else None
            explained = explained_by_orders(kept) or blurred or drifts.unchanged(drift)
            decisions[drift.drift_id] = drifts.Decision(explained, kept)
        await drifts.attribute(tx, decisions)
    return len(rows)


async def _decisions(
    tx: Transaction, rows: list[drifts.DriftRow], channels: Mapping[Channel, OpenChannel]
) -> dict[UUID, drifts.Decision]:
    gathered = await evidence.gather(tx, rows, silent_states=_silent_states(channels))
    return {drift_id: drifts.Decision(attribute(kept), kept) for drift_id, kept in gathered.items()}


def _silent_states(channels: Mapping[Channel, OpenChannel]) -> dict[Channel, tuple[str, ...]]:
    return {name: channel.capability.silent_states for name, channel in channels.items()}


def _why_a_person(drift: drifts.DriftRow, decision: drifts.Decision) -> str:
    return why_a_person(
        decision.attribution.cause,
        heal_count=drift.heal_count,
        same_count=decision.evidence.same_count,
        is_fall=drift.observed_units < drift.expected_units,
    )


def _is_held_back(drift: drifts.DriftRow) -> bool:
    return drift.observed_units < drift.expected_units and drift.cause == Cause.UNKNOWN.value


def _is_due(drift: drifts.DriftRow, known: datetime | None, channel: OpenChannel) -> bool:
    """A rise is cut at once; a fall without a known cause is given time, and every order of that time is known then.

    The second look was made meanwhile: a sale that it may have met would still explain units that are held back.
    """
    if not _is_held_back(drift):
        return True
    return known is not None and known >= drift.opened_at + timedelta(seconds=channel.suspense_s)


def _published_again(listing: Listing, at: datetime) -> Listing:
    return rewrite(end_suspense(listing), now=at)


# By hand --------------------------------------------------------------------------------------------------------------


async def by_hand(
    database: Database,
    drift_id: UUID,
    how: How,
    *,
    post: Callable[[Adopt], Awaitable[Outcome]],
    book: Callable[[], Awaitable[int]],
    wait_s: int = 0,
) -> str:
    """Do what a person says with an open drift that nobody has decided upon. Returns what was done, in words.

    Asked again for what has been done already, it says so.

    `post`: has the ledger take an adjustment, which carries a key made of the drift and its figures: asked again, the
    units move once. `book`: has the ledger move units as they were moved at channels, see `post.post_moves`. Raises
    CannotResolveError, with the way out.
    """
    async with database.transaction() as tx:
        seen = await drifts.find(tx, drift_id)
        if seen is not None and how in ENDS and seen.resolution in _ends_of(how):
            return f"{seen.channel_sku} at {seen.channel} was {seen.resolution} already; nothing was done again"
        drift, listing, link = await _undecided(tx, drift_id)
        mode = {row.channel: row.mode for row in await catalog.channels(tx)}[drift.channel]
        match how:
            case How.WAIT:
                await drifts.put_off(tx, drift_id, wait_s=wait_s)
                return f"{drift.channel_sku} at {drift.channel} waits {wait_s} s; then it is decided anew"
            case How.PUBLISH:
                if mode != "live":
                    raise CannotResolveError(
                        f"{drift.channel} is in mode {mode}: nothing is written to it. Way out: oneshelf channel live "
                        f"{drift.channel}, or let the ledger take its figure: oneshelf drift resolve {drift_id} --adopt"
                    )
                await drifts.put_off(tx, drift_id, wait_s=0)
                await _end(tx, drift, listing, Resolution.REPUBLISHED)
                return f"{drift.channel_sku} at {drift.channel} is written again; the drift closes when it shows"
            case How.ADOPT:
                moved = await _decide_to_book(tx, drift)
                wish, units = (None, 0) if moved else await leading.begin(tx, drift, listing, link)
    if wish is None:
        return await _book(database, drift, moved, book, is_live=mode == "live")
    outcome = await post(wish)
    if not isinstance(outcome, Done):
        async with database.transaction() as tx:
            await adoptions.give_up(tx, drift_id)
        raise CannotResolveError(f"the ledger did not take it: {outcome_in_words(outcome)}")
    async with database.transaction() as tx:
        drift, listing, _ = await _undecided(tx, drift_id)
        after = straying.taken(listing, units)
        await _end(tx, drift, after, Resolution.ADOPTED)
        await adoptions.end(tx, drift_id, left=after.stray_units)
    short = f"; {outcome.units_short} promised units are short now" if isinstance(outcome, CountedShort) else ""
    return f"the ledger took {wish.delta_units:+d} {wish.sku} at {wish.location} from {drift.channel}{short}"


def _ends_of(how: How) -> set[str]:
    """The resolutions that a drift may end with after a person has said so."""
    return {ENDS[how].value, *([Resolution.BOOKED.value] if how is How.ADOPT else [])}


async def _decide_to_book(tx: Transaction, drift: drifts.DriftRow) -> str:
    """Where the units of the drift lie in another state, the ledger will move them: which, in words. Or empty."""
    kept = (await evidence.gather(tx, [drift], silent_states={}))[drift.drift_id]
    if not kept.moved or await bundles.components(tx, {Sku(drift.sku)}):
        return ""
    await drifts.decide(tx, {drift.drift_id: drifts.Decision(attribute(kept), kept)}, Resolution.BOOKED)
    return in_words(kept.moved)


async def _book(
    database: Database, drift: drifts.DriftRow, moved: str, book: Callable[[], Awaitable[int]], *, is_live: bool
) -> str:
    """Carry out what was decided, at once: a running engine would do it as well. Returns what was done, in words."""
    while await book():
        pass
    async with database.transaction() as tx:
        left = await drifts.find(tx, drift.drift_id)
        if not is_live and left is not None and left.resolution == Resolution.BOOKED.value:
            await drifts.close(tx, drift.drift_id)
    return f"the ledger moved {drift.sku} as {drift.channel} did: {moved}"


async def _undecided(tx: Transaction, drift_id: UUID) -> tuple[drifts.DriftRow, Listing, tuple[Location, int]]:
    """The drift, its listing (both locked), and where the listing's units lie and how many are in a pack."""
    seen = await drifts.find(tx, drift_id)
    if seen is None:
        raise UnknownDriftError(f"no drift {drift_id}; those there are: oneshelf drift list --all")
    locked = await publishing.lock(tx, [(seen.channel, seen.channel_sku)], lease=None)
    drift = await drifts.find(tx, drift_id, locked=True)
    if drift is None or drift.is_decided or not locked:
        word = drift.resolution if drift and drift.resolution else "over"
        raise CannotResolveError(f"drift {drift_id} is {word} already; open ones: oneshelf drift list")
    [listing] = locked
    if listing.phase not in {Phase.IDLE, Phase.PARKED}:
        raise CannotResolveError(f"{listing.channel_sku} is being written; ask again when its write has ended")
    place = await listings.place_of(tx, listing.key)
    return drift, listing, place


async def _end(tx: Transaction, drift: drifts.DriftRow, listing: Listing, resolution: Resolution) -> None:
    at = await now(tx)
    # What was adopted is not written before it is planned: until then the desired figure is the old one.
    after = listing if resolution is Resolution.ADOPTED else _published_again(listing, at)
    await publishing.save(tx, [after], keeps_lease=True)
    await touched.mark(tx, [listing.sku])
    # Which states a channel keeps to itself is the connector's word, and no connector is open here.
    gathered = await evidence.gather(tx, [drift], silent_states={})
    kept = gathered[drift.drift_id]
    await drifts.decide(tx, {drift.drift_id: drifts.Decision(attribute(kept), kept)}, resolution)
