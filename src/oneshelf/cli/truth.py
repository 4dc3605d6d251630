"""Commands for sources of truth: who decides a figure where two systems say different things."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from oneshelf.cli.common import (
    EXIT_REFUSED,
    PlainErrors,
    choice_in,
    instant_in,
    on_database,
    show_json,
    show_rows,
    units_in,
)

if TYPE_CHECKING:
    from oneshelf.domain.truth import Scope, TruthRule
    from oneshelf.flow.entrust import Previewed, Unknown
    from oneshelf.storage.database import Database
    from oneshelf.storage.truth_rules import ChangeRow, RuleRow

Answer = TypeVar("Answer")

ACTOR = "cli"
PAGE = 1000

app = typer.Typer(
    cls=PlainErrors,
    help="Who decides a figure: the engine, a channel, an ERP. Which to take: docs/how-to/choose-a-source-of-truth.md",
    no_args_is_help=True,
)

Sku_ = Annotated[str, typer.Option("--sku", help="Only this SKU.")]
Group_ = Annotated[str, typer.Option("--group", help="Only SKUs of this group.")]
Pattern = Annotated[str, typer.Option("--pattern", help="Only SKUs that it fits, such as MUG-*.")]
Figure = Annotated[str, typer.Option("--figure", help="Only on_hand, unshipped or available.")]
Location_ = Annotated[str, typer.Option("--location", help="Only at this location.")]
Strategy_ = Annotated[str, typer.Argument(metavar="STRATEGY", help="engine, leader, last_write_wins or ranks.")]
Leader = Annotated[str, typer.Option("--leader", help="The channel or source that leads.")]
Ranks = Annotated[list[str] | None, typer.Option("--rank", help="A system, the highest first. Again for each.")]
Tolerance = Annotated[str, typer.Option("--tolerance", metavar="UNITS", help="So far off is the same figure.")]
Latest = Annotated[bool, typer.Option("--latest", help="Of equals the latest, not the lowest figure.")]
Reason = Annotated[str, typer.Option("--reason", help="Why; it is kept with the change.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@app.command("set")
def set_(
    strategy: Strategy_,
    sku: Sku_ = "",
    group: Group_ = "",
    pattern: Pattern = "",
    figure: Figure = "",
    location: Location_ = "",
    leader: Leader = "",
    rank: Ranks = None,
    tolerance: Tolerance = "0",
    latest: Latest = False,
    reason: Reason = "",
    as_json: Json = False,
) -> None:
    """Have this rule for a scope; what is stated there is decided anew. `preview` with the same words shows first."""
    from oneshelf.cli.common import words_in
    from oneshelf.flow.entrust import put_rule
    from oneshelf.web.source_outputs import rule_out

    rule = _rule(_scope(sku, group, pattern, figure, location), strategy, leader, rank, tolerance, is_latest=latest)
    why = words_in(reason, what="--reason")

    async def put(database: Database) -> bool | Unknown:
        done = await put_rule(database, rule, actor=ACTOR, reason=why)
        await decide_anew(database)
        return done

    has_changed = known(on_database(put))
    if as_json:
        show_json({"rule": rule_out(rule).model_dump(mode="json"), "changed": has_changed})
    else:
        typer.echo(f"{rule}{'' if has_changed else '; it was so already'}")


@app.command()
def remove(
    sku: Sku_ = "",
    group: Group_ = "",
    pattern: Pattern = "",
    figure: Figure = "",
    location: Location_ = "",
    reason: Reason = "",
) -> None:
    """Have no rule for a scope any more: a wider one decides, or the engine."""
    from oneshelf.cli.common import words_in
    from oneshelf.flow.entrust import end_rule

    scope, why = _scope(sku, group, pattern, figure, location), words_in(reason, what="--reason")

    async def end(database: Database) -> bool | Unknown:
        done = await end_rule(database, scope, actor=ACTOR, reason=why)
        await decide_anew(database)
        return done

    had = known(on_database(end))
    typer.echo(f"{scope}: no rule any more" if had else f"no rule was set for {scope}; oneshelf truth list")


@app.command("list")
def list_(
    at: Annotated[str, typer.Option(metavar="INSTANT", help="As it was then (ISO 8601 with zone).")] = "",
    as_json: Json = False,
) -> None:
    """All rules, the widest first. The narrowest that reaches a figure decides it."""
    from oneshelf.storage import truth_rules
    from oneshelf.web.source_outputs import rule_out

    then = instant_in(at, what="--at")

    async def read(database: Database) -> list[tuple[TruthRule, RuleRow | None]]:
        async with database.transaction() as tx:
            if then is not None:
                return [(rule, None) for rule in await truth_rules.at(tx, then)]
            return [(row.rule, row) for row in await truth_rules.listed(tx)]

    found = on_database(read)
    if as_json:
        show_json([rule_out(rule, row).model_dump(mode="json") for rule, row in found])
        return
    rows = [
        {"rule": str(rule), "set_at": row.set_at if row else None, "set_by": row.set_by if row else None}
        for rule, row in found
    ]
    show_rows(rows, ("rule", "set_at", "set_by"), as_json=False, empty="no rule: the engine decides everything")


@app.command()
def history(
    limit: Annotated[int, typer.Option(help="At most so many.", min=1, max=PAGE)] = 50, as_json: Json = False
) -> None:
    """Who changed which rule when and why, the newest first."""
    from oneshelf.storage import truth_rules
    from oneshelf.web.source_outputs import change_out

    async def read(database: Database) -> list[ChangeRow]:
        async with database.transaction() as tx:
            return await truth_rules.history(tx, limit=limit)

    rows = [change_out(row).model_dump(mode="json") for row in on_database(read)]
    if as_json:
        show_json(rows)
        return
    for row in rows:
        row["before"], row["after"] = _stated(row["before"]), _stated(row["after"])
    columns = ("changed_at", "actor", "scope", "before", "after", "reason")
    show_rows(rows, columns, as_json=False, empty="no rule was ever changed")


@app.command()
def preview(
    strategy: Strategy_,
    sku: Sku_ = "",
    group: Group_ = "",
    pattern: Pattern = "",
    figure: Figure = "",
    location: Location_ = "",
    leader: Leader = "",
    rank: Ranks = None,
    tolerance: Tolerance = "0",
    latest: Latest = False,
    as_json: Json = False,
) -> None:
    """What `set` with the same words would decide differently: statements and open drifts. Nothing is saved."""
    from oneshelf.flow.entrust import preview as look_ahead

    rule = _rule(_scope(sku, group, pattern, figure, location), strategy, leader, rank, tolerance, is_latest=latest)

    async def read(database: Database) -> Previewed | Unknown:
        return await look_ahead(database, rule.scope, rule)

    show_preview(known(on_database(read)), as_json=as_json)


def show_preview(previewed: Previewed, *, as_json: bool) -> None:
    """What would be decided differently."""
    from oneshelf.web.source_outputs import preview_out

    told = preview_out(previewed).model_dump(mode="json")
    if as_json:
        show_json(told)
        return
    columns = ("what", "sku", "location", "figure", "now_by", "would_by", "now_units", "would_units")
    show_rows(told["effects"], columns, as_json=False, empty="nothing would be decided differently")
    rest = "" if previewed.is_whole else ", and there are more"
    typer.echo(f"{previewed.looked_count} figures and drifts were looked at{rest}; nothing was saved")


async def decide_anew(database: Database) -> None:
    """What the change concerns is decided at once; a running engine would do it as well."""
    from oneshelf.cli.source import poster
    from oneshelf.clock import SystemClock
    from oneshelf.flow.state import state

    while await state(database, SystemClock().new_id, poster(database)):
        pass


def _scope(sku: str, group: str, pattern: str, figure: str, location: str) -> Scope:
    from oneshelf.domain.command import CountedFigure
    from oneshelf.domain.identity import location_from, name_from, sku_from
    from oneshelf.domain.truth import Scope

    return Scope(
        sku=sku_from(sku) if sku else None,
        sku_group=name_from(group, what="group") if group else None,
        pattern=name_from(pattern, what="pattern") if pattern else None,
        figure=choice_in(figure, CountedFigure, what="--figure") if figure else None,
        location=location_from(location) if location else None,
    )


def _rule(
    scope: Scope, strategy: str, leader: str, ranks: list[str] | None, tolerance: str, *, is_latest: bool
) -> TruthRule:
    from oneshelf.domain.architecture import peers
    from oneshelf.domain.truth import rule_from

    stated = {
        "strategy": strategy,
        "leader": leader,
        "ranks": peers(ranks or ()),
        "tolerance_units": units_in(tolerance, what="--tolerance"),
        "conservative": not is_latest,
    }
    return rule_from(scope, stated)


def _stated(said: dict[str, Any]) -> str:
    return " ".join(f"{name}={value}" for name, value in said.items()) or "no rule"


def known(outcome: Answer | Unknown) -> Answer:
    """The answer, unless it is a refusal: then that in words, and 1 as the exit code."""
    from oneshelf.flow.entrust import Unknown

    if isinstance(outcome, Unknown):
        typer.echo(str(outcome), err=True)
        raise typer.Exit(EXIT_REFUSED)
    return outcome
