"""What goes wrong, one thing at a time, drawn from a seed and counted. Each fault ends what it began.

A fault lasts until so many questions have ended under it, whatever their outcome, or until its time is up.
"""

from __future__ import annotations

import asyncio
import signal
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from random import Random
from uuid import UUID

import psycopg

from simulation.cluster.disk import SmallDisk
from simulation.cluster.history import History, Outcome
from simulation.cluster.house import Engine, House, until
from simulation.cluster.proxy import BOTH, Proxy, Way

BACK_S_MAX = 60.0
CONNECTIONS_TAKEN_MAX = 100
# An engine whose every question to the database takes this long is often in the middle of something.
SLOW_S = 0.1
CATCH_S_MAX = 10.0
SURELY_ITS_OWN_S = 0.5

Key = tuple[str, str, UUID | None]


@dataclass(frozen=True, slots=True)
class Scene:
    """Where things go wrong. `ops`, `seconds`: how long a fault lasts; `stop_s`: how long a stopped engine stays so."""

    house: House
    chance: Random
    whole: History
    disk: SmallDisk | None
    ops: int
    seconds: float
    stop_s: float
    counts: Counter[str] = field(default_factory=Counter)

    async def go_on(self) -> None:
        await self.whole.until_more(self.ops, at_most_s=self.seconds)

    async def until_well(self) -> None:
        """Commands are acknowledged again."""
        assert await self.whole.until_more(5, Outcome.OK, at_most_s=BACK_S_MAX), "no command is acknowledged any more"

    def any_engine(self) -> Engine:
        return self.chance.choice(self.house.engines)

    def any_shop_wire(self) -> Proxy:
        return self.chance.choice(self.house.shops).wire


async def kill_engine(scene: Scene) -> None:
    engine = scene.any_engine()
    engine.program.kill()
    await scene.go_on()
    engine.program.start()
    await scene.house.until_ready(engine)


async def kill_database(scene: Scene) -> None:
    """Its owner starts it again at once."""
    scene.house.kill_postmaster()
    await scene.until_well()


async def stop_engine(scene: Scene) -> None:
    """For longer than any lease, if possible between the decision to write to a shop and the write itself."""
    engine = scene.any_engine()
    engine.to_database.delay_s[Way.ANSWERING] = SLOW_S
    if scene.house.shops and await _stopped_in_a_write(scene, engine):
        scene.counts["of these in the middle of a write"] += 1
    engine.program.send(signal.SIGSTOP)
    # The others have to go on without it, and take over what it held.
    before = scene.whole.counts[Outcome.OK]
    await asyncio.sleep(scene.stop_s)
    scene.counts["acknowledged while an engine stood still"] += scene.whole.counts[Outcome.OK] - before
    engine.to_database.heal()
    engine.program.send(signal.SIGCONT)
    await scene.house.until_ready(engine)


async def _stopped_in_a_write(scene: Scene, engine: Engine) -> bool:
    """True where the engine stands still and a write that it had decided has not left it."""
    deciding: set[Key] = set()

    async def is_deciding() -> bool:
        deciding.clear()
        deciding.update(await _sending(scene.house))
        return bool(deciding)

    async def is_over() -> bool:
        deciding.intersection_update(await _sending(scene.house))
        return not deciding

    loop = asyncio.get_running_loop()
    give_up_at = loop.time() + CATCH_S_MAX
    while loop.time() < give_up_at:
        if not await until(is_deciding, at_most_s=CATCH_S_MAX):
            return False
        engine.program.send(signal.SIGSTOP)
        if not await until(is_over, at_most_s=SURELY_ITS_OWN_S):
            return True
        engine.program.send(signal.SIGCONT)  # It was another's.
    return False


async def _sending(house: House) -> set[Key]:
    """The writes that are decided now, each by the lease under which it was."""
    async with house.database.transaction() as tx:
        rows = await tx.execute("select channel, channel_sku, lease from listings where phase = 'sending'")
        return {(channel, channel_sku, lease) async for channel, channel_sku, lease in rows}


async def swallow_database(scene: Scene) -> None:
    """All that goes between an engine and the database vanishes; no connection breaks."""
    engine = scene.any_engine()
    engine.to_database.swallows = BOTH
    await scene.go_on()
    engine.to_database.heal()
    await scene.until_well()


async def swallow_database_answers(scene: Scene) -> None:
    """The database does what an engine asks, and the engine does not hear of it."""
    engine = scene.any_engine()
    engine.to_database.swallows = frozenset({Way.ANSWERING})
    await scene.go_on()
    engine.to_database.heal()
    await scene.until_well()


async def cut_database(scene: Scene) -> None:
    """Answers of the database break off in the middle, again and again."""
    engine = scene.any_engine()
    for _ in range(3):
        engine.to_database.cuts_left = 2
        await scene.whole.until_more(scene.ops // 3, at_most_s=scene.seconds / 3)
    engine.to_database.heal()
    engine.to_database.cut()
    await scene.until_well()


async def take_connections(scene: Scene) -> None:
    """An engine loses its connections, and the database has none left to give."""
    engine = scene.any_engine()
    engine.to_database.refuses = True
    engine.to_database.cut()
    async with AsyncExitStack() as taken:
        for _ in range(CONNECTIONS_TAKEN_MAX):
            try:
                connection = await psycopg.AsyncConnection.connect(scene.house.postgres.dsn)
            except psycopg.OperationalError:
                break
            taken.push_async_callback(connection.close)
        engine.to_database.heal()
        await scene.go_on()
    await scene.until_well()


async def silence_shop(scene: Scene) -> None:
    """Requests reach the shop, its answers do not come back."""
    await _break_shop(scene, frozenset({Way.ANSWERING}))


async def deafen_shop(scene: Scene) -> None:
    """Requests vanish on their way to the shop."""
    await _break_shop(scene, frozenset({Way.ASKING}))


async def _break_shop(scene: Scene, ways: frozenset[Way]) -> None:
    wire = scene.any_shop_wire()
    wire.swallows = ways
    await scene.go_on()
    wire.heal()


async def cut_shop(scene: Scene) -> None:
    """Answers of the shop break off in the middle, then it takes no connections for a while."""
    wire = scene.any_shop_wire()
    wire.cuts_left = 3
    await scene.go_on()
    wire.refuses = True
    wire.cut()
    await scene.go_on()
    wire.heal()


async def silence_door(scene: Scene) -> None:
    """Clients' requests reach an engine, its answers do not come back."""
    engine = scene.any_engine()
    engine.door.swallows = frozenset({Way.ANSWERING})
    await scene.go_on()
    engine.door.heal()
    await scene.until_well()


async def fill_disk(scene: Scene) -> None:
    """The database has no room to write."""
    assert scene.disk is not None
    scene.disk.fill()
    try:
        await scene.whole.until_more(10, Outcome.UNKNOWN, at_most_s=2 * scene.seconds)
    finally:
        scene.disk.empty()
    await scene.until_well()


FAULTS: Mapping[str, Callable[[Scene], Awaitable[None]]] = {
    "engine killed": kill_engine,
    "database killed": kill_database,
    "engine stopped": stop_engine,
    "database swallowed": swallow_database,
    "database's answers swallowed": swallow_database_answers,
    "database cut": cut_database,
    "connections taken": take_connections,
    "shop's answers swallowed": silence_shop,
    "shop's requests swallowed": deafen_shop,
    "shop cut": cut_shop,
    "engine's answers swallowed": silence_door,
}
DISK_FULL = "disk full"


async def strike(scene: Scene, fault: str) -> None:
    """Let this go wrong, and end."""
    scene.counts[fault] += 1
    await (fill_disk if fault == DISK_FULL else FAULTS[fault])(scene)
