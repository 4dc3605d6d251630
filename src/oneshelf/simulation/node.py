"""One engine of a run: the application as it is in production, on a connection, a client and a clock of its own."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress

import httpx2

from oneshelf.app import Assembled, assembled
from oneshelf.errors import DatabaseUnavailableError, InvariantError
from oneshelf.simulation.database import SimulatedDatabase
from oneshelf.simulation.faults import Faults
from oneshelf.simulation.kernel import Kernel, SimulatedClock
from oneshelf.simulation.network import Network
from oneshelf.simulation.pool import SteppedPool
from oneshelf.storage import leases
from oneshelf.storage.database import Database

# Idle steps look this many times more seldom than in production: they cost real time here.
PATIENCE = 40.0
PAUSE_S = (30.0, 90.0)
CLOCK_S = 300.0


class Node:
    """`start` brings it up; `crash` is `kill -9`: nothing that it still does has any effect outside."""

    def __init__(
        self, name: str, kernel: Kernel, database: SimulatedDatabase, network: Network, faults: Faults
    ) -> None:
        self.name = name
        self.kernel = kernel
        self.database = database
        self.faults = faults
        self.network = network
        # How many times longer than usual idle steps wait; see `Supervisor`.
        self.patience = PATIENCE
        # Where channels reach it, if it is to see to that itself; see `Supervisor`.
        self.public_url = ""
        self.crash_count = 0
        self.crash_at: int | None = None
        self.point_count = 0
        # How much had been written at each point where it may die, if somebody wants to know.
        self.points: list[int] | None = None
        self.engine: Assembled | None = None
        # Told before each of its steps, where a scenario waits for one of them.
        self.before_step: Callable[[str], None] = lambda _what: None
        # Requests from outside that it is answering.
        self.answering: dict[asyncio.Task[httpx2.Response], None] = {}
        # What ended it that is no fault of the world: a bug.
        self.bug = ""
        self._paused_until_s = 0.0
        self._pool: SteppedPool | None = None
        self._task: asyncio.Task[None] | None = None

    @property
    def is_up(self) -> bool:
        return self.engine is not None

    @property
    def is_running(self) -> bool:
        """Whether it is up or coming up."""
        return self._task is not None and not self._task.done()

    @property
    def failing(self) -> Sequence[str]:
        """Its steps that ended with what nobody expected, and have not succeeded since."""
        return sorted(self.engine.supervisor.pulse.failing) if self.engine else ()

    def start(self, *, is_alone: bool) -> None:
        """Begin to run. Leases of the dead are free at once if no other node runs."""
        ahead_s = self.kernel.random.uniform(-CLOCK_S, CLOCK_S) if self.faults.strikes("clock") else 0.0
        self._task = self.kernel.loop.create_task(self._run(self.connect(), ahead_s, is_alone))
        self.kernel.note(f"{self.name} starts, {ahead_s:.0f} s ahead")

    def connect(self) -> Database:
        """The database, as this node sees it."""
        self._pool = SteppedPool(self)
        return Database(self._pool)  # type: ignore[arg-type]  # it is asked for connections, and gives them

    async def _run(self, database: Database, ahead_s: float, is_alone: bool) -> None:
        clock = SimulatedClock(self.kernel, ahead_s=ahead_s)
        client = httpx2.AsyncClient(transport=self.network.leaving(self), trust_env=False)
        try:
            if is_alone:
                await leases.clear(database)
            async with assembled(
                database, clock, client=client, patience=self.patience, public_url=self.public_url
            ) as engine:
                self.engine = engine
                await engine.supervisor.run()
        except* DatabaseUnavailableError as failure:
            # What `oneshelf serve` ends with where the database is away at its start.
            self.kernel.note(f"{self.name} gives up: {failure.exceptions[0]}")
        except* InvariantError as bugs:
            self.bug = str(bugs.exceptions[0])
        finally:
            self.engine = None
            # Whatever ended it, its sessions end with it.
            if self._pool is not None:
                self._pool.abandon()

    def stand_still(self, seconds: float) -> None:
        """Nothing of it goes on for so long, and then everything does."""
        self._paused_until_s = self.kernel.now_s + seconds
        self.kernel.note(f"{self.name} stands still")

    async def step(self, what: str) -> None:
        """Before anything that is seen outside: others go first; the node may die here, or stand still."""
        self.raise_if_dead()
        await self.kernel.step()
        self.raise_if_dead()
        self.before_step(what)
        self.raise_if_dead()
        # Between the last look at its lease and the wire no engine can notice that it stood still.
        if what == "database" and self.faults.strikes("pause"):
            self.stand_still(self.kernel.random.uniform(*PAUSE_S))
        while self.kernel.now_s < self._paused_until_s:
            await asyncio.sleep(self._paused_until_s - self.kernel.now_s)
            self.raise_if_dead()
        self.maybe_crash(f"before the {what}")

    def maybe_crash(self, where: str) -> None:
        """A point at which the node may die."""
        self.point_count += 1
        if self.points is not None:
            self.points.append(self.database.written())
        if self.point_count == self.crash_at or self.faults.strikes("crash"):
            self.kernel.note(f"{self.name} dies {where}")
            self.crash()
            raise asyncio.CancelledError

    def crash(self) -> None:
        """Die. What was open in the database is rolled back; what is on the wire may arrive."""
        if self._pool is None:
            return
        self.crash_count += 1
        pool, self._pool, self.engine = self._pool, None, None
        if self._task is not None:
            self._task.cancel()
        for answer in self.answering:
            answer.cancel()
        pool.abandon()

    def raise_if_dead(self) -> None:
        if self._pool is None:
            raise asyncio.CancelledError

    async def stop(self) -> None:
        """End this node for good."""
        self.crash()
        if self._task is not None:
            with suppress(asyncio.CancelledError, Exception):
                await self._task


def turning_points(written: Sequence[int]) -> list[int]:
    """The points just before and just after something was written; they are counted from 1."""
    found = set()
    for number in range(1, len(written)):
        if written[number] != written[number - 1]:
            found |= {number, number + 1}
    return sorted(found)
