"""Rows of `listing_changes`: how many changes of a listing, or of its group, a channel was sent in the last day.

Counted by the hour: a change counts for at least 24 hours and at most 25.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import datetime, timedelta
from typing import NamedTuple

from oneshelf.domain.change_budget import Changes
from oneshelf.domain.identity import Channel, ChannelSku
from oneshelf.storage import arrays
from oneshelf.storage.database import Transaction

COUNTS_FOR = timedelta(hours=25)


class Busy(NamedTuple):
    """A listing or group, and how many changes it had in the last day."""

    budget: str
    changes: int


async def changes_of(
    tx: Transaction, channel: Channel, channel_skus: Collection[ChannelSku]
) -> dict[ChannelSku, Changes]:
    """What these listings have had. Whoever holds the channel's row knows that nobody else adds to it meanwhile."""
    cursor = await tx.execute(
        """
        select l.channel_sku, own.budget, coalesce(sum(c.changes), 0)::bigint, max(c.last_at), min(c.hour)
        from listings l
        cross join lateral (select coalesce(nullif(l.channel_group, ''), l.channel_sku) as budget) as own
        left join listing_changes c on c.channel = l.channel and c.budget = own.budget and c.changes > 0
             and c.hour > db_now() - %(counts_for)s
        where l.channel = %(channel)s and l.channel_sku = any(%(channel_skus)s::text[])
        group by l.channel_sku, own.budget
        """,
        {"channel": channel, "channel_skus": arrays.texts(sorted(channel_skus)), "counts_for": COUNTS_FOR},
    )
    return {
        ChannelSku(channel_sku): Changes(budget, count, last_at, oldest and oldest + COUNTS_FOR)
        async for channel_sku, budget, count, last_at, oldest in cursor
    }


async def spend(tx: Transaction, channel: Channel, budgets: Iterable[str], *, at: datetime) -> None:
    """A change more for each of these (a budget may be named more than once). What is older than a day goes."""
    counts: dict[str, int] = {}
    for budget in budgets:
        counts[budget] = counts.get(budget, 0) + 1
    if not counts:
        return
    ordered = sorted(counts)
    values = {"channel": channel, "budgets": arrays.texts(ordered), "at": at, "counts_for": COUNTS_FOR}
    await tx.execute(
        """
        delete from listing_changes where channel = %(channel)s and budget = any(%(budgets)s::text[])
          and hour <= %(at)s::timestamptz - %(counts_for)s
        """,
        values,
    )
    await tx.execute(
        """
        insert into listing_changes as c (channel, budget, hour, changes, last_at)
        select %(channel)s, budget, date_trunc('hour', %(at)s::timestamptz), count, %(at)s
        from unnest(%(budgets)s::text[], %(counts)s::int[]) as new (budget, count)
        on conflict (channel, budget, hour) do update set
            changes = c.changes + excluded.changes, last_at = greatest(c.last_at, excluded.last_at)
        """,
        {**values, "counts": [counts[budget] for budget in ordered]},
    )


async def give_back(tx: Transaction, channel: Channel, sent: Collection[tuple[ChannelSku, datetime]]) -> None:
    """These were intended at that instant and certainly not made."""
    if not sent:
        return
    ordered = sorted(sent)
    await tx.execute(
        """
        update listing_changes c set changes = greatest(0, c.changes - back.count)
        from (
            select coalesce(nullif(l.channel_group, ''), l.channel_sku) as budget, date_trunc('hour', new.at) as hour,
                   count(*)::int as count
            from unnest(%(channel_skus)s::text[], %(instants)s::timestamptz[]) as new (channel_sku, at)
            join listings l on l.channel = %(channel)s and l.channel_sku = new.channel_sku
            group by 1, 2
        ) as back
        where c.channel = %(channel)s and c.budget = back.budget and c.hour = back.hour
        """,
        {
            "channel": channel,
            "channel_skus": arrays.texts([channel_sku for channel_sku, _ in ordered]),
            "instants": arrays.instants(at for _, at in ordered),
        },
    )


async def hold_raises(tx: Transaction, channel: Channel, until: Collection[tuple[ChannelSku, datetime]]) -> None:
    """No raise of these listings is taken up before that instant."""
    if not until:
        return
    ordered = sorted(until)
    await tx.execute(
        """
        update listings l set raise_after = new.until
        from unnest(%(channel_skus)s::text[], %(instants)s::timestamptz[]) as new (channel_sku, until)
        where l.channel = %(channel)s and l.channel_sku = new.channel_sku
        """,
        {
            "channel": channel,
            "channel_skus": arrays.texts([channel_sku for channel_sku, _ in ordered]),
            "instants": arrays.instants(at for _, at in ordered),
        },
    )


class Shut(NamedTuple):
    """A listing of which its channel takes no change before that instant, in the channel's words."""

    channel_sku: ChannelSku
    until: datetime
    words: str


async def shut(tx: Transaction, channel: Channel, listings: Collection[Shut]) -> None:
    """Nothing but zero is taken up of these listings before their instants."""
    if not listings:
        return
    ordered = sorted(listings)
    await tx.execute(
        """
        update listings l set only_zero_until = new.until, wait_words = new.words
        from unnest(%(channel_skus)s::text[], %(instants)s::timestamptz[], %(words)s::text[])
            as new (channel_sku, until, words)
        where l.channel = %(channel)s and l.channel_sku = new.channel_sku
        """,
        {
            "channel": channel,
            "channel_skus": arrays.texts([one.channel_sku for one in ordered]),
            "instants": arrays.instants(one.until for one in ordered),
            "words": arrays.texts([one.words for one in ordered]),
        },
    )


async def busiest(tx: Transaction, channel: Channel, *, limit: int) -> list[Busy]:
    """The listings and groups with the most changes in the last day."""
    cursor = await tx.execute(
        """
        select budget, sum(changes)::bigint from listing_changes
        where channel = %(channel)s and hour > db_now() - %(counts_for)s
        group by budget having sum(changes) > 0 order by 2 desc, 1 limit %(limit)s
        """,
        {"channel": channel, "counts_for": COUNTS_FOR, "limit": limit},
    )
    return [Busy(budget, changes) async for budget, changes in cursor]
