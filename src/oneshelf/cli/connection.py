"""One connection to the engine: httptools' protocol with limits on the head of a request, which it has none of.

Who opens connections and never finishes a request costs the others nothing: the head has a deadline and a size, and
where the connections run out the one that has been idle longest makes room.
"""

from __future__ import annotations

from asyncio import TimerHandle, Transport
from http import HTTPStatus
from typing import Any, cast

from uvicorn._types import ASGI3Application, ASGIReceiveCallable, ASGISendCallable, Scope
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

CONNECTIONS_MAX = 1000
HEAD_S_MAX = 10.0
HEAD_BYTES_MAX = 32 * 1024
HEADER_COUNT_MAX = 100
_TOO_LARGE = f"the head of a request may have {HEADER_COUNT_MAX} headers and {HEAD_BYTES_MAX} bytes".encode()
_NO_VERSION = b"a request says HTTP/1.0 or HTTP/1.1"
_TOO_SLOW = f"the head of the request did not come within {HEAD_S_MAX:g} s".encode()


class BoundedConnection(HttpToolsProtocol):
    """Closes by itself: when a head does not come whole in time (408), or is too large (431)."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._engine: ASGI3Application = self.app
        self._head_timer: TimerHandle | None = None
        # Between the first byte of a request and the end of its headers.
        self._is_in_head = False
        self._head_bytes = 0
        self._idle_since_s = 0.0

    @property
    def is_answering(self) -> bool:
        """Whether a request is here whose answer is not out yet."""
        return self.cycle is not None and not self.cycle.response_complete

    def connection_made(self, transport: Transport) -> None:  # type: ignore[override]  # as in uvicorn's own
        super().connection_made(transport)
        self._idle_since_s = self.loop.time()
        self._await_head()
        if len(self.connections) > CONNECTIONS_MAX:
            self._make_room()

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._stop_head_timer()

    def data_received(self, data: bytes) -> None:
        was_in_head = self._is_in_head
        super().data_received(data)
        if self.transport.is_closing():
            return
        if self._is_in_head and was_in_head:
            # The piece in which the head began may hold the end of a body too, so it does not count.
            self._head_bytes += len(data)
            if self._head_bytes > HEAD_BYTES_MAX:
                self._refuse(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, _TOO_LARGE)
                return
        if self._head_timer is None and (self._is_in_head or not self.is_answering):
            self._await_head()

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._is_in_head = True
        self._head_bytes = 0

    def on_headers_complete(self) -> None:
        self._is_in_head = False
        self._stop_head_timer()
        size = len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers)
        is_too_large = len(self.headers) > HEADER_COUNT_MAX or size > HEAD_BYTES_MAX
        self.app = _too_large if is_too_large else self._engine
        if self.parser.get_http_version() not in {"1.0", "1.1"}:
            # The parser takes a line without a version for one from before there were headers, and reads headers too.
            self.app = _no_version
        super().on_headers_complete()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        self._idle_since_s = self.loop.time()

    def _await_head(self) -> None:
        self._head_timer = self.loop.call_later(HEAD_S_MAX, self._head_is_late)

    def _stop_head_timer(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _head_is_late(self) -> None:
        self._head_timer = None
        if self.transport.is_closing():
            return
        if self.is_answering:
            # The next request has begun behind one that is not answered yet, which is not cut off for that.
            self._await_head()
        elif self._is_in_head:
            self._refuse(HTTPStatus.REQUEST_TIMEOUT, _TOO_SLOW)
        else:
            self.transport.close()

    def _refuse(self, status: HTTPStatus, words: bytes) -> None:
        """Answer and close; nothing more is read."""
        if not self.is_answering:
            head = f"HTTP/1.1 {status.value} {status.phrase}\r\ncontent-type: text/plain\r\nconnection: close\r\n"
            self.transport.write(head.encode() + b"content-length: %d\r\n\r\n" % len(words) + words)
        self.transport.close()

    def _make_room(self) -> None:
        """Close the connection that has been idle longest; none where all of them are being answered."""
        idle = [
            other
            for other in self.connections
            if isinstance(other, BoundedConnection) and other is not self and not other.is_answering
        ]
        if idle:
            oldest = min(idle, key=lambda other: other._idle_since_s)
            # It no longer counts from now on, although it ends in the next turn of the loop.
            self.connections.discard(oldest)
            oldest.transport.close()


def _closing(status: HTTPStatus, words: bytes) -> ASGI3Application:
    """An application that answers this to everything, and ends the connection."""

    async def answer(_scope: Scope, _receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        length = str(len(words)).encode()
        headers = [(b"content-type", b"text/plain"), (b"content-length", length), (b"connection", b"close")]
        await send({"type": "http.response.start", "status": status.value, "headers": headers, "trailers": False})
        await send({"type": "http.response.body", "body": words, "more_body": False})

    return cast(ASGI3Application, answer)


_too_large = _closing(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, _TOO_LARGE)
_no_version = _closing(HTTPStatus.BAD_REQUEST, _NO_VERSION)
