"""Bring the pools of SKUs up to date with the ledger: what planning does with them, and who looks ahead or explains."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from oneshelf.domain.allocation import SALES_LINES_MIN, AllocationPlan, rebalanced
from oneshelf.domain.identity import Channel, Location, Sku
from oneshelf.domain.ledger import Balance, BalanceKey
from oneshelf.domain.policy import Scope
from oneshelf.domain.pool import Pools, carve
from oneshelf.storage import allocations, demand, pools
from oneshelf.storage.database import Transaction

Shelves = Mapping[Sku, Mapping[Location, Balance]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What somebody asks about. `scope`, `plan`: as if this plan stood for that scope, None: no plan. `refilled`: as if
    the pools of these SKUs were refilled now.
    """

    scope: Scope | None = None
    plan: AllocationPlan | None = None
    refilled: frozenset[Sku] = field(default_factory=frozenset)


async def keep_pools(
    tx: Transaction, shelves: Shelves, planned: Collection[Sku], *, at: datetime
) -> dict[BalanceKey, Pools]:
    """The pools of these SKUs as of these shelves, brought up to date. Those of SKUs that are `planned` are stored."""
    stored = await pools.read(tx, {*shelves, *planned}, is_locked=True)
    held = await _brought_up(tx, shelves, stored, at=at, wish=Wish())
    await pools.drop(tx, [key for key in stored.keys() - held.keys() if key[0] in planned])
    news = {key: one for key, one in held.items() if key not in stored or one is not stored[key].pools}
    await pools.save(tx, {key: one for key, one in news.items() if key[0] in planned}, at=at)
    return await sellable(tx, held)


async def pools_now(
    tx: Transaction, shelves: Shelves, *, at: datetime, wish: Wish | None = None
) -> dict[BalanceKey, Pools]:
    """The same without storing anything, units in suspense and all; `wish`: as they would be."""
    return await _brought_up(tx, shelves, await pools.read(tx, shelves), at=at, wish=wish or Wish())


async def sellable_now(tx: Transaction, shelves: Shelves, *, at: datetime) -> dict[BalanceKey, Pools]:
    """What of the pools can be sold now: less what is in suspense."""
    return await sellable(tx, await pools_now(tx, shelves, at=at))


async def _brought_up(
    tx: Transaction, shelves: Shelves, stored: Mapping[BalanceKey, pools.Followed], *, at: datetime, wish: Wish
) -> dict[BalanceKey, Pools]:
    said = (wish.scope, wish.plan) if wish.scope is not None else None
    plans = await allocations.plans_of(tx, shelves, wish=said)
    if not plans:
        return {}
    sellers = await allocations.sellers_of(tx, plans)
    # Where none of the channels that sell it is named, all of it is the rest, and they show nothing.
    wanted = {key: channels for key, channels in sellers.items() if key[1] in shelves[key[0]]}
    held: dict[BalanceKey, Pools] = {}
    anew: dict[BalanceKey, str] = {}
    behind: dict[BalanceKey, tuple[pools.Followed, int]] = {}
    for key, channels in wanted.items():
        was, balance, plan = stored.get(key), shelves[key[0]][key[1]], plans[key[0]]
        if was is None:
            anew[key] = "the plan is new"
        elif not was.pools.is_of(plan, channels):
            anew[key] = "the plan or who sells changed"
        elif key[0] in wish.refilled or (was.pools.refill_at is not None and was.pools.refill_at <= at):
            anew[key] = "a refill"
        elif was.pools.version < balance.version:
            behind[key] = (was, balance.version)
        else:
            # A plan of another scope may say the same.
            held[key] = was.pools if was.pools.plan == plan else was.pools.copied(plan)
    changes = await pools.changes_of(tx, behind) if behind else {}
    for key, (was, version) in behind.items():
        held[key] = was.pools.copied(plans[key[0]])
        held[key].follow(changes.get(key, []), available=shelves[key[0]][key[1]].available, version=version)
    return held | await _carved(tx, shelves, {key: (plans[key[0]], wanted[key], why) for key, why in anew.items()}, at)


async def _carved(
    tx: Transaction,
    shelves: Shelves,
    wishes: Mapping[BalanceKey, tuple[AllocationPlan, Collection[Channel], str]],
    at: datetime,
) -> dict[BalanceKey, Pools]:
    moving = {sku for (sku, _), (plan, _, _) in wishes.items() if plan.rebalance_points}
    selling = await demand.selling(tx, moving) if moving else {}
    found = {}
    for (sku, location), (plan, channels, why) in wishes.items():
        balance, parts = shelves[sku][location], plan.parts_of(channels)
        sold = selling[sku].sold if sku in selling else {}
        is_known = sum(sold[part.channel].line_count for part in parts if part.channel in sold) >= SALES_LINES_MIN
        found[sku, location] = carve(
            plan,
            rebalanced(
                parts,
                {channel: one.units for channel, one in sold.items()} if is_known else {},
                points=plan.rebalance_points,
            ),
            channels,
            available=balance.available,
            version=balance.version,
            at=at,
            why=why,
        )
    return found


async def sellable(tx: Transaction, held: Mapping[BalanceKey, Pools]) -> dict[BalanceKey, Pools]:
    """The same less what is in suspense."""
    if not held:
        return {}
    in_suspense = await pools.in_suspense(tx, {sku for sku, _ in held})
    return {key: one.less(in_suspense.get(key, {})) for key, one in held.items()}
