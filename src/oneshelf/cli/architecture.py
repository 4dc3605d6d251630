"""Commands for architectures: the shape that the shop has, and what another one would change."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from oneshelf.cli.common import NO_CHANNEL, PlainErrors, choice_in, on_database, show_json, show_rows

if TYPE_CHECKING:
    from oneshelf.domain.architecture import Wish
    from oneshelf.flow.entrust import Arranged, Previewed, Unknown
    from oneshelf.storage.database import Database

ACTOR = "cli"

app = typer.Typer(
    cls=PlainErrors,
    help="none, hub, ims or middleware: who is asked. Which to take: docs/how-to/choose-a-source-of-truth.md",
    no_args_is_help=True,
)

Name = Annotated[str, typer.Argument(metavar="NAME", help="none, hub, ims or middleware.")]
Leader = Annotated[str, typer.Option("--leader", help="Of a hub: the channel that rules.")]
Ranks = Annotated[list[str] | None, typer.Option("--rank", help="Of a middleware: a system, the highest first.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@app.command()
def show(as_json: Json = False) -> None:
    """The shape that the shop has now, what it means, and what comes next where nobody is written yet."""
    from oneshelf.domain.architecture import Architecture
    from oneshelf.flow.entrust import arrangement
    from oneshelf.storage import catalog
    from oneshelf.web.source_outputs import MEANINGS, architecture_out

    async def read(database: Database) -> tuple[Arranged, list[catalog.ChannelRow]]:
        async with database.transaction() as tx:
            rows = await catalog.channels(tx)
        return await arrangement(database), rows

    arranged, rows = on_database(read)
    channels = [row.channel for row in rows if row.shows_figures]
    found = architecture_out(arranged)
    if as_json:
        show_json(found.model_dump(mode="json"))
        return
    typer.echo(f"{found.architecture}\n{MEANINGS[arranged.architecture]}")
    if not channels:
        only_told = "its channels only tell what they sold, and show no figure: there is nothing to write"
        typer.echo(only_told if rows else NO_CHANNEL)
    elif arranged.architecture is Architecture.NONE:
        typer.echo(f"once a channel is live: {found.rule}. Next: oneshelf listing plan {channels[0]}")
    for rule in found.narrower_rules:
        typer.echo(f"but {rule}")


@app.command()
def plan(name: Name, leader: Leader = "", rank: Ranks = None, as_json: Json = False) -> None:
    """What `apply` with the same words would change, and what would then be decided differently. Nothing is saved."""
    from oneshelf.cli.truth import known, show_preview
    from oneshelf.flow.entrust import foresee
    from oneshelf.web.source_outputs import foreseen_out

    wish = _wish(name, leader, rank)

    async def read(database: Database) -> tuple[Arranged, Previewed] | Unknown:
        return await foresee(database, wish)

    found, previewed = known(on_database(read))
    if as_json:
        show_json(foreseen_out(found, previewed).model_dump(mode="json"))
        return
    _show_changes(found)
    show_preview(previewed, as_json=False)


@app.command()
def apply(
    name: Name,
    leader: Leader = "",
    rank: Ranks = None,
    reason: Annotated[str, typer.Option("--reason", help="Why; oneshelf truth history has it.")] = "",
    as_json: Json = False,
) -> None:
    """Give the shop this shape. No channel goes live by it, and nothing that was adopted is taken back."""
    from oneshelf.cli.common import words_in
    from oneshelf.cli.truth import decide_anew, known
    from oneshelf.flow.entrust import arrange
    from oneshelf.web.source_outputs import arranged_out

    wish, why = _wish(name, leader, rank), words_in(reason, what="--reason")

    async def do(database: Database) -> Arranged | Unknown:
        done = await arrange(database, wish, actor=ACTOR, reason=why)
        await decide_anew(database)
        return done

    found = known(on_database(do))
    if as_json:
        show_json(arranged_out(found).model_dump(mode="json"))
        return
    _show_changes(found)
    typer.echo(f"the architecture is {wish.architecture.value}")


def _wish(name: str, leader: str, ranks: list[str] | None) -> Wish:
    from oneshelf.domain.architecture import Architecture, Wish, peers

    return Wish(architecture=choice_in(name, Architecture, what="NAME"), leader=leader, ranks=peers(ranks or ()))


def _show_changes(found: Arranged) -> None:
    show_rows(found.changes, ("what", "before", "after", "note"), as_json=False, empty="nothing to change")
    for rule in found.narrower:
        typer.echo(f"stays: {rule}")
