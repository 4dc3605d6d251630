"""Single things as people look at them: orders and what they are short of, locations, balances.

Like `views`, these statements only read.
"""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

from psycopg.rows import class_row

from oneshelf.domain.identity import Channel, Location, Sku
from oneshelf.domain.ledger import BalanceKey
from oneshelf.storage.database import Transaction, after_key
from oneshelf.storage.orders import OrderKey

# Sorts after every other character: `text` to `text` + this are the numbers that begin with `text`.
_LAST_CHARACTER = "\U0010ffff"


class OrderRow(NamedTuple):
    """An order in units of the ledger, summed over its lines. `units_short`: sold, and no unit is there for them.

    `skus`: of its lines; where none of these holds or has shipped a unit, the order was cancelled.
    """

    channel: Channel
    order_id: str
    placed_at: datetime
    seen_at: datetime
    is_pending: bool
    line_count: int
    units_pending: int
    units_committed: int
    units_shipped: int
    units_short: int
    skus_short: list[str]
    skus: list[str]


class ShortPlace(NamedTuple):
    """Where a `ShortRow` stands in the queue; no two stand at the same place."""

    since: datetime
    source: str
    sku: Sku
    location: Location


class ShortRow(NamedTuple):
    """Units that an order line or a held reservation waits for, since when, and what it has of this SKU already.

    `promised_to`: the order, or the holder of the reservation.
    """

    since: datetime
    kind: str
    source: str
    promised_to: str
    sku: Sku
    location: Location
    units_short: int
    units_held: int

    @property
    def place(self) -> ShortPlace:
        return ShortPlace(self.since, self.source, self.sku, self.location)


class LocationRow(NamedTuple):
    """A place where units are."""

    location: Location
    title: str


class BalanceRow(NamedTuple):
    """Where units of a SKU are, by state. `version` counts the changes."""

    sku: Sku
    location: Location
    on_hand: int
    available: int
    committed: int
    reserved: int
    damaged: int
    quality_control: int
    safety_stock: int
    incoming: int
    version: int


class InspectionRow(NamedTuple):
    """Units of a SKU at a location that somebody has to look at. `since`: when the last of them came there."""

    sku: Sku
    location: Location
    quality_control: int
    damaged: int
    since: datetime | None


_SUMS = """
    select coalesce(bool_or(is_pending), false) as is_pending, count(distinct line_id)::int as line_count,
           coalesce(sum(units_pending), 0)::bigint as units_pending,
           coalesce(sum(units_committed), 0)::bigint as units_committed,
           coalesce(sum(units_shipped), 0)::bigint as units_shipped,
           coalesce(sum(units_short), 0)::bigint as units_short,
           coalesce(array_agg(distinct sku) filter (where units_short > 0), '{}') as skus_short,
           coalesce(array_agg(distinct sku), '{}') as skus
    from order_lines where channel = page.channel and order_id = page.order_id
"""


async def order_rows(
    tx: Transaction, *, channel: Channel | None = None, after: OrderKey | None = None, limit: int
) -> list[OrderRow]:
    """Orders by channel and order id, the first after `after`."""
    cursor = tx.cursor(row_factory=class_row(OrderRow))
    await cursor.execute(
        f"""
        select page.*, held.*
        from (
            select channel, order_id, placed_at, seen_at from orders
            where (channel, order_id) > (%(after_channel)s, %(after)s)
              and (%(channel)s::text is null or channel = %(channel)s)
            order by channel, order_id limit %(limit)s
        ) as page
        cross join lateral ({_SUMS}) as held
        order by page.channel, page.order_id
        """,
        {"channel": channel, "limit": limit, **after_key(after)},
    )
    return await cursor.fetchall()


class OrderPlace(NamedTuple):
    """Where an order stands among the newest; no two stand at the same place."""

    placed_at: datetime
    channel: Channel
    order_id: str


async def newest_orders(
    tx: Transaction,
    *,
    channel: Channel | None = None,
    begins: str = "",
    is_short: bool = False,
    after: OrderPlace | None = None,
    limit: int,
) -> list[OrderRow]:
    """Orders as people look for them: the newest first, those behind `after`. `begins`: how their number begins."""
    cursor = tx.cursor(row_factory=class_row(OrderRow))
    short = """
        and exists (select from order_lines l
                    where l.units_short > 0 and l.channel = o.channel and l.order_id = o.order_id)
    """
    await cursor.execute(
        f"""
        select page.*, held.*
        from (
            select of_one.* from channels c cross join lateral (
                select o.channel, o.order_id, o.placed_at, o.seen_at from orders o
                where o.channel = c.channel
                  and (%(after_at)s::timestamptz is null
                       or o.placed_at <= %(after_at)s and (o.placed_at, o.channel, o.order_id)
                          < (%(after_at)s, %(after_channel)s::text, %(after)s::text))
                  and (%(begins)s::text = '' or o.order_id >= %(begins)s and o.order_id < %(begins_end)s)
                  {short if is_short else ""}
                order by o.placed_at desc, o.order_id desc limit %(limit)s
            ) as of_one
            where %(channel)s::text is null or c.channel = %(channel)s
            order by placed_at desc, channel desc, order_id desc limit %(limit)s
        ) as page
        cross join lateral ({_SUMS}) as held
        order by page.placed_at desc, page.channel desc, page.order_id desc
        """,
        {
            "channel": channel,
            "begins": begins,
            "begins_end": begins + _LAST_CHARACTER,
            "after_at": after.placed_at if after else None,
            "after_channel": after.channel if after else "",
            "after": after.order_id if after else "",
            "limit": limit,
        },
    )
    return await cursor.fetchall()


async def short_orders(
    tx: Transaction, *, channel: Channel | None = None, after: OrderKey | None = None, limit: int
) -> list[OrderRow]:
    """Like `order_rows`, of the orders that are short of units."""
    cursor = tx.cursor(row_factory=class_row(OrderRow))
    await cursor.execute(
        f"""
        select page.*, held.*
        from (
            select o.channel, o.order_id, o.placed_at, o.seen_at
            from (select distinct channel, order_id from order_lines where units_short > 0) as short
            join orders o using (channel, order_id)
            where (o.channel, o.order_id) > (%(after_channel)s, %(after)s)
              and (%(channel)s::text is null or o.channel = %(channel)s)
            order by o.channel, o.order_id limit %(limit)s
        ) as page
        cross join lateral ({_SUMS}) as held
        order by page.channel, page.order_id
        """,
        {"channel": channel, "limit": limit, **after_key(after)},
    )
    return await cursor.fetchall()


async def short_rows(
    tx: Transaction, *, sku: Sku | None = None, after: ShortPlace | None = None, limit: int | None = None
) -> list[ShortRow]:
    """What waits for units behind `after`, in the order in which it is served at each place: the oldest first."""
    cursor = tx.cursor(row_factory=class_row(ShortRow))
    await cursor.execute(
        """
        select since, kind, source, promised_to, sku, location, units_short, units_held from (
            select placed_at as since, 'order' as kind,
                   'order ' || channel || '/' || order_id || '/' || line_id as source,
                   'order ' || channel || '/' || order_id as promised_to, sku, location, units_short,
                   units_pending + units_committed as units_held
            from order_lines where units_short > 0
            union all
            select created_at, kind, 'reservation ' || reservation_id, holder, sku, location, units_short,
                   units - units_short
            from reservations where state = 'held' and units_short > 0
        ) as waiting
        where (%(sku)s::text is null or sku = %(sku)s)
          and (%(since)s::timestamptz is null
               or (since, source collate "C", sku, location) > (%(since)s, %(source)s, %(after_sku)s, %(location)s))
        order by since, source collate "C", sku, location limit %(limit)s
        """,
        {
            "sku": sku,
            "limit": limit,
            "since": after.since if after else None,
            "source": after.source if after else "",
            "after_sku": after.sku if after else "",
            "location": after.location if after else "",
        },
    )
    return await cursor.fetchall()


async def location_rows(tx: Transaction) -> list[LocationRow]:
    """All locations, in the order of their names."""
    cursor = tx.cursor(row_factory=class_row(LocationRow))
    await cursor.execute("select location, title from locations order by location")
    return await cursor.fetchall()


async def balance_rows(
    tx: Transaction, *, sku: Sku | None = None, location: Location | None = None
) -> list[BalanceRow]:
    """All balances, or those of a SKU or a location, by SKU and location."""
    cursor = tx.cursor(row_factory=class_row(BalanceRow))
    await cursor.execute(
        """
        select sku, location,
               available + committed + reserved + damaged + quality_control + safety_stock as on_hand,
               available, committed, reserved, damaged, quality_control, safety_stock, incoming, version
        from balances
        where (%(sku)s::text is null or sku = %(sku)s) and (%(location)s::text is null or location = %(location)s)
        order by sku, location
        """,
        {"sku": sku, "location": location},
    )
    return await cursor.fetchall()


async def inspection_rows(
    tx: Transaction,
    *,
    sku: Sku | None = None,
    location: Location | None = None,
    after: BalanceKey | None = None,
    limit: int,
) -> list[InspectionRow]:
    """Balances with units in quality control or damaged, by SKU and location."""
    cursor = tx.cursor(row_factory=class_row(InspectionRow))
    await cursor.execute(
        """
        select b.sku, b.location, b.quality_control, b.damaged, (
            select m.posted_at from movements m
            where m.sku = b.sku and m.to_location = b.location and m.to_account in ('quality_control', 'damaged')
            order by m.movement_id desc limit 1) as since
        from balances b
        where b.quality_control + b.damaged > 0 and (b.sku, b.location) > (%(after_sku)s, %(after_location)s)
          and (%(sku)s::text is null or b.sku = %(sku)s) and (%(location)s::text is null or b.location = %(location)s)
        order by b.sku, b.location limit %(limit)s
        """,
        {
            "sku": sku,
            "location": location,
            "after_sku": after[0] if after else "",
            "after_location": after[1] if after else "",
            "limit": limit,
        },
    )
    return await cursor.fetchall()
