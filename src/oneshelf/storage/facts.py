"""Rows of `facts`: order snapshots in our words. The new ones are the queue of `post`."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import NamedTuple

import msgspec
from psycopg.rows import class_row

from oneshelf.domain.identity import Channel, ChannelSku
from oneshelf.domain.order import OrderSnapshot
from oneshelf.storage import arrays
from oneshelf.storage.database import Transaction, only_row

# Some thousand lines of orders: a transaction that posts for too long is ended, and would be tried again for ever.
CLAIMED_BYTES_MAX = 2**20


class Fact(NamedTuple):
    """A snapshot to be posted. `received_at`: when its delivery came in, `read_at`: when that was read."""

    fact_id: int
    snapshot: OrderSnapshot
    received_at: datetime
    read_at: datetime | None


class ParkedFact(NamedTuple):
    """An order that could not be posted, or not wholly, for a person to look at: the newest snapshot of it.

    `snapshot_count`: how many of it are parked.
    """

    fact_id: int
    channel: str
    order_id: str
    received_at: datetime
    reason: str
    snapshot_count: int


async def add(tx: Transaction, snapshots: Sequence[tuple[OrderSnapshot, datetime]]) -> None:
    """Queue `(snapshot, received_at)` for posting."""
    if snapshots:
        await tx.execute(
            """
            insert into facts (channel, order_id, snapshot, received_at)
            select * from unnest(
                %(channels)s::text[], %(orders)s::text[], %(snapshots)s::jsonb[], %(at)s::timestamptz[])
            """,
            {
                "channels": [snapshot.channel for snapshot, _ in snapshots],
                "orders": [snapshot.order_id for snapshot, _ in snapshots],
                "snapshots": [msgspec.json.encode(snapshot).decode() for snapshot, _ in snapshots],
                "at": [received_at for _, received_at in snapshots],
            },
        )


async def claim_new(tx: Transaction, *, limit: int) -> list[Fact]:
    """Facts to post, oldest first, held until this transaction ends: no more than it can hold, one at least."""
    cursor = await tx.execute(
        """
        with held as materialized (
            select fact_id, snapshot::text as said, received_at, read_at from facts
            where state = 'new' order by fact_id limit %(limit)s for update skip locked
        )
        select fact_id, said, received_at, read_at from (
            select held.*, sum(octet_length(said)) over (order by fact_id) - octet_length(said) as bytes_before
            from held
        ) as summed where bytes_before = 0 or bytes_before + octet_length(said) <= %(bytes_max)s
        order by fact_id
        """,
        {"limit": limit, "bytes_max": CLAIMED_BYTES_MAX},
    )
    return [
        Fact(fact_id, msgspec.json.decode(text, type=OrderSnapshot), received_at, read_at)
        async for fact_id, text, received_at, read_at in cursor
    ]


async def finish(tx: Transaction, posted: Collection[int], parked: dict[int, str]) -> None:
    """`posted` are done; `parked`: fact -> why it waits for a person, unless somebody posted it meanwhile."""
    if posted:
        await tx.execute(
            "update facts set state = 'posted', reason = '' where fact_id = any(%(ids)s)", {"ids": list(posted)}
        )
    if parked:
        await tx.execute(
            """
            update facts f set state = 'parked', reason = new.reason
            from unnest(%(ids)s::bigint[], %(reasons)s::text[]) as new (fact_id, reason)
            where f.fact_id = new.fact_id and f.state = 'new'
            """,
            {"ids": list(parked), "reasons": list(parked.values())},
        )


async def requeue_for_listings(tx: Transaction, channel: Channel, channel_skus: Sequence[ChannelSku]) -> int:
    """Listings have just been linked: post the parked orders that sold one of them. Returns how many."""
    if not channel_skus:
        return 0
    cursor = await tx.execute(
        """
        with tried as (
            update facts set state = 'new'
            where state = 'parked' and channel = %(channel)s
              and exists (select from jsonb_array_elements(snapshot -> 'lines') as line
                          where line ->> 'channel_sku' = any(%(channel_skus)s::text[]))
            returning order_id
        )
        select count(distinct order_id) from tried
        """,
        {"channel": channel, "channel_skus": arrays.texts(channel_skus)},
    )
    (count,) = await only_row(cursor)
    return int(count)


async def parked(tx: Transaction, *, limit: int = 500) -> list[ParkedFact]:
    """Orders that wait for a person, each once, by its newest snapshot, the newest first."""
    cursor = tx.cursor(row_factory=class_row(ParkedFact))
    await cursor.execute(
        """
        select f.fact_id, f.channel, f.order_id, f.received_at, f.reason, newest.snapshot_count
        from (
            select max(fact_id) as fact_id, count(*) as snapshot_count from facts
            where state = 'parked' group by channel, order_id order by 1 desc limit %(limit)s
        ) as newest join facts f using (fact_id)
        order by f.fact_id desc
        """,
        {"limit": limit},
    )
    return await cursor.fetchall()


async def set_parked_state(tx: Transaction, fact_ids: Collection[int] | None, *, state: str) -> int:
    """Send the parked orders of these snapshots (None: all) back to `new`, or to `dismissed`. Returns how many.

    All parked snapshots of such an order go with it.
    """
    cursor = await tx.execute(
        """
        with decided as (
            update facts set state = %(state)s
            where state = 'parked' and (%(ids)s::bigint[] is null or (channel, order_id) in (
                select channel, order_id from facts where state = 'parked' and fact_id = any(%(ids)s::bigint[])))
            returning channel, order_id
        )
        select count(*) from (select distinct channel, order_id from decided) as orders
        """,
        {"state": state, "ids": None if fact_ids is None else list(fact_ids)},
    )
    (count,) = await only_row(cursor)
    return int(count)


async def count_waiting(tx: Transaction, channel: Channel, *, received_before: datetime) -> int:
    """Deliveries and snapshots of a channel that came in before this instant and are not yet posted."""
    cursor = await tx.execute(
        """
        select (select count(*) from inbox
                where state = 'new' and channel = %(channel)s and received_at <= %(before)s)
             + (select count(*) from facts
                where state = 'new' and channel = %(channel)s and received_at <= %(before)s)
        """,
        {"channel": channel, "before": received_before},
    )
    count: int = (await only_row(cursor))[0]
    return count
