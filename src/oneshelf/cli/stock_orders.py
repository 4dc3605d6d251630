"""What people say of an order: it shipped, it will not, it came back."""

from __future__ import annotations

from typing import Annotated

import typer

from oneshelf.cli.common import choice_in, instant_in, order_in, units_in, words_in
from oneshelf.cli.posting import NEGATIVE, HappenedAt, Json, Key, Location_, Order, Sku_, Units, post


def register(app: typer.Typer) -> None:
    """Add the commands of this file."""
    app.command(context_settings=NEGATIVE)(ship)
    app.command(context_settings=NEGATIVE)(cancel)
    app.command("return", context_settings=NEGATIVE)(come_back)


def ship(
    order: Order,
    sku: Sku_,
    location: Location_,
    units: Units,
    key: Key = "",
    happened_at: HappenedAt = "",
    as_json: Json = False,
) -> None:
    """Units of a claimed order left for the customer. Of an order of a channel, the channel tells that itself."""
    from oneshelf.domain.command import Ship
    from oneshelf.domain.identity import location_from, sku_from

    whole, at, of = units_in(units, least=1), instant_in(happened_at, what="--happened-at"), order_in(order)
    name, place = sku_from(sku), location_from(location)
    post(
        key,
        lambda key: Ship(key=key, order=of, sku=name, location=place, units=whole, happened_at=at),
        as_json=as_json,
    )


def cancel(order: Order, sku: Sku_, location: Location_, units: Units, key: Key = "", as_json: Json = False) -> None:
    """Units of a claimed order will not ship: they are available again."""
    from oneshelf.domain.command import Cancel
    from oneshelf.domain.identity import location_from, sku_from

    whole, of, name, place = units_in(units, least=1), order_in(order), sku_from(sku), location_from(location)
    post(key, lambda key: Cancel(key=key, order=of, sku=name, location=place, units=whole), as_json=as_json)


def come_back(
    order: Order,
    sku: Sku_,
    location: Location_,
    units: Units,
    into: Annotated[
        str, typer.Option(help="Where they go: available, quality_control, damaged or written_off.")
    ] = "quality_control",
    line: Annotated[str, typer.Option(help="Of this line of the order only.")] = "",
    key: Key = "",
    happened_at: HappenedAt = "",
    as_json: Json = False,
) -> None:
    """Shipped units came back, each once. They wait for quality control unless you say where they go.

    Units that the channel has put on sale again by itself are the same ones: they go where you say, if nobody has
    bought them meanwhile.
    """
    from oneshelf.domain.command import Return, ReturnInto
    from oneshelf.domain.identity import location_from, sku_from

    whole, at, of = units_in(units, least=1), instant_in(happened_at, what="--happened-at"), order_in(order)
    name, place = sku_from(sku), location_from(location)
    where, of_line = choice_in(into, ReturnInto, what="--into"), words_in(line, what="--line")
    post(
        key,
        lambda key: Return(
            key=key, order=of, sku=name, location=place, units=whole, into=where, line_id=of_line, happened_at=at
        ),
        as_json=as_json,
    )
