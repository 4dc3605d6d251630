"""Puts the routes together, with what holds for every answer: who may ask, security headers, no internals."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any
from urllib.parse import unquote_to_bytes

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic.json_schema import models_json_schema
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from oneshelf.clock import Clock
from oneshelf.domain.command import Command
from oneshelf.domain.identity import Channel
from oneshelf.errors import OneshelfError
from oneshelf.flow.channel import OpenChannel
from oneshelf.flow.post import Answered
from oneshelf.storage.database import Database
from oneshelf.telemetry import get_logger
from oneshelf.web import (
    alerts,
    allocation_inputs,
    allocations,
    api,
    audit_log,
    checkout,
    commands,
    count_tasks,
    counts,
    drifts,
    endpoints,
    event_stream,
    files,
    going_live,
    inputs,
    login,
    metrics,
    offers,
    oidc,
    pages,
    policies,
    policy_inputs,
    problems,
    reservations,
    second_factor,
    sharing,
    source_inputs,
    tills,
    truth,
    warehouse,
    warehouse_inputs,
    webhooks,
    wholesale,
    wholesale_bodies,
    windows,
)
from oneshelf.web.auth import Door
from oneshelf.web.engine import Engine
from oneshelf.web.event_feed import EventFeed
from oneshelf.web.needs import Needs
from oneshelf.web.pages.frame import is_for_a_person, shown_problem
from oneshelf.web.passwords import Passwords
from oneshelf.web.plain_route import PlainRoutes

BODIES = (
    *inputs.DOCUMENTED,
    *policy_inputs.DOCUMENTED,
    *allocation_inputs.DOCUMENTED,
    *source_inputs.DOCUMENTED,
    *warehouse_inputs.DOCUMENTED,
    *endpoints.BODIES,
    *wholesale_bodies.BODIES,
    problems.Problem,
)
STATIC = Path(__file__).parent / "static"
# No route answers with one of these itself.
_HEADERS = [
    (
        b"content-security-policy",
        b"default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
        b"connect-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
    ),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-opener-policy", b"same-origin"),
]
_REVALIDATED, _UNSTORED = (b"cache-control", b"no-cache"), (b"cache-control", b"no-store")

log = get_logger(__name__)


class Guard:
    """Around all routes: asks the door, adds the headers, and turns an unexpected failure into a plain 500."""

    def __init__(self, app: ASGIApp, door: Door) -> None:
        self._app = app
        self._door = door

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        has_started = False

        async def send_guarded(message: Message) -> None:
            nonlocal has_started
            if message["type"] == "http.response.start":
                has_started = True
                await self._door.note(scope, message["status"])
                headers: list[tuple[bytes, bytes]] = message["headers"]
                headers += _HEADERS
                if not any(name == b"cache-control" for name, _ in headers):
                    headers.append(_REVALIDATED if scope["path"].startswith("/static/") else _UNSTORED)
            await send(message)

        try:
            request = Request(scope)
            answer = _unreadable_address(scope) or await self._refusal(request)
            if is_for_a_person(answer, request):
                answer = shown_problem(request, answer)
            await (answer or self._app)(scope, receive, send_guarded)
        except Exception:
            log.exception("request.failed", method=scope["method"], path=scope["path"])
            if has_started:
                raise
            failed = problems.problem(500, "oneshelf failed; its log says why", kind="failed")
            await failed(scope, receive, send_guarded)

    async def _refusal(self, request: Request) -> Response | None:
        try:
            return await self._door.refusal(request)
        except OneshelfError as failure:
            answer = await problems.answer_to(request, failure)
            if answer is None:
                raise
            return answer


def _unreadable_address(scope: Scope) -> Response | None:
    """400 for an address that is no UTF-8: it would be read with a sign for the damage, as some other name."""
    raw = scope.get("raw_path") or b""
    if b"%" not in raw and not scope["query_string"] and raw.isascii():
        return None
    try:
        unquote_to_bytes(raw).decode()
        unquote_to_bytes(scope["query_string"]).decode()
    except UnicodeDecodeError:
        return problems.problem(400, "the address is not UTF-8; write its names percent-encoded", kind="unreadable")
    return None


async def _nothing_here(request: Request, failure: Exception) -> Response:
    answer = await problems.nothing_here(request, failure)
    return shown_problem(request, answer) if is_for_a_person(answer, request) else answer


class Api(FastAPI):
    """The application. Its description also names the bodies that routes read by themselves."""

    def __init__(self, *, door: Door, **named: Any) -> None:
        super().__init__(**named)
        self._door = door
        self.add_middleware(Guard, door=door)

    def build_middleware_stack(self) -> ASGIApp:
        """The plain routes, and beside them the framework with all others, each behind the guard."""
        return PlainRoutes(self, lambda plain: Guard(plain, self._door), super().build_middleware_stack())

    def openapi(self) -> dict[str, Any]:
        if self.openapi_schema is None:
            document = get_openapi(title=self.title, version=self.version, summary=self.summary, routes=self.routes)
            _, bodies = models_json_schema(
                [(model, "validation") for model in BODIES],
                ref_template="#/components/schemas/{model}",
            )
            document["components"]["schemas"].update(bodies["$defs"])
            document["components"]["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
            document["security"] = [{"token": []}]
            self.openapi_schema = document
        return self.openapi_schema


# `sharing` stands before the routes that would take its addresses for a SKU.
_ROUTED = (
    counts,
    count_tasks,
    warehouse,
    reservations,
    sharing,
    allocations,
    api,
    offers,
    drifts,
    files,
    policies,
    truth,
    tills,
    wholesale,
    windows,
    going_live,
    audit_log,
    alerts,
    endpoints,
    event_stream,
)


def create_app(
    *,
    database: Database,
    channels: Mapping[Channel, OpenChannel],
    clock: Clock,
    wake: Callable[[Iterable[str]], None],
    post: Callable[[Sequence[Command]], Awaitable[list[Answered]]],
    api_token: str = "",
) -> FastAPI:
    """The web server of one engine. `channels` may change while it runs. `wake`: these steps have work.
    `post`: posts commands.

    `api_token`: what the API and the pages ask for; empty lets everybody in who reaches the port.
    """
    door = Door(api_token, database, clock)
    app = Api(
        door=door,
        title="oneshelf",
        summary="One true stock count behind every storefront.",
        version=version("oneshelf"),
        docs_url=None,
        redoc_url=None,
        # What there is to measure is under /metrics; asking each time whether anybody else listens costs a reservation.
        telemetry={"tracing": False, "metrics": False, "logs": False, "auto_configure": False},
        routes=[
            *commands.ROUTES,
            *webhooks.ROUTES,
            *checkout.ROUTES,
            *metrics.ROUTES,
            *login.ROUTES,
            *second_factor.ROUTES,
            *oidc.ROUTES,
            *pages.ROUTES,
        ],
    )
    feed = EventFeed(database, clock)
    app.state.engine = Engine(database=database, channels=channels, clock=clock, wake=wake, post=post, feed=feed)
    app.state.door, app.state.passwords = door, Passwords()
    for module in _ROUTED:
        app.include_router(module.router)
    app.mount("/static", StaticFiles(directory=STATIC), name="static")
    problems.install(app)
    app.add_exception_handler(HTTPException, _nothing_here)
    door.guard(Needs(app.routes))
    return app
