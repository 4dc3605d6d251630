"""A server whose owner is gone: recognised by what it runs and where, never by its pid alone, and stopped."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from oneshelf.errors import ConfigurationError

POLL_S = 0.02
FAST_STOP_S = 60.0
IMMEDIATE_STOP_S = 30.0


def stop_orphan(pgdata: Path) -> None:
    """No server runs on this data directory any more, and no `postmaster.pid` is in the way of the next one.

    The caller holds the owner's lock, so a server that still runs here has lost its owner. A pid that by now
    belongs to another program (normal in containers) is left alone. Raises ConfigurationError when the orphan
    does not stop.
    """
    pid_file = pgdata / "postmaster.pid"
    pid = postmaster_pid_in(pid_file)
    if pid is not None:
        for request, patience_s in ((signal.SIGINT, FAST_STOP_S), (signal.SIGQUIT, IMMEDIATE_STOP_S)):
            if _stops(pid, pgdata, request=request, patience_s=patience_s):
                break
        else:
            raise ConfigurationError(
                f"PostgreSQL process {pid} was left behind on {pgdata} and does not stop. "
                f"Look at what it does; end it (kill {pid}), then start again."
            )
    pid_file.unlink(missing_ok=True)


def postmaster_pid_in(pid_file: Path) -> int | None:
    """The pid in the first line of a `postmaster.pid`; None when there is no file or no number in it."""
    try:
        return int(pid_file.read_text().split("\n", 1)[0])
    except (FileNotFoundError, ValueError):
        return None


def serves(pid: int, pgdata: Path) -> bool:
    """This process is alive and is the PostgreSQL server of this data directory."""
    if sys.platform != "linux":
        said = subprocess.run(["/bin/ps", "-o", "command=", "-p", str(pid)], capture_output=True, text=True)
        return _is_server_command(said.stdout.strip().split(" "), pgdata)
    process = Path("/proc", str(pid))
    try:
        program = Path(os.readlink(process / "exe")).name
        return program.startswith("postgres") and os.readlink(process / "cwd") == os.path.realpath(pgdata)
    except PermissionError:
        # Root in a container may not look into another user's process; its command line is open to all.
        return _is_server_command((process / "cmdline").read_text(errors="replace").split("\0"), pgdata)
    except OSError:  # Gone, or dead and not yet reaped.
        return False


def _is_server_command(words: list[str], pgdata: Path) -> bool:
    return Path(words[0]).name == "postgres" and str(pgdata) in words


def _stops(pid: int, pgdata: Path, *, request: signal.Signals, patience_s: float) -> bool:
    give_up_at = time.monotonic() + patience_s
    if serves(pid, pgdata):
        os.kill(pid, request)
    while serves(pid, pgdata):
        if time.monotonic() > give_up_at:
            return False
        time.sleep(POLL_S)
    return True
