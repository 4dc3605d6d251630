"""The pages: the shelf with its channels and drifts, and one SKU. They refresh themselves every second.

The refreshed part of a page is a page of its own under `/live`, so that both are made by the same template.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote, urlencode

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from oneshelf.domain.identity import Channel, Sku, printable, sku_from
from oneshelf.errors import MalformedError
from oneshelf.storage import balances, drifts, movements, subscriptions, views
from oneshelf.storage.database import now
from oneshelf.storage.views import ChannelHealth, ListingRow, Overview
from oneshelf.web import wording
from oneshelf.web.engine import engine_of

PAGE_ROWS = 50
DRIFTS_SHOWN = 20
MOVEMENTS_SHOWN = 50

_environment = Environment(
    loader=FileSystemLoader(Path(__file__).parent / "templates"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_environment.filters |= {
    "units": wording.units,
    "shown": wording.shown_units,
    "signed": wording.signed,
    "age": wording.age,
    "instant": wording.instant,
    "why_held": wording.why_held,
    "address": lambda name: quote(name, safe=""),
}
_environment.globals |= {"STATES": wording.STATES, "MODES": wording.MODES, "RESOLUTIONS": wording.RESOLUTIONS}


class Row(NamedTuple):
    """A SKU and its listings, in the order of the channels' columns."""

    sku: views.SkuRow
    cells: list[list[ListingRow]]


class Place(NamedTuple):
    """Which part of the shelf a person looks at."""

    prefix: str
    after: str

    @property
    def query(self) -> str:
        return urlencode({name: value for name, value in (("q", self.prefix), ("after", self.after)) if value})

    def starting_after(self, sku: str) -> str:
        return f"/?{Place(self.prefix, sku).query}"


async def shelf(request: Request) -> Response:
    """The dashboard."""
    return await _shelf(request, "shelf.html")


async def live_shelf(request: Request) -> Response:
    """The part of the dashboard that changes."""
    return await _shelf(request, "shelf_live.html")


async def _shelf(request: Request, template: str) -> Response:
    place = Place(_searched(request.query_params.get("q", "")), _searched(request.query_params.get("after", "")))
    async with engine_of(request).database.transaction() as tx:
        await views.freeze(tx)
        at = await now(tx)
        channels = await views.channel_rows(tx)
        overview = await views.overview(tx, channels=channels)
        rows = await views.sku_rows(tx, after=place.after, prefix=place.prefix, limit=PAGE_ROWS + 1)
        listings = await views.listings_of(tx, [row.sku for row in rows[:PAGE_ROWS]])
        drifting = await drifts.newest(tx, only_open=True, limit=DRIFTS_SHOWN)
        announced = await subscriptions.checks(tx)
    return _page(
        template,
        {
            "at": at,
            "place": place,
            "overview": overview,
            "figures": wording.figures(overview, channels),
            "channels": channels,
            "announced": announced,
            "rows": _rows(rows[:PAGE_ROWS], listings, channels),
            "next": place.starting_after(rows[PAGE_ROWS - 1].sku) if len(rows) > PAGE_ROWS else "",
            "drifts": drifting,
            "next_step": _next_step(overview, channels),
        },
    )


async def sku_page(request: Request) -> Response:
    """One SKU: where its units are, what its listings show, what happened."""
    return await _sku(request, "sku.html")


async def live_sku(request: Request) -> Response:
    """The part of a SKU's page that changes."""
    return await _sku(request, "sku_live.html")


async def _sku(request: Request, template: str) -> Response:
    try:
        sku = sku_from(request.path_params["sku"])
    except MalformedError:
        return _page("missing.html", {"sku": printable(request.path_params["sku"], length_max=120)}, status=404)
    async with engine_of(request).database.transaction() as tx:
        await views.freeze(tx)
        at = await now(tx)
        rows = await views.sku_rows(tx, limit=1, only=[sku])
        if not rows:
            return _page("missing.html", {"sku": sku}, status=404)
        shelves = await balances.read(tx, [sku])
        listings = await views.listings_of(tx, [sku])
        drifting = await drifts.open_of(tx, sku)
        moved = await movements.newest(tx, sku, limit=MOVEMENTS_SHOWN)
    context = {
        "at": at,
        "sku": rows[0],
        "balances": sorted(shelves[sku].items()),
        "listings": listings[sku],
        "drifts": drifting,
        "movements": moved,
    }
    return _page(template, context)


async def icon(_request: Request) -> Response:
    """Browsers that ask for the icon by its old name."""
    return RedirectResponse("/static/favicon.svg", status_code=301)


def _page(template: str, context: Mapping[str, object], *, status: int = 200) -> Response:
    return HTMLResponse(_environment.get_template(template).render(context), status_code=status)


def _searched(text: str) -> str:
    """What a person typed, as the beginning of a name; text that no name can begin with is left out."""
    try:
        return sku_from(text)
    except MalformedError:
        return ""


def _rows(
    skus: Sequence[views.SkuRow], listings: Mapping[Sku, Sequence[ListingRow]], channels: Sequence[ChannelHealth]
) -> list[Row]:
    rows = []
    for sku in skus:
        by_channel: dict[Channel, list[ListingRow]] = {channel.channel: [] for channel in channels}
        for listing in listings[sku.sku]:
            by_channel[listing.channel].append(listing)
        rows.append(Row(sku, list(by_channel.values())))
    return rows


def _next_step(overview: Overview, channels: Sequence[ChannelHealth]) -> str:
    """What to do first on an engine that has nothing to show yet."""
    if not overview.sku_count:
        return "name a sku"
    if not channels:
        return "connect a channel"
    if not overview.listing_count:
        return "wait for the first sweep"
    return ""


ROUTES = [
    Route("/", shelf),
    Route("/live/shelf", live_shelf),
    Route("/live/skus/{sku:path}", live_sku),
    Route("/skus/{sku:path}", sku_page),
    Route("/favicon.ico", icon),
]
