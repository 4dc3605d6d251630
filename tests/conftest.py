"""A real PostgreSQL for the tests: one server for each worker, one migrated template, a fresh copy for each test."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path

import psycopg
import pytest
import structlog
from psycopg import sql
from psycopg.conninfo import make_conninfo

from oneshelf.errors import ConfigurationError
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
    with temporary_directory() as directory, EmbeddedPostgres(directory / "pg", durable=False) as server:
        yield server.dsn


@pytest.fixture(scope="session")
def template_name(server_dsn: str, worker_id: str) -> Iterator[str]:
    """A migrated database that nobody connects to, so that it can be copied at any time."""
    name = f"oneshelf_test_{worker_id}_{os.getpid()}_template"
    with created_database(server_dsn, name) as dsn:
        migrate(dsn)
        yield name


_numbers = count(1)


@pytest.fixture
def dsn(server_dsn: str, template_name: str) -> Iterator[str]:
    """A fresh database at the newest migration."""
    name = template_name.replace("template", str(next(_numbers)))
    with created_database(server_dsn, name, template=template_name) as fresh:
        yield fresh


@pytest.fixture
def empty_dsn(server_dsn: str, worker_id: str) -> Iterator[str]:
    """A fresh database without any table."""
    with created_database(server_dsn, f"oneshelf_test_{worker_id}_{os.getpid()}_empty_{next(_numbers)}") as fresh:
        yield fresh
