"""Rows of `commands`: what was asked once, and what was answered."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from psycopg.types.json import Jsonb

from oneshelf.domain.command import CommandKey
from oneshelf.storage.database import Transaction


class Claim(NamedTuple):
    """A command's key, the fingerprint of its payload, and the answer once there is one."""

    key: CommandKey
    fingerprint: bytes
    outcome: dict[str, Any] | None


async def claim(tx: Transaction, claims: Sequence[Claim]) -> dict[CommandKey, Claim]:
    """Reserve these keys for this transaction. Returns those that were taken before, with their answers.

    A key that another transaction is just using waits until that one ends, and is then returned as taken.
    """
    ordered = sorted(claims, key=lambda claim: (claim.key.scope, claim.key.key))
    columns = {
        "scopes": [claim.key.scope for claim in ordered],
        "keys": [claim.key.key for claim in ordered],
        "fingerprints": [claim.fingerprint for claim in ordered],
    }
    cursor = await tx.execute(
        """
        insert into commands (scope, key, fingerprint, outcome)
        select scope, key, fingerprint, 'null'
        from unnest(%(scopes)s::text[], %(keys)s::text[], %(fingerprints)s::bytea[]) as new (scope, key, fingerprint)
        order by scope collate "C", key collate "C"
        on conflict do nothing
        returning scope, key
        """,
        columns,
    )
    fresh = {CommandKey(scope=scope, key=key) async for scope, key in cursor}
    taken = [claim for claim in ordered if claim.key not in fresh]
    if not taken:
        return {}
    cursor = await tx.execute(
        """
        select c.scope, c.key, c.fingerprint, c.outcome
        from commands c join unnest(%(scopes)s::text[], %(keys)s::text[]) as wanted (scope, key) using (scope, key)
        """,
        {"scopes": [claim.key.scope for claim in taken], "keys": [claim.key.key for claim in taken]},
    )
    return {
        (key := CommandKey(scope=scope, key=text)): Claim(key, bytes(fingerprint), outcome)
        async for scope, text, fingerprint, outcome in cursor
    }


async def answer(tx: Transaction, claims: Sequence[Claim]) -> None:
    """Store the answers of keys claimed in this transaction."""
    await tx.execute(
        """
        update commands c set outcome = new.outcome
        from unnest(%(scopes)s::text[], %(keys)s::text[], %(outcomes)s::jsonb[]) as new (scope, key, outcome)
        where c.scope = new.scope and c.key = new.key
        """,
        {
            "scopes": [claim.key.scope for claim in claims],
            "keys": [claim.key.key for claim in claims],
            "outcomes": [Jsonb(claim.outcome) for claim in claims],
        },
    )
