"""The command line. `oneshelf --help` imports nothing but typer; each command imports what it needs."""

from __future__ import annotations

import errno
import os
import sys
from typing import Annotated

import typer

from oneshelf import __version__
from oneshelf.cli import (
    alert,
    architecture,
    audit_log,
    channel,
    channel_check,
    channel_devices,
    channel_measures,
    conflict,
    demo,
    drift,
    endpoint,
    errors,
    explain,
    house,
    listing,
    look,
    matrix,
    policy,
    secret,
    simulate,
    source,
    stock,
    token,
    truth,
    undo,
    user,
    wholesale,
    wholesale_x12,
)
from oneshelf.cli.common import EXIT_WRONG, GroupedHelp

app = typer.Typer(
    cls=GroupedHelp,
    name="oneshelf",
    help="Keeps one true stock count behind every storefront. Each command has --help, and what it prints --json.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
house.register(app)
demo.register(app)
simulate.register(app)
look.register(app)
explain.register(app)
channel_check.register(channel.app)
channel_devices.register(channel.app)
channel_measures.register(channel.app)
matrix.register(channel.app)
undo.register(app)
audit_log.register(app)
wholesale_x12.register(wholesale.app)
app.add_typer(channel.app, name="channel")
app.add_typer(listing.app, name="listing")
app.add_typer(stock.app, name="stock")
app.add_typer(policy.app, name="policy")
app.add_typer(drift.app, name="drift")
app.add_typer(source.app, name="source")
app.add_typer(truth.app, name="truth")
app.add_typer(architecture.app, name="architecture")
app.add_typer(conflict.app, name="conflict")
app.add_typer(endpoint.app, name="endpoint")
app.add_typer(alert.app, name="alert")
app.add_typer(errors.app, name="errors")
app.add_typer(secret.app, name="secrets")
app.add_typer(token.app, name="token")
app.add_typer(user.app, name="user")
app.add_typer(wholesale.app, name="wholesale")


def _say_version(is_asked: bool) -> None:
    if is_asked:
        typer.echo(f"oneshelf {__version__}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", callback=_say_version, is_eager=True, help="Show the version, and exit.")
    ] = False,
) -> None:
    """What stands before the command."""


def main() -> None:
    """What `oneshelf` runs."""
    try:
        app()
    except OSError as failure:
        if failure.errno not in {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}:
            raise
        _throw_away_the_output()
        typer.echo(
            f"oneshelf: {failure.strerror}. Make room where the output goes and where TMPDIR is. What was asked for "
            "may be done by now: look before you ask again",
            err=True,
        )
        sys.exit(EXIT_WRONG)


def _throw_away_the_output() -> None:
    """What standard output would not take is not tried again when the process ends."""
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
