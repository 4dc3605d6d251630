"""What waits for somebody in the warehouse: transfers under way, units to be looked at, and what runs low."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from oneshelf.cli.common import EXIT_REFUSED, on_database, os_user, show_json, show_rows, units_in
from oneshelf.cli.posting import NEGATIVE, Json

if TYPE_CHECKING:
    from oneshelf.domain.outcome import UnknownSku
    from oneshelf.domain.reorder import ReorderRule, ReorderScope
    from oneshelf.storage.database import Database
    from oneshelf.storage.detail_views import InspectionRow
    from oneshelf.storage.low_stocks import LowRow, ReorderRow
    from oneshelf.storage.transfers import TransferRow

Sku_ = Annotated[str, typer.Option("--sku", help="Of this SKU only.")]
Location_ = Annotated[str, typer.Option("--location", help="At, from or to this location only.")]
_TRANSFERS = (
    *("transfer_id", "sku", "origin", "target", "units_sent", "units_arrived", "units_over", "units_lost"),
    *("units_under_way", "created_at", "is_overdue"),
)
_INSPECTIONS = ("sku", "location", "quality_control", "damaged", "since")
_LOW = ("sku", "title", "available", "incoming", "reorder_at", "sold_per_day", "days_left", "since")
_RULES = ("sku", "sku_group", "units", "cover_days", "set_by", "set_at")
ROWS_MAX = 1_000
DAY_S = 86_400.0


def register(app: typer.Typer) -> None:
    """Add the commands of this file."""
    for command in (transfers, inspections, low, reorder):
        app.command(context_settings=NEGATIVE)(command)


def transfers(
    sku: Sku_ = "",
    location: Location_ = "",
    shows_all: Annotated[bool, typer.Option("--all", help="Those too that have arrived.")] = False,
    overdue_days: Annotated[str, typer.Option(help="So many days under way are overdue.")] = "7",
    as_json: Json = False,
) -> None:
    """Units on their way between two locations, the oldest first. What is lost: oneshelf stock arrive T7 MUG 0."""
    from oneshelf.domain.identity import location_from, sku_from
    from oneshelf.storage import transfers as stored

    of, at = sku_from(sku) if sku else None, location_from(location) if location else None
    overdue_s = units_in(overdue_days, what="--overdue-days") * DAY_S

    async def read(database: Database) -> list[TransferRow]:
        async with database.transaction() as tx:
            return await stored.rows(
                tx, overdue_s=overdue_s, only_under_way=not shows_all, sku=of, location=at, limit=ROWS_MAX
            )

    empty = "nothing was ever sent" if shows_all else "nothing is under way"
    show_rows(on_database(read), _TRANSFERS, as_json=as_json, empty=empty)


def inspections(sku: Sku_ = "", location: Location_ = "", as_json: Json = False) -> None:
    """Units in quality control or damaged: release them with `move`, or `write-off`."""
    from oneshelf.domain.identity import location_from, sku_from
    from oneshelf.storage import detail_views

    of, at = sku_from(sku) if sku else None, location_from(location) if location else None

    async def read(database: Database) -> list[InspectionRow]:
        async with database.transaction() as tx:
            return await detail_views.inspection_rows(tx, sku=of, location=at, limit=ROWS_MAX)

    show_rows(on_database(read), _INSPECTIONS, as_json=as_json, empty="nothing waits to be looked at")


def low(as_json: Json = False) -> None:
    """SKUs that have fallen to their reorder point, with what is coming and for how many days it lasts."""
    from oneshelf.flow.watch import watch
    from oneshelf.storage import low_stocks

    async def read(database: Database) -> list[LowRow]:
        await watch(database)
        async with database.transaction() as tx:
            return await low_stocks.rows(tx, limit=ROWS_MAX)

    show_rows(on_database(read), _LOW, as_json=as_json, empty="nothing is low")


def reorder(
    units: Annotated[str, typer.Argument(metavar="[UNITS]", help="Low at so many available units; 0: never.")] = "",
    sku: Annotated[str, typer.Option(help="For this SKU.")] = "",
    group: Annotated[str, typer.Option(help="For the SKUs of this group.")] = "",
    for_all: Annotated[bool, typer.Option("--all", help="For every SKU that no other rule is for.")] = False,
    cover_days: Annotated[
        str, typer.Option(metavar="DAYS", help="Low when no more is there than is sold in so many days.")
    ] = "",
    ends: Annotated[bool, typer.Option("--end", help="End the rule.")] = False,
    by: Annotated[str, typer.Option(help="Who says so. Default: the user of this computer.")] = "",
    as_json: Json = False,
) -> None:
    """Say when a SKU is low: oneshelf stock reorder 12 --sku MUG, or --cover-days 14 --all. With nothing: the rules."""
    from oneshelf.domain.identity import name_from, sku_from
    from oneshelf.domain.reorder import ReorderRule, ReorderScope
    from oneshelf.errors import MalformedError

    if not (units or cover_days or ends or sku or group or for_all):
        _show_rules(as_json=as_json)
        return
    if bool(sku) + bool(group) + for_all != 1:
        raise MalformedError("say for what: --sku SKU, --group GROUP or --all, one of these")
    scope = ReorderScope(
        sku=sku_from(sku) if sku else None, sku_group=name_from(group, what="--group") if group else None
    )
    if ends:
        if units or cover_days:
            raise MalformedError("--end ends the rule: say no units and no days with it")
        _end(scope, as_json=as_json)
        return
    rule = ReorderRule(
        units=units_in(units) if units else None,
        cover_days=units_in(cover_days, what="--cover-days") if cover_days else None,
    )
    _set(scope, rule, by=name_from(by or os_user(), what="--by"), as_json=as_json)


def _set(scope: ReorderScope, rule: ReorderRule, *, by: str, as_json: bool) -> None:
    from oneshelf.domain.outcome import in_words
    from oneshelf.flow import watch

    async def ask(database: Database) -> UnknownSku | None:
        return await watch.set_rule(database, scope, rule, by=by)

    if refusal := on_database(ask):
        typer.echo(in_words(refusal), err=True)
        raise typer.Exit(EXIT_REFUSED)
    if as_json:
        show_json(rule)
        return
    point = f"{rule.units} units" if rule.units is not None else f"what is sold in {rule.cover_days} days"
    typer.echo(f"{_named(scope)}: low at {point}")


def _end(scope: ReorderScope, *, as_json: bool) -> None:
    from oneshelf.domain.outcome import in_words
    from oneshelf.flow import watch

    async def ask(database: Database) -> UnknownSku | None:
        return await watch.end_rule(database, scope)

    if refusal := on_database(ask):
        typer.echo(in_words(refusal), err=True)
        raise typer.Exit(EXIT_REFUSED)
    if as_json:
        show_json({"ended": True})
        return
    typer.echo(f"{_named(scope)}: no rule says when it is low")


def _show_rules(*, as_json: bool) -> None:
    from oneshelf.storage import low_stocks

    async def read(database: Database) -> list[ReorderRow]:
        async with database.transaction() as tx:
            return await low_stocks.rules(tx)

    show_rows(on_database(read), _RULES, as_json=as_json, empty="no rule says when a SKU is low")


def _named(scope: ReorderScope) -> str:
    return str(scope.sku) if scope.sku else f"group {scope.sku_group}" if scope.sku_group else "every SKU"
