"""What people and programs ask of the ledger. What it answers is in `domain.outcome`.

The fields of a command are part of the fingerprint that is kept with its key for ever: a new field makes old keys look
reused, so a new wish is a new command.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from uuid import UUID

from oneshelf.domain.identity import UNITS_MAX, Channel, Location, Sku
from oneshelf.errors import MalformedError

KEY_LENGTH_MAX = 255
TTL_S_MAX = 7 * 86_400
RESERVE_LINES_MAX = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandKey:
    """Makes a command happen once: `scope` is who numbers, `key` is the number they gave it."""

    scope: str
    key: str

    def __post_init__(self) -> None:
        is_printable = all(0x21 <= ord(character) <= 0x7E for character in self.key)
        if not 1 <= len(self.key) <= KEY_LENGTH_MAX or not is_printable:
            raise MalformedError(f"an idempotency key is 1 to {KEY_LENGTH_MAX} visible ASCII characters")


class CountedFigure(StrEnum):
    """What a counted number says."""

    ON_HAND = "on_hand"  # everything that lies there, whoever it is promised to
    AVAILABLE = "available"  # what is free to sell


@dataclass(frozen=True, slots=True, kw_only=True)
class Receive:
    """Goods came in: supplier → available."""

    key: CommandKey
    sku: Sku
    location: Location
    units: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Adjust:
    """Somebody corrects the available units by a difference: found → available, or available → shrinkage."""

    key: CommandKey
    sku: Sku
    location: Location
    delta_units: int
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Count:
    """Somebody counted. The difference to the ledger goes to or comes from `shrinkage` and `found`."""

    key: CommandKey
    sku: Sku
    location: Location
    units: int
    figure: CountedFigure = CountedFigure.ON_HAND


class ReservationKind(StrEnum):
    """What units are set aside for."""

    HOLD = "hold"  # a checkout; it expires
    LOCK = "lock"  # the payment is authorised; until it ships
    ALLOCATION = "allocation"  # for one channel, or one wholesale order
    PENDING = "pending"  # sold elsewhere, payment not yet confirmed


class ClaimInto(StrEnum):
    """What a reservation becomes when its order is there."""

    COMMITTED = "committed"
    LOCK = "lock"


@dataclass(frozen=True, slots=True, order=True)
class OrderRef:
    """An order, by the name of who took it and the number they gave it."""

    channel: Channel
    order_id: str

    def __str__(self) -> str:
        return f"order {self.channel}/{self.order_id}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Demand:
    """Units of one SKU at one location."""

    sku: Sku
    location: Location
    units: int

    def __post_init__(self) -> None:
        _require_units(self.units, self.sku)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reserve:
    """Set units aside, all of them or none: available → reserved. A hold, and only a hold, ends after `ttl_s`."""

    key: CommandKey
    kind: ReservationKind
    lines: tuple[Demand, ...]
    ttl_s: int | None = None
    holder: str = ""

    def __post_init__(self) -> None:
        if not 1 <= len(self.lines) <= RESERVE_LINES_MAX:
            raise MalformedError(f"a reservation has {len(self.lines)} lines; it must have 1 to {RESERVE_LINES_MAX}")
        if (self.kind is ReservationKind.HOLD) is not (self.ttl_s is not None):
            raise MalformedError(f"a hold needs ttl_s, and nothing else has one: this is a {self.kind}")
        if self.ttl_s is not None:
            _require_ttl(self.ttl_s)


@dataclass(frozen=True, slots=True, kw_only=True)
class Extend:
    """A hold lasts `ttl_s` from now, or as long as it did if that is longer."""

    key: CommandKey
    reservation_id: UUID
    ttl_s: int

    def __post_init__(self) -> None:
        _require_ttl(self.ttl_s)


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """The order is there: reserved → committed for this order, or the reservation becomes a lock for it."""

    key: CommandKey
    reservation_id: UUID
    order: OrderRef
    into: ClaimInto = ClaimInto.COMMITTED


@dataclass(frozen=True, slots=True, kw_only=True)
class Release:
    """The reservation is not needed any more: reserved → available."""

    key: CommandKey
    reservation_id: UUID


Command = Receive | Adjust | Count | Reserve | Extend | Claim | Release


def _require_units(units: int, sku: Sku) -> None:
    if not 1 <= units <= UNITS_MAX:
        raise MalformedError(f"{sku}: {units} units; it must be 1 to {UNITS_MAX}")


def _require_ttl(ttl_s: int) -> None:
    if not 1 <= ttl_s <= TTL_S_MAX:
        raise MalformedError(f"ttl_s is {ttl_s}; a hold lasts 1 to {TTL_S_MAX} seconds")
