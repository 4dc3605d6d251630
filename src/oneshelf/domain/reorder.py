"""When a SKU is low: a rule for it, for its group or for all, in units or in days of what it sells."""

from __future__ import annotations

from dataclasses import dataclass

from oneshelf.domain.identity import UNITS_MAX, Sku
from oneshelf.errors import MalformedError

COVER_DAYS_MAX = 365
# A SKU that is low is low until so much more than its reorder point is there, and one unit at least: one sale and one
# return around the point are one alert.
CLEARED_AT = 1.25


@dataclass(frozen=True, slots=True, kw_only=True)
class ReorderScope:
    """What a rule is for; neither named: every SKU. The narrowest rule holds, alone."""

    sku: Sku | None = None
    sku_group: str | None = None

    def __post_init__(self) -> None:
        if self.sku is not None and self.sku_group is not None:
            raise MalformedError("a rule is for a SKU or for a group, not for both; write two rules")


@dataclass(frozen=True, slots=True, kw_only=True)
class ReorderRule:
    """The reorder point: so many `units`, or what is sold in `cover_days` at the rate of the last week."""

    units: int | None = None
    cover_days: int | None = None

    def __post_init__(self) -> None:
        if (self.units is None) is (self.cover_days is None):
            raise MalformedError("say units or cover_days, one of them: at what the SKU is low")
        if self.units is not None and not 0 <= self.units <= UNITS_MAX:
            raise MalformedError(f"units is {self.units}; it must be 0 to {UNITS_MAX}")
        if self.cover_days is not None and not 1 <= self.cover_days <= COVER_DAYS_MAX:
            raise MalformedError(f"cover_days is {self.cover_days}; it must be 1 to {COVER_DAYS_MAX}")
