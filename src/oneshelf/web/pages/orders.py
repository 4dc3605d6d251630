"""Orders as the ledger has them, and those of them that wait for units."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from oneshelf.domain.identity import Channel
from oneshelf.storage import catalog, detail_views, views
from oneshelf.storage.database import now
from oneshelf.web.api import pair_from
from oneshelf.web.engine import engine_of
from oneshelf.web.pages.frame import PAGE_ROWS, address, page, screen, typed


@screen
async def listed(request: Request) -> Response:
    """Orders by channel and order id."""
    channel, after = typed(request, "channel", what="channel"), request.query_params.get("after", "")
    is_short = request.query_params.get("short", "") == "1"
    rows_of = detail_views.short_orders if is_short else detail_views.order_rows
    async with engine_of(request).database.transaction() as tx:
        await views.freeze(tx)
        at = await now(tx)
        channels = [row.channel for row in await catalog.channels(tx)]
        only = Channel(channel) if channel else None
        rows = await rows_of(tx, channel=only, after=pair_from(after), limit=PAGE_ROWS + 1)
    last = rows[PAGE_ROWS - 1] if len(rows) > PAGE_ROWS else None
    short = "1" if is_short else ""
    following = (
        address("/orders", channel=channel, short=short, after=f"{last.channel}/{last.order_id}") if last else ""
    )
    context = {
        "is_live": True,
        "at": at,
        "channels": channels,
        "channel": channel,
        "is_short": is_short,
        "after": after,
        "rows": rows[:PAGE_ROWS],
        "first": address("/orders", channel=channel, short=short),
        "next": following,
    }
    return page(request, "orders.html", context)


ROUTES = [Route("/orders", listed)]
