"""`oneshelf stock`: name what we count and where, show where it is; the commands of the ledger come from beside."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from oneshelf.cli import (
    stock_count_tasks,
    stock_counts,
    stock_files,
    stock_offers,
    stock_orders,
    stock_pools,
    stock_reservations,
    stock_sharing,
    stock_shipments,
    stock_units,
    stock_work,
)
from oneshelf.cli.common import PlainErrors, on_database, show_rows, words_in
from oneshelf.cli.posting import Location_, Sku_

if TYPE_CHECKING:
    from oneshelf.storage.detail_views import BalanceRow

app = typer.Typer(cls=PlainErrors, help="Name SKUs and locations, and do what happens to units.", no_args_is_help=True)

Title = Annotated[str, typer.Option(help="What people call it.")]
_BALANCES = (
    *("sku", "location", "on_hand", "available", "committed", "reserved", "damaged", "quality_control"),
    *("safety_stock", "incoming", "version"),
)


@app.command("add-sku")
def add_sku(sku: Sku_, title: Title = "") -> None:
    """Name a SKU. Listings with exactly this SKU are linked to it: known ones now, others when a sweep sees them."""
    from oneshelf.domain import naming
    from oneshelf.domain.identity import sku_from
    from oneshelf.storage import catalog
    from oneshelf.storage.database import Database

    name, words = sku_from(sku), words_in(title, what="title")

    async def add(database: Database) -> catalog.Named:
        async with database.transaction() as tx:
            return await catalog.add_skus(tx, {name: words})

    named = on_database(add)
    typer.echo(naming.in_words(name, is_new=bool(named.new_count), linked_count=len(named.linked)))


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


@app.command("list")
def list_(
    sku: Annotated[str, typer.Option(help="Of this SKU only.")] = "",
    location: Annotated[str, typer.Option(help="At this location only.")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Where the units of each SKU are, by state."""
    from oneshelf.domain.identity import location_from, sku_from
    from oneshelf.storage import detail_views
    from oneshelf.storage.database import Database

    of, at = sku_from(sku) if sku else None, location_from(location) if location else None

    async def read(database: Database) -> list[BalanceRow]:
        async with database.transaction() as tx:
            return await detail_views.balance_rows(tx, sku=of, location=at)

    show_rows(on_database(read), _BALANCES, as_json=as_json, empty="no unit has ever been at a location")


stock_files.register(app)
stock_units.register(app)
stock_counts.register(app)
stock_count_tasks.register(app)
stock_offers.register(app)
stock_orders.register(app)
stock_reservations.register(app)
stock_sharing.register(app)
stock_shipments.register(app)
stock_work.register(app)
app.add_typer(stock_pools.app, name="pools")
