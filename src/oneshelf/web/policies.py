"""`/v1/policies`: what each listing may show of what is available to sell; and why one shows its figure."""

from __future__ import annotations

import json
from typing import Annotated

from fastapi import APIRouter, Depends, Query
from starlette.requests import Request

from oneshelf.domain.identity import ChannelSku, channel_from, instant_from
from oneshelf.domain.outcome import UnknownSku, in_words
from oneshelf.domain.policy import UnknownChannel
from oneshelf.errors import MalformedError
from oneshelf.flow.explain import explain
from oneshelf.flow.preview import preview
from oneshelf.flow.rule import end_rule, put_in_group, put_rule
from oneshelf.storage import policies
from oneshelf.web import described
from oneshelf.web import policy_outputs as outputs
from oneshelf.web.api import After, At, Limit, pair_from
from oneshelf.web.auth import actor_of
from oneshelf.web.bodies import read_json
from oneshelf.web.engine import EngineOf
from oneshelf.web.policy_inputs import (
    change_number_from,
    grouping_from,
    policy_rule_from,
    scope_from,
    scope_key_from,
)
from oneshelf.web.problems import DOCUMENTED, ProblemError
from oneshelf.web.questions import only_known_questions

router = APIRouter(prefix="/v1", tags=["policies"], responses=DOCUMENTED, dependencies=[Depends(only_known_questions)])

LISTING_LENGTH_MAX = 500


@router.get("/policies")
async def list_policies(
    engine: EngineOf,
    channel: Annotated[str | None, Query(description="Only rules that name this channel.")] = None,
    after: After = "",
    limit: Limit = 100,
) -> outputs.PoliciesOut:
    """The rules by channel, group and SKU. For each listing, term by term, the narrowest rule that states it wins."""
    only = None if channel is None else channel_from(channel)
    async with engine.database.transaction() as tx:
        rows = await policies.listed(tx, channel=only, after=scope_key_from(after), limit=limit + 1)
    last = rows[limit - 1].rule.scope if len(rows) > limit else None
    return outputs.PoliciesOut(
        policies=[outputs.policy_out(row.rule, row) for row in rows[:limit]],
        next=json.dumps([last.channel or "", last.sku_group or "", last.sku or ""]) if last else None,
    )


@router.put("/policies", openapi_extra=described.body("PolicyIn"))
async def put_policy(request: Request, engine: EngineOf) -> outputs.RuledOut:
    """Have this rule, and no other, for its scope; one that states nothing ends it. Its listings are planned anew."""
    rule = policy_rule_from(await read_json(request))
    outcome = await put_rule(engine.database, rule, actor=actor_of(request))
    if isinstance(outcome, UnknownSku | UnknownChannel):
        raise unknown_scope(outcome)
    engine.wake(["plan"])
    return outputs.RuledOut(policy=outputs.policy_out(outcome.rule), listing_count=outcome.listing_count)


@router.delete("/policies", openapi_extra=described.body("ScopeIn"))
async def delete_policy(request: Request, engine: EngineOf) -> outputs.EndedOut:
    """State nothing for a scope any more. The body names the scope; its listings are planned anew."""
    ended = await end_rule(engine.database, scope_from(await read_json(request)), actor=actor_of(request))
    if isinstance(ended, UnknownSku | UnknownChannel):
        raise unknown_scope(ended)
    engine.wake(["plan"])
    return outputs.EndedOut(ended=outputs.policy_out(ended) if ended else None)


@router.put("/policies/groups", openapi_extra=described.body("GroupingIn"))
async def put_group(request: Request, engine: EngineOf) -> outputs.GroupedOut:
    """Have a SKU in a group, or in none. A SKU is in one group at most."""
    wish = grouping_from(await read_json(request))
    if refusal := await put_in_group(engine.database, wish.sku, wish.sku_group, actor=actor_of(request)):
        raise ProblemError(404, in_words(refusal), kind="unknown-sku")
    engine.wake(["plan"])
    return outputs.GroupedOut(sku=wish.sku, sku_group=wish.sku_group)


@router.get("/policies/history")
async def list_changes(engine: EngineOf, after: After = "", limit: Limit = 100) -> outputs.PolicyChangesOut:
    """Who changed which rule when, and what it stated before and after; the newest first."""
    before = change_number_from(after)
    async with engine.database.transaction() as tx:
        rows = await policies.history(tx, before=before, limit=limit + 1)
    return outputs.PolicyChangesOut(
        changes=[outputs.change_out(row) for row in rows[:limit]],
        next=str(rows[limit - 1].change_id) if len(rows) > limit else None,
    )


@router.post("/policies/preview", openapi_extra=described.body("PolicyIn"))
async def preview_policy(
    request: Request, engine: EngineOf, after: After = "", limit: Limit = 100
) -> outputs.PreviewOut:
    """What this rule would do to each listing that it reaches, if it were put. Nothing is saved."""
    rule = policy_rule_from(await read_json(request))
    start = pair_from(after)
    wished = await preview(
        engine.database,
        rule.scope,
        rule.stated(),
        replaces=True,
        after=None if start is None else (start[0], ChannelSku(start[1])),
        limit=limit,
    )
    if isinstance(wished, UnknownSku | UnknownChannel):
        raise unknown_scope(wished)
    return outputs.preview_out(wished)


@router.get("/channels/{channel}/listings/{channel_sku:path}/explain")
async def explain_listing(engine: EngineOf, channel: str, channel_sku: str, at: At = None) -> outputs.ExplanationOut:
    """Why a listing shows what it shows: identity, ledger, policy, publishing, with ages; with `at`, why then."""
    key = (channel_from(channel), _listing_from(channel_sku))
    told = await explain(engine.database, key, at=None if at is None else instant_from(at, what="at"))
    if told is None:
        raise ProblemError(404, f"{key[0]} has shown no listing {key[1]}; see GET /v1/listings", kind="unknown-listing")
    return outputs.explanation_out(told)


def unknown_scope(refusal: UnknownSku | UnknownChannel) -> ProblemError:
    """404 for a rule about what is not there."""
    if isinstance(refusal, UnknownSku):
        return ProblemError(404, in_words(refusal), kind="unknown-sku")
    words = f"no channel {refusal.channel} is connected; see GET /v1/channels"
    return ProblemError(404, words, kind="unknown-channel")


def _listing_from(text: str) -> ChannelSku:
    if not text.isprintable() or len(text) > LISTING_LENGTH_MAX:
        raise MalformedError(f"a listing's id is at most {LISTING_LENGTH_MAX} characters that can be seen")
    return ChannelSku(text)
