"""Rows of `identities`: which account at an issuer is whose. An account that is nobody's lets nobody in."""

from __future__ import annotations

from typing import NamedTuple
from uuid import UUID

from oneshelf.domain.access import Account
from oneshelf.storage.database import Transaction


class Holder(NamedTuple):
    """The person whose account it is."""

    user_id: UUID
    name: str
    is_disabled: bool


async def holder_of(tx: Transaction, account: Account) -> Holder | None:
    """Whose account this is, locked until the transaction ends; None for nobody's."""
    found = await tx.execute(
        """
        select u.user_id, u.name, u.disabled_at is not null from identities i join users u using (user_id)
        where i.issuer = %(issuer)s and i.subject = %(subject)s for no key update of u
        """,
        {"issuer": account.issuer, "subject": account.subject},
    )
    row = await found.fetchone()
    return Holder(*row) if row else None


async def link(tx: Transaction, name: str, account: Account, *, by: str) -> bool:
    """Let whoever has this account in as this person.

    False where nobody of this name is let in, the account is somebody's, or the person has another one there.
    """
    linked = await tx.execute(
        """
        insert into identities (issuer, subject, user_id, linked_by)
        select %(issuer)s, %(subject)s, user_id, %(by)s from users where name = %(name)s and disabled_at is null
        on conflict do nothing
        """,
        {"issuer": account.issuer, "subject": account.subject, "name": name, "by": by},
    )
    return linked.rowcount == 1


async def unlink(tx: Transaction, name: str) -> bool:
    """No account at any issuer is this person's any more. False where none was. Sessions are ended apart."""
    gone = await tx.execute(
        "delete from identities i using users u where u.user_id = i.user_id and u.name = %(name)s", {"name": name}
    )
    return gone.rowcount > 0
