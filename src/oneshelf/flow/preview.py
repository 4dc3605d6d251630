"""Tell what a rule or an allocation plan would do before it is saved, and what a channel would show once signed off.

Reads: listings, policies, measured buffers, allocation plans, balances, what wholesale holds. Writes: nothing.
Next: rule, or a sign-off, if somebody likes what it would do.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import NamedTuple

from oneshelf.domain.allocation import AllocationPlan
from oneshelf.domain.availability import Derivation
from oneshelf.domain.go_live import Cause, PlanLine, Totals, fright_of, line_of, totals
from oneshelf.domain.identity import Channel, ChannelSku, Location, Sku
from oneshelf.domain.offering import Offered, Rules, Stock
from oneshelf.domain.outcome import UnknownSku
from oneshelf.domain.policy import LOW, OF_WHOLESALE, Rule, Scope, UnknownChannel, changed
from oneshelf.domain.pool import Pools
from oneshelf.domain.terms import Step
from oneshelf.domain.wholesale import WHOLESALE
from oneshelf.flow.deriving import figures_of
from oneshelf.flow.pooling import Wish, pools_now, sellable, sellable_now
from oneshelf.flow.room import places
from oneshelf.storage import allocations, balances, catalog, offers, policies, sign_offs, tallies, views, wholesale
from oneshelf.storage.database import Database, Transaction, now
from oneshelf.storage.listings import ListingKey
from oneshelf.storage.sign_offs import PlanPlace

# Unlinked listings among which twins are looked for, for a page.
TWINS_READ = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Effect:
    """What a listing shows by the rules as they are, and what it would show. Units are the listing's own.

    `steps`: how it would come to that. `units_beyond`: what a floor would show beyond the shelf. `is_in_scope`: False
    for a listing of the same SKU that changes because of what is set aside.
    """

    channel: str
    channel_sku: str
    sku: str
    now_units: int
    would_units: int
    units_beyond: int
    steps: tuple[Step, ...]
    is_in_scope: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class WholesaleEffect:
    """How many units of a balance wholesale may take more by the rules as they are, and how many it would be."""

    sku: str
    location: str
    available: int
    allocated: int
    now_units: int
    would_units: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Preview:
    """The effects on the listings of a page, in their order. `rest_count`: listings in the scope that come after them;
    `next_key`: the last of this page, to go on with. `wholesale`: of a rule that speaks of it, as many balances."""

    rule: Rule
    effects: tuple[Effect, ...]
    rest_count: int
    next_key: ListingKey | None
    wholesale: tuple[WholesaleEffect, ...] = ()


async def preview_of_channel(database: Database, channel: Channel) -> list[PlanLine]:
    """What each listing of a channel shows and would show, what frightens most first."""
    async with database.transaction() as tx:
        await views.freeze(tx)
        return [line_of(one) async for one in sign_offs.facts(tx, channel)]


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanPage:
    """Lines of a channel's plan, and where the next page begins.

    `totals`: of the whole plan, as it was counted at `counted_at`, `counted_s` ago.
    """

    totals: Totals
    counted_at: datetime
    counted_s: float
    lines: list[PlanLine]
    next_place: PlanPlace | None


async def page_of_plan(
    database: Database, channel: Channel, *, cause: Cause | None = None, after: PlanPlace | None = None, limit: int
) -> PlanPage:
    """The lines behind `after`, of all or of one cause.

    Twins and other unlinked listings are looked for among each other: a page of them may be short though more follow.
    """
    read_max = max(limit, TWINS_READ) if cause in {Cause.TWINS, Cause.UNLINKED} else limit
    async with database.transaction() as tx:
        await views.freeze(tx)
        tally, at = await tallies.read(tx), await now(tx)
        found = sign_offs.facts(tx, channel, cause=cause, after=after, limit=read_max + 1)
        read = [line_of(one) async for one in found]
    lines = [line for line in read[:read_max] if cause in {None, line.cause}]
    last: PlanLine | None = None
    if len(lines) > limit:
        last = lines[limit - 1]
    elif len(read) > read_max:
        last = read[read_max - 1]
    place = None if last is None else PlanPlace(fright_of(last), ChannelSku(last.channel_sku))
    return PlanPage(
        totals=tally.plan_of(channel),
        counted_at=tally.counted_at,
        counted_s=tally.age_s(at),
        lines=lines[:limit],
        next_place=place,
    )


async def whole_plan(database: Database, channel: Channel) -> PlanPage:
    """All lines on one page, counted from them."""
    lines = await preview_of_channel(database, channel)
    async with database.transaction() as tx:
        counted_at = await now(tx)
    return PlanPage(totals=totals(lines), counted_at=counted_at, counted_s=0.0, lines=lines, next_place=None)


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolEffect:
    """The pools of a SKU at a location as they are and as they would be; None: there are none."""

    sku: Sku
    location: Location
    now: Pools | None
    would: Pools | None


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanPreview:
    """What an allocation plan would do. The page is of listings, as in `Preview`; `pools` are those that they sell."""

    scope: Scope
    plan: AllocationPlan | None
    pools: tuple[PoolEffect, ...]
    effects: tuple[Effect, ...]
    rest_count: int
    next_key: ListingKey | None


async def preview(
    database: Database,
    scope: Scope,
    changes: Mapping[str, int | bool | None],
    *,
    replaces: bool = False,
    after: ListingKey | None = None,
    limit: int = 100,
) -> Preview | UnknownSku | UnknownChannel:
    """What it would do to say these terms for this scope: `changes` to its rule, or instead of it.

    All from one instant, and by the rules and the shelf as they are now; nothing is saved. A guarded SKU may show less:
    what its listings may sell together is bounded after that. Raises MalformedError for
    terms that no rule may have.
    """
    async with database.transaction() as tx:
        await views.freeze(tx)
        if refusal := await policies.unknown(tx, scope):
            return refusal
        before = None if replaces else await policies.find(tx, scope)
        rule = changed(before or Rule(scope=scope), changes)
        page = await _page(tx, scope, after=after, limit=limit)
        stock = replace(page.stock, pools=await sellable_now(tx, page.stock.shelves, at=await now(tx)))
        is_of_wholesale = {name.removeprefix(LOW) for name in changes} & OF_WHOLESALE
        of_wholesale = await _of_wholesale(tx, rule, limit=limit) if is_of_wholesale else ()
        before_it = await figures_of(tx, page.sold, page.rules, stock)
        wished = page.rules.with_wish(scope, rule if rule.stated() else None)
        then = await figures_of(tx, page.sold, wished, stock)
    effects = _effects(page, scope, before_it, then)
    return Preview(
        rule=rule, effects=effects, rest_count=page.rest_count, next_key=page.next_key, wholesale=of_wholesale
    )


async def _of_wholesale(tx: Transaction, rule: Rule, *, limit: int) -> tuple[WholesaleEffect, ...]:
    """What wholesale may take of the balances in the scope of a rule, without it and with it."""
    available = await wholesale.available_in(tx, rule.scope, limit=limit)
    rules = await policies.rules_of(tx, {(sku, WHOLESALE) for sku, _ in available})
    then = rules.with_wish(rule.scope, rule if rule.stated() else None)
    return tuple(
        WholesaleEffect(
            sku=sku,
            location=location,
            available=place.available,
            allocated=place.allocated,
            now_units=place.units(rules),
            would_units=place.units(then),
        )
        for (sku, location), place in sorted((await places(tx, available)).items())
    )


async def preview_plan(
    database: Database,
    scope: Scope,
    plan: AllocationPlan | None,
    *,
    after: ListingKey | None = None,
    limit: int = 100,
) -> PlanPreview | UnknownSku | UnknownChannel:
    """What it would do to have this allocation plan for its scope, None: no plan. As `preview`, nothing is saved."""
    async with database.transaction() as tx:
        await views.freeze(tx)
        if refusal := await allocations.unknown(tx, scope, plan):
            return refusal
        page = await _page(tx, scope, after=after, limit=limit)
        at, wish = await now(tx), Wish(scope=scope, plan=plan)
        shelves = page.stock.shelves
        held = await pools_now(tx, shelves, at=at)
        would = await pools_now(tx, shelves, at=at, wish=wish)
        as_is = replace(page.stock, pools=await sellable(tx, held))
        wished = replace(page.stock, pools=await sellable(tx, would))
        before_it = await figures_of(tx, page.sold, page.rules, as_is)
        then = await figures_of(tx, page.sold, page.rules, wished)
    return PlanPreview(
        scope=scope,
        plan=plan,
        pools=tuple(
            PoolEffect(sku=key[0], location=key[1], now=held.get(key), would=would.get(key))
            for key in sorted(held.keys() | would.keys())
        ),
        effects=_effects(page, scope, before_it, then),
        rest_count=page.rest_count,
        next_key=page.next_key,
    )


async def pools_of(database: Database, sku: Sku, *, is_refilled: bool = False) -> dict[Location, Pools] | UnknownSku:
    """The pools of a SKU now, by location; `is_refilled`: as a refill would make them. Nothing is saved."""
    async with database.transaction() as tx:
        await views.freeze(tx)
        if not await catalog.known_skus(tx, [sku]):
            return UnknownSku(sku)
        wish = Wish(refilled=frozenset([sku]) if is_refilled else frozenset())
        held = await pools_now(tx, await balances.read(tx, [sku]), at=await now(tx), wish=wish)
    return {location: one for (_, location), one in sorted(held.items())}


class _Page(NamedTuple):
    """The listings of a page, and all that are derived with them: `sold`, all listings of their SKUs."""

    keys: set[ListingKey]
    rest_count: int
    next_key: ListingKey | None
    sold: list[Offered]
    rules: Rules
    stock: Stock


async def _page(tx: Transaction, scope: Scope, *, after: ListingKey | None, limit: int) -> _Page:
    page = await offers.in_scope(tx, scope, after=after, limit=limit)
    last = page[-1][0] if page else after
    rest = await offers.count_in_scope(tx, scope, after=last)
    sold = await offers.of_skus(tx, {sku for _, sku in page})
    rules = await policies.rules_of(tx, {(one.sku, one.channel) for one in sold})
    stock = await offers.stock_of(tx, sold)
    return _Page({key for key, _ in page}, rest, last if rest else None, sold, rules, stock)


def _effects(
    page: _Page, scope: Scope, now: Mapping[ListingKey, Derivation], then: Mapping[ListingKey, Derivation]
) -> tuple[Effect, ...]:
    return tuple(
        _effect(key, one.sku, now[key], then[key], is_in_scope=key in page.keys)
        for one in page.sold
        for key in [one.key]
        if key in page.keys or (now[key].units != then[key].units and not page.rules.is_reached(one, scope))
    )


def _effect(key: ListingKey, sku: str, now: Derivation, then: Derivation, *, is_in_scope: bool) -> Effect:
    return Effect(
        channel=key[0],
        channel_sku=key[1],
        sku=sku,
        now_units=now.units,
        would_units=then.units,
        units_beyond=then.units_beyond,
        steps=then.steps,
        is_in_scope=is_in_scope,
    )
