"""`/v1/shipments`, `/v1/transfers`, `/v1/inspections`, `/v1/low-stock`: what waits for somebody in the warehouse."""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated

from annotated_types import Interval
from fastapi import APIRouter, Depends, Query
from pydantic import BaseModel, BeforeValidator, ConfigDict
from starlette.requests import Request

from oneshelf.domain.identity import day_from, instant_from, location_from, name_from, sku_from
from oneshelf.domain.outcome import UnknownSku, in_words
from oneshelf.flow import watch
from oneshelf.storage import detail_views, low_stocks, shipments, transfers
from oneshelf.storage.shipments import ShipmentPlace
from oneshelf.storage.transfers import TransferPlace
from oneshelf.web import described
from oneshelf.web.api import After, Limit
from oneshelf.web.bodies import read_json
from oneshelf.web.cursor import CURSOR_LENGTH_MAX, cursor_of, names_from
from oneshelf.web.engine import EngineOf
from oneshelf.web.fields import limit_from
from oneshelf.web.problems import DOCUMENTED, ProblemError
from oneshelf.web.questions import only_known_questions
from oneshelf.web.warehouse_inputs import reorder_rule_from, reorder_scope_from

router = APIRouter(prefix="/v1", tags=["warehouse"], responses=DOCUMENTED, dependencies=[Depends(only_known_questions)])

DAY_S = 86_400.0
OVERDUE_DAYS = 7
AfterPlace = Annotated[str, Query(max_length=CURSOR_LENGTH_MAX, description="`next` of the page before.")]
OnlyToDo = Annotated[bool, Query(description="Only what is still to come or waits for a person.")]
OverdueDays = Annotated[
    int, Interval(ge=1, le=1000), BeforeValidator(limit_from), Query(description="So many days under way are overdue.")
]


class _Output(BaseModel):
    model_config = ConfigDict(from_attributes=True, frozen=True)


class ShipmentOut(_Output):
    """One SKU of an announced delivery. `units_open` are incoming; `units_over` were taken beyond those announced.

    `units_held` came beyond the tolerance and wait in quality control for a person; `units_sent_back` of them went
    back; `units_cancelled` will never come. `days_late`: 0 where nothing more is to come.
    """

    expected_on: date
    shipment_id: str
    sku: str
    location: str
    units_announced: int
    units_received: int
    units_open: int
    units_over: int
    units_held: int
    units_sent_back: int
    units_cancelled: int
    tolerance_percent: int
    days_late: int
    created_at: datetime
    closed_at: datetime | None
    close_reason: str


class ShipmentsOut(_Output):
    """The earliest expected first. `next`: give it as `after` for the next page; null on the last one."""

    shipments: list[ShipmentOut]
    next: str | None


class TransferOut(_Output):
    """One SKU on its way between two locations; nowhere for sale until it has arrived."""

    created_at: datetime
    transfer_id: str
    sku: str
    origin: str
    target: str
    units_sent: int
    units_arrived: int
    units_over: int
    units_lost: int
    units_under_way: int
    age_s: float
    is_overdue: bool


class TransfersOut(_Output):
    """Those that left first first. `next`: give it as `after` for the next page; null on the last one."""

    transfers: list[TransferOut]
    next: str | None


class InspectionOut(_Output):
    """Units that somebody has to look at. `since`: when the last of them came there."""

    sku: str
    location: str
    quality_control: int
    damaged: int
    since: datetime | None


class InspectionsOut(_Output):
    """By SKU and location. `next`: give it as `after` for the next page; null on the last one."""

    inspections: list[InspectionOut]
    next: str | None


class LowOut(_Output):
    """A SKU that is low: `available` over all locations at or below `reorder_at`, until a quarter more is there.

    `days_left`: at what was sold in the last week; null where nothing was.
    """

    sku: str
    title: str
    available: int
    incoming: int
    reorder_at: int
    sold_per_day: float
    days_left: float | None
    since: datetime


class LowStockOut(_Output):
    """`next`: give it as `after` for the next page; null on the last one."""

    low: list[LowOut]
    next: str | None


class ReorderRuleOut(_Output):
    """When a SKU is low. Neither `sku` nor `sku_group`: every SKU that no other rule is for."""

    sku: str
    sku_group: str
    units: int | None
    cover_days: int | None
    set_by: str
    set_at: datetime


class ReorderRulesOut(_Output):
    """All rules; of a SKU the narrowest holds, alone."""

    rules: list[ReorderRuleOut]


@router.get("/shipments")
async def list_shipments(  # noqa: PLR0913  # what a list may be narrowed to
    engine: EngineOf,
    shipment_id: str | None = None,
    sku: str | None = None,
    location: str | None = None,
    only_to_do: OnlyToDo = True,
    after: AfterPlace = "",
    limit: Limit = 100,
) -> ShipmentsOut:
    """Announced deliveries: what is still to come and how late it is, and what came beyond the tolerance.

    They are announced, unloaded, closed and settled by `POST /v1/commands`.
    """
    async with engine.database.transaction() as tx:
        rows = await shipments.rows(
            tx,
            shipment_id=None if shipment_id is None else name_from(shipment_id, what="shipment_id"),
            sku=None if sku is None else sku_from(sku),
            location=None if location is None else location_from(location),
            only_to_do=only_to_do,
            after=_shipment_place(after),
            limit=limit + 1,
        )
    last = rows[limit - 1] if len(rows) > limit else None
    return ShipmentsOut(
        shipments=[ShipmentOut.model_validate(row) for row in rows[:limit]],
        next=cursor_of(last.expected_on.isoformat(), last.shipment_id, last.sku) if last else None,
    )


@router.get("/transfers")
async def list_transfers(  # noqa: PLR0913  # what a list may be narrowed to
    engine: EngineOf,
    sku: str | None = None,
    location: str | None = None,
    only_under_way: bool = True,
    overdue_days: OverdueDays = OVERDUE_DAYS,
    after: AfterPlace = "",
    limit: Limit = 100,
) -> TransfersOut:
    """Units on their way, from or to a location. They are sent, taken in and given up by `POST /v1/commands`."""
    async with engine.database.transaction() as tx:
        rows = await transfers.rows(
            tx,
            overdue_s=overdue_days * DAY_S,
            only_under_way=only_under_way,
            sku=None if sku is None else sku_from(sku),
            location=None if location is None else location_from(location),
            after=_transfer_place(after),
            limit=limit + 1,
        )
    last = rows[limit - 1] if len(rows) > limit else None
    return TransfersOut(
        transfers=[TransferOut.model_validate(row) for row in rows[:limit]],
        next=cursor_of(last.created_at.isoformat(), last.transfer_id, last.sku) if last else None,
    )


@router.get("/inspections")
async def list_inspections(
    engine: EngineOf, sku: str | None = None, location: str | None = None, after: AfterPlace = "", limit: Limit = 100
) -> InspectionsOut:
    """Units in quality control or damaged. The commands `move` and `write_off` say what becomes of them."""
    place = names_from(after, count=2) if after else None
    async with engine.database.transaction() as tx:
        rows = await detail_views.inspection_rows(
            tx,
            sku=None if sku is None else sku_from(sku),
            location=None if location is None else location_from(location),
            after=None if place is None else (sku_from(place[0]), location_from(place[1])),
            limit=limit + 1,
        )
    last = rows[limit - 1] if len(rows) > limit else None
    return InspectionsOut(
        inspections=[InspectionOut.model_validate(row) for row in rows[:limit]],
        next=cursor_of(last.sku, last.location) if last else None,
    )


@router.get("/low-stock")
async def list_low(engine: EngineOf, after: After = "", limit: Limit = 100) -> LowStockOut:
    """SKUs that have fallen to their reorder point. Followers are told by the event `stock.low`, once each time."""
    start = sku_from(after) if after else ""
    async with engine.database.transaction() as tx:
        rows = await low_stocks.rows(tx, after=start, limit=limit + 1)
    return LowStockOut(
        low=[LowOut.model_validate(row) for row in rows[:limit]],
        next=rows[limit - 1].sku if len(rows) > limit else None,
    )


@router.get("/reorder-rules")
async def list_rules(engine: EngineOf) -> ReorderRulesOut:
    """When each SKU is low."""
    async with engine.database.transaction() as tx:
        return ReorderRulesOut(rules=[ReorderRuleOut.model_validate(row) for row in await low_stocks.rules(tx)])


@router.put("/reorder-rules", openapi_extra=described.body("ReorderRuleIn"))
async def put_rule(request: Request, engine: EngineOf) -> ReorderRulesOut:
    """Say when a SKU, a group or everything is low. Answers with all rules; saying it again changes nothing."""
    scope, rule, by = reorder_rule_from(await read_json(request))
    if refusal := await watch.set_rule(engine.database, scope, rule, by=by):
        raise _unknown(refusal)
    return await list_rules(engine)


@router.delete("/reorder-rules", openapi_extra=described.body("ReorderScopeIn"))
async def delete_rule(request: Request, engine: EngineOf) -> ReorderRulesOut:
    """Say nothing of a scope any more; a wider rule holds, or none. Answers with the rules that are left."""
    if refusal := await watch.end_rule(engine.database, reorder_scope_from(await read_json(request))):
        raise _unknown(refusal)
    return await list_rules(engine)


def _unknown(refusal: UnknownSku) -> ProblemError:
    return ProblemError(404, in_words(refusal), kind="unknown-sku")


def _shipment_place(after: str) -> ShipmentPlace | None:
    if not after:
        return None
    day, shipment_id, sku = names_from(after, count=3)
    return ShipmentPlace(day_from(day, what="after"), name_from(shipment_id, what="after"), sku_from(sku))


def _transfer_place(after: str) -> TransferPlace | None:
    if not after:
        return None
    at, transfer_id, sku = names_from(after, count=3)
    return TransferPlace(instant_from(at, what="after"), name_from(transfer_id, what="after"), sku_from(sku))
