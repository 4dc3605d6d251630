"""Say which SKU each of many listings sells.

Reads: listings and what they sell. Writes: their links; marks the SKUs whose listings must be planned again, and has
the orders that waited for a link posted.
Next: post, plan, reconcile.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from oneshelf.domain.identity import Channel, ChannelSku, Sku
from oneshelf.storage import exports, facts, listings, touched
from oneshelf.storage.database import Database


class Wanted(NamedTuple):
    """This listing sells this SKU, so many units of it at a time."""

    channel: Channel
    channel_sku: ChannelSku
    sku: Sku
    pack_units: int


async def link_listings(database: Database, wanted: Sequence[Wanted]) -> list[bool]:
    """Link these listings, all of them or none; for each whether that was news. One that is linked so stays as it is.

    The channels, SKUs and listings are known.
    """
    ordered = sorted(wanted)
    async with database.transaction() as tx:
        before = await exports.linked(tx, [(one.channel, one.channel_sku) for one in ordered])
        new = [
            one
            for one in ordered
            if before.get((one.channel, one.channel_sku)) != exports.Linked(one.sku, one.pack_units)
        ]
        for one in new:
            await listings.link(tx, (one.channel, one.channel_sku), one.sku, pack_units=one.pack_units)
        for channel in sorted({one.channel for one in new}):
            channel_skus = [one.channel_sku for one in new if one.channel == channel]
            await facts.requeue_for_listings(tx, channel, channel_skus)
            await listings.request_look(tx, channel, channel_skus=channel_skus)
        await touched.mark(tx, [one.sku for one in new])
    news = set(new)
    return [one in news for one in wanted]
