"""Rows of `wanted_orders`: orders to ask a channel for, one row for each. They are the queue of `fetch`."""

from __future__ import annotations

from collections.abc import Collection
from typing import NamedTuple
from uuid import UUID

from psycopg.rows import class_row

from oneshelf.domain.identity import Channel
from oneshelf.storage.database import Transaction


class WantedOrder(NamedTuple):
    """An order that this node asks for, as long as the lease stands. `wishes`: how often it was wanted by then.

    `tries`: how often in a row it could not be had.
    """

    channel: Channel
    order_id: str
    wishes: int
    tries: int
    lease: UUID


async def want(tx: Transaction, channel: Channel, order_ids: Collection[str]) -> None:
    """Ask for these orders now. One that is being asked for will be asked for once more."""
    if order_ids:
        await tx.execute(
            """
            insert into wanted_orders as w (channel, order_id)
            select %(channel)s, order_id from unnest(%(order_ids)s::text[]) as new (order_id)
            order by order_id collate "C"
            on conflict (channel, order_id) do update set
                wishes = w.wishes + 1, wanted_at = db_now(), next_at = db_now(), tries = 0
            """,
            {"channel": channel, "order_ids": sorted(set(order_ids))},
        )


async def claim(tx: Transaction, channel: Channel, *, limit: int, lease: UUID, lease_s: float) -> list[WantedOrder]:
    """Take orders that are due and that nobody else asks for, the first wanted first; none while the channel pauses."""
    cursor = tx.cursor(row_factory=class_row(WantedOrder))
    await cursor.execute(
        """
        with due as materialized (
            select w.channel, w.order_id, w.wanted_at from wanted_orders w
            join channels c on c.channel = w.channel
            where w.channel = %(channel)s and w.next_at <= db_now()
              and (w.lease_until is null or w.lease_until < db_now())
              and (c.paused_until is null or c.paused_until <= db_now())
            order by w.next_at limit %(limit)s for update of w skip locked
        ), held as (
            update wanted_orders w
            set lease = %(lease)s, lease_until = db_now() + make_interval(secs => %(lease_s)s)
            from due where w.channel = due.channel and w.order_id = due.order_id
            returning w.channel, w.order_id, w.wishes, w.tries, w.lease, due.wanted_at
        )
        select channel, order_id, wishes, tries, lease from held order by wanted_at, order_id
        """,
        {"channel": channel, "limit": limit, "lease": lease, "lease_s": lease_s},
    )
    return await cursor.fetchall()


async def settle(tx: Transaction, wanted: WantedOrder) -> bool:
    """It was had, or is given up: the row goes, or is due again where the order was wanted once more meanwhile.

    False where the lease is gone, and with it the right to say so.
    """
    cursor = await tx.execute(
        """
        select wishes from wanted_orders
        where channel = %(channel)s and order_id = %(order_id)s and lease = %(lease)s for update
        """,
        wanted._asdict(),
    )
    held = await cursor.fetchone()
    if held is None:
        return False
    if held == (wanted.wishes,):
        query = "delete from wanted_orders where channel = %(channel)s and order_id = %(order_id)s"
    else:
        query = """
            update wanted_orders set lease = null, lease_until = null
            where channel = %(channel)s and order_id = %(order_id)s
        """
    await tx.execute(query, wanted._asdict())
    return True


async def put_off(tx: Transaction, wanted: WantedOrder, *, after_s: float, fault: str) -> None:
    """It could not be had: ask again after a while, or at once where it was wanted once more meanwhile."""
    await tx.execute(
        """
        update wanted_orders set
            lease = null, lease_until = null, last_fault = %(fault)s,
            tries = case when wishes = %(wishes)s then tries + 1 else tries end,
            next_at = case when wishes = %(wishes)s then db_now() + make_interval(secs => %(after_s)s) else next_at end
        where channel = %(channel)s and order_id = %(order_id)s and lease = %(lease)s
        """,
        {**wanted._asdict(), "after_s": after_s, "fault": fault[:500]},
    )


async def release(tx: Transaction, channel: Channel, *, lease: UUID, after_s: float) -> None:
    """Nothing could be asked for just now: what this node still holds waits for that long. It counts as no try."""
    await tx.execute(
        """
        update wanted_orders set
            lease = null, lease_until = null, next_at = db_now() + make_interval(secs => %(after_s)s)
        where channel = %(channel)s and lease = %(lease)s
        """,
        {"channel": channel, "lease": lease, "after_s": after_s},
    )
