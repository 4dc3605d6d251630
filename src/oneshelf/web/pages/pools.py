"""Pools: which part of a SKU's units each channel may sell, what is left of it, and what another plan would do."""

from __future__ import annotations

import json
from collections.abc import Mapping

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from oneshelf.domain.allocation import AllocationPlan, Part, Refill, part_from, plan_of
from oneshelf.domain.identity import Channel, Sku
from oneshelf.domain.outcome import UnknownSku, in_words
from oneshelf.domain.policy import Scope, UnknownChannel
from oneshelf.errors import MalformedError
from oneshelf.flow.preview import pools_of, preview_plan
from oneshelf.flow.rule import end_plan, put_plan, refill_pools
from oneshelf.storage import allocations, catalog, views
from oneshelf.storage.database import now
from oneshelf.web.allocation_inputs import plan_scope_from
from oneshelf.web.allocation_outputs import AllocationPreviewOut, allocation_out, plan_preview_out, pools_out
from oneshelf.web.auth import actor_of
from oneshelf.web.engine import engine_of
from oneshelf.web.pages.frame import (
    PAGE_ROWS,
    Form,
    Said,
    Told,
    address,
    form_of,
    not_done,
    page,
    screen,
    status_of,
)
from oneshelf.web.policies import unknown_scope
from oneshelf.web.policy_inputs import scope_key_from
from oneshelf.web.problems import ProblemError

EFFECTS_SHOWN = 100
_SCOPE = ("sku", "sku_group", "pattern")
SHARE, KIND = "share ", "kind "
_REFILLS = {Refill.RECEIPTS: "by what comes in", Refill.DAILY: "daily", Refill.MANUAL: "when somebody says so"}


@screen
async def listed(request: Request) -> Response:
    """The plans, the pools of the SKU that is asked about, and the form of a plan."""
    asked = {name: request.query_params.get(name, "") for name in _SCOPE if request.query_params.get(name)}
    return await _shown(request, scope=plan_scope_from(asked))


@screen
async def ask(request: Request) -> Response:
    """Show what a plan would do, save it, end one, or refill the pools of a SKU."""
    form = await form_of(request)
    try:
        return await _asked(request, form)
    except (MalformedError, ProblemError) as failure:
        return await _shown(request, told=not_done("plan", form, str(failure)), status=status_of(failure))


async def _asked(request: Request, form: Form) -> Response:
    engine = engine_of(request)
    scope = plan_scope_from(form.filled(*_SCOPE))
    match form.text("act"):
        case "preview":
            plan = await _plan(request, scope, form)
            wished = await preview_plan(engine.database, scope, plan, limit=EFFECTS_SHOWN)
            if isinstance(wished, UnknownSku | UnknownChannel):
                raise unknown_scope(wished)
            return await _shown(request, scope=scope, plan=plan, previewed=plan_preview_out(wished))
        case "save":
            outcome = await put_plan(engine.database, await _plan(request, scope, form), actor=actor_of(request))
            if isinstance(outcome, UnknownSku | UnknownChannel):
                raise unknown_scope(outcome)
            said = f"Saved. {outcome.listing_count:,} listings are in its scope; they are planned anew now."
        case "end":
            ended = await end_plan(engine.database, scope, actor=actor_of(request))
            if isinstance(ended, UnknownSku | UnknownChannel):
                raise unknown_scope(ended)
            said = "The plan has ended; its listings are planned anew now."
        case "refill":
            if scope.sku is None:
                raise MalformedError("name the SKU whose pools are to be refilled")
            count = await refill_pools(engine.database, scope.sku)
            if isinstance(count, UnknownSku):
                raise ProblemError(404, in_words(count), kind="unknown-sku")
            said = (
                f"All that is available of {scope.sku} is shared anew now." if count else f"{scope.sku} has no pools."
            )
        case _:
            raise MalformedError("say what to do: preview, save, end or refill")
    engine.wake(["plan"])
    return await _shown(request, scope=scope, told=Told("plan", Said(said)))


async def _plan(request: Request, scope: Scope, form: Form) -> AllocationPlan:
    """The plan of the form: its channels in the order of the plan that there was, then the others."""
    async with engine_of(request).database.transaction() as tx:
        was = await allocations.find(tx, scope)
        names = _ordered(was, [row.channel for row in await catalog.channels(tx)])
    parts = [_part(name, share, form) for name in names if (share := form.text(SHARE + name))]
    if not parts:
        raise MalformedError("no channel has a share; say 80% or a number of units for at least one")
    stated = AllocationPlan(scope=scope, parts=tuple(parts)).stated()
    more: Mapping[str, object] = form.filled("overflow", "refill", "refill_at")
    points = form.number("rebalance_points") if form.text("rebalance_points") else 0
    if isinstance(points, str):
        raise MalformedError(f"Follow sales by (rebalance_points) is {points[:40]!r}; it must be a whole number")
    return plan_of(scope, {**stated, **more, "rebalance_points": points})


def _part(channel: Channel, share: str, form: Form) -> Part:
    try:
        return part_from(f"{channel}={share}:{form.text(KIND + channel) or 'hard'}")
    except MalformedError:
        what = f"{SHARE}{channel} is {share[:40]!r}"
        raise MalformedError(f"{what}; it must be a percentage such as 80%, or a number of units such as 20") from None


def _ordered(plan: AllocationPlan | None, channels: list[Channel]) -> list[Channel]:
    named = [part.channel for part in plan.parts] if plan else []
    return list(dict.fromkeys([*(name for name in named if name in channels), *channels]))


async def _shown(
    request: Request,
    *,
    scope: Scope | None = None,
    plan: AllocationPlan | None = None,
    previewed: AllocationPreviewOut | None = None,
    told: Told | None = None,
    status: int = 200,
) -> Response:
    """The page. `scope`: whose pools and plan are shown."""
    after = request.query_params.get("after", "")
    key = scope_key_from(after)
    database, of = engine_of(request).database, scope or Scope()
    async with database.transaction() as tx:
        await views.freeze(tx)
        at = await now(tx)
        channels = [row.channel for row in await catalog.channels(tx)]
        plan = plan or (await allocations.find(tx, scope) if scope else None)
        rows = await allocations.listed(tx, after=key, limit=PAGE_ROWS + 1)
    last = rows[PAGE_ROWS - 1].plan.scope if len(rows) > PAGE_ROWS else None
    following = json.dumps(allocations.key_of(last)) if last else ""
    held = await pools_of(database, Sku(of.sku)) if of.sku is not None else {}
    if isinstance(held, UnknownSku):
        raise ProblemError(404, in_words(held), kind="unknown-sku")
    parts: Mapping[Channel, Part] = {part.channel: part for part in plan.parts} if plan else {}
    stated = plan.stated() if plan else {}
    stands = {name: str(stated.get(name, "")) for name in ("overflow", "refill", "refill_at", "rebalance_points")}
    for name in channels:
        stands |= {SHARE + name: _share(parts.get(name)), KIND + name: _kind(parts.get(name))}
    changing = [one for one in previewed.effects if one.would_units != one.now_units] if previewed else []
    of_scope = {"sku": of.sku or "", "sku_group": of.sku_group or "", "pattern": of.pattern or ""}
    context = {
        "is_live": True,
        "place": address("/rules/pools", **of_scope, after=after),
        "at": at,
        "plans": [allocation_out(row.plan, row) for row in rows[:PAGE_ROWS]],
        "after": after,
        "next": address("/rules/pools", after=following) if following else "",
        "sku": of.sku or "",
        "held": [pools_out(location, one) for location, one in held.items()],
        "channels": _ordered(plan, channels),
        "stands": stands | of_scope,
        "refills": {one.value: _REFILLS[one] for one in Refill},
        "overflows": {"": "is kept as a buffer"} | {name: f"is sold by {name}" for name in channels},
        "previewed": previewed,
        "changing_count": len(changing),
    }
    return page(request, "pools.html", context, told=told, status=status)


def _share(part: Part | None) -> str:
    if part is None:
        return ""
    return f"{part.percent}%" if part.units is None else str(part.units)


def _kind(part: Part | None) -> str:
    return part.kind.value if part else "hard"


ROUTES = [Route("/rules/pools", listed), Route("/rules/pools", ask, methods=["POST"])]
