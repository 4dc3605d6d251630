"""Rows of `subscription_checks`: what channels announce to us, as last looked at, and what was lost of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

from psycopg.rows import class_row
from psycopg.types.json import Jsonb

from oneshelf.domain.identity import Channel
from oneshelf.storage.database import Transaction


class SubscriptionCheck(NamedTuple):
    """What a channel announced to `address` at `checked_at`, `age_s` ago. `refused`: topic -> why it does not.

    `lost_count`: how many topics were found missing that had been there, in all; `lost_topics` the last time.
    """

    channel: Channel
    address: str
    topics: list[str]
    refused: dict[str, str]
    checked_at: datetime
    age_s: float
    lost_count: int
    lost_topics: list[str]
    lost_at: datetime | None


async def checks(tx: Transaction) -> dict[Channel, SubscriptionCheck]:
    """The newest look at each channel that was looked at."""
    cursor = tx.cursor(row_factory=class_row(SubscriptionCheck))
    await cursor.execute(
        """
        select channel, address, topics, refused, checked_at,
               extract(epoch from db_now() - checked_at)::float8 as age_s, lost_count, lost_topics, lost_at
        from subscription_checks order by channel
        """
    )
    return {row.channel: row async for row in cursor}


async def record(
    tx: Transaction,
    channel: Channel,
    address: str,
    *,
    topics: Sequence[str],
    refused: Mapping[str, str],
    lost: Sequence[str],
) -> None:
    """Note what was found, and what was lost since the look before."""
    await tx.execute(
        """
        insert into subscription_checks as s (channel, address, topics, refused, lost_count, lost_topics, lost_at)
        values (%(channel)s, %(address)s, %(topics)s::text[], %(refused)s, %(count)s, %(lost)s::text[],
                case when %(count)s > 0 then db_now() end)
        on conflict (channel) do update set
            address = excluded.address, topics = excluded.topics, refused = excluded.refused, checked_at = db_now(),
            lost_count = s.lost_count + excluded.lost_count,
            lost_topics = case when excluded.lost_count > 0 then excluded.lost_topics else s.lost_topics end,
            lost_at = coalesce(excluded.lost_at, s.lost_at)
        """,
        {
            "channel": channel,
            "address": address,
            "topics": list(topics),
            "refused": Jsonb(dict(refused)),
            "lost": list(lost),
            "count": len(lost),
        },
    )
