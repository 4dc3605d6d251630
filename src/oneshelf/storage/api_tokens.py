"""Rows of `api_tokens`: programs that may ask. A token is shown once, and only its hash is kept."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Collection
from datetime import datetime
from typing import NamedTuple

from psycopg.rows import class_row

from oneshelf.domain.access import Principal, Scope, Via, whole
from oneshelf.storage.database import Transaction

PREFIX = "oneshelf"
SECRET_BYTES = 32
USED_EVERY_S = 60.0


class TokenRow(NamedTuple):
    """One token, without what opens it. `state`: good, expired or revoked."""

    token_id: str
    name: str
    scopes: list[str]
    rate_per_s: float
    created_at: datetime
    created_by: str
    expires_at: datetime | None
    last_used_at: datetime | None
    revoked_at: datetime | None
    state: str


class NewToken(NamedTuple):
    """A token to be made. `lives_s`: seconds, None for ever. `rate_per_s`: requests."""

    name: str
    scopes: Collection[Scope]
    created_by: str
    lives_s: int | None
    rate_per_s: float


async def add(tx: Transaction, new: NewToken) -> str:
    """Make a token and return it: `oneshelf_<id>_<secret>`, for the only time. "" where the name is taken."""
    token_id, secret = secrets.token_hex(6), secrets.token_urlsafe(SECRET_BYTES)
    added = await tx.execute(
        """
        insert into api_tokens (token_id, name, secret_sha256, scopes, rate_per_s, created_by, expires_at)
        values (%(token_id)s, %(name)s, %(hash)s, %(scopes)s::text[], %(rate)s, %(by)s,
                db_now() + make_interval(secs => %(lives_s)s))
        on conflict (name) do nothing
        """,
        {
            "token_id": token_id,
            "name": new.name,
            "hash": _hash(secret),
            "scopes": sorted(scope.value for scope in new.scopes),
            "rate": new.rate_per_s,
            "by": new.created_by,
            "lives_s": new.lives_s,
        },
    )
    return f"{PREFIX}_{token_id}_{secret}" if added.rowcount else ""


async def listed(tx: Transaction) -> list[TokenRow]:
    """All tokens, by name, the revoked ones too."""
    cursor = tx.cursor(row_factory=class_row(TokenRow))
    await cursor.execute(
        """
        select token_id, name, scopes, rate_per_s, created_at, created_by, expires_at, last_used_at, revoked_at,
            case when revoked_at is not null then 'revoked' when expires_at <= db_now() then 'expired' else 'good' end
                as state
        from api_tokens order by name collate "C"
        """
    )
    return await cursor.fetchall()


async def revoke(tx: Transaction, name: str) -> bool:
    """End a token for good. False where there is none of this name or id, or it was revoked before."""
    revoked = await tx.execute(
        """
        update api_tokens set revoked_at = db_now()
        where (name = %(name)s or token_id = %(name)s) and revoked_at is null
        """,
        {"name": name},
    )
    return revoked.rowcount > 0


async def presented(tx: Transaction, token: str) -> Principal | None:
    """Who shows this token; None unless it is a good one of ours. Notes at most every minute that it is used."""
    prefix, _, rest = token.partition("_")
    token_id, _, secret = rest.partition("_")
    if prefix != PREFIX or not secret or not token.isascii():
        return None
    found = await tx.execute(
        """
        select name, secret_sha256, scopes, rate_per_s,
            coalesce(last_used_at <= db_now() - make_interval(secs => %(every_s)s), true)
        from api_tokens
        where token_id = %(token_id)s and revoked_at is null and (expires_at is null or expires_at > db_now())
        """,
        {"token_id": token_id, "every_s": USED_EVERY_S},
    )
    row = await found.fetchone()
    if row is None or not hmac.compare_digest(row[1], _hash(secret)):
        return None
    name, _, scopes, rate_per_s, is_noted_again = row
    if is_noted_again:
        await tx.execute(
            "update api_tokens set last_used_at = db_now() where token_id = %(token_id)s", {"token_id": token_id}
        )
    return Principal(Via.TOKEN, name, whole(set(map(Scope, scopes))), token_id, rate_per_s)


def _hash(secret: str) -> bytes:
    # A hash without a salt or work is right for 256 random bits (OWASP ASVS 5.0, 6.5.2: 112 bits and more).
    return hashlib.sha256(secret.encode()).digest()
