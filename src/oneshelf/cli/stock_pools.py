"""`oneshelf stock pools`: which part of a SKU's units each channel may sell, and what is left of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from oneshelf.cli.common import EXIT_REFUSED, PlainErrors, choice_in, on_database, show_json, show_rows
from oneshelf.cli.posting import Json, Sku_

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from oneshelf.domain.allocation import AllocationPlan
    from oneshelf.domain.identity import Location
    from oneshelf.domain.outcome import UnknownSku
    from oneshelf.domain.policy import Scope, UnknownChannel
    from oneshelf.domain.pool import Pools
    from oneshelf.flow.preview import PlanPreview
    from oneshelf.flow.rule import PlanPut
    from oneshelf.storage.allocations import PlanRow
    from oneshelf.storage.database import Database
    from oneshelf.storage.pools import CarvingRow

Answer = TypeVar("Answer")

ACTOR = "cli"
PAGE = 1000
REST = "(the rest)"
_HELD = ("location", "pool", "kind", "share", "shared", "moved", "sold", "left")
_EFFECTS = ("channel", "listing", "sku", "now", "would", "because")
_POOLS = ("sku", "location", "pool", "sold", "now", "would")

app = typer.Typer(
    cls=PlainErrors,
    help="Share a SKU's units among channels. How and why: docs/how-to/share-stock-among-channels.md",
    no_args_is_help=True,
)

_PARTS = "my-shop=80% my-amz=15%:soft my-ebay=20 …: a percentage, or units; :soft lends to and borrows of soft ones."
Parts_ = Annotated[list[str], typer.Argument(metavar="CHANNEL=SHARE...", help=_PARTS)]
SomeParts_ = Annotated[
    list[str] | None, typer.Argument(metavar="[CHANNEL=SHARE...]", help=f"{_PARTS} None: without any plan.")
]
OfSku_ = Annotated[str | None, typer.Option("--sku", help="Only this SKU.")]
Group_ = Annotated[str | None, typer.Option("--group", help="Only SKUs of this group.")]
Pattern_ = Annotated[str | None, typer.Option("--pattern", help="Only SKUs that it fits, such as MUG-*.")]
Overflow_ = Annotated[str, typer.Option(help="The channel that sells the rest after its own pool; default: a buffer.")]
Refill_ = Annotated[
    str,
    typer.Option(
        help="receipts: what comes in is shared at once; daily, at --at; manual: oneshelf stock pools refill."
    ),
]
At_ = Annotated[str, typer.Option("--at", help="HH:MM in UTC, of a daily refill.")]
Rebalance_ = Annotated[
    int, typer.Option("--rebalance", help="By so many points a percentage may move towards what sells, at a refill.")
]


@app.command("set")
def set_(
    parts: Parts_,
    sku: OfSku_ = None,
    group: Group_ = None,
    pattern: Pattern_ = None,
    overflow: Overflow_ = "",
    refill: Refill_ = "",
    at: At_ = "",
    rebalance: Rebalance_ = 0,
    as_json: Json = False,
) -> None:
    """Have this allocation plan for a scope, in place of its last one. For a SKU the narrowest holds, taken whole."""
    from oneshelf.flow.rule import put_plan
    from oneshelf.web.allocation_outputs import allocation_out

    plan = _plan(_scope(sku, group, pattern), parts, overflow=overflow, refill=refill, at=at, rebalance=rebalance)

    async def put(database: Database) -> PlanPut | UnknownSku | UnknownChannel:
        return await put_plan(database, plan, actor=ACTOR)

    done = _known(on_database(put))
    if as_json:
        told = allocation_out(plan).model_dump(mode="json")
        show_json({"allocation": told, "listing_count": done.listing_count})
    else:
        what_now = "" if done.listing_count else "; it holds for what fits it later. oneshelf listing list shows SKUs"
        typer.echo(f"{plan.scope}: {plan}; {done.listing_count} listings are in it{what_now}")


@app.command()
def end(sku: OfSku_ = None, group: Group_ = None, pattern: Pattern_ = None, as_json: Json = False) -> None:
    """Have no allocation plan for a scope any more: a wider one holds, or none."""
    from oneshelf.flow.rule import end_plan
    from oneshelf.web.allocation_outputs import allocation_out

    scope = _scope(sku, group, pattern)

    async def end_it(database: Database) -> AllocationPlan | UnknownSku | UnknownChannel | None:
        return await end_plan(database, scope, actor=ACTOR)

    ended = _known(on_database(end_it))
    if as_json:
        show_json({"ended": allocation_out(ended).model_dump(mode="json") if ended else None})
    elif ended is None:
        typer.echo(f"no allocation plan was set for {scope}; oneshelf stock pools list shows all there are")
    else:
        typer.echo(f"{scope}: no allocation plan any more; it was {ended}")


@app.command("list")
def list_(as_json: Json = False) -> None:
    """All allocation plans, that for everything first."""
    from oneshelf.storage import allocations
    from oneshelf.web.allocation_outputs import allocation_out

    async def read(database: Database) -> list[PlanRow]:
        rows: list[PlanRow] = []
        async with database.transaction() as tx:
            while page := await allocations.listed(tx, after=_last(rows), limit=PAGE):
                rows += page
        return rows

    found = on_database(read)
    if as_json:
        show_json([allocation_out(row.plan, row).model_dump(mode="json") for row in found])
        return
    rows = [
        {"for": str(row.plan.scope), "pools": str(row.plan), "set_at": row.set_at, "set_by": row.set_by}
        for row in found
    ]
    show_rows(rows, ("for", "pools", "set_at", "set_by"), as_json=False, empty="no allocation plan: nothing is shared")


@app.command()
def preview(
    parts: SomeParts_ = None,
    sku: OfSku_ = None,
    group: Group_ = None,
    pattern: Pattern_ = None,
    overflow: Overflow_ = "",
    refill: Refill_ = "",
    at: At_ = "",
    rebalance: Rebalance_ = 0,
    limit: Annotated[int, typer.Option(help="At most so many listings.", min=1, max=PAGE)] = 50,
    as_json: Json = False,
) -> None:
    """What `set` with the same words would do to each pool and listing that it reaches. Nothing is saved."""
    from oneshelf.flow.preview import preview_plan
    from oneshelf.web.allocation_outputs import plan_preview_out

    scope = _scope(sku, group, pattern)
    plan = _plan(scope, parts, overflow=overflow, refill=refill, at=at, rebalance=rebalance) if parts else None

    async def read(database: Database) -> PlanPreview | UnknownSku | UnknownChannel:
        return await preview_plan(database, scope, plan, limit=limit)

    wished = _known(on_database(read))
    if as_json:
        show_json(plan_preview_out(wished).model_dump(mode="json"))
        return
    rows = [row for one in wished.pools for row in _compared(one.sku, one.location, one.now, one.would)]
    show_rows(rows, _POOLS, as_json=False, empty="no pool: nothing of this scope is counted and listed yet")
    typer.echo("")
    effects = [
        {
            "channel": effect.channel,
            "listing": effect.channel_sku,
            "sku": effect.sku,
            "now": effect.now_units,
            "would": effect.would_units,
            "because": "; ".join(step.name for step in effect.steps) or "all is shown that is there",
        }
        for effect in wished.effects
    ]
    show_rows(effects, _EFFECTS, as_json=False, empty="no listing is in it")
    typer.echo("")
    changing = sum(effect.now_units != effect.would_units for effect in wished.effects)
    typer.echo(f"{scope}: {changing} of these {len(wished.effects)} listings would change; nothing was saved")
    if wished.rest_count:
        typer.echo(f"{wished.rest_count} more listings are in it; --limit {PAGE} shows more, the API shows all")


@app.command()
def show(
    sku: Sku_,
    refilled: Annotated[
        bool, typer.Option("--refilled", help="As a refill would make them now; saves nothing.")
    ] = False,
    as_json: Json = False,
) -> None:
    """What each channel may still sell of a SKU: given by its share, sold since, left, and the next refill."""
    from oneshelf.domain.identity import sku_from
    from oneshelf.flow.preview import pools_of
    from oneshelf.storage import pools
    from oneshelf.web.allocation_outputs import sku_pools_out

    name = sku_from(sku)

    async def read(database: Database) -> tuple[Mapping[Location, Pools] | UnknownSku, Sequence[CarvingRow]]:
        held = await pools_of(database, name, is_refilled=refilled)
        async with database.transaction() as tx:
            return held, await pools.carvings(tx, name, limit=PAGE)

    found, carvings = on_database(read)
    held = _known(found, is_one=True)
    if as_json:
        show_json(sku_pools_out(name, held, carvings).model_dump(mode="json"))
        return
    rows = [row for location, one in held.items() for row in _held(location, one)]
    show_rows(
        rows, _HELD, as_json=False, empty=f"no allocation plan reaches {name}; see oneshelf stock pools set --help"
    )
    for location, one in held.items():
        typer.echo(f"{location}: {one.units} available, by the plan for {one.plan.scope}. {_when(one)}")


@app.command()
def refill(sku: Sku_, as_json: Json = False) -> None:
    """Share all that is available of a SKU anew among its pools. `show --refilled` tells before what that would do."""
    from oneshelf.domain.identity import sku_from
    from oneshelf.flow.rule import refill_pools

    name = sku_from(sku)

    async def ask(database: Database) -> int | UnknownSku:
        return await refill_pools(database, name)

    count = _known(on_database(ask), is_one=True)
    if as_json:
        show_json({"sku": name, "location_count": count})
    elif count:
        typer.echo(f"{name}: the pools at {count} locations are shared anew as soon as the engine plans")
    else:
        typer.echo(
            f"{name} has no pools yet; oneshelf stock pools list shows the plans, and a running engine makes them"
        )


def _scope(sku: str | None, group: str | None, pattern: str | None) -> Scope:
    """What a plan is for. An empty name is refused: it may be a variable of a shell that nobody has set."""
    from oneshelf.domain.identity import name_from, sku_from
    from oneshelf.domain.policy import Scope

    return Scope(
        sku=None if sku is None else sku_from(sku),
        sku_group=None if group is None else name_from(group, what="group"),
        pattern=None if pattern is None else name_from(pattern, what="pattern"),
    )


def _plan(scope: Scope, parts: Sequence[str], *, overflow: str, refill: str, at: str, rebalance: int) -> AllocationPlan:
    from oneshelf.domain.allocation import AllocationPlan, Refill, minute_from, part_from
    from oneshelf.domain.identity import channel_from

    return AllocationPlan(
        scope=scope,
        parts=tuple(map(part_from, parts)),
        overflow=channel_from(overflow) if overflow else None,
        refill=choice_in(refill, Refill, what="refill") if refill else Refill.RECEIPTS,
        refill_minute=minute_from(at) if at else None,
        rebalance_points=rebalance,
    )


def _held(location: Location, pools: Pools) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = [
        {
            "location": location,
            "pool": pool.channel,
            "kind": pool.part.kind.value,
            "share": f"{pool.part.units} units" if pool.percent is None else f"{pool.percent}%",
            "shared": pool.carved,
            "moved": pool.moved,
            "sold": pool.sold,
            "left": pool.left,
        }
        for pool in pools.pools
    ]
    kind = f"sold by {pools.plan.overflow}" if pools.plan.overflow else "buffer"
    rest = {"location": location, "pool": REST, "kind": kind, "share": f"{pools.plan.rest_percent}%"}
    moved = pools.rest - pools.rest_carved
    return [*rows, {**rest, "shared": pools.rest_carved, "moved": moved, "sold": 0, "left": pools.rest}]


def _compared(sku: str, location: str, now: Pools | None, would: Pools | None) -> list[dict[str, Any]]:
    """The pools of a SKU as they are and as they would be."""
    then = {str(pool.channel): pool for pool in now.pools} if now else {}
    wished = {str(pool.channel): pool for pool in would.pools} if would else {}
    rows: list[dict[str, Any]] = [
        {
            "pool": name,
            "sold": then[name].sold if name in then else None,
            "now": then[name].left if name in then else None,
            "would": wished[name].left if name in wished else None,
        }
        for name in dict.fromkeys([*wished, *then])
    ]
    rest = {"pool": REST, "sold": None, "now": now.rest if now else None, "would": would.rest if would else None}
    return [{"sku": sku, "location": location, **row} for row in (*rows, rest)]


def _when(pools: Pools) -> str:
    shared = f"Shared {pools.carved_at:%Y-%m-%d %H:%M} UTC ({pools.why}); next: "
    if pools.refill_at is not None:
        return f"{shared}{pools.refill_at:%Y-%m-%d %H:%M} UTC"
    return shared + ("what comes in" if pools.plan.refill == "receipts" else "when somebody refills it")


def _last(rows: Sequence[PlanRow]) -> tuple[str, str, str] | None:
    from oneshelf.storage.allocations import key_of

    return key_of(rows[-1].plan.scope) if rows else None


def _known(outcome: Answer | UnknownSku | UnknownChannel, *, is_one: bool = False) -> Answer:
    """The answer, unless it is a refusal: then that in words, and 1 as the exit code. `is_one`: a pattern is no SKU."""
    from oneshelf.domain.outcome import UnknownSku, in_words
    from oneshelf.domain.policy import UnknownChannel

    if isinstance(outcome, UnknownSku):
        if is_one and set(outcome.sku) & set("*?["):
            words = f"no SKU is called {outcome.sku!r}, and this takes one SKU, no pattern: again for each"
            typer.echo(f"{words}. oneshelf listing list shows SKUs", err=True)
        else:
            typer.echo(in_words(outcome), err=True)
        raise typer.Exit(EXIT_REFUSED)
    if isinstance(outcome, UnknownChannel):
        typer.echo(f"no channel {outcome.channel!r}; oneshelf channel list", err=True)
        raise typer.Exit(EXIT_REFUSED)
    return outcome
