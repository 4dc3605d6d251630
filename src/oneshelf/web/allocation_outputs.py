"""What the API answers about allocation plans and pools. The command line prints the same as JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from pydantic import BaseModel, ConfigDict

from oneshelf.domain.allocation import AllocationPlan
from oneshelf.domain.identity import Location, Sku
from oneshelf.domain.pool import Pools
from oneshelf.flow.preview import PlanPreview
from oneshelf.storage.allocations import PlanRow
from oneshelf.storage.pools import CarvingRow
from oneshelf.web.policy_outputs import EffectOut


class _Output(BaseModel):
    model_config = ConfigDict(from_attributes=True, frozen=True)


class PartOut(_Output):
    """What a plan gives a channel: a percentage or a fixed number of units, the other is null."""

    channel: str
    percent: int | None
    units: int | None
    kind: str


class AllocationOut(_Output):
    """An allocation plan. `refill_at`: the time of a daily refill, UTC. `set_at`, `set_by`: its last change."""

    sku: str | None
    sku_group: str | None
    pattern: str | None
    pools: list[PartOut]
    overflow: str | None
    refill: str
    refill_at: str | None
    rebalance_points: int
    set_at: datetime | None = None
    set_by: str | None = None


class AllocationsOut(_Output):
    """By pattern, group and SKU; that for everything first."""

    allocations: list[AllocationOut]
    next: str | None


class AllocatedOut(_Output):
    """The plan as it holds now, and how many listings are in its scope."""

    allocation: AllocationOut
    listing_count: int


class EndedAllocationOut(_Output):
    """The plan that has ended; null: there was none."""

    ended: AllocationOut | None


class PoolOut(_Output):
    """The pool of a channel since the last refill. `share_percent`: its share then; null: a fixed number of units.

    `shared_units` were given to it by its share, `moved_units` by other ways (a loan, a loss, what others sold beyond
    their pools: below 0), and `left_units = shared_units + moved_units - sold_units` can be sold.
    """

    channel: str
    kind: str
    share_percent: int | None
    shared_units: int
    moved_units: int
    sold_units: int
    left_units: int


class PoolsOut(_Output):
    """The pools of a SKU at a location. `available` is what is left in them and `rest_units`, added up.

    `scope`: of the plan. `why`, `carved_at`: when all was last shared anew, and what for; `refill_at`: when it is
    next, null: no time is set.
    """

    location: str
    scope: str
    available: int
    rest_units: int
    overflow: str | None
    refill: str
    refill_at: datetime | None
    carved_at: datetime
    why: str
    pools: list[PoolOut]


class CarvingPoolOut(_Output):
    channel: str
    percent: int | None
    units: int


class CarvingOut(_Output):
    """Once all that was available was shared anew: by which shares, and what for."""

    location: str
    carved_at: datetime
    why: str
    available: int
    pools: list[CarvingPoolOut]


class SkuPoolsOut(_Output):
    """By location; none where no plan reaches the SKU, and for a bundle: its components have pools.

    `carvings`: the newest first, 90 days of them at most.
    """

    sku: str
    places: list[PoolsOut]
    carvings: list[CarvingOut]


class PoolEffectOut(_Output):
    """The pools of a SKU at a location as they are, and as they would be; null: there are none."""

    sku: str
    location: str
    now: PoolsOut | None
    would: PoolsOut | None


class AllocationPreviewOut(_Output):
    """Nothing of this is saved. `allocation`: null where it is asked what ending the plan would do. `rest_count`:
    listings in the scope after this page; `next`: where they begin."""

    allocation: AllocationOut | None
    pools: list[PoolEffectOut]
    effects: list[EffectOut]
    rest_count: int
    next: str | None


class RefillingOut(_Output):
    """At so many locations the pools of the SKU are shared anew, within seconds."""

    sku: str
    location_count: int


def allocation_out(plan: AllocationPlan, row: PlanRow | None = None) -> AllocationOut:
    """A plan; with its row also who set it and when."""
    stated = plan.stated()
    return AllocationOut(
        sku=plan.scope.sku,
        sku_group=plan.scope.sku_group,
        pattern=plan.scope.pattern,
        pools=[PartOut.model_validate(part) for part in plan.parts],
        overflow=plan.overflow,
        refill=plan.refill,
        refill_at=stated.get("refill_at"),
        rebalance_points=plan.rebalance_points,
        set_at=row and row.set_at,
        set_by=row and row.set_by,
    )


def pools_out(location: Location, pools: Pools) -> PoolsOut:
    """The pools at a location."""
    return PoolsOut(
        location=location,
        scope=str(pools.plan.scope),
        available=pools.units,
        rest_units=pools.rest,
        overflow=pools.plan.overflow,
        refill=pools.plan.refill,
        refill_at=pools.refill_at,
        carved_at=pools.carved_at,
        why=pools.why,
        pools=[
            PoolOut(
                channel=pool.channel,
                kind=pool.part.kind,
                share_percent=pool.percent,
                shared_units=pool.carved,
                moved_units=pool.moved,
                sold_units=pool.sold,
                left_units=pool.left,
            )
            for pool in pools.pools
        ],
    )


def sku_pools_out(sku: Sku, held: Mapping[Location, Pools], carvings: Sequence[CarvingRow]) -> SkuPoolsOut:
    """All pools of a SKU, and how they were shared before."""
    told: list[dict[str, Any]] = [row._asdict() for row in carvings]
    return SkuPoolsOut(
        sku=sku,
        places=[pools_out(location, pools) for location, pools in held.items()],
        carvings=[CarvingOut.model_validate(one) for one in told],
    )


def plan_preview_out(wished: PlanPreview) -> AllocationPreviewOut:
    """What a plan would do."""
    return AllocationPreviewOut(
        allocation=allocation_out(wished.plan) if wished.plan else None,
        pools=[
            PoolEffectOut(
                sku=one.sku,
                location=one.location,
                now=pools_out(one.location, one.now) if one.now else None,
                would=pools_out(one.location, one.would) if one.would else None,
            )
            for one in wished.pools
        ],
        effects=[EffectOut.model_validate(effect) for effect in wished.effects],
        rest_count=wished.rest_count,
        next="/".join(wished.next_key) if wished.next_key else None,
    )
