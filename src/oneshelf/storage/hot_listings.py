"""Listings that sell or are scarce, which are read more often than the sweep comes by. These statements only read."""

from __future__ import annotations

from typing import NamedTuple

from oneshelf.domain.identity import Channel, ChannelSku
from oneshelf.domain.sweep_plan import Watched
from oneshelf.storage.database import Transaction

# Listings with a proof and nothing under way: what is under way is read anyway. Sold within a day, or so scarce that
# the pool would have to be split, of what sold within the week.
_HOT = """
    from sku_demand d
    join listings l on l.sku = d.sku
    cross join lateral (
        select coalesce(l.desired_units > 0 and l.desired_units * l.pack_units <= d.threshold_units, false)
                   as is_scarce,
               exists (select from sku_sales s where s.sku = d.sku
                       and s.slot_at > db_now() - interval '1 day') as is_sold
    ) as how
    where d.channel = '' and l.phase = 'idle' and l.verified_at is not null and l.note = ''
      and (how.is_sold or how.is_scarce and exists (select from sku_sales s where s.sku = d.sku))
"""


class ListingCount(NamedTuple):
    """How many listings a channel has, and how many of them are hot."""

    listing_count: int
    hot_count: int


async def hot(tx: Transaction, channel: Channel, *, limit: int) -> list[Watched]:
    """The hot listings of a channel, the scarce and then the fast ones first."""
    cursor = await tx.execute(
        f"""
        select l.channel_sku, d.rate_per_s, how.is_scarce, l.verified_at {_HOT} and l.channel = %(channel)s
        order by how.is_scarce desc, d.rate_per_s desc, l.channel_sku limit %(limit)s
        """,
        {"channel": channel, "limit": limit},
    )
    return [Watched(ChannelSku(row[0]), *row[1:]) async for row in cursor]


async def counts(tx: Transaction) -> dict[Channel, ListingCount]:
    """How many listings there are of each connected channel."""
    cursor = await tx.execute(
        f"""
        select c.channel, (select count(*) from listings l where l.channel = c.channel), coalesce(h.hot_count, 0)
        from channels c
        left join (select l.channel, count(*) as hot_count {_HOT} group by l.channel) h on h.channel = c.channel
        """
    )
    return {Channel(channel): ListingCount(*figures) async for channel, *figures in cursor}
