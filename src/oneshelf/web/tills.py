"""`/v1/tills`: what a till may show as sellable, and how far the numbers of its devices have got."""

from __future__ import annotations

from datetime import datetime

from fastapi import APIRouter, Depends
from pydantic import BaseModel, ConfigDict

from oneshelf.domain.identity import Channel, channel_from, sku_from
from oneshelf.storage import catalog, device_events, devices, till_views, views
from oneshelf.storage.catalog import ChannelRow
from oneshelf.storage.database import Transaction
from oneshelf.web.api import After, Limit
from oneshelf.web.engine import EngineOf
from oneshelf.web.problems import DOCUMENTED, ProblemError
from oneshelf.web.questions import only_known_questions

router = APIRouter(prefix="/v1", tags=["tills"], responses=DOCUMENTED, dependencies=[Depends(only_known_questions)])


class TillStockOut(BaseModel):
    """A SKU at the till's location. `available`: fit for sale there, and promised to nobody.

    `sellable_by_listings`: how many of these other channels may sell at this moment; null where one was never read.
    """

    model_config = ConfigDict(from_attributes=True)

    sku: str
    title: str
    available: int
    sellable_by_listings: int | None


class TillStocksOut(BaseModel):
    location: str
    stock: list[TillStockOut]
    next: str | None


class DeviceOut(BaseModel):
    """A device. `highest`: the highest number that it is known to have used; `missing_count` numbers below are missing
    in `gap_count` gaps, the oldest for `gap_age_s`. `is_offline`: it has told nothing for longer than its heartbeat.

    `clock_ahead_s`: by how much its clock was ahead when it last said; null where it never did.
    """

    model_config = ConfigDict(from_attributes=True)

    device: str
    highest: int
    told_count: int
    heard_at: datetime
    silent_s: float
    heartbeat_s: float
    is_offline: bool
    clock_ahead_s: float | None
    gap_count: int
    missing_count: int
    gap_age_s: float | None
    refused_count: int
    conflict_count: int
    waiting_count: int


class DeviceGapOut(BaseModel):
    """Numbers from `first` to `last` that are missing. Told again, they count, and the gap closes."""

    model_config = ConfigDict(from_attributes=True)

    device: str
    first: int
    last: int
    age_s: float


class DeviceQuestionOut(BaseModel):
    """An event that moves nothing, and why."""

    model_config = ConfigDict(from_attributes=True)

    device: str
    sequence: int
    what: str
    receipt: str
    received_at: datetime
    reason: str


class DevicesOut(BaseModel):
    devices: list[DeviceOut]
    gaps: list[DeviceGapOut]
    questions: list[DeviceQuestionOut]


@router.get("/tills/{channel}/stock")
async def show_till_stock(engine: EngineOf, channel: str, after: After = "", limit: Limit = 100) -> TillStocksOut:
    """What lies at the till's location and is free, by SKU. A till sells what it has in hand, whatever this says."""
    name, start = channel_from(channel), sku_from(after) if after else ""
    async with engine.database.transaction() as tx:
        await views.freeze(tx)
        till = await _till(tx, name)
        rows = await till_views.stock_at(tx, till.location, after=start, limit=limit + 1)
    return TillStocksOut(
        location=till.location,
        stock=[TillStockOut.model_validate(row) for row in rows[:limit]],
        next=rows[limit - 1].sku if len(rows) > limit else None,
    )


@router.get("/tills/{channel}/devices")
async def show_till_devices(engine: EngineOf, channel: str) -> DevicesOut:
    """The devices of a till channel, which of their numbers are missing, and what waits for a person."""
    name = channel_from(channel)
    async with engine.database.transaction() as tx:
        await views.freeze(tx)
        await _till(tx, name)
        return DevicesOut(
            devices=[DeviceOut.model_validate(row) for row in await devices.listed(tx, name)],
            gaps=[DeviceGapOut.model_validate(row) for row in await devices.gaps_of(tx, name)],
            questions=[DeviceQuestionOut.model_validate(row) for row in await device_events.questions(tx, name)],
        )


async def _till(tx: Transaction, channel: Channel) -> ChannelRow:
    """Raises ProblemError 404 where no tills are connected under this name."""
    tills = {row.channel: row for row in await catalog.channels(tx) if row.has_devices}
    if channel not in tills:
        there = ", ".join(tills) or "none"
        raise ProblemError(404, f"no tills {channel!r}; there are: {there}", kind="unknown-channel")
    return tills[channel]
