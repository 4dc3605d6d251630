"""The demo's processes: started so that they die with it, ended in order when it ends."""

from __future__ import annotations

import os
import secrets
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from oneshelf.errors import ConfigurationError
from oneshelf.storage import launch

HOST = "127.0.0.1"
STOP_S = 5.0
PORTS_TRIED = 200
# Below those that the kernel gives to connections: from 32,768 on, or 49,152.
FIRST_PORT, PORTS = 20_000, 12_000


class Child:
    """One `oneshelf` command as a process of its own. What it says goes to `log_file`."""

    def __init__(self, arguments: Sequence[str], *, environment: Mapping[str, str], log_file: Path) -> None:
        self._arguments = arguments
        self._environment = {**os.environ, **environment}
        self.log_file = log_file
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it, from the main thread: the signal at our death is tied to the thread that started it."""
        program = [sys.executable, "-m", "oneshelf.cli", *self._arguments]
        # The launcher asks the kernel (Linux) to kill the program when we die, also after kill -9.
        launcher = [sys.executable, launch.__file__, str(os.getpid()), "-1", "-1", str(int(signal.SIGKILL))]
        with self.log_file.open("ab") as log:
            self._process = subprocess.Popen(  # noqa: S603  # our own program
                [*launcher, *program],
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                # Ctrl-C is for the demo, which then ends its children in order.
                start_new_session=True,
            )

    @property
    def is_running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def kill(self) -> None:
        """End it at once, with no chance to tidy up."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def stop(self) -> None:
        """Tell it to end; kill it if it does not."""
        if self._process is None:
            return
        with suppress(ProcessLookupError):
            self._process.terminate()
        try:
            self._process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            self.kill()

    def last_words(self, lines: int = 8) -> str:
        """The end of its log."""
        said = self.log_file.read_text(errors="replace").splitlines() if self.log_file.exists() else []
        return "\n".join(said[-lines:])


def free_port(first: int) -> int:
    """The first port from `first` on that nobody listens on. Raises ConfigurationError when all are taken."""
    for port in range(first, min(first + PORTS_TRIED, 65_536)):
        with suppress(OSError), socket.create_server((HOST, port)):
            return port
    raise ConfigurationError(f"all ports from {first} to {first + PORTS_TRIED - 1} are taken; choose another --port")


def any_free_port() -> int:
    """A port that nobody listens on, and that is still free when its program is killed and started again.

    One that the kernel chose might then be the near end of somebody's connection.
    """
    return free_port(FIRST_PORT + secrets.randbelow(PORTS))
