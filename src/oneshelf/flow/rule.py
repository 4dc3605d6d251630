"""Say what each listing may show of what is available to sell: the rule of a scope, its allocation plan, and how all
SKUs are shared.

Reads: names, policies, allocation plans. Writes: these and who changed them, when pools are due to be refilled, the
group of a SKU, the modes of many; marks the SKUs whose listings must be planned again.
Next: plan.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from oneshelf.domain.allocation import AllocationPlan
from oneshelf.domain.identity import Sku
from oneshelf.domain.outcome import UnknownSku
from oneshelf.domain.policy import Rule, Scope, UnknownChannel, changed
from oneshelf.domain.rights import Mode
from oneshelf.storage import allocations, catalog, offers, policies, pools, rights
from oneshelf.storage.database import Database


@dataclass(frozen=True, slots=True)
class Ruled:
    """Done: this is what is stated for the scope now, and so many listings are in it. Without a term it has ended."""

    rule: Rule
    listing_count: int


async def put_rule(database: Database, rule: Rule, *, actor: str) -> Ruled | UnknownSku | UnknownChannel:
    """Have this rule, and no other, for its scope. Saying it again changes nothing."""
    async with database.transaction() as tx:
        if refusal := await policies.unknown(tx, rule.scope):
            return refusal
        await policies.lock(tx)
        await policies.put(tx, rule, actor=actor)
        return Ruled(rule, await offers.count_in_scope(tx, rule.scope))


async def put_rules(database: Database, rules: Sequence[Rule], *, actor: str, is_trial: bool = False) -> list[bool]:
    """Have these rules for their scopes, all of them or none; for each whether that is news. Their names are known.

    `is_trial`: only say it.
    """
    async with database.transaction() as tx:
        if not is_trial:
            await policies.lock(tx)
        before = [await policies.find(tx, rule.scope) for rule in rules]
        news = [old is None or old.stated() != rule.stated() for old, rule in zip(before, rules, strict=True)]
        for rule, is_news in zip(rules, news, strict=True):
            if is_news and not is_trial:
                await policies.put(tx, rule, actor=actor)
    return news


async def change_rule(
    database: Database, scope: Scope, changes: Mapping[str, int | bool | None], *, actor: str
) -> Ruled | UnknownSku | UnknownChannel:
    """Say some terms of a scope's rule anew and leave the others; None: nothing is stated of that term any more.

    Raises MalformedError for terms that no rule may have, see `domain.policy.Terms`.
    """
    async with database.transaction() as tx:
        if refusal := await policies.unknown(tx, scope):
            return refusal
        await policies.lock(tx)
        rule = changed(await policies.find(tx, scope) or Rule(scope=scope), changes)
        await policies.put(tx, rule, actor=actor)
        return Ruled(rule, await offers.count_in_scope(tx, scope))


async def end_rule(database: Database, scope: Scope, *, actor: str) -> Rule | UnknownSku | UnknownChannel | None:
    """State nothing for this scope any more. The rule that it had, or None where it had none."""
    async with database.transaction() as tx:
        if refusal := await policies.unknown(tx, scope):
            return refusal
        await policies.lock(tx)
        ended = await policies.find(tx, scope)
        await policies.put(tx, Rule(scope=scope), actor=actor)
    return ended


@dataclass(frozen=True, slots=True)
class PlanPut:
    """Done: this plan holds for its scope now, and so many listings are in it."""

    plan: AllocationPlan
    listing_count: int


async def put_plan(database: Database, plan: AllocationPlan, *, actor: str) -> PlanPut | UnknownSku | UnknownChannel:
    """Have this allocation plan, and no other, for its scope. Saying it again changes nothing, and refills nothing."""
    async with database.transaction() as tx:
        if refusal := await allocations.unknown(tx, plan.scope, plan):
            return refusal
        await allocations.lock(tx)
        await allocations.put(tx, plan.scope, plan, actor=actor)
        return PlanPut(plan, await offers.count_in_scope(tx, plan.scope))


async def end_plan(
    database: Database, scope: Scope, *, actor: str
) -> AllocationPlan | UnknownSku | UnknownChannel | None:
    """Have no allocation plan for this scope any more. The plan that it had, or None where it had none."""
    async with database.transaction() as tx:
        if refusal := await allocations.unknown(tx, scope, None):
            return refusal
        await allocations.lock(tx)
        ended = await allocations.find(tx, scope)
        await allocations.put(tx, scope, None, actor=actor)
    return ended


async def refill_pools(database: Database, sku: Sku) -> int | UnknownSku:
    """Have all that is available of a SKU shared anew among its pools. Returns at how many locations it has some."""
    async with database.transaction() as tx:
        return await pools.ask_refill(tx, sku) if await catalog.known_skus(tx, [sku]) else UnknownSku(sku)


async def put_in_group(database: Database, sku: Sku, sku_group: str | None, *, actor: str) -> UnknownSku | None:
    """Have a SKU in this group, None: in none. A SKU is in one group at most."""
    async with database.transaction() as tx:
        return None if await policies.put_in_group(tx, sku, sku_group, actor=actor) else UnknownSku(sku)


async def share_all(
    database: Database, mode: Mode, *, sku_group: str | None, guard_at_units: int | None, allowance_units: int
) -> tuple[int, int]:
    """Have all SKUs, or those of a group, share their units so. Returns how many changed, and how many stay frozen.

    Batch by batch: what is interrupted has changed the first of them, and saying it again does the rest.
    """
    changed_count = frozen_count = 0
    after = ""
    while True:
        async with database.transaction() as tx:
            done = await rights.set_mode_of_batch(
                tx,
                mode,
                sku_group=sku_group,
                guard_at_units=guard_at_units,
                allowance_units=allowance_units,
                after=after,
            )
        changed_count, frozen_count = changed_count + done.changed_count, frozen_count + done.frozen_count
        if not done.last:
            return changed_count, frozen_count
        after = done.last
