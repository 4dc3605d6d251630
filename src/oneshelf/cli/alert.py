"""Commands for alerts: what is wrong now, and who is told of it by mail or in a chat."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from oneshelf.cli import endpoint
from oneshelf.cli.common import PlainErrors, choice_in, on_database, show_json, show_rows, typed

if TYPE_CHECKING:
    from oneshelf.flow.people import PeopleWish
    from oneshelf.storage.alerts import AlertRow
    from oneshelf.storage.database import Database

app = typer.Typer(cls=PlainErrors, help="What is wrong now, and who is told by mail or chat.", no_args_is_help=True)
# Whoever is told is an endpoint: it is tried, paused, resumed and removed as every other one.
app.command("test")(endpoint.try_)

ROWS_MAX = 1_000
Name = Annotated[str, typer.Argument(metavar="NAME", help="Who is told, such as oncall.")]
Types = Annotated[
    list[str] | None, typer.Option("--type", help="Such as alert.low_stock; again for one more. All by default.")
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
_COLUMNS = ("alert_id", "state", "kind", "what", "opened_at", "closed_at")


@app.command("list")
def list_(
    all_: Annotated[bool, typer.Option("--all", help="Also those that are over, of the last 30 days.")] = False,
    as_json: Json = False,
) -> None:
    """What is wrong now, the newest first."""
    from oneshelf.domain import alert_words
    from oneshelf.storage import alerts

    async def read(database: Database) -> list[AlertRow]:
        async with database.transaction() as tx:
            return await alerts.rows(tx, is_open=not all_, limit=ROWS_MAX)

    rows = [
        {**row._asdict(), "state": row.state, "what": alert_words.sentence(row.kind, row.figures)}
        for row in on_database(read)
    ]
    show_rows(rows, _COLUMNS, as_json=as_json, empty="no alert" if all_ else "no alert is open")


@app.command()
def mail(
    name: Name,
    to: Annotated[list[str], typer.Option("--to", help="Who gets it; again for one more.")],
    sender: Annotated[str, typer.Option("--from", help="Who it comes from, such as oneshelf@shop.example.")],
    server: Annotated[str, typer.Option(help="Your mail server, HOST or HOST:PORT.")],
    security: Annotated[str, typer.Option(help="starttls, tls, or none.")] = "starttls",
    user: Annotated[str, typer.Option(help="As whom to log in to the server.")] = "",
    password: Annotated[str, typer.Option(help="Its password; better in the environment.")] = "",
    password_env: Annotated[str, typer.Option(metavar="VARIABLE", help="Where the password is.")] = "",
    types: Types = None,
    as_json: Json = False,
) -> None:
    """Tell people of alerts by mail. Given again, it is told so from now on."""
    from oneshelf.domain.mailbox import Security, mailbox_from
    from oneshelf.flow import follow, people

    secret = _secret(password, password_env, option="--password")
    mailbox = mailbox_from(
        typed(server, what="--server"),
        security=choice_in(security, Security, what="--security"),
        sender=sender,
        recipients=to,
        user=typed(user, what="--user"),
        has_password=bool(secret),
    )
    _define(
        people.mail_wish(follow.endpoint_from(name), mailbox, password=secret, event_types=types or ()), as_json=as_json
    )


@app.command()
def chat(
    name: Name,
    url: Annotated[
        str, typer.Option(help="An incoming webhook; better in the environment: who has it can write.")
    ] = "",
    url_env: Annotated[str, typer.Option(metavar="VARIABLE", help="Where the URL is.")] = "",
    allow_http: Annotated[bool, typer.Option("--allow-http", help="In a network of your own: not encrypted.")] = False,
    types: Types = None,
    as_json: Json = False,
) -> None:
    """Tell people of alerts in Slack, Mattermost or whatever takes Slack's incoming webhooks."""
    from oneshelf.errors import ConfigurationError
    from oneshelf.flow import follow, people

    place = _secret(url, url_env, option="--url")
    if not place:
        raise ConfigurationError("say where: --url-env VARIABLE, with the URL of the incoming webhook in it")
    wish = people.chat_wish(follow.endpoint_from(name), place, allows_http=allow_http, event_types=types or ())
    _define(wish, as_json=as_json)


def _define(wish: PeopleWish, *, as_json: bool) -> None:
    from oneshelf.flow import follow, people

    is_new = on_database(lambda database: people.define(database, wish))
    if is_new is None:
        raise follow.another_kind(wish.endpoint)
    if as_json:
        show_json({"endpoint": wish.endpoint, "kind": wish.kind.value, "to": wish.shown, "is_new": is_new})
        return
    typer.echo(f"{wish.endpoint} is told of alerts at {wish.shown}; try it: oneshelf alert test {wish.endpoint}")


def _secret(text: str, variable: str, *, option: str) -> str:
    """What was typed, or what the environment has. Raises ConfigurationError, which does not repeat it."""
    import os

    from oneshelf.errors import ConfigurationError

    if not variable:
        return typed(text, what=option)
    if text:
        raise ConfigurationError(f"give {option} or {option}-env, not both")
    if not os.environ.get(variable):
        raise ConfigurationError(f"the environment has no {variable}, which {option}-env names")
    return typed(os.environ[variable], what=option)
