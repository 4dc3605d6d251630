"""Commands for the keys that seal what channels let us in with and what events are signed with. None shows a secret."""

from __future__ import annotations

from collections import Counter
from typing import Annotated

import typer

from oneshelf.cli.common import PlainErrors, on_database, show_json, show_rows

app = typer.Typer(
    cls=PlainErrors, help="Seal the secrets of channels and endpoints, with keys that change.", no_args_is_help=True
)

Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@app.command("list")
def list_(as_json: Json = False) -> None:
    """Every secret there is, and by which key it is sealed. Never its value."""
    from oneshelf.storage import secret_keys
    from oneshelf.storage.database import Database

    async def read(database: Database) -> tuple[list[secret_keys.SealedRow], str]:
        async with database.transaction() as tx:
            return await secret_keys.listed(tx), await secret_keys.current(tx)

    rows, current = on_database(read)
    others = {secret_keys.FACTORS: "user ", secret_keys.SIGNING: "endpoint "}
    told = [
        {
            "channel": f"{others.get(row.table, '')}{row.channel}",
            "secret": row.name,
            "is_handed_out": row.table == secret_keys.KEPT,
            "key": row.key_id or None,
            "state": "plain text" if not row.key_id else "sealed" if row.key_id == current else "sealed by an old key",
        }
        for row in rows
    ]
    columns = ("channel", "secret", "is_handed_out", "key", "state")
    show_rows(told, columns, as_json=as_json, empty="no channel has a secret")


@app.command()
def seal(as_json: Json = False) -> None:
    """Seal what is in plain text or sealed by an old key. A running engine goes on; it may be run at any time."""
    _seal_anew(as_json=as_json, rotated="")


@app.command()
def rotate(as_json: Json = False) -> None:
    """Seal everything by a new key. Old keys stay where they are: backups of the database need them.

    With keys in a file the new one is made. With ONESHELF_SECRETS_KEY put it in front of the others first, on every
    node. What dies half way is gone on with by `oneshelf secrets seal`, and by the next start of the engine.
    """
    from oneshelf.storage import secret_keys

    _seal_anew(as_json=as_json, rotated=on_database(secret_keys.rotate))


@app.command("new-key")
def new_key() -> None:
    """Print a new random key, for ONESHELF_SECRETS_KEY. It is stored nowhere."""
    from oneshelf.storage import keyring

    typer.echo(keyring.new_key())


def _seal_anew(*, as_json: bool, rotated: str) -> None:
    from oneshelf.storage import secret_keys
    from oneshelf.storage.database import Database

    async def run(database: Database) -> tuple[int, str, Counter[str]]:
        await secret_keys.check(database)
        count = await secret_keys.seal_anew(database)
        async with database.transaction() as tx:
            rows = await secret_keys.listed(tx)
            return count, await secret_keys.current(tx), Counter(row.key_id for row in rows)

    count, current, by_key = on_database(run)
    if as_json:
        show_json({"key": current or None, "is_new": bool(rotated), "rows_sealed": count, "secrets": by_key[current]})
        return
    typer.echo(
        f"{by_key[current]} secrets are sealed by the key {current or '(none yet)'}; {count} rows were sealed anew"
    )
