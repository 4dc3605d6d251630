"""Conflicts: what two systems said of one figure, which rule decided, and a person's word against it."""

from __future__ import annotations

from uuid import UUID

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from oneshelf.domain.identity import Sku, instant_from
from oneshelf.errors import MalformedError
from oneshelf.storage import conflicts, views
from oneshelf.storage.conflicts import KINDS, ConflictPlace, ConflictRow
from oneshelf.storage.database import now
from oneshelf.web import truth as api
from oneshelf.web.engine import engine_of
from oneshelf.web.pages.frame import PAGE_ROWS, Said, address, form_of, page, person_of, screen, typed
from oneshelf.web.source_inputs import ruling_from
from oneshelf.web.wording import sentence

# What each kind is, for whoever reads it.
MEANINGS = {
    "statement": "two systems stated one figure, and neither had seen the other's",
    "ledger": "a system that rules stated another figure than the ledger had",
    "drift": "a channel that rules showed another figure than the ledger had",
    "equivocation": "one document came with two contents; the second is quarantined",
}
STATES = {
    "open": "waits for a person",
    "decided": "the rule decided",
    "overruled": "a person decided",
    "ended": "later news has ended it",
}


@screen
async def listed(request: Request) -> Response:
    """What disagreed, open ones first; of one kind, or of one SKU."""
    asked = request.query_params
    shows_all, kind, after = asked.get("all", "") == "1", asked.get("kind", ""), asked.get("after", "")
    sku = typed(request, "sku", what="SKU")
    if kind and kind not in KINDS:
        raise MalformedError(f"there is no such kind of conflict; there are: {', '.join(KINDS)}")
    async with engine_of(request).database.transaction() as tx:
        await views.freeze(tx)
        at = await now(tx)
        counted = await conflicts.open_by_kind(tx)
        rows = await conflicts.listed(
            tx,
            only_open=not shows_all,
            sku=Sku(sku) if sku else None,
            kind=kind or None,
            behind=_place(after),
            limit=PAGE_ROWS + 1,
        )
    every = "1" if shows_all else ""
    first = address("/conflicts", all=every, kind=kind, sku=sku)
    following = ""
    if len(rows) > PAGE_ROWS:
        last = rows[PAGE_ROWS - 1]
        place = f"{int(last.state != 'open')}/{last.opened_at.isoformat()}/{last.conflict_id}"
        following = address("/conflicts", all=every, kind=kind, sku=sku, after=place)
    context = {
        "is_live": True,
        "at": at,
        "conflicts": rows[:PAGE_ROWS],
        "shows_all": shows_all,
        "kind": kind,
        "sku": sku,
        "kinds": KINDS,
        "counted": counted,
        "meanings": MEANINGS,
        "states": STATES,
        "after": after,
        "first": first,
        "next": following,
    }
    return page(request, "conflicts.html", context)


def _place(after: str) -> ConflictPlace | None:
    if not after:
        return None
    is_closed, _, rest = after.partition("/")
    opened_at, _, conflict_id = rest.partition("/")
    try:
        return ConflictPlace(is_closed == "1", instant_from(opened_at, what="after"), UUID(conflict_id))
    except ValueError:
        raise MalformedError("after must be what the link to the next page says") from None


@screen
async def one(request: Request) -> Response:
    """Both sides of one conflict, what decided, and the way to overrule it."""
    return await _shown(request)


@screen
async def overrule(request: Request) -> Response:
    """What was beaten is right. Sent twice, units move once."""
    form, wanted = await form_of(request), request.path_params["conflict_id"]
    told: dict[str, object] = {"by": person_of(request) or form.text("by"), **form.filled("reason", "right")}
    done = await api.ruled(engine_of(request), wanted, ruling_from(told))
    return await _shown(request, Said(sentence(done.detail)))


async def _shown(request: Request, said: Said | None = None) -> Response:
    row: ConflictRow = await api.found(engine_of(request), request.path_params["conflict_id"])
    async with engine_of(request).database.transaction() as tx:
        at = await now(tx)
    context = {
        "conflict": row,
        "at": at,
        "meaning": MEANINGS[row.kind],
        "state_told": STATES[row.state],
        "can_overrule": row.state in {"open", "decided"},
        "person": person_of(request),
    }
    return page(request, "conflict.html", context, said=said)


ROUTES = [
    Route("/conflicts", listed),
    Route("/conflicts/{conflict_id}", one),
    Route("/conflicts/{conflict_id}", overrule, methods=["POST"]),
]
