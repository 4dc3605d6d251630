"""What the warehouse asks of the ledger beside `domain.command`: announced deliveries, and units that are thrown away.

As there, the fields are part of the fingerprint that is kept with the key.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from typing import TYPE_CHECKING

from oneshelf.domain.account import Outside, StockState
from oneshelf.domain.identity import Location, Sku, units_from
from oneshelf.errors import MalformedError

if TYPE_CHECKING:
    from oneshelf.domain.command import CommandKey

TOLERANCE_PERCENT_MAX = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Announce:
    """A supplier announces units of a SKU under the number of a shipment: supplier → incoming.

    `tolerance_percent`: so much more than announced is taken without asking; what comes beyond it waits for a person.
    """

    key: CommandKey
    shipment_id: str
    sku: Sku
    location: Location
    units: int
    expected_on: date
    tolerance_percent: int = 0

    def __post_init__(self) -> None:
        units_from(self.units, what="units", least=1)
        if not 0 <= self.tolerance_percent <= TOLERANCE_PERCENT_MAX:
            raise MalformedError(
                f"tolerance_percent is {self.tolerance_percent}; it must be 0 to {TOLERANCE_PERCENT_MAX}"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class Unload:
    """Units of a shipment are there: incoming → available. More than announced comes from the supplier as well."""

    key: CommandKey
    shipment_id: str
    sku: Sku
    units: int
    happened_at: datetime | None = None

    def __post_init__(self) -> None:
        units_from(self.units, what="units", least=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class CloseShipment:
    """Nothing more comes of this SKU of a shipment: what is still incoming goes back to the supplier."""

    key: CommandKey
    shipment_id: str
    sku: Sku
    reason: str

    def __post_init__(self) -> None:
        if not self.reason:
            raise MalformedError("say the reason for which a shipment is closed, such as: sold out at the supplier")


class OverInto(StrEnum):
    """What a person does with units beyond the tolerance of a shipment, which wait in quality control."""

    AVAILABLE = "available"
    DAMAGED = "damaged"
    SENT_BACK = "sent_back"  # to the supplier
    SETTLED = "settled"  # somebody has moved them by hand: nothing moves now

    @property
    def account_name(self) -> StockState | Outside | None:
        """Where they go; None: nowhere."""
        if self is OverInto.SETTLED:
            return None
        return Outside.SUPPLIER if self is OverInto.SENT_BACK else StockState(self.value)


@dataclass(frozen=True, slots=True, kw_only=True)
class SettleOver:
    """A person has looked at units that came beyond the tolerance of a shipment: quality control → `into`."""

    key: CommandKey
    shipment_id: str
    sku: Sku
    units: int
    into: OverInto

    def __post_init__(self) -> None:
        units_from(self.units, what="units", least=1)


# Where units are that nobody waits for, and that may be thrown away as they are.
WRITE_OFF_STATES = (StockState.DAMAGED, StockState.QUALITY_CONTROL, StockState.SAFETY_STOCK, StockState.AVAILABLE)


@dataclass(frozen=True, slots=True, kw_only=True)
class WriteOff:
    """Units are thrown away, or lost, as they lie in one state: damaged, quality control … → shrinkage."""

    key: CommandKey
    sku: Sku
    location: Location
    units: int
    origin: StockState
    reason: str = ""

    def __post_init__(self) -> None:
        units_from(self.units, what="units", least=1)
        if self.origin not in WRITE_OFF_STATES:
            raise MalformedError(
                f"units that are {self.origin} belong to somebody, or are not there; what may be written off is "
                f"{', '.join(WRITE_OFF_STATES)}"
            )


ShipmentCommand = Announce | Unload | CloseShipment | SettleOver
