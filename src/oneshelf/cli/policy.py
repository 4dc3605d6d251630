"""Commands for policies: what each listing may show of what is available to sell."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from oneshelf.cli.common import EXIT_REFUSED, PlainErrors, on_database, show_json, show_rows, units_in

if TYPE_CHECKING:
    from oneshelf.domain.outcome import UnknownSku
    from oneshelf.domain.policy import Rule, Scope, UnknownChannel
    from oneshelf.flow.preview import Preview
    from oneshelf.flow.rule import Ruled
    from oneshelf.storage.policies import ChangeRow, PolicyRow

Answer = TypeVar("Answer")

ACTOR = "cli"
PAGE = 1000
_WORDS = {"yes": True, "true": True, "no": False, "false": False}

app = typer.Typer(
    cls=PlainErrors,
    help="What each listing may show of what is available to sell. How and why: docs/how-to/set-policies.md",
    no_args_is_help=True,
)

Sku_ = Annotated[str, typer.Option("--sku", help="Only this SKU.")]
Group_ = Annotated[str, typer.Option("--group", help="Only SKUs of this group.")]
Channel_ = Annotated[str, typer.Option("--channel", help="Only on this channel.")]
Terms_ = Annotated[
    list[str],
    typer.Argument(
        metavar="TERM=VALUE...",
        help="percent=80 buffer_units=2 cap_units=5 low_stock_at=3 low.cap_units=1 …; a term without a value is not "
        "stated any more.",
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@app.command("set")
def set_(terms: Terms_, sku: Sku_ = "", group: Group_ = "", channel: Channel_ = "", as_json: Json = False) -> None:
    """State terms for a scope, and leave its others as they are. The narrowest scope that states a term wins."""
    from oneshelf.flow.rule import change_rule
    from oneshelf.storage.database import Database

    scope, changes = _scope(sku, group, channel), _changes(terms)

    async def change(database: Database) -> Ruled | UnknownSku | UnknownChannel:
        return await change_rule(database, scope, changes, actor=ACTOR)

    _say_ruled(_known(on_database(change)), as_json=as_json)


@app.command()
def remove(sku: Sku_ = "", group: Group_ = "", channel: Channel_ = "", as_json: Json = False) -> None:
    """State nothing for a scope any more."""
    from oneshelf.flow.rule import end_rule
    from oneshelf.storage.database import Database
    from oneshelf.web.policy_outputs import policy_out

    scope = _scope(sku, group, channel)

    async def end(database: Database) -> Rule | UnknownSku | UnknownChannel | None:
        return await end_rule(database, scope, actor=ACTOR)

    ended = _known(on_database(end))
    if as_json:
        show_json({"ended": policy_out(ended).model_dump(mode="json") if ended else None})
    elif ended is None:
        typer.echo(f"no rule was set for {scope}; oneshelf policy list shows all there are")
    else:
        typer.echo(f"{scope}: nothing is stated any more; it was {_words(ended)}")


@app.command("list")
def list_(
    channel: Annotated[str, typer.Argument(help="Only rules that name this channel; default: all.")] = "",
    as_json: Json = False,
) -> None:
    """All rules, those for all channels first."""
    from oneshelf.domain.identity import channel_from
    from oneshelf.storage import policies
    from oneshelf.storage.database import Database
    from oneshelf.web.policy_outputs import policy_out

    only = channel_from(channel) if channel else None

    async def read(database: Database) -> list[PolicyRow]:
        rows: list[PolicyRow] = []
        async with database.transaction() as tx:
            while page := await policies.listed(tx, channel=only, after=_last(rows), limit=PAGE):
                rows += page
        return rows

    found = on_database(read)
    if as_json:
        show_json([policy_out(row.rule, row).model_dump(mode="json") for row in found])
        return
    rows = [
        {"for": str(row.rule.scope), "states": _words(row.rule), "set_at": row.set_at, "set_by": row.set_by}
        for row in found
    ]
    show_rows(rows, ("for", "states", "set_at", "set_by"), as_json=False, empty="no rule: all is shown that is there")


@app.command()
def history(
    limit: Annotated[int, typer.Option(help="At most so many.", min=1, max=PAGE)] = 50, as_json: Json = False
) -> None:
    """Who changed which rule when, the newest first."""
    from oneshelf.storage import policies
    from oneshelf.storage.database import Database
    from oneshelf.web.policy_outputs import change_out

    async def read(database: Database) -> list[ChangeRow]:
        async with database.transaction() as tx:
            return await policies.history(tx, limit=limit)

    found = on_database(read)
    if as_json:
        show_json([change_out(row).model_dump(mode="json") for row in found])
        return
    rows = [
        {
            "changed_at": row.changed_at,
            "actor": row.actor,
            "for": str(policies.scope_of(row.channel, row.sku_group, row.sku, row.pattern)),
            "before": _stated(row.before),
            "after": _stated(row.after),
        }
        for row in found
    ]
    show_rows(rows, ("changed_at", "actor", "for", "before", "after"), as_json=False, empty="no rule was ever changed")


@app.command()
def preview(
    terms: Terms_,
    sku: Sku_ = "",
    group: Group_ = "",
    channel: Channel_ = "",
    limit: Annotated[int, typer.Option(help="At most so many listings.", min=1, max=PAGE)] = 50,
    as_json: Json = False,
) -> None:
    """What `set` with the same words would do to each listing that it reaches. Nothing is saved."""
    from oneshelf.flow.preview import preview as look_ahead
    from oneshelf.storage.database import Database
    from oneshelf.web.policy_outputs import preview_out

    scope, changes = _scope(sku, group, channel), _changes(terms)

    async def read(database: Database) -> Preview | UnknownSku | UnknownChannel:
        return await look_ahead(database, scope, changes, limit=limit)

    wished = _known(on_database(read))
    if as_json:
        show_json(preview_out(wished).model_dump(mode="json"))
        return
    rows = [
        {
            "channel": effect.channel,
            "listing": effect.channel_sku,
            "sku": effect.sku,
            "now": effect.now_units,
            "would": effect.would_units,
            "because": "; ".join(step.name for step in effect.steps) or "all is shown that is there",
        }
        for effect in wished.effects
    ]
    show_rows(
        rows, ("channel", "listing", "sku", "now", "would", "because"), as_json=False, empty="no listing is in it"
    )
    typer.echo("")
    changing = sum(effect.now_units != effect.would_units for effect in wished.effects)
    typer.echo(f"{scope}: {changing} of these {len(wished.effects)} listings would change; nothing was saved")
    if wished.wholesale:
        _show_wholesale(wished)
    if wished.rest_count:
        typer.echo(f"{wished.rest_count} more listings are in it; --limit {PAGE} shows more, the API shows all")


def _show_wholesale(wished: Preview) -> None:
    from dataclasses import asdict

    typer.echo("")
    columns = ("sku", "location", "available", "allocated", "now", "would")
    rows = [asdict(one) for one in wished.wholesale]
    shown = [{**row, "now": row["now_units"], "would": row["would_units"]} for row in rows]
    typer.echo("Wholesale may take so many more:")
    show_rows(shown, columns, as_json=False, empty="")


@app.command()
def group(
    sku: Annotated[str, typer.Argument(metavar="SKU", help="The SKU.")],
    sku_group: Annotated[str, typer.Argument(metavar="[GROUP]", help="Its group; default: none.")] = "",
) -> None:
    """Put a SKU into a group, so that a rule can be for the group. A SKU is in one group at most."""
    from oneshelf.domain.identity import name_from, sku_from
    from oneshelf.domain.outcome import in_words
    from oneshelf.flow.rule import put_in_group
    from oneshelf.storage.database import Database

    item, name = sku_from(sku), name_from(sku_group, what="group") if sku_group else None

    async def put(database: Database) -> UnknownSku | None:
        return await put_in_group(database, item, name, actor=ACTOR)

    if refusal := on_database(put):
        typer.echo(in_words(refusal), err=True)
        raise typer.Exit(EXIT_REFUSED)
    typer.echo(f"{item} is in the group {name}" if name else f"{item} is in no group")


def _scope(sku: str, group: str, channel: str) -> Scope:
    from oneshelf.domain.identity import channel_from, name_from, sku_from
    from oneshelf.domain.policy import Scope

    return Scope(
        sku=sku_from(sku) if sku else None,
        sku_group=name_from(group, what="group") if group else None,
        channel=channel_from(channel) if channel else None,
    )


def _changes(terms: list[str]) -> dict[str, int | bool | None]:
    """`percent=80` and the like. Raises ConfigurationError or MalformedError; the names are judged by the rule."""
    from oneshelf.domain.policy import FLAGS, LOW
    from oneshelf.errors import ConfigurationError, MalformedError

    changes: dict[str, int | bool | None] = {}
    for text in terms:
        name, equals, value = text.partition("=")
        if not equals:
            raise ConfigurationError(f"a term is said as TERM=VALUE, such as percent=80; {text!r} has no equals sign")
        if name.removeprefix(LOW) in FLAGS and value:
            if value not in _WORDS:
                raise MalformedError(f"{name} must be yes or no")
            changes[name] = _WORDS[value]
        else:
            changes[name] = units_in(value, what=name) if value else None
    return changes


def _known(outcome: Answer | UnknownSku | UnknownChannel) -> Answer:
    """The answer, unless it is a refusal: then that in words, and 1 as the exit code."""
    from oneshelf.domain.outcome import UnknownSku, in_words
    from oneshelf.domain.policy import UnknownChannel

    if isinstance(outcome, UnknownSku):
        typer.echo(in_words(outcome), err=True)
        raise typer.Exit(EXIT_REFUSED)
    if isinstance(outcome, UnknownChannel):
        typer.echo(f"no channel {outcome.channel!r}; oneshelf channel list", err=True)
        raise typer.Exit(EXIT_REFUSED)
    return outcome


def _say_ruled(outcome: Ruled, *, as_json: bool) -> None:
    from oneshelf.web.policy_outputs import policy_out

    if as_json:
        said = policy_out(outcome.rule).model_dump(mode="json")
        show_json({"policy": said, "listing_count": outcome.listing_count})
        return
    typer.echo(f"{outcome.rule.scope}: {_words(outcome.rule)}; {outcome.listing_count} listings are in it")


def _words(rule: Rule) -> str:
    return _stated(rule.stated())


def _stated(stated: dict[str, Any]) -> str:
    said = {name: ("yes" if value else "no") if isinstance(value, bool) else value for name, value in stated.items()}
    return " ".join(f"{name}={value}" for name, value in said.items()) or "nothing"


def _last(rows: list[PolicyRow]) -> tuple[str, str, str] | None:
    if not rows:
        return None
    scope = rows[-1].rule.scope
    return (scope.channel or "", scope.sku_group or "", scope.sku or "")
