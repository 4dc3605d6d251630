"""`oneshelf listing plan` and `apply`, and what `oneshelf channel live` asks first: nothing is written unseen."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from oneshelf.cli.common import (
    EXIT_REFUSED,
    NO_CHANNEL,
    on_database,
    refuse_unknown_channel,
    show_json,
    show_rows,
    typed,
)

if TYPE_CHECKING:
    from oneshelf.domain.breaker import Limits
    from oneshelf.domain.go_live import PlanLine, Totals
    from oneshelf.domain.identity import Channel
    from oneshelf.flow.preview import PlanPage
    from oneshelf.sdk.message import Finding
    from oneshelf.storage.catalog import ChannelRow
    from oneshelf.storage.database import Database, Transaction

Yes = Annotated[bool, typer.Option("--yes", help="Do not ask. For scripts, once somebody has read the plan.")]
By = Annotated[str, typer.Option(help="Who signs off. Default: who runs the command.")]
LINES_SHOWN = 40
# A count that is older is told with its age.
COUNTED_S_TOLD = 5
_COLUMNS = ("channel", "channel_sku", "sku", "cause", "channel_says", "we_would_say", "change", "because", "warning")


def register(app: typer.Typer) -> None:
    """Add the commands of this file."""
    app.command()(plan)
    app.command("apply")(apply_)


def plan(
    channel: Annotated[str, typer.Argument(metavar="[CHANNEL]", help="One channel; default: all.")] = "",
    all_: Annotated[bool, typer.Option("--all", help=f"All listings, not the first {LINES_SHOWN} of them.")] = False,
    check: Annotated[bool, typer.Option("--check/--no-check", help="Ask the channels for their preflight too.")] = True,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """What listings show, what we would have them show, and why; what frightens most comes first. Writes nothing."""
    from oneshelf.domain.go_live import Cause
    from oneshelf.flow.preview import page_of_plan, whole_plan

    async def read(database: Database) -> list[tuple[ChannelRow, PlanPage, tuple[Finding, ...]]]:
        rows = await _rows(database, channel)
        found = await _findings(database, [row.channel for row in rows]) if check else {}
        return [
            (
                row,
                await whole_plan(database, row.channel)
                if all_ or as_json
                else await page_of_plan(database, row.channel, limit=LINES_SHOWN),
                found.get(row.channel, ()),
            )
            for row in rows
        ]

    plans = on_database(read)
    lines = [line for _, of_channel, _ in plans for line in of_channel.lines]
    if as_json:
        show_json({"channels": [_channel_json(*one) for one in plans], "listings": [_line_json(one) for one in lines]})
        return
    for row, of_channel, findings in plans:
        typer.echo(in_words(row, of_channel.totals))
        if of_channel.counted_s >= COUNTED_S_TOLD:
            typer.echo(f"  counted {of_channel.counted_s:.0f} s ago")
        for finding in findings:
            if not finding.is_good:
                typer.echo(f"  WRONG {finding.what}: {finding.detail}")
    shown = lines if all_ else [line for line in lines if line.cause is not Cause.SAME or line.warning][:LINES_SHOWN]
    show_rows(shown, _COLUMNS, as_json=False, empty="no listing would change" if plans else NO_CHANNEL)
    left = sum(of_channel.totals.listing_count for _, of_channel, _ in plans) - len(shown)
    if left > 0:
        same = sum(of_channel.totals.counts.get(Cause.SAME, 0) for _, of_channel, _ in plans)
        quiet = same - sum(line.cause is Cause.SAME for line in shown)
        typer.echo(f"{left} more listings, {quiet} of them show the same already: --all or --json")
    waiting = [row.channel for row, of_channel, _ in plans if _may_go_live(row, of_channel.totals)]
    for name in waiting:
        typer.echo(f"next: oneshelf listing apply {name}\nor begin with some: oneshelf listing apply {name} LISTING")


def _may_go_live(row: ChannelRow, whole: Totals) -> bool:
    """Whether its plan is one to sign off: all that it lists was read."""
    from oneshelf.domain.go_live import Cause

    is_read = whole.listing_count > 0 and not whole.counts.get(Cause.UNREAD)
    return row.mode == "watch" and row.shows_figures and is_read


def apply_(
    channel: Annotated[str, typer.Argument(metavar="[CHANNEL]", help="One channel; default: all that watch.")] = "",
    listing: Annotated[
        list[str] | None, typer.Argument(metavar="[LISTING]…", help="Only these; default: the whole channel.")
    ] = None,
    yes: Yes = False,
    by: By = "",
) -> None:
    """Sign off what the plan shows, and go live: the whole channel, now and for what is linked later, or some listings.

    Where listings are named, the others wait for theirs. Nothing that is not signed off is ever written.
    """
    rows = on_database(lambda database: _rows(database, channel))
    # A till has no figure to sign off, and holds up no channel after it.
    for row in rows if channel else [row for row in rows if row.mode == "watch" and row.shows_figures]:
        sign_off(row, listing or (), is_agreed=yes, by=by)
    if not rows:
        typer.echo(NO_CHANNEL)


def sign_off(row: ChannelRow, names: Sequence[str], *, is_agreed: bool, by: str) -> None:
    """Show the figures, ask, sign off and go live. Exits with 1 where nobody agreed."""
    from oneshelf.domain.go_live import totals
    from oneshelf.errors import ConfigurationError
    from oneshelf.flow.preview import preview_of_channel
    from oneshelf.storage import breakers, sign_offs

    if names and row.signs_off == "channel" and row.mode != "watch":
        raise ConfigurationError(
            f"{row.channel} is {row.mode} and signed off as a whole. To begin again listing by listing: "
            f"oneshelf channel watch {row.channel}, then sign off"
        )

    async def read(database: Database) -> tuple[list[PlanLine], Limits]:
        async with database.transaction() as tx:
            standing = await breakers.standing(tx, row.channel, every_s=0)
            wanted = await _named(tx, row.channel, names) if names else None
        lines = await preview_of_channel(database, row.channel)
        return [line for line in lines if wanted is None or line.channel_sku in wanted], standing.limits

    lines, limits = on_database(read)
    typer.echo(in_words(row, totals(lines)))
    if not row.shows_figures:
        raise typer.Exit(EXIT_REFUSED)
    if not is_agreed:
        require_agreement(row.channel, lines, limits)

    async def sign(database: Database) -> int:
        async with database.transaction() as tx:
            if names:
                return await sign_offs.sign_off(tx, row.channel, await _named(tx, row.channel, names), by=_who(by))
            return await sign_offs.sign_off_all(tx, row.channel, by=_who(by))

    signed = on_database(sign)
    scope = "these alone" if names else "all that is linked now and later"
    typer.echo(f"{row.channel}: live; {signed} listings signed off just now, {scope}")


def require_agreement(channel: str, lines: Sequence[PlanLine], limits: Limits) -> None:
    """Ask on a terminal. A script may go on unasked where the breaker would let all of it go, else it needs --yes.

    Where no listing was read yet there is no plan that anybody could have seen.
    """
    from oneshelf.domain.breaker import Figures, HoldReason, reason_to_hold
    from oneshelf.domain.breaker import in_words as hold_in_words
    from oneshelf.domain.go_live import Cause, totals

    if not lines:
        typer.echo(
            f"{channel}: nothing was changed: there is no plan to sign off yet. Way out: let oneshelf serve run until "
            f"oneshelf listing plan {channel} shows its listings; --yes signs off unseen what will be found",
            err=True,
        )
        raise typer.Exit(EXIT_REFUSED)
    whole = totals(lines)
    if whole.written == 0:
        return
    if sys.stdin.isatty():
        if not typer.confirm(f"Write {whole.written} figures to {channel}?"):
            raise typer.Exit(EXIT_REFUSED)
        return
    figures = Figures(
        shown=sum((line.channel_says or 0) > 0 for line in lines),
        linked=whole.written + whole.counts.get(Cause.SAME, 0),
        zeroed=whole.counts.get(Cause.ZERO, 0),
        changed=whole.written,
    )
    reason: HoldReason | None = reason_to_hold(figures, limits)
    if reason is not None:
        told = {name: getattr(figures, name) for name in ("shown", "linked", "zeroed", "changed")}
        typer.echo(
            f"{channel}: nothing was changed: {hold_in_words(reason, told)}. Read the plan: oneshelf listing plan "
            f"{channel}; then say --yes",
            err=True,
        )
        raise typer.Exit(EXIT_REFUSED)


def in_words(row: ChannelRow, whole: Totals) -> str:
    """A plan in one or two lines for a person."""
    if not row.shows_figures:
        return f"{row.channel} shows no figure, so there is nothing to write to it; what it tells counts already"
    if not whole.listing_count:
        return f"{row.channel} ({row.mode}): no listing has been read yet; run oneshelf serve in mode watch first"
    by_listing = ", signed off listing by listing" if row.signs_off == "listing" else ""
    held = ", held by the breaker: see oneshelf status" if row.held_at else ""
    causes = ", ".join(f"{count} {cause.value}" for cause, count in whole.counts.items())
    return (
        f"{row.channel} ({row.mode}{by_listing}{held}): {whole.listing_count} listings: {causes}\n"
        f"  it shows {whole.units_now} units in all, we would show {whole.units_then}; "
        f"{whole.written} figures would be written, {whole.signed_off} listings are signed off"
    )


async def _rows(database: Database, channel: str) -> list[ChannelRow]:
    from oneshelf.domain.identity import channel_from
    from oneshelf.storage import catalog

    only = channel_from(channel) if channel else None
    async with database.transaction() as tx:
        if only is not None:
            await refuse_unknown_channel(tx, only)
        return [row for row in await catalog.channels(tx) if only in {None, row.channel}]


async def _named(tx: Transaction, channel: Channel, names: Sequence[str]) -> set[Any]:
    """The linked listings that a person means. Raises ConfigurationError for one that is unknown or not linked."""
    from oneshelf.cli.listing import meant
    from oneshelf.errors import ConfigurationError
    from oneshelf.storage import listings

    found = {(await meant(tx, channel, typed(name, what="LISTING")))[1] for name in names}
    linked = await listings.lock_links(tx, [(channel, one) for one in found])
    for one in sorted(found):
        if (channel, one) not in linked:
            raise ConfigurationError(
                f"{channel} {one} is linked to no SKU, so there is nothing to sign off. "
                f"Way out: oneshelf listing link {channel} {one} SKU"
            )
    return found


async def _findings(database: Database, names: Sequence[Channel]) -> dict[Channel, tuple[Finding, ...]]:
    """What each channel says of itself before anything is written to it."""
    from oneshelf.app import open_channels
    from oneshelf.sdk.fault import ChannelFault
    from oneshelf.sdk.message import Finding

    found: dict[Channel, tuple[Finding, ...]] = {}
    async with open_channels(database) as channels:
        for name in names:
            opened = channels.by_name.get(name)
            try:
                found[name] = (
                    await opened.connector.preflight()
                    if opened
                    else (Finding("settings", is_good=False, detail="it cannot be opened; see oneshelf doctor"),)
                )
            except ChannelFault as fault:
                found[name] = (Finding("answers", is_good=False, detail=str(fault)),)
    return found


def _who(by: str) -> str:
    """Who signs off, as it is kept."""
    import getpass

    from oneshelf.cli.common import words_in

    if by:
        return words_in(by, what="--by")
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return "cli"


def _channel_json(row: ChannelRow, plan: PlanPage, findings: Sequence[Finding]) -> dict[str, object]:
    whole = plan.totals
    return {
        "channel": row.channel,
        "mode": row.mode,
        "signs_off": row.signs_off,
        "counts": {cause.value: count for cause, count in whole.counts.items()},
        "written": whole.written,
        "signed_off": whole.signed_off,
        "units_now": whole.units_now,
        "units_then": whole.units_then,
        "findings": [{"what": one.what, "is_good": one.is_good, "detail": one.detail} for one in findings],
    }


def _line_json(line: PlanLine) -> dict[str, object]:
    return {name: getattr(line, name) for name in type(line).__dataclass_fields__}
