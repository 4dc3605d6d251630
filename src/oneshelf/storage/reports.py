"""Questions of a report over a whole run: what order lines hold, how fast sales became proof, what drifted."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

from psycopg.rows import class_row

from oneshelf.domain.identity import Location, Sku
from oneshelf.domain.wholesale import WHOLESALE
from oneshelf.storage.database import Transaction, only_row


class HeldLine(NamedTuple):
    """What the ledger holds for one order line, in base units: pending, committed, shipped or short.

    Of a wholesale order, which goes by its number: what it is allocated, and what it waits for.
    """

    channel: str
    order_id: str
    line_id: str
    units_held: int
    pack_units: int


class Waiting(NamedTuple):
    """Work that the steps have not done yet."""

    deliveries: int
    orders: int
    touched_skus: int


class Latency(NamedTuple):
    """Seconds from a sale seen until the other listings of its SKU were proved to show a figure that knows of it.

    `channel`: of the listings that followed; None for all of them together, where the last one counts.
    `unproven_count`: sales for which that has not happened.
    """

    channel: str | None
    sale_count: int
    unproven_count: int
    p50_s: float | None
    p95_s: float | None
    p99_s: float | None


class DriftCount(NamedTuple):
    """Drifts with one cause, and how they ended."""

    cause: str
    resolution: str
    opened_count: int
    resolved_count: int


class FeedCount(NamedTuple):
    """A feed of many figures. `stuck_after_s`: when it was found to be stuck; `left_count`: what it still carries."""

    channel: str
    write_count: int
    stuck_after_s: float | None
    has_ended: bool
    left_count: int
    words: str


async def feeds(tx: Transaction) -> list[FeedCount]:
    """All feeds, the oldest first."""
    cursor = tx.cursor(row_factory=class_row(FeedCount))
    await cursor.execute(
        """
        select channel, write_count, extract(epoch from stuck_at - begun_at)::float8 as stuck_after_s,
               ended_at is not null as has_ended, words,
               (select count(*) from listings l where l.feed_id = f.feed_id) as left_count
        from feeds f order by begun_at
        """
    )
    return await cursor.fetchall()


async def held_lines(tx: Transaction) -> list[HeldLine]:
    """Every order line of the ledger, also of wholesale orders that nothing was shipped of: all that is ordered."""
    cursor = tx.cursor(row_factory=class_row(HeldLine))
    await cursor.execute(
        """
        select channel, order_id, line_id, pack_units,
               units_pending + units_committed + units_shipped + units_short as units_held
        from order_lines
        union all
        select %(wholesale)s, o.po_number, l.line_id, 1, l.units_ordered - l.units_cancelled
        from wholesale_lines l join wholesale_orders o using (order_id)
        """,
        {"wholesale": WHOLESALE},
    )
    return await cursor.fetchall()


async def held_orders(tx: Transaction) -> int:
    """How many orders the ledger holds, those of wholesale among them."""
    cursor = await tx.execute("select (select count(*) from orders) + (select count(*) from wholesale_orders)")
    return int((await only_row(cursor))[0])


async def waiting(tx: Transaction) -> Waiting:
    """What is queued between the steps now."""
    cursor = await tx.execute(
        """
        select (select count(*) from inbox where state = 'new'), (select count(*) from facts where state = 'new'),
               (select count(*) from touched)
        """
    )
    return Waiting(*await only_row(cursor))


async def sold_out(tx: Transaction, *, location: Location, limit: int = 500) -> list[Sku]:
    """SKUs of which nothing is free to sell there."""
    cursor = await tx.execute(
        "select sku from balances where location = %(location)s and available = 0 order by sku limit %(limit)s",
        {"location": location, "limit": limit},
    )
    return [Sku(sku) async for (sku,) in cursor]


_LATENCIES = """
    with sales as (
        select m.sku, m.movement_id, m.version, m.from_location as location, l.channel, l.channel_sku, o.seen_at
        from movements m
        join order_lines l
          on l.sku = m.sku and m.source = 'order ' || l.channel || '/' || l.order_id || '/' || l.line_id
        join orders o on o.channel = l.channel and o.order_id = l.order_id
        where m.from_account = 'available' and m.reason in ('pending', 'committed')
          and (%(seen_since)s::timestamptz is null or o.seen_at >= %(seen_since)s)
    ), levels as (
        select sku, location, version, sum(change) over (partition by sku, location order by version) as available
        from (
            select sku, version, coalesce(from_location, to_location) as location,
                   case when to_account = 'available' then units when from_account = 'available' then -units
                   else 0 end as change
            from movements
        ) as changes
    ), known as (
        select p.channel, p.channel_sku, p.sku, p.version as figure, p.units, p.verified_at,
               ledger.location, ledger.version::bigint as version
        from publications p, jsonb_each_text(p.derivation -> 'ledger_versions') as ledger (location, version)
    ), followed as (
        select s.movement_id, s.seen_at, g.channel, after.verified_at
        from sales s
        join listings g on g.sku = s.sku and (g.channel, g.channel_sku) <> (s.channel, s.channel_sku)
        -- Those that show units of the place where it was sold.
        join channels c on c.channel = g.channel and c.shows_figures and c.location = s.location
        left join lateral (
            select k.units from known k
            where k.channel = g.channel and k.channel_sku = g.channel_sku and k.sku = s.sku
              and k.location = s.location and k.version < s.version
            order by k.figure desc limit 1
        ) as before on true
        left join lateral (
            select min(k.version) as version, min(k.verified_at) as verified_at from known k
            where k.channel = g.channel and k.channel_sku = g.channel_sku and k.sku = s.sku
              and k.location = s.location and k.version >= s.version
        ) as after on true
        where not exists (
            select from levels v
            where v.sku = s.sku and v.location = s.location and v.version > s.version
              and v.version < coalesce(after.version, 9e18)
              and v.available / g.pack_units = before.units
        )
    ), proofs as (
        select channel, extract(epoch from verified_at - seen_at)::float8 as seconds from followed
        union all
        select null, case when bool_and(verified_at is not null)
                          then extract(epoch from max(verified_at) - min(seen_at))::float8 end
        from followed group by movement_id
    )
    select channel, count(*) as sale_count, count(*) filter (where seconds is null) as unproven_count,
           percentile_cont(0.50) within group (order by seconds) as p50_s,
           percentile_cont(0.95) within group (order by seconds) as p95_s,
           percentile_cont(0.99) within group (order by seconds) as p99_s
    from proofs group by channel order by channel nulls first
"""


async def latencies(tx: Transaction, *, seen_since: datetime | None = None) -> list[Latency]:
    """How long proof took: over all channels first, then for each channel that followed the sales of others.

    A sale that a cancellation undid before any figure with it was planned needed no publication. Such a sale is left
    out: the available units between its movement and the next publication came back to what was published before.
    """
    cursor = tx.cursor(row_factory=class_row(Latency))
    await cursor.execute(
        _LATENCIES,
        {"seen_since": seen_since},
    )
    return await cursor.fetchall()


async def drift_counts(tx: Transaction) -> list[DriftCount]:
    """All drifts there ever were, by cause and end."""
    cursor = tx.cursor(row_factory=class_row(DriftCount))
    await cursor.execute(
        """
        select cause, resolution, count(*) as opened_count, count(resolved_at) as resolved_count
        from drifts group by cause, resolution order by cause, resolution
        """
    )
    return await cursor.fetchall()
