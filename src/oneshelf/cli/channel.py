"""Commands for channels: connect, go live, simulate."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated

import typer

from oneshelf.cli.common import NO_CHANNEL, PlainErrors, on_database, pairs_in, refuse_unknown_channel, show_rows, typed
from oneshelf.cli.going_live import By, Yes

if TYPE_CHECKING:
    from oneshelf.domain.identity import Channel
    from oneshelf.storage.catalog import ChannelRow

app = typer.Typer(cls=PlainErrors, help="Connect channels, and simulate them.", no_args_is_help=True)

Name = Annotated[str, typer.Argument(metavar="NAME", help="The channel's name.")]
Kind = Annotated[str, typer.Argument(metavar="KIND", help="Such as shopify or amazon.")]
Pairs = list[str]
_COLUMNS = (
    *(
        "channel",
        "kind",
        "mode",
        "writes",
        "lacks",
        "signs_off",
        "location",
        "held_at",
        "held_reason",
        "paused_until",
        "fail_streak",
    ),
    *("last_fault", "timing"),
)


@app.command()
def add(
    kind: Kind,
    name: Name,
    location: Annotated[str, typer.Option(help="The location whose units it sells.")],
    set_: Annotated[Pairs | None, typer.Option("--set", metavar="NAME=VALUE", help="A setting.")] = None,
    secret: Annotated[Pairs | None, typer.Option("--secret", metavar="NAME=VALUE", help="A secret.")] = None,
    secret_env: Annotated[
        Pairs | None, typer.Option("--secret-env", metavar="NAME=VARIABLE", help="A secret in the environment.")
    ] = None,
    timing: Annotated[
        Pairs | None, typer.Option("--timing", metavar="NAME=SECONDS", help="Such as poll_orders_s=5.")
    ] = None,
) -> None:
    """Connect a channel in mode watch, or change its settings. Nothing is written to it before it is live.

    A new location or setting may mean another account or shop: the channel is back in mode watch then.
    """
    from oneshelf.flow.connect import checked_channel, connect

    secrets = {**pairs_in(secret or (), option="--secret"), **_from_environment(secret_env or ())}
    new = checked_channel(
        kind=kind,
        name=name,
        location=location,
        settings=pairs_in(set_ or (), option="--set"),
        secrets=secrets,
        timing=pairs_in(timing or (), option="--timing"),
    )
    former_mode = on_database(lambda database: connect(database, new))
    if former_mode:
        typer.echo(
            f"{new.channel} was {former_mode} and is back in mode watch: its location or a setting is another one, so "
            "nothing is written before somebody has looked at it."
        )
    if new.shows_figures:
        then = f"then oneshelf listing plan {new.channel}"
    else:
        look = "wholesale list" if new.takes_purchase_orders else "channel devices"
        then = f"then let it post to /webhooks/{new.channel}, and look: oneshelf {look}"
    typer.echo(f"{new.channel} is connected. Next: oneshelf doctor, {then}")


@app.command("list")
def list_(as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False) -> None:
    """All channels, and how each is written. `lacks`: declared, and shown not to hold. Secrets are not shown."""
    from oneshelf.cli.channel_check import writes_of
    from oneshelf.storage import catalog
    from oneshelf.storage.database import Database

    async def read(database: Database) -> list[ChannelRow]:
        async with database.transaction() as tx:
            return await catalog.channels(tx)

    rows = [
        {
            **row._asdict(),
            **writes_of(row),
            "lacks": ", ".join(f"{one} since {told['since']}" for one, told in row.fallbacks.items()),
        }
        for row in on_database(read)
    ]
    columns = (*_COLUMNS, "declared", "fallbacks") if as_json else _COLUMNS
    show_rows(rows, columns, as_json=as_json, empty=NO_CHANNEL)


@app.command()
def live(name: Name, yes: Yes = False, by: By = "") -> None:
    """Write desired figures to the channel from now on: to all listings, or to those that were signed off one by one.

    Shows first what that means, and asks. A script goes on unasked where the breaker would not stop, else with --yes.
    """
    from oneshelf.cli.going_live import sign_off
    from oneshelf.storage import catalog
    from oneshelf.storage.database import Database

    channel = _known(name)

    async def find(database: Database) -> ChannelRow:
        async with database.transaction() as tx:
            await refuse_unknown_channel(tx, channel)
            return next(row for row in await catalog.channels(tx) if row.channel == channel)

    row = on_database(find)
    if row.mode == "live" or row.signs_off == "listing":
        _set_mode(name, "live")
    else:
        sign_off(row, (), is_agreed=yes, by=by)


@app.command()
def watch(name: Name) -> None:
    """Only read the channel; write nothing."""
    _set_mode(name, "watch")


@app.command()
def pause(name: Name) -> None:
    """Write nothing until the channel is live again."""
    _set_mode(name, "paused")


@app.command("cancellation-cost")
def cancellation_cost(
    name: Name,
    cost: Annotated[float | None, typer.Argument(metavar="[COST]", help="Default: as is usual for its kind.")] = None,
) -> None:
    """Say what one cancelled order costs at this channel, compared with others: the dearest gets the last unit."""
    from math import isfinite

    from oneshelf.domain.identity import channel_from
    from oneshelf.domain.last_unit import COSTS
    from oneshelf.errors import MalformedError
    from oneshelf.storage import catalog
    from oneshelf.storage.database import Database

    channel = channel_from(name)
    if cost is not None and not (isfinite(cost) and cost >= 0):
        raise MalformedError("a cost is a number from 0 on")

    async def change(database: Database) -> None:
        async with database.transaction() as tx:
            await refuse_unknown_channel(tx, channel)
            await catalog.set_cancellation_cost(tx, channel, cost)

    on_database(change)
    usual = ", ".join(f"{kind} {weight:g}" for kind, weight in COSTS.items())
    typer.echo(f"{channel}: {f'{cost:g}' if cost is not None else 'as is usual for its kind'} (usual: {usual})")


@app.command("state-changes")
def state_changes(
    name: Name,
    rule: Annotated[str, typer.Argument(metavar="[book|ask|ignore]", help="Default: show the rule.")] = "",
) -> None:
    """Say what becomes of units that somebody moves there from sale to another stock state, and back.

    book: the ledger follows at once. ask: a person decides about each (oneshelf drift resolve). ignore: our figure is
    written again.
    """
    from oneshelf.domain.identity import channel_from
    from oneshelf.domain.state_change import Rule
    from oneshelf.errors import MalformedError
    from oneshelf.storage import stock_states
    from oneshelf.storage.database import Database

    channel = channel_from(name)
    if rule and rule not in set(Rule):
        raise MalformedError(f"the rule is one of {', '.join(Rule)}, not {rule}")

    async def change(database: Database) -> str:
        async with database.transaction() as tx:
            await refuse_unknown_channel(tx, channel)
            if rule:
                await stock_states.set_rule(tx, channel, Rule(rule))
            return (await stock_states.rules(tx))[channel].value

    typer.echo(f"{channel}: {on_database(change)}")


@app.command()
def release(name: Name) -> None:
    """Let go what the breaker held: all figures that wait are written. To take it back instead: oneshelf undo."""
    from oneshelf.domain.breaker import HoldReason, in_words
    from oneshelf.storage import breakers
    from oneshelf.storage.breakers import Hold
    from oneshelf.storage.database import Database

    channel = _known(name)

    async def let_go(database: Database) -> Hold | None:
        async with database.transaction() as tx:
            await refuse_unknown_channel(tx, channel)
            hold = await breakers.held(tx, channel)
            return hold if await breakers.end_hold(tx, channel, lets_go=True) else None

    hold = on_database(let_go)
    if hold is None:
        typer.echo(f"{channel} is not held")
        return
    typer.echo(f"{channel}: released; it was held because {in_words(HoldReason(hold.reason), hold.figures)}")


@app.command()
def breaker(
    name: Name,
    set_: Annotated[
        Pairs | None, typer.Option("--set", metavar="LIMIT=VALUE", help="Such as zero_share=0.1; the others are usual.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Beyond which changes the channel is held and somebody is asked; with --set, its own limits from now on."""
    from dataclasses import asdict

    from oneshelf.cli.common import show_json
    from oneshelf.domain.breaker import Limits
    from oneshelf.storage import breakers
    from oneshelf.storage.database import Database

    channel, wanted = _known(name), {key: _number(value) for key, value in pairs_in(set_ or (), option="--set").items()}

    async def ask(database: Database) -> Limits:
        async with database.transaction() as tx:
            await refuse_unknown_channel(tx, channel)
            if set_:
                return await breakers.set_limits(tx, channel, wanted)
            return (await breakers.standing(tx, channel, every_s=0)).limits

    limits = asdict(on_database(ask))
    if as_json:
        show_json(limits)
    else:
        show_rows([limits], tuple(limits), as_json=False, empty="")


@app.command()
def simulate(
    kind: Kind,
    port: Annotated[int, typer.Option(help="Port on 127.0.0.1.", min=0, max=65535)],
    seed: Annotated[int, typer.Option(help="Seed of everything random.")] = 0,
    speed: Annotated[float, typer.Option(help="How many times as fast as the original.", min=0.001)] = 1.0,
    faults: Annotated[str, typer.Option(help='Faults as JSON, such as {"throttle": 0.05}.')] = "{}",
) -> None:
    """Serve the wire API of a channel with buyers and faults; its switches are under /_sim/."""
    from oneshelf.cli.channel_simulator import run_simulator

    run_simulator(kind, port=port, seed=seed, speed=speed, faults=faults)


def _from_environment(texts: list[str] | tuple[()]) -> Mapping[str, str]:
    import os

    from oneshelf.errors import ConfigurationError

    secrets = {}
    for name, variable in pairs_in(texts, option="--secret-env").items():
        if variable not in os.environ:
            raise ConfigurationError(f"the secret {name} should come from {variable}, which is not set")
        secrets[name] = typed(os.environ[variable], what=f"the variable {variable}")
    return secrets


def _known(name: str) -> Channel:
    from oneshelf.domain.identity import channel_from

    return channel_from(name)


def _number(text: str) -> float:
    from oneshelf.errors import MalformedError

    try:
        return float(text)
    except ValueError:
        raise MalformedError("a limit is a number, such as zero_share=0.1 or zero_least=20") from None


def _set_mode(name: str, mode: str) -> None:
    from oneshelf.storage import catalog
    from oneshelf.storage.database import Database

    channel = _known(name)

    async def change(database: Database) -> None:
        async with database.transaction() as tx:
            await refuse_unknown_channel(tx, channel)
            await catalog.set_mode(tx, channel, mode)

    on_database(change)
    typer.echo(f"{channel}: {mode}")
