"""Rules: what each listing may show; what a rule would do before it is saved; who changed which when."""

from __future__ import annotations

import json
from typing import NamedTuple

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from oneshelf.domain.outcome import UnknownSku
from oneshelf.domain.policy import UnknownChannel
from oneshelf.errors import MalformedError
from oneshelf.flow.preview import preview
from oneshelf.flow.rule import change_rule, end_rule
from oneshelf.storage import catalog, policies, views
from oneshelf.web.auth import actor_of
from oneshelf.web.engine import engine_of
from oneshelf.web.pages.frame import (
    PAGE_ROWS,
    Form,
    Said,
    Told,
    address,
    form_of,
    not_done,
    page,
    screen,
    status_of,
)
from oneshelf.web.policies import unknown_scope
from oneshelf.web.policy_inputs import change_number_from, scope_from, scope_key_from
from oneshelf.web.policy_outputs import PreviewOut, change_out, policy_out, preview_out
from oneshelf.web.problems import ProblemError

EFFECTS_SHOWN = 100


class Term(NamedTuple):
    """A field of the form. `kind`: units, percent, or flag."""

    name: str
    label: str
    kind: str
    meaning: str


TERMS = (
    Term("percent", "Percent", "percent", "show at most this share of what is available to sell"),
    Term("buffer_units", "Buffer", "units", "keep so many back from the listing"),
    Term("allocation_units", "Allocation", "units", "set so many aside for it, and show at most these"),
    Term("stop_sell_at", "Stop selling at", "units", "with so many or fewer to sell it shows 0"),
    Term("min_units", "Show at least", "units", "fewer than that are shown as 0"),
    Term("cap_units", "Show at most", "units", "never more than that"),
    Term("computed_buffer", "Measured buffer", "flag", "keep back what the blind window asks for"),
)
_SCOPE = ("sku", "sku_group", "channel")


@screen
async def listed(request: Request) -> Response:
    """The rules, and the form of a new one."""
    return await _shown(request)


@screen
async def ask(request: Request) -> Response:
    """Show what a rule would do, save it, or end one. Nothing is saved before it was shown."""
    form = await form_of(request)
    try:
        return await _asked(request, form)
    except (MalformedError, ProblemError) as failure:
        return await _shown(request, form=form, told=not_done("rule", form, str(failure)), status=status_of(failure))


async def _asked(request: Request, form: Form) -> Response:
    engine = engine_of(request)
    scope = scope_from(form.filled(*_SCOPE))
    match form.text("act"):
        case "preview":
            wished = await preview(engine.database, scope, _changes(form), limit=EFFECTS_SHOWN)
            if isinstance(wished, UnknownSku | UnknownChannel):
                raise unknown_scope(wished)
            return await _shown(request, form=form, previewed=preview_out(wished))
        case "save":
            outcome = await change_rule(engine.database, scope, _changes(form), actor=actor_of(request))
            if isinstance(outcome, UnknownSku | UnknownChannel):
                raise unknown_scope(outcome)
            engine.wake(["plan"])
            words = f"Saved. {outcome.listing_count:,} listings are in its scope; they are planned anew now."
            return await _shown(request, told=Told("rule", Said(words)))
        case "end":
            ended = await end_rule(engine.database, scope, actor=actor_of(request))
            if isinstance(ended, UnknownSku | UnknownChannel):
                raise unknown_scope(ended)
            engine.wake(["plan"])
            words = "The rule has ended; its listings are planned anew now."
            return await _shown(request, told=Told("rule", Said(words)))
        case _:
            raise MalformedError("say what to do: preview, save or end")


def _changes(form: Form) -> dict[str, int | bool | None]:
    """The terms of the form as they are to be: an empty field states nothing. Terms that it has no field for stay."""
    return {term.name: _value(form, term) for term in TERMS}


def _value(form: Form, term: Term) -> int | bool | None:
    if not form.text(term.name):
        return None
    if term.kind == "flag":
        return True
    value = form.number(term.name)
    if isinstance(value, str):
        raise MalformedError(f"{term.label}: {value[:40]!r} is no whole number")
    return value


async def _shown(
    request: Request,
    *,
    form: Form | None = None,
    previewed: PreviewOut | None = None,
    told: Told | None = None,
    status: int = 200,
) -> Response:
    after = request.query_params.get("after", "")
    async with engine_of(request).database.transaction() as tx:
        await views.freeze(tx)
        channels = [row.channel for row in await catalog.channels(tx)]
        rows = await policies.listed(tx, after=scope_key_from(after), limit=PAGE_ROWS + 1)
    last = rows[PAGE_ROWS - 1].rule.scope if len(rows) > PAGE_ROWS else None
    key = json.dumps([last.channel or "", last.sku_group or "", last.sku or ""]) if last else ""
    names = [*_SCOPE, *(term.name for term in TERMS)]
    context = {
        "policies": [policy_out(row.rule, row) for row in rows[:PAGE_ROWS]],
        "after": after,
        "next": address("/rules", after=key) if key else "",
        "channels": channels,
        "terms": TERMS,
        "filled": {name: form.text(name) if form else request.query_params.get(name, "") for name in names},
        "previewed": previewed,
    }
    return page(request, "rules.html", context, told=told, status=status)


@screen
async def history(request: Request) -> Response:
    """Who changed which rule when, the newest first."""
    after = request.query_params.get("after", "")
    async with engine_of(request).database.transaction() as tx:
        rows = await policies.history(tx, before=change_number_from(after), limit=PAGE_ROWS + 1)
    following = address("/rules/history", after=str(rows[PAGE_ROWS - 1].change_id)) if len(rows) > PAGE_ROWS else ""
    changes = [change_out(row) for row in rows[:PAGE_ROWS]]
    return page(request, "rules_history.html", {"changes": changes, "after": after, "next": following})


ROUTES = [
    Route("/rules", listed),
    Route("/rules", ask, methods=["POST"]),
    Route("/rules/history", history),
]
