"""Errors: deliveries that cannot be read, orders that cannot be posted, listings that their channel refuses."""

from __future__ import annotations

import re

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from oneshelf.errors import MalformedError
from oneshelf.storage import facts, home_views, inbox, listing_issues, views
from oneshelf.storage.database import now
from oneshelf.web.engine import engine_of
from oneshelf.web.pages.frame import Said, form_of, page, screen

ROWS_SHOWN = 200
_ID = re.compile(r"[do][0-9]{1,17}", re.ASCII)
# What a person may say -> the state it leads to, and the words for it.
_ACTS = {
    "retry": ("new", "being tried again; what cannot be read or posted comes back here"),
    "dismiss": ("dismissed", "dismissed; they are kept, and no stock moves"),
}


@screen
async def listed(request: Request) -> Response:
    """All that waits for a person."""
    return await _shown(request)


@screen
async def decide(request: Request) -> Response:
    """Try some or all of them again, or leave them alone for good."""
    form = await form_of(request)
    act, ids, is_all = form.text("act"), form.all("id"), form.text("which") == "all"
    if act not in _ACTS:
        raise MalformedError("say what to do: retry or dismiss")
    if not ids and not is_all:
        return await _shown(request, Said("Nothing was ticked, so nothing was done.", "bad"))
    if any(not _ID.fullmatch(one) for one in ids):
        raise MalformedError("one of these is no id of a parked delivery or order")
    state, words = _ACTS[act]
    engine = engine_of(request)
    async with engine.database.transaction() as tx:
        count = await inbox.set_parked_state(tx, None if is_all else _of("d", ids), state=state)
        count += await facts.set_parked_state(tx, None if is_all else _of("o", ids), state=state)
    engine.wake(["interpret", "order", "post"])
    return await _shown(request, Said(f"{count:,} {'is' if count == 1 else 'are'} {words}."))


def _of(kind: str, ids: list[str]) -> list[int]:
    return [int(one[1:]) for one in ids if one[0] == kind]


async def _shown(request: Request, said: Said | None = None) -> Response:
    async with engine_of(request).database.transaction() as tx:
        await views.freeze(tx)
        deliveries = await inbox.parked(tx, limit=ROWS_SHOWN + 1)
        orders = await facts.parked(tx, limit=ROWS_SHOWN + 1)
        waiting = await home_views.waiting(tx)
        context = {
            # Where something can be ticked, a refresh would take the ticks away.
            "is_live": not deliveries and not orders,
            "at": await now(tx),
            "waiting_count": waiting["inbox_waiting"] + waiting["facts_waiting"],
            "deliveries": deliveries,
            "orders": orders,
            "listings": await listing_issues.parked(tx, limit=ROWS_SHOWN + 1),
            "most": ROWS_SHOWN,
        }
    return page(request, "errors.html", context, said=said)


ROUTES = [Route("/errors", listed), Route("/errors", decide, methods=["POST"])]
