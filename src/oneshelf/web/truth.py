"""`/v1/statements`, `/v1/truth-rules`, `/v1/architecture`, `/v1/conflicts`: what other systems state, who decides, and
what disagreed.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Depends, Query
from starlette.requests import Request

from oneshelf.domain.architecture import Wish
from oneshelf.domain.command import Command
from oneshelf.domain.identity import instant_from, name_from, sku_from
from oneshelf.domain.outcome import Outcome
from oneshelf.errors import CannotResolveError, UnknownConflictError
from oneshelf.flow import entrust
from oneshelf.flow.entrust import Unknown
from oneshelf.flow.overrule import keep, overrule
from oneshelf.flow.state import Post, settle, take
from oneshelf.storage import conflicts, sources, statements, truth_rules
from oneshelf.storage.conflicts import ConflictRow
from oneshelf.storage.statements import FigureKey
from oneshelf.web import described
from oneshelf.web import source_outputs as outputs
from oneshelf.web.api import After, At, Limit
from oneshelf.web.auth import actor_of
from oneshelf.web.bodies import read_json
from oneshelf.web.engine import Engine, EngineOf
from oneshelf.web.policy_inputs import change_number_from
from oneshelf.web.problems import DOCUMENTED, ProblemError
from oneshelf.web.questions import only_known_questions
from oneshelf.web.source_inputs import (
    RulingIn,
    architecture_from,
    conflict_id_from,
    ruling_from,
    source_from,
    statements_from,
    truth_rule_from,
    truth_scope_from,
)

router = APIRouter(prefix="/v1", tags=["sources"], responses=DOCUMENTED, dependencies=[Depends(only_known_questions)])

WAKES = ("plan", "push", "resolve", "state")


@router.put("/sources", openapi_extra=described.body("SourceIn"))
async def put_source(request: Request, engine: EngineOf) -> outputs.SourceOut:
    """Know a system that will state figures; said again, its title and clock error are as said last."""
    wish = source_from(await read_json(request))
    actor = actor_of(request)
    await entrust.add_source(engine.database, wish.source, title=wish.title, error_s=wish.error_s, actor=actor)
    return outputs.SourceOut(source=wish.source, title=wish.title, error_s=wish.error_s)


@router.get("/sources")
async def list_sources(engine: EngineOf) -> outputs.SourcesOut:
    """The systems that state figures, and how much has come of each."""
    async with engine.database.transaction() as tx:
        rows = await sources.listed(tx)
    return outputs.SourcesOut(sources=[outputs.source_out(row) for row in rows])


@router.post("/statements", openapi_extra=described.body("StatementsIn"))
async def state(request: Request, engine: EngineOf) -> outputs.StatementAnswers:
    """What a source states, row by row, each with its own answer; the status is 200 whatever they say.
    One that cannot be read refuses the request, and none is taken.

    A `delta` is a fact and moves units once. A figure is decided by the rule of its SKU, state and location: the
    ledger follows it, or it is written down as a conflict. The same document again is answered as before; with
    another content it is quarantined.
    """
    rows = statements_from(await read_json(request))
    answers = await take(engine.database, engine.clock.new_id, _post(engine), rows)
    told = [outputs.answer_out(row.document, answer) for row, answer in zip(rows, answers, strict=True)]
    engine.wake(WAKES)
    return outputs.StatementAnswers(answers=told)


@router.get("/statements")
async def list_statements(
    engine: EngineOf, source: str | None = None, sku: str | None = None, limit: Limit = 100
) -> outputs.StatementsOut:
    """What was stated and what became of it, the newest first."""
    only, of = None if sku is None else sku_from(sku), "" if source is None else name_from(source, what="source")
    async with engine.database.transaction() as tx:
        rows = await statements.newest(tx, source=of, sku=only, limit=limit)
    return outputs.StatementsOut(statements=[outputs.statement_out(row) for row in rows])


# Rules ----------------------------------------------------------------------------------------------------------------


@router.get("/truth-rules")
async def list_rules(engine: EngineOf, at: At = None) -> outputs.TruthRulesOut:
    """Who decides in which scope, the widest first; with `at`, as it was then."""
    async with engine.database.transaction() as tx:
        if at is not None:
            then: datetime = instant_from(at, what="at")
            return outputs.TruthRulesOut(rules=[outputs.rule_out(rule) for rule in await truth_rules.at(tx, then)])
        rows = await truth_rules.listed(tx)
    return outputs.TruthRulesOut(rules=[outputs.rule_out(row.rule, row) for row in rows])


@router.put("/truth-rules", openapi_extra=described.body("TruthRuleIn"))
async def put_rule(request: Request, engine: EngineOf) -> outputs.TruthRuledOut:
    """Have this rule for its scope. What is stated there is decided anew; nothing that was adopted is taken back."""
    rule, reason = truth_rule_from(await read_json(request))
    done = _known(await entrust.put_rule(engine.database, rule, actor=actor_of(request), reason=reason))
    engine.wake(WAKES)
    return outputs.TruthRuledOut(rule=outputs.rule_out(rule), changed=done)


@router.delete("/truth-rules", openapi_extra=described.body("TruthScopeIn"))
async def delete_rule(request: Request, engine: EngineOf) -> outputs.TruthRuledOut:
    """Have no rule for this scope any more: a wider one decides, or the engine."""
    scope, reason = truth_scope_from(await read_json(request))
    done = _known(await entrust.end_rule(engine.database, scope, actor=actor_of(request), reason=reason))
    engine.wake(WAKES)
    return outputs.TruthRuledOut(rule=None, changed=done)


@router.post("/truth-rules/preview", openapi_extra=described.body("TruthRuleIn"))
async def preview_rule(request: Request, engine: EngineOf) -> outputs.TruthPreviewOut:
    """What this rule would decide differently of all that is stated now and of open drifts. Nothing is saved."""
    rule, _ = truth_rule_from(await read_json(request))
    previewed = await entrust.preview(engine.database, rule.scope, rule)
    if isinstance(previewed, Unknown):
        raise _unknown(previewed)
    return outputs.preview_out(previewed)


@router.get("/truth-rules/history")
async def list_changes(engine: EngineOf, after: After = "", limit: Limit = 100) -> outputs.TruthChangesOut:
    """Who changed which rule when and why, and what it said before and after; the newest first."""
    before = change_number_from(after)
    async with engine.database.transaction() as tx:
        rows = await truth_rules.history(tx, before=before, limit=limit + 1)
    return outputs.TruthChangesOut(
        changes=[outputs.change_out(row) for row in rows[:limit]],
        next=str(rows[limit - 1].change_id) if len(rows) > limit else None,
    )


# Architectures --------------------------------------------------------------------------------------------------------


@router.get("/architecture")
async def show_architecture(engine: EngineOf) -> outputs.ArchitectureOut:
    """The shape that the shop has now, by its rule for everything, and the narrower rules, which are exceptions."""
    return outputs.architecture_out(await entrust.arrangement(engine.database))


@router.post("/architecture/preview", openapi_extra=described.body("ArchitectureIn"))
async def preview_architecture(request: Request, engine: EngineOf) -> outputs.ForeseenOut:
    """What this shape would change, and what would then be decided differently. Nothing is saved."""
    wish, _ = architecture_from(await read_json(request))
    return await foreseen(engine, wish)


@router.put("/architecture", openapi_extra=described.body("ArchitectureIn"))
async def put_architecture(request: Request, engine: EngineOf) -> outputs.ArrangedOut:
    """Give the shop this shape. What is stated is decided anew; nothing that was adopted is taken back. Of `none` every
    channel is only watched; no channel goes live by any, since what it would show is signed off first.
    """
    wish, reason = architecture_from(await read_json(request))
    return await arranged(engine, wish, actor=actor_of(request), reason=reason)


async def foreseen(engine: Engine, wish: Wish) -> outputs.ForeseenOut:
    """What a shape would change. Raises ProblemError and MalformedError."""
    seen = await entrust.foresee(engine.database, wish)
    if isinstance(seen, Unknown):
        raise _unknown(seen)
    return outputs.foreseen_out(*seen)


async def arranged(engine: Engine, wish: Wish, *, actor: str, reason: str) -> outputs.ArrangedOut:
    """Have this shape: asked twice, nothing changes again. Raises ProblemError and MalformedError."""
    done = await entrust.arrange(engine.database, wish, actor=actor, reason=reason)
    if isinstance(done, Unknown):
        raise _unknown(done)
    engine.wake(WAKES)
    return outputs.arranged_out(done)


# Conflicts ------------------------------------------------------------------------------------------------------------


@router.get("/conflicts")
async def list_conflicts(
    engine: EngineOf,
    only_open: Annotated[bool, Query(alias="open")] = False,
    sku: str | None = None,
    limit: Limit = 100,
) -> outputs.ConflictsOut:
    """What disagreed, open ones first, then the newest."""
    only = None if sku is None else sku_from(sku)
    async with engine.database.transaction() as tx:
        rows = await conflicts.listed(tx, only_open=only_open, sku=only, limit=limit)
    return outputs.ConflictsOut(conflicts=[outputs.conflict_out(row) for row in rows])


@router.get("/conflicts/{conflict_id}")
async def show_conflict(engine: EngineOf, conflict_id: str) -> outputs.ConflictOut:
    """One conflict."""
    return outputs.conflict_out(await found(engine, conflict_id))


@router.put("/conflicts/{conflict_id}/ruling", openapi_extra=described.body("RulingIn"))
async def put_ruling(request: Request, engine: EngineOf, conflict_id: str) -> outputs.RulingOut:
    """What was beaten is right, or of a document with two contents the first. Asked twice, units move once."""
    return await ruled(engine, conflict_id, ruling_from(await read_json(request)))


async def found(engine: Engine, conflict_id: str) -> ConflictRow:
    """One conflict. Raises ProblemError."""
    wanted = conflict_id_from(conflict_id)
    async with engine.database.transaction() as tx:
        row = await conflicts.find(tx, wanted)
    if row is None:
        raise ProblemError(404, f"no conflict {wanted}; those there are: GET /v1/conflicts", kind="no-such-conflict")
    return row


async def ruled(engine: Engine, conflict_id: str, wish: RulingIn) -> outputs.RulingOut:
    """A person's word about a conflict, done once. Raises ProblemError."""
    wanted, post = conflict_id_from(conflict_id), _post(engine)

    async def again(key: FigureKey) -> int:
        return await settle(engine.database, engine.clock.new_id, post, key)

    try:
        if wish.right == "winner":
            words = await keep(engine.database, wanted, actor=wish.by, reason=wish.reason)
        else:
            words = await overrule(engine.database, wanted, actor=wish.by, reason=wish.reason, post=post, settle=again)
    except UnknownConflictError as refusal:
        raise ProblemError(404, str(refusal), kind="no-such-conflict") from None
    except CannotResolveError as refusal:
        raise ProblemError(409, str(refusal), kind="cannot-overrule") from None
    engine.wake(WAKES)
    return outputs.RulingOut(conflict_id=wanted, detail=words)


def _post(engine: Engine) -> Post:
    async def post(command: Command) -> tuple[Outcome, bool]:
        [answered] = await engine.post([command])
        return answered.outcome, answered.was_replayed

    return post


def _known(outcome: bool | Unknown) -> bool:
    if isinstance(outcome, Unknown):
        raise _unknown(outcome)
    return outcome


def _unknown(refusal: Unknown) -> ProblemError:
    return ProblemError(404, str(refusal), kind=f"unknown-{refusal.what.split()[-1].lower()}")
