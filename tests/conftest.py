"""A real PostgreSQL for the tests: one server for each worker, one migrated template, a fresh copy for each test."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from itertools import count
from pathlib import Path
from typing import Any

import psycopg
import pytest
import structlog
from psycopg import sql
from psycopg.conninfo import make_conninfo

from oneshelf.errors import ConfigurationError
from oneshelf.simulation.many import workplace
from oneshelf.storage.binaries import find_binaries
from oneshelf.storage.embedded import EmbeddedPostgres
from oneshelf.storage.migrate import migrate

REQUIRED_TIERS = set(filter(None, os.environ.get("ONESHELF_REQUIRE_TIERS", "").split(",")))


def skip_tier(tier: str, reason: str) -> None:
    """Skip with a printed reason; fail where this machine is expected to have the tier."""
    if tier in REQUIRED_TIERS:
        pytest.fail(f"the {tier} tests must run here, and cannot: {reason}")
    pytest.skip(f"{tier} tests left out: {reason}")


def pytest_runtest_setup(item: pytest.Item) -> None:
    if item.get_closest_marker("pg") is not None:
        try:
            find_binaries()
        except ConfigurationError as lack:
            skip_tier("pg", str(lack))
    if item.get_closest_marker("browser") is not None and shutil.which("chromium") is None:
        skip_tier("browser", "no chromium on PATH")


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
    with tempfile.TemporaryDirectory(prefix="oneshelf-test-", ignore_cleanup_errors=True) as name:
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


# Tables that hold a page: those that a test has written to.
_FILLED = """
select c.relname from pg_class c
where c.relnamespace = 'public'::regnamespace and c.relkind = 'r' and pg_relation_size(c.oid) > 0
"""


class ReusedDatabase:
    """A database that is emptied for the next test, and made anew where a test has left more than rows behind."""

    def __init__(self, server_dsn: str, template: str, created: ExitStack) -> None:
        self._server_dsn = server_dsn
        self._template = template
        self._created = created
        self._dsn = ""
        self._fresh: tuple[Any, dict[str, str | None]] = (None, {})

    def emptied(self) -> str:
        """The connection string."""
        if not self._dsn or not self._empty():
            self._created.close()
            name = self._template.replace("template", str(next(_numbers)))
            made = created_database(self._server_dsn, name, template=self._template)
            self._dsn = self._created.enter_context(made)
            with psycopg.connect(self._dsn, autocommit=True) as connection:
                self._fresh = _likeness(connection)
        return self._dsn

    def _empty(self) -> bool:
        """Whether it is as it was when it was fresh."""
        with psycopg.connect(self._dsn, autocommit=True) as connection:
            connection.execute(
                "select pg_terminate_backend(pid, 5000) from pg_stat_activity "
                "where datname = current_database() and pid <> pg_backend_pid()"
            )
            filled = {table for (table,) in connection.execute(_FILLED)}
            given = {table for table, rows in self._fresh[1].items() if rows}
            if filled - given:
                tables = sql.SQL(", ").join(map(sql.Identifier, sorted(filled - given)))
                connection.execute(sql.SQL("truncate {} restart identity cascade").format(tables))
            return bool(_likeness(connection) == self._fresh)


def _likeness(connection: psycopg.Connection[tuple[Any, ...]]) -> tuple[Any, dict[str, str | None]]:
    """What tells two databases apart: what there is besides rows, and the rows themselves."""
    shape = connection.execute(
        "select (select array_agg(oid order by oid) from pg_class where relnamespace = 'public'::regnamespace), "
        "(select array_agg(prosrc order by oid) from pg_proc where pronamespace = 'public'::regnamespace), "
        "(select array_agg(oid order by oid) from pg_trigger where not tgisinternal), "
        "(select array_agg(oid order by oid) from pg_constraint), (select count(*) from pg_attribute), "
        "(select array_agg(setconfig) from pg_db_role_setting)"
    ).fetchone()
    return shape, dict(_rows(connection))


def _rows(connection: psycopg.Connection[tuple[Any, ...]]) -> list[tuple[str, str | None]]:
    """Table -> a hash of its rows; None for an empty one."""
    names = connection.execute(
        "select table_name from information_schema.tables where table_schema = 'public' "
        "and table_type = 'BASE TABLE' order by table_name"
    ).fetchall()
    one = sql.SQL("select {name}, (select md5(string_agg(t::text, '' order by t::text)) from {table} t)")
    looks = [one.format(name=sql.Literal(name), table=sql.Identifier(name)) for (name,) in names]
    return connection.execute(sql.SQL(" union all ").join(looks)).fetchall()


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
