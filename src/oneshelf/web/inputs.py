"""What programs send to the API. Each field passes the gate in `domain.identity`; an unknown field is refused."""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypeVar, assert_never

from pydantic import BaseModel, ConfigDict, Field, PlainValidator, TypeAdapter, ValidationError, WithJsonSchema

from oneshelf.domain.command import KEY_LENGTH_MAX, Adjust, Command, CommandKey, Count, CountedFigure, Receive
from oneshelf.domain.identity import (
    NAME_LENGTH_MAX,
    UNITS_MAX,
    Location,
    Sku,
    location_from,
    name_from,
    sku_from,
    units_from,
)
from oneshelf.errors import MalformedError
from oneshelf.web.problems import UnreadableError, in_words

Model = TypeVar("Model", bound=BaseModel)

SCOPE = "api"
COMMANDS_MAX = 1_000
NAMES_MAX = 10_000


def _units(value: object) -> int:
    return units_from(value, what="units")


def _received_units(value: object) -> int:
    return units_from(value, what="units", least=1)


def _delta_units(value: object) -> int:
    delta = units_from(value, what="delta_units", least=-UNITS_MAX)
    if delta == 0:
        raise MalformedError("delta_units is 0: an adjustment of 0 units changes nothing")
    return delta


def _words(value: object) -> str:
    return "" if value == "" else name_from(value, what="text")


def _text(length_max: int, length_min: int = 1) -> WithJsonSchema:
    return WithJsonSchema({"type": "string", "minLength": length_min, "maxLength": length_max})


def _whole_number(least: int) -> WithJsonSchema:
    return WithJsonSchema({"type": "integer", "minimum": least, "maximum": UNITS_MAX})


SkuIn = Annotated[Sku, PlainValidator(sku_from), _text(NAME_LENGTH_MAX)]
LocationIn = Annotated[Location, PlainValidator(location_from), _text(NAME_LENGTH_MAX)]
WordsIn = Annotated[str, PlainValidator(_words), _text(NAME_LENGTH_MAX, 0)]
UnitsIn = Annotated[int, PlainValidator(_units), _whole_number(0)]
ReceivedUnitsIn = Annotated[int, PlainValidator(_received_units), _whole_number(1)]
DeltaUnitsIn = Annotated[
    int,
    PlainValidator(_delta_units),
    WithJsonSchema({"type": "integer", "minimum": -UNITS_MAX, "maximum": UNITS_MAX, "not": {"const": 0}}),
]
KeyIn = Annotated[
    Any,
    WithJsonSchema({"type": "string", "minLength": 1, "maxLength": KEY_LENGTH_MAX, "pattern": "^[!-~]+$"}),
    Field(description="Makes the command happen once. For a single command the header Idempotency-Key will do."),
]


class _Input(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class ReceiveIn(_Input):
    """Goods came in."""

    type: Literal["receive"]
    key: KeyIn = None
    sku: SkuIn
    location: LocationIn
    units: ReceivedUnitsIn


class AdjustIn(_Input):
    """Somebody corrects the available units by a difference."""

    type: Literal["adjust"]
    key: KeyIn = None
    sku: SkuIn
    location: LocationIn
    delta_units: DeltaUnitsIn
    reason: WordsIn = ""


class CountIn(_Input):
    """Somebody counted: all that lies there (`on_hand`), or what is free to sell (`available`)."""

    type: Literal["count"]
    key: KeyIn = None
    sku: SkuIn
    location: LocationIn
    units: UnitsIn
    figure: CountedFigure = CountedFigure.ON_HAND


CommandIn = Annotated[ReceiveIn | AdjustIn | CountIn, Field(discriminator="type")]


class CommandsIn(_Input):
    """Commands, posted together and in this order; each has its own answer."""

    commands: Annotated[list[CommandIn], Field(min_length=1, max_length=COMMANDS_MAX)]


class SkuNameIn(_Input):
    """A SKU to be known from now on."""

    sku: SkuIn
    title: WordsIn = ""


class SkusIn(_Input):
    skus: Annotated[list[SkuNameIn], Field(min_length=1, max_length=NAMES_MAX)]


class LocationNameIn(_Input):
    """A location to be known from now on."""

    location: LocationIn
    title: WordsIn = ""


class LocationsIn(_Input):
    locations: Annotated[list[LocationNameIn], Field(min_length=1, max_length=1_000)]


# The models that /openapi.json describes although their routes read the body themselves.
DOCUMENTED = (CommandsIn, SkusIn, LocationsIn)

_COMMAND: TypeAdapter[ReceiveIn | AdjustIn | CountIn] = TypeAdapter(CommandIn)
_SKU_NAME = TypeAdapter(SkuNameIn)
_LOCATION_NAME = TypeAdapter(LocationNameIn)


def commands_from(document: object, *, header_key: str | None) -> list[Command]:
    """The commands of a request, in order. Raises MalformedError with the place, UnreadableError for a key."""
    items = _items(document, "commands", items_max=COMMANDS_MAX)
    if header_key is not None and len(items) > 1:
        raise UnreadableError("the header Idempotency-Key is for a single command; give each command its own key")
    return [_command(_parsed(_COMMAND, item, f"commands.{at}"), at, header_key) for at, item in enumerate(items)]


def sku_titles_from(document: object) -> dict[Sku, str]:
    """SKU -> title. Raises MalformedError."""
    items = _items(document, "skus", items_max=NAMES_MAX)
    names = [_parsed(_SKU_NAME, item, f"skus.{at}") for at, item in enumerate(items)]
    titles = {name.sku: name.title for name in names}
    if len(titles) != len(names):
        raise MalformedError("skus: a SKU is named twice")
    return titles


def location_titles_from(document: object) -> dict[Location, str]:
    """location -> title. Raises MalformedError."""
    items = _items(document, "locations", items_max=1_000)
    names = [_parsed(_LOCATION_NAME, item, f"locations.{at}") for at, item in enumerate(items)]
    return {name.location: name.title for name in names}


def _items(document: object, name: str, *, items_max: int) -> list[object]:
    if not isinstance(document, dict) or set(document) != {name} or not isinstance(document[name], list):
        raise MalformedError(f'the body must be an object with one member: {{"{name}": […]}}')
    items: list[object] = document[name]
    if not 1 <= len(items) <= items_max:
        raise MalformedError(f"{name} has {len(items)} items; it must have 1 to {items_max}")
    return items


def _parsed(adapter: TypeAdapter[Model], item: object, where: str) -> Model:
    try:
        return adapter.validate_python(item)
    except ValidationError as failure:
        raise MalformedError(in_words(failure.errors(), where=f"{where}.")) from None
    except MalformedError as failure:
        raise MalformedError(f"{where}: {failure}") from None


def _command(item: ReceiveIn | AdjustIn | CountIn, at: int, header_key: str | None) -> Command:
    key = _key(item.key, at, header_key)
    match item:
        case ReceiveIn():
            return Receive(key=key, sku=item.sku, location=item.location, units=item.units)
        case AdjustIn():
            return Adjust(
                key=key, sku=item.sku, location=item.location, delta_units=item.delta_units, reason=item.reason
            )
        case CountIn():
            return Count(key=key, sku=item.sku, location=item.location, units=item.units, figure=item.figure)
        case _:
            assert_never(item)


def _key(given: object, at: int, header_key: str | None) -> CommandKey:
    """The key in the command, else the one in the header. Raises UnreadableError: without one nothing is safe."""
    if given is not None and header_key is not None and given != header_key:
        raise UnreadableError(f"commands.{at}: the key differs from the header Idempotency-Key")
    key = header_key if given is None else given
    if not isinstance(key, str):
        raise UnreadableError(
            f"commands.{at}: a command needs an idempotency key, as text: a member key, or the header Idempotency-Key"
        )
    try:
        return CommandKey(scope=SCOPE, key=key)
    except MalformedError as failure:
        raise UnreadableError(f"commands.{at}: {failure}") from None
