"""What a query costs, and the bucket from which it is paid.

Shopify publishes the unit costs (scalar 0, object 1, mutation 10) but not how a list's length counts. The scale
here, 1.38 * log2(length), meets the measurement that 250 variants with one object each cost 25 points
(https://community.shopify.dev/t/23101, checked 2026-11-23). Good enough to be throttled by, no more.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import ceil, log2, pow
from typing import Any

from graphql import FieldNode, FragmentDefinitionNode, FragmentSpreadNode, InlineFragmentNode, SelectionSetNode
from graphql.language import IntValueNode, ListValueNode, VariableNode

QUERY_COST_MAX = 1000
MUTATION_COST = 10
BUCKET_SIZE = 2000.0
RESTORE_RATE = 100.0


class Bucket:
    """Points that come back with time, `speed` times as fast as on the smallest plan."""

    def __init__(self, *, speed: float) -> None:
        self.restore_rate = RESTORE_RATE * speed
        self._points = BUCKET_SIZE
        self._seen_at: float | None = None

    def available(self, now: float) -> float:
        if self._seen_at is not None:
            self._points = min(BUCKET_SIZE, self._points + (now - self._seen_at) * self.restore_rate)
        self._seen_at = now
        return self._points

    def spend(self, points: float) -> None:
        self._points = max(0.0, self._points - points)

    def status(self, now: float, *, requested: int, actual: int | None) -> dict[str, Any]:
        """The `extensions.cost` of an answer."""
        return {
            "requestedQueryCost": requested,
            "actualQueryCost": actual,
            "throttleStatus": {
                "maximumAvailable": BUCKET_SIZE,
                "currentlyAvailable": int(self.available(now)),
                "restoreRate": self.restore_rate,
            },
        }


def too_costly(cost: int) -> dict[str, Any]:
    """The answer to one query that asks for more than any may."""
    words = f"Query cost is {cost}, which exceeds the single query max cost limit ({QUERY_COST_MAX})."
    return {
        "errors": [
            {"message": words, "extensions": {"code": "MAX_COST_EXCEEDED", "cost": cost, "maxCost": QUERY_COST_MAX}}
        ]
    }


def throttled(cost: Mapping[str, Any]) -> dict[str, Any]:
    """The answer to one that the bucket does not pay for now; `cost`: its status."""
    page = "https://shopify.dev/api/usage/rate-limits"
    error = {"message": "Throttled", "extensions": {"code": "THROTTLED", "documentation": page}}
    return {"errors": [error], "extensions": {"cost": cost}}


def requested_cost(
    selections: SelectionSetNode, fragments: Mapping[str, FragmentDefinitionNode], variables: Mapping[str, Any]
) -> int:
    """The most that a selection can cost."""
    cost = 0
    for selection in selections.selections:
        if isinstance(selection, FragmentSpreadNode):
            cost += requested_cost(fragments[selection.name.value].selection_set, fragments, variables)
        elif isinstance(selection, InlineFragmentNode):
            cost += requested_cost(selection.selection_set, fragments, variables)
        elif isinstance(selection, FieldNode) and selection.selection_set:
            cost += _field_cost(selection, selection.selection_set, fragments, variables)
    return cost


def _field_cost(
    field: FieldNode,
    selections: SelectionSetNode,
    fragments: Mapping[str, FragmentDefinitionNode],
    variables: Mapping[str, Any],
) -> int:
    children = requested_cost(selections, fragments, variables)
    if field.name.value in {"pageInfo", "userErrors"}:
        return 0
    if field.name.value == "nodes" and not field.arguments:
        return 1 + children
    for argument in field.arguments or ():
        length = _length(argument.value, variables) if argument.name.value in {"first", "ids"} else 0
        if length > 0:
            return 2 + round(max(1.0, 1.38 * log2(length + 0.01))) * max(1, children)
    return 1 + children


def _length(value: object, variables: Mapping[str, Any]) -> int:
    if isinstance(value, VariableNode):
        given = variables.get(value.name.value)
        return len(given) if isinstance(given, list) else int(given or 0)
    if isinstance(value, ListValueNode):
        return len(value.values)
    return int(value.value) if isinstance(value, IntValueNode) else 0


def actual_cost(answer: object, *, requested: int) -> int:
    """What it came to, never more than was asked for: the difference is given back."""
    return min(requested, ceil(pow(_objects_in(answer), 0.6)))


def _objects_in(answer: object) -> int:
    if isinstance(answer, dict):
        return 1 + sum(_objects_in(value) for value in answer.values())
    return sum(_objects_in(value) for value in answer) if isinstance(answer, list) else 0
