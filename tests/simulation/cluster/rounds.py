"""A round: a house of its own, all workloads at once, one fault after the other; then all is healed and judged."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from random import Random
from time import monotonic

from conftest import temporary_directory
from oneshelf.flow.audit import audit
from simulation.cluster import disk, written
from simulation.cluster.bank import Bank
from simulation.cluster.history import History, Outcome
from simulation.cluster.holds import Holds
from simulation.cluster.house import House, open_house, until
from simulation.cluster.last_unit import LastUnit
from simulation.cluster.nemesis import DISK_FULL, FAULTS, Say, Scene, strike
from simulation.cluster.receipts import Receipts
from simulation.cluster.till import Till
from simulation.cluster.trade import Trade
from simulation.cluster.workload import Workload

CALM_OPS = 60
CALM_S_MAX = 120.0
DISK_ENGINES = 1
DISK_TIMES = 2

# The faults of a round, one after the other; ends by itself.
Faults = Iterable[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """How long leases last and a stopped engine stands still, how long other faults last, and how long clients rest."""

    lease_s: float
    stop_s: float
    ops_of_a_fault: int = 150
    fault_s: float = 3.0
    rest_s: float = 0.0


@dataclass(slots=True)
class Tally:
    """What rounds have met and proved."""

    faults: Counter[str] = field(default_factory=Counter)
    wires: Counter[str] = field(default_factory=Counter)
    outcomes: Counter[str] = field(default_factory=Counter)
    words: Counter[str] = field(default_factory=Counter)
    orders_placed: int = 0
    writes_seen: int = 0
    taken_over: int = 0
    complaints: list[str] = field(default_factory=list)

    def add(self, other: Tally) -> None:
        self.faults += other.faults
        self.wires += other.wires
        self.outcomes += other.outcomes
        self.words += other.words
        self.orders_placed += other.orders_placed
        self.writes_seen += other.writes_seen
        self.taken_over += other.taken_over
        self.complaints += other.complaints


def _quiet(line: str) -> None:
    del line


async def round_of(seed: int, faults: Faults, terms: Terms, *, say: Say = _quiet) -> Tally:
    """Three engines, two shops, and all faults but a full disk."""
    whole = History()
    workloads: list[Workload] = [kind(seed, whole) for kind in (Bank, Receipts, LastUnit, Holds)]
    with temporary_directory() as directory:
        async with open_house(
            directory, postgres_directory=directory, engines=3, seed=seed, lease_s=terms.lease_s
        ) as house:
            trade = Trade(house, seed)
            await trade.open()
            await trade.begin()
            scene = _scene(house, whole, seed, terms, None, say)
            return await _lived_through(scene, workloads, trade, faults, seed, terms.rest_s)


async def disk_round_of(seed: int, terms: Terms, *, times: int, say: Say = _quiet) -> Tally:
    """One engine whose database lies on a small disk, which runs full so many times."""
    whole = History()
    workloads: list[Workload] = [kind(seed, whole) for kind in (Bank, Receipts)]
    with temporary_directory() as directory, disk.mounted(directory / "disk") as small:
        async with open_house(
            directory,
            postgres_directory=small.path,
            engines=DISK_ENGINES,
            seed=seed,
            lease_s=terms.lease_s,
            has_shops=False,
        ) as house:
            scene = _scene(house, whole, seed, terms, small, say)
            tally = await _lived_through(scene, workloads, None, [DISK_FULL] * times, seed, terms.rest_s)
            log = (house.postgres.directory / "postgres.log").read_text(errors="replace")
            tally.wires["no space left"] += log.count("No space left on device")
            return tally


def _scene(house: House, whole: History, seed: int, terms: Terms, small: disk.SmallDisk | None, say: Say) -> Scene:
    return Scene(
        house=house,
        chance=Random(f"nemesis {seed}"),
        whole=whole,
        disk=small,
        ops=terms.ops_of_a_fault,
        seconds=terms.fault_s,
        stop_s=terms.stop_s,
        say=say,
    )


async def _lived_through(
    scene: Scene, workloads: Sequence[Workload], trade: Trade | None, faults: Faults, seed: int, rest_s: float
) -> Tally:
    house = scene.house
    async with AsyncExitStack() as stack:
        tills = {one.name: Till(house, one.history, Random(f"{one.name} {seed}")) for one in workloads}
        for till in tills.values():
            await stack.enter_async_context(till.client)
        for workload in workloads:
            await workload.prepare(tills[workload.name])
        async with _at_work(workloads, tills, seed, rest_s):
            for fault in faults:
                await strike(scene, fault)
            scene.tell("all is healed")
            await house.heal()
            await scene.whole.until_more(CALM_OPS, Outcome.OK, at_most_s=CALM_S_MAX)
            await _until_met(workloads)
        scene.tell("verdicts")
        complaints = [
            f"{workload.name}: {words}"
            for workload in workloads
            for words in await workload.verdict(tills[workload.name])
        ]
        if trade is not None:
            await trade.end()
            scene.tell("the last orders")
            complaints += [f"push: {words}" for words in await trade.verdict(next(iter(tills.values())))]
    return await _tally(scene, trade, complaints)


async def _until_met(workloads: Sequence[Workload]) -> None:
    """Every workload has met what it is about."""

    async def have_met() -> bool:
        return all(one.words <= {op.word for op in one.history.ops} for one in workloads)

    assert await until(have_met, at_most_s=CALM_S_MAX), {one.name: one.words for one in workloads}


@asynccontextmanager
async def _at_work(
    workloads: Sequence[Workload], tills: dict[str, Till], seed: int, rest_s: float
) -> AsyncIterator[None]:
    """Clients of every workload ask until the block ends; what they have begun they bring to an end."""
    is_over = asyncio.Event()

    async def ask(workload: Workload, number: int) -> None:
        chance = Random(f"{workload.name} {seed} {number}")
        while not is_over.is_set():
            await workload.step(tills[workload.name], chance)
            await asyncio.sleep(rest_s)

    async with asyncio.TaskGroup() as group:
        for workload in workloads:
            for number in range(workload.clients):
                group.create_task(ask(workload, number))
        try:
            yield
        finally:
            is_over.set()


async def _tally(scene: Scene, trade: Trade | None, complaints: list[str]) -> Tally:
    """The last looks: the ledger's own audit, the writes that reached the shops, and how the engines end."""
    house = scene.house
    scene.tell("audit")
    audited = await audit(house.database)
    complaints += [f"audit: {found.rule}: {found.where}: {found.figures}" for found in audited.violations]
    async with house.database.transaction() as tx:
        noted = await written.notes(tx)
    writes = [write for shop in house.shops for write in shop.log.writes]
    judged = written.stale(writes, noted)
    complaints += [f"lease: {words}" for words in judged.complaints]
    complaints += [f"end: {words}" for words in await house.stop_engines()]
    scene.tell("the end")
    hits: Counter[str] = Counter()
    for wire in house.wires:
        hits += wire.hits
    return Tally(
        faults=scene.counts,
        wires=hits,
        outcomes=Counter({outcome.value: count for outcome, count in scene.whole.counts.items()}),
        words=Counter(op.word for op in scene.whole.ops),
        orders_placed=0 if trade is None else trade.placed_count,
        writes_seen=len(writes),
        taken_over=judged.taken_over_count,
        complaints=complaints,
    )


def for_so_long(seed: int, seconds: float) -> Faults:
    """Every fault in turn, each time in another order, until the time is up."""
    chance, until_s = Random(f"faults {seed}"), monotonic() + seconds
    while True:
        for fault in chance.sample(sorted(FAULTS), len(FAULTS)):
            if monotonic() > until_s:
                return
            yield fault


async def simulate(seeds: Sequence[int], *, rounds: int, seconds: float, terms: Terms, say: Say) -> None:
    """So many rounds, each with the next seed. Raises AssertionError with the first complaint."""
    began, whole = monotonic(), Tally()
    left_out = disk.why_not()
    for number in range(rounds):
        seed = seeds[number % len(seeds)] + 1_000 * (number // len(seeds))
        again = (
            f"see it again: make simulate SEEDS={seed} "
            f'ARGS="--only cluster --rounds 1 --seconds {seconds:g} --lease {terms.lease_s:g} --stop {terms.stop_s:g}"'
        )
        try:
            tally = await round_of(seed, for_so_long(seed, seconds), terms, say=say)
            if not left_out:
                tally.add(await disk_round_of(seed, terms, times=DISK_TIMES, say=say))
        except Exception as failure:
            failure.add_note(again)
            raise
        whole.add(tally)
        say(f"  round {number + 1} of {rounds}, seed {seed}: {len(tally.complaints)} violations")
        if whole.complaints:
            break
    _report(whole, monotonic() - began, left_out, say)
    if whole.complaints:
        wrong = AssertionError(f"seed {seed}: {whole.complaints[0]}")
        wrong.add_note(again)
        raise wrong


def _report(tally: Tally, took_s: float, left_out: str, say: Say) -> None:
    outcomes = ", ".join(f"{tally.outcomes[word]:,} {word}" for word in ("ok", "refused", "unknown"))
    say(f"cluster: {took_s:,.0f} s; commands: {outcomes}; {tally.orders_placed:,} orders placed at the shops")
    say("  told: " + ", ".join(f"{word} {count:,}" for word, count in tally.words.most_common()))
    for fault, count in sorted(tally.faults.items()):
        say(f"  {count:6,} {fault}")
    say("  on the wires: " + ", ".join(f"{count:,} {hit}" for hit, count in sorted(tally.wires.items())))
    say(f"  {tally.writes_seen:,} figures reached the shops, {tally.taken_over} decisions were taken over by others")
    if left_out:
        say(f"  disk full tests left out: {left_out}")
    say(f"  violations: {len(tally.complaints)}")
