"""The rest of `/v1`: what there is, and the names that programs give to SKUs and locations."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated
from uuid import UUID

from annotated_types import Interval
from fastapi import APIRouter, Depends, Query
from pydantic import BeforeValidator
from starlette.requests import Request

from oneshelf.domain.identity import Channel, ChannelSku, Location, Sku, channel_from, instant_from, printable, sku_from
from oneshelf.domain.ledger import Balance
from oneshelf.errors import MalformedError
from oneshelf.storage import (
    balances,
    bundles,
    catalog,
    detail_views,
    drifts,
    facts,
    inbox,
    listing_issues,
    movements,
    past,
    subscriptions,
    views,
)
from oneshelf.storage.database import now
from oneshelf.storage.listing_states import ListingState
from oneshelf.web import channel_outputs, described, outputs
from oneshelf.web.bodies import read_json
from oneshelf.web.engine import Engine, EngineOf
from oneshelf.web.fields import limit_from
from oneshelf.web.inputs import location_titles_from, sku_titles_from
from oneshelf.web.problems import DOCUMENTED, ProblemError
from oneshelf.web.questions import only_known_questions

# As many as of deliveries and orders.
PARKED_TOLD = 500

router = APIRouter(prefix="/v1", tags=["shelf"], responses=DOCUMENTED, dependencies=[Depends(only_known_questions)])

Limit = Annotated[int, Interval(ge=1, le=1000), BeforeValidator(limit_from), Query(description="At most so many.")]
At = Annotated[
    str | None,
    Query(
        max_length=100, description="A past instant, ISO 8601 with a zone; the plus of an offset is %2B in an address."
    ),
]
After = Annotated[str, Query(max_length=500, description="`next` of the page before.")]


@router.get("/skus")
async def list_skus(engine: EngineOf, after: After = "", limit: Limit = 100) -> outputs.SkusOut:
    """All SKUs in the order of their names."""
    start = sku_from(after) if after else ""
    async with engine.database.transaction() as tx:
        await views.freeze(tx)
        rows = await views.sku_rows(tx, after=start, limit=limit + 1)
    return outputs.SkusOut(
        skus=[outputs.SkuOut.model_validate(row) for row in rows[:limit]],
        next=rows[limit - 1].sku if len(rows) > limit else None,
    )


@router.post("/skus", openapi_extra=described.body("SkusIn"))
async def add_skus(request: Request, engine: EngineOf) -> outputs.SkusAdded:
    """Name SKUs. Known ones keep their title, so asking again changes nothing.

    Listings that are known, not linked and carry exactly one of these SKUs are linked to it.
    """
    titles = sku_titles_from(await read_json(request))
    async with engine.database.transaction() as tx:
        named = await catalog.add_skus(tx, titles)
    if named.linked:
        engine.wake(("post", "plan", "confirm"))
    known = len(titles) - named.new_count
    return outputs.SkusAdded(added=named.new_count, known=known, linked=len(named.linked))


# Before the SKU alone: a name may hold a slash.
@router.get("/skus/{sku:path}/movements")
async def list_movements(
    engine: EngineOf, sku: str, before: UUID | None = None, at: At = None, limit: Limit = 100
) -> outputs.MovementsOut:
    """What happened to the units of a SKU, newest first; with `at`, what had been posted by then."""
    name = sku_from(sku)
    instant = None if at is None else instant_from(at, what="at")
    async with engine.database.transaction() as tx:
        await views.freeze(tx)
        if not await catalog.known_skus(tx, [name]):
            raise unknown_sku(name)
        if instant is not None:
            await past.refuse_future(tx, instant)
        rows = await movements.newest(tx, name, limit=limit + 1, before=before, at=instant)
    return outputs.MovementsOut(
        movements=[outputs.MovementOut.model_validate(row) for row in rows[:limit]],
        next=rows[limit - 1].movement_id if len(rows) > limit else None,
    )


@router.get("/skus/{sku:path}")
async def show_sku(engine: EngineOf, sku: str, at: At = None) -> outputs.SkuDetailOut | outputs.SkuPastOut:
    """Where the units of a SKU are, what its listings show, and what nothing explains; with `at`, how it was."""
    name = sku_from(sku)
    if at is not None:
        return await _past_sku(engine, name, instant_from(at, what="at"))
    async with engine.database.transaction() as tx:
        await views.freeze(tx)
        present = await now(tx)
        rows = await views.sku_rows(tx, limit=1, only=[name])
        if not rows:
            raise unknown_sku(name)
        shelf = await balances.read(tx, [name])
        listings = await views.listings_of(tx, [name])
        drifting = await drifts.open_of(tx, name)
        parts = (await bundles.listed(tx, sku=name)).get(name, ())
    return outputs.SkuDetailOut(
        **rows[0]._asdict(),
        components=[outputs.ComponentOut.model_validate(part) for part in parts],
        balances=[_balance_out(location, balance) for location, balance in sorted(shelf[name].items())],
        listings=[outputs.listing_out(row, now=present) for row in listings[name]],
        drifts=[outputs.drift_out(row, now=present) for row in drifting],
    )


async def _past_sku(engine: Engine, sku: Sku, at: datetime) -> outputs.SkuPastOut:
    async with engine.database.transaction() as tx:
        await views.freeze(tx)
        if not await catalog.known_skus(tx, [sku]):
            raise unknown_sku(sku)
        await past.refuse_future(tx, at)
        was = await past.read(tx, sku, at)
    return outputs.SkuPastOut(
        sku=sku,
        at=at,
        balances=[_balance_out(location, balance) for location, balance in sorted(was.balances.items())],
        outside=was.outside,
        held=[outputs.HeldOut.model_validate(row) for row in was.held],
        listings=[outputs.PublishedOut.model_validate(row) for row in was.listings],
    )


def _balance_out(location: Location, balance: Balance) -> outputs.BalanceOut:
    states = {state.value: units for state, units in balance.units.items()}
    return outputs.BalanceOut.model_validate(
        {"location": location, "on_hand": balance.on_hand, "version": balance.version, **states}
    )


@router.get("/locations")
async def list_locations(engine: EngineOf) -> outputs.LocationsOut:
    """Where units are."""
    async with engine.database.transaction() as tx:
        rows = await detail_views.location_rows(tx)
    return outputs.LocationsOut(locations=[outputs.LocationOut.model_validate(row) for row in rows])


@router.post("/locations", openapi_extra=described.body("LocationsIn"))
async def add_locations(request: Request, engine: EngineOf) -> outputs.Added:
    """Name locations. Known ones keep their title."""
    titles = location_titles_from(await read_json(request))
    async with engine.database.transaction() as tx:
        added = [await catalog.add_location(tx, place, title=title) for place, title in sorted(titles.items())]
    return outputs.Added(added=sum(added), known=len(added) - sum(added))


@router.get("/channels")
async def list_channels(engine: EngineOf) -> channel_outputs.ChannelsOut:
    """The connected channels and how fresh we are with them. Never their settings or secrets."""
    async with engine.database.transaction() as tx:
        await views.freeze(tx)
        rows = await views.channel_rows(tx)
        announced = await subscriptions.checks(tx)
    writes = {name: opened.capability.writes for name, opened in engine.channels.items()}
    told = [
        {**row._asdict(), "writes": writes.get(row.channel), "webhooks": announced.get(row.channel)} for row in rows
    ]
    return channel_outputs.ChannelsOut(channels=[channel_outputs.ChannelOut.model_validate(row) for row in told])


@router.get("/listings")
async def list_listings(
    engine: EngineOf,
    channel: str | None = None,
    state: ListingState | None = None,
    after: After = "",
    limit: Limit = 100,
) -> outputs.ListingsOut:
    """Listings by channel and channel SKU. `verified` alone says that the channel shows what it should."""
    start = pair_from(after)
    async with engine.database.transaction() as tx:
        await views.freeze(tx)
        at = await now(tx)
        rows = await views.listing_rows(
            tx,
            channel=_channel(channel),
            state=state,
            after=None if start is None else (start[0], ChannelSku(start[1])),
            limit=limit + 1,
        )
    return outputs.ListingsOut(
        listings=[outputs.listing_out(row, now=at) for row in rows[:limit]],
        next=f"{rows[limit - 1].channel}/{rows[limit - 1].channel_sku}" if len(rows) > limit else None,
    )


@router.get("/orders")
async def list_orders(
    engine: EngineOf, short: bool = False, channel: str | None = None, after: After = "", limit: Limit = 100
) -> outputs.OrdersOut:
    """Orders by channel and order id; `short=true`: only those that wait for units."""
    rows_of = detail_views.short_orders if short else detail_views.order_rows
    async with engine.database.transaction() as tx:
        await views.freeze(tx)
        rows = await rows_of(tx, channel=_channel(channel), after=pair_from(after), limit=limit + 1)
    return outputs.OrdersOut(
        orders=[outputs.OrderOut.model_validate(row) for row in rows[:limit]],
        next=f"{rows[limit - 1].channel}/{rows[limit - 1].order_id}" if len(rows) > limit else None,
    )


@router.get("/errors")
async def list_errors(engine: EngineOf) -> outputs.ErrorsOut:
    """What waits for a person: deliveries, orders and listings that are parked, 500 of each at most.

    All parked listings: `GET /v1/listings?state=parked`.
    """
    async with engine.database.transaction() as tx:
        await views.freeze(tx)
        deliveries = await inbox.parked(tx)
        orders = await facts.parked(tx)
        listings = await listing_issues.parked(tx, limit=PARKED_TOLD)
    return outputs.ErrorsOut(
        deliveries=[outputs.ParkedDeliveryOut.model_validate(row) for row in deliveries],
        orders=[outputs.ParkedOrderOut.model_validate(row) for row in orders],
        listings=[
            outputs.ParkedListingOut(channel=channel, channel_sku=channel_sku, reason=reason)
            for channel, channel_sku, reason in listings
        ],
    )


def unknown_sku(sku: Sku) -> ProblemError:
    """404 with the way out."""
    return ProblemError(404, f"no SKU {sku}; name it with POST /v1/skus", kind="unknown-sku")


def _channel(name: str | None) -> Channel | None:
    return None if name is None else channel_from(name)


def pair_from(cursor: str) -> tuple[Channel, str] | None:
    """The place in a list by channel and name. A channel's name has no slash. Raises MalformedError."""
    if not cursor:
        return None
    channel, slash, name = cursor.partition("/")
    if not slash or printable(cursor, length_max=len(cursor)) != cursor:
        raise MalformedError("after must be the `next` of another page")
    return channel_from(channel), name
