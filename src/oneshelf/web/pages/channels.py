"""Channels: how fresh we are with each, what it lets us do, and letting go what its breaker holds."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from oneshelf.domain.identity import channel_from
from oneshelf.errors import MalformedError
from oneshelf.storage import blind_windows, catalog, device_events, devices, subscriptions, tallies, views
from oneshelf.storage.database import now
from oneshelf.web import going_live
from oneshelf.web.engine import engine_of
from oneshelf.web.inputs import release_from
from oneshelf.web.pages.frame import Said, form_of, page, screen
from oneshelf.web.problems import ProblemError

# What a person may set here, and what it means. Going live needs a signature: `/go-live`.
MODES = {"watch": "orders and figures are read, nothing is written", "paused": "a person has paused writing"}


@screen
async def listed(request: Request) -> Response:
    """All channels."""
    return page(request, "channels.html", {"is_live": True, **await _told(request)})


@screen
async def one(request: Request) -> Response:
    """One channel: its freshness, its blind window, and what a person can do."""
    return await _shown(request)


@screen
async def ask(request: Request) -> Response:
    """Let go what the breaker held, or stop writing."""
    form, engine = await form_of(request), engine_of(request)
    channel = channel_from(request.path_params["channel"])
    match form.text("act"):
        case "release":
            done = await going_live.released(engine, channel, release_from({"by": form.text("by")}))
            words = "Released: all figures that wait are written now." if done.was_held else "It was not held."
        case "mode" if form.text("mode") in MODES:
            async with engine.database.transaction() as tx:
                if not await catalog.set_mode(tx, channel, form.text("mode")):
                    raise ProblemError(404, f"no channel {channel}", kind="unknown-channel")
            engine.wake(["plan"])
            words = f"{channel} is in mode {form.text('mode')}: {MODES[form.text('mode')]}."
        case _:
            raise MalformedError("say what to do: release, or a mode")
    return await _shown(request, Said(words))


async def _shown(request: Request, said: Said | None = None) -> Response:
    name = channel_from(request.path_params["channel"])
    told = await _told(request)
    found = [row for row in told["channels"] if row.channel == name]
    if not found:
        return page(request, "missing.html", {"what": "channel", "named": name, "list": "/channels"}, status=404)
    engine = engine_of(request)
    async with engine.database.transaction() as tx:
        measured = await blind_windows.windows(tx, channel=name)
        told_by = await devices.listed(tx, name)
        gaps, questions = await devices.gaps_of(tx, name), await device_events.questions(tx, name)
    opened, row = engine.channels.get(name), found[0]
    context = {
        **told,
        "channel": row,
        "channels": found,
        "measured": measured,
        "parts_told": blind_windows.PARTS,
        "writes": opened.capability.writes if opened else "",
        "shows_figures": row.shows_figures,
        "takes_orders": row.takes_purchase_orders,
        "devices": told_by,
        "gaps": gaps,
        "questions": questions,
        "modes": MODES,
    }
    return page(request, "channel.html", context, said=said)


async def _told(request: Request) -> dict[str, Any]:
    engine = engine_of(request)
    async with engine.database.transaction() as tx:
        await views.freeze(tx)
        at, tally = await now(tx), await tallies.read(tx)
        return {
            "at": at,
            "counted_s": tally.age_s(at),
            "channels": await views.channel_rows(tx, tally=tally),
            "windows": {row.channel: row for row in await blind_windows.reckoned(tx)},
            "announced": await subscriptions.checks(tx),
        }


ROUTES = [
    Route("/channels", listed),
    Route("/channels/{channel}", one),
    Route("/channels/{channel}", ask, methods=["POST"]),
]
