"""What an act sees of the engine, and what it does to single messages and steps of it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import httpx2

from oneshelf.simulation.network import Way, written_listings
from oneshelf.simulation.node import Node
from oneshelf.simulation.world import FIRST, SHOPIFY, World

MISSED = "what a scenario waits for did not come"
TICK_S = 0.02

Asking = tuple[str, httpx2.Request]


class Scene:
    """What an act sees of the engine, and what it does to messages. A message is taken once."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.network = world.network
        self.session = world.network.nodes[0].database.session

    def shown(self, channel: str, name: str = FIRST) -> int:
        return next(one.units for one in self.world.channels[channel].listings() if one.merchant_sku == name)

    def of_listing(self, channel: str, what: str, name: str = FIRST) -> Any:
        """What the engine has written down of a listing."""
        statement = f"select {what} from listings where channel = %s and merchant_sku = %s"  # noqa: S608  # of this file
        row = self.session.execute(statement, (channel, name), prepare=True).fetchone()
        return row[0] if row else None

    async def until(self, has_come: Callable[[], bool], *, at_most_s: float = 60.0, is_needed: bool = True) -> bool:
        """Let time pass until that."""
        until_s = self.world.kernel.now_s + at_most_s
        while not has_come() and self.world.kernel.now_s < until_s:  # noqa: ASYNC110  # virtual time
            await asyncio.sleep(TICK_S)
        if not has_come() and is_needed:
            self.world.faults.saw(MISSED)
        return has_come()

    async def until_proved(self, channel: str, units: int) -> None:
        """Until the listing is proved to show that and nothing is in flight."""
        await self.until(
            lambda: (
                bool(self.of_listing(channel, f"verified_units = {units} and phase = 'idle'"))
                and self.shown(channel) == units
            )
        )

    async def until_polled(self, channel: str) -> None:
        """Until the engine has asked this channel for its orders once more, and been answered."""
        asked = "select last_done_at from schedules where channel = %s and task = 'orders'"
        before = self.session.execute(asked, (channel,)).fetchone()
        await self.until(lambda: self.session.execute(asked, (channel,)).fetchone() != before)

    def silence(self, *, deliveries: int | None = None) -> None:
        """The shop's next deliveries are lost, or all from now on."""
        lost: object = 1.0 if deliveries is None else {"next": deliveries}
        self.world.channels[SHOPIFY].switches.set({"webhook_lost": lost})

    def lead(self, is_meant: Callable[[Asking], bool], way: Way, *, then: Callable[[], None] | None = None) -> None:
        """The next request that is meant goes this way. `then`: what somebody does at the moment it leaves."""

        def way_of(channel: str, request: httpx2.Request) -> Way | None:
            if not is_meant((channel, request)):
                return None
            self.network.way_of = lambda _channel, _request: None
            if then is not None:
                then()
            return way

        self.network.way_of = way_of

    def when_arrives(self, is_meant: Callable[[Asking], bool], act: Callable[[], object]) -> None:
        """Somebody does something at the channel just before the next request that is meant is done there."""

        def arrives(channel: str, request: httpx2.Request) -> None:
            if is_meant((channel, request)):
                self.network.before_request = None
                act()

        self.network.before_request = arrives

    def before_step(self, act: Callable[[Node], bool]) -> None:
        """Do that before a step of any node, until it says that it is done."""

        def step_of(node: Node) -> Callable[[str], None]:
            def step(what: str) -> None:
                if what == "database" and act(node):
                    for one in self.network.nodes:
                        one.before_step = lambda _what: None

            return step

        for node in self.network.nodes:
            node.before_step = step_of(node)


def writes(channel: str) -> Callable[[Asking], bool]:
    return lambda asking: asking[0] == channel and bool(written_listings(asking[1]))


def reads(channel: str) -> Callable[[Asking], bool]:
    """Readings of single listings, as before a write."""
    return lambda asking: asking[0] == channel and b"nodes(ids" in asking[1].content


def polls(channel: str) -> Callable[[Asking], bool]:
    return lambda asking: (
        asking[0] == channel and (b"orders(" in asking[1].content or asking[1].url.path.startswith("/orders/"))
    )
