"""How far a listing has strayed: by how many units readings have moved what is believed of it, beyond all facts.

Facts (orders, and writes of ours that are applied) move the belief, and so do readings that these do not explain. What
readings have moved adds up to what somebody has typed there, less what was sold there and we have not heard of:

    stray = typed - sold unheard

That holds across any number of edits, orders that come late, old readings, and compared writes: such a write is
applied only where the channel shows the belief, so it moves both by the same. Of single differences nobody can tell
which edit or order made them; the sum is right as soon as the channel shows the belief again and every order is known.
So the sum is what a ledger takes that follows a channel, and what it has taken is taken off it: what was taken too
early comes back as a stray of the opposite sign.

What nobody can tell: a figure that is typed while a write has no answer. It starts from the figure of before the write
or from the written one, and what is typed may even be one of these two.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from oneshelf.domain.listing import Listing, Terms


def strayed(before: Listing, after: Listing, *, by_facts: int, now: datetime) -> Listing:
    """`after` a reading that facts do not explain, with the sum. `by_facts`: what they say it showed."""
    if after.belief is None:
        return after
    moved = (after.belief - by_facts) + (after.suspense_units - before.suspense_units)
    return replace(after, risen_units=before.risen_units + moved, strayed_at=now)


def proved(listing: Listing, *, asked_at: datetime, terms: Terms) -> Listing:
    """The channel was asked then, and shows what is believed: no old reading has moved that."""
    at = listing.strayed_at
    if at is None or asked_at < at + timedelta(seconds=terms.stale_s):
        return listing
    return replace(listing, strayed_at=None)


def begun(listing: Listing) -> Listing:
    """A reading of which every order is known is the anchor, for the first time: it strays from here on.

    What was typed before is in that figure.
    """
    return replace(listing, doubt=None, risen_units=listing.suspense_units, strayed_at=None)


def may_be_taken(listing: Listing) -> bool:
    """Whether a newer reading has shown the same, and none has shown anything else since; and no order is in doubt."""
    return listing.strayed_at is None and listing.suspicion is None and listing.doubt is None


def looked_at_again(listing: Listing, *, now: datetime, terms: Terms) -> Listing:
    """The same, to be read again by when no reading can be from before it strayed."""
    if listing.strayed_at is None:
        return listing
    at = listing.strayed_at + timedelta(seconds=terms.stale_s)
    return replace(listing, look_at=max(listing.look_at, at) if listing.look_at else max(now, at))


def taken(listing: Listing, units: int) -> Listing:
    """The ledger has taken so many of the units that the listing had strayed by. What fell since is held back still."""
    left = listing.stray_units - units
    held = min(listing.suspense_units, max(0, -left))
    return replace(listing, risen_units=left + held, suspense_units=held)


def moved(listing: Listing, units: int) -> Listing:
    """So many of the units that are missing lie in another state, and the ledger has moved them too; below zero: back.

    Of a write that seems lost nothing is held back.
    """
    held = min(listing.suspense_units, max(0, units))
    return replace(
        listing,
        suspense_units=listing.suspense_units - held,
        risen_units=listing.risen_units + units - held,
    )


def forgotten(listing: Listing) -> Listing:
    """What it strayed by is nobody's: no order came in time, and the desired figure is written over it."""
    return replace(listing, suspense_units=0, risen_units=0, strayed_at=None)
