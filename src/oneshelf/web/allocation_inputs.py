"""What the routes of allocation plans are sent. The plan itself is judged by `domain.allocation`."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field, PlainValidator, TypeAdapter, WithJsonSchema

from oneshelf.domain.allocation import PARTS_MAX, AllocationPlan, PoolKind, Refill, plan_of
from oneshelf.domain.identity import NAME_LENGTH_MAX, UNITS_MAX, Sku
from oneshelf.domain.policy import PERCENT_MAX, Scope
from oneshelf.errors import MalformedError
from oneshelf.web.fields import Input, SkuIn
from oneshelf.web.inputs import parsed
from oneshelf.web.policy_inputs import GroupIn, PatternIn, as_said

# Members that `domain.allocation` looks at, described here.
_Name = Annotated[
    Any,
    PlainValidator(as_said),
    WithJsonSchema({"type": "string", "minLength": 1, "maxLength": NAME_LENGTH_MAX}),
]
_Percent = Annotated[
    Any, PlainValidator(as_said), WithJsonSchema({"type": "integer", "minimum": 0, "maximum": PERCENT_MAX})
]
_Units = Annotated[
    Any, PlainValidator(as_said), WithJsonSchema({"type": "integer", "minimum": 0, "maximum": UNITS_MAX})
]
_Kind = Annotated[Any, PlainValidator(as_said), WithJsonSchema({"type": "string", "enum": list(PoolKind)})]
_Refill = Annotated[Any, PlainValidator(as_said), WithJsonSchema({"type": "string", "enum": list(Refill)})]
_Time = Annotated[Any, PlainValidator(as_said), WithJsonSchema({"type": "string", "minLength": 5, "maxLength": 5})]


class PoolIn(Input):
    """What a channel gets: `percent` of what fixed pools leave, or `units`. `soft`: it lends and borrows."""

    channel: _Name
    percent: _Percent = None
    units: _Units = None
    kind: _Kind = None


class PlanScopeIn(Input):
    """What an allocation plan is for: a SKU, a group or a pattern of SKUs. Nothing named: everything."""

    sku: SkuIn | None = None
    sku_group: GroupIn | None = None
    pattern: PatternIn | None = None


class AllocationIn(PlanScopeIn):
    """The allocation plan of a scope. What no pool takes is the rest: a buffer, or on sale at `overflow` too."""

    pools: Annotated[list[PoolIn], Field(min_length=1, max_length=PARTS_MAX)]
    overflow: Annotated[_Name, Field(description="A channel with a pool that sells the rest after it.")] = None
    refill: _Refill = None
    refill_at: Annotated[_Time, Field(description="HH:MM in UTC, of a daily refill.")] = None
    rebalance_points: Annotated[
        _Percent, Field(description="By so much each percentage may move towards what sells, at a refill.")
    ] = None


class RefillIn(Input):
    """The SKU whose pools are to be refilled."""

    sku: SkuIn


DOCUMENTED = (AllocationIn, PlanScopeIn, RefillIn)

_ALLOCATION = TypeAdapter(AllocationIn)
_SCOPE = TypeAdapter(PlanScopeIn)
_REFILL = TypeAdapter(RefillIn)


def allocation_from(document: object) -> AllocationPlan:
    """The plan that a body states. Raises MalformedError."""
    item: AllocationIn = parsed(_ALLOCATION, document)
    stated = item.model_dump(exclude_unset=True, exclude={"sku", "sku_group", "pattern"})
    try:
        return plan_of(_scope(item), stated)
    except MalformedError as failure:
        raise MalformedError(f"body: {failure}") from None


def plan_scope_from(document: object) -> Scope:
    """The scope of a plan that a body names. Raises MalformedError."""
    return _scope(parsed(_SCOPE, document))


def refilled_sku_from(document: object) -> Sku:
    """The SKU whose pools are to be refilled. Raises MalformedError."""
    item: RefillIn = parsed(_REFILL, document)
    return item.sku


def _scope(item: PlanScopeIn) -> Scope:
    return Scope(sku=item.sku, sku_group=item.sku_group, pattern=item.pattern)
