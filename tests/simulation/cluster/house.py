"""Engines on one PostgreSQL, two simulated shops, clients: all of them processes, with wires between that can fail."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from time import monotonic

import httpx2

from oneshelf.clock import SystemClock
from oneshelf.demo.shops import SimulatedShop
from oneshelf.errors import DatabaseUnavailableError
from oneshelf.storage.database import Database
from oneshelf.storage.embedded import EmbeddedPostgres
from oneshelf.storage.migrate import migrate
from ports import free_ports
from simulation.cluster import programs, written
from simulation.cluster.programs import Program
from simulation.cluster.proxy import HOST, Connect, Proxy
from simulation.cluster.written import WireLog

KINDS = ("shopify", "amazon")
SPEED = 120.0
READY_S_MAX = 120.0
POLL_S = 0.03
EXIT_GOOD = 0
ONLOOKER_CONNECTIONS_MAX = 3
# Three engines hold 51 connections at most; this leaves some for whoever looks on.
POSTGRES_SETTINGS = {"max_connections": "70", "max_wal_size": "64MB", "min_wal_size": "32MB"}


@dataclass(frozen=True, slots=True)
class Engine:
    """One engine with its wires: `door` is how clients reach it, `to_database` how it reaches PostgreSQL."""

    name: str
    program: Program
    port: int
    door: Proxy
    to_database: Proxy


@dataclass(frozen=True, slots=True)
class Shop:
    """One simulated shop. The engines reach it through `wire`; `direct` does not."""

    kind: str
    program: Program
    wire: Proxy
    log: WireLog
    by_wire: SimulatedShop
    direct: SimulatedShop


@dataclass(frozen=True, slots=True)
class House:
    """All of it, running. `database` and `client` are the onlooker's own, and never fail on purpose."""

    directory: Path
    postgres: EmbeddedPostgres
    database: Database
    client: httpx2.AsyncClient
    engines: Sequence[Engine]
    shops: Sequence[Shop]
    clock: SystemClock
    lease_s: float

    def kill_postmaster(self) -> None:
        os.kill(self.postgres.postmaster_pid, signal.SIGKILL)

    @property
    def wires(self) -> list[Proxy]:
        doors = [proxy for engine in self.engines for proxy in (engine.door, engine.to_database)]
        return [*doors, *(shop.wire for shop in self.shops)]

    async def heal(self) -> None:
        """Nothing is wrong any more: every wire passes, every engine runs and says that it is ready."""
        for wire in self.wires:
            wire.heal()
        for engine in self.engines:
            engine.program.send(signal.SIGCONT)
            if engine.program.exit_code is not None:
                engine.program.start()
        for engine in self.engines:
            await self.until_ready(engine)
        await self.until_seen()

    async def until_seen(self) -> None:
        """The onlooker's own connections, of which a killed database leaves dead ones, are good again."""

        async def is_seen() -> bool:
            try:
                for _ in range(ONLOOKER_CONNECTIONS_MAX):  # Each in turn.
                    async with self.database.transaction() as tx:
                        await tx.execute("select 1")
            except DatabaseUnavailableError:
                return False
            return True

        assert await until(is_seen, at_most_s=READY_S_MAX), "the database does not come back"

    async def until_ready(self, engine: Engine) -> None:
        async def is_ready() -> bool:
            try:
                said = await self.client.get(f"http://{HOST}:{engine.port}/readyz")
            except httpx2.TransportError:
                ended = engine.program.exit_code
                assert ended is None, f"{engine.name} ended with {ended}:\n{engine.program.last_words()}"
                return False
            return said.status_code == 200

        assert await until(is_ready, at_most_s=READY_S_MAX), f"{engine.name}:\n{engine.program.last_words()}"

    async def stop_engines(self) -> list[str]:
        """Tell all engines to end. Complaints of those that did not end well."""
        for engine in self.engines:
            engine.program.tell_to_stop()
        # Not here: while they end, their wires still run in this thread.
        codes = {engine.name: await asyncio.to_thread(engine.program.stopped) for engine in self.engines}
        words = {engine.name: engine.program.last_words() for engine in self.engines}
        return [f"{name} ended with {code}:\n{words[name]}" for name, code in codes.items() if code != EXIT_GOOD]


async def until(is_so: Callable[[], Awaitable[bool]], *, at_most_s: float) -> bool:
    """Ask again and again; False when it took too long."""
    give_up_at = monotonic() + at_most_s
    while not await is_so():
        if monotonic() > give_up_at:
            return False
        await asyncio.sleep(POLL_S)
    return True


@asynccontextmanager
async def open_house(
    directory: Path, *, postgres_directory: Path, engines: int, seed: int, lease_s: float, has_shops: bool = True
) -> AsyncIterator[House]:
    """Start everything; the engines are ready when the block begins, and nothing is left when it ends."""
    clock = SystemClock()
    async with AsyncExitStack() as stack:
        client = await stack.enter_async_context(httpx2.AsyncClient(timeout=10.0, trust_env=False))
        kinds = KINDS if has_shops else ()
        ports = free_ports(len(kinds) + engines)
        shops = [await _opened_shop(stack, kind, ports.pop(), directory, seed, client, clock) for kind in kinds]
        postgres = EmbeddedPostgres(postgres_directory / "pg", settings=POSTGRES_SETTINGS)
        stack.enter_context(postgres)
        migrate(postgres.dsn)
        database = await stack.enter_async_context(
            Database.open(postgres.dsn, connections_max=ONLOOKER_CONNECTIONS_MAX)
        )
        async with database.transaction() as tx:
            await tx.execute(written.NOTE_LEASES)
        socket = (postgres.directory / "socket").readlink()
        opened = [
            await _opened_engine(stack, number, ports.pop(), directory, socket, lease_s) for number in range(engines)
        ]
        house = House(directory, postgres, database, client, opened, shops, clock, lease_s)
        for engine in house.engines:
            engine.program.start()
        for engine in house.engines:
            await house.until_ready(engine)
        yield house


async def _opened_engine(
    stack: AsyncExitStack, number: int, port: int, directory: Path, socket: Path, lease_s: float
) -> Engine:
    door = Proxy(_to_port(port))
    to_database = Proxy(lambda: asyncio.open_unix_connection(str(socket / ".s.PGSQL.5432")))
    for proxy in (door, to_database):
        await stack.enter_async_context(proxy.serving())
    dsn = f"postgresql://oneshelf@{HOST}:{to_database.port}/oneshelf?sslmode=disable&gssencmode=disable"
    name = f"engine {number + 1}"
    program = programs.engine(port=port, dsn=dsn, lease_s=lease_s, log_file=directory / f"{name}.log")
    stack.callback(program.kill)
    return Engine(name, program, port, door, to_database)


async def _opened_shop(
    stack: AsyncExitStack,
    kind: str,
    port: int,
    directory: Path,
    seed: int,
    client: httpx2.AsyncClient,
    clock: SystemClock,
) -> Shop:
    program = programs.simulator(kind, port=port, seed=seed, speed=SPEED, log_file=directory / f"{kind}.log")
    log = WireLog(kind, clock.now)
    wire = Proxy(_to_port(port), tap=log.hear)
    await stack.enter_async_context(wire.serving())
    program.start()
    stack.callback(program.kill)
    by_wire, direct = (SimulatedShop(kind, number, client, clock) for number in (wire.port, port))
    return Shop(kind, program, wire, log, by_wire, direct)


def _to_port(port: int) -> Connect:
    return lambda: asyncio.open_connection(HOST, port)
