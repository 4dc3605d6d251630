"""`/v1/policies/allocations`, `/v1/skus/{sku}/pools`: which part of a SKU's units each channel may sell."""

from __future__ import annotations

import json
from typing import Annotated

from fastapi import APIRouter, Depends, Query
from starlette.requests import Request

from oneshelf.domain.identity import ChannelSku, sku_from
from oneshelf.domain.outcome import UnknownSku
from oneshelf.domain.policy import UnknownChannel
from oneshelf.flow.preview import pools_of, preview_plan
from oneshelf.flow.rule import end_plan, put_plan, refill_pools
from oneshelf.storage import allocations, pools
from oneshelf.web import allocation_outputs as outputs
from oneshelf.web import described
from oneshelf.web.allocation_inputs import allocation_from, plan_scope_from, refilled_sku_from
from oneshelf.web.api import After, Limit, pair_from, unknown_sku
from oneshelf.web.auth import actor_of
from oneshelf.web.bodies import read_json
from oneshelf.web.engine import EngineOf
from oneshelf.web.policies import unknown_scope
from oneshelf.web.policy_inputs import scope_key_from
from oneshelf.web.problems import DOCUMENTED
from oneshelf.web.questions import only_known_questions

router = APIRouter(prefix="/v1", tags=["policies"], responses=DOCUMENTED, dependencies=[Depends(only_known_questions)])

CARVINGS_MAX = 100
Refilled = Annotated[
    str, Query(pattern="^(yes|no)$", description="yes: as they would be if they were refilled now. Nothing is saved.")
]


@router.get("/policies/allocations")
async def list_allocations(engine: EngineOf, after: After = "", limit: Limit = 100) -> outputs.AllocationsOut:
    """The allocation plans by pattern, group and SKU. For each SKU the narrowest holds, taken whole."""
    key = scope_key_from(after)
    async with engine.database.transaction() as tx:
        rows = await allocations.listed(tx, after=key, limit=limit + 1)
    last = rows[limit - 1].plan.scope if len(rows) > limit else None
    return outputs.AllocationsOut(
        allocations=[outputs.allocation_out(row.plan, row) for row in rows[:limit]],
        next=json.dumps(allocations.key_of(last)) if last else None,
    )


@router.put("/policies/allocations", openapi_extra=described.body("AllocationIn"))
async def put_allocation(request: Request, engine: EngineOf) -> outputs.AllocatedOut:
    """Have this allocation plan, and no other, for its scope. A plan that is news shares all that is available anew.

    Saying the same again changes nothing and refills nothing.
    """
    outcome = await put_plan(engine.database, allocation_from(await read_json(request)), actor=actor_of(request))
    if isinstance(outcome, UnknownSku | UnknownChannel):
        raise unknown_scope(outcome)
    engine.wake(["plan"])
    return outputs.AllocatedOut(allocation=outputs.allocation_out(outcome.plan), listing_count=outcome.listing_count)


@router.delete("/policies/allocations", openapi_extra=described.body("PlanScopeIn"))
async def delete_allocation(request: Request, engine: EngineOf) -> outputs.EndedAllocationOut:
    """Have no allocation plan for a scope any more: a wider one holds, or none."""
    ended = await end_plan(engine.database, plan_scope_from(await read_json(request)), actor=actor_of(request))
    if isinstance(ended, UnknownSku | UnknownChannel):
        raise unknown_scope(ended)
    engine.wake(["plan"])
    return outputs.EndedAllocationOut(ended=outputs.allocation_out(ended) if ended else None)


@router.post("/policies/allocations/preview", openapi_extra=described.body("AllocationIn"))
async def preview_allocation(
    request: Request, engine: EngineOf, after: After = "", limit: Limit = 100
) -> outputs.AllocationPreviewOut:
    """What this plan would do to each pool and each listing that it reaches, if it were put. Nothing is saved."""
    plan, start = allocation_from(await read_json(request)), pair_from(after)
    key = None if start is None else (start[0], ChannelSku(start[1]))
    wished = await preview_plan(engine.database, plan.scope, plan, after=key, limit=limit)
    if isinstance(wished, UnknownSku | UnknownChannel):
        raise unknown_scope(wished)
    return outputs.plan_preview_out(wished)


@router.get("/skus/{sku:path}/pools")
async def show_pools(engine: EngineOf, sku: str, refilled: Refilled = "no") -> outputs.SkuPoolsOut:
    """What each channel may still sell of a SKU: given by its share, sold since, left, and when it is refilled."""
    name = sku_from(sku)
    held = await pools_of(engine.database, name, is_refilled=refilled == "yes")
    if isinstance(held, UnknownSku):
        raise unknown_sku(name)
    async with engine.database.transaction() as tx:
        carvings = await pools.carvings(tx, name, limit=CARVINGS_MAX)
    return outputs.sku_pools_out(name, held, carvings)


@router.post("/policies/allocations/refill", openapi_extra=described.body("RefillIn"))
async def refill(request: Request, engine: EngineOf) -> outputs.RefillingOut:
    """Have all that is available of a SKU shared anew among its pools; what is sold is counted anew from then on.

    Asked for twice before it is done it is done once. `GET /v1/skus/{sku}/pools?refilled=yes` tells before what it
    would do.
    """
    name = refilled_sku_from(await read_json(request))
    outcome = await refill_pools(engine.database, name)
    if isinstance(outcome, UnknownSku):
        raise unknown_sku(name)
    engine.wake(["plan"])
    return outputs.RefillingOut(sku=name, location_count=outcome)
