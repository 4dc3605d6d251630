"""`/v1/endpoints`: who is sent events, signed, and how that goes. A secret is shown once and never again."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from fastapi import APIRouter, Depends
from pydantic import BaseModel, ConfigDict, Field, PlainValidator, TypeAdapter, WithJsonSchema
from starlette.requests import Request

from oneshelf.domain.destination import URL_LENGTH_MAX
from oneshelf.domain.event import EventType, event_types_from
from oneshelf.domain.identity import instant_from
from oneshelf.errors import MalformedError, UnknownEndpointError
from oneshelf.flow import follow
from oneshelf.storage import endpoints
from oneshelf.web import described
from oneshelf.web.bodies import read_json
from oneshelf.web.engine import EngineOf
from oneshelf.web.fields import Input
from oneshelf.web.inputs import parsed
from oneshelf.web.problems import DOCUMENTED, ProblemError
from oneshelf.web.questions import only_known_questions

SINCE_LENGTH_MAX = 100

router = APIRouter(prefix="/v1", tags=["events"], responses=DOCUMENTED, dependencies=[Depends(only_known_questions)])


def _text_from(value: object, *, what: str, length_max: int) -> str:
    if not isinstance(value, str) or not 1 <= len(value) <= length_max:
        raise MalformedError(f"{what} must be text of 1 to {length_max} characters")
    return value


def _url_from(value: object) -> str:
    return _text_from(value, what="url", length_max=URL_LENGTH_MAX)


def _since_from(value: object) -> str:
    return _text_from(value, what="since", length_max=SINCE_LENGTH_MAX)


def _types_from(value: object) -> list[str]:
    if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
        raise MalformedError("event_types must be a list of types, such as stock.changed")
    return event_types_from(value)


def _flag_from(value: object) -> bool:
    if not isinstance(value, bool):
        raise MalformedError("allow_http must be true or false")
    return value


_TYPES = [kind.value for kind in EventType if kind is not EventType.TEST]


class EndpointIn(Input):
    """Where events go. `event_types`: empty or left out, all of them. `allow_http`: in a network of your own."""

    url: Annotated[
        str,
        PlainValidator(_url_from),
        WithJsonSchema({"type": "string", "minLength": 1, "maxLength": URL_LENGTH_MAX}),
    ]
    event_types: Annotated[
        list[str],
        PlainValidator(_types_from),
        WithJsonSchema({"type": "array", "items": {"type": "string", "enum": _TYPES}}),
    ] = Field(default_factory=list)
    allow_http: Annotated[bool, PlainValidator(_flag_from), WithJsonSchema({"type": "boolean"})] = False


class ReplayIn(Input):
    """`since`: an instant, or the id of an event, after which all is sent again."""

    since: Annotated[
        str,
        PlainValidator(_since_from),
        WithJsonSchema({"type": "string", "minLength": 1, "maxLength": SINCE_LENGTH_MAX}),
    ]


BODIES = (EndpointIn, ReplayIn)

_ENDPOINT, _REPLAY = TypeAdapter(EndpointIn), TypeAdapter(ReplayIn)


class EndpointOut(BaseModel):
    """An endpoint. `kind`: a webhook, or people, who are told of alerts in words (`oneshelf alert`): chat, mail.

    `state`: active, paused, gone (it answered 410), failing (for days). `oldest_s`: how long the oldest
    event that it has not got has waited; null: it has all. Given up: tried ten times in three days.
    """

    model_config = ConfigDict(from_attributes=True)

    endpoint: str
    kind: Literal["webhook", "chat", "mail"]
    url: str
    event_types: list[str]
    allows_http: bool
    state: str
    created_at: datetime
    fail_streak: int
    failing_since: datetime | None
    last_words: str
    delivered_at: datetime | None
    delivered_count: int
    failed_count: int
    waiting_count: int
    given_up_count: int
    oldest_s: float | None


class EndpointsOut(BaseModel):
    endpoints: list[EndpointOut]


class SecretOut(BaseModel):
    """The secret to verify with, as Standard Webhooks writes it. It is not shown again: then it is null."""

    endpoint: str
    secret: str | None


class ReplayedOut(BaseModel):
    """How many events are sent again."""

    endpoint: str
    event_count: int


class AttemptOut(BaseModel):
    """What came of one test event. `status`: null where no answer came."""

    endpoint: str
    is_delivered: bool
    status: int | None
    detail: str


@router.get("/endpoints")
async def list_endpoints(engine: EngineOf) -> EndpointsOut:
    """Who is sent events, and how that goes. No secrets."""
    async with engine.database.transaction() as tx:
        rows = await endpoints.listed(tx)
    return EndpointsOut(endpoints=[EndpointOut.model_validate(row) for row in rows])


@router.put("/endpoints/{endpoint}", openapi_extra=described.body("EndpointIn"))
async def put_endpoint(request: Request, engine: EngineOf, endpoint: str) -> SecretOut:
    """Send events to an address from now on. One that is there keeps its secret, which is not shown again."""
    item = parsed(_ENDPOINT, await read_json(request))
    wish = follow.wish_from(endpoint, item.url, event_types=item.event_types, allows_http=item.allow_http)
    return SecretOut(endpoint=wish.endpoint, secret=await follow.define(engine.database, wish))


@router.delete("/endpoints/{endpoint}", status_code=204)
async def delete_endpoint(engine: EngineOf, endpoint: str) -> None:
    """Send it nothing any more."""
    await _known(engine, endpoint)
    await follow.remove(engine.database, endpoint)


@router.post("/endpoints/{endpoint}/pause")
async def pause_endpoint(engine: EngineOf, endpoint: str) -> EndpointOut:
    """Keep what is to be sent until it is called again."""
    await _known(engine, endpoint)
    await follow.pause(engine.database, endpoint)
    return await _known(engine, endpoint)


@router.post("/endpoints/{endpoint}/resume")
async def resume_endpoint(engine: EngineOf, endpoint: str) -> EndpointOut:
    """Call it again, whatever it was. All that waits is due."""
    await _known(engine, endpoint)
    await follow.resume(engine.database, endpoint)
    engine.wake(["deliver"])
    return await _known(engine, endpoint)


@router.post("/endpoints/{endpoint}/rotate")
async def rotate_secret(engine: EngineOf, endpoint: str) -> SecretOut:
    """Another secret; for a day the old one signs too."""
    await _known(engine, endpoint)
    return SecretOut(endpoint=endpoint, secret=await follow.rotate(engine.database, endpoint))


@router.post("/endpoints/{endpoint}/replay", openapi_extra=described.body("ReplayIn"))
async def replay_events(request: Request, engine: EngineOf, endpoint: str) -> ReplayedOut:
    """Send again what was told since; of a level the newest figure."""
    since = parsed(_REPLAY, await read_json(request)).since
    instant = None if follow.position_in(since) is not None else instant_from(since, what="since")
    await _known(engine, endpoint)
    count = await follow.replay(engine.database, endpoint, since=follow.place_from(since, instant=instant))
    engine.wake(["deliver"])
    return ReplayedOut(endpoint=endpoint, event_count=count)


@router.post("/endpoints/{endpoint}/test")
async def test_endpoint(engine: EngineOf, endpoint: str) -> AttemptOut:
    """Send a test event now, and say what came of it."""
    await _known(engine, endpoint)
    if engine.outgoing is None:
        raise ProblemError(503, "this engine sends no events; start it with oneshelf serve", kind="sends-nothing")
    reply = await follow.attempt(engine.database, engine.outgoing, endpoint, new_id=engine.clock.new_id())
    return AttemptOut(endpoint=endpoint, is_delivered=reply.is_delivered, status=reply.status, detail=reply.words)


async def _known(engine: EngineOf, endpoint: str) -> EndpointOut:
    follow.endpoint_from(endpoint)
    try:
        return EndpointOut.model_validate(await follow.find(engine.database, endpoint))
    except UnknownEndpointError as refusal:
        raise ProblemError(404, str(refusal), kind="no-such-endpoint") from None
