"""Rows of `feeds`: many writes that a channel was handed in one file. At most one of a channel is under way."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from psycopg.rows import class_row

from oneshelf.domain.identity import Channel, ChannelSku
from oneshelf.domain.listing import Listing
from oneshelf.storage import arrays
from oneshelf.storage.database import Transaction
from oneshelf.storage.publishing import LISTING_COLUMNS, listing_from_row


class Feed(NamedTuple):
    """One that is under way, held under a lease. `names`, `is_answered`: see the table. `words`: of the last look."""

    feed_id: UUID
    channel: Channel
    names: Sequence[str]
    is_answered: bool
    write_count: int
    begun_at: datetime
    stuck_at: datetime | None
    words: str = ""


class UnderWay(NamedTuple):
    """One that has not ended, as a person is told. `listing_count`: of its `write_count` writes those it still carries.

    `stuck_s`: since it has taken longer than the channel says; None: it has not. `words`: of the channel.
    """

    write_count: int
    listing_count: int
    age_s: float
    stuck_s: float | None
    words: str


# What may go by a feed: nothing that is scarce, in doubt, or of a guarded SKU, since it may take hours and cannot be
# taken back; nothing that a person has not let go.
_MAY_WAIT = """
    l.channel = %(channel)s and l.sku is not null and l.phase = 'idle' and l.desired_version > l.sent_version
    and l.desired_units >= %(least_units)s and l.base_units - (l.net_units - l.base_net) >= 0
    and l.suspect_at is null and l.suspense_units = 0 and l.next_at <= db_now()
    and (l.lease_until is null or l.lease_until < db_now())
    and (l.signed_off_at is not null
         or (select c.signs_off = 'channel' from channels c where c.channel = %(channel)s))
    and (select c.mode = 'live' and (c.paused_until is null or c.paused_until <= db_now())
         from channels c where c.channel = %(channel)s)
    and not exists (select from skus s where s.sku = l.sku and s.is_guarded)
    and not exists (select from bundle_components b join skus s on s.sku = b.component and s.is_guarded
                    where b.sku = l.sku)
"""


async def is_under_way(tx: Transaction, channel: Channel) -> bool:
    """Whether the channel has one that has not ended."""
    cursor = await tx.execute(
        "select from feeds where channel = %(channel)s and ended_at is null", {"channel": channel}
    )
    return await cursor.fetchone() is not None


async def was_refused(tx: Transaction, channel: Channel, *, within_s: float) -> bool:
    """Whether the channel took no name for the one that was handed to it last, within this time."""
    cursor = await tx.execute(
        """
        select from (
            select names, write_count, ended_at from feeds
            where channel = %(channel)s order by begun_at desc limit 1
        ) as last
        where names = '{}' and write_count > 0 and ended_at > db_now() - make_interval(secs => %(within_s)s)
        """,
        {"channel": channel, "within_s": within_s},
    )
    return await cursor.fetchone() is not None


async def under_way(tx: Transaction, channel: Channel) -> UnderWay | None:
    """The one that the channel has not ended."""
    cursor = tx.cursor(row_factory=class_row(UnderWay))
    await cursor.execute(
        """
        select f.write_count, (select count(*) from listings l where l.feed_id = f.feed_id) as listing_count,
               extract(epoch from db_now() - f.begun_at)::float8 as age_s,
               extract(epoch from db_now() - f.stuck_at)::float8 as stuck_s, f.words
        from feeds f where f.channel = %(channel)s and f.ended_at is null
        """,
        {"channel": channel},
    )
    return await cursor.fetchone()


async def waiting(tx: Transaction, channel: Channel, *, least_units: int, limit: int) -> list[ChannelSku]:
    """Listings whose figure may go by a feed, those first that would be written first."""
    cursor = await tx.execute(
        f"""
        select l.channel_sku from listings l where {_MAY_WAIT}
        order by l.is_raise, l.desired_units, l.channel_sku limit %(limit)s
        """,
        {"channel": channel, "least_units": least_units, "limit": limit},
    )
    return [ChannelSku(channel_sku) async for (channel_sku,) in cursor]


async def lock_waiting(
    tx: Transaction, channel: Channel, channel_skus: Collection[ChannelSku], *, least_units: int
) -> list[Listing]:
    """Those of these listings that may still go by a feed and that nobody holds, locked."""
    cursor = await tx.execute(
        f"""
        select {LISTING_COLUMNS} from listings l
        where l.channel_sku = any(%(channel_skus)s::text[]) and {_MAY_WAIT}
        order by l.channel, l.channel_sku for update of l skip locked
        """,
        {"channel": channel, "channel_skus": arrays.texts(sorted(channel_skus)), "least_units": least_units},
    )
    return [listing_from_row(row) async for row in cursor]


async def begin(tx: Transaction, feed_id: UUID, channel: Channel, *, lease: UUID, lease_s: float) -> bool:
    """One is under way from now on. False where another one is."""
    cursor = await tx.execute(
        """
        insert into feeds (feed_id, channel, lease, lease_until)
        values (%(feed_id)s, %(channel)s, %(lease)s, db_now() + make_interval(secs => %(lease_s)s))
        on conflict do nothing returning feed_id
        """,
        {"feed_id": feed_id, "channel": channel, "lease": lease, "lease_s": lease_s},
    )
    return await cursor.fetchone() is not None


async def claim(tx: Transaction, channel: Channel, *, lease: UUID, lease_s: float) -> Feed | None:
    """The one under way, if it is time to look at it and nobody else does."""
    cursor = tx.cursor(row_factory=class_row(Feed))
    await cursor.execute(
        """
        update feeds f set lease = %(lease)s, lease_until = db_now() + make_interval(secs => %(lease_s)s)
        from channels c
        where f.channel = %(channel)s and f.ended_at is null and f.look_at <= db_now() and f.lease_until < db_now()
          and c.channel = f.channel and (c.paused_until is null or c.paused_until <= db_now())
        returning f.feed_id, f.channel, f.names, f.is_answered, f.write_count, f.begun_at, f.stuck_at,
            f.words
        """,
        {"channel": channel, "lease": lease, "lease_s": lease_s},
    )
    return await cursor.fetchone()


async def holds(tx: Transaction, feed_id: UUID, *, lease: UUID) -> bool:
    """Whether this lease still stands; the row is locked then, so that it goes on standing."""
    cursor = await tx.execute(
        "select from feeds where feed_id = %(feed_id)s and lease = %(lease)s and ended_at is null for update",
        {"feed_id": feed_id, "lease": lease},
    )
    return await cursor.fetchone() is not None


async def keep(
    tx: Transaction, feed: Feed, *, lease: UUID, look_after_s: float, is_stuck: bool = False, words: str = ""
) -> None:
    """Note how far it is, and give it back until it is looked at again."""
    await tx.execute(
        """
        update feeds set names = %(names)s::text[], is_answered = %(is_answered)s, write_count = %(write_count)s,
            words = %(words)s, lease_until = db_now() - interval '1 second',
            look_at = db_now() + make_interval(secs => %(after_s)s),
            stuck_at = case when %(is_stuck)s then coalesce(stuck_at, db_now()) else stuck_at end
        where feed_id = %(feed_id)s and lease = %(lease)s
        """,
        {
            "feed_id": feed.feed_id,
            "names": list(feed.names),
            "is_answered": feed.is_answered,
            "write_count": feed.write_count,
            "lease": lease,
            "after_s": look_after_s,
            "is_stuck": is_stuck,
            "words": words,
        },
    )


async def end(tx: Transaction, feed_id: UUID, *, words: str) -> None:
    """It carries nothing any more. A listing that was unlinked meanwhile is left as by a writer that died."""
    await tx.execute(
        "update feeds set ended_at = db_now(), words = %(words)s where feed_id = %(feed_id)s",
        {"feed_id": feed_id, "words": words},
    )
    await tx.execute("update listings set feed_id = null where feed_id = %(feed_id)s", {"feed_id": feed_id})


async def carried(
    tx: Transaction, feed_id: UUID, *, limit: int, is_locked: bool, leaves_guarded: bool = False
) -> list[Listing]:
    """Listings whose write it carries, in the order of their names. `leaves_guarded`: without those of guarded SKUs."""
    cursor = await tx.execute(
        f"""
        select {LISTING_COLUMNS} from listings l
        where l.feed_id = %(feed_id)s and l.phase = 'sending' and l.sku is not null
          and not (%(leaves_guarded)s and (
              exists (select from skus s where s.sku = l.sku and s.is_guarded)
              or exists (select from bundle_components b join skus s on s.sku = b.component and s.is_guarded
                         where b.sku = l.sku)))
        order by l.channel, l.channel_sku limit %(limit)s
        {"for update of l" if is_locked else ""}
        """,
        {"feed_id": feed_id, "limit": limit, "leaves_guarded": leaves_guarded},
    )
    return [listing_from_row(row) async for row in cursor]
