"""One simulated channel as a process."""

from __future__ import annotations

import asyncio
import socket

import msgspec
import typer
import uvicorn
import uvloop

from oneshelf.cli.common import typed
from oneshelf.clock import SystemClock
from oneshelf.errors import ConfigurationError
from oneshelf.sdk.kinds import kind_named, load_kinds
from oneshelf.sdk.simulator import Simulator

HOST = "127.0.0.1"


def run_simulator(kind: str, *, port: int, seed: int, speed: float, faults: str) -> None:
    """Serve until SIGINT or SIGTERM. Raises ConfigurationError for an unknown kind, a taken port, wrong faults."""
    simulator = kind_named(load_kinds(), kind).simulator(seed=seed, speed=speed, clock=SystemClock())
    try:
        simulator.switches.set(msgspec.json.decode(typed(faults, what="--faults"), type=dict[str, object]))
    except msgspec.DecodeError as problem:
        raise ConfigurationError(f"--faults is no JSON object: {problem}") from problem
    try:
        listener = socket.create_server((HOST, port), backlog=1024)
    except OSError as failure:
        raise ConfigurationError(f"cannot listen on port {port}: {failure.strerror}. Choose another") from failure
    typer.echo(
        f"{kind} simulator on http://{HOST}:{listener.getsockname()[1]}, seed {seed}, speed {speed:g}; "
        "what it is called: GET /_sim/health"
    )
    with listener, asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_serve(simulator, listener))


async def _serve(simulator: Simulator, listener: socket.socket) -> None:
    config = uvicorn.Config(
        simulator.app(),
        http="httptools",
        loop="uvloop",
        log_level="critical",
        access_log=False,
        lifespan="off",
        timeout_graceful_shutdown=1,
    )
    async with asyncio.TaskGroup() as group:
        time_passes = group.create_task(simulator.run())
        await uvicorn.Server(config).serve(sockets=[listener])
        time_passes.cancel()
