"""The fields of requests. Each passes the gate in `domain.identity`; an unknown field is refused."""

from __future__ import annotations

import re
from datetime import date, datetime
from typing import Annotated, Any
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, PlainValidator, WithJsonSchema

from oneshelf.domain.command import CLOCK_ERROR_S, CLOCK_ERROR_S_MAX, KEY_LENGTH_MAX, TTL_S_MAX
from oneshelf.domain.drift import WAIT_S_MAX
from oneshelf.domain.identity import (
    NAME_LENGTH_MAX,
    UNITS_MAX,
    Channel,
    Location,
    Sku,
    channel_from,
    day_from,
    instant_from,
    location_from,
    name_from,
    sku_from,
    units_from,
)
from oneshelf.errors import MalformedError

PERCENT_MAX = 100
_UUID = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")


def _units(value: object) -> int:
    return units_from(value, what="units")


def _received_units(value: object) -> int:
    return units_from(value, what="units", least=1)


def _delta_units(value: object) -> int:
    delta = units_from(value, what="delta_units", least=-UNITS_MAX)
    if delta == 0:
        raise MalformedError("delta_units is 0: an adjustment of 0 units changes nothing")
    return delta


def _ttl_s(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= TTL_S_MAX:
        raise MalformedError(f"ttl_s must be a whole number of seconds from 1 to {TTL_S_MAX}")
    return value


def _error_s(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= CLOCK_ERROR_S_MAX:
        raise MalformedError(f"error_s must be a whole number of seconds from 0 to {CLOCK_ERROR_S_MAX}")
    return value


def _wait_s(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= WAIT_S_MAX:
        raise MalformedError(f"wait_s must be a whole number of seconds from 0 to {WAIT_S_MAX}")
    return value


def _token(value: object) -> UUID:
    if not isinstance(value, str) or not _UUID.fullmatch(value):
        raise MalformedError("token must be a UUID, as the answer to POST /v1/counts gave it")
    return UUID(value)


def _as_of(value: object) -> datetime:
    return instant_from(value, what="as_of")


def _happened_at(value: object) -> datetime:
    return instant_from(value, what="happened_at")


def _expected_on(value: object) -> date:
    return day_from(value, what="expected_on")


def _percent(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= PERCENT_MAX:
        raise MalformedError(f"a percentage must be a whole number from 0 to {PERCENT_MAX}")
    return value


def _number_given(value: object) -> str:
    return name_from(value, what="number")


def reservation_id_from(value: object) -> UUID:
    """The id of a reservation, as it was given. Raises MalformedError.

    One id has one spelling: what Python reads too (digits of other scripts, underscores, braces) is refused.
    """
    if not isinstance(value, str) or not _UUID.fullmatch(value):
        raise MalformedError("a reservation's id is a UUID, as the answer to the reservation gave it")
    return UUID(value)


def drift_id_from(value: str) -> UUID:
    """The id of a drift, as a list gave it. Raises MalformedError."""
    if not _UUID.fullmatch(value):
        raise MalformedError("a drift's id is a UUID, as GET /v1/drifts tells it")
    return UUID(value)


def limit_from(text: object) -> int:
    """A number in an address, in plain digits: what Python reads too (7_0, blanks, other scripts) is refused."""
    if isinstance(text, int):
        return text  # The default.
    if not isinstance(text, str) or not re.fullmatch(r"[0-9]{1,9}", text):
        raise ValueError("must be a whole number in plain digits")
    return int(text)


def _signer(value: object) -> str:
    return name_from(value, what="by")


def _reason(value: object) -> str:
    return name_from(value, what="reason")


def _words(value: object) -> str:
    return "" if value == "" else name_from(value, what="text")


def _text(length_max: int, length_min: int = 1) -> WithJsonSchema:
    return WithJsonSchema({"type": "string", "minLength": length_min, "maxLength": length_max})


def _whole_number(least: int) -> WithJsonSchema:
    return WithJsonSchema({"type": "integer", "minimum": least, "maximum": UNITS_MAX})


SkuIn = Annotated[Sku, PlainValidator(sku_from), _text(NAME_LENGTH_MAX)]
LocationIn = Annotated[Location, PlainValidator(location_from), _text(NAME_LENGTH_MAX)]
WordsIn = Annotated[str, PlainValidator(_words), _text(NAME_LENGTH_MAX, 0)]
ReasonIn = Annotated[str, PlainValidator(_reason), _text(NAME_LENGTH_MAX)]
SignerIn = Annotated[str, PlainValidator(_signer), _text(NAME_LENGTH_MAX)]
UnitsIn = Annotated[int, PlainValidator(_units), _whole_number(0)]
ReceivedUnitsIn = Annotated[int, PlainValidator(_received_units), _whole_number(1)]
DeltaUnitsIn = Annotated[
    int,
    PlainValidator(_delta_units),
    WithJsonSchema({"type": "integer", "minimum": -UNITS_MAX, "maximum": UNITS_MAX, "not": {"const": 0}}),
]
ChannelIn = Annotated[Channel, PlainValidator(channel_from), _text(NAME_LENGTH_MAX)]
NumberIn = Annotated[str, PlainValidator(_number_given), _text(NAME_LENGTH_MAX)]
WaitIn = Annotated[
    int, PlainValidator(_wait_s), WithJsonSchema({"type": "integer", "minimum": 0, "maximum": WAIT_S_MAX})
]
TtlIn = Annotated[int, PlainValidator(_ttl_s), WithJsonSchema({"type": "integer", "minimum": 1, "maximum": TTL_S_MAX})]
ReservationIdIn = Annotated[
    UUID, PlainValidator(reservation_id_from), WithJsonSchema({"type": "string", "format": "uuid"})
]
_INSTANT = WithJsonSchema({"type": "string", "format": "date-time"})
TokenIn = Annotated[
    UUID,
    PlainValidator(_token),
    WithJsonSchema({"type": "string", "format": "uuid"}),
    Field(description="What POST /v1/counts answered when the counting began: all that moved since is added."),
]
AsOfIn = Annotated[
    datetime,
    PlainValidator(_as_of),
    _INSTANT,
    Field(description="When it was counted, if there is no token: all that moved since is added."),
]
ErrorIn = Annotated[
    int,
    PlainValidator(_error_s),
    WithJsonSchema({"type": "integer", "minimum": 0, "maximum": CLOCK_ERROR_S_MAX, "default": CLOCK_ERROR_S}),
    Field(
        description="By how many seconds the clock behind `as_of` may be wrong. What moved within that is taken as it "
        "makes the figure lower, and the answer says how many units that were: count again."
    ),
]
HappenedAtIn = Annotated[
    datetime,
    PlainValidator(_happened_at),
    _INSTANT,
    Field(description="When it happened, if it is told late. What a count had seen of it does not change the count."),
]
ExpectedOnIn = Annotated[date, PlainValidator(_expected_on), WithJsonSchema({"type": "string", "format": "date"})]
PercentIn = Annotated[
    int, PlainValidator(_percent), WithJsonSchema({"type": "integer", "minimum": 0, "maximum": PERCENT_MAX})
]
KeyIn = Annotated[
    Any,
    WithJsonSchema({"type": "string", "minLength": 1, "maxLength": KEY_LENGTH_MAX, "pattern": "^[!-~]+$"}),
    Field(description="Makes the command happen once. For a single command the header Idempotency-Key will do."),
]


class Input(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)
