"""What a listing should show: the derivation from the ledger to one figure, step by step."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from oneshelf.domain.command import Component
from oneshelf.domain.identity import UNITS_MAX, Location, Sku


@dataclass(frozen=True, slots=True, kw_only=True)
class Derivation:
    """Why a listing shows what it shows: every figure between the shelf and the channel, in base units.

    `version` is the SKU's: it grows with every movement at any of its locations and every change in suspense.

    `in_suspense`: units that a channel no longer shows, for which an order may still come.
    `ledger_versions`: location -> version of the balance that was read. `suspense_version`: how often the units in
    suspense changed. Of a bundle, `components` says all that of each, and `available_to_sell` counts whole bundles.
    `guarded_from`: what it would show if what all listings may sell were not bounded by what is available.
    """

    available: Mapping[Location, int]
    ledger_versions: Mapping[Location, int]
    in_suspense: int
    suspense_version: int
    available_to_sell: int
    pack_units: int
    units: int
    version: int
    components: tuple[ComponentFigure, ...] = ()
    guarded_from: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ComponentFigure:
    """Of one component of a bundle: `bundle_units` are in one bundle, and what is free allows `bundles` of them."""

    sku: Sku
    bundle_units: int
    bundles: int
    figure: Derivation


def derive(
    *,
    available: Mapping[Location, int],
    ledger_versions: Mapping[Location, int],
    in_suspense: int,
    suspense_version: int,
    pack_units: int,
) -> Derivation:
    """Available to sell, per location clamped at zero before summing, less the units in suspense, in whole packs."""
    version = sum(ledger_versions.values()) + suspense_version
    available_to_sell = max(0, sum(max(0, units) for units in available.values()) - in_suspense)
    return Derivation(
        available=dict(available),
        ledger_versions=dict(ledger_versions),
        in_suspense=in_suspense,
        suspense_version=suspense_version,
        available_to_sell=available_to_sell,
        pack_units=pack_units,
        units=min(UNITS_MAX, available_to_sell // pack_units),
        version=version,
    )


def derive_bundle(figures: Sequence[tuple[Component, Derivation]], *, pack_units: int) -> Derivation:
    """As many whole bundles as the scarcest component allows, in whole packs. Each figure is of single units.

    The version is the sum of theirs; of another definition it may be less than before, see `at_least`.
    """
    components = tuple(
        ComponentFigure(
            sku=part.sku, bundle_units=part.units, bundles=figure.available_to_sell // part.units, figure=figure
        )
        for part, figure in figures
    )
    whole = min(component.bundles for component in components)
    return Derivation(
        available={},
        ledger_versions={},
        in_suspense=0,
        suspense_version=0,
        available_to_sell=whole,
        pack_units=pack_units,
        units=min(UNITS_MAX, whole // pack_units),
        version=sum(component.figure.version for component in components),
        components=components,
    )


def at_least(derivation: Derivation, version: int) -> Derivation:
    """The same figure under this version, if its own is older: a listing's versions only grow."""
    return derivation if derivation.version >= version else replace(derivation, version=version)
