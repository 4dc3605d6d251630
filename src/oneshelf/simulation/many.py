"""Many runs in several processes, counted together; a run that fails is made small."""

from __future__ import annotations

import logging
import os
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from hashlib import sha256
from multiprocessing import get_context
from pathlib import Path
from time import monotonic
from typing import Any

import msgspec

from oneshelf.simulation.faults import BY_NAME, OFF, without
from oneshelf.simulation.outcome import ACTIVE_S, Outcome, Terms
from oneshelf.simulation.run import live
from oneshelf.storage.embedded import EmbeddedPostgres
from oneshelf.storage.migrate import migrate
from oneshelf.telemetry import configure_logging

# Nothing is synced and nothing is tidied up behind a run: it is emptied before the next one.
SETTINGS = {
    "autovacuum": "off",
    "bgwriter_lru_maxpages": "0",
    "checkpoint_timeout": "1d",
    "max_wal_senders": "0",
    "max_wal_size": "1GB",
    "shared_buffers": "128MB",
    "track_activities": "off",
    "track_counts": "off",
    "wal_level": "minimal",
}
# To empty the tables makes and removes a hundred files, and in memory that takes a quarter of the time.
MEMORY = Path("/dev/shm")  # noqa: S108  # what is made in it has a name of its own
ROOM_BYTES = 4 << 30
# Sets of text have the same order in every process that runs a seed.
HASH_SEED = "0"
# So many runs are handed to a process at once.
SHARE = 4


@dataclass(slots=True)
class Tally:
    """All runs together. `traces`: seed -> its trace. `failures`: the outcomes of those that broke an invariant."""

    runs: int = 0
    events: int = 0
    looks: int = 0
    orders: int = 0
    commands: int = 0
    crashes: int = 0
    settled_s_max: float = 0.0
    hits: Counter[tuple[str, str]] = field(default_factory=Counter)
    sometimes: Counter[str] = field(default_factory=Counter)
    traces: dict[int, str] = field(default_factory=dict)
    failures: list[Outcome] = field(default_factory=list)

    @property
    def digest(self) -> str:
        """The same seeds lived in the same way have the same one, whoever lives them."""
        return sha256("".join(f"{seed} {trace}\n" for seed, trace in sorted(self.traces.items())).encode()).hexdigest()

    def add(self, outcome: Outcome) -> None:
        self.runs += 1
        self.events += outcome.events
        self.looks += outcome.looks
        self.orders += outcome.orders
        self.commands += outcome.commands
        self.crashes += outcome.crashes
        self.settled_s_max = max(self.settled_s_max, outcome.settled_s)
        self.hits.update(outcome.hits)
        self.sometimes.update(outcome.sometimes)
        self.traces[outcome.seed] = outcome.trace
        if outcome.violation:
            self.failures.append(outcome)


def has_fixed_hashes() -> bool:
    """Whether this process orders sets as every run of a seed does."""
    return os.environ.get("PYTHONHASHSEED") == HASH_SEED


def in_fixed_order(arguments: Sequence[str]) -> int:
    """Run this command again in a process whose hashes are fixed. Its exit code."""
    command = [sys.executable, "-m", "oneshelf.cli", *arguments]
    return subprocess.call(command, env={**os.environ, "PYTHONHASHSEED": HASH_SEED})  # noqa: S603  # ourselves


@contextmanager
def workplace() -> Iterator[Path]:
    """A new directory for the databases of runs, in memory where this machine has room for them."""
    has_room = os.access(MEMORY, os.W_OK) and shutil.disk_usage(MEMORY).free > ROOM_BYTES
    place = MEMORY if has_room else None
    with tempfile.TemporaryDirectory(prefix="oneshelf-simulation-", dir=place, ignore_cleanup_errors=True) as name:
        directory = Path(name)
        directory.chmod(0o755)  # The database's own user has to reach it.
        yield directory


def simulate(
    directory: Path,
    seeds: Sequence[int],
    *,
    terms: Terms,
    workers: int,
    tell: Callable[[Tally, float], None],
) -> Tally:
    """Run these seeds, on these terms. `tell`: how far it is, and the seconds so far.

    Each process has a server of its own: what a transaction sees as under way are those of all databases of a server,
    and a run must not see another one.
    """
    began, tally = monotonic(), Tally()
    with ExitStack() as stack:
        free = [stack.enter_context(_migrated(directory / f"postgres{number}")) for number in range(workers)]
        pool, shares = ProcessPoolExecutor(workers, mp_context=get_context("spawn")), _shares(seeds)
        stack.enter_context(pool)
        running: dict[Any, str] = {}
        while True:
            while free and (share := next(shares, None)):
                dsn = free.pop()
                running[pool.submit(_run, dsn, share, terms)] = dsn
            if not running:
                break
            done, _ = wait(running, return_when=FIRST_COMPLETED)
            for future in done:
                free.append(running.pop(future))
                for outcome in future.result():
                    tally.add(outcome)
            tell(tally, monotonic() - began)
    return tally


def shrunk(directory: Path, outcome: Outcome, *, tell: Callable[[str], None]) -> Outcome:
    """The same seed with as few faults as still break something: those that do not matter are left out, in turn."""
    smallest, terms = outcome, Terms(outcome.grades, outcome.kinds, outcome.active_s)
    with _migrated(directory / "shrink") as dsn:
        for name in BY_NAME:
            if smallest.grades[name] == OFF:
                continue
            tell(f"without {name}")
            tried = _lived(dsn, outcome.seed, replace(terms, grades=without(smallest.grades, [name])))
            if tried.violation:
                smallest = tried
    return smallest


def replay_command(outcome: Outcome) -> str:
    """What repeats this run, of a day of which no more was asked than `Terms` say."""
    faults = ",".join(f"{name}={grade}" for name, grade in outcome.grades.items() if grade != OFF)
    kinds = f" --channels {','.join(outcome.kinds)}" if outcome.kinds else ""
    seconds = f" --seconds {outcome.active_s}" if outcome.active_s != ACTIVE_S else ""
    return f"oneshelf simulate --seeds 1 --seed {outcome.seed}{kinds}{seconds} --faults {faults or 'none'}"


def as_document(tally: Tally, *, seconds: float, seeds: Sequence[int], machine: str) -> dict[str, Any]:
    """The report of the runs, for a program and for the page of evidence."""
    return {
        "seeds": [seeds[0], seeds[-1]],
        "runs": tally.runs,
        "seconds": round(seconds, 1),
        "machine": machine,
        "digest": tally.digest,
        "events": tally.events,
        "looks": tally.looks,
        "orders": tally.orders,
        "commands": tally.commands,
        "crashes": tally.crashes,
        "settled_s_max": round(tally.settled_s_max, 1),
        "hits": {f"{fault} {where}".strip(): count for (fault, where), count in sorted(tally.hits.items())},
        "sometimes": dict(sorted(tally.sometimes.items())),
        "failures": [
            {"seed": one.seed, "violation": one.violation, "replay": replay_command(one)} for one in tally.failures
        ],
    }


def written(document: Mapping[str, Any], file: Path) -> None:
    """Store a report."""
    file.write_bytes(msgspec.json.format(msgspec.json.encode(document), indent=1) + b"\n")


def _run(dsn: str, seeds: Sequence[int], terms: Terms) -> list[Outcome]:
    configure_logging(level="CRITICAL")
    logging.getLogger("psycopg").setLevel(logging.CRITICAL)
    return [_lived(dsn, seed, terms) for seed in seeds]


def _lived(dsn: str, seed: int, terms: Terms) -> Outcome:
    return live(dsn, seed, grades=terms.grades, kinds=terms.kinds, active_s=terms.active_s)


def _shares(seeds: Sequence[int]) -> Iterator[Sequence[int]]:
    for start in range(0, len(seeds), SHARE):
        yield seeds[start : start + SHARE]


@contextmanager
def _migrated(directory: Path) -> Iterator[str]:
    """A server for one run at a time: the DSN of its database."""
    with EmbeddedPostgres(directory, durable=False, settings=SETTINGS) as server:
        migrate(server.dsn)
        yield server.dsn
