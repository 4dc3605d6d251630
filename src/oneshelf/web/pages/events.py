"""Events: who is told what happens, by signed webhooks, and how that goes. A secret is shown once."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from oneshelf.domain.event import EventType
from oneshelf.errors import MalformedError, UnknownEndpointError
from oneshelf.flow import follow
from oneshelf.storage import endpoints
from oneshelf.storage.database import now
from oneshelf.web.engine import Engine, engine_of
from oneshelf.web.pages.frame import Form, Said, form_of, page, screen
from oneshelf.web.wording import sentence

TYPES = [kind.value for kind in EventType if kind is not EventType.TEST]


@screen
async def listed(request: Request) -> Response:
    """All endpoints."""
    return await _shown(request)


@screen
async def add(request: Request) -> Response:
    """Send events to an address from now on; one of this name is called there instead, and keeps its secret."""
    form, engine = await form_of(request), engine_of(request)
    allows_http = form.text("allow_http") == "1"
    try:
        wish = follow.wish_from(
            form.text("endpoint"), form.text("url"), event_types=form.all("type"), allows_http=allows_http
        )
    except MalformedError as wrong:
        return await _shown(request, Said(f"Nothing was saved. {sentence(str(wrong))}", "bad"), status=422, form=form)
    secret = await follow.define(engine.database, wish)
    words = f"{wish.endpoint} is told from now on." if secret else f"{wish.endpoint} is changed, and its secret stays."
    return await _shown(request, Said(words), secret=secret or "")


@screen
async def change(request: Request) -> Response:
    """Pause, resume, try, give another secret, or tell it nothing any more."""
    form, engine, name = await form_of(request), engine_of(request), request.path_params["endpoint"]
    try:
        said, secret = await _changed(engine, follow.endpoint_from(name), form.text("act"))
    except UnknownEndpointError as refusal:
        return await _shown(request, Said(sentence(str(refusal)), "bad"), status=404)
    return await _shown(request, said, secret=secret)


async def _changed(engine: Engine, name: str, act: str) -> tuple[Said, str]:
    match act:
        case "pause":
            await follow.pause(engine.database, name)
            return Said(f"{name} is paused. What is to be sent waits: facts for a week, levels for ever."), ""
        case "resume":
            await follow.resume(engine.database, name)
            engine.wake(["deliver"])
            return Said(f"{name} is called again; all that waits is due."), ""
        case "rotate":
            secret = await follow.rotate(engine.database, name)
            return Said(f"{name} has another secret; for a day the old one signs too."), secret
        case "remove":
            await follow.remove(engine.database, name)
            return Said(f"{name} is told nothing any more."), ""
        case "test" if engine.outgoing is None:
            return Said("This engine sends no events. Start it with oneshelf serve.", "bad"), ""
        case "test" if engine.outgoing is not None:
            reply = await follow.attempt(engine.database, engine.outgoing, name, new_id=engine.clock.new_id())
            words = f"{name}: the test event was {'taken' if reply.is_delivered else 'not taken'}, {reply.words}."
            return Said(words, "good" if reply.is_delivered else "bad"), ""
        case _:
            raise MalformedError("say what to do: pause, resume, rotate, test or remove")


async def _shown(
    request: Request, said: Said | None = None, *, status: int = 200, secret: str = "", form: Form | None = None
) -> Response:
    async with engine_of(request).database.transaction() as tx:
        at = await now(tx)
        rows = await endpoints.listed(tx)
    context = {
        "at": at,
        "endpoints": rows,
        "secret": secret,
        "types": TYPES,
        "name": form.text("endpoint") if form else "",
        "url": form.text("url") if form else "",
        "ticked": form.all("type") if form else [],
    }
    return page(request, "events.html", context, said=said, status=status)


ROUTES = [
    Route("/settings/events", listed),
    Route("/settings/events", add, methods=["POST"]),
    Route("/settings/events/{endpoint}", change, methods=["POST"]),
]
