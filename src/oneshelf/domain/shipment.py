"""One SKU of an announced delivery: how many units a supplier says will come, and what has become of them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime

from oneshelf.domain.identity import Location, Sku

ShipmentKey = tuple[Sku, str]


@dataclass(slots=True, kw_only=True)
class Shipment:
    """Announced units. It is open until somebody closes it: what comes after the last one is over.

    `units_received`: of those announced; `units_over`: taken beyond them; `units_held`: came beyond the tolerance and
    wait in quality control for a person; `units_sent_back`: of these, back to the supplier; `units_cancelled`: will
    never come.
    """

    sku: Sku
    shipment_id: str
    location: Location
    units_announced: int
    expected_on: date
    tolerance_percent: int
    created_at: datetime
    units_received: int = 0
    units_over: int = 0
    units_held: int = 0
    units_sent_back: int = 0
    units_cancelled: int = 0
    closed_at: datetime | None = None
    close_reason: str = ""

    @property
    def key(self) -> ShipmentKey:
        return (self.sku, self.shipment_id)

    @property
    def units_open(self) -> int:
        """Units that are still incoming for it."""
        return self.units_announced - self.units_received - self.units_cancelled

    @property
    def tolerance_units(self) -> int:
        """How many more than announced are taken without asking; rounded down."""
        return self.units_announced * self.tolerance_percent // 100

    @property
    def source(self) -> str:
        return f"shipment {self.shipment_id}"
