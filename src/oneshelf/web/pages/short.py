"""The short list: what was sold or promised and is not there, who loses the unit, and the cheapest way out."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from oneshelf.domain.identity import Sku
from oneshelf.storage import detail_views, short_list, views
from oneshelf.storage.database import now
from oneshelf.web.engine import engine_of
from oneshelf.web.pages.frame import PAGE_ROWS, address, page, screen, typed
from oneshelf.web.short_cursor import cursor_of, place_from


@screen
async def listed(request: Request) -> Response:
    """What waits for units, the oldest first, as it will be filled."""
    sku, after = typed(request, "sku", what="SKU"), request.query_params.get("after", "")
    async with engine_of(request).database.transaction() as tx:
        await views.freeze(tx)
        at = await now(tx)
        rows = await detail_views.short_rows(
            tx, sku=Sku(sku) if sku else None, after=place_from(after) if after else None, limit=PAGE_ROWS + 1
        )
        shown = rows[:PAGE_ROWS]
        advice = await short_list.advised(tx, shown)
    context = {
        "is_live": True,
        "at": at,
        "sku": sku,
        "after": after,
        "rows": [short_list.as_shown(row, advice) for row in shown],
        "next": address("/short", sku=sku, after=cursor_of(shown[-1].place)) if len(rows) > PAGE_ROWS else "",
    }
    return page(request, "short.html", context)


ROUTES = [Route("/short", listed)]
