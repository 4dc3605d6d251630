"""A program that owns an embedded database and sells for ever: each number it prints is an acknowledged row.

python owner.py DIRECTORY SHARED_HOME [steadfast]

A steadfast one does not give up when the server goes away: it connects again and sells on.
Also how tests start such a program, and how they see what it left.
"""

from __future__ import annotations

import os
import select
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from time import monotonic, sleep

import psycopg

from oneshelf.storage.embedded import EmbeddedPostgres
from oneshelf.storage.orphans import postmaster_pid_in
from oneshelf.telemetry import configure_logging

WAIT_S = 90.0
BACK_S_MAX = 90.0


def main(directory: Path, shared_home: Path, *, is_steadfast: bool) -> None:
    configure_logging()  # To standard error: the numbers are alone on the other one.
    numbers = count(1)
    with EmbeddedPostgres(directory, shared_home=shared_home) as server:
        sys.stdout.write(f"{server.postmaster_pid}\n")
        while True:
            try:
                sell(server.dsn, numbers)
            except psycopg.OperationalError:
                if not is_steadfast:
                    raise


def sell(dsn: str, numbers: Iterator[int]) -> None:
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("create table if not exists sales (number bigint primary key)")
        for number in numbers:
            connection.execute("insert into sales values (%s)", (number,))
            sys.stdout.write(f"{number}\n")
            sys.stdout.flush()


def children(pid: int) -> set[int]:
    tasks = Path(f"/proc/{pid}/task").glob("*/children")
    return {int(child) for task in tasks for child in task.read_text().split()}


@contextmanager
def selling_owner(directory: Path, shared_home: Path, *how: str) -> Iterator[subprocess.Popen[str]]:
    # As a shell's background job, which ignores SIGINT: the server must hear it all the same.
    command = ["/bin/sh", "-c", "trap '' INT QUIT; exec \"$@\"", "sh"]
    command += [sys.executable, __file__, str(directory), str(shared_home), *how]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as owner:
        try:
            yield owner
        finally:
            owner.kill()


def pidfds(pid: int) -> list[int]:
    """Of a process that may have ended already."""
    try:
        return [os.pidfd_open(pid)]
    except ProcessLookupError:
        return []


def wait_for_end(descriptor: int, *, who: str) -> None:
    """A pidfd becomes readable when its process has ended, whoever its parent is."""
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    assert poll.poll(WAIT_S * 1000), f"{who} still runs after {WAIT_S} s"
    os.close(descriptor)


def numbers_sold(dsn: str) -> set[int]:
    with psycopg.connect(dsn) as connection:
        return {number for (number,) in connection.execute("select number from sales")}


def processes_in(directory: Path) -> list[str]:
    """Command lines of all that works in this directory or was started on it."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            command = (process / "cmdline").read_text().replace("\0", " ")
            if str(directory) in os.readlink(process / "cwd") or str(directory) in command:
                found.append(command)
        except OSError:  # Gone meanwhile, or not ours to look into.
            continue
    return found


def until(is_so: Callable[[], bool], *, what: str = "so", look_s: float = 0.005) -> None:
    give_up_at = monotonic() + BACK_S_MAX
    while not is_so():
        assert monotonic() < give_up_at, f"not {what} after {BACK_S_MAX} s"
        sleep(look_s)


def until_answered(dsn: str) -> None:
    until(lambda: answers(dsn))


def answers(dsn: str) -> bool:
    try:
        psycopg.connect(dsn).close()
    except psycopg.OperationalError:
        return False
    return True


def server_pid_after(directory: Path) -> int | None:
    return postmaster_pid_in(directory / "pg" / "postmaster.pid")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), is_steadfast=sys.argv[3:] == ["steadfast"])
