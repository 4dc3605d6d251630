"""The whole engine from seeds: days under every fault, planted bugs, and a crash at every point of every act."""

from __future__ import annotations

import json
import logging
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import contextmanager
from hashlib import sha256
from multiprocessing import get_context
from pathlib import Path
from time import monotonic
from typing import Any, NamedTuple

from oneshelf.simulation import many
from oneshelf.simulation.faults import asked_for
from oneshelf.simulation.outcome import Outcome, Terms
from oneshelf.simulation.run import live
from oneshelf.simulation.scenarios import SCENARIOS
from oneshelf.simulation.scene import MISSED
from oneshelf.simulation.shapes import MIDDLEWARE_DAY, SWITCHED_DAY
from oneshelf.simulation.sweep import Swept, sweep
from oneshelf.storage.embedded import EmbeddedPostgres
from oneshelf.storage.migrate import migrate
from oneshelf.telemetry import configure_logging
from simulation.mutants import BY_NAME, Mutant, planted
from simulation.stories import page, tales

Say = Callable[[str], None]
REPORTS = Path(__file__).parent / "reports"
# A planted bug has to be found within so many seeds.
SEEDS_MAX = 200
# After so many days the report is written, so that a run that is ended loses no more than these.
DAYS_AT_ONCE = 50
# What no day runs: commands, the demo and the pages of the dashboard (`test_reports.py`).
NOT_LIVED = ("cli/", "demo/", "web/pages/")
# Shape -> what is counted of a day of it, and how that begins where it is seen.
SHAPED = {
    SWITCHED_DAY: {
        "switches": "the architecture became",
        "watched": "the engine was told to watch only",
        "typed": "a figure was typed at the channel that rules",
    },
    MIDDLEWARE_DAY: {
        "counts": "a warehouse counted",
        "surprises": "a warehouse counted what no paper knew",
        "deliveries": "an ERP stated a delivery",
        "twice": "an ERP stated a delivery twice",
        "contradictions": "an ERP said two things",
        "wrong": "an ERP stated a wrong figure",
    },
}


def days(seeds: Sequence[int], *, workers: int, machine: str, say: Say) -> None:
    """Live through those of these seeds that the report does not have yet, and add them to it.

    The report has a part for each state of the engine's code. What failed in an earlier one is tried again in this.
    """
    states: list[dict[str, Any]] = read("days").get("states", [])
    state = _state_of(states, code=code_digest())
    lived = {seed for one in states for first, last in one["seeds"] for seed in range(first, last + 1)}
    failed = {failure["seed"] for one in states if one is not state for failure in one["failures"]}
    again = sorted(failed - {seed for first, last in state["seeds"] for seed in range(first, last + 1)})
    left = [*again, *(seed for seed in seeds if seed not in lived)]
    say(f"  {len(lived):,} days are in the report, {state['runs']:,} of them of this code; {len(left):,} are to come")
    for start in range(0, len(left), DAYS_AT_ONCE):
        block, began = left[start : start + DAYS_AT_ONCE], monotonic()
        with many.workplace() as directory:
            tally = many.simulate(directory, block, terms=Terms(), workers=workers, tell=lambda *_: None)
        played = many.as_document(tally, seconds=monotonic() - began, seeds=block, machine=machine)
        state.update(_joined(state, played, block))
        stored("days", {"states": [one for one in states if one is not state] + [state]})
        count = len(state["failures"])
        say(f"  {start + len(block):,} of {len(left):,} days, {played['seconds']:,.0f} s, {count} failed in all")
        for outcome in tally.failures:
            raise AssertionError(f"{outcome.violation}\n{many.replay_command(outcome)}")


def shaped(shape: str, seeds: Sequence[int], *, workers: int, machine: str, say: Say) -> None:
    """Live through days of a shop of this shape, under every fault, and write a report of them."""
    began, code, rows = monotonic(), code_digest(), []
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        for future in as_completed([pool.submit(_shaped, shape, seed) for seed in seeds]):
            one = future.result()
            rows.append(one)
            say(f"  seed {one['seed']}, {one['mode']}: {one['violation'] or 'all held'}")
    rows.sort(key=lambda one: one["seed"])
    stored(shape, {"machine": machine, "code": code, "seconds": round(monotonic() - began), "days": rows})
    for one in rows:
        assert not one["violation"], f"seed {one['seed']}: {one['violation']}"


def _shaped(shape: str, seed: int) -> dict[str, Any]:
    with database() as dsn:
        lived = live(dsn, seed, shape=shape)
    seen = {
        name: sum(count for what, count in lived.sometimes.items() if what.startswith(begin))
        for name, begin in SHAPED[shape].items()
    }
    return {
        "seed": seed,
        "mode": lived.mode,
        **seen,
        "orders": lived.orders,
        "commands": lived.commands,
        "crashes": lived.crashes,
        "faults": sum(lived.hits.values()),
        "looks": lived.looks,
        "settled_s": round(lived.settled_s),
        "violation": lived.violation,
    }


def code_digest() -> str:
    """A name for the engine's code as it is: the same one for the same files. Without what no day runs."""
    home = Path(many.__file__).parents[1]
    found = sorted(file.relative_to(home) for suffix in ("py", "sql") for file in home.rglob(f"*.{suffix}"))
    lived = (file for file in found if not file.as_posix().startswith(NOT_LIVED))
    parts = (f"{file}\0{(home / file).read_text()}\0" for file in lived)
    return sha256("".join(parts).encode()).hexdigest()[:12]


def _state_of(states: Sequence[dict[str, Any]], *, code: str) -> dict[str, Any]:
    """The part of this code, an empty one if there is none yet."""
    for state in states:
        if state["code"] == code:
            return state
    nothing = many.as_document(many.Tally(), seconds=0.0, seeds=[0], machine="")
    del nothing["digest"]  # Of days that are lived in several goes.
    return {**nothing, "code": code, "seeds": []}


def joined(states: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """All states together."""
    total = _state_of([], code="")
    for state in states:
        block = [seed for first, last in state["seeds"] for seed in range(first, last + 1)]
        total = _joined(total, state, block)
    return total


def _joined(report: dict[str, Any], played: dict[str, Any], block: Sequence[int]) -> dict[str, Any]:
    """Both together."""
    joined: dict[str, Any] = {**report, "machine": played["machine"]}
    for name, figure in played.items():
        if name in ("hits", "sometimes"):
            joined[name] = dict(sorted((Counter(report[name]) + Counter(figure)).items()))
        elif name == "settled_s_max":
            joined[name] = max(report[name], figure)
        elif name not in ("seeds", "machine", "code", "digest"):
            joined[name] = report[name] + figure
    joined["seconds"] = round(joined["seconds"], 1)
    joined["seeds"] = _spans(
        seed for first, last in [*report["seeds"], *_spans(block)] for seed in range(first, last + 1)
    )
    return joined


def _spans(seeds: Iterable[int]) -> list[list[int]]:
    """First and last of each unbroken row of seeds."""
    spans: list[list[int]] = []
    for seed in sorted(set(seeds)):
        if spans and spans[-1][1] == seed - 1:
            spans[-1][1] = seed
        else:
            spans.append([seed, seed])
    return spans


def bugs(*, workers: int, machine: str, say: Say, names: Sequence[str] = ()) -> None:
    """Plant each bug, and look for the first seed that finds it."""
    found: dict[str, Any] = {} if not names else read("bugs").get("found", {})
    survivors: list[str] = []

    def keep() -> None:
        ordered = {name: found[name] for name in BY_NAME if name in found}
        stored("bugs", {"machine": machine, "seeds_max": SEEDS_MAX, "found": ordered, "not_found": survivors})

    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        asked = {pool.submit(hunt, name): name for name in names or BY_NAME}
        for future in as_completed(asked):
            name, (find, violation, seconds) = asked[future], future.result()
            if find:
                found[name] = {**find._asdict(), "by": violation, "seconds": round(seconds, 1)}
                say(f"  {name}: found by {in_words(found[name])} after {seconds:.0f} s")
            else:
                survivors.append(name)
                say(f"  {name}: NOT found")
            keep()
    assert not survivors, f"not found: {', '.join(survivors)}"


class Find(NamedTuple):
    """Where a planted bug shows: on the day of a seed, or in a scenario, with the engine killed at a point or never."""

    seed: int = 1
    scenario: str = ""
    crash_at: int | None = None


def hunt(name: str) -> tuple[Find | None, str, float]:
    """Where a planted bug shows first (None: nowhere), how it shows, and the seconds until then."""
    mutant, began = BY_NAME[name], monotonic()
    with database() as dsn:
        for find in _in_scenario(dsn, mutant) if mutant.scenario else map(Find, range(1, SEEDS_MAX + 1)):
            with planted(mutant):
                violation = violation_of(dsn, find, mutant)
            if violation:
                honest = played(dsn, find, mutant)
                assert not honest.violation, f"{find} fails without any planted bug: {honest.violation}"
                assert find.crash_at or not honest.sometimes[MISSED], f"{find}: {MISSED}"
                return find, violation[:300], monotonic() - began
    return None, "", monotonic() - began


def in_words(found: dict[str, Any]) -> str:
    """Where a row of the report was found."""
    if not found.get("scenario"):
        return f"seed {found['seed']}"
    killed = "" if found["crash_at"] is None else f", the engine killed at step {found['crash_at']}"
    return f"“{found['scenario']}”{killed}"


def violation_of(dsn: str, find: Find, mutant: Mutant) -> str:
    """What is wrong there with the engine as it is now."""
    return played(dsn, find, mutant).violation


def played(dsn: str, find: Find, mutant: Mutant) -> Outcome:
    """What comes of it with the engine as it is now."""
    grades = asked_for("" if mutant.faults == "none" else mutant.faults) if mutant.faults else None
    # A scenario has a mode of its own.
    mode = "" if find.scenario else mutant.mode
    asked: dict[str, Any] = {"mode": mode, "shape": mutant.shape, "scenario": find.scenario}
    return live(dsn, find.seed, grades=grades, crash_at=find.crash_at, **asked)


def _in_scenario(dsn: str, mutant: Mutant) -> Iterator[Find]:
    yield Find(scenario=mutant.scenario)
    calm = live(dsn, 1, scenario=mutant.scenario)
    yield from (Find(scenario=mutant.scenario, crash_at=point) for point in calm.crash_points)


def crashes(*, every: int, workers: int, machine: str, say: Say) -> None:
    """Play each scenario again for every `every`-th point at which a crash can make a difference."""
    began, swept = monotonic(), []
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        for future in as_completed([pool.submit(_swept, name, every) for name in SCENARIOS]):
            one = future.result()
            swept.append(one)
            say(f"  {one.scenario}: {one.tried} of {one.points} points, {len(one.failures)} failed")
    swept.sort(key=lambda one: list(SCENARIOS).index(one.scenario))
    rows = [{"scenario": one.scenario, "points": one.points, "tried": one.tried} for one in swept]
    stored("crashes", {"machine": machine, "every": every, "seconds": round(monotonic() - began), "scenarios": rows})
    for one in swept:
        for point, outcome in one.failures:
            raise AssertionError(f"{one.scenario}, killed at point {point}: {outcome.violation}")


def _swept(name: str, every: int) -> Swept:
    with database() as dsn:
        return sweep(dsn, name, every=every)


def stories(*, say: Say) -> None:
    """Play each failure story as the naive hub and by our engine, and have the page show what came of it."""
    with database() as dsn:
        for name in tales.TALES:
            ours, naive = tales.tell(dsn, name, is_naive=False), tales.tell(dsn, name, is_naive=True)
            told = page.table(ours, naive)
            say(f"{name}\n{told}\n")
            page.show(name, told)
            assert not ours.violation, f"{name}: {ours.violation}"
            assert ours.oversold == 0 < naive.oversold, f"{name}: oversold {ours.oversold}, naive {naive.oversold}"


@contextmanager
def database() -> Iterator[str]:
    configure_logging(level="CRITICAL")
    for name in ("psycopg", "asyncio"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    with (
        many.workplace() as directory,
        EmbeddedPostgres(directory / "pg", durable=False, settings=many.SETTINGS) as server,
    ):
        migrate(server.dsn)
        yield server.dsn


def stored(name: str, document: dict[str, Any]) -> None:
    """Keep a report, from which the page of evidence is made."""
    REPORTS.mkdir(exist_ok=True)
    (REPORTS / f"{name}.json").write_text(json.dumps(document, indent=1) + "\n")


def read(name: str) -> dict[str, Any]:
    """A report; empty where there is none."""
    file = REPORTS / f"{name}.json"
    document: dict[str, Any] = json.loads(file.read_text()) if file.exists() else {}
    return document
