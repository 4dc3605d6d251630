"""Rows of `secret_keys`: which key seals. What is sealed is sealed and opened here."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

from psycopg.types.json import Jsonb

from oneshelf.errors import ConfigurationError, KeyMissingError
from oneshelf.storage.database import Database, Transaction
from oneshelf.storage.keyring import PREFIX, Keyring, is_sealed, key_of

BATCH = 100
TYPED, KEPT, FACTORS, ENDPOINTS = "channels", "kept_secrets", "second_factors", "endpoints"
SIGNING = "endpoint_secrets"
# Whose the values of a row are, and where they stand.
_COLUMNS = {
    TYPED: ("channel", "secrets"),
    KEPT: ("channel", "kept"),
    FACTORS: ("person", "sealed"),
    ENDPOINTS: ("endpoint", "sealed"),
    SIGNING: ("owner", "sealed"),
}


async def sealed(
    tx: Transaction, keyring: Keyring, values: Mapping[str, str], *, table: str, channel: str
) -> dict[str, str]:
    """The values of a channel, a person or an endpoint as they are stored: as they are where there are no keys.

    Raises KeyMissingError where the key that seals is not on this machine.
    """
    if not keyring.is_able or not values:
        return dict(values)
    key_id = await _key_to_seal(tx, keyring)
    return {name: keyring.seal(text, key_id=key_id, place=(table, channel, name)) for name, text in values.items()}


def opened(keyring: Keyring, values: Mapping[str, str], *, table: str, channel: str) -> dict[str, str]:
    """What was stored, as it was told. Raises KeyMissingError or ConfigurationError, see `Keyring.open`."""
    return {name: keyring.open(text, place=(table, channel, name)) for name, text in values.items()}


class SealedRow(NamedTuple):
    """A secret of one channel, person, endpoint, mailbox or chat. `key_id`: the key that seals, "" for plain text."""

    table: str
    channel: str
    name: str
    key_id: str


async def current(tx: Transaction) -> str:
    """The id of the key that seals; "" while nothing was ever sealed."""
    found = await (await tx.execute("select key_id from secret_keys where is_current")).fetchone()
    return found[0] if found else ""


async def listed(tx: Transaction) -> list[SealedRow]:
    """Every secret there is, and the key that seals it. Never a value."""
    rows = []
    for table in _COLUMNS:
        for channel, values in await _all(tx, table):
            rows += [
                SealedRow(table, channel, name, key_of(text) if is_sealed(text) else "")
                for name, text in sorted(values.items())
            ]
    return rows


async def check(database: Database) -> None:
    """Raise KeyMissingError or ConfigurationError unless every secret opens with the keys of this machine."""
    async with database.transaction() as tx:
        for table in _COLUMNS:
            for channel, values in await _all(tx, table):
                opened(database.keyring, values, table=table, channel=channel)


async def rotate(database: Database) -> str:
    """Let the newest key seal from now on, and return its id; what is sealed already is left to `seal_anew`.

    A key of our own file is made first. Where the newest key does not seal yet, as after a death half way, none is
    made. Raises ConfigurationError where the keys are in the environment and no new one was put in front.
    """
    keyring = database.keyring
    async with database.transaction() as tx:
        former = await current(tx)
        if former and not keyring.holds(former):
            raise _missing(former, keyring)
        ids = keyring.ids()
        newest = ids[0] if ids else ""
        if not newest or newest == former:
            if not keyring.is_own_file:
                raise ConfigurationError(
                    "the keys come from ONESHELF_SECRETS_KEY: make one with oneshelf secrets new-key, put it in front "
                    "of the other with a comma between them, on every node, and run this again"
                )
            newest = keyring.add()
        await tx.execute("update secret_keys set is_current = false where is_current")
        await tx.execute(
            """
            insert into secret_keys (key_id, is_current) values (%(key_id)s, true)
            on conflict (key_id) do update set is_current = true
            """,
            {"key_id": newest},
        )
    return newest


async def seal_anew(database: Database, *, progress: Callable[[int], None] = lambda _: None) -> int:
    """Seal what is plain or sealed by another key than the current one. How many rows that were.

    Batch by batch, each committed: whoever dies half way goes on where it was, and every row can be opened meanwhile.
    `progress` is called with the count so far.
    """
    if not database.keyring.is_able:
        return 0
    done = 0
    for table in _COLUMNS:
        while count := await _seal_batch(database, table):
            done += count
            progress(done)
    return done


async def _seal_batch(database: Database, table: str) -> int:
    owner, column = _COLUMNS[table]
    async with database.transaction() as tx:
        key_id = await current(tx)
        found = await tx.execute(
            f"""
            select {owner}, {column} from {table} where exists (
                select from jsonb_each_text({column}) as one where not starts_with(one.value, %(prefix)s))
            order by {owner} limit %(limit)s for update
            """,
            {"prefix": f"{PREFIX}{key_id}:" if key_id else PREFIX, "limit": BATCH},
        )
        rows = await found.fetchall()
        anew = []
        for channel, values in rows:
            plain = opened(database.keyring, values, table=table, channel=channel)
            anew.append(await sealed(tx, database.keyring, plain, table=table, channel=channel))
        await tx.execute(
            f"""
            update {table} t set {column} = anew.value
            from unnest(%(channels)s::text[], %(values)s::jsonb[]) as anew (channel, value)
            where t.{owner} = anew.channel
            """,
            {"channels": [channel for channel, _ in rows], "values": [Jsonb(values) for values in anew]},
        )
    return len(rows)


async def _key_to_seal(tx: Transaction, keyring: Keyring) -> str:
    """The current key, the same on all nodes. Held until the end of the transaction, so that nothing is sealed by one
    that has been followed by another meanwhile. A key is made only where nothing was ever sealed.
    """
    locked = "select key_id from secret_keys where is_current for share"
    found = await (await tx.execute(locked)).fetchone()
    if found is None:
        if not await current(tx):
            newest = (keyring.ids() or [""])[0] or keyring.add()
            await tx.execute(
                "insert into secret_keys (key_id, is_current) values (%(key_id)s, true) on conflict do nothing",
                {"key_id": newest},
            )
        found = await (await tx.execute(locked)).fetchone()
    key_id: str = found[0] if found else ""
    if not keyring.holds(key_id):
        raise _missing(key_id, keyring)
    return key_id


def _missing(key_id: str, keyring: Keyring) -> KeyMissingError:
    return KeyMissingError(
        f"the secrets of this database are sealed by the key {key_id}, which is not in {keyring.where}. Nothing is "
        "lost: copy that file from the machine that has it, or name the key in ONESHELF_SECRETS_KEY"
    )


async def _all(tx: Transaction, table: str) -> list[tuple[str, dict[str, str]]]:
    owner, column = _COLUMNS[table]
    found = await tx.execute(f"select {owner}, {column} from {table} order by {owner}")
    return await found.fetchall()
