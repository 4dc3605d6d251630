"""Tells a story: lets buyers buy, writes down what each side shows at that moment, and counts from the books alone."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import httpx2
import msgspec

from oneshelf.connectors.amazon.simulator import AmazonSimulator
from oneshelf.sdk.simulator import Simulator
from oneshelf.simulation.network import ENGINE_PORT, HOST
from oneshelf.simulation.shops import SPEED
from oneshelf.simulation.world import LOCATION, World

SKU = "MUG"


@dataclass(frozen=True, slots=True)
class Row:
    """What happened after so many minutes of the channels' time, what came of it, and then: channel -> units on sale.

    `left`: units that came in and are not sold; below zero where more was sold than there is.
    """

    minute: float
    what: str
    came_of_it: str
    shown: Mapping[str, int]
    left: int


@dataclass(slots=True)
class Told:
    """A story as it went. Figures are from the simulated channels' books, `seen` is what the engine said of itself.

    `relisted`: units that were put on sale although they were sold. `violation`: what the auditor found.
    """

    rows: list[Row] = field(default_factory=list)
    oversold: int = 0
    relisted: int = 0
    turned_away: int = 0
    seen: dict[str, Any] = field(default_factory=dict)
    violation: str = ""

    def shown_at(self, minute: float) -> Mapping[str, int]:
        """Channel -> units on sale after what happened at that instant."""
        return next(row.shown for row in self.rows if row.minute == minute)


class Teller:
    """`world` has the channels; the engine is only asked over its own HTTP API."""

    def __init__(self, world: World, told: Told) -> None:
        self._world = world
        self._told = told
        self._began_s = world.kernel.now_s
        self._shown = self.shown()
        self._watching = world.kernel.loop.create_task(self._watch())

    @property
    def amazon(self) -> AmazonSimulator:
        simulator = self._world.channels["amazon"]
        assert isinstance(simulator, AmazonSimulator)
        return simulator

    @property
    def shopify(self) -> Simulator:
        return self._world.channels["shopify"]

    # The truth -------------------------------------------------------------------------------------------------

    def shown(self) -> dict[str, int]:
        """Channel -> units that a buyer can buy there now."""
        return {name: one.listings()[0].units for name, one in self._world.channels.items()}

    def left(self) -> int:
        """Units that came in and are not sold."""
        came: int = sum(one.body["units"] for one in self._world.asked.values() if one.body["type"] == "receive")
        lines = [line for name in self._world.channels for order in self._world.orders(name) for line in order.lines]
        return came - sum(line.units - line.units_cancelled for line in lines)

    async def _watch(self) -> None:
        """Count what is put on sale again although it is sold."""
        while True:
            self._look()
            await asyncio.sleep(0.25)

    def _look(self) -> None:
        shown, left = self.shown(), max(0, self.left())
        for name, units in shown.items():
            self._told.relisted += max(0, units - max(self._shown[name], left))
        self._shown = shown

    # What happens ----------------------------------------------------------------------------------------------

    async def until(self, minute: float) -> None:
        """Let time pass until then."""
        await asyncio.sleep(self._began_s + minute * 60.0 / SPEED - self._world.kernel.now_s)

    async def when(self, has_happened: Callable[[], bool]) -> None:
        """Let time pass until that."""
        while not has_happened():  # noqa: ASYNC110  # virtual time
            await asyncio.sleep(0.01)

    async def when_orders_were_polled(self, channel: str) -> None:
        """Begin anew just after the engine has asked this channel for its orders."""
        session = self._world.network.nodes[0].database.session
        asked = "select last_done_at from schedules where channel = %s and task = 'orders'"
        before = session.execute(asked, (channel,)).fetchone()
        while session.execute(asked, (channel,)).fetchone() == before:  # noqa: ASYNC110  # virtual time
            await asyncio.sleep(0.5)
        self._began_s = self._world.kernel.now_s

    def tell(self, what: str, came_of_it: str = "") -> None:
        """Write down that this happened, and what is on sale now."""
        minute = round((self._world.kernel.now_s - self._began_s) * SPEED / 60.0, 1)
        self._told.rows.append(Row(minute, what, came_of_it, self.shown(), self.left()))

    def buy(self, channel: str, units: int, *, what: str = "") -> str:
        """A buyer wants so many. Returns the order; empty: too few were on sale."""
        simulator = self._world.channels[channel]
        self._look()
        order = simulator.place([(simulator.listings()[0].channel_sku, units)])
        self._look()
        self._told.turned_away += order is None
        self.tell(what or f"a buyer wants {units} at {channel.title()}", "sold" if order else "turned away")
        return order or ""

    async def receive(self, units: int) -> None:
        """Goods come in."""
        await self._world.ask({"type": "receive", "sku": SKU, "location": LOCATION, "units": units})

    # What the engine says --------------------------------------------------------------------------------------

    async def ask_engine(self, path: str) -> Any:
        """What `GET` of its API answers."""
        request = httpx2.Request("GET", f"http://{HOST}:{ENGINE_PORT}{path}")
        response = await self._world.network.ask(self._world.network.nodes[0], request)
        assert response.status_code == 200, response.text
        return msgspec.json.decode(response.content)

    async def note(self, name: str, path: str) -> None:
        """Keep what the engine answers now."""
        self._told.seen[name] = await self.ask_engine(path)

    async def end(self) -> None:
        """The story is told."""
        self._watching.cancel()
        await asyncio.gather(self._watching, return_exceptions=True)
        self._told.oversold = max(0, -self.left())
        await self.note("drifts", "/v1/drifts")
