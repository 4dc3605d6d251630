"""Units come in, change their state, move between locations, and become kits."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from oneshelf.cli.common import choice_in, instant_in, units_in, words_in
from oneshelf.cli.posting import NEGATIVE, HappenedAt, Json, Key, Location_, Sku_, Units, post

if TYPE_CHECKING:
    from oneshelf.domain.command import Component

Difference = Annotated[str, typer.Argument(metavar="UNITS", help="The difference, such as 3 or -2.")]
Transfer = Annotated[str, typer.Argument(metavar="TRANSFER", help="The number of the transfer, yours to choose.")]
State = Annotated[str, typer.Argument(metavar="STATE", help="A stock state, such as available or damaged.")]
Components = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="[COMPONENT EACH…]",
        help="Each component and how many of it one kit takes. None: by the kept recipe (oneshelf stock kits).",
    ),
]
OtherRecipe_ = Annotated[
    bool, typer.Option("--other-recipe", help="These components are meant, although another recipe is kept.")
]


def register(app: typer.Typer) -> None:
    """Add the commands of this file."""
    for command in (receive, adjust, move, expect, dispatch, arrive, assemble, disassemble):
        app.command(context_settings=NEGATIVE)(command)


def receive(
    sku: Sku_, location: Location_, units: Units, key: Key = "", happened_at: HappenedAt = "", as_json: Json = False
) -> None:
    """Goods came in: they are available."""
    from oneshelf.domain.command import Receive
    from oneshelf.domain.identity import location_from, sku_from

    whole, at = units_in(units, least=1), instant_in(happened_at, what="--happened-at")
    name, place = sku_from(sku), location_from(location)
    post(
        key,
        lambda key: Receive(key=key, sku=name, location=place, units=whole, happened_at=at),
        as_json=as_json,
    )


def adjust(
    sku: Sku_,
    location: Location_,
    units: Difference,
    key: Key = "",
    reason: Annotated[str, typer.Option(help="Why.")] = "",
    happened_at: HappenedAt = "",
    as_json: Json = False,
) -> None:
    """Correct the available units by a difference. Whoever counted says so with `count`."""
    from oneshelf.domain.command import Adjust
    from oneshelf.domain.identity import location_from, sku_from

    delta, why = _difference_in(units), words_in(reason, what="reason")
    at, name, place = instant_in(happened_at, what="--happened-at"), sku_from(sku), location_from(location)
    post(
        key,
        lambda key: Adjust(key=key, sku=name, location=place, delta_units=delta, reason=why, happened_at=at),
        as_json=as_json,
    )


def move(
    sku: Sku_,
    location: Location_,
    units: Units,
    origin: State,
    target: State,
    key: Key = "",
    happened_at: HappenedAt = "",
    as_json: Json = False,
) -> None:
    """Units change their state where they lie: oneshelf stock move MUG BER 2 available damaged."""
    from oneshelf.domain.account import StockState
    from oneshelf.domain.command import Move
    from oneshelf.domain.identity import location_from, sku_from

    whole, at = units_in(units, least=1), instant_in(happened_at, what="--happened-at")
    name, place = sku_from(sku), location_from(location)
    ends = choice_in(origin, StockState, what="the first state"), choice_in(target, StockState, what="the second state")
    post(
        key,
        lambda key: Move(
            key=key, sku=name, location=place, units=whole, origin=ends[0], target=ends[1], happened_at=at
        ),
        as_json=as_json,
    )


def expect(sku: Sku_, location: Location_, units: Difference, key: Key = "", as_json: Json = False) -> None:
    """A delivery is announced: units are incoming. Less than 0 takes the announcement back."""
    from oneshelf.domain.command import Expect
    from oneshelf.domain.identity import location_from, sku_from

    delta, name, place = _difference_in(units), sku_from(sku), location_from(location)
    post(key, lambda key: Expect(key=key, sku=name, location=place, delta_units=delta), as_json=as_json)


def dispatch(
    transfer: Transfer,
    sku: Sku_,
    origin: Annotated[str, typer.Argument(metavar="FROM", help="The location they leave.")],
    target: Annotated[str, typer.Argument(metavar="TO", help="The location they go to.")],
    units: Units,
    key: Key = "",
    happened_at: HappenedAt = "",
    as_json: Json = False,
) -> None:
    """Units leave one location for another: they are in transit until `arrive`."""
    from oneshelf.domain.command import Dispatch
    from oneshelf.domain.identity import location_from, name_from, sku_from

    whole, at = units_in(units, least=1), instant_in(happened_at, what="--happened-at")
    number, name = name_from(transfer, what="transfer"), sku_from(sku)
    ends = location_from(origin), location_from(target)
    post(
        key,
        lambda key: Dispatch(
            key=key, transfer_id=number, sku=name, origin=ends[0], target=ends[1], units=whole, happened_at=at
        ),
        as_json=as_json,
    )


def arrive(
    transfer: Transfer,
    sku: Sku_,
    units: Annotated[str, typer.Argument(metavar="UNITS", help="How many are there.")],
    more_to_come: Annotated[bool, typer.Option("--more-to-come", help="The rest is still on its way.")] = False,
    key: Key = "",
    happened_at: HappenedAt = "",
    as_json: Json = False,
) -> None:
    """Units of a transfer are there. What has not come is lost, unless there is --more-to-come."""
    from oneshelf.domain.command import Arrive
    from oneshelf.domain.identity import name_from, sku_from

    whole, at = units_in(units), instant_in(happened_at, what="--happened-at")
    number, name = name_from(transfer, what="transfer"), sku_from(sku)
    post(
        key,
        lambda key: Arrive(
            key=key, transfer_id=number, sku=name, units=whole, is_last=not more_to_come, happened_at=at
        ),
        as_json=as_json,
    )


def assemble(
    sku: Sku_,
    location: Location_,
    units: Units,
    components: Components = None,
    key: Key = "",
    other_recipe: OtherRecipe_ = False,
    as_json: Json = False,
) -> None:
    """Kits are made of their components, by the kept recipe or as named: stock assemble SET BER 2 MUG 2 CAP 1."""
    from oneshelf.domain.command import Assemble, AssembleOtherwise
    from oneshelf.domain.identity import location_from, sku_from

    whole, parts = units_in(units, least=1), _components_in(components or [])
    name, place = sku_from(sku), location_from(location)
    kind = AssembleOtherwise if other_recipe else Assemble
    post(key, lambda key: kind(key=key, sku=name, location=place, units=whole, components=parts), as_json=as_json)


def disassemble(
    sku: Sku_,
    location: Location_,
    units: Units,
    components: Components = None,
    key: Key = "",
    other_recipe: OtherRecipe_ = False,
    as_json: Json = False,
) -> None:
    """Kits are taken apart, by the kept recipe or as named: stock disassemble SET BER 1 MUG 2 CAP 1."""
    from oneshelf.domain.command import Disassemble, DisassembleOtherwise
    from oneshelf.domain.identity import location_from, sku_from

    whole, parts = units_in(units, least=1), _components_in(components or [])
    name, place = sku_from(sku), location_from(location)
    kind = DisassembleOtherwise if other_recipe else Disassemble
    post(key, lambda key: kind(key=key, sku=name, location=place, units=whole, components=parts), as_json=as_json)


def _difference_in(text: str) -> int:
    from oneshelf.domain.identity import UNITS_MAX
    from oneshelf.errors import MalformedError

    delta = units_in(text, least=-UNITS_MAX)
    if delta == 0:
        raise MalformedError("a difference of 0 units changes nothing")
    return delta


def _components_in(texts: list[str]) -> tuple[Component, ...]:
    from oneshelf.domain.command import Component
    from oneshelf.domain.identity import sku_from
    from oneshelf.errors import MalformedError

    if len(texts) % 2:
        raise MalformedError(f"{len(texts)} words for components; each is a SKU and how many of it one kit takes")
    pairs = zip(texts[::2], texts[1::2], strict=True)
    return tuple(Component(sku=sku_from(sku), units=units_in(units, least=1)) for sku, units in pairs)
