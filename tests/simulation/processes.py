"""Real processes: plugs pulled under load, engines that race, rows that are written over."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from random import Random
from time import monotonic

from cli.kills import WAYS, Books, Engine, round_of, set_up
from conftest import temporary_directory
from flow.racer import started_racers
from flow.shelf_world import open_ledger
from flow.test_races import PROCESSES, run
from oneshelf.storage.database import Database
from oneshelf.storage.embedded import EmbeddedPostgres
from oneshelf.storage.migrate import migrate
from storage.hot_rows import wear_of, wear_out
from storage.test_hot_rows import BLOAT_MAX, HOT_SHARE_MIN

Say = Callable[[str], None]

# The audit after each round reads the whole ledger, so a new one is begun now and then.
ROUNDS_OF_A_LEDGER = 20
STEP = 100_000


async def kill(seeds: Sequence[int], *, rounds: int, say: Say) -> None:
    """Pull plugs, in turn for the seeds."""
    began, acknowledged, done = monotonic(), 0, 0
    while done < rounds:
        seed = seeds[(done // ROUNDS_OF_A_LEDGER) % len(seeds)] + 1_000_000 * (done // ROUNDS_OF_A_LEDGER)
        chance, books = Random(seed), Books()
        with temporary_directory() as directory:
            engine = Engine(directory)
            engine.start()
            try:
                await set_up(engine)
                for number in range(min(ROUNDS_OF_A_LEDGER, rounds - done)):
                    await round_of(engine, books, seed=seed * 1_000 + number, way=chance.choice(WAYS))
                    done += 1
                    say(f"  {done} of {rounds} plugs pulled, {acknowledged + len(books.answered):,} acknowledged")
            finally:
                engine.kill()
        acknowledged += len(books.answered)
    say(f"kills: {done} plugs pulled in {monotonic() - began:,.0f} s, {acknowledged:,} commands acknowledged, 0 lost")


async def race(seeds: Sequence[int], *, runs: int, say: Say) -> None:
    """Race, in turn for the seeds."""
    began = monotonic()
    with temporary_directory() as directory, EmbeddedPostgres(directory / "pg", durable=False) as server:
        migrate(server.dsn)
        async with open_ledger(server.dsn) as ledger:
            with started_racers(server.dsn, PROCESSES) as racers:
                for number in range(runs):
                    seed = seeds[number % len(seeds)] * 1_000 + number
                    await run(ledger, racers, seed)
            await ledger.assert_sound()
    say(f"races: {runs} in {monotonic() - began:,.0f} s, each gave away exactly what was there")


async def write_over(seed: int, *, updates: int, say: Say) -> None:
    """Write balances over with the settings of the embedded default, and look at the table."""
    began, told = monotonic(), 0

    def progress(done: int) -> None:
        nonlocal told
        if done // STEP > told:
            told = done // STEP
            say(f"  {done:,} balances written over, {done / (monotonic() - began):,.0f} a second")

    with temporary_directory() as directory, EmbeddedPostgres(directory / "pg") as server:
        migrate(server.dsn)
        async with Database.open(server.dsn, connections_max=2) as database:
            await wear_out(database, updates=updates, seed=seed, progress=progress)
        async with Database.open(server.dsn, connections_max=2) as database, database.transaction() as tx:
            wear = await wear_of(tx, "balances")
    assert wear.updates >= updates, f"seed {seed}: {wear}"
    assert wear.hot_share > HOT_SHARE_MIN, f"seed {seed}: {wear}"
    assert wear.bloat < BLOAT_MAX, f"seed {seed}: {wear}"
    say(f"rows: {wear}, in {monotonic() - began:,.0f} s")
