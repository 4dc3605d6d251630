"""Commands that show what is measured of a channel: its blind windows, its objective, and what a sweep costs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from oneshelf.cli.common import on_database, refuse_unknown_channel, show_json, show_rows

if TYPE_CHECKING:
    from oneshelf.domain.identity import Channel
    from oneshelf.storage.blind_windows import ChannelWindow, Window
    from oneshelf.storage.database import Database, Transaction

Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
One = Annotated[str, typer.Argument(metavar="[CHANNEL]", help="One channel; default: all.")]
_WINDOWS = ("channel", "part", "window", "sample_count", "p50_s", "p95_s", "p99_s", "what")
_RECKONED = (
    *("channel", "tau_in_s", "tau_in_is", "tau_out_s", "tau_out_is", "seen_within_s", "share_wanted", "share_met"),
    *("budget_left", "sales", "detect_within_s", "listings_fresh"),
)
_PLAN = (
    *(
        "channel",
        "listing_count",
        "way",
        "pass_calls",
        "pass_s",
        "pass_every_s",
        "pass_share",
        "found_within_s",
        "hot_count",
    ),
    *("hot_every_s", "hot_share", "is_in_budget"),
)
_SPANS = {3_600: "1 h", 604_800: "7 d"}


def register(app: typer.Typer) -> None:
    """Add the commands of this file."""
    app.command()(windows)
    app.command()(objective)
    app.command("sweep-plan")(sweep_plan)


def windows(channel: One = "", as_json: Json = False) -> None:
    """How long a sale stays unseen: each part of the way measured, what the engine reckons with, and the objective."""
    from oneshelf.storage import blind_windows

    async def read(database: Database) -> tuple[list[ChannelWindow], list[Window]]:
        async with database.transaction() as tx:
            only = await _only(tx, channel)
            return await blind_windows.reckoned(tx, channel=only), await blind_windows.windows(tx, channel=only)

    reckoned, found = on_database(read)
    if as_json:
        show_json({"channels": [in_words(one) for one in reckoned], "windows": [one._asdict() for one in found]})
        return
    show_rows(
        [in_words(one) for one in reckoned],
        _RECKONED,
        as_json=False,
        empty="nothing is measured yet; a running engine (oneshelf serve) measures every minute",
    )
    if found:
        typer.echo("")
        rows = [
            {**one._asdict(), "window": _SPANS[one.window_s], "what": blind_windows.PARTS[one.part]} for one in found
        ]
        show_rows(rows, _WINDOWS, as_json=False, empty="")


def in_words(one: ChannelWindow) -> dict[str, object]:
    """What the engine reckons with for a channel, and how its objective stands."""
    from oneshelf.domain.blind_window import budget_left

    left = budget_left(one.share, count=one.sale_count, met_count=one.seen_count)
    return {
        "channel": one.channel,
        "tau_in_s": one.tau_in_s,
        "tau_in_is": "measured" if one.is_in_measured else "declared",
        "tau_out_s": one.tau_out_s,
        "tau_out_is": "measured" if one.is_out_measured else "declared",
        "round_s": one.round_s,
        "seen_within_s": one.seen_s,
        "share_wanted": f"{one.share:.2%}",
        "share_met": f"{one.seen_count / one.sale_count:.2%}" if one.sale_count else None,
        "budget_left": None if left is None else f"{left:.0%}",
        "sales": one.sale_count,
        "detect_within_s": one.detect_s,
        "listings_fresh": f"{one.fresh_count} of {one.listing_count}",
        "measured_at": one.measured_at,
    }


def objective(
    channel: Annotated[str, typer.Argument(metavar="CHANNEL", help="The channel's name.")],
    share: Annotated[float, typer.Option(help="Share of its sales to be seen in time, such as 0.99.")] = 0.0,
    seen_s: Annotated[float, typer.Option(help="Seconds until all other listings are proved.")] = 0.0,
    detect_s: Annotated[float, typer.Option(help="Seconds until a drift is found.")] = 0.0,
    reset: Annotated[bool, typer.Option("--reset", help="Back to what the channel's limits allow.")] = False,
) -> None:
    """Set what is wanted of a channel. What is left out stays as it is; `oneshelf channel windows` shows it."""
    from oneshelf.domain.identity import channel_from
    from oneshelf.errors import ConfigurationError
    from oneshelf.storage import blind_windows
    from oneshelf.storage.blind_windows import OwnObjective

    name = channel_from(channel)
    if not 0 <= share < 1 or not (0 <= seen_s < float("inf") and 0 <= detect_s < float("inf")):
        raise ConfigurationError("--share is above 0 and below 1, --seen-s and --detect-s are seconds above 0")
    if not reset and not (share or seen_s or detect_s):
        raise ConfigurationError("give --share, --seen-s or --detect-s, or --reset")

    async def change(database: Database) -> None:
        async with database.transaction() as tx:
            await refuse_unknown_channel(tx, name)
            own = OwnObjective() if reset else (await blind_windows.own_objectives(tx)).get(name, OwnObjective())
            wanted = OwnObjective(share or own.share, seen_s or own.seen_s, detect_s or own.detect_s)
            await blind_windows.set_objective(tx, name, wanted)

    on_database(change)
    typer.echo(f"{name}: the running engine judges by it within a minute")


def sweep_plan(channel: One = "", as_json: Json = False) -> None:
    """What reading a channel's whole stock costs: time, calls, share of its budget; and what is read more often."""
    from oneshelf.cli.channel_budget import plans, what_stands_out

    async def read(database: Database) -> list[dict[str, object]]:
        async with database.transaction() as tx:
            return await plans(tx, await _only(tx, channel))

    found = on_database(read)
    if as_json:
        show_json(found)
        return
    rows = [
        {**plan, "pass_share": f"{plan['pass_share']:.2%}", "hot_share": f"{plan['hot_share']:.2%}"} for plan in found
    ]
    show_rows(rows, _PLAN, as_json=False, empty="no channel that shows a figure is connected")
    for plan in found:
        for line in what_stands_out(plan):
            typer.echo(f"{plan['channel']}: {line}")


async def _only(tx: Transaction, channel: str) -> Channel | None:
    """The channel that was asked for, if one was. Raises ConfigurationError for an unknown one."""
    from oneshelf.domain.identity import channel_from

    if not channel:
        return None
    name = channel_from(channel)
    await refuse_unknown_channel(tx, name)
    return name
