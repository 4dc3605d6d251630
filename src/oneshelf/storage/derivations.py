"""Derivations as they lie in `publications`: written with each figure, and read again to explain or recompute it."""

from __future__ import annotations

from typing import Any

import msgspec

from oneshelf.domain.availability import ComponentFigure, Derivation
from oneshelf.domain.identity import Location, Sku
from oneshelf.domain.ledger import BackorderKind
from oneshelf.domain.policy import NO_POLICY, policy_from
from oneshelf.domain.terms import NOTHING_BEYOND, Beyond, Conditions, PoolLimit, Step


def document(derivation: Derivation) -> dict[str, Any]:
    """All that the figure follows from. What no rule, backorder or allocation changes is left out."""
    found: dict[str, Any] = {
        "available": dict(derivation.available),
        "ledger_versions": dict(derivation.ledger_versions),
        "in_suspense": derivation.in_suspense,
        "suspense_version": derivation.suspense_version,
        "available_to_sell": derivation.available_to_sell,
        "pack_units": derivation.pack_units,
    }
    if derivation.components:
        found["components"] = [_component(one) for one in derivation.components]
    given = derivation.conditions
    if given.policy is not NO_POLICY and given.policy != NO_POLICY:
        found["policy"] = {"stated": given.policy.stated(), "said_by": dict(given.policy.said_by)}
    if given.beyond.units:
        found["beyond"] = {"units": given.beyond.units, "kind": given.beyond.kind.value}
    if given.computed_buffer_units:
        found["computed_buffer_units"] = given.computed_buffer_units
    if given.allocated_elsewhere:
        found["allocated_elsewhere"] = given.allocated_elsewhere
    if given.pool is not None:
        found["pool"] = [given.pool.units, given.pool.words, given.pool.rule]
    if derivation.guarded_from is not None:
        found["guarded_from"] = derivation.guarded_from
    if derivation.steps:
        found["steps"] = [[step.name, step.before, step.after, step.rule] for step in derivation.steps]
    return found


def written(derivation: Derivation) -> str:
    """The document as it is stored."""
    return msgspec.json.encode(document(derivation)).decode()


def _component(one: ComponentFigure) -> dict[str, Any]:
    figure = {name: value for name, value in document(one.figure).items() if name != "steps"}
    return {"sku": one.sku, "bundle_units": one.bundle_units, "bundles": one.bundles, **figure}


def derivation_from(stored: dict[str, Any], *, units: int, version: int) -> Derivation:
    """The derivation of a publication of `units` and `version`, also one of before there were policies."""
    return Derivation(
        available={Location(place): there for place, there in stored["available"].items()},
        ledger_versions={Location(place): number for place, number in stored["ledger_versions"].items()},
        in_suspense=stored["in_suspense"],
        suspense_version=stored.get("suspense_version", 0),
        available_to_sell=stored["available_to_sell"],
        pack_units=stored["pack_units"],
        units=units,
        version=version,
        components=tuple(_component_from(one) for one in stored.get("components", ())),
        guarded_from=stored.get("guarded_from"),
        conditions=_conditions_from(stored),
        steps=tuple(Step(*step) for step in stored.get("steps", ())),
    )


def _conditions_from(stored: dict[str, Any]) -> Conditions:
    policy, beyond = stored.get("policy"), stored.get("beyond")
    return Conditions(
        policy=policy_from(policy["stated"], policy["said_by"]) if policy else NO_POLICY,
        beyond=Beyond(beyond["units"], BackorderKind(beyond["kind"])) if beyond else NOTHING_BEYOND,
        computed_buffer_units=stored.get("computed_buffer_units", 0),
        allocated_elsewhere=stored.get("allocated_elsewhere", 0),
        pool=PoolLimit(*stored["pool"]) if "pool" in stored else None,
    )


def _component_from(stored: dict[str, Any]) -> ComponentFigure:
    return ComponentFigure(
        sku=Sku(stored["sku"]),
        bundle_units=stored["bundle_units"],
        bundles=stored["bundles"],
        figure=derivation_from(stored, units=stored["available_to_sell"], version=0),
    )
