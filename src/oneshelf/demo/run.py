"""Runs the demo from the first process to the report."""

from __future__ import annotations

import asyncio
import shutil
import signal
import sys
from collections.abc import Awaitable, Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import httpx2
import msgspec

from oneshelf.clock import Clock, SystemClock
from oneshelf.demo.children import HOST, Child, any_free_port, free_port
from oneshelf.demo.day import Day, House
from oneshelf.demo.plan import Options, Plan
from oneshelf.demo.report import Report
from oneshelf.demo.scene import Scene
from oneshelf.demo.screen import Screen
from oneshelf.demo.shops import SimulatedShop
from oneshelf.storage.database import Database
from oneshelf.storage.embedded import EmbeddedPostgres, running_dsn
from oneshelf.storage.keyring import Keyring
from oneshelf.storage.migrate import migrate

EXIT_INTERRUPTED = 130
CONNECTIONS_MAX = 4


def run_demo(options: Options) -> int:
    """Run the demo. The exit code: 0, 1 when the report names a problem, 130 when it was interrupted before."""
    clock = SystemClock()
    port = free_port(options.port)
    scene = Scene(plan=Plan(options), address=f"http://{HOST}:{port}", began_at=clock.monotonic())
    try:
        with ExitStack() as stack:
            screen = stack.enter_context(Screen(scene, clock))
            report = _run(options, stack, scene, screen, clock, port)
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED
    if report is None:
        return EXIT_INTERRUPTED
    screen.end(report)
    if options.as_json:
        sys.stdout.write(msgspec.json.format(msgspec.json.encode(report.document()), indent=2).decode() + "\n")
    return report.exit_code


def _run(options: Options, stack: ExitStack, scene: Scene, screen: Screen, clock: Clock, port: int) -> Report | None:
    directory = options.directory
    stack.enter_context(_directory(directory, keeps_data=options.keeps_data))
    ports = {kind: any_free_port() for kind in options.kinds}
    for kind, shop_port in ports.items():
        arguments = ["channel", "simulate", kind, "--port", str(shop_port)]
        arguments += ["--seed", str(options.seed), "--speed", str(options.speed)]
        _started(stack, Child(arguments, environment={}, log_file=directory / f"{kind}.log"))
    # The shops start while the database does.
    server = stack.enter_context(EmbeddedPostgres(directory / "postgres"))
    migrate(server.dsn)
    key_file = directory / "secrets.key"
    settings = {
        "ONESHELF_DATABASE_URL": server.dsn,
        "ONESHELF_HOST": HOST,
        "ONESHELF_PORT": str(port),
        "ONESHELF_API_TOKEN": "",
        "ONESHELF_SECRETS_KEY": "",
        "ONESHELF_SECRETS_KEY_FILE": str(key_file),
        "ONESHELF_LOG_LEVEL": "INFO",
        "ONESHELF_TOUR": "true",
    }
    engine = _started(stack, Child(["serve"], environment=settings, log_file=directory / "engine.log"))

    async def live() -> Report | None:
        async with (
            Database.open(
                server.dsn,
                connections_max=CONNECTIONS_MAX,
                application_name="oneshelf demo",
                keyring=Keyring(file=key_file),
            ) as database,
            httpx2.AsyncClient(timeout=60.0, trust_env=False) as client,
        ):
            shops = {kind: SimulatedShop(kind, shop_port, client, clock) for kind, shop_port in ports.items()}
            day = Day(scene, screen, House(database, shops, engine, client), clock)
            return await _until_told(day.begin_to_end, day.close)

    return asyncio.run(live())


async def _until_told(work: Callable[[], Awaitable[Report | None]], close: Callable[[], None]) -> Report | None:
    """Do `work`. The first Ctrl-C (or SIGTERM) closes the shops early, the second one ends everything at once."""
    loop = asyncio.get_running_loop()
    told = 0
    task = asyncio.current_task()

    def stop() -> None:
        nonlocal told
        told += 1
        close()
        if told > 1 and task is not None:
            task.cancel()

    for each in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(each, stop)
    try:
        return await work()
    except asyncio.CancelledError:
        return None


def _started(stack: ExitStack, child: Child) -> Child:
    child.start()
    stack.callback(child.stop)
    return child


@contextmanager
def _directory(directory: Path, *, keeps_data: bool) -> Iterator[None]:
    """An empty directory for the run. Kept at the end where somebody wants to look at it."""
    _remove_database(directory)
    directory.mkdir(parents=True, exist_ok=True)
    for log in directory.glob("*.log"):
        log.unlink()
    try:
        yield
    finally:
        if not keeps_data:
            _remove_database(directory)


def _remove_database(directory: Path) -> None:
    """Remove what an earlier run left. A database that still runs is left alone: starting it will name its owner."""
    postgres = directory / "postgres"
    if running_dsn(postgres) is not None:
        return
    link = postgres / "home"
    if link.is_symlink():
        shutil.rmtree(link.resolve(), ignore_errors=True)
    shutil.rmtree(postgres, ignore_errors=True)
