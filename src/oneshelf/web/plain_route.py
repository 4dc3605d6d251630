"""A route that the hot path can afford: described like the others, and called without anything around it."""

from __future__ import annotations

from fastapi.routing import APIRoute
from starlette.requests import Request
from starlette.types import Receive, Scope, Send


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
