"""What a listing should show: the derivation from the ledger to one figure, step by step."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from oneshelf.domain.identity import UNITS_MAX, Location


@dataclass(frozen=True, slots=True, kw_only=True)
class Derivation:
    """Why a listing shows what it shows: every figure between the shelf and the channel, in base units.

    `in_suspense`: units that a channel no longer shows, for which an order may still come.
    `ledger_versions`: location -> version of the balance that was read. `suspense_version`: how often the units in
    suspense changed.
    """

    available: Mapping[Location, int]
    ledger_versions: Mapping[Location, int]
    in_suspense: int
    suspense_version: int
    available_to_sell: int
    pack_units: int
    units: int

    @property
    def version(self) -> int:
        """The SKU's version: it grows with every movement at any of its locations and every change in suspense."""
        return sum(self.ledger_versions.values()) + self.suspense_version


def derive(
    *,
    available: Mapping[Location, int],
    ledger_versions: Mapping[Location, int],
    in_suspense: int,
    suspense_version: int,
    pack_units: int,
) -> Derivation:
    """Available to sell, per location clamped at zero before summing, less the units in suspense, in whole packs."""
    available_to_sell = max(0, sum(max(0, units) for units in available.values()) - in_suspense)
    return Derivation(
        available=dict(available),
        ledger_versions=dict(ledger_versions),
        in_suspense=in_suspense,
        suspense_version=suspense_version,
        available_to_sell=available_to_sell,
        pack_units=pack_units,
        units=min(UNITS_MAX, available_to_sell // pack_units),
    )
