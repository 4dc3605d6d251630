"""`GET /v1/events`: what happens, while it happens, as server-sent events (WHATWG HTML, section 9.2)."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import Annotated

from fastapi import APIRouter, Depends, Header, Query
from starlette.requests import Request
from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from oneshelf.domain.event import Event, Wanted, event_types_from
from oneshelf.domain.identity import channel_from, sku_from
from oneshelf.errors import MalformedError
from oneshelf.flow.follow import position_in
from oneshelf.web.auth import Door
from oneshelf.web.engine import Engine, EngineOf
from oneshelf.web.event_feed import LOOK_EVERY_S, EventFeed
from oneshelf.web.problems import DOCUMENTED, ProblemError
from oneshelf.web.questions import only_known_questions

HEARTBEAT_S = 15.0
# A stream outlives what it was asked for with: so often it is asked whether that still holds.
STILL_LET_IN_S = 5.0
READERS_MAX = 100
NAMES_MAX = 100
MEDIA_TYPE = "text/event-stream"
RETRY_MS = 3_000

router = APIRouter(prefix="/v1", tags=["events"], responses=DOCUMENTED, dependencies=[Depends(only_known_questions)])

Names = Annotated[str, Query(max_length=4_000, description="Some of them, with a comma between two; all by default.")]
After = Annotated[str, Query(max_length=100, description="The position or id of the last event seen; 0: all there is.")]
LastEventId = Annotated[str, Header(max_length=100, description="What a browser sends when it comes back; as `after`.")]

_EXAMPLE = (
    "id: 4711\nevent: stock.changed\n"
    'data: {"data":{"ats":3,"available":3,"on_hand":5,"sku":"MUG-BLUE"},"id":"evt_4711_0193","position":4711,'
    '"timestamp":"2026-11-26T12:00:00Z","type":"stock.changed"}\n\n'
)


class EventStreamResponse(StreamingResponse):
    media_type = MEDIA_TYPE


class _OneReader(EventStreamResponse):
    """A stream, and the place of its reader: given back when the stream has ended, also if it never began."""

    def __init__(self, stream: AsyncGenerator[bytes], feed: EventFeed) -> None:
        super().__init__(stream, headers={"X-Accel-Buffering": "no"})
        self._feed = feed

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._feed.reader_count -= 1


@router.get(
    "/events",
    response_class=EventStreamResponse,
    responses={200: {"description": "A stream without an end.", "content": {MEDIA_TYPE: {"example": _EXAMPLE}}}},
)
async def follow_events(  # noqa: PLR0913  # Its questions are its arguments.
    request: Request,
    engine: EngineOf,
    types: Names = "",
    skus: Names = "",
    channels: Names = "",
    after: After = "",
    last_event_id: LastEventId = "",
) -> EventStreamResponse:
    """Follow what happens: from now on, or on from the event named. The header is stronger than `after`.

    It ends within seconds after the token, the session or the person that asked for it.
    """
    wanted = Wanted(
        event_types=frozenset(event_types_from(_names(types))),
        skus=frozenset(map(sku_from, _names(skus))),
        channels=frozenset(map(channel_from, _names(channels))),
    )
    seen = last_event_id or after
    cursor = position_in(seen)
    if seen and cursor is None:
        raise MalformedError("after, or Last-Event-ID, is the position or the id of an event")
    feed = engine.feed
    if feed.reader_count >= READERS_MAX:
        raise ProblemError(
            503,
            f"{READERS_MAX} readers follow already; try again later",
            kind="too-many-readers",
            headers={"Retry-After": "30"},
        )
    door: Door = request.app.state.door
    # Before anything is waited for: of all who ask at the same moment each counts.
    feed.reader_count += 1
    try:
        start = await feed.start(cursor)
    except BaseException:
        feed.reader_count -= 1
        raise
    stream = _stream(engine, feed, wanted, start, lambda: door.still_lets_in(request))
    return _OneReader(stream, feed)


async def _stream(
    engine: Engine, feed: EventFeed, wanted: Wanted, cursor: int, is_let_in: Callable[[], Awaitable[bool]]
) -> AsyncGenerator[bytes]:
    """Whoever reads slowly holds one page here, and the next one is read when that is gone."""
    yield f"retry: {RETRY_MS}\nid: {cursor}\n\n".encode()
    said_at = asked_at = engine.clock.monotonic()
    while True:
        if engine.clock.monotonic() - asked_at >= STILL_LET_IN_S:
            if not await is_let_in():
                return
            asked_at = engine.clock.monotonic()
        found, cursor = await feed.read(wanted, cursor)
        if found:
            yield b"".join(map(_written, found))
            said_at = engine.clock.monotonic()
            continue
        if engine.clock.monotonic() - said_at >= HEARTBEAT_S:
            yield b": still here\n\n"
            said_at = engine.clock.monotonic()
        await engine.clock.sleep(LOOK_EVERY_S)


def _written(event: Event) -> bytes:
    """JSON has no line break in it, so one line holds all of it."""
    return b"id: %d\nevent: %s\ndata: %s\n\n" % (event.position, event.event_type.encode(), event.body())


def _names(text: str) -> list[str]:
    names = [name for name in text.split(",") if name.strip()]
    if len(names) > NAMES_MAX:
        raise MalformedError(f"{len(names)} names, at most {NAMES_MAX} at once")
    return names
