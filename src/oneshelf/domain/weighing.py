"""What a reading that facts did not explain turns out to mean, once every order is known that it may have in it."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from datetime import datetime, timedelta

from oneshelf.domain import straying
from oneshelf.domain.drift import Cause
from oneshelf.domain.listing import Doubt, Listing, Operation, Phase, Suspicion, Terms
from oneshelf.domain.reading import (
    DriftFound,
    Read,
    Verdict,
    adopt,
    expected_units,
    has_crossed,
    lies_between,
    lost_write,
    rewrite,
    verified,
    with_stray,
)
from oneshelf.domain.settling import Settlement, is_strict, moved_since, settle, was_written_and_moved
from oneshelf.errors import InvariantError


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
        # No order of it was ever heard of: there is none that this reading may have or not.
        if listing.turnover_at is None and moved_since(listing, suspicion) == (0, 0):
            return Read(adopt(listing, suspicion.units, net=suspicion.net), Verdict.ANCHORED)
        return Read(replace(listing, suspicion=None, may_anchor=True, look_at=now), Verdict.SEEN)
    # What was answered as applied can be sold, whatever an old reading shows.
    is_certain = terms.is_applied_when_answered and listing.phase is Phase.ACCEPTED
    if (listing.operation is None or is_certain) and (explained := _in_doubt(listing, suspicion, now=now)):
        return explained
    is_moved = was_written_and_moved(listing, suspicion, terms, moved_units=moved_units)
    if is_strict(listing) and not is_moved and (settled := _settled(listing, suspicion, now=now, terms=terms)):
        return settled
    belief_now = expected_units(listing)
    taken, given_back = moved_since(listing, suspicion)
    if suspicion.belief - taken <= suspicion.units <= suspicion.belief + given_back:
        return Read(replace(listing, suspicion=None, look_at=now), Verdict.MATCH)
    operation = listing.operation
    adopted = adopt(listing, suspicion.units, net=suspicion.net)
    # Orders posted since then may have been in the reading. What is taken for the figure must not be less than what can
    # still be sold: another listing would be given the difference.
    highest = adopt(listing, suspicion.units, net=max(suspicion.net, listing.net_units))
    if has_crossed(listing, suspicion.units, terms):
        return Read(rewrite(highest, now=now), Verdict.CROSSED_WRITE)
    if operation is not None and not is_moved:
        unwritten = operation.expected - operation.units
        # Such a fall is held back below.
        may_be_lost = not (is_certain and suspicion.units < belief_now)
        if may_be_lost and lies_between(
            suspicion.units, suspicion.belief + unwritten, belief_now + unwritten, operation.expected
        ):
            adopted = with_stray(listing, adopted, terms, now=now)
            return Read(adopted, Verdict.LOST_WRITE, lost_write(listing, adopted, suspicion.units))
    is_unproved = operation is not None and not is_certain
    risen = replace(highest, suspicion=suspicion)
    done = _unexplained(risen, belief_now, recently_sent, is_unproved=is_unproved, now=now, terms=terms)
    after = with_stray(listing, done.listing, terms, now=now, is_written=is_moved)
    return replace(done, listing=after, drift=done.drift and replace(done.drift, listing=after))


def _in_doubt(listing: Listing, suspicion: Suspicion, *, now: datetime) -> Read | None:
    """What a reading tells of a belief in doubt. None: no orders explain it, whichever of them the anchor had in it.

    Where none was posted since it was read, it is an anchor beyond doubt; else the doubt is of what was posted since.
    """
    if listing.doubt is None:
        return None
    taken, given_back = moved_since(listing, suspicion)
    known = straying.begun(listing) if taken == given_back == 0 else listing
    if suspicion.belief - taken <= suspicion.units <= suspicion.belief + given_back:
        return Read(replace(known, suspicion=None, look_at=now), Verdict.MATCH)
    taken_in_all, given_back_in_all = moved_since(listing, listing.doubt)
    lowest = suspicion.belief - taken - given_back_in_all
    if not lowest <= suspicion.units <= suspicion.belief + given_back + taken_in_all:
        return None
    left = known.doubt and Doubt(net=suspicion.net, turnover=suspicion.turnover)
    anchored = adopt(known, suspicion.units, net=max(suspicion.net, listing.net_units))
    return Read(rewrite(replace(anchored, doubt=left, look_at=now), now=now), Verdict.ANCHORED)


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
            return Read(replace(verified(listing, suspicion.units, now=now), look_at=now), Verdict.MATCH)
        case Settlement.NOT_WRITTEN:
            before = adopt(listing, operation.expected, net=operation.net)
            return Read(rewrite(before, now=now), Verdict.NOT_WRITTEN)
        case Settlement.LOST:
            anchored = adopt(listing, suspicion.units, net=listing.net_units)
            # Whoever decides about the drift has it written again, and counts how often.
            anchored = with_stray(listing, replace(anchored, sent_version=listing.desired_version), terms, now=now)
            return Read(anchored, Verdict.LOST_WRITE, lost_write(listing, anchored, suspicion.units))
        case Settlement.ANCHORED:
            anchored = adopt(listing, suspicion.units, net=listing.net_units)
            return Read(replace(rewrite(anchored, now=now), op_tries=0), Verdict.ANCHORED)
        case Settlement.NEITHER:
            return _unwritten_in_doubt(listing, operation, suspicion, now=now, terms=terms)


def _unwritten_in_doubt(
    listing: Listing, operation: Operation, suspicion: Suspicion, *, now: datetime, terms: Terms
) -> Read | None:
    """A compared write from a belief that the channel did not show was not written. None: doubt does not explain it."""
    if not terms.is_applied_when_answered:
        return None
    before = adopt(listing, operation.expected, net=operation.net)
    seen = replace(suspicion, belief=operation.expected - (suspicion.net - operation.net))
    explained = _in_doubt(before, seen, now=now)
    return explained and replace(explained, verdict=Verdict.NOT_WRITTEN, listing=rewrite(explained.listing, now=now))
