"""Go live: what each listing shows, what we would have it show and why; signed off by a person before it is written."""

from __future__ import annotations

from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from oneshelf.domain.go_live import Cause
from oneshelf.domain.identity import Channel, channel_from
from oneshelf.storage import catalog, listings, views
from oneshelf.web import going_live as api
from oneshelf.web import wording
from oneshelf.web.engine import engine_of
from oneshelf.web.inputs import sign_off_from
from oneshelf.web.pages.frame import PAGE_ROWS, Form, Said, address, form_of, page, person_of, screen

UNLINKED_SHOWN = 100
# What each cause means for whoever signs off.
CAUSES = {
    Cause.ZERO: "ends a sale: it sells something, and would not any more",
    Cause.CUT: "we would show less",
    Cause.RAISE: "we would show more",
    Cause.PARKED: "the channel refuses our figure",
    Cause.TWINS: "several listings carry its SKU",
    Cause.UNLINKED: "nobody has said which SKU it sells",
    Cause.UNREAD: "never read yet",
    Cause.UNCOUNTED: "nothing of its SKU was ever counted",
    Cause.SAME: "both say the same",
}


@screen
async def channels(request: Request) -> Response:
    """The channels, and the listings that nobody has linked."""
    async with engine_of(request).database.transaction() as tx:
        await views.freeze(tx)
        rows = [row for row in await catalog.channels(tx) if row.shows_figures]
        unlinked = await listings.unlinked(tx, limit=UNLINKED_SHOWN + 1)
    context = {"channels": rows, "unlinked": unlinked[:UNLINKED_SHOWN], "more": len(unlinked) > UNLINKED_SHOWN}
    return page(request, "go_live.html", context)


@screen
async def plan(request: Request) -> Response:
    """The plan of one channel, what frightens most first."""
    return await _shown(request)


@screen
async def sign_off(request: Request) -> Response:
    """Sign off what was ticked, or the whole channel, and go live."""
    form, engine = await form_of(request), engine_of(request)
    chosen = form.all("listing")
    if form.text("which") != "all" and not chosen:
        return await _shown(request, form, Said("Nothing was ticked, so nothing was signed off.", "bad"))
    told = {"by": person_of(request) or form.text("by")} | ({} if form.text("which") == "all" else {"listings": chosen})
    signed = (await api.signed_off(engine, request.path_params["channel"], sign_off_from(told))).signed_off
    count = wording.counted(signed, "listing was", "listings were")
    words = f"{count} signed off just now. What is signed off is written from now on."
    return await _shown(request, form, Said(words))


async def _shown(request: Request, form: Form | None = None, said: Said | None = None) -> Response:
    name, only = request.path_params["channel"], request.query_params.get("cause", "")
    after = request.query_params.get("after", "")
    cause = Cause(only) if only in set(Cause) else None
    told = await api.plan_read(engine_of(request), name, cause=cause, after=after, limit=PAGE_ROWS)
    shows_figures = await _shows_figures(request, channel_from(name))
    place = f"/go-live/{quote(told.channel, safe='')}"
    context = {
        "plan": told,
        "shows_figures": shows_figures,
        "listing_count": sum(told.counts.values()),
        "counted_s": told.counted_s,
        "only": only,
        "lines": told.listings,
        "after": after,
        "first": address(place, cause=only),
        "next": address(place, cause=only, after=told.next) if told.next else "",
        "causes": {cause.value: words for cause, words in CAUSES.items()},
        "written": [cause.value for cause in (Cause.ZERO, Cause.CUT, Cause.RAISE)],
        "person": person_of(request),
        "by": form.text("by") if form else "",
    }
    return page(request, "go_live_plan.html", context, said=said)


async def _shows_figures(request: Request, channel: Channel) -> bool:
    async with engine_of(request).database.transaction() as tx:
        return any(row.channel == channel and row.shows_figures for row in await catalog.channels(tx))


ROUTES = [
    Route("/go-live", channels),
    Route("/go-live/{channel}", plan),
    Route("/go-live/{channel}", sign_off, methods=["POST"]),
]
