"""Rows of `users` and `user_links`: people, their roles, and the links with which they set a password once."""

from __future__ import annotations

import hashlib
import secrets
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from psycopg.rows import class_row

from oneshelf.domain.access import Role
from oneshelf.storage import sessions
from oneshelf.storage.database import Transaction

LINK_BYTES = 32
LINK_LIVES_S = 24 * 3600


class UserRow(NamedTuple):
    """One person, without the password. `state`: good, invited (no way in was set up yet) or disabled.

    `is_linked`: an account at an issuer lets this person in.
    """

    name: str
    role: str
    state: str
    created_at: datetime
    created_by: str
    last_login_at: datetime | None
    session_count: int
    has_second_factor: bool
    is_linked: bool


class Login(NamedTuple):
    """What is needed to let somebody in."""

    user_id: UUID
    role: Role
    password_hash: str


async def add(tx: Transaction, user_id: UUID, *, name: str, role: Role, created_by: str) -> bool:
    """Name a person. False where there is, or was, one of this name."""
    added = await tx.execute(
        """
        insert into users (user_id, name, role, created_by) values (%(user_id)s, %(name)s, %(role)s, %(by)s)
        on conflict (name) do nothing
        """,
        {"user_id": user_id, "name": name, "role": role.value, "by": created_by},
    )
    return added.rowcount == 1


async def listed(tx: Transaction) -> list[UserRow]:
    """All people by name, the disabled ones too."""
    cursor = tx.cursor(row_factory=class_row(UserRow))
    await cursor.execute(
        """
        select name, role, case when disabled_at is not null then 'disabled'
                when password_hash is null and not is_linked then 'invited' else 'good' end as state,
            created_at, created_by, last_login_at,
            (select count(*) from sessions s where s.user_id = u.user_id and not waits_for_second) as session_count,
            exists (select from second_factors f where f.person = u.name and confirmed_at is not null)
                as has_second_factor, is_linked
        from users u
        cross join lateral (select exists (select from identities i where i.user_id = u.user_id) as is_linked) linked
        order by name collate "C"
        """
    )
    return await cursor.fetchall()


async def is_any(tx: Transaction) -> bool:
    """Whether there is, or was, a person."""
    return await (await tx.execute("select from users limit 1")).fetchone() is not None


async def set_role(tx: Transaction, name: str, role: Role) -> bool:
    """Give another role, and end the person's sessions. False for an unknown name."""
    return await _changed(tx, name, "role = %(role)s", role=role.value)


async def set_disabled(tx: Transaction, name: str, *, is_disabled: bool) -> bool:
    """Let a person in no more, or again, and end the sessions and links. False for an unknown name."""
    return await _changed(tx, name, "disabled_at = case when %(is)s then db_now() end", **{"is": is_disabled})


async def sign_out(tx: Transaction, name: str) -> bool:
    """Log a person out everywhere; password and role stay. False for an unknown name."""
    found = await (await tx.execute("select user_id from users where name = %(name)s", {"name": name})).fetchone()
    if found is not None:
        await sessions.end_all(tx, found[0])
    return found is not None


async def invite(tx: Transaction, name: str) -> str:
    """A link's secret with which this person sets a password once; "" for an unknown or disabled name.

    The password of before is good no more, and all sessions end.
    """
    if not await _changed(tx, name, "password_hash = null"):
        return ""
    found = await tx.execute("select user_id from users where name = %(name)s and disabled_at is null", {"name": name})
    row = await found.fetchone()
    return await _link(tx, row[0]) if row else ""


async def invite_first(tx: Transaction) -> str:
    """A link's secret with which whoever has it becomes the first admin. The one of before is good no more."""
    return await _link(tx, None)


async def invited(tx: Transaction, link: str) -> tuple[UUID | None, str] | None:
    """Whom a link is for: the person and the name, or (None, "") for the first admin. None where it is not good."""
    found = await tx.execute(
        """
        select l.user_id, coalesce(u.name, '') from user_links l left join users u using (user_id)
        where l.link_sha256 = %(hash)s and l.expires_at > db_now()
          and case when l.user_id is null then not exists (select from users) else u.disabled_at is null end
        for update of l
        """,
        {"hash": _hash(link)},
    )
    row = await found.fetchone()
    return (row[0], row[1]) if row else None


async def set_password(tx: Transaction, user_id: UUID, password_hash: str) -> None:
    """A new password: all sessions and links of this person end, and the link for a first admin."""
    await tx.execute(
        "update users set password_hash = %(hash)s where user_id = %(user_id)s",
        {"hash": password_hash, "user_id": user_id},
    )
    await sessions.end_all(tx, user_id)
    await tx.execute("delete from user_links where user_id = %(user_id)s or user_id is null", {"user_id": user_id})


async def login(tx: Transaction, name: str) -> Login | None:
    """What lets this person in; None where nobody of this name can log in."""
    found = await tx.execute(
        """
        select user_id, role, password_hash from users
        where name = %(name)s and disabled_at is null and password_hash is not null
        """,
        {"name": name},
    )
    row = await found.fetchone()
    return Login(row[0], Role(row[1]), row[2]) if row else None


async def note_login(tx: Transaction, user_id: UUID) -> None:
    """This person has logged in now."""
    await tx.execute("update users set last_login_at = db_now() where user_id = %(user_id)s", {"user_id": user_id})


async def _changed(tx: Transaction, name: str, change: str, **values: object) -> bool:
    changed = await tx.execute(
        f"update users set {change} where name = %(name)s returning user_id", {"name": name, **values}
    )
    row = await changed.fetchone()
    if row is None:
        return False
    await sessions.end_all(tx, row[0])
    await tx.execute("delete from user_links where user_id = %(user_id)s", {"user_id": row[0]})
    return True


async def _link(tx: Transaction, user_id: UUID | None) -> str:
    link = secrets.token_urlsafe(LINK_BYTES)
    await tx.execute("delete from user_links where user_id is not distinct from %(user_id)s", {"user_id": user_id})
    await tx.execute(
        """
        insert into user_links (link_sha256, user_id, expires_at)
        values (%(hash)s, %(user_id)s, db_now() + make_interval(secs => %(lives_s)s))
        """,
        {"hash": _hash(link), "user_id": user_id, "lives_s": LINK_LIVES_S},
    )
    return link


def _hash(link: str) -> bytes:
    return hashlib.sha256(link.encode()).digest()
