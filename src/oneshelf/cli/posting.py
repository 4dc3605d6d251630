"""How the command line asks the ledger: one command, one key, one answer."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from oneshelf.cli.common import EXIT_REFUSED, on_database, show_json

if TYPE_CHECKING:
    from oneshelf.domain.command import Command, CommandKey
    from oneshelf.flow.post import Answered

Sku_ = Annotated[str, typer.Argument(metavar="SKU", help="The SKU.")]
Location_ = Annotated[str, typer.Argument(metavar="LOCATION", help="Where the units are.")]
Units = Annotated[str, typer.Argument(metavar="UNITS", help="How many, at least 1.")]
Order = Annotated[str, typer.Argument(metavar="CHANNEL/ORDER", help="Who took the order, and its number.")]
Key = Annotated[str, typer.Option(help="Idempotency key: the same key again gives the same answer. Default: random.")]
Json = Annotated[bool, typer.Option("--json", help="Print the answer as JSON.")]
HappenedAt = Annotated[
    str,
    typer.Option(
        metavar="INSTANT",
        help="When it happened, if you tell it late (ISO 8601 with zone). What a count had seen of it stays counted.",
    ),
]
# A negative number is a figure here, not an option.
NEGATIVE = {"ignore_unknown_options": True}


def post(key: str, command: Callable[[CommandKey], Command], *, as_json: bool) -> None:
    """Post one command and say the answer. Exits with 1 on a refusal."""
    [(numbered, answered)] = _posted(key, [command])
    _say(numbered, answered, as_json=as_json)
    if not _is_done(answered):
        raise typer.Exit(EXIT_REFUSED)


def post_all(key: str, commands: Sequence[Callable[[CommandKey], Command]], *, as_json: bool) -> None:
    """Post commands that belong together, all or none, and say each answer. Exits with 1 on a refusal.

    The n-th has the key with /n behind it.
    """
    told = _posted(key, commands)
    if as_json:
        show_json([_shown(numbered, answered) for numbered, answered in told])
    is_done = all(_is_done(answered) for _, answered in told)
    for numbered, answered in () if as_json else told:
        if is_done or not _is_done(answered):
            _say(numbered, answered, as_json=False)
    if not is_done:
        if not as_json:
            typer.echo("nothing of it was done", err=True)
        raise typer.Exit(EXIT_REFUSED)


def _posted(key: str, commands: Sequence[Callable[[CommandKey], Command]]) -> list[tuple[CommandKey, Answered]]:
    from oneshelf.clock import SystemClock
    from oneshelf.domain.command import CommandKey
    from oneshelf.flow.post import Keep, post_commands
    from oneshelf.storage.database import Database

    clock = SystemClock()
    given = key or str(clock.new_id())
    names = [given] if len(commands) == 1 else [f"{given}/{number}" for number in range(1, len(commands) + 1)]
    keys = [CommandKey(scope="cli", key=name) for name in names]
    wanted = [command(numbered) for command, numbered in zip(commands, keys, strict=True)]
    # A single refusal is kept with its key; of several nothing is, so that the same keys may be used once it is right.
    keep = Keep.EACH if len(wanted) == 1 else Keep.ALL_OR_NONE

    async def ask(database: Database) -> list[Answered]:
        return await post_commands(database, clock.new_id, wanted, keep=keep)

    return list(zip(keys, on_database(ask), strict=True))


def _is_done(answered: Answered) -> bool:
    from oneshelf.domain.outcome import Done

    return isinstance(answered.outcome, Done)


def _say(numbered: CommandKey, answered: Answered, *, as_json: bool) -> None:
    from oneshelf.domain.outcome import in_words

    if as_json:
        show_json(_shown(numbered, answered))
        return
    again = " (answered before; nothing was done again)" if answered.was_replayed else ""
    words = f"{in_words(answered.outcome)}{again}\nidempotency key: {numbered.key}"
    typer.echo(words, err=not _is_done(answered))


def _shown(numbered: CommandKey, answered: Answered) -> dict[str, Any]:
    import msgspec

    from oneshelf.domain.outcome import in_words

    return {
        "outcome": _word(type(answered.outcome).__name__),
        "detail": in_words(answered.outcome),
        "figures": msgspec.to_builtins(answered.outcome),
        "replayed": answered.was_replayed,
        "key": numbered.key,
    }


def _word(kind: str) -> str:
    """The name of an outcome as the API has it: NoSuchLine is no_such_line."""
    return re.sub(r"(?<!^)(?=[A-Z])", "_", kind).lower()
