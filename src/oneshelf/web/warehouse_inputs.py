"""What the routes of counts and of reorder rules are sent."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, TypeVar

from pydantic import Field, PlainValidator, StrictBool, TypeAdapter, WithJsonSchema

from oneshelf.domain.count_task import SKUS_MAX, CountWish, Decision, Entry, Ruling, SalesClass, Threshold
from oneshelf.domain.identity import name_from
from oneshelf.domain.reorder import COVER_DAYS_MAX, ReorderRule, ReorderScope
from oneshelf.errors import MalformedError
from oneshelf.web.fields import (
    Input,
    LocationIn,
    NumberIn,
    PercentIn,
    ReasonIn,
    SignerIn,
    SkuIn,
    UnitsIn,
    WordsIn,
)
from oneshelf.web.inputs import NAMES_MAX, parsed
from oneshelf.web.policy_inputs import GroupIn

T = TypeVar("T")
ROUND_MAX = 1_000_000


def _whole(what: str, most: int) -> tuple[PlainValidator, WithJsonSchema]:
    def read(value: object) -> int:
        if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= most:
            raise MalformedError(f"{what} must be a whole number from 1 to {most}")
        return value

    return PlainValidator(read), WithJsonSchema({"type": "integer", "minimum": 1, "maximum": most})


LimitIn = Annotated[int, *_whole("limit", SKUS_MAX)]
RoundIn = Annotated[int, *_whole("round", ROUND_MAX)]
CoverDaysIn = Annotated[int, *_whole("cover_days", COVER_DAYS_MAX)]


class CountTaskIn(Input):
    """SKUs to be counted at a location, under a number of one's own. Nothing named: all that ever lay there.

    `pattern`: `*` any letters, `?` one. `sales_classes`: by what was sold in a week, `A` the first 80 percent of the
    units, `B` the next 15, `C` the rest. `only_drifting`: of which a channel shows something else. `limit`: those that
    were counted the longest ago. A difference of up to `threshold_units`, or of `threshold_percent` of the figure, is
    posted without a look.
    """

    task: NumberIn
    location: LocationIn
    skus: Annotated[tuple[SkuIn, ...], Field(max_length=NAMES_MAX)] = ()
    pattern: WordsIn = ""
    sales_classes: Annotated[tuple[SalesClass, ...], Field(max_length=3)] = ()
    only_drifting: StrictBool = False
    limit: LimitIn = SKUS_MAX
    threshold_units: UnitsIn = 0
    threshold_percent: PercentIn = 0
    by: SignerIn


class CountEntryIn(Input):
    """What somebody has counted: all units that lie there. `round`: the one that was shown; none: the present one."""

    sku: SkuIn
    units: UnitsIn
    by: SignerIn
    round: RoundIn | None = None


class CountDecisionIn(Input):
    """What becomes of a difference: `accept` (the ledger follows), `recount` or `drop`, and why."""

    sku: SkuIn
    ruling: Ruling
    by: SignerIn
    reason: ReasonIn
    round: RoundIn | None = None


class ReorderScopeIn(Input):
    """What a rule is for: a SKU or a group of SKUs. Nothing named: every SKU."""

    sku: SkuIn | None = None
    sku_group: GroupIn | None = None


class ReorderRuleIn(ReorderScopeIn):
    """When a SKU is low: at so many `units` (0: never), or at what it sells in `cover_days`. One of the two."""

    units: UnitsIn | None = None
    cover_days: CoverDaysIn | None = None
    by: SignerIn


DOCUMENTED = (CountTaskIn, CountEntryIn, CountDecisionIn, ReorderScopeIn, ReorderRuleIn)

_TASK = TypeAdapter(CountTaskIn)
_ENTRY = TypeAdapter(CountEntryIn)
_DECISION = TypeAdapter(CountDecisionIn)
_SCOPE = TypeAdapter(ReorderScopeIn)
_RULE = TypeAdapter(ReorderRuleIn)


def task_from(text: object) -> str:
    """The number of a count, as it stands in an address. Raises MalformedError."""
    return name_from(text, what="the number of a count")


def count_wish_from(document: object) -> tuple[CountWish, str]:
    """A count to be opened, and who opens it. Raises MalformedError."""
    item = parsed(_TASK, document)
    return _made(
        CountWish,
        task=item.task,
        location=item.location,
        skus=item.skus,
        pattern=item.pattern,
        sales_classes=item.sales_classes,
        only_drifting=item.only_drifting,
        limit=item.limit,
        threshold=Threshold(units=item.threshold_units, percent=item.threshold_percent),
    ), item.by


def entry_from(task: str, document: object) -> Entry:
    """What was counted. Raises MalformedError."""
    item = parsed(_ENTRY, document)
    return Entry(task=task, sku=item.sku, units=item.units, by=item.by, round=item.round)


def decision_from(task: str, document: object) -> Decision:
    """What becomes of a difference. Raises MalformedError."""
    item = parsed(_DECISION, document)
    return Decision(task=task, sku=item.sku, ruling=item.ruling, by=item.by, reason=item.reason, round=item.round)


def reorder_scope_from(document: object) -> ReorderScope:
    """What a rule is for. Raises MalformedError."""
    item = parsed(_SCOPE, document)
    return _made(ReorderScope, sku=item.sku, sku_group=item.sku_group)


def reorder_rule_from(document: object) -> tuple[ReorderScope, ReorderRule, str]:
    """A rule, what it is for, and who says so. Raises MalformedError."""
    item = parsed(_RULE, document)
    scope = _made(ReorderScope, sku=item.sku, sku_group=item.sku_group)
    return scope, _made(ReorderRule, units=item.units, cover_days=item.cover_days), item.by


def _made(kind: Callable[..., T], **fields: Any) -> T:
    try:
        return kind(**fields)
    except MalformedError as failure:
        raise MalformedError(f"body: {failure}") from None
