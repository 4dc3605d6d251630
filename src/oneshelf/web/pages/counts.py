"""One count: what is to be counted, entered without seeing the figure, and the differences that a person looks at."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from oneshelf.domain.count_task import LineState
from oneshelf.errors import MalformedError
from oneshelf.web import count_tasks as api
from oneshelf.web.engine import engine_of
from oneshelf.web.pages.frame import Form, Said, form_of, page, screen
from oneshelf.web.warehouse_inputs import decision_from, entry_from, task_from

LINES_SHOWN = 500
_WAITS = (LineState.REVIEW, LineState.REFUSED)


@screen
async def one(request: Request) -> Response:
    """The SKUs of a count."""
    return await _shown(request)


@screen
async def ask(request: Request) -> Response:
    """Enter what was counted, or say what becomes of a difference. Sent twice it is done once, by its round."""
    form, engine = await form_of(request), engine_of(request)
    task = task_from(request.path_params["task"])
    told: dict[str, object] = {**form.filled("sku", "by"), "round": form.number("round")}
    match form.text("act"):
        case "enter":
            line = await api.entered(engine, entry_from(task, told | {"units": form.number("units")}))
        case "accept" | "recount" | "drop" as ruling:
            told |= {"ruling": ruling, **form.filled("reason")}
            line = await api.decided(engine, decision_from(task, told))
        case _:
            raise MalformedError("say what to do: enter, accept, recount or drop")
    return await _shown(request, form, _said(line))


def _said(line: api.CountLineOut) -> Said:
    match line.state:
        case LineState.POSTED:
            return Said(f"{line.sku}: {line.answer}.")
        case LineState.REVIEW:
            return Said(f"{line.sku}: entered. Somebody has to look at the difference before it is posted.")
        case LineState.OPEN:
            return Said(f"{line.sku} is to be counted again, from now on.")
        case LineState.REFUSED:
            return Said(f"{line.sku}: {line.answer}", "bad")
        case _:
            return Said(f"{line.sku}: {line.state}.")


async def _shown(request: Request, form: Form | None = None, said: Said | None = None) -> Response:
    told = await api.show_task(engine_of(request), request.path_params["task"], limit=LINES_SHOWN)
    context = {
        "count": told.count,
        "to_count": [line for line in told.lines if line.state == LineState.OPEN],
        "to_rule": [line for line in told.lines if line.state in _WAITS],
        "done": [line for line in told.lines if line.state not in (LineState.OPEN, *_WAITS)],
        "has_more": told.next is not None,
        "by": form.text("by") if form else "",
    }
    return page(request, "count.html", context, said=said)


ROUTES = [Route("/stock/counts/{task}", one), Route("/stock/counts/{task}", ask, methods=["POST"])]
