"""What a listing should show: the derivation from the ledger to one figure, step by step."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from oneshelf.domain.identity import Location


@dataclass(frozen=True, slots=True, kw_only=True)
class Derivation:
    """Why a listing shows what it shows: every figure between the shelf and the channel, in base units.

    `ledger_versions`: location -> version of the balance that was read.
    """

    available: Mapping[Location, int]
    ledger_versions: Mapping[Location, int]
    available_to_sell: int
    pack_units: int
    units: int

    @property
    def version(self) -> int:
        """The SKU's version: it grows with every movement at any of its locations."""
        return sum(self.ledger_versions.values())


def derive(
    *, available: Mapping[Location, int], ledger_versions: Mapping[Location, int], pack_units: int
) -> Derivation:
    """Available to sell, per location clamped at zero before summing, in whole packs rounded down."""
    available_to_sell = sum(max(0, units) for units in available.values())
    return Derivation(
        available=dict(available),
        ledger_versions=dict(ledger_versions),
        available_to_sell=available_to_sell,
        pack_units=pack_units,
        units=available_to_sell // pack_units,
    )
