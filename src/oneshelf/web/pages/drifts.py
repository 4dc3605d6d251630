"""Drift: what is open and why; one drift with its evidence, and what a person says of it."""

from __future__ import annotations

from uuid import UUID

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from oneshelf.domain.identity import instant_from
from oneshelf.errors import MalformedError
from oneshelf.storage import drift_views, views
from oneshelf.storage.database import now
from oneshelf.storage.drift_views import DriftPlace
from oneshelf.web import drifts as api
from oneshelf.web.engine import engine_of
from oneshelf.web.inputs import drift_resolution_from
from oneshelf.web.pages.frame import PAGE_ROWS, Said, address, form_of, page, screen


@screen
async def listed(request: Request) -> Response:
    """Open drifts, or all there were, the newest first."""
    shows_all = request.query_params.get("all", "") == "1"
    after = request.query_params.get("after", "")
    async with engine_of(request).database.transaction() as tx:
        await views.freeze(tx)
        at = await now(tx)
        rows = await drift_views.listed(tx, only_open=not shows_all, before=_place(after), limit=PAGE_ROWS + 1)
    every = "1" if shows_all else ""
    following = ""
    if len(rows) > PAGE_ROWS:
        last = rows[PAGE_ROWS - 1]
        following = address("/drifts", all=every, after=f"{last.opened_at.isoformat()}/{last.drift_id}")
    context = {
        "is_live": True,
        "at": at,
        "drifts": rows[:PAGE_ROWS],
        "shows_all": shows_all,
        "after": after,
        "next": following,
    }
    return page(request, "drifts.html", context)


def _place(after: str) -> DriftPlace | None:
    if not after:
        return None
    opened_at, _, drift_id = after.partition("/")
    try:
        return DriftPlace(instant_from(opened_at, what="after"), UUID(drift_id))
    except ValueError:
        raise MalformedError("after must be what the link to the next page says") from None


@screen
async def one(request: Request) -> Response:
    """One drift: its evidence, and the ways to end it."""
    return await _shown(request)


@screen
async def resolve(request: Request) -> Response:
    """Publish our figure again, have the ledger adopt the channel's, or wait."""
    form = await form_of(request)
    wish = {"how": form.text("how")} | ({"wait_s": form.number("wait_s")} if form.text("wait_s") else {})
    done = await api.resolved(engine_of(request), request.path_params["drift_id"], drift_resolution_from(wish))
    return await _shown(request, Said(done.detail))


async def _shown(request: Request, said: Said | None = None) -> Response:
    engine = engine_of(request)
    told = await api.show_drift(engine, request.path_params["drift_id"])
    return page(request, "drift.html", {"drift": told, "evidence": told.evidence}, said=said)


ROUTES = [
    Route("/drifts", listed),
    Route("/drifts/{drift_id}", one),
    Route("/drifts/{drift_id}", resolve, methods=["POST"]),
]
