"""`oneshelf stock import`: what files say about stock, looked at first, applied once, stopped, taken back as one."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from oneshelf.cli.common import (
    EXIT_INTERRUPTED,
    EXIT_REFUSED,
    choice_in,
    on_database,
    os_user,
    pairs_in,
    show_json,
    show_rows,
    typed,
)
from oneshelf.cli.posting import Json

if TYPE_CHECKING:
    from oneshelf.files.importing import Wish
    from oneshelf.files.kind import Told
    from oneshelf.files.report import Report
    from oneshelf.storage.database import Database

KINDS = "skus, locations, listings, counts, receipts or policies"
READ = "skus, locations, listings, counts, receipts, policies or wholesale-orders"
_PROBLEMS = ("line", "column", "value", "reason")
_EFFECTS = ("line", "row", "effect")
_FILES = (
    *("import_id", "file_name", "kind", "state", "row_count", "applied_count", "problem_count"),
    *("began_at", "ended_at", "source", "stopped_by"),
)
_TOLD_EVERY = 50_000


def register(app: typer.Typer) -> None:
    """Add the commands of this file."""
    app.command("import")(import_)
    app.command("imports")(imports)
    app.command("import-stop")(import_stop)
    app.command("export")(export)


def import_(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="CSV or .xlsx; its first row names the columns.")],
    kind: Annotated[str, typer.Option("--as", metavar="KIND", help=f"What is in it: {READ}.")] = "counts",
    taken_at: Annotated[
        str,
        typer.Option(
            metavar="INSTANT",
            help="When the figures were taken (ISO 8601 with zone), for rows without taken_at: what moved since is "
            "not erased. now: at this instant.",
        ),
    ] = "",
    location: Annotated[str, typer.Option(metavar="LOCATION", help="Where, for rows that do not say it.")] = "",
    preview: Annotated[bool, typer.Option("--preview", help="Say what each row would do, and change nothing.")] = False,
    atomic: Annotated[
        str,
        typer.Option(metavar="file|row", help="What is done if a row is wrong: nothing, or all but that row."),
    ] = "file",
    source: Annotated[
        str, typer.Option(metavar="NAME", help="Who sends such files: one much shorter than the last is refused.")
    ] = "",
    allow: Annotated[
        list[str] | None,
        typer.Option(metavar="zeros|fewer|again", help="It is meant so: zeros; few rows; one that was taken back."),
    ] = None,
    column: Annotated[
        list[str] | None, typer.Option(metavar="OURS=THEIRS", help="How the file calls a column, such as sku=ItemNo.")
    ] = None,
    ignore: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="A column that nobody reads; * for all unknown ones.")
    ] = None,
    encoding: Annotated[str, typer.Option(help="Of a CSV file, such as cp1252.")] = "utf-8",
    sheet: Annotated[str, typer.Option(help="Of a workbook with several sheets.")] = "",
    as_json: Json = False,
) -> None:
    """Bring in a file: counts, receipts, SKUs and more. All rows or none, and once however often."""
    from oneshelf.domain.file_breaker import Allowance
    from oneshelf.domain.identity import name_from
    from oneshelf.files.importing import Atomic, Wish
    from oneshelf.files.kinds import kind_named
    from oneshelf.files.table import Reading

    wish = Wish(
        kind=kind_named(kind),
        file_name=typed(file.name, what="FILE")[:200],
        told=_told(taken_at, location),
        reading=Reading(
            encoding=encoding,
            sheet=typed(sheet, what="--sheet"),
            names=pairs_in(column or (), option="--column"),
            ignored=frozenset(ignore or ()),
        ),
        atomic=choice_in(atomic, Atomic, what="--atomic"),
        source=name_from(source, what="--source") if source else "",
        is_preview=preview,
        allowed=frozenset(choice_in(one, Allowance, what="--allow") for one in allow or ()),
    )
    report = _brought_in(file, wish, silent=as_json)
    _show(report, as_json=as_json)
    if not report.is_done:
        raise typer.Exit(EXIT_REFUSED)


def imports(
    limit: Annotated[int, typer.Option(help="So many, the newest first.", min=1, max=500)] = 20,
    as_json: Json = False,
) -> None:
    """Files that were brought in or are under way, from a folder, a page or a program too, with their ids."""
    from oneshelf.storage import imports as rows
    from oneshelf.web.files import FileOut

    async def read(database: Database) -> list[FileOut]:
        async with database.transaction() as tx:
            return [FileOut.of(row) for row in await rows.listed(tx, limit=limit)]

    show_rows(on_database(read), _FILES, as_json=as_json, empty="no file yet: oneshelf stock import FILE")


def import_stop(
    import_id: Annotated[str, typer.Argument(metavar="ID", help="Of oneshelf stock imports.")],
    as_json: Json = False,
) -> None:
    """Stop a file that is under way, within some thousand rows. What it did stays; brought in again, it goes on."""
    from oneshelf.errors import ConfigurationError
    from oneshelf.files.importing import stop
    from oneshelf.files.report import State, in_words

    named = typed(import_id, what="ID")

    async def ask(database: Database) -> Report | None:
        return await stop(database, named, by=os_user())

    report = on_database(ask)
    if report is None:
        raise ConfigurationError(f"no file {named[:40]!r} was brought in. Way out: oneshelf stock imports")
    if as_json:
        show_json(report)
        return
    if report.state in {State.APPLIED, State.BROKEN_OFF}:
        typer.echo("nothing was to be stopped")
    typer.echo(in_words(report))
    if report.undo and report.applied_count:
        typer.echo(f"take it back: {report.undo}")


def export(
    kind: Annotated[str, typer.Argument(metavar="KIND", help=f"What to write: {KINDS}.")],
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Where to: its name ends in .csv or .xlsx.")],
    as_json: Json = False,
) -> None:
    """Write what there is, as of one instant, in the columns that import reads."""
    from oneshelf.errors import ConfigurationError, MalformedError
    from oneshelf.files.exporting import Format, write_out

    form = next((one for one in Format if file.name.casefold().endswith(f".{one}")), None)
    if form is None:
        raise MalformedError(f"{file.name!r} must end in .csv or .xlsx; that says how it is written")
    # Whoever waits for the file finds a whole one or none.
    part = file.with_name(f".{file.name}.part")

    async def write(database: Database) -> int:
        return await write_out(database, kind, part, form)

    try:
        row_count = on_database(write)
        part.replace(file)
    except OSError as failure:
        raise ConfigurationError(f"{file}: {failure.strerror}") from None
    finally:
        part.unlink(missing_ok=True)
    if as_json:
        show_json({"kind": kind, "file": str(file), "row_count": row_count})
    else:
        typer.echo(f"{row_count} {kind} written to {file}")


def _told(taken_at: str, location: str) -> Told:
    from oneshelf.domain.identity import instant_from, location_from
    from oneshelf.files.kind import Told

    return Told(
        taken_at=instant_from(taken_at, what="--taken-at") if taken_at not in {"", "now"} else None,
        says_taken_at=bool(taken_at),
        location=location_from(location) if location else None,
    )


def _brought_in(path: Path, wish: Wish, *, silent: bool) -> Report:
    from oneshelf.clock import SystemClock
    from oneshelf.errors import ConfigurationError
    from oneshelf.files.importing import bring_in

    try:
        origin = path.open("rb")
    except OSError as failure:
        raise ConfigurationError(f"{path}: {failure.strerror}") from None
    progress = _Progress(silent=silent)
    with origin:

        async def bring(database: Database) -> Report:
            return await bring_in(database, SystemClock().new_id, origin, wish, progress)

        try:
            return on_database(bring)
        except KeyboardInterrupt:
            progress.say_where_it_ended(wish)
            raise typer.Exit(EXIT_INTERRUPTED) from None


class _Progress:
    """Says on standard error how far it is; on a terminal in one line. Who reads JSON is told once."""

    def __init__(self, *, silent: bool) -> None:
        self._silent = silent
        self._on_terminal = sys.stderr.isatty()
        self._told: dict[str, int] = {}
        self._applied_count, self._import_id = 0, ""

    def __call__(self, stage: str, row_count: int, import_id: str) -> None:
        if stage == "applied":
            self._applied_count, self._import_id = row_count, import_id
        if row_count - self._told.get(stage, 0) >= _TOLD_EVERY and not self._silent:
            self._told[stage] = row_count
            end = "\r" if self._on_terminal else ""
            typer.echo(f"{row_count} rows {stage}{end}", err=True, nl=not self._on_terminal)

    def say_where_it_ended(self, wish: Wish) -> None:
        """For whoever has ended it in the middle."""
        from oneshelf.files.report import undo_command

        if not self._applied_count:
            return typer.echo("\nbroken off: no row is applied, as far as is known", err=True)
        typer.echo(
            f"\nbroken off: {self._applied_count} rows or some more are applied. The same command again does the "
            "rest, and nothing twice",
            err=True,
        )
        if undo := undo_command(self._import_id, wish.kind.name):
            typer.echo(f"take it back: {undo}", err=True)
        return None


def _show(report: Report, *, as_json: bool) -> None:
    from oneshelf.files.report import State, in_words

    if as_json:
        show_json(report)
        return
    if report.effects:
        show_rows(report.effects, _EFFECTS, as_json=False, empty="")
        if report.row_count - report.problem_count > len(report.effects):
            typer.echo(f"of {report.row_count} rows the first {len(report.effects)} are listed")
    if examples := report.examples:
        show_rows(examples, _PROBLEMS, as_json=False, empty="")
    for rest in report.rest(examples):
        where = f" ({rest.column})" if rest.column else ""
        typer.echo(f"and {rest.row_count} more rows{where}: {rest.reason}")
    typer.echo(in_words(report), err=report.state is State.REFUSED)
    if report.state is State.PREVIEWED and report.refusal:
        typer.echo(f"as it is, it would be refused: {report.refusal}")
    if report.undo:
        typer.echo(f"take it back: {report.undo}")
