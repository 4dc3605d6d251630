"""Bundles: sold as one, counted as their components, never stocked themselves.

Components that are put together beforehand and lie on the shelf as one thing are a kit, see `domain.kit`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import assert_never

from oneshelf.domain.command import Component, require_components
from oneshelf.domain.identity import Sku
from oneshelf.domain.outcome import UnknownSku

Bundles = Mapping[Sku, tuple[Component, ...]]


@dataclass(frozen=True, slots=True, kw_only=True)
class BundleWish:
    """A SKU to be sold as these components from now on. Order lines posted before keep what they were posted to."""

    sku: Sku
    components: tuple[Component, ...]

    def __post_init__(self) -> None:
        require_components("bundle", self.sku, self.components)


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """What is known of the SKUs that a wish names, while nobody can change it.

    `bundles`: those of them that are bundles; `used_by`: bundles of which its SKU is a component; `has_history`:
    whether units of its SKU have ever moved or been promised, or the recipe of a kit names it.
    """

    skus: Collection[Sku]
    bundles: Collection[Sku]
    used_by: Collection[Sku]
    has_history: bool


@dataclass(frozen=True, slots=True)
class Defined:
    """Done: the SKU is this bundle."""

    sku: Sku


@dataclass(frozen=True, slots=True)
class BundleOfBundles:
    """Not done: `inner` is a bundle, and `outer` would contain it."""

    outer: Sku
    inner: Sku


@dataclass(frozen=True, slots=True)
class HasHistory:
    """Not done: units of this SKU have moved, or a kit is made of it, so it is counted itself."""

    sku: Sku


BundleRefusal = UnknownSku | BundleOfBundles | HasHistory


def may_define(wish: BundleWish, standing: Standing) -> Defined | BundleRefusal:
    """Whether this SKU may be, or go on being, a bundle of these components."""
    for sku in (wish.sku, *(component.sku for component in wish.components)):
        if sku not in standing.skus:
            return UnknownSku(sku)
    for component in wish.components:
        if component.sku in standing.bundles:
            return BundleOfBundles(wish.sku, component.sku)
    for outer in sorted(standing.used_by):
        return BundleOfBundles(outer, wish.sku)
    return HasHistory(wish.sku) if standing.has_history else Defined(wish.sku)


def definition_in_words(outcome: Defined | BundleRefusal) -> str:
    """The outcome as one sentence for a person."""
    match outcome:
        case Defined(sku):
            return f"{sku} is a bundle now; its listings show what its components allow"
        case BundleOfBundles(outer, inner):
            return f"refused: {inner} is a bundle, and {outer} may contain only what is counted; name its components"
        case HasHistory(sku):
            return (
                f"refused: units of {sku} have moved or been promised, or the recipe of a kit names it, so it is "
                "counted itself. Name a new SKU for the bundle and link its listings to that"
            )
        case UnknownSku(sku):
            return f"refused: no SKU {sku}. Way out: oneshelf stock add-sku {sku}"
        case _:
            assert_never(outcome)


def named(components: Iterable[Component]) -> str:
    """The SKUs of components, for a sentence."""
    return ", ".join(sorted(component.sku for component in components))


def exploded(bundles: Bundles, sku: Sku, units: int) -> Iterable[tuple[Sku, int]]:
    """The units that are counted for `units` of what is sold: of itself, or of its components."""
    parts = bundles.get(sku)
    return [(sku, units)] if parts is None else [(part.sku, part.units * units) for part in parts]
