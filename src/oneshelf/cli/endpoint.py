"""Commands for endpoints: who is sent events, signed, and how that goes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from oneshelf.cli.common import (
    EXIT_REFUSED,
    PlainErrors,
    instant_in,
    on_database,
    seconds_in,
    show_json,
    show_rows,
    typed,
)

if TYPE_CHECKING:
    from oneshelf.domain.delivery import Reply
    from oneshelf.storage.database import Database
    from oneshelf.storage.endpoints import EndpointRow

app = typer.Typer(cls=PlainErrors, help="Who is told what happens, by signed webhooks.", no_args_is_help=True)

OVERLAP_S_MAX = 30 * 86_400
Name = Annotated[str, typer.Argument(metavar="ENDPOINT", help="Its name.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
_COLUMNS = (
    *(
        "endpoint",
        "kind",
        "url",
        "event_types",
        "state",
        "waiting_count",
        "oldest_s",
        "delivered_count",
        "failed_count",
    ),
    *("given_up_count", "failing_since", "last_words"),
)


@app.command()
def add(
    endpoint: Name,
    url: Annotated[str, typer.Argument(help="Where events are sent, such as https://erp.example/stock.")],
    types: Annotated[
        list[str] | None, typer.Option("--type", help="Such as stock.changed; again for one more. All by default.")
    ] = None,
    allow_http: Annotated[bool, typer.Option("--allow-http", help="In a network of your own: not encrypted.")] = False,
    as_json: Json = False,
) -> None:
    """Send events to an address from now on. Its secret is shown once; given again, the rest is changed."""
    from oneshelf.flow import follow

    wish = follow.wish_from(endpoint, typed(url, what="URL"), event_types=types or (), allows_http=allow_http)
    secret = on_database(lambda database: follow.define(database, wish))
    _show_secret(wish.endpoint, secret, as_json=as_json)


@app.command("list")
def list_(as_json: Json = False) -> None:
    """All endpoints: what waits for each, for how long, and why. No secrets."""
    from oneshelf.storage import endpoints

    async def read(database: Database) -> list[EndpointRow]:
        async with database.transaction() as tx:
            return await endpoints.listed(tx)

    show_rows(on_database(read), _COLUMNS, as_json=as_json, empty="nobody is sent events")


@app.command()
def remove(endpoint: Name) -> None:
    """Send it nothing any more, and forget what waits for it."""
    from oneshelf.flow import follow

    on_database(lambda database: follow.remove(database, endpoint))
    typer.echo(f"{endpoint} is sent nothing any more")


@app.command()
def pause(endpoint: Name) -> None:
    """Keep what is to be sent until it is called again: facts for a week, levels for ever."""
    from oneshelf.flow import follow

    on_database(lambda database: follow.pause(database, endpoint))
    typer.echo(f"{endpoint} is paused; oneshelf endpoint resume {endpoint} sends what has waited")


@app.command()
def resume(endpoint: Name) -> None:
    """Call it again, also one that was gone or failed for days. All that waits is due."""
    from oneshelf.flow import follow

    on_database(lambda database: follow.resume(database, endpoint))
    typer.echo(f"{endpoint} is active")


@app.command()
def rotate(
    endpoint: Name,
    overlap_s: Annotated[str, typer.Option("--overlap-s", help="How long the old secret signs too.")] = "86400",
    as_json: Json = False,
) -> None:
    """Give it another secret, which is shown once."""
    from oneshelf.flow import follow

    seconds = seconds_in(overlap_s, what="--overlap-s", most=OVERLAP_S_MAX)
    secret = on_database(lambda database: follow.rotate(database, endpoint, overlap_s=seconds))
    _show_secret(endpoint, secret, as_json=as_json)


@app.command()
def replay(
    endpoint: Name,
    since: Annotated[str, typer.Option("--since", help="An instant in ISO 8601, or the id of an event.")],
    as_json: Json = False,
) -> None:
    """Send again what was told since; of a level the newest figure."""
    from oneshelf.flow import follow

    instant = None if follow.position_in(since) is not None else instant_in(since, what="--since")
    place = follow.place_from(since, instant=instant)
    count = on_database(lambda database: follow.replay(database, endpoint, since=place))
    if as_json:
        show_json({"endpoint": endpoint, "event_count": count})
    else:
        typer.echo(f"{count} events are sent again to {endpoint}")


@app.command("test")
def try_(endpoint: Name, as_json: Json = False) -> None:
    """Send a test event now, and say what came of it. Exits with 1 where it was not taken."""
    from oneshelf.app import open_outgoing
    from oneshelf.clock import SystemClock
    from oneshelf.config import load_settings
    from oneshelf.flow import follow

    async def send(database: Database) -> Reply:
        async with open_outgoing(load_settings()) as outgoing:
            return await follow.attempt(database, outgoing, endpoint, new_id=SystemClock().new_id())

    reply = on_database(send)
    if as_json:
        show_json({"endpoint": endpoint, "is_delivered": reply.is_delivered, "detail": reply.words})
    else:
        typer.echo(
            f"{endpoint}: {'taken' if reply.is_delivered else 'not taken'}, {reply.words}", err=not reply.is_delivered
        )
    if not reply.is_delivered:
        raise typer.Exit(EXIT_REFUSED)


def _show_secret(endpoint: str, secret: str | None, *, as_json: bool) -> None:
    if as_json:
        show_json({"endpoint": endpoint, "secret": secret})
        return
    if secret is None:
        typer.echo(f"{endpoint} is changed, and its secret stays; another one: oneshelf endpoint rotate {endpoint}")
        return
    typer.echo(f"{endpoint} verifies with this secret, which is not shown again:")
    typer.echo(secret)
