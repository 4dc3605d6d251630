"""Commands for systems beside the channels: who may state figures, and what they state."""

from __future__ import annotations

import csv
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from oneshelf.cli.common import EXIT_REFUSED, PlainErrors, on_database, seconds_in, show_json, show_rows, units_in

if TYPE_CHECKING:
    from oneshelf.domain.command import Command
    from oneshelf.domain.outcome import Outcome
    from oneshelf.domain.statement import Statement
    from oneshelf.domain.statement_answer import Answer
    from oneshelf.flow.state import Post
    from oneshelf.storage.database import Database

ACTOR = "cli"
PAGE = 1000
COLUMNS = (
    *("document", "sku", "location", "figure", "units", "seen_documents", "as_of", "error_s", "token"),
    *("epoch", "sequence", "happened_at", "write_id"),
)
_ANSWERS = ("document", "outcome", "detail", "replayed", "conflict_id")
_STATEMENTS = ("received_at", "source", "document", "sku", "location", "figure", "units", "outcome", "detail")

app = typer.Typer(
    cls=PlainErrors,
    help="An ERP, a warehouse: what they state of stock. How and why: docs/how-to/connect-an-erp.md",
    no_args_is_help=True,
)

Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Source = Annotated[str, typer.Argument(metavar="SOURCE", help="The system's name.")]


@app.command()
def add(
    source: Source,
    title: Annotated[str, typer.Option(help="What people call it.")] = "",
    error_s: Annotated[str, typer.Option(metavar="SECONDS", help="By how much its clock may be wrong.")] = "5",
) -> None:
    """Know a system that will state figures; said again, its title and clock error are as said last."""
    from oneshelf.cli.common import words_in
    from oneshelf.domain.command import CLOCK_ERROR_S_MAX
    from oneshelf.domain.identity import source_name_from
    from oneshelf.flow.entrust import add_source

    name, words = source_name_from(source), words_in(title, what="title")
    error = seconds_in(error_s, what="--error-s", most=CLOCK_ERROR_S_MAX)

    async def put(database: Database) -> None:
        await add_source(database, name, title=words, error_s=error, actor=ACTOR)

    on_database(put)
    typer.echo(f"{name} may state figures; who decides: oneshelf truth list")


@app.command("list")
def list_(as_json: Json = False) -> None:
    """The systems that state figures, and how much has come of each."""
    from oneshelf.storage import sources

    async def read(database: Database) -> list[sources.SourceRow]:
        async with database.transaction() as tx:
            return await sources.listed(tx)

    columns = ("source", "title", "error_s", "statement_count", "waiting_count", "last_at")
    show_rows(on_database(read), columns, as_json=as_json, empty="no source; oneshelf source add NAME")


@app.command(context_settings={"ignore_unknown_options": True})
def state(
    source: Source,
    document: Annotated[str, typer.Argument(metavar="DOCUMENT", help="The system's own number of it.")],
    sku: Annotated[str, typer.Argument(metavar="SKU", help="The SKU.")],
    location: Annotated[str, typer.Argument(metavar="LOCATION", help="Where the units are.")],
    units: Annotated[str, typer.Argument(metavar="UNITS", help="The figure; of a delta what came (+) or left (-).")],
    figure: Annotated[str, typer.Option(help="on_hand, unshipped, available, or delta: a difference.")] = "on_hand",
    seen: Annotated[
        list[str] | None,
        typer.Option(
            metavar="SOURCE/NUMBER",
            help="A document it has seen: an order of a channel, or one of a source. Again for each.",
        ),
    ] = None,
    as_of: Annotated[str, typer.Option(metavar="INSTANT", help="It has seen all until then (ISO 8601, zone).")] = "",
    error_s: Annotated[str, typer.Option(metavar="SECONDS", help="By how much that clock may be wrong.")] = "",
    token: Annotated[str, typer.Option(help="From stock count-begin: it has seen all until then.")] = "",
    nothing_seen: Annotated[bool, typer.Option("--nothing-seen", help="It has seen no document at all.")] = False,
    epoch: Annotated[str, typer.Option(help="Raised when the system was restored.")] = "",
    sequence: Annotated[str, typer.Option(help="The system's own order of its statements.")] = "",
    happened_at: Annotated[str, typer.Option(metavar="INSTANT", help="When a delta happened, if it is late.")] = "",
    as_json: Json = False,
) -> None:
    """State one figure, with what it had seen; or a delta, which is a fact. Exits with 1 where it was refused."""
    row = {
        **{"document": document, "sku": sku, "location": location, "figure": figure, "units": units},
        **{"as_of": as_of, "error_s": error_s, "token": token, "epoch": epoch, "sequence": sequence},
        **{"happened_at": happened_at, "seen_documents": " ".join(seen or ()) or ("-" if nothing_seen else "")},
    }
    _say(_state(source, [row]), as_json=as_json)


@app.command("import")
def import_(
    source: Source,
    file: Annotated[str, typer.Argument(metavar="FILE", help="A CSV file; - reads standard input.")],
    as_json: Json = False,
) -> None:
    """State what a CSV file says, row by row.

    Its first line names the columns: document, sku, location, figure, units, and of these what is known:
    seen_documents (SOURCE/NUMBER, blanks between; - for none), as_of, error_s, token, epoch, sequence, happened_at,
    write_id. The same file again changes nothing.
    """
    _say(_state(source, _rows(file)), as_json=as_json)


@app.command()
def statements(
    source: Annotated[str, typer.Option(help="Only of this system.")] = "",
    sku: Annotated[str, typer.Option(help="Only of this SKU.")] = "",
    limit: Annotated[int, typer.Option(help="At most so many.", min=1, max=PAGE)] = 50,
    as_json: Json = False,
) -> None:
    """What was stated and what became of it, the newest first."""
    from oneshelf.domain.identity import sku_from
    from oneshelf.storage import statements as stored
    from oneshelf.web.source_outputs import statement_out

    only = sku_from(sku) if sku else None

    async def read(database: Database) -> list[stored.StatementRow]:
        async with database.transaction() as tx:
            return await stored.newest(tx, source=source, sku=only, limit=limit)

    told = [statement_out(row).model_dump(mode="json") for row in on_database(read)]
    if as_json:
        show_json(told)
        return
    show_rows(told, _STATEMENTS, as_json=False, empty="nothing was stated")


def poster(database: Database) -> Post:
    """How the steps ask the ledger here: one command, one transaction."""
    from oneshelf.clock import SystemClock
    from oneshelf.flow.post import post_commands

    async def post(command: Command) -> tuple[Outcome, bool]:
        [answered] = await post_commands(database, SystemClock().new_id, [command])
        return answered.outcome, answered.was_replayed

    return post


def _state(source: str, rows: Iterable[dict[str, str]]) -> list[tuple[str, Answer | str]]:
    """Document -> the answer, or what is wrong with the row."""
    from oneshelf.clock import SystemClock
    from oneshelf.domain.identity import name_from
    from oneshelf.errors import MalformedError
    from oneshelf.flow.state import take

    name = name_from(source, what="source")
    read: list[tuple[str, Statement | str]] = []
    for number, row in enumerate(rows, start=1):
        try:
            read.append((row.get("document") or f"row {number}", _statement(name, row, number)))
        except MalformedError as problem:
            read.append((row.get("document") or f"row {number}", str(problem)))
    said = [one for _, one in read if not isinstance(one, str)]

    async def tell(database: Database) -> list[Answer]:
        return await take(database, SystemClock().new_id, poster(database), said)

    answers = iter(on_database(tell))
    return [(document, one if isinstance(one, str) else next(answers)) for document, one in read]


def _statement(source: str, row: dict[str, str], number: int) -> Statement:
    from oneshelf.errors import MalformedError
    from oneshelf.web.source_inputs import statement_from

    seen: dict[str, Any] = {}
    if quoted := (row.get("seen_documents") or "").split():
        seen["documents"] = [] if quoted == ["-"] else [_document(one) for one in quoted]
    for name in ("as_of", "token"):
        if row.get(name):
            seen[name] = row[name]
    document: dict[str, Any] = {name: row.get(name) or "" for name in ("document", "sku", "location", "figure")}
    document["units"] = units_in(row.get("units") or "", least=-(10**9))
    if row.get("error_s"):
        seen["error_s"] = units_in(row["error_s"], what="error_s")
    for name in ("epoch", "sequence"):
        if row.get(name):
            document[name] = units_in(row[name], what=name) if len(row[name]) < 10 else _whole(row[name], name)
    for name in ("happened_at", "write_id"):
        if row.get(name):
            document[name] = row[name]
    if unknown := sorted(set(row) - set(COLUMNS)):
        raise MalformedError(f"row {number}: no column {unknown[0]!r}; there are: {', '.join(COLUMNS)}")
    return statement_from(source, {**document, "seen": seen} if seen else document, where=f"row {number}")


def _whole(text: str, what: str) -> int:
    from oneshelf.errors import MalformedError

    if not (text.isascii() and text.isdigit() and len(text) <= 16):
        raise MalformedError(f"{what} must be a whole number in plain digits")
    return int(text)


def _document(text: str) -> dict[str, object]:
    """`shop/1001`, or `shop/1001:shipped` where that it left was seen too."""
    from oneshelf.errors import MalformedError

    source, slash, number = text.partition("/")
    if not slash or not number:
        raise MalformedError(f"a document is SOURCE/NUMBER, such as shop/1001; {text[:40]!r} has no slash")
    whole = number.removesuffix(":shipped")
    return {"source": source, "number": whole, "shipped": whole != number}


def _rows(file: str) -> list[dict[str, str]]:
    """The rows of a CSV file by column. Raises MalformedError where it cannot be read as one."""
    from oneshelf.errors import MalformedError

    try:
        content = sys.stdin.buffer.read() if file == "-" else Path(file).read_bytes()
        text = content.decode("utf-8-sig")
        rows = list(csv.DictReader(text.splitlines(), strict=True, restkey="beyond the last column", restval=""))
    except (OSError, UnicodeDecodeError, csv.Error) as problem:
        raise MalformedError(f"{file} cannot be read as CSV in UTF-8: {problem}") from None
    if not rows:
        raise MalformedError(f"{file} has no rows below its first line")
    return rows


def _say(told: list[tuple[str, Answer | str]], *, as_json: bool) -> None:
    from oneshelf.domain.statement_answer import Refused
    from oneshelf.web.source_outputs import answer_out, unreadable_out

    rows = [
        unreadable_out(document, answer) if isinstance(answer, str) else answer_out(document, answer)
        for document, answer in told
    ]
    if as_json:
        show_json([row.model_dump(mode="json") for row in rows])
    else:
        show_rows([row.model_dump(mode="json") for row in rows], _ANSWERS, as_json=False, empty="nothing was stated")
    if any(isinstance(answer, str) or isinstance(answer.outcome, Refused) for _, answer in told):
        raise typer.Exit(EXIT_REFUSED)
