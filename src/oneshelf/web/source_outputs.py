"""How sources, statements, rules of truth, architectures and conflicts are shown, over the API and with `--json`."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec
from pydantic import BaseModel

from oneshelf.domain.architecture import Architecture
from oneshelf.domain.statement_answer import Answer
from oneshelf.domain.truth import Scope, TruthRule
from oneshelf.flow.entrust import Arranged, Previewed
from oneshelf.storage.conflicts import ConflictRow
from oneshelf.storage.sources import SourceRow
from oneshelf.storage.statements import StatementRow
from oneshelf.storage.truth_rules import ChangeRow, RuleRow

# What each shape means, for whoever chooses one.
MEANINGS = {
    Architecture.NONE: "nobody is written: the engine watches, finds drifts and tells",
    Architecture.HUB: "one channel is right: its figure is taken, the others follow",
    Architecture.IMS: "the engine is right: what others state is only held against it",
    Architecture.MIDDLEWARE: "external systems are right, by rank: an ERP, a warehouse",
}


class SourceOut(BaseModel):
    """A system that states figures. `waiting_count`: differences that the ledger cannot take yet."""

    source: str
    title: str
    error_s: int
    added_at: datetime | None = None
    added_by: str = ""
    statement_count: int = 0
    waiting_count: int = 0
    last_at: datetime | None = None


class SourcesOut(BaseModel):
    sources: list[SourceOut]


class StatementAnswer(BaseModel):
    """What became of one row. `replayed`: it was stated before, and nothing was done again."""

    document: str
    outcome: str
    detail: str
    replayed: bool = False
    statement_id: UUID | None = None
    conflict_id: UUID | None = None


class StatementAnswers(BaseModel):
    answers: list[StatementAnswer]


class StatementOut(BaseModel):
    """A statement that was taken. `said`: all of it, as it was stated."""

    statement_id: UUID
    source: str
    document: str
    sku: str
    location: str
    figure: str
    units: int
    outcome: str
    detail: str
    received_at: datetime
    said: dict[str, Any]


class StatementsOut(BaseModel):
    statements: list[StatementOut]


class TruthRuleOut(BaseModel):
    """Who decides in a scope. Null: not named."""

    sku: str | None
    sku_group: str | None
    pattern: str | None
    figure: str | None
    location: str | None
    strategy: str
    leader: str | None
    ranks: list[str]
    tolerance_units: int
    conservative: bool
    set_at: datetime | None = None
    set_by: str | None = None


class TruthRulesOut(BaseModel):
    """The widest first. The narrowest that reaches a figure decides; where none does, the engine rules."""

    rules: list[TruthRuleOut]


class TruthRuledOut(BaseModel):
    """The rule as it is now, null where it has ended; `changed`: whether it was otherwise before."""

    rule: TruthRuleOut | None
    changed: bool


class TruthChangeOut(BaseModel):
    """Who changed which rule. Empty: there was or is none for this scope."""

    change_id: int
    changed_at: datetime
    actor: str
    reason: str
    scope: str
    before: dict[str, Any]
    after: dict[str, Any]


class TruthChangesOut(BaseModel):
    changes: list[TruthChangeOut]
    next: str | None


class EffectOut(BaseModel):
    """What would be decided differently. Units are the SKU's, of a drift those of its listing."""

    what: str
    sku: str
    location: str
    figure: str
    now_by: str
    would_by: str
    now_units: int
    would_units: int


class TruthPreviewOut(BaseModel):
    """Nothing was saved. `looked_count`: figures and open drifts that were looked at; `is_whole`: all there are."""

    effects: list[EffectOut]
    looked_count: int
    is_whole: bool


class ArchitectureOut(BaseModel):
    """The shape that the shop has: `none`, `hub`, `ims` or `middleware`. `rule`: the one for everything, which waits
    while no channel is live; `narrower_rules`: exceptions to it, as GET /v1/truth-rules tells them in full.
    """

    architecture: str
    rule: str
    narrower_rules: list[str]


class ArchitectureChangeOut(BaseModel):
    """`what`: the rule for everything, or a channel. `note`: what a person has to do besides; then nothing changes."""

    what: str
    before: str
    after: str
    note: str


class ArrangedOut(BaseModel):
    """What changes from the shape `before` on. `narrower_rules` stay."""

    before: str
    changes: list[ArchitectureChangeOut]
    narrower_rules: list[str]


class ForeseenOut(ArrangedOut):
    """Nothing was saved. `preview`: what would be decided differently."""

    preview: TruthPreviewOut


class ConflictOut(BaseModel):
    """What disagreed, which rule decided, and what was beaten.

    `kind`: `statement` (it was beaten), `ledger` (its own figure was), `drift` (the same, for a channel that leads),
    `equivocation` (one document with two contents). `state`: `open`, `decided`, `overruled`, `ended`.
    """

    conflict_id: UUID
    sku: str
    location: str
    figure: str
    kind: str
    state: str
    rule: str
    winner: dict[str, Any]
    beaten: dict[str, Any]
    opened_at: datetime
    changed_at: datetime
    ruled_by: str
    reason: str


class ConflictsOut(BaseModel):
    conflicts: list[ConflictOut]


class RulingOut(BaseModel):
    """What was done, in words."""

    conflict_id: UUID
    detail: str


def source_out(row: SourceRow) -> SourceOut:
    return SourceOut.model_validate(row._asdict())


def answer_out(document: str, answer: Answer) -> StatementAnswer:
    return StatementAnswer(
        document=document,
        outcome=answer.outcome.value,
        detail=answer.words,
        replayed=answer.is_replayed,
        statement_id=answer.statement_id,
        conflict_id=answer.conflict_id,
    )


def unreadable_out(document: str, words: str) -> StatementAnswer:
    """The answer to a row that could not be read."""
    return StatementAnswer(document=document, outcome="malformed", detail=words)


def statement_out(row: StatementRow) -> StatementOut:
    said = row.statement
    return StatementOut(
        statement_id=row.statement_id,
        source=said.source,
        document=said.document,
        sku=said.sku,
        location=said.location,
        figure=said.figure.value if said.figure else "delta",
        units=said.units,
        outcome=row.state.value,
        detail=row.words,
        received_at=row.received_at,
        said=msgspec.to_builtins(said),
    )


def rule_out(rule: TruthRule, row: RuleRow | None = None) -> TruthRuleOut:
    return TruthRuleOut(
        **scope_out(rule.scope),
        strategy=rule.strategy.value,
        leader=rule.leader or None,
        ranks=list(rule.ranks),
        tolerance_units=rule.tolerance_units,
        conservative=rule.conservative,
        set_at=row.set_at if row else None,
        set_by=row.set_by if row else None,
    )


def scope_out(scope: Scope) -> dict[str, Any]:
    return {
        "sku": scope.sku,
        "sku_group": scope.sku_group,
        "pattern": scope.pattern,
        "figure": scope.figure.value if scope.figure else None,
        "location": scope.location,
    }


def change_out(row: ChangeRow) -> TruthChangeOut:
    return TruthChangeOut(
        change_id=row.change_id,
        changed_at=row.changed_at,
        actor=row.actor,
        reason=row.reason,
        scope=str(row.scope),
        before=row.before,
        after=row.after,
    )


def preview_out(previewed: Previewed) -> TruthPreviewOut:
    effects = [
        EffectOut(
            what=one.what,
            sku=one.sku,
            location=one.location,
            figure=one.figure,
            now_by=one.now_by,
            would_by=one.would_by,
            now_units=one.now_units,
            would_units=one.would_units,
        )
        for one in previewed.effects
    ]
    return TruthPreviewOut(effects=effects, looked_count=previewed.looked_count, is_whole=previewed.is_whole)


def architecture_out(found: Arranged) -> ArchitectureOut:
    return ArchitectureOut(
        architecture=found.architecture.value, rule=str(found.rule), narrower_rules=_narrower_out(found)
    )


def arranged_out(found: Arranged) -> ArrangedOut:
    changes = [
        ArchitectureChangeOut(what=one.what, before=one.before, after=one.after, note=one.note) for one in found.changes
    ]
    return ArrangedOut(before=found.architecture.value, changes=changes, narrower_rules=_narrower_out(found))


def foreseen_out(found: Arranged, previewed: Previewed) -> ForeseenOut:
    return ForeseenOut(**dict(arranged_out(found)), preview=preview_out(previewed))


def _narrower_out(found: Arranged) -> list[str]:
    return [str(rule) for rule in found.narrower]


def conflict_out(row: ConflictRow) -> ConflictOut:
    return ConflictOut.model_validate(row._asdict())
