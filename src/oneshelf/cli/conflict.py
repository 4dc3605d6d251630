"""Commands for conflicts: what disagreed, which rule decided, and what a person says of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from oneshelf.cli.common import PlainErrors, on_database, show_json, show_rows, uuid_in

if TYPE_CHECKING:
    from oneshelf.storage.conflicts import ConflictRow
    from oneshelf.storage.database import Database
    from oneshelf.storage.statements import FigureKey

PAGE = 1000
_COLUMNS = ("conflict_id", "opened_at", "sku", "location", "figure", "kind", "state", "winner", "beaten", "rule")

app = typer.Typer(cls=PlainErrors, help="What two systems disagreed about, and what decided.", no_args_is_help=True)

Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Id = Annotated[str, typer.Argument(metavar="ID", help="The conflict's id, as the list tells it.")]


@app.command("list")
def list_(
    only_open: Annotated[bool, typer.Option("--open", help="Only those somebody should look at.")] = False,
    sku: Annotated[str, typer.Option(help="Only of this SKU.")] = "",
    limit: Annotated[int, typer.Option(help="At most so many.", min=1, max=PAGE)] = 100,
    as_json: Json = False,
) -> None:
    """Open ones first, then the newest."""
    from oneshelf.domain.identity import sku_from
    from oneshelf.storage import conflicts
    from oneshelf.web.source_outputs import conflict_out

    only = sku_from(sku) if sku else None

    async def read(database: Database) -> list[ConflictRow]:
        async with database.transaction() as tx:
            return await conflicts.listed(tx, only_open=only_open, sku=only, limit=limit)

    found = on_database(read)
    if as_json:
        show_json([conflict_out(row).model_dump(mode="json") for row in found])
        return
    rows = [{**row._asdict(), "winner": _side(row.winner), "beaten": _side(row.beaten)} for row in found]
    show_rows(rows, _COLUMNS, as_json=False, empty="no open conflict" if only_open else "no conflict")


@app.command()
def show(conflict_id: Id, as_json: Json = False) -> None:
    """One conflict: both sides, the rule, and what can be done."""
    from oneshelf.errors import UnknownConflictError
    from oneshelf.storage import conflicts
    from oneshelf.web.source_outputs import conflict_out

    wanted = uuid_in(conflict_id, what="ID", origin="oneshelf conflict list")

    async def read(database: Database) -> ConflictRow:
        async with database.transaction() as tx:
            row = await conflicts.find(tx, wanted)
        if row is None:
            raise UnknownConflictError(f"no conflict {wanted}; those there are: oneshelf conflict list")
        return row

    row = on_database(read)
    if as_json:
        show_json(conflict_out(row).model_dump(mode="json"))
        return
    for name, value in row._asdict().items():
        if value not in (None, ""):
            typer.echo(f"{name.replace('_', ' ')}: {_side(value) if isinstance(value, dict) else value}")
    if row.state in {"open", "decided"}:
        typer.echo(f"if {_side(row.beaten)} is right: oneshelf conflict overrule {row.conflict_id} --by NAME")
    if row.state == "open" and row.kind == "equivocation":
        typer.echo(f"if {_side(row.winner)} is right: oneshelf conflict keep {row.conflict_id} --by NAME")


@app.command()
def overrule(
    conflict_id: Id,
    by: Annotated[str, typer.Option("--by", help="Who says so.")],
    reason: Annotated[str, typer.Option("--reason", help="Why; it is kept.")] = "",
    as_json: Json = False,
) -> None:
    """What was beaten is right. Said again, units move once."""
    from oneshelf.cli.common import words_in
    from oneshelf.cli.source import poster
    from oneshelf.clock import SystemClock
    from oneshelf.domain.identity import name_from
    from oneshelf.flow.overrule import overrule as decide
    from oneshelf.flow.state import settle

    wanted = uuid_in(conflict_id, what="ID", origin="oneshelf conflict list")
    who, why = name_from(by, what="--by"), words_in(reason, what="--reason")

    async def do(database: Database) -> str:
        async def again(key: FigureKey) -> int:
            return await settle(database, SystemClock().new_id, poster(database), key)

        return await decide(database, wanted, actor=who, reason=why, post=poster(database), settle=again)

    words = on_database(do)
    if as_json:
        show_json({"conflict_id": str(wanted), "detail": words})
    else:
        typer.echo(words)


@app.command()
def keep(
    conflict_id: Id,
    by: Annotated[str, typer.Option("--by", help="Who says so.")],
    reason: Annotated[str, typer.Option("--reason", help="Why; it is kept.")] = "",
    as_json: Json = False,
) -> None:
    """Of a document with two contents the first is right. Nothing moves, and nobody has to look any more."""
    from oneshelf.cli.common import words_in
    from oneshelf.domain.identity import name_from
    from oneshelf.flow.overrule import keep as decide

    wanted = uuid_in(conflict_id, what="ID", origin="oneshelf conflict list")
    who, why = name_from(by, what="--by"), words_in(reason, what="--reason")
    words = on_database(lambda database: decide(database, wanted, actor=who, reason=why))
    if as_json:
        show_json({"conflict_id": str(wanted), "detail": words})
    else:
        typer.echo(words)


def _side(side: dict[str, Any]) -> str:
    return f"{side['source']} {side['document']}".strip() + f" {side.get('value', side['units'])}"
