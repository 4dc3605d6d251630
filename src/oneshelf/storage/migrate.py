"""Brings a database to the tables this code knows: numbered SQL files, forward only, each applied once.

A file `NNNN_name.sql` is applied in a transaction of its own together with its row in `schema_migrations`, so it
has happened whole or not at all. Processes that start together take turns by an advisory lock, for which they
need a direct connection (not one that a pooler shares between transactions).
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg
from psycopg import Connection
from psycopg.rows import TupleRow

from oneshelf.errors import ConfigurationError, DatabaseUnavailableError

MIGRATIONS = Path(__file__).parent / "migrations"
SERVER_VERSION_MIN = 15
ADVISORY_KEY = int.from_bytes(b"oneshelf")
LOCK_TIMEOUT = "5s"


@dataclass(frozen=True, slots=True)
class Migration:
    """One file. `checksum` is over its text, so that line endings do not matter."""

    number: int
    name: str
    sql: str

    @property
    def checksum(self) -> str:
        return hashlib.sha256(self.sql.encode()).hexdigest()


def migrate(dsn: str, *, directory: Path = MIGRATIONS) -> list[str]:
    """The names of the migrations applied now, in order; empty when the database was current.

    Raises ConfigurationError when the database is newer than this code, when an applied file has changed, and when
    a migration fails (it is rolled back, the ones before it stay); DatabaseUnavailableError when PostgreSQL does not
    answer, or others hold a table for longer than LOCK_TIMEOUT: trying again is right.
    """
    known = read_migrations(directory)
    names = []
    with _connected(dsn) as connection:
        # Without a time limit: the one who migrates may need long, and then there is nothing left to do.
        connection.execute("select pg_advisory_lock(%s)", (ADVISORY_KEY,))
        connection.execute(
            "create table if not exists schema_migrations (number int primary key, name text not null, "
            "checksum text not null, applied_at timestamptz not null default clock_timestamp())"
        )
        for migration in _pending(connection, known):
            _apply(connection, migration)
            names.append(migration.name)
    return names


def pending(dsn: str, *, directory: Path = MIGRATIONS) -> list[str]:
    """The names that `migrate` would apply, in order. Changes nothing; refuses what `migrate` refuses."""
    with _connected(dsn) as connection:
        return [migration.name for migration in _pending(connection, read_migrations(directory))]


def check(dsn: str, *, directory: Path = MIGRATIONS) -> None:
    """Raise ConfigurationError unless the database is exactly what this code knows."""
    missing = pending(dsn, directory=directory)
    if missing:
        raise ConfigurationError(
            f"The database lacks {len(missing)} migrations ({', '.join(missing)}). Run: oneshelf migrate"
        )


def read_migrations(directory: Path) -> Sequence[Migration]:
    """All files in the order of their numbers, which run from 1 without a gap."""
    found: list[Migration] = []
    for file in sorted(directory.glob("*.sql")):
        number = re.match(r"(\d{4})_", file.name)
        if number is None or int(number[1]) != len(found) + 1:
            raise ConfigurationError(f"{file} is not the migration with number {len(found) + 1:04}")
        found.append(Migration(int(number[1]), file.stem, file.read_text(encoding="utf-8")))
    return found


def reach(dsn: str) -> None:
    """Raise DatabaseUnavailableError with the server's own words unless it answers, ConfigurationError if too old."""
    with _connected(dsn):
        pass


@contextmanager
def _connected(dsn: str) -> Iterator[Connection[TupleRow]]:
    """A connection to a server of a supported version, without a transaction around the statements."""
    try:
        connection = psycopg.connect(dsn, autocommit=True, application_name="oneshelf migrate")
    except psycopg.Error as failure:
        raise DatabaseUnavailableError(f"The database does not answer: {_first_line(failure)}") from failure
    try:
        with connection:
            _refuse_old(connection)
            yield connection
    except psycopg.OperationalError as failure:
        raise DatabaseUnavailableError(f"The database did not finish: {_first_line(failure)}") from failure
    except psycopg.Error as failure:
        raise ConfigurationError(f"The database refuses its user this: {_first_line(failure)}") from failure


def _refuse_old(connection: Connection[TupleRow]) -> None:
    major = connection.info.server_version // 10_000
    if major < SERVER_VERSION_MIN:
        raise ConfigurationError(
            f"The database server is PostgreSQL {major}; oneshelf needs {SERVER_VERSION_MIN} or newer. Upgrade "
            "the server, name another one in ONESHELF_DATABASE_URL, or unset it to use the embedded database."
        )


def _pending(connection: Connection[TupleRow], known: Sequence[Migration]) -> Sequence[Migration]:
    """What is not applied yet. What is applied has to be the beginning of what is known, unchanged."""
    applied = _applied(connection)
    newest = max(applied, default=0)
    if newest > len(known):
        raise ConfigurationError(
            f"The database is at migration {newest}, this oneshelf knows {len(known)}: upgrade oneshelf, or restore "
            "the backup from before the upgrade."
        )
    for migration in known[:newest]:
        was = applied.get(migration.number)
        if was != (migration.name, migration.checksum):
            raise ConfigurationError(
                f"Migration {migration.name} is not what was applied to this database as number {migration.number} "
                f"({was[0] if was else 'nothing'}): its name or its text has changed since. Migrations only go "
                "forward: put the file back as it was, and make the change in a new one."
            )
    return known[newest:]


def _applied(connection: Connection[TupleRow]) -> Mapping[int, tuple[str, str]]:
    """number -> (name, checksum)"""
    exists = connection.execute("select to_regclass('schema_migrations') is not null").fetchone()
    if exists != (True,):
        return {}
    rows = connection.execute("select number, name, checksum from schema_migrations").fetchall()
    return {number: (name, checksum) for number, name, checksum in rows}


def _apply(connection: Connection[TupleRow], migration: Migration) -> None:
    try:
        with connection.transaction():
            connection.execute("select set_config('lock_timeout', %s, true)", (LOCK_TIMEOUT,))
            # The files are as static as text in the code: they are shipped with it.
            connection.execute(migration.sql.encode())
            connection.execute(
                "insert into schema_migrations (number, name, checksum) values (%s, %s, %s)",
                (migration.number, migration.name, migration.checksum),
            )
    except psycopg.errors.LockNotAvailable as busy:
        raise DatabaseUnavailableError(
            f"Migration {migration.name} waited {LOCK_TIMEOUT} for a table that others use, and was rolled back. "
            "Try again, or stop the other engines first."
        ) from busy
    except psycopg.Error as failure:
        raise ConfigurationError(
            f"Migration {migration.name} failed and was rolled back: {str(failure).strip()}"
        ) from failure


def _first_line(failure: psycopg.Error) -> str:
    return (str(failure).strip().splitlines() or [type(failure).__name__])[0]
