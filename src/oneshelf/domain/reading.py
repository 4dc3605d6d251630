"""What a reading of a channel's figure means for a listing: proof, patience, a suspicion, or a drift."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import assert_never

from oneshelf.domain.drift import Cause
from oneshelf.domain.listing import Event, Listing, Operation, Phase, Suspicion, Terms, after
from oneshelf.domain.settling import (
    Settlement,
    is_over,
    is_strict,
    may_be_older,
    moved_since,
    settle,
    was_written_and_moved,
)
from oneshelf.errors import InvariantError


class Verdict(StrEnum):
    """What a reading tells."""

    MATCH = "match"  # it shows what we believe
    SEEN = "seen"  # the first reading ever: the orders from before it have to be known before it can anchor
    ANCHORED = "anchored"  # the first reading since then: it is the anchor of the belief
    PENDING = "pending"  # it will settle a write once every order is known
    NOT_YET = "not yet"  # it still shows the figure from before the write, or orders came in between
    NOT_WRITTEN = "not written"  # a write without an answer did not happen
    LOST_WRITE = "lost write"  # a write that was accepted does not show, and its deadline has passed
    CROSSED_WRITE = "crossed write"  # a blind write and an order crossed: it was overwritten at the channel
    UNEXPLAINED = "unexplained"  # facts do not explain it, or not yet


@dataclass(frozen=True, slots=True, kw_only=True)
class DriftFound:
    """A figure that nothing in flight explains."""

    listing: Listing
    cause: Cause
    expected_units: int
    observed_units: int


@dataclass(frozen=True, slots=True)
class Read:
    """A listing after a reading, and what was found."""

    listing: Listing
    verdict: Verdict
    drift: DriftFound | None = None


def judge(listing: Listing, units: int, *, net_before: int, asked_at: datetime, now: datetime, terms: Terms) -> Verdict:
    """What a reading of `units` tells. `net_before`: the listing's `net_units` just before the channel was asked.

    Orders that were posted while the channel was being asked may or may not be in the reading.
    """
    if listing.belief is None:
        return Verdict.ANCHORED if listing.may_anchor else Verdict.SEEN
    expected = _expected(listing)
    if is_strict(listing):
        was_over = is_over(listing, terms, asked_at=asked_at)
        if may_be_older(listing, terms, asked_at=asked_at) or was_over is not is_over(listing, terms, asked_at=now):
            return Verdict.NOT_YET
        may_show = units == expected or _has_crossed(listing, units, terms)
        return Verdict.PENDING if may_show or was_over else Verdict.NOT_YET
    if units == expected:
        return Verdict.MATCH
    if _lies_between(units, expected, expected + listing.net_units - net_before):
        return Verdict.NOT_YET
    operation = listing.operation
    if operation is None:
        if not _has_crossed(listing, units, terms):
            return Verdict.UNEXPLAINED
        # A rise is corrected at once. A fall may always be a sale that we cannot see yet; or the reading is from before
        # the cancellation that it lacks, and then the unit is on sale.
        if units > expected:
            return Verdict.CROSSED_WRITE
        return Verdict.NOT_YET if may_be_older(listing, terms, asked_at=asked_at) else Verdict.UNEXPLAINED
    return _judge_in_flight(listing, operation, units, now=now, terms=terms)


def _judge_in_flight(listing: Listing, operation: Operation, units: int, *, now: datetime, terms: Terms) -> Verdict:
    """What a reading that is not the expected one tells while a write has yet to show."""
    if terms.is_applied_when_answered:
        return Verdict.UNEXPLAINED
    old = operation.expected - (listing.net_units - operation.net)
    has_crossed = _has_crossed(listing, units, terms)
    if has_crossed and units != old:
        return Verdict.CROSSED_WRITE if units > _expected(listing) else Verdict.UNEXPLAINED
    if listing.sent_at is None or now < listing.sent_at + timedelta(seconds=terms.apply_s):
        return Verdict.NOT_YET
    if has_crossed:
        return Verdict.CROSSED_WRITE
    # What orders have done since may have been in the figure already when the write was decided.
    if not _lies_between(units, operation.expected, old):
        return Verdict.UNEXPLAINED
    return Verdict.LOST_WRITE


def _has_crossed(listing: Listing, units: int, terms: Terms) -> bool:
    """Whether a blind write and the channel's own count of orders crossed: some of them were overwritten.

    The channel then shows a figure between the one that we wrote and the one that orders have made of it since.
    """
    operation = listing.operation
    written = operation.units if operation else listing.base_units
    if terms.is_applied_when_answered or written is None:
        return False
    return units != _expected(listing) and _lies_between(units, written, _expected(listing))


def read(  # noqa: PLR0913  # what was read, and when
    listing: Listing,
    units: int,
    *,
    net_before: int,
    now: datetime,
    terms: Terms,
    turnover_before: int | None = None,
    asked_at: datetime | None = None,
) -> Read:
    """The listing after a reading of `units`, see `judge`. Only the verdict LOST_WRITE finds a drift at once.

    `turnover_before`: its `turnover_units` just before the channel was asked; default: no order was cancelled since.
    `asked_at`: when that was; default: now.
    """
    turnover = _turnover(listing, net_before) if turnover_before is None else turnover_before
    verdict = judge(listing, units, net_before=net_before, asked_at=asked_at or now, now=now, terms=terms)
    drift = None
    match verdict:
        case Verdict.MATCH:
            listing = _verified(listing, units, now=now)
        case Verdict.SEEN:
            first = Suspicion(units=units, belief=units, net=net_before, turnover=turnover, seen_at=now)
            listing = replace(listing, suspicion=listing.suspicion or first, look_at=None)
        case Verdict.ANCHORED:
            # An order posted while the channel was asked may be in the reading already: rather too low than too high.
            listing = replace(listing, base_units=units, base_net=net_before, look_at=None)
        case Verdict.NOT_YET:
            listing = replace(listing, look_at=now + timedelta(seconds=terms.look_again_s))
        case Verdict.LOST_WRITE:
            adopted = _adopt(listing, units, net=listing.net_units)
            listing, drift = adopted, _lost_write(listing, adopted, units)
        case Verdict.CROSSED_WRITE:
            listing = rewrite(_adopt(listing, units, net=listing.net_units), now=now)
        case Verdict.UNEXPLAINED | Verdict.PENDING:
            listing = _suspect(listing, units, net_before, turnover, now=now, terms=terms)
        case Verdict.NOT_WRITTEN:
            raise InvariantError(f"{listing.channel_sku}: settled by one reading")
        case _:
            assert_never(verdict)
    return Read(listing, verdict, drift)


def weigh(
    listing: Listing, *, recently_sent: Collection[int], now: datetime, terms: Terms, moved_units: int = 0
) -> Read:
    """Judge a suspicion once all orders that could explain it have been posted.

    The reading was taken on a belief from which orders were still missing. Each that was posted since, and each
    cancellation, may have been in it or not: a figure that some of them make is explained.
    `recently_sent`: figures of earlier writes, of which a queueing channel may apply one late. `moved_units`: so many
    more lay in other stock states when it was read than are accounted for.
    """
    suspicion = listing.suspicion
    if suspicion is None:
        raise InvariantError(f"{listing.channel_sku}: nothing to weigh")
    if listing.belief is None:
        return Read(replace(listing, suspicion=None, may_anchor=True, look_at=now), Verdict.SEEN)
    is_moved = was_written_and_moved(listing, suspicion, terms, moved_units=moved_units)
    if is_strict(listing) and not is_moved and (settled := _settled(listing, suspicion, now=now, terms=terms)):
        return settled
    belief_now = _expected(listing)
    taken, given_back = moved_since(listing, suspicion)
    if suspicion.belief - taken <= suspicion.units <= suspicion.belief + given_back:
        return Read(replace(listing, suspicion=None, look_at=now), Verdict.MATCH)
    operation = listing.operation
    # What was answered as applied can be sold, whatever an old reading shows.
    is_certain = terms.is_applied_when_answered and listing.phase is Phase.ACCEPTED
    adopted = _adopt(listing, suspicion.units, net=suspicion.net)
    # Orders posted since then may have been in the reading. What is taken for the figure must not be less than what can
    # still be sold: another listing would be given the difference.
    highest = _adopt(listing, suspicion.units, net=max(suspicion.net, listing.net_units))
    if _has_crossed(listing, suspicion.units, terms):
        return Read(rewrite(highest, now=now), Verdict.CROSSED_WRITE)
    if operation is not None and not is_moved:
        unwritten = operation.expected - operation.units
        # Such a fall is held back below.
        may_be_lost = not (is_certain and suspicion.units < belief_now)
        if may_be_lost and _lies_between(
            suspicion.units, suspicion.belief + unwritten, belief_now + unwritten, operation.expected
        ):
            return Read(adopted, Verdict.LOST_WRITE, _lost_write(listing, adopted, suspicion.units))
    is_unproved = operation is not None and not is_certain
    risen = replace(highest, suspicion=suspicion)
    return _unexplained(risen, belief_now, recently_sent, is_unproved=is_unproved, now=now, terms=terms)


def _unexplained(  # what was seen, and what may have made it
    listing: Listing,
    belief_now: int,
    recently_sent: Collection[int],
    *,
    is_unproved: bool,
    now: datetime,
    terms: Terms,
) -> Read:
    """What becomes of a listing that was taken for a suspicion which neither facts nor a write explain.

    `is_unproved`: a write that the channel does not answer for was under way when it was read. Sales that we had not
    heard of may lie before it, and their cancellations after it: the figure rises, and nobody has edited it.
    """
    suspicion = listing.suspicion
    if suspicion is None:
        raise InvariantError(f"{listing.channel_sku}: nothing to explain")
    high, low = max(suspicion.belief, belief_now), min(suspicion.belief, belief_now)
    # A reading may be old: units in suspense are offered again only when one that is newer has not found them on sale.
    second_look_at = now + timedelta(seconds=terms.stale_s)
    if suspicion.units > high:
        # What was held back has come to light: an older reading did not show it.
        found_units = min(listing.suspense_units, suspicion.units - high)
        risen = replace(
            listing,
            suspicion=None,
            suspense_units=listing.suspense_units - found_units,
            look_at=second_look_at if listing.suspense_units else None,
        )
        if suspicion.units - high == found_units:
            return Read(risen, Verdict.MATCH)
        cause = Cause.UNKNOWN if is_unproved else Cause.FOREIGN_EDIT
        if not terms.is_applied_when_answered and suspicion.units in recently_sent:
            cause = Cause.LATE_WRITE
        drift = DriftFound(listing=risen, cause=cause, expected_units=high, observed_units=suspicion.units)
        return Read(risen, Verdict.UNEXPLAINED, drift)
    # The figure fell. Writing it up again would sell what an order that we cannot see has sold: hold the units back.
    held_units = listing.suspense_units + low - suspicion.units
    held = replace(listing, suspicion=None, suspense_units=held_units, look_at=second_look_at)
    drift = DriftFound(listing=held, cause=Cause.UNKNOWN, expected_units=low, observed_units=suspicion.units)
    return Read(held, Verdict.UNEXPLAINED, drift)


def _settled(listing: Listing, suspicion: Suspicion, *, now: datetime, terms: Terms) -> Read | None:
    """The listing after a reading that settles its write, or that has to be taken again; None: nothing explains it."""
    operation = listing.operation
    if operation is None:
        raise InvariantError(f"{listing.channel_sku}: no write to settle")
    match settle(listing, operation, suspicion, terms):
        case Settlement.AGAIN:
            again_at = now + timedelta(seconds=terms.look_again_s)
            return Read(replace(listing, suspicion=None, look_at=again_at), Verdict.NOT_YET)
        case Settlement.WRITTEN:
            # A reading of now closes what had drifted.
            return Read(replace(_verified(listing, suspicion.units, now=now), look_at=now), Verdict.MATCH)
        case Settlement.NOT_WRITTEN:
            before = _adopt(listing, operation.expected, net=operation.net)
            return Read(rewrite(before, now=now), Verdict.NOT_WRITTEN)
        case Settlement.LOST:
            anchored = _adopt(listing, suspicion.units, net=listing.net_units)
            # Whoever decides about the drift has it written again, and counts how often.
            anchored = replace(anchored, sent_version=listing.desired_version)
            return Read(anchored, Verdict.LOST_WRITE, _lost_write(listing, anchored, suspicion.units))
        case Settlement.ANCHORED:
            anchored = _adopt(listing, suspicion.units, net=listing.net_units)
            return Read(replace(rewrite(anchored, now=now), op_tries=0), Verdict.ANCHORED)
        case Settlement.NEITHER:
            return None


def _lost_write(listing: Listing, adopted: Listing, units: int) -> DriftFound:
    """The drift of a write that the channel accepted and did not apply: `adopted` is the listing after the reading."""
    return DriftFound(listing=adopted, cause=Cause.LOST_WRITE, expected_units=_expected(listing), observed_units=units)


def _turnover(listing: Listing, net_before: int) -> int:
    return listing.turnover_units - abs(listing.net_units - net_before)


def _lies_between(units: int, *ends: int) -> bool:
    return min(ends) <= units <= max(ends)


def end_suspense(listing: Listing) -> Listing:
    """No order came in time: the units are offered again."""
    return replace(listing, suspense_units=0)


def rewrite(listing: Listing, *, now: datetime) -> Listing:
    """Have the desired figure written again, whatever was sent before."""
    return replace(listing, sent_version=0, accepted_version=0, next_at=now)


def _adopt(listing: Listing, units: int, *, net: int) -> Listing:
    """Take a reading as the new anchor of the belief; what was in flight is over."""
    return replace(
        listing,
        phase=after(listing.phase, Event.MISSED),
        operation=None,
        suspicion=None,
        base_units=units,
        base_net=net,
        look_at=None,
    )


def _expected(listing: Listing) -> int:
    """What facts say the listing shows, a write in flight included."""
    operation = listing.operation
    if operation is not None:
        return operation.units - (listing.net_units - operation.net)
    belief = listing.belief
    if belief is None:
        raise InvariantError(f"{listing.channel_sku}: no belief before the first reading")
    return belief


def _verified(listing: Listing, units: int, *, now: datetime) -> Listing:
    operation = listing.operation
    # Of a write without an answer the proof is the answer; that of an earlier one is not.
    answered_at, sent_at = listing.accepted_at, listing.sent_at
    is_answered = answered_at is not None and (sent_at is None or answered_at >= sent_at)
    return replace(
        listing,
        phase=after(listing.phase, Event.VERIFIED),
        base_units=operation.units if operation else listing.base_units,
        base_net=operation.net if operation else listing.base_net,
        operation=None,
        op_tries=0,
        suspicion=None,
        accepted_version=listing.sent_version,
        accepted_at=answered_at if is_answered else now,
        verified_units=units,
        verified_version=listing.sent_version,
        verified_at=now,
        look_at=None,
    )


def _suspect(listing: Listing, units: int, net_before: int, turnover: int, *, now: datetime, terms: Terms) -> Listing:
    belief_before = _expected(listing) + listing.net_units - net_before
    suspicion = listing.suspicion or Suspicion(
        units=units, belief=belief_before, net=net_before, turnover=turnover, seen_at=now
    )
    look_at = now + timedelta(seconds=terms.look_again_s)
    if listing.suspense_units and listing.look_at is not None:
        look_at = max(look_at, listing.look_at)
    return replace(listing, suspicion=suspicion, look_at=look_at)
