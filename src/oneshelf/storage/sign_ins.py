"""Rows of `sign_ins`: log-ins that are at an issuer now, each taken once, on whichever node the browser comes back."""

from __future__ import annotations

import hashlib

from oneshelf.storage.database import Transaction

# Long enough for a second factor there, and for a password that has to be looked up.
LIVES_S = 10 * 60


async def begin(tx: Transaction, browser: str, *, following: str) -> None:
    """The browser with this secret goes to the issuer. What was begun too long ago is forgotten."""
    await tx.execute(
        """
        delete from sign_ins where browser_sha256 in (
            select browser_sha256 from sign_ins where began_at < db_now() - make_interval(secs => %(lives_s)s)
            order by browser_sha256 for update skip locked
        )
        """,
        {"lives_s": LIVES_S},
    )
    await tx.execute(
        "insert into sign_ins (browser_sha256, following) values (%(hash)s, %(following)s)",
        {"hash": _hash(browser), "following": following},
    )


async def take(tx: Transaction, browser: str) -> str | None:
    """Where this browser goes afterwards; None where nothing was begun, it was taken before, or it took too long."""
    taken = await tx.execute(
        """
        delete from sign_ins
        where browser_sha256 = %(hash)s and began_at > db_now() - make_interval(secs => %(lives_s)s)
        returning following
        """,
        {"hash": _hash(browser), "lives_s": LIVES_S},
    )
    row = await taken.fetchone()
    return str(row[0]) if row else None


def _hash(browser: str) -> bytes:
    return hashlib.sha256(browser.encode()).digest()
