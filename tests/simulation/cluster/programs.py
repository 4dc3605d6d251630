"""Programs of ours as processes of their own: killed, stopped in the middle, and let go on. They die with us."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from oneshelf.storage import launch
from simulation.cluster import leased

STOP_S_MAX = 90.0


class Program:
    """`python` with these arguments. What it says goes to `log_file`."""

    def __init__(
        self, arguments: Sequence[str], *, log_file: Path, environment: Mapping[str, str] | None = None
    ) -> None:
        self._arguments = arguments
        ours = {name: value for name, value in os.environ.items() if not name.startswith("ONESHELF_")}
        self._environment = {**ours, **(environment or {})}
        self.log_file = log_file
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it, from the main thread: the signal at our death is tied to the thread that started it."""
        launcher = [sys.executable, launch.__file__, str(os.getpid()), "-1", "-1", str(int(signal.SIGKILL))]
        with self.log_file.open("ab") as log:
            self._process = subprocess.Popen(
                [*launcher, sys.executable, *self._arguments],
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    @property
    def exit_code(self) -> int | None:
        """None while it runs."""
        return None if self._process is None else self._process.poll()

    def send(self, number: signal.Signals) -> None:
        if self._process is not None:
            self._process.send_signal(number)

    def kill(self) -> None:
        """End it at once, with no chance to tidy up."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def tell_to_stop(self) -> None:
        self.send(signal.SIGCONT)
        self.send(signal.SIGTERM)

    def stopped(self) -> int:
        """Its exit code, once it has ended; it is killed where it does not end by itself."""
        if self._process is None:
            return 0
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(STOP_S_MAX)
        self.kill()
        return self._process.returncode

    def last_words(self, lines: int = 15) -> str:
        said = self.log_file.read_text(errors="replace").splitlines() if self.log_file.exists() else []
        return "\n".join(said[-lines:])


def engine(*, port: int, dsn: str, lease_s: float, log_file: Path) -> Program:
    """`oneshelf serve` with leases of this length."""
    arguments = [leased.__file__, str(lease_s), "serve", "--host", "127.0.0.1", "--port", str(port)]
    settings = {"ONESHELF_DATABASE_URL": dsn, "ONESHELF_LOG_JSON": "true", "ONESHELF_API_TOKEN": ""}
    return Program(arguments, log_file=log_file, environment=settings)


def simulator(kind: str, *, port: int, seed: int, speed: float, log_file: Path) -> Program:
    """`oneshelf channel simulate`."""
    arguments = ["-m", "oneshelf.cli", "channel", "simulate", kind, "--port", str(port)]
    return Program([*arguments, "--seed", str(seed), "--speed", f"{speed:g}"], log_file=log_file)
