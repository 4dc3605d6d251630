"""A route that the hot path can afford: described like the others, and called without anything around it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from fastapi import FastAPI
from fastapi.routing import APIRoute
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from oneshelf.web import problems

Endpoint = Callable[[Request], Awaitable[Response]]


class PlainRoute(APIRoute):
    """Its endpoint takes the request and what the path names, reads its body itself, and returns the response.

    Solving dependencies and checking answers costs more than all else that a reservation does over HTTP. So there are
    none: the models given here only describe. To be put among the routes of the application, not included by a router.
    """

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["method"] not in (self.methods or ()):
            await super().handle(scope, receive, send)
            return
        answer = await self.endpoint(Request(scope, receive), **scope["path_params"])
        await answer(scope, receive, send)


class PlainRoutes:
    """Calls those whose whole address is known at once; everything else goes the way of the framework.

    What the framework puts around a route (its layers, the search among all routes) costs a third of a reservation.
    """

    def __init__(self, app: FastAPI, guarded: Callable[[ASGIApp], ASGIApp], others: ASGIApp) -> None:
        """`guarded` puts around the plain ones what must be around all; `others` has it already."""
        self._plain = guarded(self._call)
        self._others = others
        self._endpoints: dict[tuple[str, str], Endpoint] = {
            (method, route.path): route.endpoint
            for route in app.routes
            if isinstance(route, PlainRoute) and not route.param_convertors
            for method in route.methods or ()
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        is_plain = (scope.get("method"), scope.get("path")) in self._endpoints
        await (self._plain if is_plain else self._others)(scope, receive, send)

    async def _call(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        try:
            answer = await self._endpoints[scope["method"], scope["path"]](request)
        except Exception as failure:
            refusal = await problems.answer_to(request, failure)
            if refusal is None:
                raise
            answer = refusal
        await answer(scope, receive, send)
