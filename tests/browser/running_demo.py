"""A demo as somebody starts it: its own processes and database, three shops that sell; read and turned from outside."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx2
import psycopg

from oneshelf.demo.children import HOST, Child, any_free_port
from oneshelf.storage.embedded import running_dsn

START_S_MAX, WAIT_S_MAX, END_S_MAX = 240.0, 120.0, 60.0
LOOK_S = 0.1
SAID = re.compile(r"dashboard: (http://\S+)")


@dataclass(frozen=True)
class RunningDemo:
    """A demo whose dashboard answers. `directory`: what it keeps; `dsn`: its database; `client`: asks its engine."""

    directory: Path
    dsn: str
    client: httpx2.Client

    @property
    def address(self) -> str:
        return str(self.client.base_url).rstrip("/")

    def read(self, *statements: str, **named: object) -> list[list[Any]]:
        """The first column of what each of these answers, all at one instant."""
        with psycopg.connect(self.dsn) as connection:
            connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
            return [[_plain(row[0]) for row in connection.execute(statement, named)] for statement in statements]

    def one(self, statement: str, **named: object) -> Any:
        """The one value that this answers."""
        [[value]] = self.read(statement, **named)
        return value

    def ask(self, method: str, path: str, **sent: Any) -> Any:
        """What the engine answers to something that it does."""
        answer = self.client.request(method, path, **sent)
        assert answer.is_success, answer.text
        return answer.json()

    def turn(self, channel: str, switch: str, **told: object) -> Any:
        """Turn a switch of the simulated shop that is connected as this channel."""
        shop = self.one("select settings->>'base_url' from channels where channel = %(channel)s", channel=channel)
        return self.tell(shop, switch, **told)

    def tell(self, shop: str, switch: str, **told: object) -> Any:
        """Turn a switch of the simulated shop at this address. One that is just starting is waited for."""
        give_up_at = time.monotonic() + WAIT_S_MAX
        while True:
            try:
                answer = self.client.post(f"{shop}/_sim/{switch}", json=told)
            except httpx2.ConnectError:
                assert time.monotonic() < give_up_at, f"no shop at {shop}"
                time.sleep(LOOK_S)
                continue
            assert answer.is_success, answer.text
            return answer.json()["result"]


@contextmanager
def running_demo(directory: Path, *options: str) -> Iterator[RunningDemo]:
    """`oneshelf demo` until the end of the block, then ended as by Ctrl-C, twice."""
    command = [sys.executable, "-m", "oneshelf.cli", "demo", "--quiet", "--port", str(any_free_port())]
    told = {name: value for name, value in os.environ.items() if not name.startswith("ONESHELF_")}
    log = directory / "said.txt"  # It removes the logs of an earlier run.
    with log.open("wb") as said:
        arguments = [*command, "--data-dir", str(directory), *options]
        process = subprocess.Popen(arguments, env=told, stdout=said, stderr=subprocess.STDOUT)
    try:
        address = _address(process, log)
        dsn = running_dsn(directory / "postgres")
        assert dsn is not None
        with httpx2.Client(base_url=address, timeout=60.0, trust_env=False) as client:
            yield RunningDemo(directory, dsn, client)
    finally:
        process.send_signal(signal.SIGINT)
        process.send_signal(signal.SIGTERM)
        process.wait(END_S_MAX)
        print(log.read_text(errors="replace"))  # shown when a test fails


@contextmanager
def one_more_shop(directory: Path) -> Iterator[str]:
    """`oneshelf channel simulate shopify` until the end of the block: its address."""
    port = any_free_port()
    child = Child(
        ["channel", "simulate", "shopify", "--port", str(port)], environment={}, log_file=directory / "shop.txt"
    )
    child.start()
    try:
        yield f"http://{HOST}:{port}"
    finally:
        child.stop()


def _plain(value: Any) -> Any:
    """A sum as the whole number that it is."""
    return int(value) if isinstance(value, Decimal) else value


def _address(process: subprocess.Popen[bytes], log: Path) -> str:
    """Where it says that its dashboard is."""
    give_up_at = time.monotonic() + START_S_MAX
    while time.monotonic() < give_up_at and process.poll() is None:
        if found := SAID.search(log.read_text(errors="replace")):
            return found[1]
        time.sleep(LOOK_S)
    raise AssertionError("the demo does not start")


def until(demo: RunningDemo, question: str, **named: object) -> None:
    """Wait for the database of the demo to say yes."""
    give_up_at = time.monotonic() + WAIT_S_MAX
    while not demo.one(question, **named):
        assert time.monotonic() < give_up_at, f"never: {question}"
        time.sleep(LOOK_S)
