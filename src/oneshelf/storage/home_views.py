"""What stands first on the home page: what waits, what could be sold twice, and how many orders came in.

`waiting` and `orders_by_hour` read what is open or new, by index, however large the catalogue is. `totals` and
`exposure` read all of it: `tallies` keeps their answers.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, NamedTuple

from psycopg import AsyncCursor
from psycopg.rows import class_row

from oneshelf.domain.identity import Location, Sku
from oneshelf.storage.database import Transaction, only_row

ON_HAND = "available + committed + reserved + damaged + quality_control + safety_stock"


class Exposed(NamedTuple):
    """A SKU at a location of which units could be sold twice now; `exposure_units` None: a listing was never read."""

    sku: Sku
    location: Location
    available: int
    sellable_by_listings: int | None
    exposure_units: int | None


class Exposure(NamedTuple):
    """The worst case of the whole shelf in units, at how many places, and at how many nobody knows; the worst places.

    What nobody knows is not among the units. `scarce_units`, `scarce_count`: of those places where the listings share
    the units, since these are few or a person said so: there a sale of too much is near. `worst` has these first.
    """

    units: int
    place_count: int
    unknown_count: int
    worst: list[Exposed]
    scarce_units: int = 0
    scarce_count: int = 0


class HourOfOrders(NamedTuple):
    """Orders that the ledger took up within the hour that began then."""

    hour_at: datetime
    order_count: int


async def waiting(tx: Transaction) -> dict[str, Any]:
    """What `views.Overview` says of queues, of what is parked, of drifts and of what is short."""
    cursor = await tx.execute(
        """
        select i.*, f.*, w.*, (select count(*) from inbox where state = 'parked') as parked_deliveries,
               (select count(*) from (select distinct channel, order_id from facts where state = 'parked') as orders)
                   as parked_orders, d.*, o.*
        from (
            select count(*) as inbox_waiting, extract(epoch from db_now() - min(received_at))::float8 as inbox_oldest_s
            from inbox where state = 'new'
        ) as i cross join (
            select count(*) as facts_waiting, extract(epoch from db_now() - min(received_at))::float8 as facts_oldest_s
            from facts where state = 'new'
        ) as f cross join (
            select count(*) as wanted_orders, extract(epoch from db_now() - min(wanted_at))::float8 as wanted_oldest_s
            from wanted_orders
        ) as w cross join (
            select count(*) as drift_count, extract(epoch from db_now() - min(opened_at))::float8 as drift_oldest_s
            from drifts where resolved_at is null
        ) as d cross join (
            select count(*) as short_line_count, coalesce(sum(units_short), 0)::bigint as short_units,
                   extract(epoch from db_now() - min(since))::float8 as short_oldest_s
            from (select units_short, placed_at as since from order_lines where units_short > 0
                  union all
                  select units_short, created_at from reservations where state = 'held' and units_short > 0) as waiting
        ) as o
        """
    )
    return await _named(cursor)


async def totals(tx: Transaction) -> dict[str, Any]:
    """What `views.Overview` says of all SKUs, balances and orders."""
    cursor = await tx.execute(
        f"""
        select (select count(*) from skus) as sku_count, b.*,
               (select count(*) from orders) as order_count
        from (
            select coalesce(sum({ON_HAND}), 0)::bigint as units_on_hand,
                   coalesce(sum(available), 0)::bigint as units_available,
                   coalesce(sum(committed), 0)::bigint as units_committed,
                   coalesce(sum(reserved), 0)::bigint as units_reserved
            from balances
        ) as b
        """
    )
    return await _named(cursor)


async def exposure(tx: Transaction, *, limit: int) -> Exposure:
    """How many units could be sold twice now at worst, and the places where most could be."""
    cursor = await tx.execute(
        """
        with placed as (
            select g.sku, g.location, coalesce(b.available, 0) as available, s.is_guarded as is_scarce,
                   case when not g.has_unread then g.units end as sellable,
                   case when not g.has_unread then greatest(0, g.units - coalesce(b.available, 0)
                       + case when s.is_guarded then s.allowance_units else 0 end + coalesce(t.units, 0)) end as exposed
            from granted g join skus s on s.sku = g.sku
            left join till_allowances t on t.location = g.location
            left join balances b on b.sku = g.sku and b.location = g.location
        )
        select sku, location, available, sellable::bigint, exposed::bigint,
               (sum(exposed) over ())::bigint, count(*) filter (where exposed > 0) over (),
               count(*) filter (where exposed is null) over (),
               (sum(exposed) filter (where is_scarce) over ())::bigint,
               count(*) filter (where exposed > 0 and is_scarce) over ()
        from placed where exposed is null or exposed > 0
        order by is_scarce and exposed > 0 desc nulls last, exposed desc nulls last, sku, location limit %(limit)s
        """,
        {"limit": limit},
    )
    rows = await cursor.fetchall()
    if not rows:
        return Exposure(0, 0, 0, [])
    *_, units, place_count, unknown_count, scarce_units, scarce_count = rows[0]
    worst = [Exposed(*row[:5]) for row in rows]
    return Exposure(units or 0, place_count, unknown_count, worst, scarce_units or 0, scarce_count)


async def orders_by_hour(tx: Transaction, *, hours: int) -> list[HourOfOrders]:
    """How many orders the ledger took up in each of the last hours, the oldest first; the newest hour is not over."""
    cursor = tx.cursor(row_factory=class_row(HourOfOrders))
    await cursor.execute(
        """
        with counted as (
            select date_trunc('hour', posted_at) as hour_at, count(*) as order_count from orders
            where posted_at >= date_trunc('hour', db_now()) - make_interval(hours => %(hours)s - 1) group by 1
        )
        select h as hour_at, coalesce(order_count, 0) as order_count
        from generate_series(date_trunc('hour', db_now()) - make_interval(hours => %(hours)s - 1),
                             date_trunc('hour', db_now()), interval '1 hour') as h
        left join counted on counted.hour_at = h order by h
        """,
        {"hours": hours},
    )
    return await cursor.fetchall()


async def _named(cursor: AsyncCursor[tuple[Any, ...]]) -> dict[str, Any]:
    row = await only_row(cursor)
    return dict(zip((column.name for column in cursor.description or ()), row, strict=True))
