"""The engine as one process: steps, API, webhooks and pages, until it is told to stop."""

from __future__ import annotations

import asyncio
import gc
import signal
import socket
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace

import typer
import uvicorn
import uvloop
from fastapi import FastAPI

from oneshelf.app import (
    Assembled,
    assembled,
    database_dsn,
    is_database_lost,
    keyring_of,
    open_issuer,
    open_outgoing,
    open_traces,
    watched_folder,
)
from oneshelf.cli.connection import CONNECTIONS_MAX, BoundedConnection
from oneshelf.clock import SystemClock
from oneshelf.config import Settings
from oneshelf.errors import ConfigurationError, DatabaseUnavailableError, InvariantError
from oneshelf.sdk.address import is_loopback
from oneshelf.storage import access, leases, secret_keys, users
from oneshelf.storage.database import Database
from oneshelf.storage.migrate import migrate
from oneshelf.telemetry import get_logger

EXIT_BUG = 70  # EX_SOFTWARE of sysexits.h
# Answers on the wire get this long to end, event streams included; the whole stop stays under 25 s.
DRAIN_S = 8
# How often an engine looks whether the embedded database that it shares is still somebody's.
LOOK_EVERY_S = 1.0

Ready = Callable[[str], None]

log = get_logger(__name__)


def calm_collector() -> None:
    """Spare the process pauses: what is there by now is no garbage, and is not looked through again.

    A full collection of everything that is imported takes some 70 ms, in which nobody is answered.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(10_000, 20, 20)


def run_until_told(settings: Settings) -> int:
    """Run the engine until SIGTERM or SIGINT. The exit code: 0, or 70 when a step died of a bug."""
    calm_collector()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(run_engine(settings, on_ready=lambda address: log.info("engine.ready", address=address)))


async def run_engine(settings: Settings, *, on_ready: Ready) -> int:
    """Run the engine until it is told to stop; `on_ready` is called with the address once it answers.

    Raises ConfigurationError where it would be open to strangers or the port is taken, DatabaseUnavailableError
    where the process ends that had started the embedded database.
    """
    exit_code = 0
    with _listener(settings) as listener:
        try:
            await _run(settings, listener, on_ready)
        except* InvariantError as bugs:
            for bug in _leaves(bugs):
                log.critical("engine.bug", words=str(bug), exc_info=bug)
            exit_code = EXIT_BUG
    log.info("engine.stopped", exit_code=exit_code)
    return exit_code


async def _run(settings: Settings, listener: socket.socket, on_ready: Ready) -> None:
    watched = watched_folder(settings)
    async with (
        _open_alone_or_not(settings) as database,
        open_outgoing(settings) as outgoing,
        open_traces(settings) as give_traces,
        open_issuer(settings, SystemClock()) as issuer,
    ):
        await _refuse_strangers(settings, database)
        token = settings.api_token.get_secret_value()
        async with assembled(database, SystemClock(), api_token=token, public_url=settings.public_url) as engine:
            engine.supervisor.watched, engine.supervisor.outgoing = watched, outgoing
            engine.supervisor.give_traces = give_traces
            engine.application.state.engine = replace(
                engine.application.state.engine,
                outgoing=outgoing,
                issuer=issuer,
                second_factor=settings.second_factor,
                shows_tour=settings.tour,
            )
            address, link = _address(settings.host, listener), await _first_link(database)

            def on_started() -> None:
                on_ready(address)
                if link:
                    # Not to the log: it is a secret until it is used.
                    typer.echo(f"No user yet. Make the first one, an admin, within a day: {address}/set-up?link={link}")

            await _serve(engine, on_started, listener, is_lost=lambda: is_database_lost(settings, database.dsn))


async def _first_link(database: Database) -> str:
    """The secret of a link for the first user, "" where there is one. That of the last start is good no more."""
    async with database.transaction() as tx:
        return "" if await users.is_any(tx) else await users.invite_first(tx)


async def _serve(
    engine: Assembled, on_started: Callable[[], None], listener: socket.socket, *, is_lost: Callable[[], bool]
) -> None:
    server = _Server(_config(engine.application), on_started)
    with _told_to_stop(server):
        async with asyncio.TaskGroup() as group:
            steps = group.create_task(engine.supervisor.run())
            look = group.create_task(_stop_when_lost(server, is_lost))
            await server.serve(sockets=[listener])
            # What is on the wire to a channel is cut here; it is read back at the next start.
            steps.cancel()
            look.cancel()
    if is_lost():
        raise DatabaseUnavailableError(
            "the process that had started the embedded database has ended, and the database with it. Start the engine "
            "again: it starts the database itself"
        )


async def _stop_when_lost(server: uvicorn.Server, is_lost: Callable[[], bool]) -> None:
    """Ends the answering of an engine whose embedded database was another process's, and ended with that."""
    while True:
        await asyncio.sleep(LOOK_EVERY_S)
        if is_lost():
            log.error("database.lost")
            server.should_exit = True
            return


def _config(application: FastAPI) -> uvicorn.Config:
    return uvicorn.Config(
        application,
        http=BoundedConnection,
        ws="none",
        loop="uvloop",
        log_config=None,
        access_log=False,
        server_header=False,
        # The last one makes room for itself; only where all of them are being answered it is told 503.
        limit_concurrency=CONNECTIONS_MAX + 1,
        timeout_keep_alive=30,
        timeout_graceful_shutdown=DRAIN_S,
    )


@asynccontextmanager
async def _open_alone_or_not(settings: Settings) -> AsyncIterator[Database]:
    """The migrated database. Work that a killed engine had claimed is free again if no other engine runs."""
    with database_dsn(settings) as dsn:
        for name in migrate(dsn):
            log.info("migration.applied", name=name)
        async with (
            leases.only_engine(dsn) as is_alone,
            Database.open(dsn, application_name=leases.ENGINE, keyring=keyring_of(settings)) as database,
        ):
            if is_alone and (freed := await leases.clear(database)):
                log.info("leases.freed", count=freed)
            # Where a key is missing the engine says so now, and not by turning every webhook away.
            await secret_keys.check(database)
            if count := await secret_keys.seal_anew(database):
                log.info("secrets.sealed", count=count)
            yield database


class _Server(uvicorn.Server):
    """A server that leaves the signals to the engine and says when it answers."""

    def __init__(self, config: uvicorn.Config, on_started: Callable[[], None]) -> None:
        super().__init__(config)
        self._on_started = on_started

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            self._on_started()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


@contextmanager
def _told_to_stop(server: uvicorn.Server) -> Iterator[None]:
    loop = asyncio.get_running_loop()

    def stop() -> None:
        server.should_exit = True

    for told in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(told, stop)
    try:
        yield
    finally:
        for told in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(told)


@contextmanager
def _listener(settings: Settings) -> Iterator[socket.socket]:
    """The bound socket. Taken before anything is started: who comes early waits instead of being turned away."""
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    try:
        # What is no host name at all would leave a socket open behind it.
        settings.host.encode("idna")
        listener = socket.create_server((settings.host, settings.port), family=family, backlog=2048)
    except (OSError, UnicodeError) as failure:
        why = getattr(failure, "strerror", None) or "this is no address"
        raise ConfigurationError(
            f"cannot listen on {settings.host!r} port {settings.port}: {why}. "
            "Choose another with --host and --port, or ONESHELF_HOST and ONESHELF_PORT"
        ) from failure
    with listener:
        yield listener


async def _refuse_strangers(settings: Settings, database: Database) -> None:
    """Raise ConfigurationError where everybody who reaches this machine would be let in."""
    if is_loopback(settings.host) or settings.api_token.get_secret_value():
        return
    async with database.transaction() as tx:
        if await access.is_anybody_known(tx):
            return
    raise ConfigurationError(
        f"listening on {settings.host} would open the engine to everyone who can reach this machine. Make a token "
        "first (oneshelf token add NAME --scope admin), set ONESHELF_API_TOKEN to a long random text, or listen on "
        "127.0.0.1"
    )


def _address(host: str, listener: socket.socket) -> str:
    port = listener.getsockname()[1]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _leaves(group: BaseExceptionGroup[InvariantError]) -> Iterator[BaseException]:
    for bug in group.exceptions:
        if isinstance(bug, BaseExceptionGroup):
            yield from _leaves(bug)
        else:
            yield bug
