"""`oneshelf channel devices` and `settle`: tills and other devices that tell by number."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from oneshelf.cli.common import on_database, refuse_unknown_channel, show_json, show_rows

if TYPE_CHECKING:
    from oneshelf.storage.database import Database

Name = Annotated[str, typer.Argument(metavar="[NAME]", help="The channel; default: all of them.")]
_DEVICES = (
    *("channel", "device", "is_offline", "silent_s", "clock_ahead_s", "highest", "missing_count", "gap_age_s"),
    *("refused_count", "conflict_count", "waiting_count"),
)
_GAPS = ("channel", "device", "first", "last", "age_s")
_QUESTIONS = ("channel", "device", "sequence", "what", "receipt", "received_at", "reason")


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(devices)
    app.command()(settle)


def devices(name: Name = "", as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False) -> None:
    """The devices of tills: which are off line, which of their numbers are missing, and what waits for a person."""
    from oneshelf.domain.identity import channel_from
    from oneshelf.storage import catalog, device_events
    from oneshelf.storage import devices as rows_of

    only = channel_from(name) if name else None

    async def read(database: Database) -> dict[str, list[dict[str, Any]]]:
        async with database.transaction() as tx:
            if only is not None:
                await refuse_unknown_channel(tx, only)
            channels = [only] if only else [row.channel for row in await catalog.channels(tx) if row.has_devices]
            gaps = [{"channel": one, **gap._asdict()} for one in channels for gap in await rows_of.gaps_of(tx, one)]
            asked = [
                {"channel": one, **question._asdict()}
                for one in channels
                for question in await device_events.questions(tx, one)
            ]
            found = [row._asdict() for row in await rows_of.listed(tx, only)]
            return {"devices": found, "gaps": gaps, "questions": asked}

    told = on_database(read)
    if as_json:
        show_json(told)
        return
    show_rows(told["devices"], _DEVICES, as_json=False, empty="no device has told anything yet")
    if told["gaps"]:
        typer.echo("\nNumbers that are missing; told again by the device, they count and the gap closes:")
        show_rows(told["gaps"], _GAPS, as_json=False, empty="")
    if told["questions"]:
        typer.echo("\nWhat moves nothing, and why:")
        show_rows(told["questions"], _QUESTIONS, as_json=False, empty="")


def settle(
    name: Annotated[str, typer.Argument(metavar="NAME", help="The channel.")],
    device: Annotated[str, typer.Argument(metavar="DEVICE", help="The device.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Wait no longer for a device and its missing numbers, and show no longer what moves nothing of it.

    Such as after a till was set up anew. Nothing moves; what comes under a missing number later counts all the same.
    """
    from oneshelf.domain.identity import channel_from, name_from
    from oneshelf.errors import ConfigurationError
    from oneshelf.storage import device_events
    from oneshelf.storage import devices as rows_of

    channel, named = channel_from(name), name_from(device, what="device")

    async def change(database: Database) -> tuple[int, int]:
        async with database.transaction() as tx:
            await refuse_unknown_channel(tx, channel)
            known = [row.device for row in await rows_of.listed(tx, channel)]
            if named not in known:
                there = ", ".join(known) or "none"
                raise ConfigurationError(f"no device {named!r} of {channel}; there are: {there}")
            return await rows_of.settle(tx, channel, named), await device_events.settle(tx, channel, named)

    missing, seen = on_database(change)
    if as_json:
        show_json({"channel": channel, "device": named, "missing_count": missing, "seen_count": seen})
        return
    typer.echo(f"{channel} {named}: missing numbers waited for no longer: {missing}; events seen: {seen}")
