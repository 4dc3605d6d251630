"""A real PostgreSQL for the tests: one server for each worker, one migrated template, a fresh copy for each test."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import cache
from itertools import count
from pathlib import Path
from typing import Any, NamedTuple

import httpcore2
import psycopg
import pytest
import structlog
import typer.testing
from hypothesis import HealthCheck, settings
from psycopg import sql
from psycopg.conninfo import make_conninfo

import compiled_once
from oneshelf.simulation.many import HASH_SEED, workplace
from oneshelf.storage.embedded import EmbeddedPostgres
from oneshelf.storage.migrate import migrate
from places import databases_home
from tables import filled

# Where nothing else is said, data and keys are kept here and not with those of whoever runs the tests.
os.environ["XDG_DATA_HOME"] = str(compiled_once.BYTECODE.parent / "data")

# Sets of text have one order in all workers and in all programs that tests start, so that a seed is one run.
os.environ["PYTHONHASHSEED"] = HASH_SEED

# What is drawn is the same in every run, and may take as long as it does: a machine is fast or slow, not wrong.
settings.register_profile(
    "oneshelf", derandomize=True, deadline=None, suppress_health_check=[HealthCheck.too_slow], print_blob=True
)
settings.load_profile("oneshelf")

# A test builds the commands once: it takes twice as long as what most of them do.
typer.testing._get_command = cache(typer.testing._get_command)  # type: ignore[attr-defined]  # private to typer

# Authorities are read once: a client of HTTP reads a hundred and fifty of them, for 50 ms, and most tests have several.
httpcore2.default_ssl_context = cache(httpcore2.default_ssl_context)

pytest_plugins = ["tiers"]


@pytest.fixture(autouse=True)
def own_logging() -> Iterator[None]:
    """A test that sets up logging, as every command does, sets it up for nobody else."""
    yield
    structlog.reset_defaults()


@pytest.fixture
def open_directory() -> Iterator[Path]:
    """A temporary directory with a short path that every user can enter; pytest's own is private."""
    with temporary_directory() as path:
        yield path


@contextmanager
def temporary_directory() -> Iterator[Path]:
    home = databases_home()
    with tempfile.TemporaryDirectory(prefix="oneshelf-test-", dir=home, ignore_cleanup_errors=True) as name:
        Path(name).chmod(0o755)
        yield Path(name)


@contextmanager
def created_database(server_dsn: str, name: str, *, template: str = "template1") -> Iterator[str]:
    """The connection string of a new database, a copy of the template, dropped at the end."""
    # Where nothing is synced, copying the files takes half as long as copying through the log.
    create = sql.SQL("create database {} template {} strategy file_copy")
    drop = sql.SQL("drop database if exists {} with (force)")
    with psycopg.connect(server_dsn, autocommit=True) as connection:
        connection.execute(create.format(sql.Identifier(name), sql.Identifier(template)))
    yield make_conninfo(server_dsn, dbname=name)
    with psycopg.connect(server_dsn, autocommit=True) as connection:
        connection.execute(drop.format(sql.Identifier(name)))


@pytest.fixture(scope="session")
def server_dsn() -> Iterator[str]:
    """A server for this worker, on which tests may create databases."""
    given = os.environ.get("ONESHELF_TEST_DATABASE_URL")
    if given:
        yield given
        return
    with workplace() as directory, EmbeddedPostgres(directory / "pg", durable=False) as server:
        yield server.dsn


@pytest.fixture(scope="session")
def template_name(server_dsn: str, worker_id: str) -> Iterator[str]:
    """A migrated database that nobody connects to, so that it can be copied at any time."""
    name = f"oneshelf_test_{worker_id}_{os.getpid()}_template"
    with created_database(server_dsn, name) as dsn:
        migrate(dsn)
        yield name


_numbers = count(1)


# Beyond this, indexes would stay larger than they were when they were fresh, and emptying takes longer than a new one.
# Asked of the directory: to ask each table and index for its size opens all of them.
_SIZE = "select pg_database_size(current_database())"
_GROWTH_BYTES_MAX = 2_000_000

_RESTART = "select setval(seqrelid, 1, false) from pg_sequence where pg_sequence_last_value(seqrelid) is not null"

# What there is besides rows: tables with their options, how many rows the catalog has of columns, defaults, programs,
# triggers and constraints and which transaction wrote there last, what the planner has learned of the rows, and how far
# each sequence has counted.
_SHAPE = """
with ours as (select * from pg_class where relnamespace = 'public'::regnamespace)
select (select md5(string_agg((oid, relname, reloptions, relacl)::text, '' order by oid)) from ours),
       (select (count(*), max(xmin::text::bigint))::text from pg_attribute where attrelid in (select oid from ours)),
       (select (count(*), max(xmin::text::bigint))::text from pg_attrdef),
       (select (count(*), max(xmin::text::bigint))::text from pg_proc),
       (select (count(*), max(xmin::text::bigint))::text from pg_trigger),
       (select (count(*), max(xmin::text::bigint))::text from pg_constraint),
       (select array_agg((nspname, nspacl)::text order by oid) from pg_namespace where nspname !~ '^pg_(toast_)?temp_'),
       (select array_agg(setconfig::text) from pg_db_role_setting),
       (select count(*) from pg_statistic where starelid in (select oid from ours)),
       (select array_agg((seqrelid, pg_sequence_last_value(seqrelid))::text order by seqrelid) from pg_sequence)
"""


class Likeness(NamedTuple):
    """What tells two databases apart. `rows`: table -> a hash of its rows, where it has any."""

    shape: tuple[Any, ...]
    rows: dict[str, str | None]


class ReusedDatabase:
    """A database that is emptied for the next test, and made anew where a test has left more than rows behind."""

    def __init__(self, server_dsn: str, template: str, created: ExitStack) -> None:
        self._server_dsn = server_dsn
        self._template = template
        self._created = created
        self._dsn = ""
        self._fresh = Likeness((), {})
        self._fresh_size = 0

    def emptied(self) -> str:
        """The connection string."""
        if not self._dsn or not self._empty():
            self._created.close()
            name = self._template.replace("template", str(next(_numbers)))
            made = created_database(self._server_dsn, name, template=self._template)
            self._dsn = self._created.enter_context(made)
            with psycopg.connect(self._dsn, autocommit=True) as connection:
                self._fresh, self._fresh_size = _likeness(connection), _size(connection)
        return self._dsn

    def _empty(self) -> bool:
        """Whether it is as it was when it was fresh."""
        with psycopg.connect(self._dsn, autocommit=True) as connection:
            connection.execute(
                "select pg_terminate_backend(pid, 5000) from pg_stat_activity "
                "where datname = current_database() and pid <> pg_backend_pid()"
            )
            if _size(connection) > self._fresh_size + _GROWTH_BYTES_MAX:
                return False
            _take_out(connection, sorted(filled(connection) - self._fresh.rows.keys()))
            return _likeness(connection) == self._fresh


def _take_out(connection: psycopg.Connection[tuple[Any, ...]], tables: list[str]) -> None:
    """Take all rows out of these tables, and forget that there were any.

    Truncating would truncate whatever refers to them as well, which takes ten times as long for a few rows.
    """
    names = list(map(sql.Identifier, tables))
    with connection.transaction():
        connection.execute("set local session_replication_role = replica")  # What refers to a row goes as well.
        for name in names:
            connection.execute(sql.SQL("delete from {}").format(name))
        connection.execute(_RESTART)
    if names:
        connection.execute(sql.SQL("vacuum (truncate, index_cleanup) {}").format(sql.SQL(", ").join(names)))
        # Not "empty", but "nobody has looked yet": the planner makes a difference.
        connection.execute("update pg_class set reltuples = -1, relpages = 0 where relname = any(%s)", (tables,))
    # What was counted of the tests before is nothing to this one.
    connection.execute("select pg_stat_reset()")


def _size(connection: psycopg.Connection[tuple[Any, ...]]) -> int:
    (found,) = connection.execute(_SIZE).fetchone() or (0,)
    return int(found)


def _likeness(connection: psycopg.Connection[tuple[Any, ...]]) -> Likeness:
    shape = connection.execute(_SHAPE).fetchone()
    assert shape is not None
    one = sql.SQL("select {name}, (select md5(string_agg(t::text, '' order by t::text)) from {table} t)")
    looks = [one.format(name=sql.Literal(name), table=sql.Identifier(name)) for name in sorted(filled(connection))]
    return Likeness(shape, dict(connection.execute(sql.SQL(" union all ").join(looks)).fetchall()))


@pytest.fixture(scope="session")
def reused(server_dsn: str, template_name: str) -> Iterator[ReusedDatabase]:
    """The database that the tests of this worker have in turn."""
    with ExitStack() as created:
        yield ReusedDatabase(server_dsn, template_name, created)


@pytest.fixture
def dsn(reused: ReusedDatabase) -> str:
    """A database at the newest migration, as if it were fresh."""
    return reused.emptied()


@pytest.fixture
def empty_dsn(server_dsn: str, worker_id: str) -> Iterator[str]:
    """A fresh database without any table."""
    with created_database(server_dsn, f"oneshelf_test_{worker_id}_{os.getpid()}_empty_{next(_numbers)}") as fresh:
        yield fresh
