"""The process of an embedded server: started so that it dies with us, watched, stopped in good order."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import IO

from oneshelf.errors import ConfigurationError
from oneshelf.storage import launch
from oneshelf.storage.orphans import POLL_S
from oneshelf.storage.server_user import ServerUser

FAST_STOP_S = 60.0


class ServerThread(threading.Thread):
    """The thread that starts the server and lives exactly as long as it.

    PR_SET_PDEATHSIG fires at the end of the *thread* that forked, not of the process, so a server started from a
    short-lived thread would stop with that thread. This one waits for the server and does nothing else.
    """

    def __init__(self, command: list[str], log: IO[bytes]) -> None:
        super().__init__(name="embedded-postgres", daemon=True)
        self._command = command
        self._log = log
        self._process: subprocess.Popen[bytes] | None = None
        self._launched = threading.Event()
        self.start()
        self._launched.wait()

    def run(self) -> None:
        try:
            self._process = subprocess.Popen(
                self._command,
                stdin=subprocess.DEVNULL,
                stdout=self._log,
                stderr=self._log,
                env=environment(),
                start_new_session=True,  # Ctrl-C is for the engine, which then stops the server in its own time.
            )
        finally:
            self._launched.set()
        self._process.wait()

    @property
    def _launched_process(self) -> subprocess.Popen[bytes]:
        if self._process is None:
            raise ConfigurationError(f"The launcher of the embedded database could not be run: {self._command[0]}")
        return self._process

    @property
    def pid(self) -> int:
        return self._launched_process.pid

    def waits_until_ready(self, pid_file: Path) -> bool:
        """True when the server accepts connections, False when it has exited. Recovery may take minutes."""
        while self._launched_process.poll() is None:
            if _is_ready(pid_file, self.pid):
                return True
            time.sleep(POLL_S)
        self.join()
        return False

    def stop_server(self) -> None:
        if self._process is None:
            return
        self._process.send_signal(signal.SIGINT)  # Fast shutdown: ends sessions, writes a checkpoint.
        self.join(timeout=FAST_STOP_S)
        self._process.send_signal(signal.SIGQUIT)  # Immediate: the next start recovers. No effect on the dead.
        self.join()


def dying_with_us(command: list[str], death_signal: signal.Signals, user: ServerUser | None) -> list[str]:
    """The command by way of `launch.py`, which sets the user and the signal at our death, and then becomes it."""
    uid, gid = (user.uid, user.gid) if user is not None else (-1, -1)
    numbers = (os.getpid(), uid, gid, int(death_signal))
    return [sys.executable, "-I", "-S", launch.__file__, *map(str, numbers), *command]


def environment() -> dict[str, str]:
    """Only what finds libraries: a PGPORT or LC_ALL of the person who starts us must not change the server."""
    return {name: os.environ[name] for name in ("PATH", "LD_LIBRARY_PATH") if name in os.environ}


def _is_ready(pid_file: Path, pid: int) -> bool:
    """The server's own word, in line 8 of its pid file, as `pg_ctl` reads it."""
    try:
        lines = pid_file.read_text().splitlines()
    except FileNotFoundError:
        return False
    return len(lines) >= 8 and lines[0] == str(pid) and lines[7].strip() == "ready"
