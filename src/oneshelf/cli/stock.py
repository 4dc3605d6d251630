"""Commands that name and move stock."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated

import typer

from oneshelf.cli.common import EXIT_REFUSED, PlainErrors, on_database, units_in, words_in

if TYPE_CHECKING:
    from oneshelf.domain.command import Command, CommandKey
    from oneshelf.domain.identity import Location, Sku

app = typer.Typer(cls=PlainErrors, help="Name SKUs and locations, receive, adjust and count.", no_args_is_help=True)

Sku_ = Annotated[str, typer.Argument(metavar="SKU", help="The SKU.")]
Location_ = Annotated[str, typer.Argument(metavar="LOCATION", help="Where the units are.")]
Key = Annotated[str, typer.Option(help="Idempotency key: the same key again gives the same answer. Default: random.")]
Title = Annotated[str, typer.Option(help="What people call it.")]
# A negative number is a figure here, not an option.
_NEGATIVE = {"ignore_unknown_options": True}


@app.command("add-sku")
def add_sku(sku: Sku_, title: Title = "") -> None:
    """Name a SKU. Listings with exactly this SKU are linked to it at the next sweep."""
    from oneshelf.domain.identity import sku_from
    from oneshelf.storage import catalog
    from oneshelf.storage.database import Database

    name, words = sku_from(sku), words_in(title, what="title")

    async def add(database: Database) -> int:
        async with database.transaction() as tx:
            return await catalog.add_skus(tx, {name: words})

    typer.echo(f"{name} is named" if on_database(add) else f"{name} was named before; its title is kept")


@app.command("add-location")
def add_location(location: Location_, title: Title = "") -> None:
    """Name a location."""
    from oneshelf.domain.identity import location_from
    from oneshelf.storage import catalog
    from oneshelf.storage.database import Database

    name, words = location_from(location), words_in(title, what="title")

    async def add(database: Database) -> bool:
        async with database.transaction() as tx:
            return await catalog.add_location(tx, name, title=words)

    typer.echo(f"{name} is named" if on_database(add) else f"{name} was named before; its title is kept")


@app.command(context_settings=_NEGATIVE)
def receive(
    sku: Sku_,
    location: Location_,
    units: Annotated[str, typer.Argument(metavar="UNITS", help="Units that came in, at least 1.")],
    key: Key = "",
) -> None:
    """Goods came in: they are available."""
    from oneshelf.domain.command import Receive

    whole = units_in(units, least=1)
    _post(sku, location, key, lambda key, sku, place: Receive(key=key, sku=sku, location=place, units=whole))


@app.command(context_settings=_NEGATIVE)
def adjust(
    sku: Sku_,
    location: Location_,
    units: Annotated[str, typer.Argument(metavar="UNITS", help="The difference, such as 3 or -2.")],
    key: Key = "",
    reason: Annotated[str, typer.Option(help="Why.")] = "",
) -> None:
    """Correct the available units by a difference."""
    from oneshelf.domain.command import Adjust
    from oneshelf.domain.identity import UNITS_MAX
    from oneshelf.errors import MalformedError

    delta = units_in(units, least=-UNITS_MAX)
    if delta == 0:
        raise MalformedError("an adjustment of 0 units changes nothing")
    why = words_in(reason, what="reason")
    _post(
        sku,
        location,
        key,
        lambda key, sku, place: Adjust(key=key, sku=sku, location=place, delta_units=delta, reason=why),
    )


@app.command(context_settings=_NEGATIVE)
def count(
    sku: Sku_,
    location: Location_,
    units: Annotated[str, typer.Argument(metavar="UNITS", help="Units that were counted on the shelf.")],
    key: Key = "",
    available: Annotated[bool, typer.Option("--available", help="Counted were only the units free to sell.")] = False,
) -> None:
    """Somebody counted everything that lies there; the ledger follows."""
    from oneshelf.domain.command import Count, CountedFigure

    whole = units_in(units)
    figure = CountedFigure.AVAILABLE if available else CountedFigure.ON_HAND
    _post(
        sku, location, key, lambda key, sku, place: Count(key=key, sku=sku, location=place, units=whole, figure=figure)
    )


def _post(sku: str, location: str, key: str, command: Callable[[CommandKey, Sku, Location], Command]) -> None:
    """Post one command and say the answer. Exits with 1 on a refusal."""
    from oneshelf.clock import SystemClock
    from oneshelf.domain.command import CommandKey
    from oneshelf.domain.identity import location_from, sku_from
    from oneshelf.domain.outcome import Done, in_words
    from oneshelf.flow.post import Answered, post_commands
    from oneshelf.storage.database import Database

    clock = SystemClock()
    numbered = CommandKey(scope="cli", key=key or str(clock.new_id()))
    wanted = command(numbered, sku_from(sku), location_from(location))

    async def post(database: Database) -> Answered:
        [answered] = await post_commands(database, clock.new_id, [wanted])
        return answered

    answered = on_database(post)
    again = " (answered before; nothing was done again)" if answered.was_replayed else ""
    is_posted = isinstance(answered.outcome, Done)
    typer.echo(f"{in_words(answered.outcome)}{again}\nidempotency key: {numbered.key}", err=not is_posted)
    if not is_posted:
        raise typer.Exit(EXIT_REFUSED)
