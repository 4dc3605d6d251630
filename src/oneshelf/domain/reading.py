"""What a reading of a channel's figure means for a listing: proof, patience, a suspicion, or a drift."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import assert_never

from oneshelf.domain import straying
from oneshelf.domain.drift import Cause
from oneshelf.domain.listing import Doubt, Event, Listing, Operation, Phase, Suspicion, Terms, after
from oneshelf.domain.settling import (
    is_over,
    is_strict,
    may_be_older,
)
from oneshelf.errors import InvariantError


class Verdict(StrEnum):
    """What a reading tells."""

    MATCH = "match"  # it shows what we believe
    SEEN = "seen"  # the first reading ever, or one of a belief in doubt: the orders from before it have to be known
    ANCHORED = "anchored"  # it is the anchor of the belief, and nothing has drifted
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
    expected = expected_units(listing)
    if listing.doubt is not None and listing.operation is None:
        return Verdict.NOT_YET if may_be_older(listing, terms, asked_at=asked_at) else Verdict.SEEN
    if is_strict(listing):
        was_over = is_over(listing, terms, asked_at=asked_at)
        if may_be_older(listing, terms, asked_at=asked_at) or was_over is not is_over(listing, terms, asked_at=now):
            return Verdict.NOT_YET
        may_show = units == expected or has_crossed(listing, units, terms)
        return Verdict.PENDING if may_show or was_over else Verdict.NOT_YET
    if units == expected:
        return Verdict.MATCH
    if lies_between(units, expected, expected + listing.net_units - net_before):
        return Verdict.NOT_YET
    operation = listing.operation
    if operation is None:
        if not has_crossed(listing, units, terms):
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
    is_crossed = has_crossed(listing, units, terms)
    if is_crossed and units != old:
        return Verdict.CROSSED_WRITE if units > expected_units(listing) else Verdict.UNEXPLAINED
    if listing.sent_at is None or now < listing.sent_at + timedelta(seconds=terms.apply_s):
        return Verdict.NOT_YET
    if is_crossed:
        return Verdict.CROSSED_WRITE
    # What orders have done since may have been in the figure already when the write was decided.
    if not lies_between(units, operation.expected, old):
        return Verdict.UNEXPLAINED
    return Verdict.LOST_WRITE


def has_crossed(listing: Listing, units: int, terms: Terms) -> bool:
    """Whether a blind write and the channel's own count of orders crossed: some of them were overwritten.

    The channel then shows a figure between the one that we wrote and the one that orders have made of it since.
    """
    operation = listing.operation
    written = operation.units if operation else listing.base_units
    if terms.is_applied_when_answered or written is None:
        return False
    return units != expected_units(listing) and lies_between(units, written, expected_units(listing))


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
            listing = straying.proved(verified(listing, units, now=now), asked_at=asked_at or now, terms=terms)
        case Verdict.SEEN:
            believed = units if listing.belief is None else listing.belief + listing.net_units - net_before
            first = Suspicion(units=units, belief=believed, net=net_before, turnover=turnover, seen_at=now)
            listing = replace(listing, suspicion=listing.suspicion or first, look_at=None)
        case Verdict.ANCHORED:
            # An order posted while the channel was asked may be in the reading already: rather too low than too high.
            doubt = Doubt(net=net_before, turnover=turnover)
            listing = replace(listing, base_units=units, base_net=net_before, doubt=doubt, look_at=now)
        case Verdict.NOT_YET:
            listing = replace(listing, look_at=now + timedelta(seconds=terms.look_again_s))
        case Verdict.LOST_WRITE:
            adopted = with_stray(listing, adopt(listing, units, net=listing.net_units), terms, now=now)
            listing, drift = adopted, lost_write(listing, adopted, units)
        case Verdict.CROSSED_WRITE:
            listing = rewrite(adopt(listing, units, net=listing.net_units), now=now)
        case Verdict.UNEXPLAINED | Verdict.PENDING:
            listing = _suspect(listing, units, net_before, turnover, now=now, terms=terms)
        case Verdict.NOT_WRITTEN:
            raise InvariantError(f"{listing.channel_sku}: settled by one reading")
        case _:
            assert_never(verdict)
    return Read(listing, verdict, drift)


def with_stray(listing: Listing, after: Listing, terms: Terms, *, now: datetime, is_written: bool = False) -> Listing:
    """The listing `after` a reading was taken for its figure, with what it strayed by. `is_written`: the write shows.

    Of a compared write without an answer nobody knows whether the figure started from what it wrote: rather too little
    is taken for risen than too much.
    """
    operation, by_facts = listing.operation, expected_units(listing)
    is_open = listing.phase is not Phase.ACCEPTED and not is_written
    if operation is not None and terms.is_applied_when_answered and is_open:
        by_facts = max(by_facts, operation.expected - (listing.net_units - operation.net))
    return straying.strayed(listing, after, by_facts=by_facts, now=now)


def lost_write(listing: Listing, adopted: Listing, units: int) -> DriftFound:
    """The drift of a write that the channel accepted and did not apply: `adopted` is the listing after the reading."""
    return DriftFound(
        listing=adopted, cause=Cause.LOST_WRITE, expected_units=expected_units(listing), observed_units=units
    )


def _turnover(listing: Listing, net_before: int) -> int:
    return listing.turnover_units - abs(listing.net_units - net_before)


def lies_between(units: int, *ends: int) -> bool:
    return min(ends) <= units <= max(ends)


def end_suspense(listing: Listing) -> Listing:
    """No order came in time: the units are offered again."""
    return straying.forgotten(listing)


def rewrite(listing: Listing, *, now: datetime) -> Listing:
    """Have the desired figure written again, whatever was sent before."""
    return replace(listing, sent_version=0, accepted_version=0, next_at=now)


def adopt(listing: Listing, units: int, *, net: int) -> Listing:
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


def expected_units(listing: Listing) -> int:
    """What facts say the listing shows, a write in flight included."""
    operation = listing.operation
    if operation is not None:
        return operation.units - (listing.net_units - operation.net)
    belief = listing.belief
    if belief is None:
        raise InvariantError(f"{listing.channel_sku}: no belief before the first reading")
    return belief


def verified(listing: Listing, units: int, *, now: datetime) -> Listing:
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
        look_at=now if listing.doubt else None,
    )


def _suspect(listing: Listing, units: int, net_before: int, turnover: int, *, now: datetime, terms: Terms) -> Listing:
    belief_before = expected_units(listing) + listing.net_units - net_before
    suspicion = listing.suspicion or Suspicion(
        units=units, belief=belief_before, net=net_before, turnover=turnover, seen_at=now
    )
    look_at = now + timedelta(seconds=terms.look_again_s)
    if listing.suspense_units and listing.look_at is not None:
        look_at = max(look_at, listing.look_at)
    return replace(listing, suspicion=suspicion, look_at=look_at)
