"""Which architecture the shop has on a day, and how it is switched while everybody sells and works on.

A channel that rules is one that a merchant counts at: what is typed there is true, and the ledger has to follow.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from random import Random

from oneshelf.domain.architecture import LIVE, Architecture, Wish
from oneshelf.flow.entrust import add_source, arrange
from oneshelf.simulation.faults import Faults
from oneshelf.simulation.peers import ERP, WAREHOUSE
from oneshelf.simulation.typed import Typed
from oneshelf.storage import catalog
from oneshelf.storage.database import Database

IMS_DAY, HUB_DAY, SWITCHED_DAY, MIDDLEWARE_DAY = "ims", "hub", "switched", "middleware"
SHAPES = (IMS_DAY, HUB_DAY, SWITCHED_DAY, MIDDLEWARE_DAY)
# Of the days of which nobody has said how their SKUs are shared, that have the channel, and no allocation plan.
HUB_SHARE, SWITCHED_SHARE = 0.25, 0.25
# The one that is told when a figure is typed, and compares what is written.
HUB = "shopify"
SWITCH_S = 20.0
SWITCHES = (1, 4)
# Of the switches those to an engine that only watches, for so long.
WATCH_SHARE = 0.3
WATCHED_S = (1.0, 10.0)


@dataclass(slots=True)
class Shape:
    """`is_hub`: a channel rules now. `is_switched`: that changes during the day. `is_middleware`: peers do, by rank.

    `typed`: what merchants have put there, or taken away, by what they typed while the channel ruled.
    """

    is_hub: bool = False
    is_switched: bool = False
    is_middleware: bool = False
    typed: Typed = field(default_factory=Typed)

    @property
    def is_ordinary(self) -> bool:
        """Whether the engine rules over what listings show, all day."""
        return not (self.is_hub or self.is_switched)

    @property
    def wish(self) -> Wish:
        """What the engine is asked for."""
        if self.is_middleware:
            return Wish(architecture=Architecture.MIDDLEWARE, ranks=(WAREHOUSE, ERP))
        return Wish(architecture=Architecture.HUB, leader=HUB) if self.is_hub else Wish(architecture=Architecture.IMS)


def shape_of(name: str) -> Shape:
    """How a day of this shape begins."""
    return Shape(is_hub=name == HUB_DAY, is_switched=name == SWITCHED_DAY, is_middleware=name == MIDDLEWARE_DAY)


def drawn_shape(seed: int) -> str:
    """What the day of this seed has, where it may have any."""
    chance = Random(f"{seed}:shape").random()  # noqa: S311  # repeatable, not a secret
    if chance < HUB_SHARE:
        return HUB_DAY
    return SWITCHED_DAY if chance < HUB_SHARE + SWITCHED_SHARE else IMS_DAY


async def take(database: Database, shape: Shape) -> None:
    """Have the shop this shape."""
    for peer in (WAREHOUSE, ERP) if shape.is_middleware else ():
        await add_source(database, peer, title=peer, error_s=5, actor="world")
    await arrange(database, shape.wish, actor="world", reason="")


async def switch(database: Database, shape: Shape, faults: Faults, seed: int) -> None:
    """Switch a few times: to a hub and back, and to an engine that only watches in between."""
    random = Random(f"{seed}:switches")  # noqa: S311  # as above
    for _ in range(random.randint(*SWITCHES)):
        await asyncio.sleep(random.expovariate(1 / SWITCH_S))
        if random.random() < WATCH_SHARE:
            await arrange(database, Wish(architecture=Architecture.NONE), actor="world", reason="")
            faults.saw("the engine was told to watch only")
            await asyncio.sleep(random.uniform(*WATCHED_S))
        shape.is_hub = not shape.is_hub
        await take(database, shape)
        await go_live(database)
        faults.saw(f"the architecture became {shape.wish.architecture.value}")


async def go_live(database: Database) -> None:
    """Whoever is shown what would be written agrees."""
    async with database.transaction() as tx:
        for row in await catalog.channels(tx):
            if row.mode != LIVE:
                await catalog.set_mode(tx, row.channel, LIVE)
