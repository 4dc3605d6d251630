"""Commands that run the house: serve, migrate, doctor, audit, reconcile."""

from __future__ import annotations

from typing import Annotated

import typer

from oneshelf.cli.common import EXIT_REFUSED, on_database, refuse_unknown_channel, show_json

Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def register(app: typer.Typer) -> None:
    """Add the commands of this file."""
    app.command()(serve)
    app.command()(migrate)
    app.command()(doctor)
    app.command()(audit)
    app.command()(reconcile)


def serve(
    host: Annotated[str, typer.Option(help="Address to listen on; default: ONESHELF_HOST.")] = "",
    port: Annotated[int, typer.Option(help="Port to listen on; default: ONESHELF_PORT.", min=-1, max=65535)] = -1,
) -> None:
    """Run the engine: the steps, the API, the webhooks and the pages, in one process."""
    from oneshelf.cli.serve import run_until_told
    from oneshelf.config import load_settings
    from oneshelf.telemetry import configure_logging

    settings = load_settings()
    chosen = {"host": host or settings.host, "port": settings.port if port < 0 else port}
    configure_logging(as_json=settings.log_json, level=settings.log_level)
    raise typer.Exit(run_until_told(settings.model_copy(update=chosen)))


def migrate() -> None:
    """Bring the database to the schema of this version."""
    from oneshelf.app import database_dsn
    from oneshelf.config import load_settings
    from oneshelf.storage.migrate import migrate as apply_migrations

    with database_dsn(load_settings()) as dsn:
        applied = apply_migrations(dsn)
    for name in applied:
        typer.echo(f"applied {name}")
    if not applied:
        typer.echo("the database is up to date")


def doctor(as_json: Json = False) -> None:
    """Check database, schema, clocks and channels, and say what to do. Exits with 1 where something is wrong."""
    from oneshelf.cli.doctor import examine
    from oneshelf.config import load_settings

    findings = examine(load_settings())
    if as_json:
        rows = [{"what": found.what, "is_good": found.is_good, "detail": found.detail} for found in findings]
        show_json(rows)
    else:
        for found in findings:
            mark = "ok   " if found.is_good else "WRONG"
            typer.echo(f"{mark} {found.what}{': ' if found.detail else ''}{found.detail}")
    if not all(found.is_good for found in findings):
        raise typer.Exit(EXIT_REFUSED)


def audit(
    only_new: Annotated[
        bool, typer.Option("--new", help="Only what moved since the last time, as the engine does.")
    ] = False,
    from_the_first: Annotated[
        bool, typer.Option("--from-the-first", help="Forget what was audited, and remember anew.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Add the whole ledger up again and compare. Exits with 1 where it does not balance, and shows the movements."""
    from oneshelf.cli.audit import progress_on_a_terminal, show_audit
    from oneshelf.flow import audit as auditor
    from oneshelf.storage.database import Database

    async def run(database: Database) -> auditor.Audit:
        with progress_on_a_terminal() as progress:
            if only_new or from_the_first:
                return await auditor.audit_new(database, from_the_first=from_the_first, progress=progress)
            return await auditor.audit(database, progress=progress)

    found = on_database(run)
    show_audit(found, as_json=as_json)
    if found.violations:
        raise typer.Exit(EXIT_REFUSED)


def reconcile(channel: Annotated[str, typer.Argument(help="One channel; default: all.")] = "") -> None:
    """Make the sweep of a channel due now: the running engine reads its whole stock and compares."""
    from oneshelf.storage import catalog, schedules
    from oneshelf.storage.database import Database

    async def make_due(database: Database) -> list[str]:
        async with database.transaction() as tx:
            if channel:
                await refuse_unknown_channel(tx, channel)
            wanted = [row.channel for row in await catalog.channels(tx) if channel in {"", row.channel}]
            for name in wanted:
                await schedules.hurry(tx, name, "stock", at_most_every_s=0.0)
        return [str(name) for name in wanted]

    for name in on_database(make_due):
        typer.echo(f"{name}: the sweep is due now")
