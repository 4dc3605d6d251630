"""`POST /v1/commands` and `/v1/reservations`: what programs ask of the ledger, each command once."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping

import msgspec
from pydantic import BaseModel
from starlette.requests import Request
from starlette.responses import Response

from oneshelf.domain.count_outcome import BeforeHistory, Counted, CountOutdated, InFuture, NoSuchCount, PostedLate
from oneshelf.domain.kit_outcome import NoRecipe, OtherRecipe
from oneshelf.domain.outcome import (
    AnsweredBefore,
    Arrived,
    Claimed,
    CountedShort,
    IsBundle,
    KeyReused,
    NoRoom,
    NoSuchLine,
    NoSuchReservation,
    NoSuchTransfer,
    NotAHold,
    NotThatManyHeld,
    NotThatManyShipped,
    Outcome,
    Posted,
    Released,
    ReservationEnded,
    Reserved,
    Short,
    TooFew,
    TransferEnded,
    TransferExists,
    UnknownLocation,
    UnknownSku,
    in_words,
)
from oneshelf.domain.shipment_outcome import (
    IsAnnounced,
    NoSuchShipment,
    NotThatManyOver,
    ShipmentClosed,
    ShipmentExists,
    Unloaded,
)
from oneshelf.flow.post import Answered
from oneshelf.web import described
from oneshelf.web.bodies import read_json
from oneshelf.web.engine import engine_of
from oneshelf.web.inputs import commands_from, header_key_of, reservation_command_from
from oneshelf.web.outputs import CommandAnswer, CommandAnswers
from oneshelf.web.plain_route import PlainRoute
from oneshelf.web.problems import DOCUMENTED, problem

# The word of each outcome, and the status of a single command that ends so.
_OUTCOMES: dict[type[Outcome], tuple[str, int]] = {
    Posted: ("posted", 200),
    Short: ("short", 409),
    Reserved: ("reserved", 200),
    Claimed: ("claimed", 200),
    Released: ("released", 200),
    NoSuchReservation: ("no_such_reservation", 404),
    ReservationEnded: ("reservation_ended", 409),
    NotAHold: ("not_a_hold", 409),
    CountedShort: ("counted_short", 200),
    Arrived: ("arrived", 200),
    TooFew: ("too_few", 409),
    NoRoom: ("no_room", 422),
    IsBundle: ("is_bundle", 409),
    NoSuchTransfer: ("no_such_transfer", 404),
    TransferExists: ("transfer_exists", 409),
    TransferEnded: ("transfer_ended", 409),
    NoSuchLine: ("no_such_line", 404),
    NotThatManyShipped: ("not_that_many_shipped", 409),
    NotThatManyHeld: ("not_that_many_held", 409),
    Counted: ("counted", 200),
    PostedLate: ("posted_late", 200),
    NoSuchCount: ("no_such_count", 404),
    CountOutdated: ("count_outdated", 409),
    BeforeHistory: ("before_history", 409),
    InFuture: ("in_future", 422),
    Unloaded: ("unloaded", 200),
    NoSuchShipment: ("no_such_shipment", 404),
    ShipmentExists: ("shipment_exists", 409),
    ShipmentClosed: ("shipment_closed", 409),
    NotThatManyOver: ("not_that_many_over", 409),
    IsAnnounced: ("is_announced", 409),
    NoRecipe: ("no_recipe", 409),
    OtherRecipe: ("other_recipe", 409),
    UnknownSku: ("unknown_sku", 404),
    UnknownLocation: ("unknown_location", 404),
    KeyReused: ("key_reused", 422),
    AnsweredBefore: ("already_applied", 409),
}
_REPLAYED = {"Idempotent-Replayed": "true"}
_HEADER_KEY = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "description": "The key of a single command that has none in its body.",
    "schema": {"type": "string", "minLength": 1, "maxLength": 255},
}


async def post(request: Request) -> Response:
    """Whatever happens to units, in this order. Asking again with the same key gives the first answer, moves nothing.

    A single command that is refused is a problem (409 with the figures, 404 for an unknown name, 422 for a key that
    was used for something else); of several commands each has its own answer, and the status is 200.
    """
    commands = commands_from(await read_json(request), header_key=header_key_of(request))
    answered = await engine_of(request).post(commands)
    if len(answered) == 1 and _OUTCOMES[type(answered[0].outcome)][1] != 200:
        return _alone(answered[0])
    headers = _REPLAYED if all(one.was_replayed for one in answered) else None
    return _json({"answers": [_answer(one) for one in answered]}, headers)


async def reserve(request: Request) -> Response:
    """Set units aside, all of them or none: 409 with the figures when there are too few.

    With `allow_partial` what is there. Where a backorder policy allows it, also units that are still to come: those
    are `units_short`, and what comes in fills them.
    """
    return await _post_one(request, type="reserve")


async def extend(request: Request, reservation_id: str) -> Response:
    """Let a hold last longer."""
    return await _post_one(request, type="extend", reservation_id=reservation_id)


async def claim(request: Request, reservation_id: str) -> Response:
    """The order is there: the units are committed to it, or locked for it."""
    return await _post_one(request, type="claim", reservation_id=reservation_id)


async def release(request: Request, reservation_id: str) -> Response:
    """The units are free again."""
    return await _post_one(request, type="release", reservation_id=reservation_id)


async def _post_one(request: Request, **named: str) -> Response:
    command = reservation_command_from(await read_json(request), header_key=header_key_of(request), **named)
    [answered] = await engine_of(request).post([command])
    return _alone(answered)


def _alone(answered: Answered) -> Response:
    """The answer to a single command; a refusal is a problem."""
    kind, status = _OUTCOMES[type(answered.outcome)]
    headers = _REPLAYED if answered.was_replayed else None
    if status == 200:
        return _json(_answer(answered), headers)
    members = _answer(answered) | {"figures": msgspec.to_builtins(answered.outcome)}
    detail = str(members.pop("detail"))
    if answered.was_replayed:
        detail += " (as answered before; to ask anew, take a new key)"
    return problem(status, detail, kind=kind.replace("_", "-"), members=members, headers=headers)


def _answer(answered: Answered) -> dict[str, object]:
    """As `CommandAnswer` describes it."""
    return {
        "outcome": _OUTCOMES[type(answered.outcome)][0],
        "detail": in_words(answered.outcome),
        "figures": answered.outcome,
        "replayed": answered.was_replayed,
    }


def _json(document: object, headers: Mapping[str, str] | None) -> Response:
    return Response(msgspec.json.encode(document), media_type="application/json", headers=headers)


def _route(path: str, endpoint: Callable[..., Awaitable[Response]], body: str, answer: type[BaseModel]) -> PlainRoute:
    return PlainRoute(
        f"/v1/{path}",
        endpoint,
        methods=["POST"],
        tags=["commands"],
        response_model=answer,
        responses=DOCUMENTED,
        openapi_extra={**described.body(body), "parameters": [_HEADER_KEY]},
    )


ROUTES = [
    _route("reservations", reserve, "ReservationIn", CommandAnswer),
    _route("commands", post, "CommandsIn", CommandAnswers),
    _route("reservations/{reservation_id}/extend", extend, "ExtensionIn", CommandAnswer),
    _route("reservations/{reservation_id}/claim", claim, "ClaimingIn", CommandAnswer),
    _route("reservations/{reservation_id}/release", release, "ReleasingIn", CommandAnswer),
]
