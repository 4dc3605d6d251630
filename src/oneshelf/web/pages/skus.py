"""SKUs: the list with what each channel shows, and one SKU with all that is known of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from oneshelf.domain.identity import Channel, Location, Sku, printable, sku_from
from oneshelf.domain.rights import Mode
from oneshelf.errors import MalformedError
from oneshelf.storage import balances, bundles, catalog, drifts, movements, rights, sku_views, views
from oneshelf.storage.database import Transaction, now
from oneshelf.storage.views import ListingRow
from oneshelf.web import sharing, wording
from oneshelf.web.engine import engine_of
from oneshelf.web.inputs import sharing_from
from oneshelf.web.pages.charts import OverTime
from oneshelf.web.pages.frame import PAGE_ROWS, Said, address, form_of, page, screen, typed

MOVEMENTS_SHOWN = 50
OPEN_SHOWN = 50
# So many movements are drawn at most.
DRAWN_MOVEMENTS = 1000


# What each way of sharing does, for whoever chooses it.
_MODES_SAID = {
    Mode.AUTO: "pooled while plentiful, shared while scarce",
    Mode.POOLED: "every listing shows all units",
    Mode.GUARDED: "what the listings may sell adds up to what is there",
    Mode.FROZEN: "every listing is written to 0: nothing is sold anywhere",
}


class Row(NamedTuple):
    """A SKU and its listings, in the order of the channels' columns."""

    sku: views.SkuRow
    cells: list[list[ListingRow]]


@screen
async def listed(request: Request) -> Response:
    """SKUs in the order of their names, with what each channel shows."""
    prefix, after = typed(request, "q", what="SKU"), typed(request, "after", what="SKU")
    async with engine_of(request).database.transaction() as tx:
        await views.freeze(tx)
        at = await now(tx)
        channels = [row.channel for row in await catalog.channels(tx)]
        rows = await views.sku_rows(tx, after=after, prefix=prefix, limit=PAGE_ROWS + 1)
        listings = await views.listings_of(tx, [row.sku for row in rows[:PAGE_ROWS]])
    context = {
        "is_live": True,
        "at": at,
        "searched": prefix,
        "after": after,
        "first": address("/skus", q=prefix),
        "next": address("/skus", q=prefix, after=rows[PAGE_ROWS - 1].sku) if len(rows) > PAGE_ROWS else "",
        "channels": channels,
        "rows": _rows(rows[:PAGE_ROWS], listings, channels),
    }
    return page(request, "skus.html", context)


def _rows(
    skus: Sequence[views.SkuRow], listings: Mapping[Sku, Sequence[ListingRow]], channels: Sequence[Channel]
) -> list[Row]:
    rows = []
    for sku in skus:
        by_channel: dict[Channel, list[ListingRow]] = {channel: [] for channel in channels}
        for listing in listings[sku.sku]:
            by_channel[listing.channel].append(listing)
        rows.append(Row(sku, list(by_channel.values())))
    return rows


@screen
async def share(request: Request) -> Response:
    """Say how its listings share its units; `frozen`: they sell nothing, everywhere."""
    form = await form_of(request)
    told = await sharing.shared(engine_of(request), request.path_params["sku"], sharing_from(form.filled("mode")))
    words = _MODES_SAID[Mode(told.mode)]
    return await _one(request, Said(f"Mode {told.mode}: {words}. It takes effect as writes are proved."))


@screen
async def one(request: Request) -> Response:
    """One SKU: where its units are and were, what its listings show, who holds units, what happened."""
    return await _one(request)


async def _one(request: Request, said: Said | None = None) -> Response:
    try:
        sku = sku_from(request.path_params["sku"])
    except MalformedError:
        named = printable(request.path_params["sku"], length_max=120)
        return page(request, "missing.html", {"what": "SKU", "named": named, "list": "/skus"}, status=404)
    chosen = typed(request, "location", what="location")
    async with engine_of(request).database.transaction() as tx:
        await views.freeze(tx)
        context = await _told(tx, sku, Location(chosen) if chosen else None)
    if context is None:
        return page(request, "missing.html", {"what": "SKU", "named": sku, "list": "/skus"}, status=404)
    return page(request, "sku.html", {**context, "modes": _MODES_SAID}, said=said)


async def _told(tx: Transaction, sku: Sku, chosen: Location | None) -> dict[str, object] | None:
    rows = await views.sku_rows(tx, limit=1, only=[sku])
    if not rows:
        return None
    at = await now(tx)
    shelves = (await balances.read(tx, [sku]))[sku]
    location = chosen if chosen in shelves else None
    moved = await movements.newest(tx, sku, limit=DRAWN_MOVEMENTS + 1)
    guard = await rights.guard_of(tx, sku)
    drawn = OverTime(shelves, moved[:DRAWN_MOVEMENTS], at=at, location=location, is_whole=len(moved) <= DRAWN_MOVEMENTS)
    return {
        "is_live": True,
        "at": at,
        "sku": rows[0],
        "balances": sorted(shelves.items()),
        "location": location,
        "chart": drawn.drawn(),
        "chart_words": _in_words(drawn, at),
        "listings": (await views.listings_of(tx, [sku]))[sku],
        "drifts": await drifts.open_of(tx, sku),
        "guard": guard,
        "is_frozen": guard is not None and guard.mode is Mode.FROZEN,
        "sharing": await rights.sharing_of(tx, sku),
        "parts_of": (await bundles.listed(tx, sku=sku)).get(sku, ()),
        "held": await sku_views.held(tx, sku, limit=OPEN_SHOWN),
        "lines": await sku_views.open_lines(tx, sku, limit=OPEN_SHOWN),
        "movements": moved[:MOVEMENTS_SHOWN],
        "more_movements": len(moved) > MOVEMENTS_SHOWN,
    }


def _in_words(drawn: OverTime, at: datetime) -> str:
    """What the chart shows, for those who do not see it."""
    lines, span_s = drawn.lines(), (at - drawn.instants[0]).total_seconds()
    if len(drawn.instants) == 1:
        return "Nothing has moved yet."
    said = "; ".join(f"{name} {min(line):,} to {max(line):,}, now {line[-1]:,}" for name, line in lines.items())
    since = (
        f"Since the first movement, {wording.age(span_s)} ago"
        if drawn.is_whole
        else (f"Over the latest {DRAWN_MOVEMENTS:,} movements, {wording.age(span_s)}")
    )
    return f"{since}, in units: {said}."


ROUTES = [
    Route("/skus", listed),
    Route("/skus/{sku:path}", share, methods=["POST"]),
    Route("/skus/{sku:path}", one),
]
