"""What a listing should show: the derivation from the ledger to one figure, step by step."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from oneshelf.domain.command import Component
from oneshelf.domain.identity import Location, Sku
from oneshelf.domain.ledger import BackorderKind
from oneshelf.domain.terms import (
    NOTHING_BEYOND,
    UNCONDITIONAL,
    Beyond,
    Conditions,
    Offer,
    Step,
    shown,
    units_beyond,
    walk,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Derivation:
    """Why a listing shows what it shows: every figure between the shelf and the channel, in base units.

    `version` is the SKU's: it grows with every movement at any of its locations and every change in suspense.

    `in_suspense`: units that a channel no longer shows, for which an order may still come.
    `ledger_versions`: location -> version of the balance that was read. `suspense_version`: how often the units in
    suspense changed. Of a bundle, `components` says all that of each, and `available_to_sell` counts whole bundles.
    `guarded_from`: what it would show if what all listings may sell were not bounded by what is available.

    `steps` lead from what is available to sell to `units`, by the `conditions`, see `domain.terms`; there are none
    where the listing shows all of it. All that they follow from is here, so `recompute` gives the figure again.
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
    conditions: Conditions = UNCONDITIONAL
    steps: tuple[Step, ...] = ()

    @property
    def units_by_policy(self) -> int:
        """What it would show if what all listings may sell together were not bounded: what `recompute` gives again."""
        return self.units if self.guarded_from is None else self.guarded_from

    @property
    def units_beyond(self) -> int:
        """Units of the SKU that a floor shows beyond what is there and what the ledger may promise: its exposure."""
        return units_beyond(_offer(self), self.units)


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
    conditions: Conditions = UNCONDITIONAL,
) -> Derivation:
    """Available to sell, per location clamped at zero before summing, less the units in suspense, by the conditions.

    A preorder or a floor is shown of what was never counted too: its
    version is 1 then.
    """
    return _by_policy(
        Derivation(
            available=dict(available),
            ledger_versions=dict(ledger_versions),
            in_suspense=in_suspense,
            suspense_version=suspense_version,
            available_to_sell=max(0, sum(max(0, units) for units in available.values()) - in_suspense),
            pack_units=pack_units,
            units=0,
            version=sum(ledger_versions.values()) + suspense_version,
            conditions=conditions,
        )
    )


def derive_bundle(
    figures: Sequence[tuple[Component, Derivation]],
    *,
    pack_units: int,
    conditions: Conditions = UNCONDITIONAL,
) -> Derivation:
    """As many whole bundles as the scarcest component allows, by the conditions. Each figure is of single units.

    What may be promised beyond the shelf is told by the components. The version is the sum of theirs; of another
    definition it may be less than before, see `at_least`.
    """
    components = tuple(
        ComponentFigure(
            sku=part.sku, bundle_units=part.units, bundles=figure.available_to_sell // part.units, figure=figure
        )
        for part, figure in figures
    )
    whole = min(component.bundles for component in components)
    return _by_policy(
        Derivation(
            available={},
            ledger_versions={},
            in_suspense=0,
            suspense_version=0,
            available_to_sell=whole,
            pack_units=pack_units,
            units=0,
            version=sum(component.figure.version for component in components),
            components=components,
            conditions=replace(conditions, beyond=_bundles_beyond(components, whole)),
        )
    )


def recompute(derivation: Derivation) -> int:
    """`units_by_policy` once more, from nothing but what the derivation says it was derived from."""
    if not derivation.components:
        return derive(
            available=derivation.available,
            ledger_versions=derivation.ledger_versions,
            in_suspense=derivation.in_suspense,
            suspense_version=derivation.suspense_version,
            pack_units=derivation.pack_units,
            conditions=derivation.conditions,
        ).units
    figures = [
        (
            Component(sku=part.sku, units=part.bundle_units),
            derive(
                available=part.figure.available,
                ledger_versions=part.figure.ledger_versions,
                in_suspense=part.figure.in_suspense,
                suspense_version=part.figure.suspense_version,
                pack_units=1,
                conditions=part.figure.conditions,
            ),
        )
        for part in derivation.components
    ]
    return derive_bundle(figures, pack_units=derivation.pack_units, conditions=derivation.conditions).units


# Why a listing of such a SKU shows nothing, whatever is there.
FROZEN = "frozen: sold nowhere until another mode is set"


def bounded(derivation: Derivation, units: int, *, kept_for_tills: int = 0, is_frozen: bool = False) -> Derivation:
    """The same, bounded to this listing's part of what all listings of its SKUs may sell together.

    `kept_for_tills`: units of each SKU that no listing may sell, since a till there may sell them unseen. `is_frozen`:
    a SKU of it is sold nowhere.
    """
    kept = f", {kept_for_tills} kept back for tills that may sell unseen" if kept_for_tills else ""
    words = FROZEN if is_frozen else f"guarded: its part of what all listings may sell{kept}"
    bound = Step(words, derivation.units, units)
    steps = derivation.steps if units == derivation.units else (*derivation.steps, bound)
    return replace(derivation, units=units, guarded_from=derivation.units, steps=steps)


def at_least(derivation: Derivation, version: int) -> Derivation:
    """The same figure under this version, if its own is older: a listing's versions only grow."""
    return derivation if derivation.version >= version else replace(derivation, version=version)


def _offer(derivation: Derivation) -> Offer:
    given = derivation.conditions
    return Offer(
        available_to_sell=derivation.available_to_sell,
        pack_units=derivation.pack_units,
        policy=given.policy,
        beyond=given.beyond,
        computed_buffer_units=given.computed_buffer_units,
        allocated_elsewhere=given.allocated_elsewhere,
        pool=given.pool,
    )


def _by_policy(derivation: Derivation) -> Derivation:
    offer = _offer(derivation)
    steps = walk(offer)
    units = shown(offer, steps)
    version = max(1, derivation.version) if units else derivation.version
    return replace(derivation, units=units, steps=steps, version=version)


def _bundles_beyond(components: Sequence[ComponentFigure], whole: int) -> Beyond:
    """How many more bundles could be promised beyond those that are there: a preorder if one component is."""
    some = [component.figure.conditions.beyond for component in components if component.figure.conditions.beyond.units]
    if not some:
        return NOTHING_BEYOND
    promised = min(
        (component.figure.available_to_sell + component.figure.conditions.beyond.units) // component.bundle_units
        for component in components
    )
    is_preorder = any(beyond.kind is BackorderKind.PREORDER for beyond in some)
    return Beyond(promised - whole, BackorderKind.PREORDER if is_preorder else BackorderKind.BACKORDER)
