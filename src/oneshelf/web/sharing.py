"""`/v1/skus/{sku}/sharing`, `/v1/sharing`, `/v1/exposures`: how listings share units, and what could be sold twice."""

from __future__ import annotations

from fastapi import APIRouter, Depends
from pydantic import BaseModel, ConfigDict
from starlette.requests import Request

from oneshelf.domain.identity import sku_from
from oneshelf.flow.rule import share_all
from oneshelf.storage import rights, views
from oneshelf.web import described
from oneshelf.web.api import After, Limit, unknown_sku
from oneshelf.web.bodies import read_json
from oneshelf.web.engine import Engine, EngineOf
from oneshelf.web.inputs import SharingIn, sharing_from
from oneshelf.web.policy_inputs import sharing_of_many_from
from oneshelf.web.problems import DOCUMENTED
from oneshelf.web.questions import only_known_questions

router = APIRouter(prefix="/v1", tags=["sharing"], responses=DOCUMENTED, dependencies=[Depends(only_known_questions)])


class PlaceOut(BaseModel):
    """A SKU at a location: what its listings may sell there, and how many units could be sold twice now at worst.

    Both are null where a listing was never read: nobody knows what it sells.
    """

    model_config = ConfigDict(from_attributes=True)

    sku: str
    mode: str
    is_guarded: bool
    till_allowance_units: int
    location: str
    available: int
    sellable_by_listings: int | None
    exposure_units: int | None


class SharingOut(BaseModel):
    """How the listings of a SKU share its units. `is_guarded`: what they may sell adds up to what is available.

    `places`: empty where nothing lists it. A new mode takes effect as writes are proved.
    """

    sku: str
    mode: str
    guard_at_units: int | None
    allowance_units: int
    is_guarded: bool
    places: list[PlaceOut]


class SharedOut(BaseModel):
    """How many SKUs share their units otherwise now, and how many were left frozen."""

    changed_count: int
    frozen_count: int


class ExposuresOut(BaseModel):
    exposures: list[PlaceOut]
    next: str | None


@router.get("/skus/{sku:path}/sharing")
async def show_sharing(engine: EngineOf, sku: str) -> SharingOut:
    """How the listings of a SKU share its units, and how many could be sold twice now at worst."""
    name = sku_from(sku)
    async with engine.database.transaction() as tx:
        await views.freeze(tx)
        guard = await rights.guard_of(tx, name)
        places = await rights.sharing_of(tx, name)
    if guard is None:
        raise unknown_sku(name)
    return SharingOut(
        sku=name,
        mode=guard.mode,
        guard_at_units=guard.guard_at_units,
        allowance_units=guard.allowance_units,
        is_guarded=guard.is_guarded,
        places=[PlaceOut.model_validate(row) for row in places],
    )


@router.put("/skus/{sku:path}/sharing", openapi_extra=described.body("SharingIn"))
async def put_sharing(request: Request, engine: EngineOf, sku: str) -> SharingOut:
    """Say how the listings of a SKU share its units: `auto`, `pooled`, `guarded`, or `frozen` (nothing is sold).

    A new SKU is in mode `auto`: pooled while plentiful, guarded while scarce.
    """
    return await shared(engine, sku, sharing_from(await read_json(request)))


async def shared(engine: Engine, sku: str, wish: SharingIn) -> SharingOut:
    """Do the same, over the API or on its page. Raises ProblemError 404."""
    name = sku_from(sku)
    async with engine.database.transaction() as tx:
        known = await rights.set_mode(
            tx, [name], wish.mode, guard_at_units=wish.guard_at_units, allowance_units=wish.allowance_units
        )
    if not known:
        raise unknown_sku(name)
    engine.wake(["plan"])
    return await show_sharing(engine, sku)


@router.put("/sharing", openapi_extra=described.body("SharingOfManyIn"))
async def put_sharing_of_many(request: Request, engine: EngineOf) -> SharedOut:
    """Say for all SKUs, or for those of a group, how listings share their units. What is frozen is thawed by name only.

    SKUs that are named later are in mode `auto`. Saying it again changes nothing.
    """
    wish = sharing_of_many_from(await read_json(request))
    changed_count, frozen_count = await share_all(
        engine.database,
        wish.mode,
        sku_group=wish.sku_group,
        guard_at_units=wish.guard_at_units,
        allowance_units=wish.allowance_units,
    )
    engine.wake(["plan"])
    return SharedOut(changed_count=changed_count, frozen_count=frozen_count)


@router.get("/exposures")
async def list_exposures(engine: EngineOf, after: After = "", limit: Limit = 100) -> ExposuresOut:
    """SKUs of which units could be sold twice now at worst, or of which nobody knows, in the order of their names.

    They are looked for among some hundreds of SKUs at a time: a page may be short, or empty, and others follow while
    there is a `next`.
    """
    start = sku_from(after) if after else ""
    async with engine.database.transaction() as tx:
        await views.freeze(tx)
        rows, following = await rights.exposed(tx, after=start, limit=limit)
    return ExposuresOut(exposures=[PlaceOut.model_validate(row) for row in rows], next=following)
