"""Orders as the ledger has them, and those of them that wait for units."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from oneshelf.domain.identity import Channel, channel_from, instant_from
from oneshelf.storage import catalog, detail_views, views
from oneshelf.storage.database import now
from oneshelf.web.cursor import cursor_of, names_from
from oneshelf.web.engine import engine_of
from oneshelf.web.pages.frame import PAGE_ROWS, address, page, screen, typed


@screen
async def listed(request: Request) -> Response:
    """Orders, the newest first."""
    channel, number = typed(request, "channel", what="channel"), typed(request, "number", what="order number")
    after = request.query_params.get("after", "")
    is_short = request.query_params.get("short", "") == "1"
    async with engine_of(request).database.transaction() as tx:
        await views.freeze(tx)
        at = await now(tx)
        channels = [row.channel for row in await catalog.channels(tx)]
        only = Channel(channel) if channel else None
        rows = await detail_views.newest_orders(
            tx, channel=only, begins=number, is_short=is_short, after=_place(after), limit=PAGE_ROWS + 1
        )
    last = rows[PAGE_ROWS - 1] if len(rows) > PAGE_ROWS else None
    short = "1" if is_short else ""
    here = {"channel": channel, "short": short, "number": number}
    following = (
        address("/orders", **here, after=cursor_of(last.placed_at.isoformat(), last.channel, last.order_id))
        if last
        else ""
    )
    context = {
        "is_live": True,
        "at": at,
        "channels": channels,
        "channel": channel,
        "number": number,
        "is_short": is_short,
        "after": after,
        "rows": rows[:PAGE_ROWS],
        "first": address("/orders", **here),
        "next": following,
    }
    return page(request, "orders.html", context)


def _place(after: str) -> detail_views.OrderPlace | None:
    if not after:
        return None
    placed_at, channel, order_id = names_from(after, count=3)
    return detail_views.OrderPlace(instant_from(placed_at, what="after"), channel_from(channel), order_id)


ROUTES = [Route("/orders", listed)]
