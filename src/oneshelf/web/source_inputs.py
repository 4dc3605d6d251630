"""What the routes of sources, their statements and the rules of truth are sent."""

from __future__ import annotations

from typing import Annotated, Literal
from uuid import UUID

from pydantic import Field, PlainValidator, TypeAdapter, WithJsonSchema

from oneshelf.domain.architecture import Architecture, Wish, peers
from oneshelf.domain.command import CLOCK_ERROR_S_MAX, CountedFigure
from oneshelf.domain.identity import UNITS_MAX, name_from, source_name_from, units_from
from oneshelf.domain.statement import DOCUMENTS_MAX, Document, Statement
from oneshelf.domain.truth import RANKS_MAX, Scope, Strategy, TruthRule, rule_from
from oneshelf.errors import MalformedError
from oneshelf.web.fields import (
    AsOfIn,
    ErrorIn,
    HappenedAtIn,
    Input,
    LocationIn,
    NumberIn,
    ReservationIdIn,
    SignerIn,
    SkuIn,
    TokenIn,
    WordsIn,
)
from oneshelf.web.inputs import parsed
from oneshelf.web.policy_inputs import GroupIn, PatternIn

STATEMENTS_MAX = 1_000
NUMBER_MAX = UNITS_MAX
DELTA = "delta"


def _rank(value: object) -> str:
    return name_from(value, what="a rank")


def _document(value: object) -> str:
    return name_from(value, what="document")


def _units(value: object) -> int:
    return units_from(value, what="units", least=-UNITS_MAX)


def _count(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= NUMBER_MAX:
        raise MalformedError(f"epoch and sequence are whole numbers from 0 to {NUMBER_MAX}")
    return value


_NAME = WithJsonSchema({"type": "string", "minLength": 1, "maxLength": 120})
_NUMBER = WithJsonSchema({"type": "integer", "minimum": 0, "maximum": NUMBER_MAX})
SourceNameIn = Annotated[str, PlainValidator(source_name_from), _NAME]
RankIn = Annotated[str, PlainValidator(_rank), _NAME]
DocumentNumberIn = Annotated[
    str,
    PlainValidator(_document),
    _NAME,
    Field(description="The source's own number. The same number is the same statement, whenever it comes again."),
]
SequenceIn = Annotated[int, PlainValidator(_count), _NUMBER]
StatedUnitsIn = Annotated[
    int,
    PlainValidator(_units),
    WithJsonSchema({"type": "integer", "minimum": -UNITS_MAX, "maximum": UNITS_MAX}),
    Field(description="The figure; of a `delta` what came (more than 0) or left (less than 0)."),
]


class SourceIn(Input):
    """A system that will state figures. `error_s`: by how much its clock may be wrong, where it does not say."""

    source: SourceNameIn
    title: WordsIn = ""
    error_s: Annotated[int, Field(ge=0, le=CLOCK_ERROR_S_MAX, strict=True)] = 5


class DocumentIn(Input):
    """A document that the source has read: an order of a channel, or a document of this or another source.

    `shipped`: of an order, that what left for it was seen too, not only the sale.
    """

    source: SourceNameIn
    number: NumberIn
    shipped: Annotated[bool, Field(strict=True)] = False


class SeenIn(Input):
    """What a figure had seen: documents by name, or all until an instant, or both; or all until a count token."""

    documents: Annotated[tuple[DocumentIn, ...], Field(max_length=DOCUMENTS_MAX)] | None = None
    as_of: AsOfIn | None = None
    error_s: ErrorIn | None = None
    token: TokenIn | None = None


class StatementIn(Input):
    """One row: a figure of a SKU at a location with what it had seen, or a `delta`, which is a fact of its own.

    `epoch` and `sequence`: the source's own order, where it has one; a system that was restored raises its epoch.
    `write_id`: the movement of ours that the source has this from; then it is no news.
    """

    document: DocumentNumberIn
    sku: SkuIn
    location: LocationIn
    figure: Literal["on_hand", "unshipped", "available", "delta"]
    units: StatedUnitsIn
    seen: SeenIn | None = None
    epoch: SequenceIn = 0
    sequence: SequenceIn | None = None
    happened_at: HappenedAtIn | None = None
    write_id: ReservationIdIn | None = None


class StatementsIn(Input):
    """What a source states, in its order; each row has its own answer."""

    source: SourceNameIn
    statements: Annotated[list[StatementIn], Field(min_length=1, max_length=STATEMENTS_MAX)]


class TruthScopeOnlyIn(Input):
    """What a rule is for. Nothing named: everything. Of `sku`, `sku_group` and `pattern` one at most."""

    sku: SkuIn | None = None
    sku_group: GroupIn | None = None
    pattern: PatternIn | None = None
    figure: CountedFigure | None = None
    location: LocationIn | None = None


class TruthScopeIn(TruthScopeOnlyIn):
    """The scope of a rule that ends, and why."""

    reason: WordsIn = ""


class TruthRuleIn(TruthScopeIn):
    """Who decides in a scope, and why it is said. The narrowest rule that reaches a figure decides it."""

    strategy: Strategy
    leader: SourceNameIn | None = None
    ranks: Annotated[tuple[RankIn, ...], Field(max_length=RANKS_MAX)] = ()
    tolerance_units: Annotated[int, Field(ge=0, le=UNITS_MAX, strict=True)] = 0
    conservative: Annotated[bool, Field(strict=True)] = True


class ArchitectureIn(Input):
    """The shape that the shop is to have, and why. A hub names its `leader`, the channel that rules; a middleware its
    `ranks`, the systems that are asked, the highest first, those of one rank as one entry (`erp|wms`). `reason` is kept
    in the history of the rules.
    """

    architecture: Architecture
    leader: SourceNameIn | None = None
    ranks: Annotated[tuple[RankIn, ...], Field(max_length=RANKS_MAX)] = ()
    reason: WordsIn = ""


class RulingIn(Input):
    """Who says what is right, and why. `right`: `beaten`, what the rule did not follow; or `winner`, of a document with
    two contents the one that came first.
    """

    by: SignerIn
    right: Literal["beaten", "winner"] = "beaten"
    reason: WordsIn = ""


DOCUMENTED = (SourceIn, StatementsIn, TruthRuleIn, TruthScopeIn, ArchitectureIn, RulingIn)

_SOURCE, _STATEMENTS, _STATEMENT = TypeAdapter(SourceIn), TypeAdapter(StatementsIn), TypeAdapter(StatementIn)
_RULE, _SCOPE, _RULING = TypeAdapter(TruthRuleIn), TypeAdapter(TruthScopeIn), TypeAdapter(RulingIn)
_ARCHITECTURE = TypeAdapter(ArchitectureIn)


def source_from(document: object) -> SourceIn:
    """A source. Raises MalformedError."""
    item: SourceIn = parsed(_SOURCE, document)
    return item


def statements_from(document: object) -> list[Statement]:
    """The rows. Raises MalformedError, which names the row: then none is taken."""
    item: StatementsIn = parsed(_STATEMENTS, document)
    return [
        _statement(item.source, row, where=f"body.statements.{number}") for number, row in enumerate(item.statements)
    ]


def statement_from(source: str, document: object, *, where: str) -> Statement:
    """One row. Raises MalformedError."""
    return _statement(source, parsed(_STATEMENT, document, where), where=where)


def _statement(source: str, row: StatementIn, *, where: str) -> Statement:
    if row.figure != DELTA and (row.seen is None or not row.seen.model_fields_set - {"error_s"}):
        raise MalformedError(
            f"{where}: a figure says what it had seen: seen.documents (perhaps none of them: []), seen.as_of, or "
            "seen.token from POST /v1/counts; without that nobody knows which sales it has in it"
        )
    seen = row.seen or SeenIn()
    return Statement(
        source=source,
        document=row.document,
        sku=row.sku,
        location=row.location,
        units=row.units,
        figure=None if row.figure == DELTA else CountedFigure(row.figure),
        documents=tuple(sorted({Document(one.source, one.number, one.shipped) for one in seen.documents or ()})),
        as_of=seen.as_of,
        error_s=seen.error_s,
        token=seen.token,
        epoch=row.epoch,
        sequence=row.sequence,
        happened_at=row.happened_at,
        write_id=row.write_id,
    )


def truth_rule_from(document: object) -> tuple[TruthRule, str]:
    """A rule and the reason. Raises MalformedError."""
    item: TruthRuleIn = parsed(_RULE, document)
    stated = {
        "strategy": item.strategy.value,
        "leader": item.leader or "",
        "ranks": peers(item.ranks),
        "tolerance_units": item.tolerance_units,
        "conservative": item.conservative,
    }
    return rule_from(_scope(item), stated), item.reason


def truth_scope_from(document: object) -> tuple[Scope, str]:
    """A scope and the reason. Raises MalformedError."""
    item: TruthScopeIn = parsed(_SCOPE, document)
    return _scope(item), item.reason


def architecture_from(document: object) -> tuple[Wish, str]:
    """An architecture with the names that it needs, and the reason. Raises MalformedError."""
    item: ArchitectureIn = parsed(_ARCHITECTURE, document)
    wish = Wish(architecture=item.architecture, leader=item.leader or "", ranks=peers(item.ranks))
    return wish, item.reason


def ruling_from(document: object) -> RulingIn:
    """What a person says of a conflict. Raises MalformedError."""
    item: RulingIn = parsed(_RULING, document)
    return item


def conflict_id_from(value: str) -> UUID:
    """The id of a conflict, as a list gave it. Raises MalformedError."""
    try:
        return UUID(value)
    except ValueError:
        raise MalformedError("a conflict's id is a UUID, as GET /v1/conflicts tells it") from None


def _scope(item: TruthScopeOnlyIn) -> Scope:
    return Scope(
        sku=item.sku, sku_group=item.sku_group, pattern=item.pattern, figure=item.figure, location=item.location
    )
