"""What all commands share: plain error lines, the database, tables and JSON, and the gate for units."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import typer
from typer.core import TyperGroup

if TYPE_CHECKING:
    from datetime import date, datetime
    from enum import StrEnum
    from uuid import UUID

    from oneshelf.domain.command import OrderRef
    from oneshelf.storage.database import Database, Transaction

EXIT_REFUSED = 1
EXIT_WRONG = 2
# As a shell tells of one that was ended by ctrl-C.
EXIT_INTERRUPTED = 130
# Said where a list of channels is empty, with the way out.
NO_CHANNEL = "no channel is connected. Next: oneshelf channel add --help"

Result = TypeVar("Result")
Choice = TypeVar("Choice", bound="StrEnum")

_WHOLE = re.compile(r"[+-]?[0-9]+", re.ASCII)
# Longer than any number of units can be, shorter than what Python refuses to read.
_DIGITS_MAX = 40
# Beyond this a table is not fitted to the terminal.
_TABLE_ROWS_MAX = 2_000
# As the API has it.
_TEXT_LENGTH_MAX = 4_000


def _within(ctx: Any) -> list[str]:
    """The groups of commands on the way here: without the program, which may be several words."""
    path: str = ctx.command_path
    return path.removeprefix(ctx.find_root().command_path).split()


class PlainErrors(TyperGroup):
    """Says what a person can set right in one line on standard error, and exits with 2. No traceback for that."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        from oneshelf.cli import acts

        name, command, rest = super().resolve_command(ctx, args)
        if command is not None and not isinstance(command, TyperGroup):
            for what, text in acts.named(command, rest):
                refuse_no_text(text, what=what)
            acts.remember(" ".join([*_within(ctx), str(name)]), command, rest)
        return name, command, rest

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        self.format_some(ctx, formatter, "Commands", self.list_commands(ctx))

    def format_some(self, ctx: Any, formatter: Any, title: str, names: Sequence[str]) -> None:
        """These commands, each with the whole of its first sentence: one that is cut tells nothing."""
        found = [(name, self.get_command(ctx, name)) for name in names]
        rows = [(name, one.get_short_help_str(limit=_TEXT_LENGTH_MAX)) for name, one in found if one is not None]
        if rows:
            with formatter.section(title):
                formatter.write_dl(rows)

    def invoke(self, ctx: Any) -> Any:
        from oneshelf.errors import OneshelfError

        try:
            return super().invoke(ctx)
        except OneshelfError as problem:
            typer.echo(f"oneshelf: {problem}", err=True)
            raise typer.Exit(EXIT_WRONG) from None


GROUPS: dict[str, Sequence[str]] = {
    "Look at what there is": ("status", "sku", "short", "explain", "errors", "alert", "doctor", "audit", "audit-log"),
    "Change what there is": ("stock", "listing", "channel", "policy", "drift", "undo", "reconcile"),
    "Others who may be right": ("source", "truth", "architecture", "conflict", "endpoint"),
    "Run it, and who may ask": ("serve", "migrate", "user", "token", "secrets"),
    "Try it": ("demo", "simulate"),
}


class GroupedHelp(PlainErrors):
    """The commands by what they are for."""

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        grouped = {name for names in GROUPS.values() for name in names}
        rest = {"More": [name for name in self.list_commands(ctx) if name not in grouped]}
        for title, names in (GROUPS | rest).items():
            self.format_some(ctx, formatter, title, names)


def on_database(work: Callable[[Database], Awaitable[Result]]) -> Result:
    """Do `work` on the database of the settings, started for the time of the command if nobody runs it."""
    import asyncio

    from oneshelf.app import open_database
    from oneshelf.config import load_settings
    from oneshelf.errors import OneshelfError
    from oneshelf.telemetry import configure_logging

    settings = load_settings()
    configure_logging(as_json=settings.log_json, level="WARNING")

    async def run() -> Result:
        async with open_database(settings) as database:
            await _note(database, "begun")
            try:
                return await work(database)
            except OneshelfError as problem:
                await _note(database, f"failed: {type(problem).__name__}")
                raise

    return asyncio.run(run())


async def _note(database: Database, result: str) -> None:
    """Write down what is typed, once before it is done, and that it failed."""
    from oneshelf.cli import acts
    from oneshelf.storage import audit_log

    typed_now = acts.what_is_typed()
    if typed_now is None or not typed_now.is_act or (typed_now.is_noted and result == "begun"):
        return
    typed_now.is_noted = True
    entry = audit_log.Entry("cli", os_user(), typed_now.command, result, object=typed_now.objects, address=_host())
    async with database.transaction() as tx:
        await audit_log.add(tx, entry)


def _host() -> str:
    import socket

    return socket.gethostname()


def os_user() -> str:
    """Who types: the user of the operating system."""
    import getpass
    import os

    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return f"uid {os.getuid()}"


def units_in(text: str, *, what: str = "units", least: int = 0) -> int:
    """Units typed by a person. Raises MalformedError for a fraction, NaN, a negative or a huge number."""
    from oneshelf.domain.identity import units_from

    value: object = int(text[:_DIGITS_MAX]) if _WHOLE.fullmatch(text) else text
    return units_from(value, what=what, least=least)


def seconds_in(text: str, *, what: str, most: int, least: int = 0) -> int:
    """Whole seconds typed by a person. Raises MalformedError."""
    from oneshelf.errors import MalformedError

    if not _WHOLE.fullmatch(text) or not least <= int(text[:_DIGITS_MAX]) <= most:
        raise MalformedError(f"{what} must be a whole number of seconds from {least} to {most}")
    return int(text)


def instant_in(text: str, *, what: str) -> datetime | None:
    """An instant typed by a person, None for nothing. Raises MalformedError, see `domain.identity.instant_from`."""
    from oneshelf.domain.identity import instant_from

    return instant_from(text, what=what) if text else None


def day_in(text: str, *, what: str) -> date:
    """A day typed by a person. Raises MalformedError, see `domain.identity.day_from`."""
    from oneshelf.domain.identity import day_from

    return day_from(text, what=what)


def uuid_in(text: str, *, what: str, origin: str) -> UUID:
    """An id that an answer of ours gave. `origin`: whose answer. Raises MalformedError."""
    from uuid import UUID

    from oneshelf.errors import MalformedError

    try:
        return UUID(text)
    except ValueError:
        raise MalformedError(f"{what} must be a UUID, as the answer to {origin} gave it") from None


def choice_in(text: str, kinds: type[Choice], *, what: str) -> Choice:
    """One of the words there are. Raises MalformedError, which names them."""
    from oneshelf.errors import MalformedError

    for kind in kinds:
        if kind.value == text:
            return kind
    raise MalformedError(f"{what} must be one of {', '.join(kind.value for kind in kinds)}")


def order_in(text: str) -> OrderRef:
    """An order as CHANNEL/NUMBER: a channel's name has no slash, a number may. Raises MalformedError."""
    from oneshelf.domain.command import OrderRef
    from oneshelf.domain.identity import channel_from, name_from
    from oneshelf.errors import MalformedError

    channel, slash, number = text.partition("/")
    if not slash:
        raise MalformedError("an order is CHANNEL/NUMBER: who took it, a slash, and the number they gave it")
    return OrderRef(channel_from(channel), name_from(number, what="order number"))


def words_in(text: str, *, what: str) -> str:
    """A title or a reason, which may be empty. Raises MalformedError, see `domain.identity.name_from`."""
    from oneshelf.domain.identity import name_from

    return name_from(text, what=what) if text else ""


def typed(text: str, *, what: str) -> str:
    """What was typed, unchanged: an id or a secret of a channel. It is not repeated where it cannot be stored.

    Raises MalformedError for one that is too long, is not UTF-8 or holds a NUL character.
    """
    from oneshelf.errors import MalformedError

    if len(text) > _TEXT_LENGTH_MAX:
        raise MalformedError(f"{what} has {len(text)} characters, at most {_TEXT_LENGTH_MAX} are allowed")
    refuse_no_text(text, what=what)
    return text


def refuse_no_text(text: str, *, what: str) -> None:
    """Raise MalformedError for what can neither be stored nor printed. It is not repeated."""
    from oneshelf.errors import MalformedError

    if "\0" in text:
        raise MalformedError(f"{what} holds a NUL character")
    if any("\ud800" <= character <= "\udfff" for character in text):
        raise MalformedError(f"{what} is not UTF-8; set the terminal or the script to UTF-8 and try again")


async def refuse_unknown_channel(tx: Transaction, channel: str) -> None:
    """Raise ConfigurationError, which names those there are, unless this channel is connected."""
    from oneshelf.errors import ConfigurationError
    from oneshelf.storage import catalog

    names = [row.channel for row in await catalog.channels(tx)]
    if channel not in names:
        raise ConfigurationError(f"no channel {channel!r}; there are: {', '.join(names) or 'none'}")


def pairs_in(texts: Iterable[str], *, option: str) -> dict[str, str]:
    """`name=value` options as a mapping. Raises ConfigurationError for one without a name or an equals sign.

    Raises MalformedError for what is no text, see `typed`.
    """
    from oneshelf.errors import ConfigurationError

    pairs: dict[str, str] = {}
    for text in texts:
        name, equals, value = typed(text, what=option).partition("=")
        if not name or not equals:
            # What was typed may be a secret, so it is not repeated.
            raise ConfigurationError(f"{option} takes name=value; an equals sign or the name is missing")
        pairs[name.strip()] = value
    return pairs


def show_rows(rows: Sequence[Any], columns: Sequence[str], *, as_json: bool, empty: str) -> None:
    """Print rows (objects with these attributes, or mappings) as a table for a person, or all of them as JSON."""
    figures = [{column: _figure(row, column) for column in columns} for row in rows]
    if as_json:
        show_json(figures)
        return
    if not figures:
        typer.echo(empty)
        return
    if len(figures) > _TABLE_ROWS_MAX:
        _show_plainly(figures, columns)
        return
    from rich.markup import escape
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        is_number = all(isinstance(row[column], int | float | None) for row in figures)
        table.add_column(column.replace("_", " "), justify="right" if is_number else "left", overflow="fold")
    for row in figures:
        table.add_row(*(escape(_cell(row[column])) for column in columns))
    show(table)


def _show_plainly(figures: Sequence[Mapping[str, Any]], columns: Sequence[str]) -> None:
    """The same table where it is long, a line for each row however wide: fitting it to the terminal takes minutes."""
    lines = [[column.replace("_", " ") for column in columns]]
    lines += [[_cell(row[column]) for column in columns] for row in figures]
    widths = [max(map(len, cells)) for cells in zip(*lines, strict=True)]
    is_number = [all(isinstance(row[column], int | float | None) for row in figures) for column in columns]

    def fitted(line: Sequence[str]) -> str:
        cells = zip(line, widths, is_number, strict=True)
        return "  ".join(text.rjust(width) if number else text.ljust(width) for text, width, number in cells).rstrip()

    typer.echo("\n".join(map(fitted, lines)))


def show(renderable: object) -> None:
    """Print a table or a text; as wide as it needs where nobody watches a terminal."""
    from rich.console import Console

    console = Console(soft_wrap=False, highlight=False)
    if not console.is_terminal:
        console = Console(width=200, highlight=False)
    console.print(renderable)


def show_json(document: object) -> None:
    """Print one JSON document."""
    import msgspec

    typer.echo(msgspec.json.format(msgspec.json.encode(document), indent=2).decode())


def _figure(row: object, column: str) -> Any:
    return row.get(column) if isinstance(row, Mapping) else getattr(row, column)


def _cell(value: object) -> str:
    from datetime import date, datetime

    if value is None:
        return "-"
    if isinstance(value, datetime):
        return value.isoformat(timespec="seconds").replace("+00:00", "Z")
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.1f}"
    return str(value)
