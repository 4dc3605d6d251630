"""What programs send to the API. Each field passes the gate in `domain.identity`; an unknown field is refused."""

from __future__ import annotations

from typing import Annotated, TypeVar

from pydantic import Field, TypeAdapter, ValidationError
from starlette.requests import Request

from oneshelf.domain.bundle import BundleWish
from oneshelf.domain.command import COMPONENTS_MAX, Command, CommandKey, Component
from oneshelf.domain.drift import How
from oneshelf.domain.identity import Location, Sku, sku_from
from oneshelf.domain.ledger import Backorder, BackorderKind
from oneshelf.domain.rights import Mode
from oneshelf.errors import MalformedError
from oneshelf.web.command_inputs import (
    AnyCommandIn,
    ClaimingIn,
    CommandIn,
    ComponentIn,
    ExtensionIn,
    ReleasingIn,
    ReservationIn,
    command_of,
    components_from,
)
from oneshelf.web.fields import Input, LocationIn, SignerIn, SkuIn, UnitsIn, WaitIn, WordsIn
from oneshelf.web.problems import UnreadableError, in_words

T = TypeVar("T")

SCOPE = "api"
COMMANDS_MAX = 1_000
NAMES_MAX = 10_000
KEYS_EXPLAINED = "docs/reference/bad-input.md#keys, and the parameter Idempotency-Key in /openapi.json"


class CommandsIn(Input):
    """Commands, posted together and in this order; each has its own answer."""

    commands: Annotated[list[CommandIn], Field(min_length=1, max_length=COMMANDS_MAX)]


class SkuNameIn(Input):
    """A SKU to be known from now on."""

    sku: SkuIn
    title: WordsIn = ""


class SkusIn(Input):
    skus: Annotated[list[SkuNameIn], Field(min_length=1, max_length=NAMES_MAX)]


class LocationNameIn(Input):
    """A location to be known from now on."""

    location: LocationIn
    title: WordsIn = ""


class LocationsIn(Input):
    locations: Annotated[list[LocationNameIn], Field(min_length=1, max_length=1_000)]


class CountBeginIn(Input):
    """Where somebody begins to count, and which SKUs; all of them if none is named."""

    location: LocationIn
    skus: Annotated[tuple[SkuIn, ...], Field(max_length=NAMES_MAX)] = ()


class BundleIn(Input):
    """What one bundle is made of."""

    components: Annotated[list[ComponentIn], Field(min_length=1, max_length=COMPONENTS_MAX)]


class KitIn(Input):
    """What one kit is made of."""

    components: Annotated[list[ComponentIn], Field(min_length=1, max_length=COMPONENTS_MAX)]


class BackorderIn(Input):
    """How many units of a SKU at a location may be short at once; 0: nothing is promised beyond what is there."""

    sku: SkuIn
    location: LocationIn
    cap_units: UnitsIn
    kind: BackorderKind = BackorderKind.BACKORDER


class DriftResolutionIn(Input):
    """What to do with a drift. `wait_s`: decide after so many seconds; only with `wait`."""

    how: How
    wait_s: WaitIn = 0


class SignOffIn(Input):
    """Who signs off which listings, by the channel's own ids; none named: the whole channel, now and later."""

    by: SignerIn
    listings: Annotated[tuple[SkuIn, ...], Field(max_length=NAMES_MAX)] = ()


class LetGoIn(Input):
    """Who lets go what the breaker held."""

    by: SignerIn


class SharingIn(Input):
    """How the listings of a SKU share its units.

    `guard_at_units`: of mode `auto`, guarded at so many available units or fewer; none: as measured.
    `allowance_units`: kept from the listings of a guarded SKU, for tills and for reservations by this API.
    """

    mode: Mode
    guard_at_units: UnitsIn | None = None
    allowance_units: UnitsIn = 0


# The models that /openapi.json describes although their routes read the body themselves.
DOCUMENTED = (
    CommandsIn,
    CountBeginIn,
    SkusIn,
    LocationsIn,
    ReservationIn,
    ExtensionIn,
    ClaimingIn,
    ReleasingIn,
    BundleIn,
    KitIn,
    BackorderIn,
    DriftResolutionIn,
    SignOffIn,
    LetGoIn,
    SharingIn,
)

_COMMAND: TypeAdapter[AnyCommandIn] = TypeAdapter(CommandIn)
_COUNT_BEGIN = TypeAdapter(CountBeginIn)
_BUNDLE = TypeAdapter(BundleIn)
_KIT = TypeAdapter(KitIn)
_BACKORDER = TypeAdapter(BackorderIn)
_DRIFT_RESOLUTION = TypeAdapter(DriftResolutionIn)
_SIGN_OFF = TypeAdapter(SignOffIn)
_RELEASE = TypeAdapter(LetGoIn)
_SHARING = TypeAdapter(SharingIn)
_SKU_NAME = TypeAdapter(SkuNameIn)
_LOCATION_NAME = TypeAdapter(LocationNameIn)


def header_key_of(request: Request) -> str | None:
    """The key in the header, if there is one. Raises UnreadableError for two: nobody knows which was meant."""
    keys = request.headers.getlist("idempotency-key")
    if len(keys) > 1:
        raise UnreadableError("the header Idempotency-Key came twice; send one key for one command")
    return keys[0] if keys else None


def commands_from(document: object, *, header_key: str | None) -> list[Command]:
    """The commands of a request, in order. Raises MalformedError with the place, UnreadableError for a key."""
    items = _items(document, "commands", items_max=COMMANDS_MAX)
    if header_key is not None and len(items) > 1:
        raise UnreadableError("the header Idempotency-Key is for a single command; give each command its own key")
    return [_command(item, f"commands.{at}", header_key) for at, item in enumerate(items)]


def reservation_command_from(document: object, *, header_key: str | None, **named: object) -> Command:
    """A command about one reservation. `named`: what the address of the request says, which the body may not."""
    if not isinstance(document, dict):
        raise MalformedError("the body must be an object")
    if twice := sorted(named.keys() & document.keys()):
        raise MalformedError(f"{', '.join(twice)}: the address says it, the body must not")
    return _command({**document, **named}, "body", header_key)


def _command(document: object, where: str, header_key: str | None) -> Command:
    item = parsed(_COMMAND, document, where)
    key = _key(item.key, where, header_key)
    try:
        return command_of(item, key)
    except MalformedError as failure:
        raise MalformedError(f"{where}: {failure}") from None


def count_begin_from(document: object) -> CountBeginIn:
    """Where a count begins. Raises MalformedError."""
    return parsed(_COUNT_BEGIN, document)


def bundle_from(sku: str, document: object) -> BundleWish:
    """The bundle that a SKU is to be. Raises MalformedError."""
    item = parsed(_BUNDLE, document)
    return BundleWish(sku=sku_from(sku), components=components_from(item.components))


def recipe_from(document: object) -> tuple[Component, ...]:
    """What a kit is to be made of. Raises MalformedError."""
    return components_from(parsed(_KIT, document).components)


def backorder_from(document: object) -> tuple[Sku, Location, Backorder | None]:
    """A SKU, a location and how far units may be promised there beyond the shelf. Raises MalformedError."""
    item = parsed(_BACKORDER, document)
    policy = Backorder(kind=item.kind, cap_units=item.cap_units) if item.cap_units else None
    return item.sku, item.location, policy


def drift_resolution_from(document: object) -> DriftResolutionIn:
    """What a person wants done with a drift. Raises MalformedError."""
    item = parsed(_DRIFT_RESOLUTION, document)
    if item.wait_s and item.how is not How.WAIT:
        raise MalformedError(f"wait_s goes with how: wait, not with {item.how}")
    return item


def sign_off_from(document: object) -> SignOffIn:
    """What is signed off. Raises MalformedError."""
    return parsed(_SIGN_OFF, document)


def release_from(document: object) -> LetGoIn:
    """Who lets go what was held. Raises MalformedError."""
    return parsed(_RELEASE, document)


def sharing_from(document: object) -> SharingIn:
    """How the listings of a SKU share its units. Raises MalformedError."""
    return parsed(_SHARING, document)


def sku_titles_from(document: object) -> dict[Sku, str]:
    """SKU -> title. Raises MalformedError."""
    items = _items(document, "skus", items_max=NAMES_MAX)
    names = [parsed(_SKU_NAME, item, f"skus.{at}") for at, item in enumerate(items)]
    titles = {name.sku: name.title for name in names}
    if len(titles) != len(names):
        raise MalformedError("skus: a SKU is named twice")
    return titles


def location_titles_from(document: object) -> dict[Location, str]:
    """location -> title. Raises MalformedError."""
    items = _items(document, "locations", items_max=1_000)
    names = [parsed(_LOCATION_NAME, item, f"locations.{at}") for at, item in enumerate(items)]
    return {name.location: name.title for name in names}


def _items(document: object, name: str, *, items_max: int) -> list[object]:
    if not isinstance(document, dict) or set(document) != {name} or not isinstance(document[name], list):
        raise MalformedError(f'the body must be an object with one member: {{"{name}": […]}}')
    items: list[object] = document[name]
    if not 1 <= len(items) <= items_max:
        raise MalformedError(f"{name} has {len(items)} items; it must have 1 to {items_max}")
    return items


def parsed(adapter: TypeAdapter[T], item: object, where: str = "body") -> T:
    """What was sent, as its model says. Raises MalformedError with the place."""
    try:
        return adapter.validate_python(item)
    except ValidationError as failure:
        raise MalformedError(in_words(failure.errors(), where=f"{where}.")) from None
    except MalformedError as failure:
        raise MalformedError(f"{where}: {failure}") from None


def _key(given: object, where: str, header_key: str | None) -> CommandKey:
    """The key in the command, else the one in the header. Raises UnreadableError: without one nothing is safe."""
    if given is not None and header_key is not None and given != header_key:
        raise UnreadableError(f"{where}: the key differs from the header Idempotency-Key")
    key = header_key if given is None else given
    if not isinstance(key, str):
        raise UnreadableError(
            f"{where}: a command needs an idempotency key, as text: a member key, or the header Idempotency-Key. "
            f"What it is for: {KEYS_EXPLAINED}"
        )
    try:
        return CommandKey(scope=SCOPE, key=key)
    except MalformedError as failure:
        raise UnreadableError(f"{where}: {failure}") from None
