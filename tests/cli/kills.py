"""An engine on its own embedded database, buyers that never give up, and somebody who pulls the plug.

Every buyer has keys of its own and asks with each until it is answered. What was answered is written down; the plug
is pulled at a moment that the seed chooses: after so many more answers.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from queue import Queue
from random import Random
from typing import Any

import httpx2

from flow.shelf_world import Ledger
from oneshelf.storage.database import Database
from oneshelf.storage.embedded import running_dsn
from oneshelf.storage.orphans import postmaster_pid_in
from storage.owner import wait_for_end

BUYERS = 12
START_S_MAX = 120.0
BACK_S_MAX = 120.0
ASK_S_MAX = 60.0
WAYS = ("engine", "database", "both")


class Engine:
    """`oneshelf serve` in a directory, as often as it is started."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.address = ""
        # Where its database lies: found while that runs, as its pid file goes when it is started again.
        self._pgdata = directory
        self._process: subprocess.Popen[str] | None = None

    def start(self) -> None:
        mine = {name: value for name, value in os.environ.items() if not name.startswith("ONESHELF_")}
        self._process = subprocess.Popen(
            [sys.executable, "-m", "oneshelf.cli", "serve", "--port", "0"],
            env={**mine, "ONESHELF_DATA_DIR": str(self.directory), "ONESHELF_LOG_JSON": "true"},
            stderr=subprocess.PIPE,
            text=True,
        )
        ready: Queue[str] = Queue()
        self._listener = threading.Thread(target=_listen, args=(self._process, ready), daemon=True)
        self._listener.start()
        self.address = ready.get(timeout=START_S_MAX)
        assert self.address, f"the engine ended with {self._process.wait()} before it was ready"
        [pid_file] = self.directory.rglob("postmaster.pid")
        self._pgdata = pid_file.parent

    def kill(self) -> None:
        """With its database, which does not outlive it."""
        assert self._process is not None
        database = self._database()
        self._process.kill()
        self._process.wait()
        self._listener.join()
        if database is not None:
            wait_for_end(database, who="the database of a killed engine")

    def kill_database(self) -> None:
        pid = postmaster_pid_in(self._pgdata / "postmaster.pid")
        assert pid is not None
        os.kill(pid, signal.SIGKILL)

    def _database(self) -> int | None:
        pid = postmaster_pid_in(self._pgdata / "postmaster.pid")
        with suppress(ProcessLookupError):
            return os.pidfd_open(pid) if pid is not None else None
        return None

    @property
    def dsn(self) -> str:
        dsn = running_dsn(next(found for found in self.directory.rglob("owner.lock")).parent)
        assert dsn is not None
        return dsn


def _listen(process: subprocess.Popen[str], ready: Queue[str]) -> None:
    """Read the log to its end, so that the engine never waits for a reader."""
    assert process.stderr is not None
    with process.stderr as log:
        for line in log:
            with suppress(json.JSONDecodeError):
                said = json.loads(line)
                if said["event"] == "engine.ready":
                    ready.put(said["address"])
    ready.put("")


@dataclass
class Books:
    """What was asked, and what was answered: the other side of the ledger. key -> command, key -> (word, figures)."""

    asked: dict[str, dict[str, Any]] = field(default_factory=dict)
    answered: dict[str, tuple[str, dict[str, Any]]] = field(default_factory=dict)
    unsure: set[str] = field(default_factory=set)
    kills: Counter[str] = field(default_factory=Counter)

    def figures(self) -> dict[str, int]:
        """What must lie on the shelf when every key has been answered."""
        sums: Counter[str] = Counter()
        for key, (word, told) in self.answered.items():
            if word == "posted":
                sums["available"] += self.asked[key]["units"]
            if word == "reserved":
                sums["available"] -= told["units"]
                sums["reserved"] += told["units"]
            if word in {"released", "claimed"}:
                sums["reserved"] -= told["units"]
                sums["available" if word == "released" else "committed"] += told["units"]
        return {state: units for state, units in sums.items() if units}

    def granted(self) -> set[str]:
        return {told["reservation_id"] for word, told in self.answered.values() if word == "reserved"}


class Buyers:
    """They ask until they are told to stop; `enough` is set after so many answers."""

    def __init__(self, engine: Engine, books: Books, chance: Random, client: httpx2.AsyncClient) -> None:
        self.engine, self.books, self.chance, self.client = engine, books, chance, client
        self.enough = asyncio.Event()
        self.answers_left = 0
        self.are_done = False

    def next_command(self) -> dict[str, Any]:
        key = f"k{len(self.books.asked)}"
        kind = self.chance.random()
        held = [told["reservation_id"] for word, told in list(self.books.answered.values())[-30:] if word == "reserved"]
        shelf = {"sku": "MUG", "location": "BER"}
        if kind < 0.25:
            command = {"type": "receive", **shelf, "units": self.chance.randint(1, 3)}
        elif kind < 0.7 or not held:
            lines = [{**shelf, "units": self.chance.randint(1, 2)}]
            command = {"type": "reserve", "kind": "hold", "ttl_s": 86_400, "lines": lines}
        elif kind < 0.85:
            command = {"type": "release", "reservation_id": self.chance.choice(held)}
        else:
            order = {"channel": "counter", "order_id": key}
            command = {"type": "claim", "reservation_id": self.chance.choice(held), "order": order}
        self.books.asked[key] = {**command, "key": key}
        return self.books.asked[key]

    async def ask(self, command: dict[str, Any]) -> tuple[str, dict[str, Any], bool] | None:
        """The answer in a word, its figures, and whether it was given before; None where there was none."""
        # Two commands a request, so that no answer is a problem; the second one is always refused.
        beside = {"type": "receive", "key": "nowhere", "sku": "NOWHERE", "location": "BER", "units": 1}
        try:
            said = await self.client.post(f"{self.engine.address}/v1/commands", json={"commands": [command, beside]})
        except httpx2.TransportError:
            return None
        if said.status_code != 200:
            # 409: the engine took longer, or stopped, while it was posting; the same key tells.
            assert said.status_code in {409, 500, 503}, said.text
            return None
        answer = said.json()["answers"][0]
        return answer["outcome"], answer["figures"], answer["replayed"]

    async def insist(self, command: dict[str, Any]) -> tuple[str, dict[str, Any], bool]:
        """The answer, however often it has to be asked for: a killed database leaves dead connections."""
        async with asyncio.timeout(BACK_S_MAX):
            while True:
                answer = await self.ask(command)
                if answer is not None:
                    return answer
                await asyncio.sleep(0.05)

    async def buy(self) -> None:
        """One buyer: asks with a new key, and again with it until there is an answer or the engine is gone."""
        while not self.are_done:
            command = self.next_command()
            key = command["key"]
            self.books.unsure.add(key)
            while not self.are_done:
                answer = await self.ask(command)
                if answer is not None:
                    self.note(key, answer)
                    break

    def note(self, key: str, answer: tuple[str, dict[str, Any], bool]) -> None:
        word, figures, _ = answer
        assert self.books.answered.setdefault(key, (word, figures)) == (word, figures), key
        self.books.unsure.discard(key)
        self.answers_left -= 1
        if self.answers_left <= 0:
            self.enough.set()

    async def until(self, answers: int) -> None:
        self.answers_left = answers
        self.enough.clear()
        await asyncio.wait_for(self.enough.wait(), BACK_S_MAX)


@asynccontextmanager
async def selling(engine: Engine, books: Books, chance: Random) -> AsyncIterator[Buyers]:
    """Buyers at work; at the end they stop where they are."""
    limits = httpx2.Limits(max_connections=BUYERS + 2)
    async with httpx2.AsyncClient(trust_env=False, timeout=ASK_S_MAX, limits=limits) as client:
        buyers = Buyers(engine, books, chance, client)
        async with asyncio.TaskGroup() as group:
            for _ in range(BUYERS):
                group.create_task(buyers.buy())
            try:
                yield buyers
            finally:
                buyers.are_done = True


async def set_up(engine: Engine) -> None:
    async with Database.open(engine.dsn, connections_max=2) as database:
        await Ledger(database).name_all()


async def round_of(engine: Engine, books: Books, *, seed: int, way: str) -> None:
    """Sell, pull the plug at a random moment, start again, and look: nothing acknowledged is lost, nothing is half."""
    chance = Random(seed)
    books.kills[way] += 1
    async with selling(engine, books, chance) as buyers:
        await buyers.until(chance.randint(20, 150))
        if way == "database":
            engine.kill_database()
            # The engine starts it again by itself, while the buyers go on asking.
            await buyers.until(chance.randint(20, 60))
        if way == "both":
            engine.kill_database()
        if way != "database":
            buyers.are_done = True
            await asyncio.to_thread(engine.kill)
    if way != "database":
        await asyncio.to_thread(engine.start)
    await look(engine, books, seed)


async def look(engine: Engine, books: Books, seed: int) -> None:
    """The ledger against the books, first as it was found, then with every open question asked again."""
    unsure = set(books.unsure)
    async with Database.open(engine.dsn, connections_max=2) as database:
        ledger = Ledger(database)
        assert await ledger.broken_rules() == [], f"seed {seed}: found so"
        # One statement, one moment: what a caller gave up waiting for may still be posted while we look.
        rows_found = await ledger.rows(
            "select key, kind, figures::text as figures, (select count(*) from reservations) as held from commands"
        )
        found = {row["key"]: row["kind"] for row in rows_found}
        assert all(row["figures"] for row in rows_found), f"seed {seed}: a command without an answer"
        assert set(books.answered) <= set(found), f"seed {seed}: lost {set(books.answered) - set(found)}"
        assert set(found) - set(books.answered) - {"nowhere"} <= unsure, f"seed {seed}: nobody asked that"
        done = [kind for kind in found.values() if kind == "Reserved"]
        held = rows_found[0]["held"]
        assert held == len(done), f"seed {seed}: reservations without their command, or the other way round"
        async with httpx2.AsyncClient(trust_env=False, timeout=ASK_S_MAX) as client:
            buyers = Buyers(engine, books, Random(seed), client)
            known = Random(seed).sample(sorted(books.answered), min(60, len(books.answered)))
            for key in [*sorted(unsure), *known]:
                answer = await buyers.insist(books.asked[key])
                assert answer[2] or key not in found, f"seed {seed}: {key} done twice"
                buyers.note(key, answer)
        assert books.unsure == set()
        assert await ledger.figures() == books.figures(), f"seed {seed}"
        [ids] = await ledger.rows("select array_agg(reservation_id::text) as all_ids from reservations")
        assert set(ids["all_ids"] or []) == books.granted(), f"seed {seed}"
        assert await ledger.broken_rules() == [], f"seed {seed}: after all questions"
