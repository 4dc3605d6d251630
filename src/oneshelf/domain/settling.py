"""How a write that nobody answered for is settled, or one that may have buried sales: by a reading of which every order
is known.

A reading is weighed once all orders that it can contain have been posted. A compared write is settled by it where
the figure fits one of the two outcomes and not the other. A blind one may have buried sales, so only the figure
itself can be the new anchor, and only where no order was posted since it was read.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from enum import StrEnum

from oneshelf.domain.listing import Doubt, Listing, Operation, Phase, Suspicion, Terms


class Settlement(StrEnum):
    """What a reading says of the write in flight."""

    WRITTEN = "written"  # it is applied, and is the anchor of the belief
    NOT_WRITTEN = "not written"  # it is not, and never will be
    LOST = "lost"  # it was accepted, and is not applied: what was read is the anchor
    ANCHORED = "anchored"  # whatever it did: what was read is the anchor
    AGAIN = "again"  # read once more
    NEITHER = "neither"  # neither outcome explains it


def is_strict(listing: Listing) -> bool:
    """Whether only a reading of which every order is known settles the write in flight."""
    return listing.operation is not None and (listing.phase is Phase.UNKNOWN or listing.operation.is_strict)


def is_over(listing: Listing, terms: Terms, *, asked_at: datetime) -> bool:
    """Whether a reading that was asked for then shows all that the write will ever do.

    The last copy of it may arrive after `copy_s`, wait in the channel's queue for `apply_s` from there, and show in a
    reading only `stale_s` after that.
    """
    if listing.sent_at is None:
        return False
    queued_s = 0.0 if terms.is_applied_when_answered else terms.apply_s
    return asked_at >= listing.sent_at + timedelta(seconds=terms.copy_s + queued_s + terms.stale_s)


def may_be_older(listing: Listing, terms: Terms, *, asked_at: datetime) -> bool:
    """Whether a reading that was asked for then may be from before the write, or from before the last order of it."""
    newest = max((at for at in (listing.sent_at, listing.turnover_at) if at is not None), default=None)
    return newest is not None and asked_at < newest + timedelta(seconds=terms.stale_s)


def settle(listing: Listing, operation: Operation, suspicion: Suspicion, terms: Terms) -> Settlement:
    """What the reading tells, now that every order it can contain is known.

    What a compared write was answered with is certain, so of those only the ones without an answer come here.
    """
    fewest, most = _net_when_read(listing, suspicion, operation)
    written = operation.units - most <= suspicion.units <= operation.units - fewest
    unwritten = operation.expected - most <= suspicion.units <= operation.expected - fewest
    if not terms.is_applied_when_answered:
        # What was sold before it was applied is buried, whether we know of it or not.
        written = written or operation.units - max(most, 0) <= suspicion.units <= operation.units
    is_clear = written != unwritten
    # Zero over nothing that is left to sell does no harm, whenever it is applied.
    # No reading becomes a suspicion that was asked for before that instant and seen after it, see `reading.judge`.
    is_known = is_over(listing, terms, asked_at=suspicion.seen_at) or suspicion.units == operation.units == 0
    if not is_known and not (written and is_clear):
        return Settlement.AGAIN
    if terms.is_applied_when_answered and is_clear:
        return Settlement.WRITTEN if written else Settlement.NOT_WRITTEN
    if fewest != most:
        return Settlement.AGAIN
    if unwritten and not written and listing.phase is Phase.ACCEPTED:
        return Settlement.LOST
    if written or unwritten:
        return Settlement.ANCHORED
    return Settlement.NEITHER


def was_written_and_moved(listing: Listing, suspicion: Suspicion, terms: Terms, *, moved_units: int) -> bool:
    """Whether a write shows that seems not to be applied: `moved_units` were moved between sale and other states since.

    Both outcomes fit the figure. That units appear in another state and come from nowhere is what fits less; and to
    write once more would sell them.
    """
    operation = listing.operation
    if not moved_units or operation is None or not is_strict(listing):
        return False
    as_if_on_sale = replace(suspicion, units=suspicion.units + moved_units)
    return (
        settle(listing, operation, suspicion, terms) is Settlement.NOT_WRITTEN
        and settle(listing, operation, as_if_on_sale, terms) is Settlement.WRITTEN
    )


def _net_when_read(listing: Listing, suspicion: Suspicion, operation: Operation) -> tuple[int, int]:
    """The fewest and the most units that orders had taken off the figure between the write and the reading."""
    taken, given_back = moved_since(listing, suspicion)
    then = suspicion.net - operation.net
    return then - given_back, then + taken


def moved_since(listing: Listing, then: Suspicion | Doubt) -> tuple[int, int]:
    """Units that orders posted since the reading was asked for have taken off the figure, and given back to it.

    Each order and each cancellation may have been in the reading or not.
    """
    change = listing.net_units - then.net
    turnover = max(listing.turnover_units - then.turnover, abs(change))
    return (turnover + change) // 2, (turnover - change) // 2
