"""Commands for the tokens of programs. A token is shown once, when it is made."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from oneshelf.cli.common import EXIT_REFUSED, PlainErrors, on_database, show_json, show_rows

if TYPE_CHECKING:
    from oneshelf.storage.api_tokens import TokenRow

app = typer.Typer(cls=PlainErrors, help="Let programs ask, and take it back.", no_args_is_help=True)

Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Name = Annotated[str, typer.Argument(metavar="NAME", help="Says which program it is.")]
DAYS_MAX, DAY_S = 3660, 86_400
_COLUMNS = (
    "name",
    "token_id",
    "scopes",
    "state",
    "expires_at",
    "last_used_at",
    "created_at",
    "created_by",
    "rate_per_s",
)


@app.command()
def add(
    name: Name,
    scope: Annotated[
        list[str] | None, typer.Option("--scope", help="read, stock:write, publish:write or admin; may be repeated.")
    ] = None,
    days: Annotated[
        int, typer.Option(min=0, max=DAYS_MAX, help="It is good for so many days; 0: until it is revoked.")
    ] = 365,
    rate_per_s: Annotated[
        float, typer.Option("--rate", help="Requests a second, five seconds' worth at once.")
    ] = 100.0,
    as_json: Json = False,
) -> None:
    """Make a token, and show it for the only time. From the first one on nobody is answered without one."""
    from oneshelf.cli.common import os_user
    from oneshelf.domain.access import scopes_from
    from oneshelf.domain.identity import name_from
    from oneshelf.errors import MalformedError
    from oneshelf.storage import api_tokens
    from oneshelf.storage.database import Database

    if not 0.1 <= rate_per_s <= 100_000:
        raise MalformedError("--rate must be from 0.1 to 100000 requests a second")
    new = api_tokens.NewToken(
        name_from(name, what="name"), scopes_from(scope or ["read"]), os_user(), days * DAY_S or None, rate_per_s
    )

    async def make(database: Database) -> str:
        async with database.transaction() as tx:
            return await api_tokens.add(tx, new)

    token = on_database(make)
    if not token:
        typer.echo(f"there was a token {new.name!r} before, and a name is used once; oneshelf token list", err=True)
        raise typer.Exit(EXIT_REFUSED)
    if as_json:
        show_json({"name": new.name, "token": token, "scopes": sorted(new.scopes)})
        return
    typer.echo(token)
    typer.echo("It is not shown again. Send it as the header Authorization: Bearer TOKEN", err=True)


@app.command("list")
def list_(as_json: Json = False) -> None:
    """All tokens: what each may do, when it was used last, and whether it is still good."""
    from oneshelf.storage import api_tokens
    from oneshelf.storage.database import Database

    async def read(database: Database) -> list[TokenRow]:
        async with database.transaction() as tx:
            return await api_tokens.listed(tx)

    rows = [row._asdict() for row in on_database(read)]
    if not as_json:
        rows = [{**row, "scopes": " ".join(row["scopes"])} for row in rows]
    show_rows(rows, _COLUMNS, as_json=as_json, empty="there is no token; oneshelf token add NAME --scope read")


@app.command()
def revoke(name: Annotated[str, typer.Argument(metavar="NAME", help="Its name or its id.")]) -> None:
    """End a token for good. Running engines turn it away within a second."""
    from oneshelf.storage import api_tokens
    from oneshelf.storage.database import Database

    async def end(database: Database) -> bool:
        async with database.transaction() as tx:
            return await api_tokens.revoke(tx, name)

    if not on_database(end):
        typer.echo(f"there is no good token {name!r}; oneshelf token list", err=True)
        raise typer.Exit(EXIT_REFUSED)
    typer.echo(f"{name} is revoked")
