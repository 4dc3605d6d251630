"""Rows of `allocation_plans`: which part of a SKU's units each channel may sell. Changes stand in `policy_changes`."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import NamedTuple

from psycopg.types.json import Jsonb

from oneshelf.domain.allocation import AllocationPlan, narrowest, plan_of
from oneshelf.domain.identity import Channel, Location, Sku
from oneshelf.domain.ledger import BalanceKey
from oneshelf.domain.outcome import UnknownSku
from oneshelf.domain.pattern import fits
from oneshelf.domain.policy import Scope, UnknownChannel
from oneshelf.storage import arrays, catalog, policies, touched
from oneshelf.storage.database import Transaction


class PlanRow(NamedTuple):
    """A plan, by whom and when it was last changed."""

    plan: AllocationPlan
    set_at: datetime
    set_by: str


async def lock(tx: Transaction) -> None:
    """Nobody else changes a plan until this transaction ends; everybody can read them."""
    await tx.execute("lock table allocation_plans in share row exclusive mode")


async def unknown(tx: Transaction, scope: Scope, plan: AllocationPlan | None) -> UnknownSku | UnknownChannel | None:
    """What a plan for this scope names and nobody knows."""
    if refusal := await policies.unknown(tx, scope):
        return refusal
    known = {row.channel for row in await catalog.channels(tx)}
    missing = [part.channel for part in plan.parts if part.channel not in known] if plan else []
    return UnknownChannel(missing[0]) if missing else None


async def find(tx: Transaction, scope: Scope) -> AllocationPlan | None:
    """The plan of exactly this scope."""
    cursor = await tx.execute(
        """
        select stated from allocation_plans
        where pattern = %(pattern)s and sku_group = %(sku_group)s and sku = %(sku)s
        """,
        _key(scope),
    )
    row = await cursor.fetchone()
    return plan_of(scope, row[0]) if row else None


async def put(tx: Transaction, scope: Scope, plan: AllocationPlan | None, *, actor: str) -> None:
    """Have this plan for its scope, None: no plan. The plans are locked. Saying it again changes nothing."""
    before = await find(tx, scope)
    if before == plan:
        return
    if plan is not None:
        await tx.execute(
            """
            insert into allocation_plans (pattern, sku_group, sku, stated, set_by)
            values (%(pattern)s, %(sku_group)s, %(sku)s, %(stated)s, %(actor)s)
            on conflict (pattern, sku_group, sku) do update set
                stated = excluded.stated, set_at = excluded.set_at, set_by = excluded.set_by
            """,
            {**_key(scope), "stated": Jsonb(plan.stated()), "actor": actor},
        )
    else:
        await tx.execute(
            """
            delete from allocation_plans
            where pattern = %(pattern)s and sku_group = %(sku_group)s and sku = %(sku)s
            """,
            _key(scope),
        )
    words = [one.in_words() if one else {} for one in (before, plan)]
    await policies.note(tx, scope, *words, actor=actor)
    await touched.mark_scope(tx, scope)


async def listed(tx: Transaction, *, after: tuple[str, str, str] | None = None, limit: int) -> list[PlanRow]:
    """Plans by pattern, group and SKU, the first after `after`, see `key_of`; that for everything first."""
    cursor = await tx.execute(
        """
        select pattern, sku_group, sku, stated, set_at, set_by from allocation_plans
        where %(is_first)s or (pattern, sku_group, sku) > (%(after_pattern)s, %(after_group)s, %(after_sku)s)
        order by pattern, sku_group, sku limit %(limit)s
        """,
        {
            "is_first": after is None,
            **dict(zip(("after_pattern", "after_group", "after_sku"), after or ("", "", ""), strict=True)),
            "limit": limit,
        },
    )
    return [
        PlanRow(plan_of(policies.scope_of("", group, sku, pattern), stated), set_at, set_by)
        async for pattern, group, sku, stated, set_at, set_by in cursor
    ]


def key_of(scope: Scope) -> tuple[str, str, str]:
    """Where the plan of this scope stands in the list."""
    return (scope.pattern or "", scope.sku_group or "", scope.sku or "")


async def plans_of(
    tx: Transaction, skus: Collection[Sku], *, wish: tuple[Scope, AllocationPlan | None] | None = None
) -> dict[Sku, AllocationPlan]:
    """The plan that holds for each of these SKUs that one reaches. `wish`: as if this stood for that scope."""
    cursor = await tx.execute("select pattern, stated from allocation_plans where pattern <> ''")
    like = [plan_of(Scope(pattern=pattern), stated) async for pattern, stated in cursor]
    cursor = await tx.execute(
        """
        select s.sku, coalesce(s.sku_group, ''), p.sku_group, p.sku, p.stated
        from skus s
        left join lateral (
            select p.* from (values ('', s.sku), (coalesce(s.sku_group, ''), ''), ('', '')) as k (sku_group, sku)
            join allocation_plans p on p.pattern = '' and p.sku_group = k.sku_group and p.sku = k.sku
        ) p on true
        where s.sku = any(%(skus)s::text[]) and (%(is_all)s or p.stated is not null)
        """,
        {"skus": arrays.texts(sorted(skus)), "is_all": bool(like) or wish is not None},
    )
    found: dict[Sku, dict[Scope, AllocationPlan]] = {}
    async for sku, group, plan_group, plan_sku, stated in cursor:
        if sku not in found:
            found[Sku(sku)] = {plan.scope: plan for plan in like if fits(plan.scope.pattern or "", Sku(sku))}
        of_sku = found[Sku(sku)]
        if stated is not None:
            scope = policies.scope_of("", plan_group, plan_sku)
            of_sku[scope] = plan_of(scope, stated)
        if wish is not None and wish[0].reaches(sku=Sku(sku), sku_group=group or None, channel=Channel("")):
            of_sku.pop(wish[0], None)
            if wish[1] is not None:
                of_sku[wish[0]] = wish[1]
    return {sku: plan for sku, plans in found.items() if (plan := narrowest(plans.values()))}


async def sellers_of(tx: Transaction, skus: Collection[Sku]) -> dict[BalanceKey, set[Channel]]:
    """The channels that sell these counted SKUs from each location, by themselves or in a bundle."""
    cursor = await tx.execute(
        """
        select distinct sold.sku, c.location, sold.channel from (
            select sku, channel from listings where sku = any(%(skus)s::text[])
            union all
            select b.component, l.channel from bundle_components b join listings l on l.sku = b.sku
            where b.component = any(%(skus)s::text[])
        ) as sold join channels c on c.channel = sold.channel
        where not exists (select from bundle_components b where b.sku = sold.sku)
        """,
        {"skus": arrays.texts(sorted(skus))},
    )
    found: dict[BalanceKey, set[Channel]] = {}
    async for sku, location, channel in cursor:
        found.setdefault((Sku(sku), Location(location)), set()).add(Channel(channel))
    return found


def _key(scope: Scope) -> dict[str, str]:
    return dict(zip(("pattern", "sku_group", "sku"), key_of(scope), strict=True))
