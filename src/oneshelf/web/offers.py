"""`/v1/bundles`, `/v1/kits`, `/v1/backorders` and `/v1/short`: what is sold as one, what kits are made of, and what is
promised beyond the shelf.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Depends, Query
from pydantic import BaseModel
from starlette.requests import Request

from oneshelf.domain.bundle import Defined, definition_in_words
from oneshelf.domain.command import Component
from oneshelf.domain.identity import Sku, sku_from
from oneshelf.domain.outcome import IsBundle, UnknownLocation, UnknownSku, in_words
from oneshelf.flow.define import allow_backorder, define_bundle, end_recipe, keep_recipe
from oneshelf.storage import backorders, bundles, catalog, detail_views, kits, short_list, views
from oneshelf.web import described, outputs
from oneshelf.web.api import Limit, unknown_sku
from oneshelf.web.bodies import read_json
from oneshelf.web.cursor import CURSOR_LENGTH_MAX
from oneshelf.web.engine import EngineOf
from oneshelf.web.inputs import backorder_from, bundle_from, recipe_from
from oneshelf.web.problems import DOCUMENTED, ProblemError
from oneshelf.web.questions import only_known_questions
from oneshelf.web.short_cursor import cursor_of, place_from

router = APIRouter(prefix="/v1", tags=["offers"], responses=DOCUMENTED, dependencies=[Depends(only_known_questions)])

ShortAfter = Annotated[str, Query(max_length=CURSOR_LENGTH_MAX, description="`next` of the page before.")]


class ShortOut(BaseModel):
    """Units that an order line or a held reservation waits for. `kind`: `order`, or that of the reservation.

    `loses`: by rank somebody else has the units: what is locked or picked comes first, then the channel where a
    cancellation costs most, then the time of the order, then its name. `way_out`: the cheapest one: `transfer` from the
    locations `through`, `wait` for what is incoming, `hold back` the orders `through`, or `cancel` at this `cost`;
    of what has left over a counter `count`. `cancellations_left`: of those that the channel forgives; null where its
    kind has no rule.
    """

    since: datetime
    kind: str
    source: str
    promised_to: str
    sku: str
    location: str
    units_short: int
    units_held: int
    loses: bool
    way_out: str
    through: list[str]
    cost: float
    cancellations_left: int | None


class ShortagesOut(BaseModel):
    """The oldest first, as they will be filled. `next`: give it as `after` for the next page; null on the last one."""

    short: list[ShortOut]
    next: str | None


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


@router.get("/kits")
async def list_kits(engine: EngineOf) -> outputs.KitsOut:
    """The kept recipes of kits, in the order of their SKUs."""
    async with engine.database.transaction() as tx:
        found = await kits.recipes(tx)
    return outputs.KitsOut(kits=[_kit_out(sku, parts) for sku, parts in found.items()])


@router.put("/kits/{sku:path}", openapi_extra=described.body("KitIn"))
async def put_kit(request: Request, engine: EngineOf, sku: str) -> outputs.KitOut:
    """Have this recipe of a kit, in place of its last one. Kits that lie on the shelf stay what they are."""
    name, components = sku_from(sku), recipe_from(await read_json(request))
    refusal = await keep_recipe(engine.database, name, components)
    match refusal:
        case UnknownSku():
            raise ProblemError(404, in_words(refusal), kind="unknown-sku")
        case IsBundle():
            raise ProblemError(409, in_words(refusal), kind="is-bundle")
        case None:
            return _kit_out(name, components)


@router.delete("/kits/{sku:path}")
async def delete_kit(engine: EngineOf, sku: str) -> outputs.EndedKitOut:
    """Keep no recipe of this kit any more: whoever makes it names its components."""
    name = sku_from(sku)
    ended = await end_recipe(engine.database, name)
    if isinstance(ended, UnknownSku):
        raise unknown_sku(name)
    return outputs.EndedKitOut(ended=_kit_out(name, ended) if ended else None)


def _kit_out(sku: Sku, components: Iterable[Component]) -> outputs.KitOut:
    return outputs.KitOut(sku=sku, components=[outputs.ComponentOut.model_validate(part) for part in components])


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
) -> ShortagesOut:
    """What was sold or promised and is not there, the oldest first; who loses, and the cheapest way out of each."""
    only = None if sku is None else sku_from(sku)
    place = place_from(after) if after else None
    async with engine.database.transaction() as tx:
        await views.freeze(tx)
        if only is not None and not await catalog.known_skus(tx, [only]):
            raise unknown_sku(only)
        rows = await detail_views.short_rows(tx, sku=only, after=place, limit=limit + 1)
        advice = await short_list.advised(tx, rows[:limit])
    return ShortagesOut(
        short=[ShortOut.model_validate(short_list.as_shown(row, advice)) for row in rows[:limit]],
        next=cursor_of(rows[limit - 1].place) if len(rows) > limit else None,
    )
