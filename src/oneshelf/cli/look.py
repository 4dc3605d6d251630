"""Commands that only look: status, sku, short."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from oneshelf.cli.common import NO_CHANNEL, on_database, show_json, show_rows

if TYPE_CHECKING:
    from collections.abc import Sequence

    from oneshelf.domain.command import Component
    from oneshelf.domain.identity import Location
    from oneshelf.domain.ledger import Balance
    from oneshelf.storage.audit_positions import AuditStatus
    from oneshelf.storage.movements import MovementRow
    from oneshelf.storage.views import ChannelHealth, ListingRow, Overview

Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
MOVEMENTS_SHOWN = 20
# What fits on a terminal: the rest is in --json, and what is wrong is a line of its own.
_CHANNELS = {
    "channel": "channel",
    "mode": "mode",
    "verified_count": "verified",
    "unverified_count": "unverified",
    "parked_count": "parked",
    "unlinked_count": "unlinked",
    "drift_count": "drifts",
    "oldest_unverified_s": "oldest s",
    "poll_age_s": "poll s",
    "sweep_age_s": "sweep s",
    "last_fault": "last fault",
}
_LISTINGS = ("channel", "channel_sku", "state", "desired_units", "verified_units", "age_s", "unverified_s")
_MOVEMENTS = ("posted_at", "units", "from_account", "to_account", "reason", "source")
_SHORT = (
    "since",
    "kind",
    "source",
    "promised_to",
    "sku",
    "location",
    "units_short",
    "units_held",
    "loses",
    "way_out",
    "through",
    "cost",
    "cancellations_left",
)


def register(app: typer.Typer) -> None:
    """Add the commands of this file that have no group."""
    app.command()(status)
    app.command()(sku)
    app.command()(short)


def status(as_json: Json = False) -> None:
    """The whole engine on one screen: units, queues, channels, what waits for a person."""
    from oneshelf.domain.breaker import HoldReason
    from oneshelf.domain.breaker import in_words as hold_in_words
    from oneshelf.storage import audit_positions, tallies, views
    from oneshelf.storage.database import Database

    async def read(database: Database) -> tuple[Overview, list[ChannelHealth], AuditStatus]:
        async with database.transaction() as tx:
            await views.freeze(tx)
            tally = await tallies.read(tx)
            channels = await views.channel_rows(tx, tally=tally)
            return await views.overview(tx, tally=tally), channels, await audit_positions.status(tx)

    whole, channels, audit = on_database(read)
    if as_json:
        rows = [row._asdict() for row in channels]
        show_json({"overview": whole._asdict(), "channels": rows, "audit": audit._asdict()})
        return
    typer.echo(
        f"{whole.sku_count} SKUs: {whole.units_on_hand} on hand, {whole.units_available} available, "
        f"{whole.units_committed} committed, {whole.units_reserved} reserved\n"
        f"{whole.order_count} orders; {whole.short_units} units short at {whole.short_line_count} promises\n"
        f"{whole.verified_count} of {whole.listing_count} listings verified; {whole.drift_count} open drifts\n"
        f"waiting: {whole.inbox_waiting} deliveries, {whole.facts_waiting} orders, "
        f"{whole.wanted_orders} orders to ask for; "
        f"parked: {whole.parked_deliveries} deliveries, {whole.parked_orders} orders, {whole.parked_count} listings\n"
        f"audit: {_in_words(audit)}"
    )
    for channel in (row for row in channels if row.is_poll_late):
        last = "" if channel.poll_age_s is None else f", last {channel.poll_age_s:.0f} s ago"
        typer.echo(
            f"ALARM {channel.channel}: its orders have not been asked for in three turns of the poll{last}; "
            "whether an engine runs, and what is wrong: oneshelf doctor"
        )
    for channel in (row for row in channels if row.feed_stuck_s is not None):
        typer.echo(
            f"ALARM {channel.channel}: a feed is stuck, {channel.feed_words}; "
            f"{channel.feed_listing_count} listings wait for it, all others are written one by one"
        )
    shown = [{title: getattr(row, name) for name, title in _CHANNELS.items()} for row in channels]
    show_rows(shown, tuple(_CHANNELS.values()), as_json=False, empty=NO_CHANNEL)
    for row in channels:
        if row.held_s is not None:
            why = hold_in_words(HoldReason(row.held_reason), row.held_figures)
            typer.echo(
                f"{row.channel} is held since {row.held_s:.0f} s: {why}. Only what was sold is written. "
                f"See oneshelf listing plan {row.channel}; then oneshelf undo {row.channel} --last, "
                f"or oneshelf channel release {row.channel}"
            )


def _in_words(audit: AuditStatus) -> str:
    if audit.age_s is None:
        return "not yet; a running engine does it every minute"
    verdict = f"{audit.violation_count} violations, see oneshelf audit" if audit.violation_count else "no violation"
    return f"{verdict}, {audit.age_s:.0f} s ago, {audit.movement_count} movements"


def sku(
    name: Annotated[str, typer.Argument(metavar="SKU", help="The SKU.")],
    at: Annotated[str, typer.Option("--at", help="As it was at this instant: 2026-11-25T14:00:00Z.")] = "",
    as_json: Json = False,
) -> None:
    """One SKU: where its units are, what its listings show, and what moved last; also as it was at a past instant."""
    from oneshelf.domain.identity import sku_from
    from oneshelf.errors import ConfigurationError
    from oneshelf.storage import balances, bundles, catalog, movements, views
    from oneshelf.storage.database import Database

    wanted = sku_from(name)
    if at:
        from oneshelf.cli.past import show_past

        show_past(wanted, at, as_json=as_json)
        return

    async def read(
        database: Database,
    ) -> tuple[dict[Location, Balance], list[ListingRow], list[MovementRow], Sequence[Component]]:
        async with database.transaction() as tx:
            if not await catalog.known_skus(tx, [wanted]):
                raise ConfigurationError(f"no SKU {wanted!r}. Way out: oneshelf stock add-sku {wanted}")
            by_location = await balances.read(tx, [wanted])
            shown = await views.listings_of(tx, [wanted])
            newest = await movements.newest(tx, wanted, limit=MOVEMENTS_SHOWN)
            parts = (await bundles.listed(tx, sku=wanted)).get(wanted, ())
            return by_location[wanted], shown[wanted], newest, parts

    by_location, shown, newest, parts = on_database(read)
    shelves = [
        {
            "location": location,
            "on_hand": balance.on_hand,
            **{state.value: units for state, units in balance.units.items()},
            "version": balance.version,
        }
        for location, balance in sorted(by_location.items())
    ]
    if as_json:
        listings = [row._asdict() for row in shown]
        moved = [row._asdict() for row in newest]
        show_json({"sku": wanted, "components": parts, "balances": shelves, "listings": listings, "movements": moved})
        return
    columns = tuple(shelves[0]) if shelves else ()
    made_of = ", ".join(f"{part.units} {part.sku}" for part in parts)
    nowhere = f"a bundle of {made_of}: its units are theirs" if parts else "no unit has ever been at a location"
    show_rows(shelves, columns, as_json=False, empty=f"{wanted}: {nowhere}")
    typer.echo("")
    show_rows(shown, _LISTINGS, as_json=False, empty="no listing sells it")
    typer.echo("")
    show_rows(newest, _MOVEMENTS, as_json=False, empty="nothing has moved yet")


def short(
    sku: Annotated[str, typer.Argument(metavar="[SKU]", help="One SKU; default: all.")] = "", as_json: Json = False
) -> None:
    """What was sold or promised and is not there, the oldest first, as it will be filled; and the cheapest way out.

    Loses: by rank somebody else has the units. What is locked or picked comes first, then the channel where a
    cancellation costs most (oneshelf channel cancellation-cost), then the time of the order, then its name.
    """
    from oneshelf.domain.identity import sku_from
    from oneshelf.storage import detail_views, short_list, views
    from oneshelf.storage.database import Database

    only = sku_from(sku) if sku else None

    async def read(database: Database) -> list[dict[str, Any]]:
        async with database.transaction() as tx:
            await views.freeze(tx)
            rows = await detail_views.short_rows(tx, sku=only)
            advice = await short_list.advised(tx, rows)
            return [short_list.as_shown(row, advice) for row in rows]

    show_rows(on_database(read), _SHORT, as_json=as_json, empty="nothing is short")
