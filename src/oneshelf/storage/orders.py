"""Rows of `orders` and `order_lines`: the newest snapshot of each order, and what its lines hold of the ledger."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from datetime import datetime
from typing import NamedTuple

import msgspec
from psycopg import AsyncCursor
from psycopg.rows import class_row

from oneshelf.domain.identity import Channel
from oneshelf.domain.ledger import BalanceKey
from oneshelf.domain.line import LinePosition
from oneshelf.domain.order import OrderSnapshot
from oneshelf.storage import arrays
from oneshelf.storage.database import Transaction

OrderKey = tuple[Channel, str]

_LINE_COLUMNS = """
    sku, location, channel, order_id, line_id, channel_sku, placed_at, is_pending, pack_units,
    units_pending, units_committed, units_shipped, units_short, units_off_listing, units_returned,
    units_restocked, handed_over_at, units_brought
"""


class SeenOrder(NamedTuple):
    """An order to be remembered. `seen_at`: when the engine first heard of it, `read_at`: when it had read that."""

    snapshot: OrderSnapshot
    seen_at: datetime
    read_at: datetime | None


async def lock(tx: Transaction, seen: Mapping[OrderKey, SeenOrder]) -> dict[OrderKey, OrderSnapshot | None]:
    """The stored snapshots of these orders, locked in sorted order; unknown ones are created without a snapshot."""
    ordered = sorted(seen.items())
    columns: dict[str, list[object]] = {
        "channels": [channel for (channel, _), _ in ordered],
        "orders": [order_id for (_, order_id), _ in ordered],
        "placed": [order.snapshot.placed_at for _, order in ordered],
        "seen": [order.seen_at for _, order in ordered],
        "read": [order.read_at for _, order in ordered],
    }
    await tx.execute(
        """
        insert into orders (channel, order_id, placed_at, seen_at, read_at)
        select * from unnest(%(channels)s::text[], %(orders)s::text[], %(placed)s::timestamptz[],
                             %(seen)s::timestamptz[], %(read)s::timestamptz[])
            as new (channel, order_id, placed_at, seen_at, read_at)
        order by channel collate "C", order_id collate "C"
        on conflict do nothing
        """,
        columns,
    )
    cursor = await tx.execute(
        """
        select o.channel, o.order_id, o.snapshot::text
        from orders o join unnest(%(channels)s::text[], %(orders)s::text[]) as wanted (channel, order_id)
          on o.channel = wanted.channel and o.order_id = wanted.order_id
        order by o.channel, o.order_id
        for update of o
        """,
        columns,
    )
    return {
        (Channel(channel), order_id): msgspec.json.decode(text, type=OrderSnapshot) if text else None
        async for channel, order_id, text in cursor
    }


async def lock_claimed(tx: Transaction, orders: Collection[OrderKey], *, create: Collection[OrderKey]) -> None:
    """Lock these orders in sorted order. Those in `create` are made, if nobody has told of them, without a snapshot."""
    ordered, created = sorted(orders), sorted(create)
    await tx.execute(
        """
        insert into orders (channel, order_id, placed_at, seen_at)
        select channel, order_id, at.instant, at.instant
        from unnest(%(channels)s::text[], %(orders)s::text[]) as new (channel, order_id),
             (select db_now()) as at (instant)
        order by channel collate "C", order_id collate "C"
        on conflict do nothing
        """,
        {"channels": [channel for channel, _ in created], "orders": [order_id for _, order_id in created]},
    )
    await tx.execute(
        """
        select from orders o join unnest(%(channels)s::text[], %(orders)s::text[]) as wanted (channel, order_id)
          on o.channel = wanted.channel and o.order_id = wanted.order_id
        order by o.channel, o.order_id
        for update of o
        """,
        {"channels": [channel for channel, _ in ordered], "orders": [order_id for _, order_id in ordered]},
    )


async def save(tx: Transaction, snapshots: Iterable[OrderSnapshot]) -> None:
    """Remember these snapshots as the newest ones. When the order was placed, its channel knows better than a claim."""
    ordered = sorted(snapshots, key=lambda snapshot: (snapshot.channel, snapshot.order_id))
    await tx.execute(
        """
        update orders o set snapshot = new.snapshot, placed_at = new.placed_at
        from unnest(%(channels)s::text[], %(orders)s::text[], %(snapshots)s::jsonb[], %(placed)s::timestamptz[])
            as new (channel, order_id, snapshot, placed_at)
        where o.channel = new.channel and o.order_id = new.order_id
        """,
        {
            "channels": [snapshot.channel for snapshot in ordered],
            "orders": [snapshot.order_id for snapshot in ordered],
            "snapshots": [msgspec.json.encode(snapshot).decode() for snapshot in ordered],
            "placed": [snapshot.placed_at for snapshot in ordered],
        },
    )


async def lines_of(tx: Transaction, orders: Collection[OrderKey]) -> list[LinePosition]:
    """What the lines of these (locked) orders hold."""
    ordered = sorted(orders)
    cursor = tx.cursor(row_factory=class_row(LinePosition))
    await cursor.execute(
        f"""
        select {_LINE_COLUMNS} from order_lines
        join unnest(%(channels)s::text[], %(orders)s::text[]) as wanted (channel, order_id) using (channel, order_id)
        """,
        {"channels": [channel for channel, _ in ordered], "orders": [order_id for _, order_id in ordered]},
    )
    return await cursor.fetchall()


async def ask_short(tx: Transaction, keys: Collection[BalanceKey]) -> AsyncCursor[LinePosition]:
    """Ask for the order lines that wait for units of these (locked) balances."""
    cursor = tx.cursor(row_factory=class_row(LinePosition))
    await cursor.execute(
        f"""
        select {_LINE_COLUMNS} from order_lines
        join unnest(%(skus)s::text[], %(locations)s::text[]) as wanted (sku, location) using (sku, location)
        where units_short > 0
        """,
        arrays.places(keys),
    )
    return cursor


async def lines_holding(tx: Transaction, keys: Collection[BalanceKey]) -> list[LinePosition]:
    """The order lines that hold units of these (locked) balances."""
    cursor = tx.cursor(row_factory=class_row(LinePosition))
    await cursor.execute(
        f"""
        select {_LINE_COLUMNS} from order_lines
        join unnest(%(skus)s::text[], %(locations)s::text[]) as wanted (sku, location) using (sku, location)
        where units_committed + units_pending > 0
        """,
        arrays.places(keys),
    )
    return await cursor.fetchall()


async def lines_handed_over(tx: Transaction, since: Mapping[BalanceKey, datetime]) -> list[LinePosition]:
    """The order lines of these (locked) balances whose units left over a counter after the instant of each."""
    keys = sorted(since)
    cursor = tx.cursor(row_factory=class_row(LinePosition))
    await cursor.execute(
        f"""
        select {_LINE_COLUMNS} from order_lines
        join unnest(%(skus)s::text[], %(locations)s::text[], %(since)s::timestamptz[]) as wanted (sku, location, since)
            using (sku, location)
        where units_shipped > 0 and handed_over_at > wanted.since
        """,
        {**arrays.places(keys), "since": arrays.instants(since[key] for key in keys)},
    )
    return await cursor.fetchall()


async def save_lines(tx: Transaction, lines: Iterable[LinePosition]) -> None:
    """Store what these lines hold now. Their balances are locked."""
    ordered = sorted(lines, key=lambda line: (line.sku, line.key))
    if not ordered:
        return
    await tx.execute(
        f"""
        insert into order_lines ({_LINE_COLUMNS})
        select * from unnest(
            %(sku)s::text[], %(location)s::text[], %(channel)s::text[], %(order_id)s::text[], %(line_id)s::text[],
            %(channel_sku)s::text[], %(placed_at)s::timestamptz[], %(is_pending)s::boolean[], %(pack_units)s::int[],
            %(units_pending)s::bigint[], %(units_committed)s::bigint[], %(units_shipped)s::bigint[],
            %(units_short)s::bigint[], %(units_off_listing)s::bigint[], %(units_returned)s::bigint[],
            %(units_restocked)s::bigint[], %(handed_over_at)s::timestamptz[], %(units_brought)s::bigint[])
        on conflict (sku, channel, order_id, line_id) do update set
            channel_sku = excluded.channel_sku, is_pending = excluded.is_pending,
            units_pending = excluded.units_pending,
            units_committed = excluded.units_committed, units_shipped = excluded.units_shipped,
            units_short = excluded.units_short, units_off_listing = excluded.units_off_listing,
            units_returned = excluded.units_returned, units_restocked = excluded.units_restocked,
            handed_over_at = excluded.handed_over_at, units_brought = excluded.units_brought
        """,
        {column.strip(): [getattr(line, column.strip()) for line in ordered] for column in _LINE_COLUMNS.split(",")},
    )
