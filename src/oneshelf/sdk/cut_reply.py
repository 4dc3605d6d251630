"""An answer of a simulator that breaks off: the sender cannot know what became of the request."""

from __future__ import annotations

from starlette.responses import Response
from starlette.types import Receive, Scope, Send


class CutReply(Response):
    """The connection is cut in the middle of the answer. `beginning`: what arrives of it."""

    def __init__(self, beginning: bytes) -> None:
        super().__init__()
        self._beginning = beginning

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        del receive
        headers = [(b"content-type", b"application/json"), (b"content-length", b"4096")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        # Returning with more to come makes a server close the connection. A transport inside this process has no
        # connection (and names no spec version); there the reader gets half an answer instead.
        is_on_a_socket = "spec_version" in scope["asgi"]
        await send({"type": "http.response.body", "body": self._beginning, "more_body": is_on_a_socket})
