"""The process of an embedded server: dies with us, is started again when it ends unasked, is stopped in good order."""

from __future__ import annotations

import contextlib
import os
import signal
import stat
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import IO

from oneshelf.errors import ConfigurationError, broken
from oneshelf.storage import launch
from oneshelf.storage.orphans import POLL_S, stop_orphan
from oneshelf.storage.server_user import ServerUser
from oneshelf.telemetry import get_logger

FAST_STOP_S = 60.0
ASK_AGAIN_S = 1.0
LINGERING_S_MAX = 60.0
LINGERING = "pre-existing shared memory block"  # Sessions of a killed server: they need a moment to notice.
PAUSE_S_MIN = 0.05
PAUSE_S_MAX = 15.0
FAILURES_WORTH_A_LINE = 5  # After a kill the first ones are usual, see LINGERING.
SETTLED_S = 60.0
LOG_BYTES_MAX = 16 * 1024 * 1024
READY = "database system is ready to accept connections"

log = get_logger(__name__)


class ServerThread(threading.Thread):
    """The thread that starts the server, and starts it again when it ends before `stop_server` is called.

    PR_SET_PDEATHSIG fires at the end of the *thread* that forked, not of the process, so a server started from a
    short-lived thread would stop with that thread. This one starts every server and ends after the last of them.
    There is never a second server: the next one is launched when the one before has been reaped, and a stray one on
    the same directory is stopped first, as `owner_lock` (held as long as this thread) permits.
    """

    def __init__(
        self, command: list[str], *, pgdata: Path, socket_directory: Path, log_path: Path, owner_lock: IO[str]
    ) -> None:
        super().__init__(name="embedded-postgres", daemon=True)
        self._command = command
        self._pgdata = pgdata
        self._socket_directory = socket_directory
        self._log_path = log_path
        self._owner_lock = owner_lock
        self._launch_gate = threading.Lock()  # Nothing is launched once a stop has been asked for under it.
        self._stop_asked = threading.Event()
        self._first_settled = threading.Event()
        self._is_first_up = False
        self._process: subprocess.Popen[bytes] | None = None
        self._last_words = ""
        self._quick_ends = 0  # Servers in a row that were up, but not for long.

    @property
    def pid(self) -> int:
        return self._launched.pid

    def start_server(self) -> None:
        """The server accepts connections. Raises ConfigurationError with its last words when it gives up."""
        self.start()
        self._first_settled.wait()
        if not self._is_first_up:
            raise ConfigurationError(
                f"The embedded database in {self._pgdata} did not start. "
                f"The end of {self._log_path}:\n{self._last_words}"
            )

    def stop_server(self) -> None:
        """No server runs and none will be started, whatever this thread was about."""
        with self._launch_gate:
            self._stop_asked.set()
        if self.ident is None:
            return
        give_up_at = time.monotonic() + FAST_STOP_S
        while self.is_alive() and time.monotonic() < give_up_at:
            # Fast shutdown: ends sessions, writes a checkpoint. Repeated, as a launcher just born may not hear it.
            self._send(signal.SIGINT)
            self.join(timeout=ASK_AGAIN_S)
        self._send(signal.SIGQUIT)  # Immediate: the next start recovers. No effect on the dead.
        self.join()

    def run(self) -> None:
        try:
            is_up = self._is_first_up = self._comes_up_at_first()
        finally:
            self._first_settled.set()
        while is_up:
            up_since = time.monotonic()
            self._launched.wait()
            self._quick_ends = 0 if time.monotonic() - up_since > SETTLED_S else self._quick_ends + 1
            is_up = self._comes_back()

    @property
    def _launched(self) -> subprocess.Popen[bytes]:
        if self._process is None:
            broken("the embedded database has no process before it is launched")
        return self._process

    def _send(self, request: signal.Signals) -> None:
        if self._process is not None:
            self._process.send_signal(request)

    def _comes_up_at_first(self) -> bool:
        give_up_at = time.monotonic() + LINGERING_S_MAX
        while not self._comes_up():
            if self._stop_asked.is_set() or LINGERING not in self._last_words or time.monotonic() > give_up_at:
                return False
            self._stop_asked.wait(POLL_S)
        return True

    def _comes_back(self) -> bool:
        """True when a server is up again, however long it takes; False when a stop was asked for."""
        ended_at, ended_by = time.monotonic(), _ending(self._launched.returncode)
        failed_count = 0
        while not self._stop_asked.wait(_pause_s(self._quick_ends + failed_count)):
            if self._comes_up_again():
                away_s = round(time.monotonic() - ended_at, 1)
                with contextlib.suppress(OSError, ValueError):  # No reader of our log is no reason to end this thread.
                    log.warning("database.restarted", ended_by=ended_by, away_s=away_s, pid=self.pid)
                return True
            failed_count += 1
            if failed_count == FAILURES_WORTH_A_LINE and not self._stop_asked.is_set():
                words, path = self._last_words, str(self._log_path)
                with contextlib.suppress(OSError, ValueError):
                    log.error("database.not_restarted", ended_by=ended_by, words=words, postgres_log=path)
        return False

    def _comes_up_again(self) -> bool:
        try:
            stop_orphan(self._pgdata)
            # What the dead one left: its pid in the lock file may be another program's by now.
            for stale in self._socket_directory.glob(".s.PGSQL.*"):
                stale.unlink(missing_ok=True)
        except (OSError, ConfigurationError) as obstacle:
            self._last_words = str(obstacle)
            return False
        return self._comes_up()

    def _comes_up(self) -> bool:
        """True when the server accepts connections, False when it has exited. Recovery may take minutes."""
        try:
            with _open_log(self._log_path) as server_log:
                began = server_log.tell()
                with self._launch_gate:
                    if self._stop_asked.is_set():
                        return False
                    self._process = self._launch(server_log)
                while self._process.poll() is None:
                    if _is_ready(self._pgdata / "postmaster.pid", self._process.pid):
                        return True
                    time.sleep(POLL_S)
                self._last_words = _words_since(began, server_log)
        except OSError as obstacle:  # Before the launch, or after the exit.
            self._last_words = str(obstacle)
        return False

    def _launch(self, server_log: IO[bytes]) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            self._command,
            stdin=subprocess.DEVNULL,
            stdout=server_log,
            stderr=server_log,
            env=environment(),
            start_new_session=True,  # Ctrl-C is for the engine, which then stops the server in its own time.
        )


def dying_with_us(command: list[str], death_signal: signal.Signals, user: ServerUser | None) -> list[str]:
    """The command by way of `launch.py`, which sets the user and the signal at our death, and then becomes it."""
    uid, gid = (user.uid, user.gid) if user is not None else (-1, -1)
    numbers = (os.getpid(), uid, gid, int(death_signal))
    return [sys.executable, "-I", "-S", launch.__file__, *map(str, numbers), *command]


def environment() -> dict[str, str]:
    """Only what finds libraries: a PGPORT or LC_ALL of the person who starts us must not change the server."""
    return {name: os.environ[name] for name in ("PATH", "LD_LIBRARY_PATH") if name in os.environ}


def _pause_s(failed_count: int) -> float:
    return min(PAUSE_S_MAX, PAUSE_S_MIN * 2.0 ** min(failed_count, 16))


def _ending(returncode: int) -> str:
    return signal.Signals(-returncode).name if returncode < 0 else f"exit code {returncode}"


def _is_ready(pid_file: Path, pid: int) -> bool:
    """The server's own word, in line 8 of its pid file, as `pg_ctl` reads it."""
    try:
        lines = pid_file.read_text().splitlines()
    except (OSError, ValueError):  # Not there, or not to be read just now: the server may live all the same.
        return False
    return len(lines) >= 8 and lines[0] == str(pid) and lines[7].strip() == "ready"


def _open_log(path: Path) -> IO[bytes]:
    """The log, to be written at its end and read; the one before it is kept when it has grown large."""
    if path.exists() and path.stat().st_size > LOG_BYTES_MAX:
        path.replace(path.with_suffix(".log.1"))
    server_log = path.open("a+b")
    os.fchmod(server_log.fileno(), stat.S_IRUSR | stat.S_IWUSR)  # It may quote rows.
    server_log.seek(0, os.SEEK_END)
    return server_log


def _words_since(began: int, server_log: IO[bytes]) -> str:
    """The last lines up to the first session, because sessions may quote rows, and these words are shown."""
    server_log.seek(began)
    said, ready, _ = server_log.read().decode(errors="replace").partition(READY)
    return "\n".join((said + ready).strip().splitlines()[-12:])
