"""The connection pool and transactions. One transaction is one decision of the engine."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, nullcontext
from datetime import datetime
from typing import Any

import psycopg
from psycopg import AsyncConnection, AsyncCursor
from psycopg_pool import AsyncConnectionPool, PoolTimeout

from oneshelf.domain.identity import Channel
from oneshelf.errors import DatabaseRefusedError, DatabaseUnavailableError, InvariantError, RowExistsError
from oneshelf.storage.keyring import Keyring
from oneshelf.telemetry import transaction_open

Transaction = AsyncConnection[tuple[Any, ...]]

# Of one engine.
CONNECTIONS_MAX = 16
POOL_WAIT_S = 10.0
LOCK_WAIT_S = 10
# Whoever stands still in a transaction for so long (a paused machine, a cut wire) loses it, and its locks with it. Less
# than the wait for a lock, so that whoever waits gets it.
STANDSTILL_S = 5
# Broken only by a bug, whatever a client asks for.
RIGHTS_RULE = "rights_within_stock"
# In a pipeline a server cannot tell standstill from work, only (this version and newer) how long it has been.
TRANSACTION_TIMEOUT_SINCE = 170_000

_UNAVAILABLE = (
    psycopg.OperationalError,
    psycopg.InterfaceError,
    psycopg.errors.IdleInTransactionSessionTimeout,
    psycopg.errors.TransactionTimeout,
    PoolTimeout,
)


class Database:
    """Connections to one PostgreSQL database. Use as `async with Database.open(dsn) as database`."""

    def __init__(
        self, pool: AsyncConnectionPool[Transaction], keyring: Keyring | None = None, *, dsn: str = ""
    ) -> None:
        self._pool = pool
        self.keyring = keyring or Keyring()
        # How another process comes to the same database; empty where none can.
        self.dsn = dsn

    @staticmethod
    @asynccontextmanager
    async def open(
        dsn: str,
        *,
        connections_max: int = CONNECTIONS_MAX,
        application_name: str = "oneshelf",
        keyring: Keyring | None = None,
    ) -> AsyncIterator[Database]:
        """Open a pool. `keyring`: what seals the secrets in it; None seals nothing, and opens nothing sealed.

        Raises DatabaseUnavailableError when the database does not answer.
        """
        settings = {
            "timezone": "UTC",
            "lock_timeout": f"{LOCK_WAIT_S}s",
            "idle_in_transaction_session_timeout": f"{STANDSTILL_S}s",
        }
        options = " ".join(f"-c {name}={value}" for name, value in settings.items())
        pool: AsyncConnectionPool[Transaction] = AsyncConnectionPool(
            dsn,
            min_size=2,
            max_size=connections_max,
            timeout=POOL_WAIT_S,
            open=False,
            kwargs={"application_name": application_name, "options": options},
        )
        try:
            await pool.open(wait=True, timeout=POOL_WAIT_S)
        except PoolTimeout as failure:
            await pool.close()
            raise DatabaseUnavailableError(f"the database does not answer: {failure}") from failure
        try:
            yield Database(pool, keyring, dsn=dsn)
        finally:
            await pool.close()

    @asynccontextmanager
    async def transaction(self, *, is_pipelined: bool = False) -> AsyncIterator[Transaction]:
        """A READ COMMITTED transaction: committed when the block ends, rolled back when it raises.

        `is_pipelined`: statements whose answer nobody waits for travel together with the next one that is waited for,
        the begin and the commit too. For the hot path, where round trips are most of the time.

        Raises DatabaseRefusedError for rows that break a rule of the schema, and DatabaseUnavailableError where trying
        again is right: connection lost, deadlock, lock timeout, standstill. After a connection lost during the commit
        it is unknown whether it happened; every step can be repeated.
        """
        try:
            async with self._pool.connection() as connection:
                with transaction_open():
                    async with connection.pipeline() if is_pipelined else nullcontext(), connection.transaction():
                        if is_pipelined and connection.info.server_version >= TRANSACTION_TIMEOUT_SINCE:
                            # Twice as long, as it may have waited for somebody who stood still.
                            await connection.execute(f"set local transaction_timeout = '{2 * STANDSTILL_S}s'".encode())
                        yield connection
        except _UNAVAILABLE as failure:
            raise DatabaseUnavailableError(f"the database did not finish: {_first_line(failure)}") from failure
        except psycopg.errors.UniqueViolation as failure:
            raise RowExistsError(f"the database has this row: {_first_line(failure)}") from failure
        except psycopg.errors.CheckViolation as failure:
            if failure.diag.constraint_name == RIGHTS_RULE:
                raise InvariantError(_first_line(failure)) from failure
            raise DatabaseRefusedError(f"the database refuses this: {_first_line(failure)}") from failure
        except (psycopg.DataError, psycopg.IntegrityError, UnicodeEncodeError) as failure:
            # What cannot be written as UTF-8, as half of a surrogate pair, does not even get there.
            raise DatabaseRefusedError(f"the database refuses this: {_first_line(failure)}") from failure


async def now(tx: Transaction) -> datetime:
    """The database's clock, which all nodes share."""
    return await told_now(await ask_now(tx))


async def ask_now(tx: Transaction) -> AsyncCursor[tuple[Any, ...]]:
    """Ask for the time, to be read with `told_now`: in a pipelined transaction the next question carries this one."""
    return await tx.execute("select db_now()")


async def told_now(asked: AsyncCursor[tuple[Any, ...]]) -> datetime:
    """The answer to `ask_now`."""
    instant: datetime = (await only_row(asked))[0]
    return instant


async def only_row(cursor: AsyncCursor[tuple[Any, ...]]) -> tuple[Any, ...]:
    """The one row that a statement without a condition always gives."""
    row = await cursor.fetchone()
    if row is None:
        raise InvariantError("a statement that always gives a row gave none")
    return row


async def try_only(tx: Transaction, key: int) -> bool:
    """Be the only one who does what `key` stands for, until this transaction ends. False: another does."""
    (is_mine,) = await only_row(await tx.execute("select pg_try_advisory_xact_lock(%(key)s)", {"key": key}))
    return bool(is_mine)


def after_key(key: tuple[Channel, str] | None) -> dict[str, str]:
    """Where a page begins of what is ordered by channel and name: after this one; None: at the first."""
    return {"after_channel": key[0] if key else "", "after": key[1] if key else ""}


def _first_line(failure: Exception) -> str:
    return (str(failure).splitlines() or [type(failure).__name__])[0]
