"""A PostgreSQL of our own: started with the engine, stopped with it, reached by nobody else.

Only the *programs* of PostgreSQL are used (see `binaries`). A data directory has one owner, by `flock`. On Linux the
server dies with its owner, also after `kill -9`, by PR_SET_PDEATHSIG; elsewhere (macOS) a server that outlives its
owner is found and stopped at the next start. A server that ends before its owner is started again at the same
address (see `server`), so that whoever is connected only has to connect once more. In `directory` lie:

    owner.lock      held while the server runs; the owner's pid
    pg/             the data directory
    home            only where root's server cannot reach `directory`: a link to the place that holds `pg` instead
    socket          while the server runs: a link to the directory of its socket
    postgres.log    what the server says
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import IO, Self
from urllib.parse import quote

import psycopg

from oneshelf.errors import ConfigurationError, broken, invariant
from oneshelf.storage.binaries import copied_for_everyone, find_binaries, major_version
from oneshelf.storage.orphans import POLL_S, stop_orphan
from oneshelf.storage.server import ServerThread, dying_with_us, environment
from oneshelf.storage.server_user import ServerUser, server_user

ROLE = DATABASE = "oneshelf"
SHARED_HOME = Path("/var/lib/oneshelf")
SOCKET_PREFIX = "oneshelf-"
PORT = 5432  # Only part of the socket's name: nothing listens on the network.
RESTART_S_MAX = 5.0

SETTINGS: Mapping[str, str] = {
    "listen_addresses": "",
    "unix_socket_permissions": "0700",
    "port": str(PORT),
    "max_connections": "100",
    "shared_buffers": "128MB",
    "max_wal_size": "1GB",
    "random_page_cost": "1.1",  # A row by its key costs little on today's disks, and nothing where it is in memory.
    "fsync": "on",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "logging_collector": "off",
    "jit": "off",
}
NOT_DURABLE: Mapping[str, str] = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}


class EmbeddedPostgres:
    """A running server for as long as the `with` block lasts, or from `start` to `stop`.

    `durable=False` gives up safety against a crash of the machine for speed: for tests and demonstrations.
    `settings` go over the defaults above. As root the server runs as `postgres`, else as `nobody`; what that
    user cannot reach is put below `shared_home`, and no mode of an existing directory is ever changed.
    """

    def __init__(
        self,
        directory: Path,
        *,
        durable: bool = True,
        settings: Mapping[str, str] | None = None,
        shared_home: Path = SHARED_HOME,
    ) -> None:
        self.directory = directory.absolute()
        self._durable = durable
        self._settings = {**SETTINGS, **({} if durable else NOT_DURABLE), **(settings or {})}
        self._shared_home = shared_home
        self._lock: IO[str] | None = None
        self._server: ServerThread | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, failure: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def dsn(self) -> str:
        """How to connect: the Unix socket, role and database `oneshelf`."""
        return _dsn(self._socket_directory())

    @property
    def postmaster_pid(self) -> int:
        """The pid of the server's first process: another one after a restart."""
        if self._server is None:
            broken("the embedded database has no pid before it is started")
        return self._server.pid

    def start(self) -> None:
        """The server accepts connections when this returns, however long its crash recovery takes.

        Raises ConfigurationError when another process owns the directory, no programs are found, or the server
        gives up; then the end of its log is in the text.
        """
        invariant(self._lock is None, f"the embedded database in {self.directory} is started twice")
        self._lock = _own(self.directory)
        try:
            self._start(self._lock)
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """The server has stopped in good order (a fast shutdown), and another owner may start it."""
        if self._server is not None:
            self._server.stop_server()
            self._server = None
        if self._lock is not None:
            self._remove_socket_directory()
            self._lock.close()
            self._lock = None

    def _start(self, lock: IO[str]) -> None:
        self._remove_socket_directory()
        binaries = find_binaries()
        home, user = self._home_and_user()
        if user is not None and not user.can_use(binaries / "postgres"):
            binaries = copied_for_everyone(binaries, home=self._shared_home / "postgresql")
        pgdata = home / "pg"
        if not pgdata.exists():
            self._initialise(pgdata, binaries, user)
        _check_version(pgdata, binaries)
        stop_orphan(pgdata)
        self._make_socket_directory(user)
        command = [str(binaries / "postgres"), "-D", str(pgdata), "-k", str(self._socket_directory())]
        for name, value in {**self._settings, **_write_access_rules(home)}.items():
            command += ["-c", f"{name}={value}"]
        self._server = ServerThread(
            dying_with_us(command, signal.SIGINT, user),
            pgdata=pgdata,
            socket_directory=self._socket_directory(),
            log_path=self.directory / "postgres.log",
            owner_lock=lock,
        )
        self._server.start_server()
        _create_database(self._socket_directory())

    def _home_and_user(self) -> tuple[Path, ServerUser | None]:
        """Where the data directory lies, and which user runs the server (None: the one we are)."""
        link = self.directory / "home"
        if link.is_symlink() and not link.exists():
            raise ConfigurationError(
                f"The database of {self.directory} lay in {link.readlink()}, which is gone. "
                f"Restore it from a backup, or remove {link} to begin with an empty one."
            )
        home = link.resolve() if link.is_symlink() else self.directory
        exists = (home / "pg").exists()
        user = server_user(owner_uid=(home / "pg").stat().st_uid if exists else None, home=home)
        if user is None or user.can_use(home):
            return home, user
        if exists:
            raise ConfigurationError(
                f"User {user.name}, who owns the database in {home / 'pg'}, can no longer reach it. Let others pass "
                "through the directories above it (chmod o+x), or move the database to where they can."
            )
        relocated = self._shared_home / "data"
        relocated.mkdir(parents=True, exist_ok=True)
        home = Path(tempfile.mkdtemp(prefix=f"{self.directory.name}-", dir=relocated))
        home.chmod(0o755)
        link.symlink_to(home)
        return home, user

    def _initialise(self, pgdata: Path, binaries: Path, user: ServerUser | None) -> None:
        """Make the data directory. It gets its name only when it is whole: a kill leaves a stray at most."""
        for stray in pgdata.parent.glob("pg.new-*"):
            shutil.rmtree(stray, ignore_errors=True)
        partial = Path(tempfile.mkdtemp(prefix="pg.new-", dir=pgdata.parent))
        if user is not None:
            os.chown(partial, user.uid, user.gid)
        command = [str(binaries / "initdb"), "-D", str(partial), "-U", ROLE, "--auth=peer", "--data-checksums"]
        command += ["--encoding=UTF8", *_locale_options(binaries), "--no-instructions"]
        command += [] if self._durable else ["--no-sync"]
        said = subprocess.run(
            dying_with_us(command, signal.SIGKILL, user),
            env=environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        if said.returncode != 0:
            shutil.rmtree(partial, ignore_errors=True)
            raise ConfigurationError(
                f"The embedded database could not be created in {pgdata.parent}. initdb said:\n{said.stdout.strip()}"
            )
        partial.rename(pgdata)
        _sync_directory(pgdata.parent)

    def _socket_directory(self) -> Path:
        return (self.directory / "socket").readlink()

    def _make_socket_directory(self, user: ServerUser | None) -> None:
        # Always a short path, because a Unix socket's may have 107 bytes only, and TMPDIR may be long or private.
        short = Path("/tmp")  # noqa: S108  # the directory in it is new, 0700 and ours
        path = Path(tempfile.mkdtemp(prefix=SOCKET_PREFIX, dir=short if os.access(short, os.W_OK) else None))
        if user is not None:
            os.chown(path, user.uid, user.gid)
        (self.directory / "socket").symlink_to(path)

    def _remove_socket_directory(self) -> None:
        """Remove what this start or a killed one left: only the lock's holder may."""
        link = self.directory / "socket"
        with contextlib.suppress(FileNotFoundError):
            path = link.readlink()
            if path.name.startswith(SOCKET_PREFIX):
                shutil.rmtree(path, ignore_errors=True)
            link.unlink()


def running_dsn(directory: Path) -> str | None:
    """The connection string of the server that another process runs in this directory; None when none answers.

    While its owner lives the server may be about to come back, and is asked again for a few seconds.
    """
    give_up_at = time.monotonic() + RESTART_S_MAX
    while True:
        try:
            dsn = _dsn((directory / "socket").readlink())
            with psycopg.connect(dsn, connect_timeout=5):
                return dsn
        except OSError:
            return None
        except psycopg.OperationalError:
            if time.monotonic() > give_up_at or not _owner_lives(directory):
                return None
        time.sleep(POLL_S)


def is_lost(directory: Path, dsn: str) -> bool:
    """Whether the server at this address never comes back: its owner stopped it or has ended. False for the owner.

    The lock, unlike a pid, knows an owner that was killed and not yet waited for. It is taken only where it is free.
    """
    try:
        if _dsn((directory / "socket").readlink()) != dsn:
            return True
        with (directory / "owner.lock").open() as lock:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except FileNotFoundError:
        return True
    return True


def _owner_lives(directory: Path) -> bool:
    """Whether the process that last owned the directory is there. Asking by way of the lock would take it."""
    try:
        os.kill(int((directory / "owner.lock").read_text()), 0)
    except PermissionError:
        return True
    except (OSError, ValueError):
        return False
    return True


def _own(directory: Path) -> IO[str]:
    """The lock of this directory, ours. The server does not inherit it, so it ends with this process."""
    try:
        directory.mkdir(parents=True, exist_ok=True)
        lock = (directory / "owner.lock").open("a+")
    except OSError as refusal:
        raise ConfigurationError(
            f"The embedded database cannot use {directory}: {refusal.strerror}. Choose another data directory."
        ) from refusal
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        lock.seek(0)
        owner = lock.read().strip() or "unknown"
        lock.close()
        raise ConfigurationError(
            f"The embedded database in {directory} is in use by process {owner}. "
            f"Stop that process, or choose another data directory."
        ) from None
    lock.truncate(0)
    lock.write(f"{os.getpid()}\n")
    lock.flush()
    return lock


def _locale_options(binaries: Path) -> list[str]:
    """C.UTF-8, the same order of text on every machine: PostgreSQL's own where it has one, else the system's."""
    if major_version(binaries) >= 17:
        return ["--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
    return ["--locale=C.UTF-8" if sys.platform == "linux" else "--locale=C"]


def _check_version(pgdata: Path, binaries: Path) -> None:
    made_by, found = int((pgdata / "PG_VERSION").read_text()), major_version(binaries)
    if made_by != found:
        raise ConfigurationError(
            f"The database in {pgdata} was made by PostgreSQL {made_by}, and {binaries} is PostgreSQL {found}. "
            f"Set ONESHELF_PGBIN to the programs of PostgreSQL {made_by}, or move the database with pg_upgrade."
        )


def _write_access_rules(home: Path) -> dict[str, str]:
    """The settings for who may connect: the user who started us and root, as told by the kernel; no password.

    Written at every start, because the user may be another one. Not in the data directory: that belongs to the
    server's user, and root must not write through what another user could have put there.
    """
    rules, names = home / "access.conf", home / "access-names.conf"
    owners = {pwd.getpwuid(os.geteuid()).pw_name, "root"}
    rules.write_text(f"local all {ROLE} peer map=owner\n")
    names.write_text("".join(f'owner "{name}" {ROLE}\n' for name in sorted(owners)))
    for file in (rules, names):
        file.chmod(0o644)
    return {"hba_file": str(rules), "ident_file": str(names)}


def _dsn(socket_directory: Path) -> str:
    return f"postgresql://{ROLE}@/{DATABASE}?host={quote(str(socket_directory), safe='')}&port={PORT}"


def _create_database(socket_directory: Path) -> None:
    """The database exists: made at the first start, or at the next one after a kill in between."""
    template = _dsn(socket_directory).replace(f"/{DATABASE}?", "/template1?")
    with psycopg.connect(template, autocommit=True) as connection:
        found = connection.execute("select from pg_database where datname = %s", (DATABASE,)).fetchone()
        if found is None:
            connection.execute(f"create database {DATABASE}")


def _sync_directory(directory: Path) -> None:
    """A rename in this directory survives a loss of power."""
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
