"""What the routes of policies are sent, read into scopes and rules. The terms themselves are judged by the domain."""

from __future__ import annotations

import json
from typing import Annotated, Any

from pydantic import Field, PlainValidator, TypeAdapter, WithJsonSchema

from oneshelf.domain.identity import NAME_LENGTH_MAX, UNITS_MAX, name_from
from oneshelf.domain.policy import LOW, PERCENT_MAX, WEIGHT_MAX, Rule, Scope, rule_of
from oneshelf.errors import MalformedError
from oneshelf.web.fields import ChannelIn, Input, SkuIn
from oneshelf.web.inputs import SharingIn, parsed


def as_said(value: Any) -> Any:
    """`domain.policy.Terms` looks at it, and names the term that is wrong."""
    if value is None:
        raise MalformedError("a term is null; leave out what is not stated")
    return value


def _whole(most: int) -> WithJsonSchema:
    return WithJsonSchema({"type": "integer", "minimum": 0, "maximum": most})


def group_from(value: object) -> str:
    """The name of a group of SKUs, see `domain.identity.name_from`."""
    return name_from(value, what="group")


def _pattern(value: object) -> str:
    return name_from(value, what="pattern")


PatternIn = Annotated[
    str,
    PlainValidator(_pattern),
    WithJsonSchema({"type": "string", "minLength": 1, "maxLength": NAME_LENGTH_MAX}),
    Field(
        description="SKUs that it fits: `*` any letters, `?` one, `[ab]` one of these; a bracket that is not closed "
        "stands for itself. Case counts."
    ),
]
GroupIn = Annotated[
    str,
    PlainValidator(group_from),
    WithJsonSchema({"type": "string", "minLength": 1, "maxLength": NAME_LENGTH_MAX}),
]
_UnitsTerm = Annotated[int | None, PlainValidator(as_said), _whole(UNITS_MAX)]
_PercentTerm = Annotated[int | None, PlainValidator(as_said), _whole(PERCENT_MAX)]
_WeightTerm = Annotated[int | None, PlainValidator(as_said), _whole(WEIGHT_MAX)]
_FlagTerm = Annotated[bool | None, PlainValidator(as_said), WithJsonSchema({"type": "boolean"})]


class LowIn(Input):
    """Terms. Units are the SKU's, but for `cap_units`, `floor_units`, `min_units`: of what is sold."""

    percent: _PercentTerm = None
    buffer_units: _UnitsTerm = None
    computed_buffer: _FlagTerm = None
    allocation_units: _UnitsTerm = None
    stop_sell_at: _UnitsTerm = None
    backorder_units: _UnitsTerm = None
    preorder_units: _UnitsTerm = None
    min_units: _UnitsTerm = None
    cap_units: _UnitsTerm = None
    floor_units: _UnitsTerm = None
    may_oversell: _FlagTerm = None
    margin_weight: _WeightTerm = None
    penalty_weight: _WeightTerm = None
    wholesale_percent: _PercentTerm = None
    wholesale_leaves_units: _UnitsTerm = None


class TermsIn(LowIn):
    """Terms, and at which figure of what is available to sell those in `low` hold instead."""

    low_stock_at: _UnitsTerm = None


class ScopeIn(Input):
    """What a rule is for: a SKU or a group of SKUs, on a channel or on all. Nothing named: everything."""

    sku: SkuIn | None = None
    sku_group: GroupIn | None = None
    channel: ChannelIn | None = None


class PolicyIn(ScopeIn):
    """The rule of a scope. Terms that are left out are not stated: a wider rule says them, or nobody does."""

    terms: Annotated[TermsIn, Field(description="What holds.")] = TermsIn()
    low: Annotated[LowIn, Field(description="What holds instead where little is left.")] = LowIn()


class GroupingIn(Input):
    """The group that a SKU is in; null: in none."""

    sku: SkuIn
    sku_group: GroupIn | None


class SharingOfManyIn(SharingIn):
    """How the listings of all SKUs share their units, or of those in a group. Frozen SKUs stay frozen.

    `guard_at_units` and `allowance_units` are said anew for each of them too.
    """

    sku_group: GroupIn | None = None


DOCUMENTED = (PolicyIn, ScopeIn, GroupingIn, SharingOfManyIn)

_POLICY = TypeAdapter(PolicyIn)
_SCOPE = TypeAdapter(ScopeIn)
_GROUPING = TypeAdapter(GroupingIn)
_SHARING = TypeAdapter(SharingOfManyIn)


def policy_rule_from(document: object) -> Rule:
    """The rule that a body states. Raises MalformedError."""
    item: PolicyIn = parsed(_POLICY, document)
    low = {LOW + name: value for name, value in item.low if value is not None}
    return rule_of(_scope(item), {name: value for name, value in item.terms if value is not None} | low)


def scope_from(document: object) -> Scope:
    """The scope that a body names. Raises MalformedError."""
    return _scope(parsed(_SCOPE, document))


def grouping_from(document: object) -> GroupingIn:
    """A SKU and its group. Raises MalformedError."""
    item: GroupingIn = parsed(_GROUPING, document)
    return item


def sharing_of_many_from(document: object) -> SharingOfManyIn:
    """How many SKUs share their units. Raises MalformedError."""
    item: SharingOfManyIn = parsed(_SHARING, document)
    return item


def scope_key_from(text: str) -> tuple[str, str, str] | None:
    """Where a list of policies goes on: channel, group and SKU, '' for none. Raises MalformedError."""
    if not text:
        return None
    try:
        key = json.loads(text)
    except (ValueError, RecursionError):
        key = None
    if not isinstance(key, list) or len(key) != 3 or not all(isinstance(name, str) and _is_name(name) for name in key):
        raise MalformedError("after must be the `next` of another page")
    return (key[0], key[1], key[2])


def change_number_from(text: str) -> int | None:
    """Where the history goes on. Raises MalformedError."""
    if text and not (text.isascii() and text.isdigit() and len(text) <= 18):
        raise MalformedError("after must be the `next` of another page")
    return int(text) if text else None


def _is_name(text: str) -> bool:
    return text == "" or (text.isprintable() and len(text) <= NAME_LENGTH_MAX)


def _scope(item: ScopeIn) -> Scope:
    return Scope(sku=item.sku, sku_group=item.sku_group, channel=item.channel)
