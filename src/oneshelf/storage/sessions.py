"""Rows of `sessions`: who is logged in. An id is 256 random bits, of which only a hash is kept."""

from __future__ import annotations

import hashlib
import secrets
from typing import NamedTuple
from uuid import UUID

from oneshelf.domain.access import SCOPES_OF, Principal, Role, Via
from oneshelf.storage.database import Transaction

ID_BYTES = 32
# OWASP ASVS 5.0, 7.3: without a request of a person so long, and in all so long.
IDLE_S = 30 * 60
WHOLE_S = 12 * 3600
# From the right password to the second factor.
WAITS_S = 10 * 60


class Half(NamedTuple):
    """Somebody who has said the right password, and no second factor yet."""

    user_id: UUID
    name: str
    role: Role


async def begin(tx: Transaction, user_id: UUID, *, instead_of: str, waits_for_second: bool = False) -> str:
    """A new session, and its id for the cookie. The one that the browser had before ends, and what is too old goes.

    `waits_for_second`: the password alone was right, and nobody is let in with it.
    """
    session = secrets.token_urlsafe(ID_BYTES)
    # Its own first: after that it waits for nobody, and what somebody else is deleting is left to them.
    await end(tx, instead_of)
    await tx.execute(
        """
        delete from sessions where session_sha256 in (
            select session_sha256 from sessions where began_at < db_now() - make_interval(secs => %(whole_s)s)
            order by session_sha256 for update skip locked
        )
        """,
        {"whole_s": WHOLE_S},
    )
    await tx.execute(
        "insert into sessions (session_sha256, user_id, waits_for_second) values (%(hash)s, %(user_id)s, %(waits)s)",
        {"hash": _hash(session), "user_id": user_id, "waits": waits_for_second},
    )
    return session


async def found(tx: Transaction, session: str, *, is_act: bool) -> Principal | None:
    """Whose session this is; None where it has ended. `is_act`: a person asked, no page that refreshes itself."""
    if is_act:
        await tx.execute(
            f"update sessions set seen_at = db_now() where session_sha256 = %(hash)s and {_IS_GOOD}", _named(session)
        )
    asked = await tx.execute(
        f"""
        select u.name, u.role from sessions join users u using (user_id)
        where session_sha256 = %(hash)s and u.disabled_at is null and {_IS_GOOD}
        """,
        _named(session),
    )
    row = await asked.fetchone()
    if row is None:
        return None
    return Principal(Via.SESSION, row[0], SCOPES_OF[Role(row[1])], _hash(session).hex()[:12])


async def waiting(tx: Transaction, session: str) -> Half | None:
    """Who has said the right password in this session, and no second factor yet; None where nobody has, or too late."""
    found = await tx.execute(
        """
        select u.user_id, u.name, u.role from sessions join users u using (user_id)
        where session_sha256 = %(hash)s and waits_for_second and u.disabled_at is null
          and began_at > db_now() - make_interval(secs => %(waits_s)s)
        """,
        {"hash": _hash(session), "waits_s": WAITS_S},
    )
    row = await found.fetchone()
    return Half(row[0], row[1], Role(row[2])) if row else None


async def end(tx: Transaction, session: str) -> None:
    """Log out."""
    await tx.execute("delete from sessions where session_sha256 = %(hash)s", {"hash": _hash(session)})


async def end_all(tx: Transaction, user_id: UUID) -> None:
    """Log a person out everywhere."""
    await tx.execute("delete from sessions where user_id = %(user_id)s", {"user_id": user_id})


_IS_GOOD = """
not waits_for_second and seen_at > db_now() - make_interval(secs => %(idle_s)s)
and began_at > db_now() - make_interval(secs => %(whole_s)s)
"""


def _named(session: str) -> dict[str, object]:
    return {"hash": _hash(session), "idle_s": IDLE_S, "whole_s": WHOLE_S}


def _hash(session: str) -> bytes:
    return hashlib.sha256(session.encode()).digest()
