"""`oneshelf undo`: take back what a file or a person did to units, never what was sold."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import typer

from oneshelf.cli.common import EXIT_REFUSED, instant_in, on_database, refuse_unknown_channel, show_json, show_rows

if TYPE_CHECKING:
    from oneshelf.domain.identity import Channel
    from oneshelf.domain.undo import Deed
    from oneshelf.flow.post import Answered
    from oneshelf.storage.database import Database
    from oneshelf.storage.deeds import Republished

_DEEDS = ("source", "sku", "location", "what", "units", "take_back")
_FIGURES = ("channel_sku", "sku", "units_then", "units_now")
_BATCH = 200


def register(app: typer.Typer) -> None:
    """Add the command of this file."""
    app.command()(undo)


def undo(
    channel: Annotated[str, typer.Argument(metavar="[CHANNEL]", help="What was done to the SKUs that it sells.")] = "",
    to: Annotated[str, typer.Option("--to", metavar="INSTANT", help="All since this instant (ISO 8601, zone).")] = "",
    last: Annotated[bool, typer.Option("--last", help="All that the breaker held, or held last.")] = False,
    command: Annotated[
        str,
        typer.Option(metavar="KEY", help="One command by its idempotency key; KEY* for all that begin so."),
    ] = "",
    scope: Annotated[str, typer.Option(help="With --command: only keys that this scope gave, such as cli.")] = "",
    yes: Annotated[bool, typer.Option("--yes", help="Do it. Without, the plan is shown, and you are asked.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Take back receipts, adjustments, counts and moves: a plan first, then the opposite of each, once. Orders stand.

    The ledger keeps both. Links and policies are not changed; transfers and kits have commands that lead back.
    """
    from oneshelf.domain.identity import channel_from
    from oneshelf.domain.undo import to_undo
    from oneshelf.errors import ConfigurationError

    if bool(command) == bool(channel) or (channel and bool(to) == last) or (command and (to or last)):
        raise ConfigurationError("name a CHANNEL with --to INSTANT or --last, or one --command KEY")
    if scope and not command:
        raise ConfigurationError("--scope belongs to --command")
    owner, since = channel_from(channel) if channel else None, instant_in(to, what="--to")

    async def read(database: Database) -> tuple[list[Deed], list[Republished], datetime | None]:
        return await _read(database, owner, since, command=command, scope=scope)

    found, figures, at = on_database(read)
    deeds = to_undo(found)
    undone_before = sum(deed.is_undone for deed in found)
    if not as_json:
        _show_plan(deeds, figures, at, undone_before)
    if not deeds or not _is_agreed(len(deeds), yes=yes, as_json=as_json):
        if as_json:
            show_json({"deeds": [_row(deed) for deed in deeds], "undone_before": undone_before, "answers": []})
        return
    answers = on_database(lambda database: _take_back(database, deeds))
    _show_answers(deeds, answers, undone_before, as_json=as_json)


async def _read(
    database: Database, owner: Channel | None, since: datetime | None, *, command: str, scope: str
) -> tuple[list[Deed], list[Republished], datetime | None]:
    from oneshelf.errors import ConfigurationError
    from oneshelf.storage import breakers, deeds, past

    async with database.transaction() as tx:
        if owner is None:
            return await deeds.of_commands(tx, command, scope=scope), [], None
        await refuse_unknown_channel(tx, owner)
        if since is None:
            since = (await breakers.held(tx, owner)).held_from
            if since is None:
                raise ConfigurationError(
                    f"{owner} was never held, so there is nothing that came last. Name an instant: "
                    f"oneshelf undo {owner} --to 2026-11-25T14:00:00Z"
                )
        await past.refuse_future(tx, since)
        return await deeds.since(tx, owner, since), await deeds.republished(tx, owner, since), since


async def _take_back(database: Database, deeds: Sequence[Deed]) -> list[Answered]:
    """Post the opposites in batches. What was posted before a crash is answered again, and not done again."""
    from oneshelf.clock import SystemClock
    from oneshelf.domain.undo import opposites
    from oneshelf.flow.post import post_commands

    commands = opposites(deeds)
    answers: list[Answered] = []
    for start in range(0, len(commands), _BATCH):
        answers += await post_commands(database, SystemClock().new_id, commands[start : start + _BATCH])
    return answers


def _show_plan(deeds: Sequence[Deed], figures: Sequence[Republished], at: datetime | None, undone_before: int) -> None:
    if at is not None:
        typer.echo(f"what was done by hand since {at.isoformat(sep=' ', timespec='seconds')}:")
    # A key may be mistyped; of an instant nothing can be.
    is_known = at is not None or undone_before > 0
    nothing = "nothing is left to take back" if is_known else "no such command has moved units that could be taken back"
    show_rows([_row(deed) for deed in deeds], _DEEDS, as_json=False, empty=nothing)
    if undone_before:
        typer.echo(f"{undone_before} more were taken back before")
    if figures:
        typer.echo("\nfigures that are others now; what no line above explains was sold, or is a link or a policy:")
        show_rows(figures, _FIGURES, as_json=False, empty="")


def _is_agreed(count: int, *, yes: bool, as_json: bool) -> bool:
    if yes:
        return True
    if not as_json and sys.stdin.isatty():
        return typer.confirm(f"Take back {count} of them?")
    if not as_json:
        typer.echo("nothing was done; to do it, say --yes")
    return False


def _show_answers(deeds: Sequence[Deed], answers: Sequence[Answered], undone_before: int, *, as_json: bool) -> None:
    from oneshelf.domain.outcome import Done, in_words

    refused = [answered for answered in answers if not isinstance(answered.outcome, Done)]
    if as_json:
        told = [{"detail": in_words(one.outcome), "replayed": one.was_replayed} for one in answers]
        rows = [_row(deed) for deed in deeds]
        show_json({"deeds": rows, "undone_before": undone_before, "answers": told, "refused": len(refused)})
    else:
        typer.echo(f"{len(answers) - len(refused)} taken back, {len(refused)} refused")
        for one in refused:
            typer.echo(f"  {in_words(one.outcome)}", err=True)
        if refused:
            typer.echo("  units that were sold since are gone: count what is there, oneshelf stock count", err=True)
    if refused:
        raise typer.Exit(EXIT_REFUSED)


def _row(deed: Deed) -> dict[str, object]:
    return {
        "source": deed.source,
        "sku": deed.sku,
        "location": deed.location,
        "what": ", ".join(deed.reasons),
        "units": deed.units,
        "take_back": -deed.units,
    }
