"""Stock: receive, count, adjust, move between states, and send to another location. Each form is one command."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from oneshelf.domain.account import StockState
from oneshelf.domain.command import CountedFigure
from oneshelf.domain.outcome import Done, in_words
from oneshelf.errors import MalformedError
from oneshelf.flow.count import CountBegun, begin_count
from oneshelf.storage import detail_views
from oneshelf.web.engine import Engine, engine_of
from oneshelf.web.inputs import commands_from, count_begin_from
from oneshelf.web.pages.frame import Form, Said, form_of, page, screen, typed
from oneshelf.web.wording import sentence

# The fields of each form besides its SKU and key: those with units, and the others.
_FIELDS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "receive": (("units",), ("location",)),
    "count": (("units",), ("location", "figure", "token")),
    "adjust": (("delta_units",), ("location", "reason")),
    "move": (("units",), ("location", "origin", "target")),
    "dispatch": (("units",), ("origin", "target", "transfer_id")),
    "arrive": (("units",), ("transfer_id",)),
}


@screen
async def forms(request: Request) -> Response:
    """The forms, filled with what the address says."""
    return await _shown(request, typed(request, "sku", what="SKU"), typed(request, "location", what="location"))


@screen
async def ask(request: Request) -> Response:
    """Post one command. Sent twice, by a reload, it moves its units once: its key came with the form."""
    form, engine = await form_of(request), engine_of(request)
    sku = form.text("sku")
    place = form.text("location") or form.text("origin")
    if form.text("type") == "begin":
        return await _begin(request, engine, sku, place)
    [command] = commands_from({"commands": [_told(form)]}, header_key=None)
    [answered] = await engine.post([command])
    is_done = isinstance(answered.outcome, Done)
    again = " (as answered before: nothing moved again)" if answered.was_replayed else ""
    said = Said(f"{sku}: {sentence(in_words(answered.outcome) + again)}", "good" if is_done else "bad")
    return await _shown(request, sku, place, said=said, status=200 if is_done else 409)


def _told(form: Form) -> dict[str, object]:
    kind = form.text("type")
    if kind not in _FIELDS:
        raise MalformedError("this form is not known; load the page again")
    numbers, texts = _FIELDS[kind]
    told: dict[str, object] = {"type": kind, **form.filled("key", "sku", *texts)}
    return told | {name: form.number(name) for name in numbers}


async def _begin(request: Request, engine: Engine, sku: str, place: str) -> Response:
    wanted = count_begin_from({"location": place, "skus": [sku] if sku else []})
    begun = await begin_count(engine.database, engine.clock.new_id, wanted.location, wanted.skus)
    if not isinstance(begun, CountBegun):
        return await _shown(request, sku, place, said=Said(sentence(in_words(begun)), "bad"), status=404)
    words = "Count now, in your own time: what moves until you enter the figure is reckoned with."
    return await _shown(request, sku, place, said=Said(words), token=str(begun.token))


async def _shown(
    request: Request, sku: str, place: str, *, said: Said | None = None, status: int = 200, token: str = ""
) -> Response:
    engine = engine_of(request)
    async with engine.database.transaction() as tx:
        locations = [row.location for row in await detail_views.location_rows(tx)]
    context = {
        "sku": sku,
        "location": place,
        "locations": locations,
        "token": token,
        "keys": {kind: f"page-{engine.clock.new_id()}" for kind in _FIELDS},
        "transfer_id": engine.clock.new_id(),
        "states": [state.value for state in StockState if state is not StockState.INCOMING],
        "figures": [figure.value for figure in CountedFigure],
    }
    return page(request, "stock.html", context, said=said, status=status)


ROUTES = [Route("/stock", forms), Route("/stock", ask, methods=["POST"])]
