"""Stock: what waits for somebody, and what happens to units by hand. Each form is one command, or opens a count."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from http import HTTPStatus
from typing import Any
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from oneshelf.domain import naming
from oneshelf.domain.account import StockState
from oneshelf.domain.command import CountedFigure, ReturnInto
from oneshelf.domain.identity import sku_from
from oneshelf.domain.kit import in_one_line
from oneshelf.domain.outcome import Done, UnknownSku, in_words
from oneshelf.domain.warehouse_command import WRITE_OFF_STATES, OverInto
from oneshelf.errors import MalformedError
from oneshelf.flow import define, watch
from oneshelf.flow.count import CountBegun, begin_count
from oneshelf.storage import catalog, count_tasks, detail_views, kits, low_stocks, shipments, transfers, views
from oneshelf.storage.database import Transaction, now
from oneshelf.web import count_tasks as counting
from oneshelf.web import warehouse
from oneshelf.web.engine import Engine, engine_of
from oneshelf.web.inputs import commands_from, count_begin_from, location_titles_from, recipe_from, sku_titles_from
from oneshelf.web.pages.frame import (
    PAGE_ROWS,
    Form,
    Said,
    Told,
    form_of,
    not_done,
    page,
    person_of,
    screen,
    status_of,
    typed,
)
from oneshelf.web.problems import ProblemError
from oneshelf.web.warehouse_inputs import count_wish_from, reorder_rule_from, reorder_scope_from
from oneshelf.web.wording import sentence

# The fields of each form besides its SKU and key: those with units, and the others.
_FIELDS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "receive": (("units",), ("location",)),
    "count": (("units",), ("location", "figure", "token")),
    "adjust": (("delta_units",), ("location", "reason")),
    "move": (("units",), ("location", "origin", "target")),
    "write_off": (("units",), ("location", "origin", "reason")),
    "return": (("units",), ("location", "into")),
    "announce": (("units", "tolerance_percent"), ("shipment_id", "location", "expected_on")),
    "unload": (("units",), ("shipment_id",)),
    "close_shipment": ((), ("shipment_id", "reason")),
    "settle_over": (("units",), ("shipment_id", "into")),
    "dispatch": (("units",), ("origin", "target", "transfer_id")),
    "arrive": (("units",), ("transfer_id",)),
    "assemble": (("units",), ("location",)),
    "disassemble": (("units",), ("location",)),
}
# What is no command of the ledger -> the form that it is sent with.
_OTHERS = {
    **{"begin": "count", "open": "open", "reorder": "reorder", "end_reorder": "reorder"},
    **{"add_sku": "add_sku", "add_location": "add_location", "kit": "kit", "end_kit": "kit"},
}
_JUMPS = {
    "low-title": "Low stock",
    "shipments-title": "Shipments",
    "transfers-title": "Transfers",
    "counts-title": "Counts",
    "inspections-title": "To look at",
    "receive": "Receive",
    "count": "Count one",
    "open": "Count many",
    "move": "Move",
    "return": "Return",
    "unload": "Unload",
    "assemble": "Kits",
    "reorder": "When low",
    "add_sku": "Names",
}


@screen
async def forms(request: Request) -> Response:
    """What waits for somebody, and the forms, filled with what the address says."""
    return await _shown(request)


@screen
async def ask(request: Request) -> Response:
    """Post one command. Sent twice, by a reload, it moves its units once: its key came with the form."""
    form, engine = await form_of(request), engine_of(request)
    kind = form.text("type")
    try:
        if kind == "begin":
            return await _begin(request, engine, form)
        if kind == "open":
            return await _open(request, engine, form)
        if kind in _SAID:
            words = await _SAID[kind](engine, form, person_of(request))
            return await _shown(request, form, Told(_OTHERS[kind], Said(words)))
        [command] = commands_from({"commands": [_told(form)]}, header_key=None)
    except (MalformedError, ProblemError) as failure:
        if kind not in (*_FIELDS, *_OTHERS):
            raise
        return await _shown(request, form, not_done(_OTHERS.get(kind, kind), form, str(failure)), status_of(failure))
    [answered] = await engine.post([command])
    if not isinstance(answered.outcome, Done):
        words = f"{form.text('sku')}: {sentence(in_words(answered.outcome))}"
        return await _shown(request, form, not_done(kind, form, words), HTTPStatus.CONFLICT)
    again = " (as answered before: nothing moved again)" if answered.was_replayed else ""
    said = Said(f"{form.text('sku')}: {sentence(in_words(answered.outcome) + again)}")
    return await _shown(request, form, Told(kind, said))


def _told(form: Form) -> dict[str, object]:
    kind = form.text("type")
    if kind not in _FIELDS:
        raise MalformedError("this form is not known; load the page again")
    numbers, texts = _FIELDS[kind]
    told: dict[str, object] = {"type": kind, **form.filled("key", "sku", *texts)}
    if kind == "return":
        told["order"] = form.filled("channel", "order_id")
    if kind == "arrive":
        told["is_last"] = not form.text("more_to_come")
    if kind in ("assemble", "disassemble"):
        told["other_recipe"] = bool(form.text("other_recipe"))
        if form.text("components").strip():
            told["components"] = _components(form.text("components"))
    return told | {name: form.number(name) for name in numbers}


def _components(text: str) -> list[dict[str, object]]:
    """One for each line: a SKU, which may hold blanks, and behind the last blank how many of it."""
    components: list[dict[str, object]] = []
    for line in filter(None, map(str.strip, text.splitlines())):
        sku, _, units = line.rpartition(" ")
        if not sku or not (units.isascii() and units.isdigit() and len(units) < 10):
            raise MalformedError(f"a component is a SKU, a blank and how many of it, such as MUG 2; not {line[:60]!r}")
        components.append({"sku": sku, "units": int(units)})
    return components


async def _open(request: Request, engine: Engine, form: Form) -> Response:
    texts = form.filled("task", "location", "pattern") | {"by": person_of(request) or form.text("by")}
    numbers = {name: form.number(name) for name in ("limit", "threshold_units", "threshold_percent")}
    wish, by = count_wish_from({**texts, **numbers, "only_drifting": bool(form.text("only_drifting"))})
    await counting.opened(engine, wish, by=by)
    return RedirectResponse(f"/stock/counts/{quote(wish.task, safe='')}", HTTPStatus.SEE_OTHER)


async def _name_sku(engine: Engine, form: Form, _person: str) -> str:
    titles = sku_titles_from({"skus": [{"sku": form.text("sku"), **form.filled("title")}]})
    async with engine.database.transaction() as tx:
        named = await catalog.add_skus(tx, titles)
    [sku] = titles
    if named.linked:
        engine.wake(("post", "plan", "confirm"))
    return f"{naming.in_words(sku, is_new=bool(named.new_count), linked_count=len(named.linked))}."


async def _name_location(engine: Engine, form: Form, _person: str) -> str:
    [(name, title)] = location_titles_from(
        {"locations": [{"location": form.text("location"), **form.filled("title")}]}
    ).items()
    async with engine.database.transaction() as tx:
        is_new = await catalog.add_location(tx, name, title=title)
    return f"{name} is named." if is_new else f"{name} was known; nothing has changed."


async def _reorder(engine: Engine, form: Form, person: str) -> str:
    scope = form.filled("sku", "sku_group")
    if form.text("type") == "end_reorder":
        refused = await watch.end_rule(engine.database, reorder_scope_from(scope))
        words = "Nothing is said of this any more; a wider rule holds, or none."
    else:
        points = {name: form.number(name) for name in form.filled("units", "cover_days")}
        wanted, rule, by = reorder_rule_from({**scope, **points, "by": person or form.text("by")})
        refused = await watch.set_rule(engine.database, wanted, rule, by=by)
        words = "Said. What is low by it is above."
    if refused is not None:
        raise ProblemError(HTTPStatus.NOT_FOUND, in_words(refused))
    return words


async def _recipe(engine: Engine, form: Form, _person: str) -> str:
    name = sku_from(form.text("sku"))
    if form.text("type") == "end_kit":
        ended = await define.end_recipe(engine.database, name)
        if isinstance(ended, UnknownSku):
            raise ProblemError(HTTPStatus.NOT_FOUND, in_words(ended))
        return f"No recipe of {name} is kept any more." if ended else f"No recipe of {name} was kept."
    components = recipe_from({"components": _components(form.text("components"))})
    if refused := await define.keep_recipe(engine.database, name, components):
        raise ProblemError(HTTPStatus.CONFLICT, in_words(refused))
    return f"{name} is made of {in_one_line(components)}."


async def _begin(request: Request, engine: Engine, form: Form) -> Response:
    names = {"location": form.text("location"), "skus": [form.text("sku")] if form.text("sku") else []}
    wanted = count_begin_from(names)
    begun = await begin_count(engine.database, engine.clock.new_id, wanted.location, wanted.skus)
    if not isinstance(begun, CountBegun):
        raise ProblemError(HTTPStatus.NOT_FOUND, in_words(begun))
    words = "Count now, in your own time: what moves until you enter the figure is reckoned with."
    return await _shown(request, form, Told("count", Said(words)), token=str(begun.token))


async def _shown(
    request: Request,
    form: Form | None = None,
    told: Told | None = None,
    status: int = 200,
    *,
    token: str = "",
) -> Response:
    """The page. `form`: the one that was sent; its SKU and location stand in all of them."""
    engine = engine_of(request)
    state = request.query_params.get("state", "")
    async with engine.database.transaction() as tx:
        await views.freeze(tx)
        locations = [row.location for row in await detail_views.location_rows(tx)]
        work = await _work(tx)
    states = [state.value for state in StockState if state is not StockState.INCOMING]
    place = form.text("location") or form.text("origin") if form else typed(request, "location", what="location")
    origin = place if place in locations else next(iter(locations), "")
    context = {
        "is_live": True,
        "jumps": _JUMPS,
        "person": person_of(request),
        "sku": form.text("sku") if form else typed(request, "sku", what="SKU"),
        "location": place,
        "sends_from": origin,
        "sends_to": next((one for one in locations if one != origin), origin),
        "shipment": typed(request, "shipment", what="shipment"),
        "transfer": typed(request, "transfer", what="transfer"),
        "state": state if state in states else StockState.AVAILABLE.value,
        "locations": {one: one for one in locations},
        "token": token or (told.typed.get("token", "") if told else ""),
        "keys": {kind: f"page-{engine.clock.new_id()}" for kind in _FIELDS},
        "number": f"{engine.clock.now():%Y-%m-%d-%H%M%S}",
        "states": _in_words(states),
        "loose": _in_words(WRITE_OFF_STATES),
        "figures": _in_words(CountedFigure),
        "dispositions": _in_words(ReturnInto),
        "over_into": _in_words(OverInto),
        **work,
    }
    return page(request, "stock.html", context, told=told, status=status)


def _in_words(values: Iterable[str]) -> dict[str, str]:
    return {str(value): str(value).replace("_", " ") for value in values}


_SAID: dict[str, Callable[[Engine, Form, str], Awaitable[str]]] = {
    "add_sku": _name_sku,
    "add_location": _name_location,
    "kit": _recipe,
    "end_kit": _recipe,
    "reorder": _reorder,
    "end_reorder": _reorder,
}


async def _work(tx: Transaction) -> dict[str, Any]:
    """What waits for somebody, the first of each."""
    overdue_s = warehouse.OVERDUE_DAYS * warehouse.DAY_S
    return {
        "at": await now(tx),
        "low": await low_stocks.rows(tx, limit=PAGE_ROWS),
        "rules": await low_stocks.rules(tx),
        "shipments": await shipments.rows(tx, limit=PAGE_ROWS),
        "transfers": await transfers.rows(tx, overdue_s=overdue_s, limit=PAGE_ROWS),
        "counts": await count_tasks.tasks(tx, limit=PAGE_ROWS),
        "recipes": {sku: in_one_line(of) for sku, of in (await kits.recipes(tx, limit=PAGE_ROWS)).items()},
        "inspections": await detail_views.inspection_rows(tx, limit=PAGE_ROWS),
    }


ROUTES = [Route("/stock", forms), Route("/stock", ask, methods=["POST"])]
