"""Move stock: the only writer of the ledger.

Reads: new facts (order snapshots), commands, holds that are past their time, drifts whose units lie in another state.
Writes: commands, movements, balances, reservations, transfers, shipments, orders and their lines, what orders took off
each listing, what a listing held back for such a drift; marks the SKUs whose listings must be planned again.
Next: plan.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import Enum
from typing import get_args
from uuid import UUID

import msgspec

from oneshelf.domain import straying
from oneshelf.domain.bundle import Bundles
from oneshelf.domain.command import Command, CommandKey
from oneshelf.domain.fulfilment import Link, post_order
from oneshelf.domain.identity import Channel, ChannelSku, Location, Sku
from oneshelf.domain.ledger import Shelf
from oneshelf.domain.listing import Listing
from oneshelf.domain.order import OrderSnapshot, is_older, located, turnovers
from oneshelf.domain.outcome import AnsweredBefore, Done, KeyReused, Outcome, UnknownLocation, UnknownSku
from oneshelf.domain.posting import post_command
from oneshelf.domain.reach import UNDER_WAY, Reach, balances_of, reach_of
from oneshelf.domain.reservation import expire
from oneshelf.domain.state_change import States, book, in_words, moves_behind, units_of, with_moves
from oneshelf.errors import DatabaseRefusedError, DatabaseUnavailableError, MalformedError, RowExistsError
from oneshelf.storage import (
    bookings,
    catalog,
    commands,
    drifts,
    facts,
    listings,
    orders,
    publishing,
    shelves,
    stock_states,
    touched,
)
from oneshelf.storage.database import Database, Transaction
from oneshelf.telemetry import get_logger

BATCH = 500
TRIES_MAX = 5
# Commands that are decided before the database is given something to write; of a large batch a fifth of them.
SLICE = 32
# A client that asks again later than that is told that it was answered, and not what.
ANSWERS_KEPT_S = 7 * 86_400.0
FORGOTTEN_MAX = 5_000
# Channels stamp whole seconds, by clocks of their own.
CLOCKS_DIFFER_S = 5.0

log = get_logger(__name__)

_OUTCOMES: dict[str, type[Outcome]] = {kind.__name__: kind for kind in get_args(Outcome)}


@dataclass(frozen=True, slots=True)
class Answered:
    """The answer to a command. `was_replayed`: it was given before, and nothing was done again."""

    outcome: Outcome
    was_replayed: bool


class Keep(Enum):
    """What of the commands that are posted together is written."""

    EACH = "each one's answer, whatever it is"
    DONE = "what is done; the keys of the others stay free"
    ALL_OR_NONE = "nothing, if one of them is refused"
    NOTHING = "nothing: the answers say what would be"


class _TakenBackError(DatabaseRefusedError):
    """It was decided and is taken back, with all that was written of it."""

    def __init__(self, given: dict[CommandKey, commands.Answer], outcomes: dict[CommandKey, Outcome]) -> None:
        super().__init__("nothing of it was to be kept")
        self.given = given
        self.outcomes = outcomes


@dataclass(slots=True)
class _Batch:
    """What posting a batch of facts decided, beside the shelf."""

    saved: dict[orders.OrderKey, OrderSnapshot] = field(default_factory=dict)
    taken: dict[listings.ListingKey, listings.Taken] = field(default_factory=dict)
    posted: list[int] = field(default_factory=list)
    parked: dict[int, str] = field(default_factory=dict)


async def post_facts(database: Database, new_id: Callable[[], UUID]) -> int:
    """Post one batch of order snapshots, oldest first. Returns how many.

    Where the database refuses a batch, its snapshots are posted one by one and the culprit is parked.
    """
    try:
        async with database.transaction() as tx:
            return await _post_claimed(tx, new_id, await facts.claim_new(tx, limit=BATCH))
    except DatabaseRefusedError:
        done = 0
        while done < BATCH and await _post_or_park_one(database, new_id):
            done += 1
        return done


async def _post_or_park_one(database: Database, new_id: Callable[[], UUID]) -> int:
    claimed: list[facts.Fact] = []
    try:
        async with database.transaction() as tx:
            claimed = await facts.claim_new(tx, limit=1)
            await _post_claimed(tx, new_id, claimed)
    except DatabaseRefusedError as refusal:
        async with database.transaction() as tx:
            await facts.finish(tx, [], {fact.fact_id: str(refusal) for fact in claimed})
    return len(claimed)


async def _post_claimed(tx: Transaction, new_id: Callable[[], UUID], claimed: Sequence[facts.Fact]) -> int:
    if not claimed:
        return 0
    connected_at = {row.channel: row.created_at for row in await catalog.channels(tx)}
    stored = await orders.lock(tx, _seen(claimed))
    links = await listings.lock_links(tx, _listing_keys(claimed))
    counted = {(sku, link.location) for link in links.values() for sku, _ in link.counted}
    is_late = any(fact.snapshot.handed_over for fact in claimed)
    shelf, now = await shelves.open_for_orders(tx, new_id, stored, counted, asks_rulings=is_late)
    expire(shelf, now=now)
    batch = _decide(claimed, stored, links, shelf, connected_at)
    await shelves.write(tx, shelf, now=now)
    await orders.save(tx, batch.saved.values())
    await listings.add_net(tx, batch.taken)
    await touched.mark(tx, [links[key].sku for key, taken in batch.taken.items() if taken.units and key in links])
    await facts.finish(tx, batch.posted, batch.parked)
    return len(claimed)


async def post_commands(
    database: Database, new_id: Callable[[], UUID], wanted: Sequence[Command], *, keep: Keep = Keep.EACH
) -> list[Answered]:
    """Post commands in the order given; one answer for each. Asking again with a key gives the first answer.

    Where `keep` lets nothing be written, the keys stay free and the answers are what would have been.
    """
    if not wanted:
        return []
    firsts: dict[CommandKey, tuple[Command, bytes]] = {}
    for command in wanted:
        if command.key not in firsts:
            firsts[command.key] = (command, _fingerprint(command))
    bundles: Bundles = {}
    for _ in range(TRIES_MAX):
        # A key that another transaction has just taken is seen by the next try, with its answer; and a bundle is
        # locked by it as its components.
        with suppress(RowExistsError):
            try:
                given, outcomes = await _post_firsts(database, new_id, firsts, bundles, keep)
            except shelves.BundlesFoundError as found:
                bundles = found.bundles
                continue
            except _TakenBackError as decided:
                given, outcomes = decided.given, decided.outcomes
            return [_answer(command, *firsts[command.key], given.get(command.key), outcomes) for command in wanted]
    raise DatabaseUnavailableError(f"{TRIES_MAX} times another engine was faster with one of {len(firsts)} keys")


async def _post_firsts(
    database: Database,
    new_id: Callable[[], UUID],
    firsts: Mapping[CommandKey, tuple[Command, bytes]],
    bundles: Bundles,
    keep: Keep,
) -> tuple[dict[CommandKey, commands.Answer], dict[CommandKey, Outcome]]:
    """What was answered before, and what is answered now: decided and written in one transaction.

    Raises _TakenBackError, which rolls it back, with both.
    """
    given: dict[CommandKey, commands.Answer] = {}
    async with database.transaction(is_pipelined=True) as tx:
        reach = reach_of((command for command, _ in firsts.values()), bundles)
        if reach.claims:
            # A claim makes its order known; one that was answered before must not.
            given = await commands.told_given(await commands.ask_given(tx, firsts))
            reach = reach_of((command for key, (command, _) in firsts.items() if key not in given), bundles)
        opened = await shelves.open_for_commands(tx, new_id, firsts, reach)
        given |= opened.given
        expire(opened.shelf, now=opened.now)
        has_unknown = not (reach.skus <= opened.skus and reach.locations <= opened.locations)
        outcomes: dict[CommandKey, Outcome] = {}
        for key, (command, _) in firsts.items():
            if key not in given:
                unknown = _unknown(command, opened.skus, opened.locations) if has_unknown else None
                outcomes[key] = unknown or post_command(opened.shelf, command, now=opened.now)
                if len(outcomes) % max(SLICE, len(firsts) // 5) == 0:
                    await shelves.write_ahead(tx, opened.shelf, now=opened.now)
        if not _is_kept(keep, outcomes.values()):
            raise _TakenBackError(given, outcomes)
        await shelves.write(tx, opened.shelf, now=opened.now)
        kept = [key for key, one in outcomes.items() if keep is not Keep.DONE or isinstance(one, Done)]
        if kept:
            await commands.give(tx, [_given(key, firsts[key][1], outcomes[key]) for key in kept])
    return given, outcomes


def _is_kept(keep: Keep, outcomes: Iterable[Outcome]) -> bool:
    return keep is not Keep.NOTHING and (keep is not Keep.ALL_OR_NONE or all(isinstance(one, Done) for one in outcomes))


async def forget_answers(database: Database, *, kept_s: float = ANSWERS_KEPT_S) -> int:
    """Forget the figures of answers that are older than `kept_s`, one batch. Returns how many."""
    async with database.transaction() as tx:
        return await commands.forget(tx, kept_s=kept_s, limit=FORGOTTEN_MAX)


async def post_expiries(database: Database, new_id: Callable[[], UUID]) -> int:
    """Take back holds that are past their time. Returns how many parts of holds ended."""
    async with database.transaction() as tx:
        shelf, now = await shelves.open_for_expiries(tx, new_id, limit=BATCH)
        ended = expire(shelf, now=now)
        await shelves.write(tx, shelf, now=now)
    return ended


async def post_moves(database: Database, new_id: Callable[[], UUID]) -> int:
    """Move units in the ledger as somebody moved them at a channel, for one batch of drifts. Returns how many drifts.

    All of it is one transaction: whatever dies in the middle, or does the same beside it, the units move once.
    """
    async with database.transaction() as tx:
        wanted = await bookings.claim(tx, limit=BATCH)
        if not wanted:
            return 0
        keys = {drift.key for drift in wanted}
        links = await listings.lock_links(tx, keys)
        held = {listing.key: listing for listing in await publishing.lock(tx, keys, lease=None)}
        seen = await stock_states.read(tx, keys, locked=True)
        places = {(link.sku, link.location) for link in links.values() if not link.components}
        reach = Reach(balances=set(places), counted=set(places))
        opened = await shelves.open_for_commands(tx, new_id, [], reach)
        expire(opened.shelf, now=opened.now)
        moved = _Moved()
        for drift in wanted:
            if drift.key in links and drift.key in held and drift.key in seen:
                moved.book(opened.shelf, drift, held[drift.key], links[drift.key], seen[drift.key])
            else:
                moved.parts[drift.drift_id] = 0
        await shelves.write(tx, opened.shelf, now=opened.now)
        await publishing.save(tx, [_look_at(listing, opened.now) for listing in moved.changed], keeps_lease=True)
        await stock_states.account(tx, moved.accounted)
        await bookings.done(tx, moved.whole, moved.parts)
        await touched.mark(tx, [listing.sku for listing in moved.changed])
    for drift_id, words in moved.words.items():
        log.info("drift.booked", drift=str(drift_id), moved=words)
    return len(wanted)


@dataclass(slots=True)
class _Moved:
    """What was moved for drifts. `parts`: drift -> units that were moved where some are missing still."""

    changed: list[Listing] = field(default_factory=list)
    accounted: dict[listings.ListingKey, States] = field(default_factory=dict)
    whole: list[UUID] = field(default_factory=list)
    parts: dict[UUID, int] = field(default_factory=dict)
    words: dict[UUID, str] = field(default_factory=dict)

    def book(
        self, shelf: Shelf, drift: drifts.DriftRow, listing: Listing, link: Link, seen: stock_states.SeenStates
    ) -> None:
        missing = drift._replace(suspense_units=listing.suspense_units).unexplained_units
        moves = () if link.components else moves_behind(seen.accounted, seen.shown, fall=missing)
        source = f"drift {drift.drift_id}:{drift.booking_count}"
        done = book(shelf, (link.sku, link.location), moves, pack_units=link.pack_units, source=source)
        units = units_of(done)
        self.changed.append(straying.moved(listing, units))
        self.accounted[drift.key] = with_moves(seen.accounted, moves)
        if units == missing != 0:
            self.whole.append(drift.drift_id)
        else:
            self.parts[drift.drift_id] = units
        if done:
            self.words[drift.drift_id] = in_words(done)


def _look_at(listing: Listing, at: datetime) -> Listing:
    """A reading closes the drift, once the figure that is desired now is planned."""
    return replace(listing, look_at=listing.look_at or at)


def _answer(
    command: Command,
    first: Command,
    fingerprint: bytes,
    given: commands.Answer | None,
    outcomes: Mapping[CommandKey, Outcome],
) -> Answered:
    if given is None and first is command:
        return Answered(outcomes[command.key], was_replayed=False)
    if (given.fingerprint if given else fingerprint) != (fingerprint if first is command else _fingerprint(command)):
        return Answered(KeyReused(command.key.key), was_replayed=False)
    return Answered(_outcome(given) if given else outcomes[command.key], was_replayed=True)


def _unknown(
    command: Command, skus: Collection[Sku], locations: Collection[Location]
) -> UnknownSku | UnknownLocation | None:
    names = balances_of(command)
    for sku in (command.sku,) if isinstance(command, UNDER_WAY) else (sku for sku, _ in names):
        if sku not in skus:
            return UnknownSku(sku)
    for _, location in names:
        if location not in locations:
            return UnknownLocation(location)
    return None


def _seen(claimed: Iterable[facts.Fact]) -> dict[orders.OrderKey, orders.SeenOrder]:
    seen: dict[orders.OrderKey, orders.SeenOrder] = {}
    for fact in claimed:
        one = fact.snapshot
        seen.setdefault((one.channel, one.order_id), orders.SeenOrder(one, fact.received_at, fact.read_at))
    return seen


def _listing_keys(claimed: Iterable[facts.Fact]) -> set[listings.ListingKey]:
    return {(fact.snapshot.channel, line.channel_sku) for fact in claimed for line in fact.snapshot.lines}


def _decide(
    claimed: Sequence[facts.Fact],
    stored: Mapping[orders.OrderKey, OrderSnapshot | None],
    links: Mapping[listings.ListingKey, Link],
    shelf: Shelf,
    connected_at: Mapping[Channel, datetime],
) -> _Batch:
    batch = _Batch()
    for fact in claimed:
        snapshot = fact.snapshot
        key = (snapshot.channel, snapshot.order_id)
        current = batch.saved.get(key, stored[key])
        if is_older(snapshot, current):
            batch.posted.append(fact.fact_id)
            continue
        snapshot = located(snapshot, current)
        by_listing = {name: link for (channel, name), link in links.items() if channel == snapshot.channel}
        try:
            posted = post_order(shelf, snapshot, by_listing)
        except MalformedError as problem:
            batch.parked[fact.fact_id] = str(problem)
            continue
        batch.saved[key] = snapshot
        # Units sold before the channel was connected were off the listing when we first read it. In doubt the sale
        # counts: a belief that is too low is found and mended, one that is too high would sell units twice.
        connected = connected_at[snapshot.channel] - timedelta(seconds=CLOCKS_DIFFER_S)
        is_earlier_sale = current is None and snapshot.placed_at < connected
        turned = {} if is_earlier_sale else turnovers(snapshot, current)
        for channel_sku, change in posted.off_listing.items():
            if not is_earlier_sale:
                listing = (snapshot.channel, channel_sku)
                taken = batch.taken.get(listing, listings.Taken(0, 0))
                batch.taken[listing] = taken.plus(change, turned.get(channel_sku, 0))
        if posted.unlinked:
            batch.parked[fact.fact_id] = _unlinked_reason(snapshot.channel, posted.unlinked)
        else:
            batch.posted.append(fact.fact_id)
    return batch


def _unlinked_reason(channel: Channel, unlinked: Sequence[ChannelSku]) -> str:
    first = unlinked[0]
    return (
        f"no SKU is linked to {', '.join(unlinked)} of {channel}; the rest of the order is posted. "
        f"Way out: oneshelf listing link {channel} {first} SKU"
    )


def _fingerprint(command: Command) -> bytes:
    """What must be the same when a key is used again: the kind of command and every field."""
    return hashlib.sha256(type(command).__name__.encode() + msgspec.json.encode(command)).digest()


def _given(key: CommandKey, fingerprint: bytes, outcome: Outcome) -> commands.Answer:
    return commands.Answer(key, fingerprint, type(outcome).__name__, msgspec.json.encode(outcome))


def _outcome(given: commands.Answer) -> Outcome:
    if given.figures is None:
        return AnsweredBefore(given.key.key, given.kind)
    return msgspec.json.decode(given.figures, type=_OUTCOMES[given.kind])
