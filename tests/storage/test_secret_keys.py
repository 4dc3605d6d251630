"""Secrets are sealed at rest: bound to their place, opened by the keys of the machine alone, and lost by no death."""

from __future__ import annotations

import signal
import stat
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import psycopg
import pytest
from psycopg import sql

from oneshelf.clock import SystemClock
from oneshelf.domain.identity import Channel, Location
from oneshelf.domain.kept import Kept
from oneshelf.errors import ConfigurationError, KeyMissingError
from oneshelf.storage import catalog, endpoints, secret_keys
from oneshelf.storage.database import Database
from oneshelf.storage.kept_secrets import StoredSecrets
from oneshelf.storage.keyring import Keyring, is_sealed, key_of, new_key

pytestmark = pytest.mark.pg

BERLIN, SHOP = Location("BER"), Channel("shop")
PLACE = ("channels", "shop", "access_token")
CANARY = "shpat_canary-5e1f"
MANY = 250
EVERYTHING = sql.SQL("select t::text from {} t")

# Seals anew in a process of its own, which dies by SIGKILL once the first batch is in the database.
DIES_HALF_WAY = """
import asyncio, os, signal, sys
from pathlib import Path
from oneshelf.storage import secret_keys
from oneshelf.storage.database import Database
from oneshelf.storage.keyring import Keyring

async def run():
    async with Database.open(sys.argv[1], keyring=Keyring(file=Path(sys.argv[2]))) as database:
        await secret_keys.rotate(database)
        await secret_keys.seal_anew(database, progress=lambda _: os.kill(os.getpid(), signal.SIGKILL))

asyncio.run(run())
"""


@pytest.fixture
def key_file(tmp_path: Path) -> Path:
    return tmp_path / "data" / "secrets.key"


@pytest.fixture
async def database(dsn: str, key_file: Path) -> AsyncIterator[Database]:
    async with Database.open(dsn, keyring=Keyring(file=key_file)) as opened:
        async with opened.transaction() as tx:
            await catalog.add_location(tx, BERLIN)
        yield opened


async def connect(
    database: Database, name: str = SHOP, *, secret: str = CANARY, keyring: Keyring | None = None
) -> None:
    new = catalog.NewChannel(Channel(name), "shopify", BERLIN, {}, {"access_token": secret}, {})
    async with database.transaction() as tx:
        await catalog.add_channel(tx, new, keyring=keyring)


async def follow(database: Database, *, keyring: Keyring, secret: str = CANARY, name: str = "erp") -> None:
    async with database.transaction() as tx:
        await endpoints.define(tx, name, "https://erp.example/stock", event_types=(), allows_http=False)
        await endpoints.add_secret(tx, keyring, name, secret, overlap_s=60)


async def signing(database: Database, name: str = "erp") -> list[str]:
    """What the events of an endpoint are signed with."""
    async with database.transaction() as tx:
        return endpoints.keys_of(database.keyring, await endpoints.secrets_of(tx, name))


def stored(dsn: str) -> dict[str, str]:
    """channel -> its access token as the database has it."""
    with psycopg.connect(dsn) as connection:
        return dict(connection.execute("select channel, secrets ->> 'access_token' from channels").fetchall())


def kept_by(database: Database) -> StoredSecrets:
    return StoredSecrets(database, SHOP, typed={"access_token": CANARY}, clock=SystemClock())


def modes_in(directory: Path) -> dict[str, int]:
    """file -> who may do what with it."""
    return {file.name: stat.S_IMODE(file.stat().st_mode) for file in directory.glob("*")}


def die_half_way(dsn: str, key_file: Path) -> int:
    return subprocess.run([sys.executable, "-c", DIES_HALF_WAY, dsn, str(key_file)], check=False).returncode


def dump(dsn: str) -> str:
    """All rows of all tables, as text."""
    with psycopg.connect(dsn) as connection:
        tables = connection.execute("select tablename from pg_tables where schemaname = 'public'").fetchall()
        return "\n".join(
            str(row)
            for (name,) in tables
            for row in connection.execute(EVERYTHING.format(sql.Identifier(name))).fetchall()
        )


def test_what_is_sealed_opens_in_its_place_alone() -> None:
    keyring = Keyring([new_key()])
    [key_id] = keyring.ids()
    sealed = keyring.seal(CANARY, key_id=key_id, place=PLACE)
    assert is_sealed(sealed)
    assert key_of(sealed) == key_id
    assert CANARY not in sealed
    assert sealed != keyring.seal(CANARY, key_id=key_id, place=PLACE)
    assert keyring.open(sealed, place=PLACE) == CANARY
    for elsewhere in (
        ("channels", "other", "access_token"),
        ("channels", "shop", "webhook_secret"),
        ("kept_secrets", *PLACE[1:]),
    ):
        with pytest.raises(ConfigurationError, match="changed or moved"):
            keyring.open(sealed, place=elsewhere)
    with pytest.raises(ConfigurationError, match="changed or moved"):
        keyring.open(sealed[:-8] + "AAAAAAA=", place=PLACE)


def test_a_key_that_is_not_here_is_named_with_the_way_out() -> None:
    owner, other = Keyring([new_key()]), Keyring([new_key()])
    sealed = owner.seal(CANARY, key_id=owner.ids()[0], place=PLACE)
    with pytest.raises(KeyMissingError, match=f"{owner.ids()[0]}.*Nothing is lost: put that key back"):
        other.open(sealed, place=PLACE)
    with pytest.raises(KeyMissingError, match="keys there: none"):
        Keyring().open(sealed, place=PLACE)


@pytest.mark.parametrize("text", ["", "hush", "aHVzaA==", "ä" * 44, "short"], ids=str)
def test_a_text_that_is_no_key_is_refused_and_not_repeated(text: str) -> None:
    with pytest.raises(ConfigurationError, match="oneshelf secrets new-key") as refused:
        Keyring([text])
    assert not text or text not in str(refused.value)


async def test_what_a_person_types_and_what_a_channel_hands_out_is_sealed(database: Database, dsn: str) -> None:
    await connect(database, keyring=database.keyring)
    store = kept_by(database)
    assert await store.replace({"refresh_token": CANARY + "-kept"}, read=Kept())
    assert (await store.latest()).values == {"refresh_token": CANARY + "-kept"}
    async with database.transaction() as tx:
        [row] = await catalog.channels(tx)
    assert secret_keys.opened(database.keyring, row.secrets, table="channels", channel=SHOP) == {"access_token": CANARY}
    assert CANARY not in dump(dsn)


async def test_what_events_are_signed_with_is_sealed_each_for_its_endpoint(database: Database, dsn: str) -> None:
    await follow(database, keyring=database.keyring)
    await follow(database, keyring=database.keyring, secret=f"{CANARY}-newer")
    await follow(database, keyring=database.keyring, secret=f"{CANARY}-other", name="till")
    assert CANARY not in dump(dsn)
    assert await signing(database) == [f"{CANARY}-newer", CANARY]
    async with database.transaction() as tx:
        rows = await secret_keys.listed(tx)
        assert [(row.table, row.channel, row.key_id != "") for row in rows] == [
            (secret_keys.SIGNING, owner, True) for owner in ("erp 1", "erp 2", "till 1")
        ]
        await tx.execute("update endpoint_secrets set endpoint = 'till', number = 2 where owner = 'erp 1'")
    with pytest.raises(ConfigurationError, match="changed or moved"):
        await signing(database, "till")


async def test_signing_secrets_of_before_are_sealed_at_once_and_rotated_with_the_others(
    database: Database, dsn: str
) -> None:
    await follow(database, keyring=Keyring())
    assert CANARY in dump(dsn)
    assert await secret_keys.seal_anew(database) == 1
    assert CANARY not in dump(dsn)
    former = database.keyring.ids()
    assert await secret_keys.rotate(database) not in former
    assert await secret_keys.seal_anew(database) == 1
    assert await signing(database) == [CANARY]
    async with Database.open(dsn, keyring=Keyring([new_key()])) as stranger:
        with pytest.raises(KeyMissingError, match="Nothing is lost"):
            await secret_keys.check(stranger)


async def test_the_file_of_keys_is_its_owners_alone_and_made_when_first_needed(
    database: Database, key_file: Path
) -> None:
    assert modes_in(key_file.parent) == {}
    await connect(database, keyring=database.keyring)
    assert modes_in(key_file.parent) == {key_file.name: 0o600}


async def test_a_machine_without_the_key_makes_no_other_one(database: Database, dsn: str, tmp_path: Path) -> None:
    await connect(database, keyring=database.keyring)
    before = stored(dsn)
    elsewhere = tmp_path / "elsewhere.key"
    async with Database.open(dsn, keyring=Keyring(file=elsewhere)) as second:
        for act in (secret_keys.check, secret_keys.rotate):
            with pytest.raises(KeyMissingError, match="Nothing is lost"):
                await act(second)
        with pytest.raises(KeyMissingError, match="copy that file from the machine that has it"):
            await connect(second, "other", keyring=second.keyring)
    assert elsewhere.name not in modes_in(tmp_path)
    assert stored(dsn) == before


async def test_old_rows_in_plain_text_are_read_as_they_are_and_sealed_at_once(database: Database, dsn: str) -> None:
    await connect(database)
    assert stored(dsn) == {"shop": CANARY}
    assert await kept_by(database).replace({"refresh_token": "r1"}, read=Kept())
    assert await secret_keys.seal_anew(database) == 1
    assert await secret_keys.seal_anew(database) == 0
    assert CANARY not in dump(dsn)
    # The node that had opened the channel before still is the one with the present secrets.
    store = kept_by(database)
    assert await store.replace({"refresh_token": "r2"}, read=await store.latest())


async def test_a_new_key_seals_everything_and_the_old_one_stays_for_backups(
    database: Database, dsn: str, key_file: Path
) -> None:
    await connect(database, keyring=database.keyring)
    await kept_by(database).replace({"refresh_token": "r1"}, read=Kept())
    [old] = database.keyring.ids()
    of_a_backup = stored(dsn)["shop"]
    new = await secret_keys.rotate(database)
    assert await secret_keys.seal_anew(database) == 2
    assert new != old
    async with database.transaction() as tx:
        assert {row.key_id for row in await secret_keys.listed(tx)} == {new}
    assert Keyring(file=key_file).ids() == [new, old]
    assert database.keyring.open(of_a_backup, place=PLACE) == CANARY
    assert (await kept_by(database).latest()).values == {"refresh_token": "r1"}


@pytest.mark.long
async def test_who_dies_half_way_has_lost_nothing_and_goes_on_with_the_same_key(
    database: Database, dsn: str, key_file: Path
) -> None:
    for number in range(MANY):
        await connect(database, f"shop-{number:03}", secret=f"{CANARY}-{number}", keyring=database.keyring)
    [old] = database.keyring.ids()
    assert die_half_way(dsn, key_file) == -signal.SIGKILL
    keys = [key_of(text) for text in stored(dsn).values()]
    new = database.keyring.ids()[0]
    assert 0 < keys.count(new) < MANY
    assert keys.count(old) == MANY - keys.count(new)
    await secret_keys.check(database)
    # An engine that starts finds them half done, and needs no second key.
    assert await secret_keys.seal_anew(database) == MANY - keys.count(new)
    assert {key_of(text) for text in stored(dsn).values()} == {new}
    opened = {
        name: database.keyring.open(text, place=("channels", name, "access_token"))
        for name, text in stored(dsn).items()
    }
    assert opened == {f"shop-{number:03}": f"{CANARY}-{number}" for number in range(MANY)}


async def test_keys_of_the_environment_are_changed_by_a_person(database: Database, dsn: str) -> None:
    first, second = new_key(), new_key()
    async with Database.open(dsn, keyring=Keyring([first])) as node:
        await connect(node, keyring=node.keyring)
        with pytest.raises(ConfigurationError, match="put it in front"):
            await secret_keys.rotate(node)
    # A node that has the new key already goes on sealing by the one that all nodes have.
    async with Database.open(dsn, keyring=Keyring([second, first])) as node:
        await connect(node, "other", keyring=node.keyring)
        assert {key_of(text) for text in stored(dsn).values()} == set(Keyring([first]).ids())
        await secret_keys.rotate(node)
        await secret_keys.seal_anew(node)
        assert {key_of(text) for text in stored(dsn).values()} == set(Keyring([second]).ids())
