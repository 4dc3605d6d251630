"""`oneshelf sku SKU --at T`: a SKU as it was."""

from __future__ import annotations

import typer

from oneshelf.cli.common import on_database, show_json, show_rows
from oneshelf.domain.identity import Sku, instant_from
from oneshelf.errors import ConfigurationError
from oneshelf.storage import catalog, past, views
from oneshelf.storage.database import Database

MOVEMENTS_SHOWN = 20
_HELD = ("location", "state", "units", "source")
_LISTINGS = ("channel", "channel_sku", "units", "planned_at", "sent_at", "accepted_at", "verified_at")
_MOVEMENTS = ("posted_at", "units", "from_account", "to_account", "available_after", "reason", "source")


def show_past(sku: Sku, at: str, *, as_json: bool) -> None:
    """Print where the units were, for whom, what was published, and what had moved last by then."""
    instant = instant_from(at, what="--at")

    async def read(database: Database) -> tuple[past.Past, list[past.PastMovement]]:
        async with database.transaction() as tx:
            await views.freeze(tx)
            if not await catalog.known_skus(tx, [sku]):
                raise ConfigurationError(f"no SKU {sku!r}. Way out: oneshelf stock add-sku {sku}")
            await past.refuse_future(tx, instant)
            was = await past.read(tx, sku, instant)
            return was, await past.movements(tx, sku, was, limit=MOVEMENTS_SHOWN)

    was, moved = on_database(read)
    shelves = [
        {
            "location": location,
            "on_hand": balance.on_hand,
            **{state.value: units for state, units in balance.units.items()},
            "version": balance.version,
        }
        for location, balance in sorted(was.balances.items())
    ]
    if as_json:
        show_json(
            {
                "sku": sku,
                "at": instant,
                "balances": shelves,
                "outside": was.outside,
                "held": [row._asdict() for row in was.held],
                "listings": [row._asdict() for row in was.listings],
                "movements": [row._asdict() for row in moved],
            }
        )
        return
    show_rows(shelves, tuple(shelves[0]) if shelves else (), as_json=False, empty=f"{sku}: nothing had moved by then")
    for rows, columns, empty in (
        (was.held, _HELD, "nobody held units"),
        (was.listings, _LISTINGS, "no figure had been published"),
        (moved, _MOVEMENTS, "nothing had moved yet"),
    ):
        typer.echo("")
        show_rows(rows, columns, as_json=False, empty=empty)
