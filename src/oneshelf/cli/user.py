"""Commands for people: who may log in, and as what. A password is set by its owner alone, with a link."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from oneshelf.cli.common import EXIT_REFUSED, PlainErrors, choice_in, on_database, os_user, show_json, show_rows

if TYPE_CHECKING:
    from oneshelf.storage.users import UserRow

app = typer.Typer(cls=PlainErrors, help="People: who may log in, and as what.", no_args_is_help=True)

Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Name = Annotated[str, typer.Argument(metavar="NAME", help="Upper and lower case are one.")]
_ROLES = "viewer, warehouse, operator or admin."
_COLUMNS = ("name", "role", "state", "is_linked", "last_login_at", "session_count", "created_at", "created_by")


@app.command()
def add(
    name: Name, role: Annotated[str, typer.Option("--role", help=_ROLES)] = "viewer", as_json: Json = False
) -> None:
    """Add a person, and print the link with which they set a password: good once, for a day."""
    from oneshelf.clock import SystemClock
    from oneshelf.domain.access import Role
    from oneshelf.storage import users
    from oneshelf.storage.database import Database

    chosen, wanted = _named(name), choice_in(role, Role, what="--role")

    async def make(database: Database) -> str:
        async with database.transaction() as tx:
            is_new = await users.add(tx, SystemClock().new_id(), name=chosen, role=wanted, created_by=os_user())
            return await users.invite(tx, chosen) if is_new else ""

    link = on_database(make)
    if not link:
        typer.echo(f"there was a user {chosen!r} before, and a name is used once; oneshelf user list", err=True)
        raise typer.Exit(EXIT_REFUSED)
    _say_link(chosen, link, as_json=as_json)


@app.command("list")
def list_(as_json: Json = False) -> None:
    """All people: role, whether they can log in, when they last did, and where they still are."""
    from oneshelf.storage import users
    from oneshelf.storage.database import Database

    async def read(database: Database) -> list[UserRow]:
        async with database.transaction() as tx:
            return await users.listed(tx)

    show_rows(
        on_database(read), _COLUMNS, as_json=as_json, empty="there is no user; oneshelf user add NAME --role admin"
    )


@app.command("set-role")
def set_role(name: Name, role: Annotated[str, typer.Argument(metavar="ROLE", help=_ROLES)]) -> None:
    """Give another role. The person is logged out everywhere."""
    from oneshelf.domain.access import Role
    from oneshelf.storage import users
    from oneshelf.storage.database import Database

    chosen, wanted = _named(name), choice_in(role, Role, what="ROLE")

    async def change(database: Database) -> bool:
        async with database.transaction() as tx:
            return await users.set_role(tx, chosen, wanted)

    _known(chosen, on_database(change))
    typer.echo(f"{chosen} is {wanted.value}, and has to log in again")


@app.command()
def disable(name: Name) -> None:
    """Let a person in no more, at once: all sessions end. What they did stays in the log."""
    _set_disabled(name, is_disabled=True)


@app.command()
def enable(name: Name) -> None:
    """Let a person in again, with the password of before."""
    _set_disabled(name, is_disabled=False)


@app.command("sign-out")
def sign_out(name: Name) -> None:
    """Log a person out everywhere. The password stays good."""
    from oneshelf.storage import users
    from oneshelf.storage.database import Database

    chosen = _named(name)

    async def change(database: Database) -> bool:
        async with database.transaction() as tx:
            return await users.sign_out(tx, chosen)

    _known(chosen, on_database(change))
    typer.echo(f"{chosen} is logged out everywhere")


@app.command()
def link(
    name: Name,
    subject: Annotated[str, typer.Argument(metavar="SUBJECT", help="As the audit log has it.")],
    as_json: Json = False,
) -> None:
    """Say whose an account at the issuer (ONESHELF_OIDC_ISSUER) is: whoever has it logs in as this person."""
    from oneshelf.config import load_settings
    from oneshelf.domain.access import Account
    from oneshelf.errors import ConfigurationError
    from oneshelf.storage import identities
    from oneshelf.storage.database import Database
    from oneshelf.web.passwords import subject_from

    chosen, issuer = _named(name), load_settings().oidc_issuer
    if not issuer:
        raise ConfigurationError("there are no accounts elsewhere here; set ONESHELF_OIDC_ISSUER first")
    account = Account(issuer, subject_from(subject))

    async def change(database: Database) -> bool:
        async with database.transaction() as tx:
            is_new = await identities.link(tx, chosen, account, by=os_user())
            holder = await identities.holder_of(tx, account)
            return is_new or (holder is not None and holder.name == chosen)

    if not on_database(change):
        typer.echo(
            f"not linked: there is no user {chosen!r} who is let in, or {chosen} has another account at {issuer}, or "
            "this one is somebody else's; oneshelf user list, oneshelf user unlink",
            err=True,
        )
        raise typer.Exit(EXIT_REFUSED)
    if as_json:
        show_json({"name": chosen, "issuer": issuer, "subject": account.subject})
    else:
        typer.echo(f"{account.subject} at {issuer} logs in as {chosen}")


@app.command()
def unlink(name: Name, as_json: Json = False) -> None:
    """Let a person in by no account elsewhere any more, and log them out everywhere. A password stays good.

    A person whose name is an address is found again by an account that has it verified: to keep them out, disable them.
    """
    from oneshelf.storage import identities, users
    from oneshelf.storage.database import Database
    from oneshelf.web.passwords import unlinked_words

    chosen = _named(name)

    async def change(database: Database) -> tuple[bool, bool]:
        async with database.transaction() as tx:
            return await users.sign_out(tx, chosen), await identities.unlink(tx, chosen)

    is_known, was_linked = on_database(change)
    _known(chosen, is_known)
    if as_json:
        show_json({"name": chosen, "was_linked": was_linked})
    else:
        typer.echo(("" if was_linked else "as before: ") + unlinked_words(chosen))


@app.command()
def reset(name: Name, as_json: Json = False) -> None:
    """Forget a person's password, log them out everywhere, and print a new link: good once, for a day."""
    from oneshelf.storage import users
    from oneshelf.storage.database import Database

    chosen = _named(name)

    async def change(database: Database) -> str:
        async with database.transaction() as tx:
            return await users.invite(tx, chosen)

    link = on_database(change)
    _known(chosen, bool(link))
    _say_link(chosen, link, as_json=as_json)


@app.command("reset-second-factor")
def reset_second_factor(name: Name, as_json: Json = False) -> None:
    """Forget a person's second factor and recovery codes, and log them out everywhere. The password stays good."""
    from oneshelf.storage import second_factors, users
    from oneshelf.storage.database import Database

    chosen = _named(name)

    async def change(database: Database) -> tuple[bool, bool]:
        async with database.transaction() as tx:
            return await users.sign_out(tx, chosen), await second_factors.forget(tx, chosen)

    is_known, was_on = on_database(change)
    _known(chosen, is_known)
    if as_json:
        show_json({"name": chosen, "had_second_factor": was_on})
    else:
        typer.echo(f"{chosen} logs in with the password alone" + ("" if was_on else ", as before"))


def _set_disabled(name: str, *, is_disabled: bool) -> None:
    from oneshelf.storage import users
    from oneshelf.storage.database import Database

    chosen = _named(name)

    async def change(database: Database) -> bool:
        async with database.transaction() as tx:
            return await users.set_disabled(tx, chosen, is_disabled=is_disabled)

    _known(chosen, on_database(change))
    typer.echo(f"{chosen} is {'disabled' if is_disabled else 'let in again'}")


def _named(name: str) -> str:
    from oneshelf.web.passwords import user_name_from

    return user_name_from(name)


def _known(name: str, is_known: bool) -> None:
    if not is_known:
        typer.echo(f"there is no user {name!r} that this can be done to; oneshelf user list", err=True)
        raise typer.Exit(EXIT_REFUSED)


def _say_link(name: str, link: str, *, as_json: bool) -> None:
    from oneshelf.config import load_settings

    settings = load_settings()
    base = settings.public_url or f"http://{settings.host}:{settings.port}"
    address = f"{base}/set-up?link={link}"
    if as_json:
        show_json({"name": name, "link": address})
        return
    typer.echo(address)
    typer.echo(f"Good once, for a day. Give it to {name} alone.", err=True)
