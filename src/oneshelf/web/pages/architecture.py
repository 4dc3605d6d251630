"""Architecture: who is asked how many there are, what another shape would change, and the change with its reason."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from oneshelf.domain.architecture import LIVE, Architecture, Wish
from oneshelf.domain.truth import rule_from
from oneshelf.errors import MalformedError
from oneshelf.flow.entrust import Arranged, arrangement
from oneshelf.storage import catalog, sources, truth_rules, views
from oneshelf.storage.truth_rules import ChangeRow
from oneshelf.web import truth as api
from oneshelf.web.auth import actor_of
from oneshelf.web.engine import engine_of
from oneshelf.web.pages.frame import Form, Said, Told, form_of, not_done, page, screen, status_of
from oneshelf.web.problems import ProblemError
from oneshelf.web.source_inputs import architecture_from
from oneshelf.web.source_outputs import MEANINGS, ArrangedOut, ForeseenOut

# So many of each list are shown; the rest is counted.
ROWS_SHOWN, CHANGES_SHOWN = 100, 10


@screen
async def shown(request: Request) -> Response:
    """The shape that the shop has, and the form for another one."""
    return await _shown(request)


@screen
async def ask(request: Request) -> Response:
    """Show what a shape would change, or have exactly that one."""
    form = await form_of(request)
    try:
        return await _asked(request, form)
    except (MalformedError, ProblemError) as failure:
        told = not_done("architecture", form, str(failure))
        return await _shown(request, told=told, status=status_of(failure))


async def _asked(request: Request, form: Form) -> Response:
    engine = engine_of(request)
    wish, reason = architecture_from(_typed(form))
    match form.text("act"):
        case "preview":
            return await _shown(request, wish=wish, reason=reason, foreseen=await api.foreseen(engine, wish))
        case "apply":
            done = await api.arranged(engine, wish, actor=actor_of(request), reason=reason)
            return await _shown(request, told=Told("architecture", Said(_words(wish, done))))
        case _:
            raise MalformedError("say what to do: preview or apply")


def _typed(form: Form) -> dict[str, object]:
    """What the form says, with those fields that its architecture needs: the others may stand as they are."""
    told: dict[str, object] = {**form.filled("architecture", "reason")}
    if form.text("architecture") == Architecture.HUB:
        told |= form.filled("leader")
    if form.text("architecture") == Architecture.MIDDLEWARE:
        told["ranks"] = [line for line in form.text("ranks").splitlines() if line.strip()]
    return told


def _words(wish: Wish, done: ArrangedOut) -> str:
    waiting = [one.what for one in done.changes if one.note]
    is_new = len(waiting) < len(done.changes)
    words = f"Done: {wish.architecture}. What is stated is decided anew." if is_new else "It was so already."
    if waiting:
        words += f" Not live yet: {', '.join(waiting)}; what it would show is signed off first, under Go live."
    return words


async def _shown(
    request: Request,
    *,
    wish: Wish | None = None,
    reason: str = "",
    foreseen: ForeseenOut | None = None,
    told: Told | None = None,
    status: int = 200,
) -> Response:
    """The page. `wish` and `reason`: what was foreseen, and stands in the form; otherwise what the shop has does."""
    database = engine_of(request).database
    found = await arrangement(database)
    async with database.transaction() as tx:
        await views.freeze(tx)
        modes = {row.channel: row.mode for row in await catalog.channels(tx) if row.shows_figures}
        known = [*modes, *await sources.names(tx)]
        changes = await truth_rules.history(tx, limit=CHANGES_SHOWN)
    stands = _stands(wish) if wish else _stands_now(found)
    context = {
        "found": found,
        "meanings": MEANINGS,
        "rows_shown": ROWS_SHOWN,
        "live_count": sum(mode == LIVE for mode in modes.values()),
        "channel_count": len(modes),
        "leaders": {"": "nobody"} | {name: name for name in modes},
        "known": known,
        "changes": [(row, _said(row, row.before), _said(row, row.after)) for row in changes],
        "stands": {**stands, **(told.typed if told and told.said.tone == "bad" else {})},
        "wish": wish,
        "reason": reason,
        "foreseen": foreseen,
    }
    return page(request, "architecture.html", context, told=told, status=status)


def _stands(wish: Wish) -> dict[str, str]:
    return {"architecture": wish.architecture.value, "leader": wish.leader, "ranks": "\n".join(wish.ranks)}


def _stands_now(found: Arranged) -> dict[str, str]:
    rule = found.rule
    return {"architecture": found.architecture.value, "leader": rule.leader, "ranks": "\n".join(rule.ranks)}


def _said(row: ChangeRow, stated: dict[str, object]) -> str:
    return str(rule_from(row.scope, stated)) if stated else f"{row.scope}: no rule"


ROUTES = [Route("/rules/architecture", shown), Route("/rules/architecture", ask, methods=["POST"])]
