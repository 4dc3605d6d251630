"""Rows of `second_factors` and `recovery_codes`: what people show beside a password, or in place of it."""

from __future__ import annotations

import hashlib
from collections.abc import Collection
from typing import NamedTuple

from psycopg.types.json import Jsonb

from oneshelf.storage import secret_keys
from oneshelf.storage.database import Transaction
from oneshelf.storage.keyring import Keyring

_SECRET = "secret"  # noqa: S105  # a name


class Factor(NamedTuple):
    """A second factor. `last_step`: the newest step of time whose code was taken. `code_count`: recovery codes left."""

    secret: str
    is_confirmed: bool
    last_step: int
    code_count: int


async def begin(tx: Transaction, keyring: Keyring, person: str, secret: str) -> bool:
    """Keep a secret that was not confirmed yet, in place of another such. False where one is in use.

    Raises KeyMissingError, see `secret_keys`.
    """
    sealed = await secret_keys.sealed(tx, keyring, {_SECRET: secret}, table=secret_keys.FACTORS, channel=person)
    begun = await tx.execute(
        """
        insert into second_factors (person, sealed) values (%(person)s, %(sealed)s)
        on conflict (person) do update set sealed = excluded.sealed, created_at = db_now()
        where second_factors.confirmed_at is null
        """,
        {"person": person, "sealed": Jsonb(sealed)},
    )
    return begun.rowcount == 1


async def find(tx: Transaction, keyring: Keyring, person: str, *, locked: bool = False) -> Factor | None:
    """The second factor of a person; `locked`: until this transaction ends. Raises KeyMissingError."""
    found = await tx.execute(
        f"""
        select sealed, confirmed_at is not null, last_step,
            (select count(*) from recovery_codes c where c.person = f.person and c.used_at is null)
        from second_factors f where person = %(person)s {"for update" if locked else ""}
        """,
        {"person": person},
    )
    row = await found.fetchone()
    if row is None:
        return None
    opened = secret_keys.opened(keyring, row[0], table=secret_keys.FACTORS, channel=person)
    return Factor(opened[_SECRET], row[1], row[2], row[3])


async def is_confirmed(tx: Transaction, person: str) -> bool:
    """Whether this person has to show a second factor. Needs no key."""
    found = await tx.execute(
        "select from second_factors where person = %(person)s and confirmed_at is not null", {"person": person}
    )
    return await found.fetchone() is not None


async def take_step(tx: Transaction, person: str, step: int) -> None:
    """The code of this step was taken, and none of it or before is again; it confirms one that is new."""
    await tx.execute(
        """
        update second_factors set last_step = %(step)s, confirmed_at = coalesce(confirmed_at, db_now())
        where person = %(person)s
        """,
        {"person": person, "step": step},
    )


async def set_codes(tx: Transaction, person: str, codes: Collection[str]) -> None:
    """These let the person in, each once; those of before do no more."""
    await tx.execute("delete from recovery_codes where person = %(person)s", {"person": person})
    await tx.execute(
        """
        insert into recovery_codes (person, code_sha256)
        select %(person)s, hash from unnest(%(hashes)s::bytea[]) as hash
        """,
        {"person": person, "hashes": sorted(map(_hash, codes))},
    )


async def take_code(tx: Transaction, person: str, code: str) -> bool:
    """Whether this recovery code lets the person in. It does once."""
    taken = await tx.execute(
        """
        update recovery_codes set used_at = db_now()
        where person = %(person)s and code_sha256 = %(hash)s and used_at is null
        """,
        {"person": person, "hash": _hash(code)},
    )
    return taken.rowcount == 1


async def forget(tx: Transaction, person: str) -> bool:
    """The second factor of a person and its recovery codes are good no more. False where there was none."""
    gone = await tx.execute("delete from second_factors where person = %(person)s", {"person": person})
    return gone.rowcount == 1


def _hash(code: str) -> bytes:
    # Without a salt or work, since a code is 120 random bits (OWASP ASVS 5.0, 6.5.2: 112 bits and more).
    return hashlib.sha256(code.encode()).digest()
