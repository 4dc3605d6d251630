"""What the API answers about policies, and why a listing shows its figure. The command line prints the same as JSON."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from pydantic import BaseModel, ConfigDict

from oneshelf.domain.account import StockState
from oneshelf.domain.availability import Derivation
from oneshelf.domain.ledger import Balance
from oneshelf.domain.policy import LOW, Rule
from oneshelf.domain.terms import Step
from oneshelf.flow.explain import Explanation
from oneshelf.flow.preview import Preview
from oneshelf.storage.policies import ChangeRow, PolicyRow
from oneshelf.web.outputs import BalanceOut, DriftOut, drift_out

Stated = dict[str, int | bool]


class _Output(BaseModel):
    model_config = ConfigDict(from_attributes=True, frozen=True)


class PolicyOut(_Output):
    """What is stated for a scope. `set_at`, `set_by`: its last change."""

    sku: str | None
    sku_group: str | None
    channel: str | None
    terms: Stated
    low: Stated
    set_at: datetime | None = None
    set_by: str | None = None


class PoliciesOut(_Output):
    """By channel, group and SKU; rules for all channels first."""

    policies: list[PolicyOut]
    next: str | None


class RuledOut(_Output):
    """The rule as it holds now, and how many listings are in its scope."""

    policy: PolicyOut
    listing_count: int


class EndedOut(_Output):
    """The rule that has ended; null: there was none."""

    ended: PolicyOut | None


class GroupedOut(_Output):
    sku: str
    sku_group: str | None


class PolicyChangeOut(_Output):
    """What was stated before and after; of a SKU's group `{"sku_group": …}`."""

    change_id: int
    changed_at: datetime
    actor: str
    sku: str | None
    sku_group: str | None
    channel: str | None
    pattern: str | None
    before: dict[str, int | bool | str]
    after: dict[str, int | bool | str]


class PolicyChangesOut(_Output):
    """The newest first."""

    changes: list[PolicyChangeOut]
    next: str | None


class StepOut(_Output):
    """One step from what is available to sell to the figure. `rule`: which rule says so; "" for what always holds."""

    name: str
    before: int
    after: int
    rule: str


class EffectOut(_Output):
    """What a listing shows by the rules as they are, and what it would. `is_in_scope`: false for another listing of the
    SKU that changes because of what is set aside. `units_beyond`: of the SKU, what a floor would show beyond the shelf.
    """

    channel: str
    channel_sku: str
    sku: str
    now_units: int
    would_units: int
    units_beyond: int
    steps: list[StepOut]
    is_in_scope: bool


class WholesaleEffectOut(_Output):
    """How many units of a SKU at a location wholesale may take more, now and by this rule."""

    sku: str
    location: str
    available: int
    allocated: int
    now_units: int
    would_units: int


class PreviewOut(_Output):
    """Nothing of this is saved. `rest_count`: listings in the scope after this page; `next`: where they begin.
    `wholesale`: of a rule that says what wholesale may take, as many balances."""

    policy: PolicyOut
    effects: list[EffectOut]
    rest_count: int
    next: str | None
    wholesale: list[WholesaleEffectOut]


class ShelfOut(BalanceOut):
    """A SKU that the listing sells, at one location. `feeds`: the listing is given these. `version`: of the ledger."""

    sku: str
    feeds: bool


class PartOut(_Output):
    """A component: how many are in one bundle, what is available of it to sell, and how many bundles that allows."""

    sku: str
    bundle_units: int
    in_suspense: int
    available_to_sell: int
    bundles: int


class DerivedOut(_Output):
    """From what is available to sell to the figure. Units are the SKU's (whole bundles of a bundle) until the packs.

    `units_beyond`: units of the SKU that a floor shows beyond the shelf and beyond what the ledger may promise.
    """

    at: datetime
    available: dict[str, int]
    ledger_versions: dict[str, int]
    in_suspense: int
    components: list[PartOut]
    available_to_sell: int
    may_be_promised_beyond: int
    pack_units: int
    steps: list[StepOut]
    units: int
    units_beyond: int


class ReachedOut(_Output):
    """desired, sent, accepted or verified: units of the listing, the plan they belong to, and since when."""

    name: str
    units: int | None
    version: int | None
    at: datetime | None
    age_s: float | None


class ExplanationOut(_Output):
    """Why a listing shows what it shows at an instant. Without a `sku` it is not linked, or nothing was published yet.

    `derived` is how the figure follows now; of a past instant, as it was stored with the figure. `is_plan_due`: what is
    desired is not that yet, planning it takes a moment. `issues`: what the channel itself says is wrong with the
    listing now; empty where nothing is, where it does not tell, and for a past instant.
    """

    channel: str
    channel_sku: str
    merchant_sku: str
    title: str
    at: datetime
    is_past: bool
    sku: str | None
    state: str
    shelves: list[ShelfOut]
    derived: DerivedOut | None
    is_plan_due: bool
    figures: list[ReachedOut]
    drift: DriftOut | None
    issues: str


def policy_out(rule: Rule, row: PolicyRow | None = None) -> PolicyOut:
    """A rule; with its row also who set it and when."""
    stated = rule.stated()
    return PolicyOut(
        sku=rule.scope.sku,
        sku_group=rule.scope.sku_group,
        channel=rule.scope.channel,
        terms={name: value for name, value in stated.items() if not name.startswith(LOW)},
        low={name.removeprefix(LOW): value for name, value in stated.items() if name.startswith(LOW)},
        set_at=row and row.set_at,
        set_by=row and row.set_by,
    )


_NAMED = frozenset({"sku", "sku_group", "channel", "pattern"})


def change_out(row: ChangeRow) -> PolicyChangeOut:
    """A line of the history."""
    named = {name: value or None for name, value in row._asdict().items() if name in _NAMED}
    return PolicyChangeOut.model_validate({**row._asdict(), **named})


def preview_out(wished: Preview) -> PreviewOut:
    """What a rule would do."""
    return PreviewOut(
        policy=policy_out(wished.rule),
        effects=[EffectOut.model_validate(effect) for effect in wished.effects],
        rest_count=wished.rest_count,
        next="/".join(wished.next_key) if wished.next_key else None,
        wholesale=[WholesaleEffectOut.model_validate(effect) for effect in wished.wholesale],
    )


def explanation_out(told: Explanation) -> ExplanationOut:
    """An explanation, with ages at its instant."""
    derived = told.derivation
    feeding = {place for one in _shelves_of(derived) for place in one.available} if derived else set()
    return ExplanationOut(
        channel=told.channel,
        channel_sku=told.channel_sku,
        merchant_sku=told.merchant_sku,
        title=told.title,
        at=told.at,
        is_past=told.is_past,
        sku=told.sku,
        state=told.state,
        shelves=[
            _shelf_out(sku, place, balance, feeds=place in feeding)
            for sku, by_place in sorted(told.shelves.items())
            for place, balance in sorted(by_place.items())
        ],
        derived=_derived_out(derived, told.derived_at) if derived and told.derived_at else None,
        is_plan_due=told.is_plan_due,
        figures=[
            ReachedOut(
                name=figure.name,
                units=figure.units,
                version=figure.version,
                at=figure.at,
                age_s=(told.at - figure.at).total_seconds() if figure.at else None,
            )
            for figure in told.figures
        ],
        drift=drift_out(told.drift, now=told.at) if told.drift else None,
        issues=told.issues,
    )


def _shelves_of(derivation: Derivation) -> list[Derivation]:
    return [part.figure for part in derivation.components] or [derivation]


def _shelf_out(sku: str, place: str, balance: Balance, *, feeds: bool) -> ShelfOut:
    states: dict[str, Any] = {state.value: balance.units.get(state, 0) for state in StockState}
    return ShelfOut(sku=sku, location=place, feeds=feeds, on_hand=balance.on_hand, version=balance.version, **states)


def _derived_out(derivation: Derivation, at: datetime) -> DerivedOut:
    return DerivedOut(
        at=at,
        available={str(place): units for place, units in derivation.available.items()},
        ledger_versions={str(place): version for place, version in derivation.ledger_versions.items()},
        in_suspense=derivation.in_suspense,
        components=[
            PartOut(
                sku=part.sku,
                bundle_units=part.bundle_units,
                in_suspense=part.figure.in_suspense,
                available_to_sell=part.figure.available_to_sell,
                bundles=part.bundles,
            )
            for part in derivation.components
        ],
        available_to_sell=derivation.available_to_sell,
        may_be_promised_beyond=derivation.conditions.beyond.units,
        pack_units=derivation.pack_units,
        steps=[step_out(step) for step in derivation.steps],
        units=derivation.units,
        units_beyond=derivation.units_beyond,
    )


def step_out(step: Step) -> StepOut:
    """A step."""
    return StepOut(name=step.name, before=step.before, after=step.after, rule=step.rule)
