"""Lives of ledgers in several processes, in memory and through PostgreSQL, until the steps are done."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from dataclasses import dataclass
from multiprocessing import get_context
from time import monotonic

from conftest import temporary_directory
from domain.histories import Tally, live
from domain.test_ledger_machine import PureMachine
from flow.test_ledger_machine import PostgresMachine
from oneshelf.storage.embedded import EmbeddedPostgres
from oneshelf.storage.migrate import migrate

Say = Callable[[str], None]

STEPS_OF_A_JOB = 5_000
IN_MEMORY, IN_POSTGRES = "in memory", "in PostgreSQL"
# Of a hundred steps in memory, so many are taken through PostgreSQL besides.
POSTGRES_PERCENT = 1
PROGRESS_S = 10.0


@dataclass(frozen=True)
class Job:
    """Some of the steps of a seed. `part` makes a seed of its own for each."""

    where: str
    seed: int
    part: int
    steps: int


def simulate(seeds: Sequence[int], *, steps: int, workers: int, say: Say) -> dict[str, Tally]:
    """Take the steps. Raises AssertionError at the first disagreement."""
    began = monotonic()
    tallies = {IN_MEMORY: Tally(), IN_POSTGRES: Tally()}
    jobs = [*_jobs(IN_POSTGRES, seeds, -(-steps * POSTGRES_PERCENT // 100)), *_jobs(IN_MEMORY, seeds, steps)]
    progress = _Progress(say, began)
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        running: set[Future[tuple[Job, Tally]]] = {pool.submit(_run, job) for job in jobs}
        try:
            while running:
                done, running = wait(running, return_when=FIRST_COMPLETED)
                for future in done:
                    job, tally = future.result()
                    tallies[job.where].add(tally)
                    progress.tell(tallies, job)
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
    _close(tallies, steps, monotonic() - began, say)
    return tallies


def _jobs(where: str, seeds: Sequence[int], steps: int) -> Iterator[Job]:
    """The steps in equal shares for the seeds, and in parts that one process takes in some seconds."""
    size = STEPS_OF_A_JOB if where == IN_MEMORY else STEPS_OF_A_JOB // 10
    share = -(-steps // len(seeds))
    for part, start in enumerate(range(0, share, size)):
        for seed in seeds:
            yield Job(where, seed, part, min(size, share - start))


def _run(job: Job) -> tuple[Job, Tally]:
    tally = Tally()
    seed = job.seed * 1_000 + job.part
    try:
        if job.where == IN_MEMORY:
            live(PureMachine, tally, seed=seed, steps=job.steps)
        else:
            with temporary_directory() as directory, EmbeddedPostgres(directory / "pg", durable=False) as server:
                migrate(server.dsn)
                PostgresMachine.dsn = server.dsn
                live(PostgresMachine, tally, seed=seed, steps=job.steps, shrinks=False)
    except AssertionError as disagreement:
        # Notes do not travel between processes.
        notes = "\n".join(getattr(disagreement, "__notes__", []))
        raise AssertionError(f"seed {job.seed}, {job.where}: {disagreement}\n{notes}") from None
    return job, tally


class _Progress:
    """A line every now and then."""

    def __init__(self, say: Say, began: float) -> None:
        self._say, self._began, self._next_at = say, began, began

    def tell(self, tallies: dict[str, Tally], job: Job) -> None:
        if monotonic() < self._next_at:
            return
        self._next_at = monotonic() + PROGRESS_S
        steps = sum(tally.steps for tally in tallies.values())
        seconds = monotonic() - self._began
        self._say(f"  {steps:,} steps, {steps / seconds:,.0f} a second; seed {job.seed}, {job.where}")


def _close(tallies: dict[str, Tally], steps: int, seconds: float, say: Say) -> None:
    for where, tally in tallies.items():
        by_kind: dict[str, Counter[str]] = {}
        for (asked, answered), count in tally.met.items():
            by_kind.setdefault(asked, Counter())[answered] += count
        for kind, answers in sorted(by_kind.items()):
            say(f"  {where}: {kind} {answers.total():,}: " + ", ".join(f"{a} {n:,}" for a, n in answers.most_common()))
    memory, postgres = tallies[IN_MEMORY], tallies[IN_POSTGRES]
    assert memory.steps >= steps, f"{memory.steps} steps of {steps}"
    if steps >= 50_000:
        assert not memory.missed(), f"never met: {sorted(memory.missed())}"
    say(
        f"ledger: {memory.steps:,} steps in memory and {postgres.steps:,} through PostgreSQL, "
        f"{memory.histories + postgres.histories:,} histories, {seconds:,.0f} s, "
        f"{(memory.steps + postgres.steps) / seconds:,.0f} steps a second, 0 disagreements"
    )
