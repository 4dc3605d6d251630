"""Rows of `inbox`: deliveries as received. The new ones are the queue of `interpret`."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import NamedTuple

from psycopg.rows import class_row

from oneshelf.domain.identity import Channel
from oneshelf.storage.database import Transaction

# As much as one delivery may have.
CLAIMED_BYTES_MAX = 2**20
REASON_LENGTH_MAX = 500


class NewDelivery(NamedTuple):
    """A delivery to be stored; see `sdk.message.Delivery`."""

    key: str
    topic: str
    body: bytes


class InboxRow(NamedTuple):
    """A stored delivery."""

    inbox_id: int
    channel: Channel
    topic: str
    body: bytes
    received_at: datetime


class ParkedDelivery(NamedTuple):
    """A delivery that could not be read, for a person to look at."""

    inbox_id: int
    channel: str
    topic: str
    received_at: datetime
    reason: str


async def store(
    tx: Transaction, channel: Channel, deliveries: Sequence[NewDelivery], *, is_polled: bool = False
) -> int:
    """Store deliveries that have not been stored before. Returns how many were new."""
    cursor = await tx.execute(
        """
        insert into inbox (channel, delivery_key, topic, body, is_polled)
        select %(channel)s, key, topic, body, %(is_polled)s
        from unnest(%(keys)s::text[], %(topics)s::text[], %(bodies)s::bytea[]) as new (key, topic, body)
        on conflict (channel, delivery_key) do nothing
        """,
        {
            "channel": channel,
            "keys": [delivery.key for delivery in deliveries],
            "topics": [delivery.topic for delivery in deliveries],
            "bodies": [delivery.body for delivery in deliveries],
            "is_polled": is_polled,
        },
    )
    return cursor.rowcount


async def claim_new(tx: Transaction, channels: Collection[Channel], *, limit: int) -> list[InboxRow]:
    """Deliveries of these channels to read, oldest first, held until this transaction ends.

    As many as fit into CLAIMED_BYTES_MAX, one at least: a transaction that reads for too long is ended by the
    database, and would be tried again for ever.
    """
    cursor = tx.cursor(row_factory=class_row(InboxRow))
    await cursor.execute(
        """
        with held as materialized (
            select inbox_id, channel, topic, body, received_at from inbox
            where state = 'new' and channel = any(%(channels)s::text[])
            order by inbox_id limit %(limit)s for update skip locked
        )
        select inbox_id, channel, topic, body, received_at from (
            select held.*, sum(octet_length(body)) over (order by inbox_id) - octet_length(body) as bytes_before
            from held
        ) as summed where bytes_before = 0 or bytes_before + octet_length(body) <= %(bytes_max)s
        order by inbox_id
        """,
        {"channels": list(channels), "limit": limit, "bytes_max": CLAIMED_BYTES_MAX},
    )
    return await cursor.fetchall()


async def mark_done(tx: Transaction, inbox_ids: Collection[int]) -> None:
    """These deliveries have been read."""
    if inbox_ids:
        await tx.execute("update inbox set state = 'done' where inbox_id = any(%(ids)s)", {"ids": list(inbox_ids)})


async def park(tx: Transaction, reasons: dict[int, str]) -> None:
    """These deliveries cannot be read. `reasons`: inbox id -> why."""
    if reasons:
        await tx.execute(
            """
            update inbox i set state = 'parked', reason = new.reason
            from unnest(%(ids)s::bigint[], %(reasons)s::text[]) as new (inbox_id, reason)
            where i.inbox_id = new.inbox_id and i.state = 'new'
            """,
            {"ids": list(reasons), "reasons": [reason[:REASON_LENGTH_MAX] for reason in reasons.values()]},
        )


async def read_again(tx: Transaction, channel: Channel, *, reason_begins: str) -> None:
    """What of this channel is parked for such a reason is read again: what it waited for may have come."""
    await tx.execute(
        """
        update inbox set state = 'new'
        where state = 'parked' and channel = %(channel)s and starts_with(reason, %(begins)s)
        """,
        {"channel": channel, "begins": reason_begins},
    )


async def parked(tx: Transaction, *, limit: int = 500) -> list[ParkedDelivery]:
    """Deliveries that wait for a person, newest first."""
    cursor = tx.cursor(row_factory=class_row(ParkedDelivery))
    await cursor.execute(
        """
        select inbox_id, channel, topic, received_at, reason from inbox
        where state = 'parked' order by inbox_id desc limit %(limit)s
        """,
        {"limit": limit},
    )
    return await cursor.fetchall()


async def set_parked_state(tx: Transaction, inbox_ids: Collection[int] | None, *, state: str) -> int:
    """Send parked deliveries (None: all) back to `new`, or to `dismissed`. Returns how many."""
    cursor = await tx.execute(
        """
        update inbox set state = %(state)s
        where state = 'parked' and (%(ids)s::bigint[] is null or inbox_id = any(%(ids)s::bigint[]))
        """,
        {"state": state, "ids": None if inbox_ids is None else list(inbox_ids)},
    )
    return cursor.rowcount
