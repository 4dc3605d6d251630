"""`oneshelf channel check`: whether a channel does what its connector declares, and what follows where it does not."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from oneshelf.cli.common import EXIT_REFUSED, on_database, refuse_unknown_channel, show_json, show_rows, typed

if TYPE_CHECKING:
    from oneshelf.domain.identity import Channel, ChannelSku
    from oneshelf.domain.probing import Check
    from oneshelf.storage.catalog import ChannelRow
    from oneshelf.storage.database import Database

_COLUMNS = ("what", "tried", "seen", "verdict", "took_ms")


def register(app: typer.Typer) -> None:
    """Add the commands of this file."""
    app.command()(check)


def check(
    name: Annotated[str, typer.Argument(metavar="NAME", help="The channel's name.")],
    listing: Annotated[str, typer.Option(metavar="LISTING", help="Read this one: its id there, or its SKU.")] = "",
    write: Annotated[bool, typer.Option("--write", help="Also write to it what it shows already.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask before writing.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Try whether a channel does what its connector declares. Only reads, unless --write is given.

    What is shown not to hold is not relied on from then on, until a later check shows that it holds. Exits with 1 where
    a check fails.
    """
    from oneshelf.cli.channel_budget import in_words as budget_in_words
    from oneshelf.domain.identity import channel_from
    from oneshelf.domain.probing import Verdict
    from oneshelf.errors import ConfigurationError
    from oneshelf.storage.probes import as_told

    channel = channel_from(name)
    if write and not listing:
        raise ConfigurationError(
            "--write tries one listing, which you name: --listing LISTING. Best is one that shows 0 or sells seldom"
        )
    row, channel_sku = on_database(lambda database: _find(database, channel, listing))
    if write:
        _require_agreement(row, channel_sku, is_agreed=yes)
    checks, after, budget = on_database(lambda database: _probe(database, channel, channel_sku, writes=write))
    if as_json:
        told = {"channel": channel, "listing": channel_sku, "checks": [as_told(one) for one in checks]}
        show_json({**told, **writes_of(after), "fallbacks": after.fallbacks, "budget": budget})
    else:
        show_rows([as_told(one) for one in checks], _COLUMNS, as_json=False, empty="nothing was tried")
        typer.echo(in_words(after))
        for line in budget_in_words(budget) if budget else ():
            typer.echo(line)
        if not write and after.shows_figures:
            typer.echo(f"writes were not tried; to do so: oneshelf channel check {channel} --listing LISTING --write")
    if any(one.verdict is Verdict.FAILS for one in checks):
        raise typer.Exit(EXIT_REFUSED)


def writes_of(row: ChannelRow) -> dict[str, object]:
    """How the channel is declared to be written, and how it is; None where its kind is not installed."""
    from oneshelf.sdk.capability import effective
    from oneshelf.sdk.kinds import load_kinds

    kind = load_kinds().get(row.kind)
    if kind is None:
        return {"declared": None, "writes": None, "key_life_s": None}
    relied_on = effective(kind.capability, row.lost)
    return {
        "declared": kind.capability.writes,
        "writes": relied_on.writes,
        "key_life_s": relied_on.key_life_s,
    }


def in_words(row: ChannelRow) -> str:
    """How the channel is written, and what it was shown to lack, since when, and the way out."""
    if not row.shows_figures:
        return f"{row.channel} shows no figure: nothing is read from it or written to it"
    told = writes_of(row)
    lines = [f"{row.channel} declares {told['declared']}, and is written so: {told['writes']}"]
    for ability, fallback in row.fallbacks.items():
        lines.append(f"  it lacks {ability} since {fallback['since']}: {fallback['reason']}")
    if row.fallbacks:
        again = f"oneshelf channel check {row.channel} --listing LISTING --write"
        lines.append(f"  once that is mended, try again: {again}")
    return "\n".join(lines)


def _require_agreement(row: ChannelRow, channel_sku: ChannelSku | None, *, is_agreed: bool) -> None:
    """Say exactly what will be sent, and ask. Exits with 1 where nobody agrees."""
    from oneshelf.sdk.capability import WRONG_BY, WriteKind
    from oneshelf.sdk.kinds import kind_named, load_kinds
    from oneshelf.sdk.probing import COMPARE_TRIES

    capability = kind_named(load_kinds(), row.kind).capability
    typer.echo(f"to the listing {channel_sku} at {row.channel}, with u the figure that it shows:", err=True)
    if capability.write_kind is WriteKind.COMPARE_AND_SET:
        typer.echo(f"  set u, compared with u + {WRONG_BY}, {COMPARE_TRIES} times: each must be refused", err=True)
        typer.echo("  set u, compared with u: must be taken", err=True)
    else:
        typer.echo("  set u", err=True)
    if capability.key_life_s > 0:
        typer.echo(
            "  set u twice under one key, then once more under it, compared otherwise: must be refused", err=True
        )
    when = "a moment" if capability.is_applied_when_answered else f"{capability.apply_s:g} s"
    typer.echo(
        f"no other figure is sent. What it sells between the reading and a write may be offered again until the engine "
        f"reads it next, where nothing compares: within {when}. Safest is a listing that shows 0.",
        err=True,
    )
    if is_agreed:
        return
    if not sys.stdin.isatty():
        typer.echo("nothing was sent. Where nobody can be asked: --yes", err=True)
        raise typer.Exit(EXIT_REFUSED)
    if not typer.confirm("Send it?"):
        raise typer.Exit(EXIT_REFUSED)


async def _row(database: Database, channel: Channel) -> ChannelRow:
    from oneshelf.storage import catalog

    async with database.transaction() as tx:
        await refuse_unknown_channel(tx, channel)
        return next(row for row in await catalog.channels(tx) if row.channel == channel)


async def _find(database: Database, channel: Channel, listing: str) -> tuple[ChannelRow, ChannelSku | None]:
    from oneshelf.cli.listing import meant

    row = await _row(database, channel)
    if not listing:
        return row, None
    async with database.transaction() as tx:
        _, channel_sku = await meant(tx, channel, typed(listing, what="--listing"), may_be_new=True)
    return row, channel_sku


async def _probe(
    database: Database, channel: Channel, channel_sku: ChannelSku | None, *, writes: bool
) -> tuple[tuple[Check, ...], ChannelRow, dict[str, object] | None]:
    from oneshelf.app import open_channels
    from oneshelf.cli.channel_budget import plans
    from oneshelf.clock import SystemClock
    from oneshelf.errors import ConfigurationError
    from oneshelf.flow.probe import probe

    async with open_channels(database) as channels:
        opened = channels.by_name.get(channel)
        if opened is None:
            raise ConfigurationError(f"{channel} cannot be opened; oneshelf doctor says why")
        checks = await probe(database, opened, SystemClock(), channel_sku=channel_sku, writes=writes)
    async with database.transaction() as tx:
        budgets = await plans(tx, channel)
    return checks, await _row(database, channel), budgets[0] if budgets else None
