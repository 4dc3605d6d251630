"""Rows of `kept_secrets`: what channels hand out by themselves, one version after the other."""

from __future__ import annotations

from collections.abc import Mapping
from uuid import UUID

from psycopg.types.json import Jsonb

from oneshelf.clock import Clock
from oneshelf.domain.identity import Channel
from oneshelf.domain.kept import Kept
from oneshelf.storage import secret_keys
from oneshelf.storage.database import Database


class StoredSecrets:
    """A `sdk.secret_store.SecretStore` over the database. `typed`: the secrets with which the channel was opened."""

    def __init__(self, database: Database, channel: Channel, *, typed: Mapping[str, str], clock: Clock) -> None:
        self._database = database
        self._channel = channel
        self._typed = dict(typed)
        self._clock = clock
        self._claim: UUID | None = None

    def __repr__(self) -> str:
        return f"StoredSecrets({self._channel!r})"

    async def latest(self) -> Kept:
        async with self._database.transaction() as tx:
            cursor = await tx.execute(
                """
                select version, kept, extract(epoch from db_now() - kept_at)::float8
                from kept_secrets where channel = %(channel)s
                """,
                {"channel": self._channel},
            )
            row = await cursor.fetchone()
        if row is None:
            return Kept()
        version, kept, age_s = row
        values = secret_keys.opened(self._database.keyring, kept, table=secret_keys.KEPT, channel=self._channel)
        return Kept(version, values, age_s)

    async def claim(self, *, for_s: float) -> bool:
        claim = self._clock.new_id()
        async with self._database.transaction() as tx:
            taken = await tx.execute(
                """
                insert into kept_secrets as k (channel, claim, claimed_until)
                values (%(channel)s, %(claim)s, db_now() + make_interval(secs => %(for_s)s))
                on conflict (channel) do update set claim = excluded.claim, claimed_until = excluded.claimed_until
                where k.claimed_until is null or k.claimed_until <= db_now()
                """,
                {"channel": self._channel, "claim": claim, "for_s": for_s},
            )
        if taken.rowcount:
            self._claim = claim
        return taken.rowcount == 1

    async def release(self) -> None:
        async with self._database.transaction() as tx:
            await tx.execute(
                """
                update kept_secrets set claim = null, claimed_until = null
                where channel = %(channel)s and claim = %(claim)s
                """,
                {"channel": self._channel, "claim": self._claim},
            )

    async def replace(self, values: Mapping[str, str], *, read: Kept) -> bool:
        """The channel's row is locked, so that nobody types in other secrets meanwhile."""
        columns: dict[str, object] = {"channel": self._channel, "read": read.version}
        keyring = self._database.keyring
        async with self._database.transaction() as tx:
            found = await tx.execute("select secrets from channels where channel = %(channel)s for share", columns)
            row = await found.fetchone()
            # Compared opened: sealed anew they are still the same.
            if row is None or self._typed != secret_keys.opened(
                keyring, row[0], table=secret_keys.TYPED, channel=self._channel
            ):
                return False
            kept = await secret_keys.sealed(tx, keyring, values, table=secret_keys.KEPT, channel=self._channel)
            columns["kept"] = Jsonb(kept)
            await tx.execute("insert into kept_secrets (channel) values (%(channel)s) on conflict do nothing", columns)
            replaced = await tx.execute(
                """
                update kept_secrets set
                    version = version + 1, kept = %(kept)s, kept_at = db_now(), claim = null, claimed_until = null
                where channel = %(channel)s and version = %(read)s
                """,
                columns,
            )
        return replaced.rowcount == 1
