"""What goes wrong, one thing at a time, drawn from a seed and counted. Each fault ends what it began.

A fault lasts until so many questions have ended under it, whatever their outcome, or until its time is up; on a wire,
in any case until it has struck there: how long that takes is up to the machine.
"""

from __future__ import annotations

import asyncio
import signal
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from random import Random
from time import monotonic
from uuid import UUID

import psycopg

from simulation.cluster.disk import SmallDisk
from simulation.cluster.history import History, Outcome
from simulation.cluster.house import Engine, House, until
from simulation.cluster.proxy import BOTH, Proxy, Way

BACK_S_MAX = 120.0
STRUCK_S_MAX = 60.0
CONNECTIONS_TAKEN_MAX = 100
# An engine whose every question to the database takes this long is often in the middle of something.
SLOW_S = 0.1
CATCH_S_MAX = 40.0
TAKE_OVER_S_MAX = 120.0

IN_A_WRITE = "of these in the middle of a write"
MEANWHILE = "commands acknowledged while an engine stood still"

Key = tuple[str, str, UUID | None]
Say = Callable[[str], None]


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
    say: Say
    starting: list[Engine] = field(default_factory=list)
    began_s: float = field(default_factory=monotonic)
    counts: Counter[str] = field(default_factory=Counter)

    def tell(self, words: str) -> None:
        ended = ", ".join(f"{self.whole.counts[outcome]} {outcome}" for outcome in Outcome)
        self.say(f"    {monotonic() - self.began_s:6.1f} s  {words}; so far {ended}")

    async def go_on(self) -> None:
        await self.whole.until_more(self.ops, at_most_s=self.seconds)

    async def until_struck(self, wire: Proxy, hit: str) -> None:
        """The fault lasts its time, and has struck on this wire."""
        before = wire.hits[hit]
        await self.go_on()

        async def has_struck() -> bool:
            return wire.hits[hit] > before

        assert await until(has_struck, at_most_s=STRUCK_S_MAX), f"nothing comes along a wire on which it is to be {hit}"

    async def until_well(self) -> None:
        """Commands are acknowledged again."""
        assert await self.whole.until_more(5, Outcome.OK, at_most_s=BACK_S_MAX), "no command is acknowledged any more"

    async def until_all_run(self) -> None:
        """Every engine that was started again is ready."""
        while self.starting:
            await self.house.until_ready(self.starting[0])
            del self.starting[0]

    def any_engine(self) -> Engine:
        """One that runs."""
        return self.chance.choice([engine for engine in self.house.engines if engine not in self.starting])

    def any_shop_wire(self) -> Proxy:
        return self.chance.choice(self.house.shops).wire


async def kill_engine(scene: Scene) -> None:
    """It is started again, and comes up while other things go wrong."""
    engine = scene.any_engine()
    engine.program.kill()
    await scene.go_on()
    engine.program.start()
    scene.starting.append(engine)


async def kill_database(scene: Scene) -> None:
    """Its owner starts it again at once."""
    scene.house.kill_postmaster()
    await scene.until_well()
    await scene.house.until_seen()


async def stop_engine(scene: Scene) -> None:
    """For longer than any lease, if possible between the decision to write to a shop and the write itself."""
    engine = scene.any_engine()
    caught: set[Key] = set()
    if scene.house.shops:
        engine.to_database.delay_s[Way.ANSWERING] = SLOW_S
        caught = await _stopped_in_a_write(scene, engine)
        scene.counts[IN_A_WRITE] += bool(caught)
    engine.program.send(signal.SIGSTOP)
    before = scene.whole.counts[Outcome.OK]
    await asyncio.sleep(scene.stop_s)
    # The others go on without it, and take over what it held.
    assert await scene.whole.until_more(1, Outcome.OK, at_most_s=BACK_S_MAX), "nothing is acknowledged without it"
    if caught:
        assert await until(lambda: _is_over(scene.house, caught), at_most_s=TAKE_OVER_S_MAX), "nobody takes over"
    scene.counts[MEANWHILE] += scene.whole.counts[Outcome.OK] - before
    engine.to_database.heal()
    engine.program.send(signal.SIGCONT)
    await scene.house.until_ready(engine)


async def _stopped_in_a_write(scene: Scene, engine: Engine) -> set[Key]:
    """The engine stands still, and these writes that it had decided have not left it; none where it was not caught.

    The others stand still while it is watched, so that what is decided is its own.
    """
    others = [other for other in scene.house.engines if other is not engine]
    for other in others:
        other.program.send(signal.SIGSTOP)
    not_its_own = await _sending(scene.house)
    deciding: set[Key] = set()

    async def is_deciding() -> bool:
        deciding.update(await _sending(scene.house) - not_its_own)
        return bool(deciding)

    give_up_s = monotonic() + CATCH_S_MAX
    try:
        while monotonic() < give_up_s and await until(is_deciding, at_most_s=CATCH_S_MAX):
            engine.program.send(signal.SIGSTOP)
            if not await _is_over(scene.house, deciding):
                return deciding
            engine.program.send(signal.SIGCONT)  # Too late, it had left.
        return set()
    finally:
        for other in others:
            other.program.send(signal.SIGCONT)


async def _is_over(house: House, decided: set[Key]) -> bool:
    """Forget those of them that were written, given up or taken over. Whether none is left."""
    decided &= await _sending(house)
    return not decided


async def _sending(house: House) -> set[Key]:
    """The writes that are decided now, each by the lease under which it was."""
    async with house.database.transaction() as tx:
        rows = await tx.execute("select channel, channel_sku, lease from listings where phase = 'sending'")
        return {(channel, channel_sku, lease) async for channel, channel_sku, lease in rows}


async def swallow_database(scene: Scene) -> None:
    """All that goes between an engine and the database vanishes; no connection breaks."""
    engine = scene.any_engine()
    engine.to_database.swallows = BOTH
    await scene.until_struck(engine.to_database, "swallowed")
    engine.to_database.heal()
    await scene.until_well()


async def swallow_database_answers(scene: Scene) -> None:
    """The database does what an engine asks, and the engine does not hear of it."""
    engine = scene.any_engine()
    engine.to_database.swallows = frozenset({Way.ANSWERING})
    await scene.until_struck(engine.to_database, "swallowed")
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
    await scene.until_struck(wire, "swallowed")
    wire.heal()


async def cut_shop(scene: Scene) -> None:
    """Answers of the shop break off in the middle, then it takes no connections for a while."""
    wire = scene.any_shop_wire()
    wire.cuts_left = 3
    await scene.until_struck(wire, "cut in the middle")
    wire.refuses = True
    wire.cut()
    await scene.until_struck(wire, "refused")
    wire.heal()


async def silence_door(scene: Scene) -> None:
    """Clients' requests reach an engine, its answers do not come back."""
    engine = scene.any_engine()
    engine.door.swallows = frozenset({Way.ANSWERING})
    await scene.until_struck(engine.door, "swallowed")
    # Who asks there gives up after a while, and does not know what came of it.
    await scene.whole.until_more(1, Outcome.UNKNOWN, at_most_s=STRUCK_S_MAX)
    engine.door.heal()
    await scene.until_well()


async def fill_disk(scene: Scene) -> None:
    """The database has no room to write."""
    assert scene.disk is not None
    scene.disk.fill()
    try:
        assert await scene.whole.until_more(1, Outcome.UNKNOWN, at_most_s=STRUCK_S_MAX), "the disk is never full"
        await scene.whole.until_more(9, Outcome.UNKNOWN, at_most_s=2 * scene.seconds)
    finally:
        scene.disk.empty()
    await scene.until_well()
    await scene.house.until_seen()


FAULTS: Mapping[str, Callable[[Scene], Awaitable[None]]] = {
    "engine killed": kill_engine,
    "shop's answers swallowed": silence_shop,
    "shop's requests swallowed": deafen_shop,
    "shop cut": cut_shop,
    "engine's answers swallowed": silence_door,
    "database swallowed": swallow_database,
    "database's answers swallowed": swallow_database_answers,
    "database cut": cut_database,
    "engine stopped": stop_engine,
    "database killed": kill_database,
    "connections taken": take_connections,
}
DISK_FULL = "disk full"
# An engine on its way up ends where it does not reach its database.
NEED_ALL = frozenset({"engine killed", "engine stopped", "database killed", "connections taken", DISK_FULL})


async def strike(scene: Scene, fault: str) -> None:
    """Let this go wrong, and end."""
    if fault in NEED_ALL:
        await scene.until_all_run()
    scene.counts[fault] += 1
    scene.tell(fault)
    await (fill_disk if fault == DISK_FULL else FAULTS[fault])(scene)
