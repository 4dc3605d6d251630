"""Commands for what waits for a person: deliveries that cannot be read, orders that cannot be posted, and listings."""

from __future__ import annotations

from typing import Annotated

import typer

from oneshelf.cli.common import PlainErrors, on_database, show_rows

app = typer.Typer(cls=PlainErrors, help="Deliveries, orders and listings that wait for a person.", no_args_is_help=True)

Ids = Annotated[list[str] | None, typer.Argument(metavar="ID...", help="Such as d12 (delivery) or o7 (order).")]
All = Annotated[bool, typer.Option("--all", help="All of them.")]
_COLUMNS = ("id", "channel", "what", "snapshot_count", "received_at", "reason")


@app.command("list")
def list_(as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False) -> None:
    """What is parked, and why: an order once, by the newest snapshot of it, and how many of it there are.

    A listing has no id here: oneshelf listing retry CHANNEL LISTING writes it again.
    """
    from oneshelf.storage import facts, inbox, listing_issues
    from oneshelf.storage.database import Database

    async def read(database: Database) -> list[dict[str, object]]:
        async with database.transaction() as tx:
            deliveries, orders = await inbox.parked(tx), await facts.parked(tx)
            listings = await listing_issues.parked(tx)
        rows: list[tuple[object, ...]] = [
            (f"d{one.inbox_id}", one.channel, one.topic, None, one.received_at, one.reason) for one in deliveries
        ]
        rows += [
            (f"o{one.fact_id}", one.channel, f"order {one.order_id}", one.snapshot_count, one.received_at, one.reason)
            for one in orders
        ]
        rows += [(None, channel, f"listing {name}", None, None, reason) for channel, name, reason in listings]
        return [dict(zip(_COLUMNS, row, strict=True)) for row in rows]

    show_rows(on_database(read), _COLUMNS, as_json=as_json, empty="nothing is parked")


@app.command()
def retry(ids: Ids = None, all_: All = False) -> None:
    """Read deliveries, or post orders, again."""
    typer.echo(f"{_set_state(ids or [], all_, state='new')} are tried again")


@app.command()
def dismiss(ids: Ids = None, all_: All = False) -> None:
    """Leave them alone for good. They are kept, and no stock moves."""
    typer.echo(f"{_set_state(ids or [], all_, state='dismissed')} are dismissed")


def _set_state(ids: list[str], all_: bool, *, state: str) -> int:
    from oneshelf.errors import MalformedError
    from oneshelf.storage import facts, inbox
    from oneshelf.storage.database import Database

    if bool(ids) == all_:
        raise MalformedError("name ids, or say --all. Way out: oneshelf errors list")
    for name in ids:
        if name[:1] not in {"d", "o"} or not (name[1:].isascii() and name[1:].isdecimal()) or len(name) > 18:
            raise MalformedError(
                f"{name[:40]!r} is no id of a parked one, such as d12 or o7; a listing is written again by "
                "oneshelf listing retry CHANNEL LISTING"
            )
    deliveries = None if all_ else [int(name[1:]) for name in ids if name[0] == "d"]
    orders = None if all_ else [int(name[1:]) for name in ids if name[0] == "o"]

    async def change(database: Database) -> int:
        async with database.transaction() as tx:
            changed = await inbox.set_parked_state(tx, deliveries, state=state)
            return changed + await facts.set_parked_state(tx, orders, state=state)

    return on_database(change)
