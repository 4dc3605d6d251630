"""Commands of `oneshelf stock` that say what is sold: bundles, promises beyond the shelf; and what kits are made of."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from oneshelf.cli.common import EXIT_REFUSED, on_database, show_rows, units_in
from oneshelf.cli.posting import Json, Location_, Sku_

if TYPE_CHECKING:
    from oneshelf.domain.bundle import BundleRefusal, Bundles, Defined
    from oneshelf.domain.command import Component
    from oneshelf.domain.outcome import IsBundle, UnknownLocation, UnknownSku
    from oneshelf.storage.backorders import BackorderRow
    from oneshelf.storage.database import Database

_BACKORDERS = ("sku", "location", "kind", "cap_units", "units_short")


def register(app: typer.Typer) -> None:
    """Add the commands of this file."""
    for command in (bundle, bundles, kit, kits, backorder, backorders):
        app.command()(command)


def bundle(
    sku: Sku_,
    components: Annotated[
        list[str], typer.Argument(metavar="COMPONENT=UNITS...", help="What one bundle is made of, such as MUG=2 CAP=1.")
    ],
) -> None:
    """Have a SKU sold as a bundle of others, or of others than before. It is never stocked itself."""
    from oneshelf.domain.bundle import BundleWish, Defined, definition_in_words
    from oneshelf.domain.identity import sku_from
    from oneshelf.flow.define import define_bundle

    wish = BundleWish(sku=sku_from(sku), components=tuple(_component(text) for text in components))

    async def define(database: Database) -> Defined | BundleRefusal:
        return await define_bundle(database, wish)

    outcome = on_database(define)
    _say(definition_in_words(outcome), is_done=isinstance(outcome, Defined))


def bundles(as_json: Json = False) -> None:
    """All bundles and what they are made of."""
    from oneshelf.storage import bundles as stored

    async def read(database: Database) -> Bundles:
        async with database.transaction() as tx:
            return await stored.listed(tx)

    _show_made(on_database(read), as_json=as_json, empty="no bundle is defined")


def _show_made(found: Bundles, *, as_json: bool, empty: str) -> None:
    """What each of these is made of."""
    if as_json:
        rows: Sequence[dict[str, object]] = [
            {"sku": sku, "components": [{"sku": part.sku, "units": part.units} for part in parts]}
            for sku, parts in found.items()
        ]
    else:
        rows = [
            {"sku": sku, "components": " ".join(f"{part.sku}={part.units}" for part in parts)}
            for sku, parts in found.items()
        ]
    show_rows(rows, ("sku", "components"), as_json=as_json, empty=empty)


def kit(
    sku: Sku_,
    components: Annotated[
        list[str] | None,
        typer.Argument(metavar="[COMPONENT=UNITS...]", help="What one kit is made of, such as MUG=2 CAP=1."),
    ] = None,
    end: Annotated[bool, typer.Option("--end", help="Keep no recipe of it any more.")] = False,
) -> None:
    """Keep the recipe of a kit, in place of its last one: assemble and disassemble go by it from now on."""
    from oneshelf.domain.identity import sku_from
    from oneshelf.domain.kit import in_one_line
    from oneshelf.domain.outcome import in_words
    from oneshelf.errors import MalformedError
    from oneshelf.flow.define import end_recipe, keep_recipe

    name, parts = sku_from(sku), tuple(_component(text) for text in components or ())
    if end is bool(parts):
        raise MalformedError("say what a kit is made of, such as MUG=2 CAP=1, or --end: one of these")

    async def keep(database: Database) -> UnknownSku | IsBundle | None:
        return await keep_recipe(database, name, parts)

    async def end_it(database: Database) -> tuple[Component, ...] | UnknownSku:
        return await end_recipe(database, name)

    if end:
        ended = on_database(end_it)
        if not isinstance(ended, tuple):
            _say(in_words(ended), is_done=False)
        else:
            was = f"it was {in_one_line(ended)}" if ended else "none was"
            _say(f"{name}: no recipe is kept any more; {was}", is_done=True)
    else:
        refusal = on_database(keep)
        done = f"{name} is made of {in_one_line(parts)}"
        _say(in_words(refusal) if refusal else done, is_done=refusal is None)


def kits(as_json: Json = False) -> None:
    """The kept recipes of kits. A kit lies on the shelf itself; what is only sold together is a bundle."""
    from oneshelf.storage import kits as stored

    async def read(database: Database) -> Bundles:
        async with database.transaction() as tx:
            return await stored.recipes(tx)

    _show_made(on_database(read), as_json=as_json, empty="no recipe is kept; oneshelf stock kit SKU MUG=2 CAP=1")


def backorder(
    sku: Sku_,
    location: Location_,
    cap: Annotated[str, typer.Argument(metavar="CAP", help="Units that may be short at once; 0 ends it.")],
    preorder: Annotated[bool, typer.Option("--preorder", help="It has not come out yet.")] = False,
) -> None:
    """Let units be reserved beyond those that are there, until CAP of them are short. What comes in fills them."""
    from oneshelf.domain.identity import location_from, sku_from
    from oneshelf.domain.ledger import Backorder, BackorderKind
    from oneshelf.domain.outcome import in_words
    from oneshelf.flow.define import allow_backorder

    item, place, units = sku_from(sku), location_from(location), units_in(cap, what="cap")
    kind = BackorderKind.PREORDER if preorder else BackorderKind.BACKORDER
    policy = Backorder(kind=kind, cap_units=units) if units else None

    async def allow(database: Database) -> UnknownSku | UnknownLocation | IsBundle | None:
        return await allow_backorder(database, item, place, policy)

    refusal = on_database(allow)
    done = f"{item} at {place}: " + (
        f"up to {units} units may be short, as {kind}" if policy else "nothing is promised beyond what is there"
    )
    _say(in_words(refusal) if refusal else done, is_done=refusal is None)


def backorders(as_json: Json = False) -> None:
    """How far beyond the shelf each SKU may be promised, and how many units are short already."""
    from oneshelf.storage import backorders as stored

    async def read(database: Database) -> list[BackorderRow]:
        async with database.transaction() as tx:
            return await stored.listed(tx)

    show_rows(on_database(read), _BACKORDERS, as_json=as_json, empty="nothing is promised beyond what is there")


def _component(text: str) -> Component:
    from oneshelf.domain.command import Component
    from oneshelf.domain.identity import sku_from
    from oneshelf.errors import ConfigurationError

    name, equals, units = text.rpartition("=")
    if not equals:
        raise ConfigurationError(f"a component is given as SKU=UNITS, such as MUG=2; {text!r} has no equals sign")
    return Component(sku=sku_from(name), units=units_in(units, least=1))


def _say(words: str, *, is_done: bool) -> None:
    typer.echo(words, err=not is_done)
    if not is_done:
        raise typer.Exit(EXIT_REFUSED)
