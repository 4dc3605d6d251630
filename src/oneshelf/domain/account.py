"""Where a unit can be: in one stock state at one location, or outside."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache

from oneshelf.domain.identity import Location


class StockState(StrEnum):
    """The states that a unit at a location is in, exactly one at a time. All but `incoming` are on hand."""

    AVAILABLE = "available"
    COMMITTED = "committed"
    RESERVED = "reserved"
    DAMAGED = "damaged"
    QUALITY_CONTROL = "quality_control"
    SAFETY_STOCK = "safety_stock"
    INCOMING = "incoming"

    # A balance is looked up by state some ten times for each command, and the hash of Enum is written in Python.
    __hash__ = str.__hash__


class Outside(StrEnum):
    """Where units come from and go to."""

    SUPPLIER = "supplier"
    CUSTOMER = "customer"
    SHRINKAGE = "shrinkage"
    FOUND = "found"
    IN_TRANSIT = "in_transit"
    ASSEMBLY = "assembly"  # components become kits here, and kits components


ON_HAND_STATES = tuple(state for state in StockState if state is not StockState.INCOMING)


@dataclass(frozen=True, slots=True, order=True)
class Account:
    """One side of a movement. Only a stock state has a location."""

    name: StockState | Outside
    location: Location | None = None

    def __post_init__(self) -> None:
        if (self.location is None) is not isinstance(self.name, Outside):
            raise ValueError(f"{self.name} {'needs' if self.location is None else 'has no'} location")


@lru_cache(maxsize=10_000)
def inside(state: StockState, location: Location) -> Account:
    """The account of a stock state at a location, made once."""
    return Account(state, location)
