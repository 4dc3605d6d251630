"""What an audit looks at: everything, or the SKUs that moved since the auditor's position. Tables of one transaction.

`summed_accounts`: the sums of the movements by account; outside accounts are at the location ''.
`new_movements`: those of transactions from the position on. `is_settled`: below the next position too.
`checked_skus`: those that moved, those with an open violation, and the next of the patrol; the last two are looked at
with all of their history (`is_whole`).
`checked_reservations`, `checked_orders`, `checked_listings`, `listing_skus`: what these movements and SKUs belong to.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from oneshelf.storage.database import Transaction, only_row

# Reservations one by one would be millions of groups. So they are first compared by buckets: in each, both sides are
# summed with a weight for each reservation, drawn by a hash. Sides that differ anywhere differ in
# the sum, but for one chance in a thousand million; only what falls into a bucket that differs is looked at singly.
_BUCKETS = 65_535
_SOURCE = "hashtextextended(source, 0)"
_ID = "hashtextextended('reservation ' || reservation_id, 0)"


def _weight(text: str, bucket: str) -> str:
    """A number of 30 bits for `text` in its bucket, never 0."""
    return f"(hashtextextended({text}, {bucket}) >> 20 & 1073741823 | 1)"


# Products of a weight with more units than any shelf holds would not fit.
_UNITS_MAX = 1_000_000_000
_SUSPECTS = (
    f"""
    create temporary table suspect_reservations on commit drop as
    select bucket from (
        select {_SOURCE} & {_BUCKETS} as bucket,
               case when to_account = 'reserved' then least(units, {_UNITS_MAX}) * {_weight("sku", _SOURCE)} end as ins,
               case when from_account = 'reserved' then least(units, {_UNITS_MAX}) * {_weight("sku", _SOURCE)} end
                   as outs
        from movements where starts_with(source, 'reservation ')
        union all
        select {_ID} & {_BUCKETS}, -least(units - units_short + units_lost, {_UNITS_MAX}) * {_weight("sku", _ID)},
               case when state in ('released', 'expired')
                    then -least(units - units_short, {_UNITS_MAX}) * {_weight("sku", _ID)} end
        from reservations
    ) as sides group by bucket having coalesce(sum(ins), 0) <> 0 or coalesce(sum(outs), 0) <> 0
    """,
)


class Scope(NamedTuple):
    """`rows`: what the rules read, by the name that they have for it."""

    name: str
    rows: Mapping[str, str]


ALL = Scope(
    "all",
    {
        "balances": "balances",
        "lines": "order_lines",
        "reservations": "reservations",
        "transfers": "transfers",
        "shipments": "shipments",
        "bundles": "bundle_components",
        "orders": "orders",
        "lines_of_orders": "order_lines",
        "listings": "listings",
        "lines_of_listings": "order_lines",
        "moved_of": f"(select r.* from suspect_reservations join reservations r on bucket = {_ID} & {_BUCKETS})",
        "moved_reservations": f"""
            select sku, source, sum(case when to_account = 'reserved' then units else 0 end) as units_in,
                   sum(case when from_account = 'reserved' then units else 0 end) as units_out
            from suspect_reservations
            join movements on bucket = {_SOURCE} & {_BUCKETS} and starts_with(source, 'reservation ')
            group by 1, 2
        """,
    },
)
# Movement ids begin with the millisecond in which they were made: none of a reservation's is older than itself, however
# far (up to an hour) the clocks differ. So a SKU that sells all day is not read from its beginning each minute.
CHECKED = Scope(
    "checked",
    {
        "balances": "(select b.* from checked_skus join balances b using (sku))",
        "lines": "(select l.* from checked_skus join order_lines l using (sku))",
        "reservations": "(select r.* from checked_skus join reservations r using (sku))",
        "transfers": "(select t.* from checked_skus join transfers t using (sku))",
        "shipments": "(select s.* from checked_skus join shipments s using (sku))",
        "bundles": "(select c.* from checked_skus join bundle_components c using (sku))",
        "orders": "(select o.* from checked_orders join orders o using (channel, order_id))",
        "lines_of_orders": "(select l.* from checked_orders join order_lines l using (channel, order_id))",
        "listings": "(select g.* from checked_listings join listings g using (channel, channel_sku))",
        "lines_of_listings": """
            (select l.* from (select distinct sku from listing_skus) as s join order_lines l using (sku))
        """,
        "moved_of": """
            (select r.* from checked_reservations c
             join reservations r on r.sku = c.sku and r.reservation_id = c.reservation_id)
        """,
        "moved_reservations": """
            select m.sku, m.source, sum(case when to_account = 'reserved' then units else 0 end) as units_in,
                   sum(case when from_account = 'reserved' then units else 0 end) as units_out
            from (
                select sku, (case when min(since) > '-infinity' then lpad(to_hex((extract(epoch
                    from min(since) - interval '1 hour') * 1000)::bigint), 12, '0') else repeat('0', 12) end
                    || repeat('0', 20))::uuid as first_id
                from checked_reservations group by sku
            ) as b
            join movements m on m.sku = b.sku and m.movement_id >= b.first_id
            join checked_reservations c on c.sku = m.sku and c.source = m.source
            group by 1, 2
        """,
    },
)

_SUM_ALL = (
    """
    create temporary table summed_lanes on commit drop as
    select sku, from_location, from_account, to_location, to_account, sum(units) as units,
           sum(units) filter (where xid < %(position)s) as units_audited, count(*) as movement_count
    from movements group by 1, 2, 3, 4, 5
    """,
    """
    create temporary table summed_accounts on commit drop as
    with legs as (
        select sku, coalesce(to_location, '') as location, to_account as account, units, units_audited, movement_count
        from summed_lanes
        union all
        select sku, coalesce(from_location, ''), from_account, -units, -units_audited, 0 from summed_lanes
    )
    select sku, location, account, sum(units)::bigint as units,
           coalesce(sum(units_audited), 0)::bigint as units_audited, sum(movement_count)::bigint as movement_count
    from legs group by 1, 2, 3
    """,
)

_NEW_MOVEMENTS = """
    create temporary table new_movements on commit drop as
    select sku, from_location, from_account, to_location, to_account, units, source, xid < %(next)s as is_settled
    from movements where xid >= %(position)s
"""

_CHECKED = (
    """
    create temporary table checked_skus on commit drop as
    select sku, bool_or(is_whole) as is_whole from (
        select distinct sku, false as is_whole from new_movements
        union all
        select sku, true from audit_violations
        union all
        (select sku, true from skus where sku > %(after)s order by sku limit %(patrol)s)
    ) as named group by sku
    """,
    """
    create temporary table checked_reservations on commit drop as
    with named as (
        select distinct sku, source from new_movements where starts_with(source, 'reservation ')
        union
        select m.sku, m.source from checked_skus c join movements m using (sku)
        where c.is_whole and starts_with(m.source, 'reservation ')
        union
        select r.sku, 'reservation ' || r.reservation_id from checked_skus c join reservations r using (sku)
        where c.is_whole
    ), read as (
        select sku, source, case when substr(source, 13) ~ '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$'
                                 then substr(source, 13)::uuid end as reservation_id
        from named
    )
    select n.sku, n.source, n.reservation_id, coalesce(
        (select min(r.created_at) from reservations r where r.sku = n.sku and r.reservation_id = n.reservation_id),
        '-infinity') as since
    from read n
    """,
    # A source is "order channel/order/line", and ids may hold slashes: all ways to read it that are an order.
    """
    create temporary table checked_orders on commit drop as
    with sources as (
        select distinct split_part(substr(source, 7), '/', 1) as channel,
               substr(source, 8 + length(split_part(substr(source, 7), '/', 1))) as rest
        from new_movements where starts_with(source, 'order ')
    ), parts as (
        select channel, left(rest, at - 1) as order_id
        from sources cross join lateral generate_series(1, length(rest)) as at
        where substr(rest, at, 1) = '/'
    )
    select o.channel, o.order_id
    from (select distinct channel, order_id from parts) as p
    join orders o on o.channel = p.channel collate "C" and o.order_id = p.order_id collate "C"
    union
    select l.channel, l.order_id from checked_skus c join order_lines l using (sku) where c.is_whole
    """,
    # A listing that was linked to another SKU once has lines there.
    """
    create temporary table listing_skus on commit drop as
    with recursive had as (
        select g.channel, g.channel_sku, (
            select min(p.sku) from publications p where p.channel = g.channel and p.channel_sku = g.channel_sku
        ) as sku
        from checked_skus join listings g using (sku)
        union all
        select h.channel, h.channel_sku, (
            select min(p.sku) from publications p
            where p.channel = h.channel and p.channel_sku = h.channel_sku and p.sku > h.sku
        )
        from had h where h.sku is not null
    )
    select channel, channel_sku, sku from had where sku is not null
    union
    select g.channel, g.channel_sku, g.sku from checked_skus join listings g using (sku)
    """,
    # One that has ever sold a bundle, which never moves, has lines of components that nothing names any more: only
    # an audit of everything can tell.
    """
    create temporary table checked_listings on commit drop as
    select channel, channel_sku from (
        select l.channel, l.channel_sku, exists (select from audited_accounts a where a.sku = l.sku)
               or exists (select from new_movements m where m.sku = l.sku) as has_moved
        from listing_skus l
    ) as had group by 1, 2 having bool_and(has_moved)
    """,
    """
    create temporary table summed_accounts on commit drop as
    with legs as (
        select sku, coalesce(to_location, '') as location, to_account as account, units, 1 as movement_count
        from new_movements
        union all
        select sku, coalesce(from_location, ''), from_account, -units, 0 from new_movements
        union all
        select a.sku, a.location, a.account, a.units, 0 from checked_skus join audited_accounts a using (sku)
    )
    select sku, location, account, sum(units)::bigint as units, sum(movement_count)::bigint as movement_count
    from legs group by 1, 2, 3
    """,
)


async def hold_still(tx: Transaction) -> None:
    """Let every statement of this transaction see the same instant. To be called first."""
    await tx.execute("set transaction isolation level repeatable read")


async def sum_all(tx: Transaction, *, position: int) -> None:
    """Add up every movement, those of transactions below `position` also for themselves."""
    # By all cores, and in memory where that is enough.
    await tx.execute(
        """
        select set_config('work_mem', '192MB', true), set_config('jit', 'off', true),
               set_config('parallel_setup_cost', '0', true), set_config('parallel_tuple_cost', '0.001', true)
        """
    )
    for statement in (*_SUM_ALL, *_SUSPECTS):
        await tx.execute(statement.encode(), {"position": position} if "%(position)s" in statement else None)
        await tx.execute(f"analyze {statement.split()[3]}".encode())


async def sum_new(tx: Transaction, *, position: int, following: int, after: str, patrol: int) -> None:
    """Add up the movements of transactions from `position` on, on top of what was audited before.

    `following`: the next position. `after`, `patrol`: so many SKUs after that one are looked at whatever moved.
    """
    await tx.execute("select set_config('work_mem', '64MB', true), set_config('jit', 'off', true)")
    # The planner does not know yet what came in the last minute, and would read all for it.
    await tx.execute("select set_config('enable_seqscan', 'off', true)")
    await tx.execute(_NEW_MOVEMENTS, {"position": position, "next": following})
    await tx.execute("select set_config('enable_seqscan', 'on', true)")
    await tx.execute("analyze new_movements")
    for statement in _CHECKED:
        named = {"after": after, "patrol": patrol} if "%(after)s" in statement else None
        await tx.execute(statement.encode(), named)
        await tx.execute(f"analyze {statement.split()[3]}".encode())


async def last_patrolled(tx: Transaction, *, after: str, patrol: int) -> str:
    """The SKU where this patrol ends; '' where it has come to the last one, to begin again."""
    cursor = await tx.execute(
        """
        select case when count(*) = %(patrol)s then max(sku) end
        from (select sku from skus where sku > %(after)s order by sku limit %(patrol)s) as patrolled
        """,
        {"after": after, "patrol": patrol},
    )
    (sku,) = await only_row(cursor)
    return sku or ""
