"""Migrations: once, whole, forward, and never on a database this code does not know."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from pathlib import Path

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from oneshelf.errors import ConfigurationError, DatabaseUnavailableError
from oneshelf.storage.migrate import ADVISORY_KEY, MIGRATIONS, check, migrate, pending, reach, read_migrations

MIGRATE = "import sys, pathlib; from oneshelf.storage.migrate import migrate; "
MIGRATE += "sys.stdout.write(' '.join(migrate(sys.argv[1], directory=pathlib.Path(sys.argv[2]))))"


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """Two migrations of which each works only once."""
    (tmp_path / "0001_mugs.sql").write_text("create table mugs (sku text primary key);")
    (tmp_path / "0002_first_mug.sql").write_text("insert into mugs values ('MUG');\nalter table mugs add units int;")
    return tmp_path


def tables(dsn: str) -> set[str]:
    with psycopg.connect(dsn) as connection:
        return {name for (name,) in connection.execute("select tablename from pg_tables where schemaname = 'public'")}


def test_migrations_are_applied_in_order_and_once(empty_dsn: str, directory: Path) -> None:
    assert pending(empty_dsn, directory=directory) == ["0001_mugs", "0002_first_mug"]
    assert migrate(empty_dsn, directory=directory) == ["0001_mugs", "0002_first_mug"]
    assert migrate(empty_dsn, directory=directory) == []
    assert pending(empty_dsn, directory=directory) == []
    check(empty_dsn, directory=directory)


def test_asking_what_is_pending_changes_nothing(empty_dsn: str, directory: Path) -> None:
    pending(empty_dsn, directory=directory)
    assert tables(empty_dsn) == set()


def test_a_database_that_lacks_migrations_is_told_the_command(empty_dsn: str, directory: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"lacks 2 migrations \(0001_mugs, 0002_first_mug\).*oneshelf migrate"):
        check(empty_dsn, directory=directory)


def test_two_processes_that_migrate_at_once_apply_each_migration_once(empty_dsn: str, directory: Path) -> None:
    command = [sys.executable, "-c", MIGRATE, empty_dsn, str(directory)]
    with psycopg.connect(empty_dsn, autocommit=True) as gate:
        gate.execute("select pg_advisory_lock(%s)", (ADVISORY_KEY,))
        racers = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
        waiting = "select count(*) from pg_locks l join pg_stat_activity a using (pid) "
        waiting += "where locktype = 'advisory' and not granted and datname = current_database()"
        deadline = time.monotonic() + 60
        while gate.execute(waiting).fetchone() != (2,):
            assert time.monotonic() < deadline, "not within 60 s: both stand before the lock"
            assert all(racer.poll() is None for racer in racers)
    said = sorted(racer.communicate(timeout=60)[0] for racer in racers)
    assert [racer.returncode for racer in racers] == [0, 0]
    assert said == ["", "0001_mugs 0002_first_mug"]


def test_a_database_newer_than_the_program_is_refused_with_the_way_out(empty_dsn: str, directory: Path) -> None:
    migrate(empty_dsn, directory=directory)
    (directory / "0002_first_mug.sql").unlink()
    for ask in (migrate, pending, check):
        with pytest.raises(
            ConfigurationError, match="at migration 2, this oneshelf knows 1: upgrade oneshelf, or rest"
        ):
            ask(empty_dsn, directory=directory)


def test_a_changed_file_is_refused_before_anything_new_is_applied(empty_dsn: str, directory: Path) -> None:
    migrate(empty_dsn, directory=directory)
    (directory / "0001_mugs.sql").write_text("create table mugs (sku text primary key, title text);")
    (directory / "0003_cups.sql").write_text("create table cups ();")
    with pytest.raises(ConfigurationError, match=r"0001_mugs is not what was applied .* has changed since"):
        migrate(empty_dsn, directory=directory)
    assert "cups" not in tables(empty_dsn)


def test_other_line_endings_are_not_a_change(empty_dsn: str, directory: Path) -> None:
    migrate(empty_dsn, directory=directory)
    file = directory / "0002_first_mug.sql"
    file.write_bytes(file.read_bytes().replace(b"\n", b"\r\n"))
    check(empty_dsn, directory=directory)


def test_a_failing_migration_leaves_nothing_and_the_ones_before_it_stay(empty_dsn: str, directory: Path) -> None:
    broken = directory / "0003_cups.sql"
    broken.write_text("create table cups ();\ninsert into mugs values ('MUG');")
    with pytest.raises(ConfigurationError, match="0003_cups failed and was rolled back: duplicate key"):
        migrate(empty_dsn, directory=directory)
    assert tables(empty_dsn) == {"mugs", "schema_migrations"}
    assert pending(empty_dsn, directory=directory) == ["0003_cups"]
    broken.write_text("create table cups ();")
    assert migrate(empty_dsn, directory=directory) == ["0003_cups"]


def test_a_migration_waits_five_seconds_at_most_for_a_table(empty_dsn: str, directory: Path) -> None:
    (directory / "0003_seen.sql").write_text("create table seen as select current_setting('lock_timeout') as limit_s;")
    migrate(empty_dsn, directory=directory)
    with psycopg.connect(empty_dsn) as connection:
        assert connection.execute("select limit_s from seen").fetchone() == ("5s",)


@pytest.mark.parametrize("name", ["0003_early.sql", "0001_twice.sql", "one.sql"])
def test_numbers_run_without_a_gap_or_a_double(name: str, tmp_path: Path) -> None:
    (tmp_path / "0001_mugs.sql").touch()
    (tmp_path / name).touch()
    with pytest.raises(ConfigurationError, match="is not the migration with number 0002"):
        read_migrations(tmp_path)


def test_the_shipped_migrations_build_a_database_that_is_current(dsn: str) -> None:
    assert read_migrations(MIGRATIONS)
    check(dsn)


@pytest.mark.long
def test_a_server_that_accepts_and_never_answers_is_not_waited_for() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"postgresql://u@127.0.0.1:{silent.getsockname()[1]}/x?connect_timeout=2"
        with pytest.raises(DatabaseUnavailableError, match=r"does not answer: .*timeout"):
            reach(address)


def test_what_the_server_says_is_repeated_in_one_line(server_dsn: str) -> None:
    with pytest.raises(DatabaseUnavailableError, match='database "nowhere" does not exist') as caught:
        reach(make_conninfo(server_dsn, dbname="nowhere"))
    assert len(str(caught.value).splitlines()) == 1


def test_a_user_who_may_not_create_tables_is_told_so(empty_dsn: str) -> None:
    options = "-c default_transaction_read_only=on"
    with pytest.raises(ConfigurationError, match="cannot execute CREATE TABLE in a read-only transaction"):
        migrate(make_conninfo(empty_dsn, options=options))
