"""`/v1/bundles`, `/v1/backorders` and `/v1/short`: what is sold as one, and what is promised beyond the shelf."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Query
from starlette.requests import Request

from oneshelf.domain.bundle import Defined, definition_in_words
from oneshelf.domain.identity import sku_from
from oneshelf.domain.outcome import IsBundle, UnknownLocation, UnknownSku, in_words
from oneshelf.flow.define import allow_backorder, define_bundle
from oneshelf.storage import backorders, bundles, catalog, detail_views, views
from oneshelf.web import described, outputs
from oneshelf.web.api import Limit, unknown_sku
from oneshelf.web.bodies import read_json
from oneshelf.web.engine import EngineOf
from oneshelf.web.inputs import backorder_from, bundle_from
from oneshelf.web.problems import DOCUMENTED, ProblemError
from oneshelf.web.questions import only_known_questions
from oneshelf.web.short_cursor import CURSOR_LENGTH_MAX, cursor_of, place_from

router = APIRouter(prefix="/v1", tags=["offers"], responses=DOCUMENTED, dependencies=[Depends(only_known_questions)])

ShortAfter = Annotated[str, Query(max_length=CURSOR_LENGTH_MAX, description="`next` of the page before.")]


@router.get("/bundles")
async def list_bundles(engine: EngineOf) -> outputs.BundlesOut:
    """All bundles in the order of their SKUs."""
    async with engine.database.transaction() as tx:
        found = await bundles.listed(tx)
    return outputs.BundlesOut(
        bundles=[
            outputs.BundleOut(sku=sku, components=[outputs.ComponentOut.model_validate(part) for part in parts])
            for sku, parts in found.items()
        ]
    )


@router.put("/bundles/{sku:path}", openapi_extra=described.body("BundleIn"))
async def put_bundle(request: Request, engine: EngineOf, sku: str) -> outputs.BundleOut:
    """Have a SKU sold as these components from now on. Order lines posted before keep what they were posted to."""
    wish = bundle_from(sku, await read_json(request))
    outcome = await define_bundle(engine.database, wish)
    if not isinstance(outcome, Defined):
        words = definition_in_words(outcome)
        if isinstance(outcome, UnknownSku):
            raise ProblemError(404, words, kind="unknown-sku")
        raise ProblemError(409, words, kind="not-a-bundle")
    engine.wake(["plan"])
    return outputs.BundleOut(
        sku=wish.sku, components=[outputs.ComponentOut.model_validate(part) for part in wish.components]
    )


@router.get("/backorders")
async def list_backorders(engine: EngineOf) -> outputs.BackordersOut:
    """How far beyond the shelf each SKU may be promised, and how many units are short already."""
    async with engine.database.transaction() as tx:
        rows = await backorders.listed(tx)
    return outputs.BackordersOut(backorders=[outputs.BackorderOut.model_validate(row) for row in rows])


@router.put("/backorders", openapi_extra=described.body("BackorderIn"))
async def put_backorder(request: Request, engine: EngineOf) -> outputs.BackordersOut:
    """Let units be reserved beyond those that are there, until `cap_units` are short; 0 ends it. All policies."""
    sku, location, policy = backorder_from(await read_json(request))
    refusal = await allow_backorder(engine.database, sku, location, policy)
    match refusal:
        case UnknownSku():
            raise ProblemError(404, in_words(refusal), kind="unknown-sku")
        case UnknownLocation():
            raise ProblemError(404, in_words(refusal), kind="unknown-location")
        case IsBundle():
            raise ProblemError(409, in_words(refusal), kind="is-bundle")
        case None:
            return await list_backorders(engine)


@router.get("/short")
async def list_short(
    engine: EngineOf, sku: str | None = None, after: ShortAfter = "", limit: Limit = 100
) -> outputs.ShortagesOut:
    """What was sold or promised and is not there: order lines and reservations, the oldest first."""
    only = None if sku is None else sku_from(sku)
    place = place_from(after) if after else None
    async with engine.database.transaction() as tx:
        await views.freeze(tx)
        if only is not None and not await catalog.known_skus(tx, [only]):
            raise unknown_sku(only)
        rows = await detail_views.short_rows(tx, sku=only, after=place, limit=limit + 1)
    return outputs.ShortagesOut(
        short=[outputs.ShortOut.model_validate(row) for row in rows[:limit]],
        next=cursor_of(rows[limit - 1].place) if len(rows) > limit else None,
    )
