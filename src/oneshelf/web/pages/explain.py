"""Explain: why a listing shows its figure, in four layers: identity, ledger, policy, publish. Now, or at an instant."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from oneshelf.domain.account import StockState
from oneshelf.domain.identity import Channel, ChannelSku, channel_from, instant_from, printable
from oneshelf.flow.explain import explain
from oneshelf.storage import catalog, listings
from oneshelf.storage.database import Database
from oneshelf.web.engine import engine_of
from oneshelf.web.pages.frame import page, screen
from oneshelf.web.policy_outputs import explanation_out
from oneshelf.web.problems import ProblemError

ON_HAND_STATES = [state.value for state in StockState if state is not StockState.INCOMING]
LENGTH_MAX = 500


@screen
async def why(request: Request) -> Response:
    """The question, and its answer where one was asked."""
    engine = engine_of(request)
    asked = {name: request.query_params.get(name, "").strip() for name in ("channel", "listing", "at")}
    async with engine.database.transaction() as tx:
        channels = [row.channel for row in await catalog.channels(tx)]
    told = None
    if asked["channel"] and asked["listing"]:
        owner = channel_from(asked["channel"])
        meant = await _meant(engine.database, owner, asked["listing"])
        at = instant_from(asked["at"], what="the instant") if asked["at"] else None
        found = await explain(engine.database, (owner, meant), at=at)
        told = explanation_out(found) if found else None
    return page(
        request,
        "explain.html",
        {
            "is_live": told is not None and not told.is_past,
            "asked": asked,
            "channels": channels,
            "told": told,
            "states": ON_HAND_STATES,
        },
    )


async def _meant(database: Database, channel: Channel, text: str) -> ChannelSku:
    """The one listing that a person means by its id or the seller's SKU. Raises ProblemError for none or several."""
    wanted = printable(text, length_max=LENGTH_MAX)
    async with database.transaction() as tx:
        found = await listings.find(tx, channel, wanted)
    if wanted in found:
        return ChannelSku(wanted)
    if len(found) > 1:
        shown = ", ".join(found[:10])
        raise ProblemError(409, f"several listings of {channel} carry {wanted!r}: {shown}. Name one by its id")
    if not found:
        raise ProblemError(404, f"{channel} has shown no listing {wanted!r}; a sweep looks for new ones")
    return found[0]


ROUTES = [Route("/explain", why)]
