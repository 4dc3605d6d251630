"""Somebody counts: what they counted, and what they had seen."""

from __future__ import annotations

from typing import Annotated

import typer

from oneshelf.cli.common import (
    EXIT_REFUSED,
    choice_in,
    instant_in,
    on_database,
    seconds_in,
    show_json,
    units_in,
    uuid_in,
)
from oneshelf.cli.posting import NEGATIVE, Json, Key, Location_, Sku_, post


def register(app: typer.Typer) -> None:
    """Add the commands of this file."""
    app.command("count-begin")(count_begin)
    app.command(context_settings=NEGATIVE)(count)


def count_begin(
    location: Location_,
    skus: Annotated[list[str] | None, typer.Argument(metavar="[SKU]…", help="Which; all if none is named.")] = None,
    as_json: Json = False,
) -> None:
    """Begin to count. Quote the token with each count, and what moves until then is not overwritten."""
    from oneshelf.clock import SystemClock
    from oneshelf.domain.identity import location_from, sku_from
    from oneshelf.domain.outcome import UnknownLocation, UnknownSku, in_words
    from oneshelf.flow.count import CountBegun, begin_count
    from oneshelf.storage.database import Database

    place, names = location_from(location), [sku_from(sku) for sku in skus or ()]

    async def begin(database: Database) -> CountBegun | UnknownSku | UnknownLocation:
        return await begin_count(database, SystemClock().new_id, place, names)

    begun = on_database(begin)
    if not isinstance(begun, CountBegun):
        typer.echo(in_words(begun), err=True)
        raise typer.Exit(EXIT_REFUSED)
    if as_json:
        show_json(begun)
        return
    typer.echo(
        f"{begun.sku_count} SKUs at {begun.location} may be counted now\ntoken: {begun.token}\n"
        f"then: oneshelf stock count SKU {begun.location} UNITS --token {begun.token}"
    )


def count(
    sku: Sku_,
    location: Location_,
    units: Annotated[str, typer.Argument(metavar="UNITS", help="Units that were counted.")],
    figure: Annotated[
        str,
        typer.Option(
            help="What was counted. on_hand: all that lies there, promised or damaged or not. unshipped: what is fit "
            "for sale and has not shipped, so on hand without damaged and quality control. available: what is free "
            "to sell."
        ),
    ] = "on_hand",
    token: Annotated[str, typer.Option(help="From count-begin: what moved since then is added.")] = "",
    as_of: Annotated[
        str,
        typer.Option(metavar="INSTANT", help="When it was counted (ISO 8601 with zone): what moved since is added."),
    ] = "",
    error_s: Annotated[
        str, typer.Option(metavar="SECONDS", help="By how much the clock behind --as-of may be wrong. Default: 5.")
    ] = "",
    key: Key = "",
    as_json: Json = False,
) -> None:
    """Somebody counted; the ledger follows. Without --token or --as-of it was now. A difference is `adjust`."""
    from oneshelf.domain.command import CLOCK_ERROR_S_MAX, Count, CountedFigure
    from oneshelf.domain.identity import location_from, sku_from

    whole, name, place = units_in(units), sku_from(sku), location_from(location)
    what = choice_in(figure, CountedFigure, what="--figure")
    quoted = uuid_in(token, what="--token", origin="oneshelf stock count-begin") if token else None
    at = instant_in(as_of, what="--as-of")
    error = seconds_in(error_s, what="--error-s", most=CLOCK_ERROR_S_MAX) if error_s else None
    post(
        key,
        lambda key: Count(
            key=key, sku=name, location=place, units=whole, figure=what, token=quoted, as_of=at, error_s=error
        ),
        as_json=as_json,
    )
