"""What people and programs ask of the ledger. What it answers is in `domain.outcome`.

The fields of a command are part of the fingerprint that is kept with its key for ever: a new field makes old keys look
reused, so a new wish is a new command.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID

import msgspec

from oneshelf.domain.account import Outside, StockState
from oneshelf.domain.identity import UNITS_MAX, Channel, Location, Sku
from oneshelf.domain.warehouse_command import ShipmentCommand, Unload, WriteOff
from oneshelf.errors import MalformedError

KEY_LENGTH_MAX = 255
TTL_S_MAX = 7 * 86_400
RESERVE_LINES_MAX = 200
COMPONENTS_MAX = 200
# By how much the clock of whoever tells an instant may differ from ours, unless they say it themselves.
CLOCK_ERROR_S = 5
CLOCK_ERROR_S_MAX = 86_400


class CommandKey(msgspec.Struct, frozen=True, kw_only=True):
    """Makes a command happen once: `scope` is who numbers, `key` is the number they gave it."""

    scope: str
    key: str

    def __post_init__(self) -> None:
        is_visible = self.key.isascii() and self.key.isprintable() and " " not in self.key
        if not 1 <= len(self.key) <= KEY_LENGTH_MAX or not is_visible:
            raise MalformedError(f"an idempotency key is 1 to {KEY_LENGTH_MAX} visible ASCII characters")

    def __str__(self) -> str:
        return f"{self.scope} {self.key}"


class CountedFigure(StrEnum):
    """What a counted number says. A difference is no count: that is `Adjust`."""

    ON_HAND = "on_hand"  # everything that lies there, whoever it is promised to, damaged or not
    UNSHIPPED = "unshipped"  # what is fit for sale and has not shipped: on hand without damaged and quality control
    AVAILABLE = "available"  # what is free to sell: promised to nobody, not set aside


@dataclass(frozen=True, slots=True, kw_only=True)
class Receive:
    """Goods came in: supplier → available."""

    key: CommandKey
    sku: Sku
    location: Location
    units: int
    happened_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Adjust:
    """Somebody corrects the available units by a difference: found → available, or available → shrinkage."""

    key: CommandKey
    sku: Sku
    location: Location
    delta_units: int
    reason: str = ""
    happened_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Adopt:
    """A channel is right about what is free: the ledger takes the difference, as it takes that of a count.

    It is not refused for what it finds: where fewer are free than went, the latest promises are short.
    """

    key: CommandKey
    sku: Sku
    location: Location
    delta_units: int
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Count:
    """Somebody counted. The difference to the ledger goes to or comes from `shrinkage` and `found`.

    No count is refused for what it finds: if less lies there than is promised, the latest promises are short.

    It replaces what it had seen and nothing else: all that happened before it began (`token`, given at its beginning),
    or before `as_of` on a clock that may be wrong by `error_s`. With neither it was taken at this instant.
    """

    key: CommandKey
    sku: Sku
    location: Location
    units: int
    figure: CountedFigure = CountedFigure.ON_HAND
    token: UUID | None = None
    as_of: datetime | None = None
    error_s: int | None = None

    def __post_init__(self) -> None:
        if self.token is not None and self.as_of is not None:
            raise MalformedError("a count has a token or an as_of, not both: they say the same in two ways")
        if self.error_s is not None and self.as_of is None:
            raise MalformedError("error_s is the error of the clock behind as_of, and there is no as_of")
        if self.error_s is not None and not 0 <= self.error_s <= CLOCK_ERROR_S_MAX:
            raise MalformedError(f"error_s is {self.error_s}; it must be 0 to {CLOCK_ERROR_S_MAX} seconds")


# Between these, a person may move units. What is committed or reserved belongs to an order or a reservation.
MOVABLE_STATES = (StockState.AVAILABLE, StockState.DAMAGED, StockState.QUALITY_CONTROL, StockState.SAFETY_STOCK)


@dataclass(frozen=True, slots=True, kw_only=True)
class Move:
    """Units change their state where they lie; announced ones arrive by moving from incoming."""

    key: CommandKey
    sku: Sku
    location: Location
    units: int
    origin: StockState
    target: StockState
    happened_at: datetime | None = None

    def __post_init__(self) -> None:
        _require_units(self.units, self.sku)
        if self.origin not in (*MOVABLE_STATES, StockState.INCOMING) or self.target not in MOVABLE_STATES:
            raise MalformedError(f"units do not move from {self.origin} to {self.target} by hand")
        if self.origin is self.target:
            raise MalformedError(f"a move from {self.origin} to {self.target} changes nothing")


@dataclass(frozen=True, slots=True, kw_only=True)
class Expect:
    """A delivery is announced: supplier → incoming; a negative difference takes the announcement back."""

    key: CommandKey
    sku: Sku
    location: Location
    delta_units: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Dispatch:
    """Units leave one location for another: available → in transit."""

    key: CommandKey
    transfer_id: str
    sku: Sku
    origin: Location
    target: Location
    units: int
    happened_at: datetime | None = None

    def __post_init__(self) -> None:
        _require_units(self.units, self.sku)
        if self.origin == self.target:
            raise MalformedError(f"a transfer from {self.origin} to {self.target} goes nowhere")


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrive:
    """Units of a transfer are there: in transit → available. `is_last`: whatever has not come now is lost."""

    key: CommandKey
    transfer_id: str
    sku: Sku
    units: int
    is_last: bool = True
    happened_at: datetime | None = None


class ReturnInto(StrEnum):
    """Where units that come back from a customer go."""

    AVAILABLE = "available"
    QUALITY_CONTROL = "quality_control"
    DAMAGED = "damaged"
    WRITTEN_OFF = "written_off"

    @property
    def account_name(self) -> StockState | Outside:
        return Outside.SHRINKAGE if self is ReturnInto.WRITTEN_OFF else StockState(self.value)


@dataclass(frozen=True, slots=True, order=True)
class OrderRef:
    """An order, by the name of who took it and the number they gave it."""

    channel: Channel
    order_id: str

    def __str__(self) -> str:
        return f"order {self.channel}/{self.order_id}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Return:
    """Shipped units came back to `location`, each once. `line_id`: of this line; empty: of any line of the order."""

    key: CommandKey
    order: OrderRef
    sku: Sku
    location: Location
    units: int
    into: ReturnInto
    line_id: str = ""
    happened_at: datetime | None = None

    def __post_init__(self) -> None:
        _require_units(self.units, self.sku)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ship:
    """Units of a claimed order left for the customer. Of an order of a channel, the channel tells that itself."""

    key: CommandKey
    order: OrderRef
    sku: Sku
    location: Location
    units: int
    happened_at: datetime | None = None

    def __post_init__(self) -> None:
        _require_units(self.units, self.sku)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cancel:
    """Units of a claimed order will not ship: committed → available."""

    key: CommandKey
    order: OrderRef
    sku: Sku
    location: Location
    units: int

    def __post_init__(self) -> None:
        _require_units(self.units, self.sku)


@dataclass(frozen=True, slots=True, kw_only=True)
class Component:
    """How many units of a SKU one kit or bundle takes."""

    sku: Sku
    units: int

    def __post_init__(self) -> None:
        _require_units(self.units, self.sku)


@dataclass(frozen=True, slots=True, kw_only=True)
class _OfKit:
    key: CommandKey
    sku: Sku
    location: Location
    units: int
    components: tuple[Component, ...] = ()

    def __post_init__(self) -> None:
        _require_units(self.units, self.sku)
        if self.components or isinstance(self, AssembleOtherwise | DisassembleOtherwise):
            require_components("kit", self.sku, self.components)


class Assemble(_OfKit):
    """Kits are made of their components: available → assembly → available. None named: by the recipe that is kept."""


class Disassemble(_OfKit):
    """Kits are taken apart into their components. None named: by the recipe that is kept."""


class AssembleOtherwise(Assemble):
    """Kits are made of these components, whatever recipe is kept."""


class DisassembleOtherwise(Disassemble):
    """Kits are taken apart into these components, whatever recipe is kept."""


class ReservationKind(StrEnum):
    """What units are set aside for."""

    HOLD = "hold"  # a checkout; it expires
    LOCK = "lock"  # the payment is authorised; until it ships
    ALLOCATION = "allocation"  # for one channel, or one wholesale order, which may have a last day
    PENDING = "pending"  # sold elsewhere, payment not yet confirmed


class ClaimInto(StrEnum):
    """What a reservation becomes when its order is there."""

    COMMITTED = "committed"
    LOCK = "lock"


class Demand(msgspec.Struct, frozen=True, kw_only=True):
    """Units of one SKU at one location."""

    sku: Sku
    location: Location
    units: int

    def __post_init__(self) -> None:
        _require_units(self.units, self.sku)


class Reserve(msgspec.Struct, frozen=True, kw_only=True):
    """Set units aside: available → reserved. A hold, and only a hold, ends after `ttl_s`.

    All of them or none; with `allows_partial` what is there, line by line in the order given. A line may name a bundle.
    """

    key: CommandKey
    kind: ReservationKind
    lines: tuple[Demand, ...]
    ttl_s: int | None = None
    holder: str = ""
    allows_partial: bool = False

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


# What may be told late: `happened_at` is when it really happened, if that was not now. What a count had seen of it then
# does not change the count.
Dated = Receive | Adjust | Move | Dispatch | Arrive | Return | Ship | Unload
StockCommand = Receive | Adjust | Expect | Move | Assemble | Disassemble | WriteOff
ReservationCommand = Reserve | Extend | Claim | Release
TransferCommand = Dispatch | Arrive
OrderCommand = Return | Ship | Cancel
Command = StockCommand | Adopt | Count | ReservationCommand | TransferCommand | OrderCommand | ShipmentCommand


def _require_units(units: int, sku: Sku) -> None:
    if not 1 <= units <= UNITS_MAX:
        raise MalformedError(f"{sku}: {units} units; it must be 1 to {UNITS_MAX}")


def _require_ttl(ttl_s: int) -> None:
    if not 1 <= ttl_s <= TTL_S_MAX:
        raise MalformedError(f"ttl_s is {ttl_s}; a hold lasts 1 to {TTL_S_MAX} seconds")


def require_components(kind: str, whole: Sku, components: tuple[Component, ...]) -> None:
    """Raise MalformedError unless these can make up a kit or a bundle, as `kind` says."""
    names = [component.sku for component in components]
    if not 1 <= len(names) <= COMPONENTS_MAX:
        raise MalformedError(f"{kind} {whole} has {len(names)} components; it must have 1 to {COMPONENTS_MAX}")
    if whole in names or len(set(names)) != len(names):
        raise MalformedError(f"{kind} {whole} names a component twice, or itself")
