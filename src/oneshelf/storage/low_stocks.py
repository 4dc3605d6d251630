"""Rows of `reorder_rules` and `low_stocks`: when a SKU is low, and which are low now."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

from psycopg.rows import class_row

from oneshelf.domain.identity import Sku
from oneshelf.domain.reorder import CLEARED_AT, ReorderRule, ReorderScope
from oneshelf.storage.database import Transaction, only_row

_WEEK_S = 7 * 86_400.0
# Units sold a day, over the last week or as long as the SKU is known, a day at least.
_PER_DAY = """
    (coalesce(n.units, 0) / (greatest(86400, least(%(week_s)s, extract(epoch from db_now() - s.created_at))) / 86400))
"""
_SOLD = """
    left join (
        select sku, sum(units) as units from sku_sales
        where slot_at >= db_now() - make_interval(secs => %(week_s)s) group by sku
    ) as n on n.sku = s.sku
"""


class LowRow(NamedTuple):
    """A SKU that is low. `days_left`: at what it sells; None where it sells nothing."""

    sku: Sku
    title: str
    available: int
    incoming: int
    reorder_at: int
    sold_per_day: float
    days_left: float | None
    since: datetime


class ReorderRow(NamedTuple):
    """A rule and its scope, by whom and when it was said."""

    sku: str
    sku_group: str
    units: int | None
    cover_days: int | None
    set_by: str
    set_at: datetime


async def set_rule(tx: Transaction, scope: ReorderScope, rule: ReorderRule, *, by: str) -> None:
    """From now on this rule holds for its scope."""
    await tx.execute(
        """
        insert into reorder_rules (sku, sku_group, units, cover_days, set_by)
        values (%(sku)s, %(sku_group)s, %(units)s, %(cover_days)s, %(by)s)
        on conflict (sku_group, sku) do update set
            units = excluded.units, cover_days = excluded.cover_days, set_by = excluded.set_by, set_at = db_now()
        where (reorder_rules.units, reorder_rules.cover_days) is distinct from (excluded.units, excluded.cover_days)
        """,
        {**_named(scope), "units": rule.units, "cover_days": rule.cover_days, "by": by},
    )


async def end_rule(tx: Transaction, scope: ReorderScope) -> None:
    """Nothing is said of this scope any more."""
    await tx.execute("delete from reorder_rules where sku = %(sku)s and sku_group = %(sku_group)s", _named(scope))


async def rules(tx: Transaction) -> list[ReorderRow]:
    """All rules: that of all, those of groups, those of SKUs."""
    cursor = tx.cursor(row_factory=class_row(ReorderRow))
    await cursor.execute(
        "select sku, sku_group, units, cover_days, set_by, set_at from reorder_rules order by sku, sku_group"
    )
    return await cursor.fetchall()


async def watch(tx: Transaction) -> int:
    """Compare what is there with the reorder points. Returns how many SKUs became low, or are so no more.

    A SKU of which no unit ever was anywhere is low only by a rule of its own.
    """
    cursor = await tx.execute("select exists (select from reorder_rules) or exists (select from low_stocks)")
    (has_work,) = await only_row(cursor)
    if not has_work:
        return 0
    cursor = await tx.execute(
        f"""
        with points as (
            select s.sku, b.available, case
                       when own.sku is not null then coalesce(own.units, ceil(own.cover_days * {_PER_DAY}))
                       when grouped.sku is not null then coalesce(grouped.units, ceil(grouped.cover_days * {_PER_DAY}))
                       else coalesce(every.units, ceil(every.cover_days * {_PER_DAY}))
                   end::bigint as reorder_at
            from skus s
            left join (
                select sku, sum(available) as available from balances where version > 0 group by sku
            ) as b on b.sku = s.sku
            {_SOLD}
            left join reorder_rules own on own.sku = s.sku and own.sku_group = '' and own.sku <> ''
            left join reorder_rules grouped on grouped.sku = '' and grouped.sku_group = s.sku_group
            left join reorder_rules every on every.sku = '' and every.sku_group = ''
            where (own.sku is not null or b.sku is not null and (grouped.sku is not null or every.sku is not null))
              and not exists (select from bundle_components p where p.sku = s.sku)
        ), level as (
            select p.sku, p.reorder_at, l.sku is not null as was_low,
                   p.reorder_at > 0 and coalesce(p.available, 0) <= p.reorder_at as is_low,
                   p.reorder_at > 0 and coalesce(p.available, 0)
                       < greatest(p.reorder_at + 1, ceil(p.reorder_at * %(cleared_at)s)) as may_stay
            from points p left join low_stocks l on l.sku = p.sku
        ), fell as (
            insert into low_stocks (sku, reorder_at)
            select sku, reorder_at from level where is_low and not was_low order by sku
            on conflict do nothing returning sku
        ), moved as (
            update low_stocks l set reorder_at = v.reorder_at from level v
            where v.sku = l.sku and v.was_low and v.may_stay and v.reorder_at <> l.reorder_at
        ), rose as (
            delete from low_stocks l
            where not exists (select from level v where v.sku = l.sku and v.may_stay) returning l.sku
        )
        select (select count(*) from fell) + (select count(*) from rose)
        """,
        {"week_s": _WEEK_S, "cleared_at": CLEARED_AT},
    )
    (count,) = await only_row(cursor)
    return int(count)


async def count(tx: Transaction) -> int:
    """How many SKUs are low."""
    (found,) = await only_row(await tx.execute("select count(*) from low_stocks"))
    return int(found)


async def rows(tx: Transaction, *, after: str = "", limit: int) -> list[LowRow]:
    """SKUs that are low, by name."""
    cursor = tx.cursor(row_factory=class_row(LowRow))
    await cursor.execute(
        f"""
        select low.sku, low.title, low.available, low.incoming, low.reorder_at, low.per_day as sold_per_day,
               case when low.per_day > 0 then low.available / low.per_day end as days_left, low.since
        from (
            select l.sku, s.title, coalesce(b.available, 0)::bigint as available,
                   coalesce(b.incoming, 0)::bigint as incoming, l.reorder_at, ({_PER_DAY})::float8 as per_day, l.since
            from low_stocks l join skus s on s.sku = l.sku
            {_SOLD}
            left join lateral (
                select sum(available) as available, sum(incoming) as incoming from balances where sku = l.sku
            ) as b on true
            where l.sku > %(after)s order by l.sku limit %(limit)s
        ) as low order by low.sku
        """,
        {"week_s": _WEEK_S, "after": after, "limit": limit},
    )
    return await cursor.fetchall()


def _named(scope: ReorderScope) -> dict[str, str]:
    return {"sku": scope.sku or "", "sku_group": scope.sku_group or ""}
