"""How the command line asks the ledger: one command, one key, one answer."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated

import typer

from oneshelf.cli.common import EXIT_REFUSED, on_database, show_json

if TYPE_CHECKING:
    from oneshelf.domain.command import Command, CommandKey

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
    import msgspec

    from oneshelf.clock import SystemClock
    from oneshelf.domain.command import CommandKey
    from oneshelf.domain.outcome import Done, in_words
    from oneshelf.flow.post import Answered, post_commands
    from oneshelf.storage.database import Database

    clock = SystemClock()
    numbered = CommandKey(scope="cli", key=key or str(clock.new_id()))
    wanted = command(numbered)

    async def ask(database: Database) -> Answered:
        [answered] = await post_commands(database, clock.new_id, [wanted])
        return answered

    answered = on_database(ask)
    outcome = answered.outcome
    is_done = isinstance(outcome, Done)
    if as_json:
        show_json(
            {
                "outcome": _word(type(outcome).__name__),
                "detail": in_words(outcome),
                "figures": msgspec.to_builtins(outcome),
                "replayed": answered.was_replayed,
                "key": numbered.key,
            }
        )
    else:
        again = " (answered before; nothing was done again)" if answered.was_replayed else ""
        typer.echo(f"{in_words(outcome)}{again}\nidempotency key: {numbered.key}", err=not is_done)
    if not is_done:
        raise typer.Exit(EXIT_REFUSED)


def _word(kind: str) -> str:
    """The name of an outcome as the API has it: NoSuchLine is no_such_line."""
    return re.sub(r"(?<!^)(?=[A-Z])", "_", kind).lower()
