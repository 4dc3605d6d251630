"""Which drifts are of a channel that is the source of truth of what drifts: its figure is a fact, and not an error."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from oneshelf.domain.command import Adopt, CommandKey, CountedFigure
from oneshelf.domain.drift import Cause
from oneshelf.domain.identity import Channel, Location, Sku
from oneshelf.domain.listing import Listing
from oneshelf.domain.truth import TruthRule
from oneshelf.errors import CannotResolveError
from oneshelf.flow.channel import OpenChannel
from oneshelf.storage import adoptions, catalog, drifts, truth_rules
from oneshelf.storage.database import Transaction
from oneshelf.storage.listings import ListingKey

# What becomes of our own writes.
_OWN = {Cause.LOST_WRITE.value, Cause.LATE_WRITE.value}


async def led(
    tx: Transaction, rows: Sequence[drifts.DriftRow], channels: Mapping[Channel, OpenChannel]
) -> list[tuple[drifts.DriftRow, TruthRule]]:
    """Those of them, with the rule that says so. What the ledger has begun to take is among them, whatever is left.

    Where a write may be accepted and never shown, that it does not show says nothing of what is there.
    """
    wanted = [drift for drift in rows if drift.stray_units or drift.adopted_units is not None]
    if not wanted:
        return []
    places = {row.channel: row.location for row in await catalog.channels(tx)}
    found = []
    for drift in wanted:
        rule = await truth_rules.rule_of(tx, Sku(drift.sku), CountedFigure.AVAILABLE, places[drift.channel])
        is_larger = abs(drift.stray_units) > rule.tolerance_units or drift.adopted_units is not None
        is_edit = drift.cause not in _OWN or channels[drift.channel].capability.is_applied_when_answered
        if rule.leads(drift.channel) and is_larger and is_edit:
            found.append((drift, rule))
    return found


async def unsettled(tx: Transaction, channel: Channel, listings: Sequence[Listing]) -> set[ListingKey]:
    """Those of these listings of a channel that compares which nothing may be written to yet, as the ledger follows.

    What they are believed to show is from a reading that may be old, and so may be the next one: the ledger has to know
    what a write started from.
    """
    strayed = [listing for listing in listings if listing.strayed_at is not None]
    if not strayed:
        return set()
    places = {row.channel: row.location for row in await catalog.channels(tx)}
    rules = {
        sku: await truth_rules.rule_of(tx, sku, CountedFigure.AVAILABLE, places[channel])
        for sku in sorted({listing.sku for listing in strayed})
    }
    return {listing.key for listing in strayed if rules[listing.sku].leads(channel)}


async def begin(
    tx: Transaction, drift: drifts.DriftRow, listing: Listing, link: tuple[Location, int]
) -> tuple[Adopt, int]:
    """What the ledger is to take, and how many units of the listing these are: all that it has strayed by.

    What was begun is taken as it was, whatever has strayed since: whoever died in the middle takes the units once.
    """
    location, pack_units = link
    if listing.stray_units == 0 and drift.adopted_units is None:
        raise CannotResolveError(
            f"orders have explained {listing.channel_sku} meanwhile: nothing is left to adopt, and the drift closes"
        )
    units = await adoptions.begin(tx, drift.drift_id, listing.stray_units)
    return Adopt(
        key=CommandKey(scope="drift", key=f"{drift.drift_id}:{units}"),
        sku=listing.sku,
        location=location,
        delta_units=units * pack_units,
        reason=f"drift at {drift.channel}: the channel is right",
    ), units
