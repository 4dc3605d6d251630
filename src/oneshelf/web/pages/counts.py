"""One count: what is to be counted, entered without seeing the figure, and the differences that a person looks at."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from oneshelf.domain.count_task import LineState
from oneshelf.errors import MalformedError
from oneshelf.web import count_tasks as api
from oneshelf.web.engine import Engine, engine_of
from oneshelf.web.pages.frame import Form, Said, Told, form_of, not_done, page, person_of, screen, status_of
from oneshelf.web.problems import ProblemError
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
    try:
        line = await _asked(engine, task, form, by=person_of(request) or form.text("by"))
    except (MalformedError, ProblemError) as failure:
        told = not_done(form.text("sku"), form, str(failure))
        return await _shown(request, form, told=told, status=status_of(failure))
    return await _shown(request, form, _said(line))


async def _asked(engine: Engine, task: str, form: Form, *, by: str) -> api.CountLineOut:
    told: dict[str, object] = {**form.filled("sku"), "by": by, "round": form.number("round")}
    match form.text("act"):
        case "enter":
            return await api.entered(engine, entry_from(task, told | {"units": form.number("units")}))
        case "accept" | "recount" | "drop" as ruling:
            told |= {"ruling": ruling, **form.filled("reason")}
            return await api.decided(engine, decision_from(task, told))
        case _:
            raise MalformedError("say what to do: enter, accept, recount or drop")


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


async def _shown(
    request: Request, form: Form | None = None, said: Said | None = None, told: Told | None = None, status: int = 200
) -> Response:
    task = await api.show_task(engine_of(request), request.path_params["task"], limit=LINES_SHOWN)
    waiting = [line for line in task.lines if line.state in (LineState.OPEN, *_WAITS)]
    if told is not None and told.form not in [line.sku for line in waiting]:
        said, told = told.said, None  # Somebody was faster: the line has no form any more.
    context = {
        "count": task.count,
        "to_count": [line for line in waiting if line.state == LineState.OPEN],
        "to_rule": [line for line in waiting if line.state in _WAITS],
        "done": [line for line in task.lines if line not in waiting],
        "has_more": task.next is not None,
        "person": person_of(request),
        "by": form.text("by") if form else "",
    }
    return page(request, "count.html", context, said=said, told=told, status=status)


ROUTES = [Route("/stock/counts/{task}", one), Route("/stock/counts/{task}", ask, methods=["POST"])]
