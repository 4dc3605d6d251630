"""Wholesale orders: what has to leave first, what is set aside for it, and what is short."""

from __future__ import annotations

from datetime import date

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from oneshelf.domain.wholesale import OrderState
from oneshelf.storage import views, wholesale
from oneshelf.storage.database import now
from oneshelf.web.engine import engine_of
from oneshelf.web.pages.frame import PAGE_ROWS, address, page, screen, typed
from oneshelf.web.wholesale import order_cursor
from oneshelf.web.wording import natural


@screen
async def listed(request: Request) -> Response:
    """Orders with their lines by the day on which they have to leave; closed ones only when asked for."""
    customer, after = typed(request, "customer", what="customer"), request.query_params.get("after", "")
    which = request.query_params.get("which", "")
    async with engine_of(request).database.transaction() as tx:
        await views.freeze(tx)
        at = await now(tx)
        states = (OrderState.CLOSED,) if which == "closed" else (OrderState.OPEN, OrderState.RELEASED)
        wanted = wholesale.Wanted(customer or None, states, which == "short")
        rows = await wholesale.listed(tx, wanted, after=order_cursor(after), limit=PAGE_ROWS + 1)
        shown = rows[:PAGE_ROWS]
        lines = await wholesale.lines_shown(tx, [row.order_id for row in shown])
    # Within a day as people count: PO-2 before PO-10. The pages go on by the order of the database.
    in_order = sorted(shown, key=lambda row: (row.ship_by or date.max, row.customer, natural(row.po_number)))
    context = {
        "is_live": True,
        "at": at,
        "customer": customer,
        "which": which,
        "after": after,
        "rows": [(row, lines.get(row.order_id, [])) for row in in_order],
        "first": address("/wholesale", customer=customer, which=which),
        "next": address("/wholesale", customer=customer, which=which, after=shown[-1].order_id)
        if len(rows) > PAGE_ROWS
        else "",
    }
    return page(request, "wholesale.html", context)


ROUTES = [Route("/wholesale", listed)]
