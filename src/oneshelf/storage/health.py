"""What the database server says of itself."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

from oneshelf.storage.database import Transaction, only_row


class ServerFacts(NamedTuple):
    """A PostgreSQL server. `is_durable`: what it has committed survives a crash of the machine."""

    version: str
    at: datetime
    is_durable: bool


async def server_facts(tx: Transaction) -> ServerFacts:
    """The server's version, its clock at this moment, and whether it writes safely."""
    cursor = await tx.execute(
        """
        select current_setting('server_version'), clock_timestamp(),
               current_setting('fsync')::boolean and current_setting('synchronous_commit') <> 'off'
        """
    )
    return ServerFacts(*await only_row(cursor))


async def schema_version(tx: Transaction) -> int:
    """The number of the newest migration that this database has had; 0 for an empty database."""
    (exists,) = await only_row(await tx.execute("select to_regclass('schema_migrations') is not null"))
    if not exists:
        return 0
    (newest,) = await only_row(await tx.execute("select coalesce(max(number), 0) from schema_migrations"))
    return int(newest)
