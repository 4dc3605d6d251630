"""Rows of `touched`: SKUs whose listings have to be planned again."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import NamedTuple

from oneshelf.domain.identity import Sku
from oneshelf.domain.pattern import as_expression
from oneshelf.domain.policy import Scope
from oneshelf.storage import arrays
from oneshelf.storage.database import Transaction


async def mark(tx: Transaction, skus: Iterable[Sku]) -> None:
    """Note that the figures of these SKUs moved. Waits for nobody."""
    ordered = sorted(set(skus))
    if ordered:
        await tx.execute("insert into touched (sku) select unnest(%(skus)s::text[])", {"skus": arrays.texts(ordered)})


class Claimed(NamedTuple):
    """SKUs to plan. `has_pools`: some SKUs, perhaps none of these, are shared by an allocation plan or were."""

    skus: list[Sku]
    has_pools: bool


async def claim(tx: Transaction, *, limit: int) -> Claimed:
    """Take SKUs to plan, oldest mark first, each once, and those whose pools are due to be refilled.

    They are back if this transaction fails.
    """
    cursor = await tx.execute(
        """
        with claimed as (
            delete from touched where touch_id in (
                select touch_id from touched order by touch_id for update skip locked limit %(limit)s
            ) returning sku
        )
        select sku, exists (select from allocation_plans) or exists (select from pools) from claimed
        union all
        (select sku, true from pools where refill_at <= db_now() order by refill_at limit %(limit)s)
        """,
        {"limit": limit},
    )
    rows = await cursor.fetchall()
    return Claimed(sorted({Sku(sku) for sku, _ in rows}), any(has_pools for _, has_pools in rows))


async def mark_measured(tx: Transaction, skus: Collection[Sku]) -> None:
    """Note that what was measured of these SKUs moved: their thresholds, or the buffers that a rule asks for.

    Where the threshold leaves a SKU in mode auto as it is, guarded or not, nothing has to be planned.
    """
    await tx.execute(
        """
        insert into touched (sku)
        select s.sku from skus s
        left join sku_demand d on d.sku = s.sku and d.channel = ''
        where s.sku = any(%(skus)s::text[])
          and (s.mode = 'auto' and s.guard_at_units is null and exists (
                   select from balances b where b.sku = s.sku and b.available > 0
                      and case when s.is_guarded then 2 * b.available >= 3 * d.threshold_units
                               else b.available <= d.threshold_units end)
               or exists (select from policies where (stated ->> 'computed_buffer')::boolean
                                                  or (stated ->> 'low.computed_buffer')::boolean))
        """,
        {"skus": arrays.texts(sorted(skus))},
    )


async def mark_scope(tx: Transaction, scope: Scope) -> None:
    """Note that the figures of all SKUs moved that a rule for this scope can reach: those that have a listing in it."""
    await tx.execute(
        """
        insert into touched (sku)
        select distinct l.sku from listings l join skus s on s.sku = l.sku
        where (%(channel)s::text is null or l.channel = %(channel)s)
          and (%(sku)s::text is null or l.sku = %(sku)s)
          and (%(sku_group)s::text is null or s.sku_group = %(sku_group)s)
          and (%(expression)s::text is null or l.sku ~ %(expression)s)
        order by l.sku
        """,
        {
            "channel": scope.channel,
            "sku": scope.sku,
            "sku_group": scope.sku_group,
            "expression": as_expression(scope.pattern) if scope.pattern is not None else None,
        },
    )
