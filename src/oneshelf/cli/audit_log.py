"""`oneshelf audit-log`, and which commands are written down in it."""

from __future__ import annotations

from typing import Annotated

import typer

from oneshelf.cli.common import on_database, show_json, show_rows

_COLUMNS = ("entry_id", "at", "via", "who", "act", "object", "result", "credential", "address")


def register(app: typer.Typer) -> None:
    """Add the command of this file."""
    app.command("audit-log")(audit_log)


def audit_log(
    who: Annotated[str, typer.Option(help="Only of this user, token or user of the operating system.")] = "",
    limit: Annotated[int, typer.Option(min=1, max=100_000, help="At most so many.")] = 50,
    before: Annotated[int, typer.Option(min=1, help="Only entries before this one.")] = 2**63 - 1,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Who did what, newest first: commands, requests that change something, and those that were refused."""
    from oneshelf.storage import audit_log as entries
    from oneshelf.storage.database import Database

    async def read(database: Database) -> list[entries.EntryRow]:
        async with database.transaction() as tx:
            return await entries.newest(tx, entries.Sought(who=who or None, before=before), limit=limit)

    rows = on_database(read)
    if as_json:
        show_json([row._asdict() for row in rows])
    else:
        show_rows(rows, _COLUMNS, as_json=False, empty="nothing is written down yet")
