"""A simulated Square and a connector of it, in virtual time."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeVar

from oneshelf.connectors.square import CONNECTOR
from oneshelf.connectors.square.connector import SquareConnector
from oneshelf.connectors.square.simulator import SquareSimulator
from oneshelf.sdk.conformance.bench import Bench, opened
from oneshelf.sdk.virtual_time import VirtualClock, run_virtually

Result = TypeVar("Result")


def at_the_till(play: Callable[[Bench], Awaitable[Result]], *, items: int = 3, units: int = 10) -> Result:
    """What comes of a play on a bench of its own."""
    clock = VirtualClock("square:till")

    async def live() -> Result:
        async with opened(CONNECTOR, clock=clock, items=items, units=units) as bench:
            return await play(bench)

    return run_virtually(clock, live())


def square_of(bench: Bench) -> SquareSimulator:
    assert isinstance(bench.simulator, SquareSimulator)
    return bench.simulator


def connector_of(bench: Bench) -> SquareConnector:
    assert isinstance(bench.connector, SquareConnector)
    return bench.connector
