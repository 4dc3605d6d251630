"""Home: what loses money now, then what is stale, then what nobody linked, then how it goes."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from oneshelf.storage import (
    audit_positions,
    blind_windows,
    detail_views,
    drifts,
    home_views,
    short_list,
    subscriptions,
    tallies,
)
from oneshelf.storage import views as views_of
from oneshelf.storage.database import now
from oneshelf.web import wording
from oneshelf.web.engine import engine_of
from oneshelf.web.pages import charts, verdict
from oneshelf.web.pages.frame import address, page, screen

DRIFTS_SHOWN = 10
SHORT_SHOWN = 5
TREND_HOURS = 48


@screen
async def home(request: Request) -> Response:
    """The page that is opened at eight, and at two."""
    if searched := request.query_params.get("q", ""):
        return RedirectResponse(address("/skus", q=searched), status_code=303)
    engine = engine_of(request)
    async with engine.database.transaction() as tx:
        await views_of.freeze(tx)
        at = await now(tx)
        tally = await tallies.read(tx)
        overview = await views_of.overview(tx, tally=tally)
        channels = await views_of.channel_rows(tx, tally=tally)
        drifting = await drifts.newest(tx, only_open=True, limit=DRIFTS_SHOWN)
        short = await detail_views.short_rows(tx, limit=SHORT_SHOWN)
        advice = await short_list.advised(tx, short)
        hours = await home_views.orders_by_hour(tx, hours=TREND_HOURS)
        windows = {row.channel: row for row in await blind_windows.reckoned(tx)}
        announced = await subscriptions.checks(tx)
        audit = await audit_positions.status(tx)
    return page(
        request,
        "home.html",
        {
            "is_live": True,
            "at": at,
            "counted_s": tally.age_s(at),
            "overview": overview,
            "alarms": verdict.alarms(channels, audit),
            "losing": wording.losing(overview, tally.exposure),
            "stale": wording.stale(overview, channels),
            "unlinked": wording.unlinked(overview),
            "totals": wording.totals(overview, tally.exposure),
            "exposed": tally.exposure.worst[: tally.exposure.scarce_count],
            "short": [short_list.as_shown(row, advice) for row in short],
            "channels": channels,
            "windows": windows,
            "announced": announced,
            "audit": audit,
            "drifts": drifting,
            "trend": charts.hours(hours),
            "trend_sum": sum(hour.order_count for hour in hours),
            "next_step": verdict.next_step(overview, channels),
        },
    )


async def icon(_request: Request) -> Response:
    """Browsers that ask for the icon by its old name."""
    return RedirectResponse("/static/favicon.svg", status_code=301)


ROUTES = [Route("/", home), Route("/favicon.ico", icon)]
