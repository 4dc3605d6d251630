"""`/v1/channels/{channel}/plan`, `/sign-off` and `/release`: what would be written, and who lets it go."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Depends, Query
from pydantic import BaseModel, ConfigDict
from starlette.requests import Request

from oneshelf.domain.go_live import Cause
from oneshelf.domain.identity import Channel, ChannelSku, channel_from
from oneshelf.errors import MalformedError
from oneshelf.flow.preview import page_of_plan
from oneshelf.storage import breakers, catalog, listings, sign_offs
from oneshelf.storage.database import Transaction
from oneshelf.storage.sign_offs import PlanPlace
from oneshelf.telemetry import get_logger
from oneshelf.web import described
from oneshelf.web.api import Limit
from oneshelf.web.bodies import read_json
from oneshelf.web.cursor import CURSOR_LENGTH_MAX, cursor_of, names_from
from oneshelf.web.engine import Engine, EngineOf
from oneshelf.web.inputs import LetGoIn, SignOffIn, release_from, sign_off_from
from oneshelf.web.problems import DOCUMENTED, ProblemError
from oneshelf.web.questions import only_known_questions

log = get_logger(__name__)
_NUMBER = re.compile(r"[0-9]{1,18}", re.ASCII)
router = APIRouter(
    prefix="/v1", tags=["going live"], responses=DOCUMENTED, dependencies=[Depends(only_known_questions)]
)


class _Output(BaseModel):
    model_config = ConfigDict(from_attributes=True, frozen=True)


class PlanLineOut(_Output):
    """What would happen to one listing. `change` is null where nothing would be written."""

    channel_sku: str
    merchant_sku: str
    sku: str | None
    cause: str
    channel_says: int | None
    we_would_say: int | None
    change: int | None
    because: str
    warning: str
    is_signed_off: bool
    signed_off_by: str


class PlanOut(_Output):
    """A channel's plan, what frightens most first. `counts`: cause -> listings; `written`: figures to be written.

    The figures are of the whole plan, as of `counted_at`: of a large catalogue they are kept for a while. Give `next`
    as `after` to go on; a page of twins or unlinked listings may be short, and others follow while there is a `next`.

    `signs_off`: `channel` or `listing`. `held_at`: since when the breaker lets only sales through.
    """

    channel: str
    mode: str
    signs_off: str
    held_at: datetime | None
    held_reason: str
    counts: dict[str, int]
    written: int
    signed_off: int
    units_now: int
    units_then: int
    counted_at: datetime
    counted_s: float
    listings: list[PlanLineOut]
    next: str | None


class SignedOffOut(_Output):
    """How many listings were signed off just now."""

    signed_off: int


class ReleasedOut(_Output):
    """Whether the channel was held."""

    was_held: bool


@router.get("/channels/{channel}/plan")
async def show_plan(
    engine: EngineOf,
    channel: str,
    cause: Annotated[Cause | None, Query(description="Only lines of this cause.")] = None,
    after: Annotated[str, Query(max_length=CURSOR_LENGTH_MAX, description="`next` of the page before.")] = "",
    limit: Limit = 100,
) -> PlanOut:
    """What listings of a channel show, what we would have them show, and why. Asks no channel, writes nothing."""
    return await plan_read(engine, channel, cause=cause, after=after, limit=limit)


async def plan_read(engine: Engine, channel: str, *, cause: Cause | None, after: str, limit: int) -> PlanOut:
    """A page of the plan, with the figures of the whole. Raises ProblemError 404, MalformedError for another cursor."""
    name, place = channel_from(channel), _place(after)
    async with engine.database.transaction() as tx:
        row = await _known(tx, name)
    page = await page_of_plan(engine.database, name, cause=cause, after=place, limit=limit)
    whole = page.totals
    return PlanOut(
        channel=row.channel,
        mode=row.mode,
        signs_off=row.signs_off,
        held_at=row.held_at,
        held_reason=row.held_reason,
        counts={cause.value: count for cause, count in whole.counts.items()},
        written=whole.written,
        signed_off=whole.signed_off,
        units_now=whole.units_now,
        units_then=whole.units_then,
        counted_at=page.counted_at,
        counted_s=page.counted_s,
        listings=[PlanLineOut.model_validate(line) for line in page.lines],
        next=cursor_of(str(page.next_place.fright), page.next_place.channel_sku) if page.next_place else None,
    )


def _place(after: str) -> PlanPlace | None:
    if not after:
        return None
    fright, channel_sku = names_from(after, count=2)
    if not _NUMBER.fullmatch(fright):
        raise MalformedError("after must be the `next` of another page")
    return PlanPlace(int(fright), ChannelSku(channel_sku))


@router.post("/channels/{channel}/sign-off", openapi_extra=described.body("SignOffIn"))
async def sign_off(request: Request, engine: EngineOf, channel: str) -> SignedOffOut:
    """Sign off what the plan shows, and go live. Asking again changes nothing.

    Listings of a channel that is signed off as a whole are signed off already: its mode is kept.
    """
    return await signed_off(engine, channel, sign_off_from(await read_json(request)))


async def signed_off(engine: Engine, channel: str, wanted: SignOffIn) -> SignedOffOut:
    """Do the same, over the API or on its page. Raises ProblemError 404."""
    name = channel_from(channel)
    async with engine.database.transaction() as tx:
        await _known(tx, name)
        if wanted.listings:
            chosen = {ChannelSku(one) for one in wanted.listings}
            linked = await listings.lock_links(tx, [(name, one) for one in chosen])
            unlinked = sorted(one for one in chosen if (name, one) not in linked)
            if unlinked:
                words = f"{name} has no linked listing {unlinked[0]!r}, so there is nothing to sign off"
                raise ProblemError(404, words, kind="unknown-listing")
            signed = await sign_offs.sign_off(tx, name, chosen, by=wanted.by)
        else:
            signed = await sign_offs.sign_off_all(tx, name, by=wanted.by)
    engine.wake([f"push {name}"])
    return SignedOffOut(signed_off=signed)


@router.post("/channels/{channel}/release", openapi_extra=described.body("LetGoIn"))
async def release(request: Request, engine: EngineOf, channel: str) -> ReleasedOut:
    """Let go what the breaker held: all figures that wait are written. Asking again changes nothing."""
    return await released(engine, channel, release_from(await read_json(request)))


async def released(engine: Engine, channel: str, wanted: LetGoIn) -> ReleasedOut:
    """Do the same, over the API or on its page. Raises ProblemError 404."""
    name = channel_from(channel)
    async with engine.database.transaction() as tx:
        await _known(tx, name)
        was_held = await breakers.end_hold(tx, name, lets_go=True)
    if was_held:
        log.info("channel.released", channel=name, by=wanted.by)
    engine.wake([f"push {name}"])
    return ReleasedOut(was_held=was_held)


async def _known(tx: Transaction, channel: Channel) -> catalog.ChannelRow:
    for row in await catalog.channels(tx):
        if row.channel == channel:
            return row
    raise ProblemError(404, f"no channel {channel}; see GET /v1/channels", kind="unknown-channel")
