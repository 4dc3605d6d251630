"""`python -m simulation`: the long proofs, each from a seed that it prints. `make simulate` calls this.

ledger   so many steps of everything that can happen, in memory; a hundredth of them once more through PostgreSQL:
         the engine against the ledger on paper, account by account, after each step
kills    the plug of the engine, of its database, or of both is pulled under load
races    four engines ask for far more than there is
days     the whole engine through days under every fault, judged by a model of its own: one for each seed
switched days on which the architecture is switched while everybody sells on, one for each seed; not among the others
         unless asked for, since these draw such days too
middleware days on which a warehouse and an ERP rule by rank: they count, deliver and contradict while everybody sells
bugs     bugs that are planted on purpose: each has to be found within 200 seeds
stories  the four failure stories of the field, by a naive hub and by ours, for docs/explanation/failure-stories.md
crashes  the engine is killed at every point of every act at which that can make a difference
sellouts goods are sold out at four channels in each mode: what is sold twice, what is left; not among the others unless
         asked for, since it takes hours
clocks   peers that change one figure, with wrong clocks and late messages: which updates are lost, for
         docs/explanation/conflicts.md
arrivals histories of orders, movements and counts, told in several orders through PostgreSQL: one ledger for all
rows     a million balances are written over, and the table stays small
cluster  three engines, two shops and their database as processes, killed, stopped and cut off from each other

It ends with 1 at the first disagreement, after its seed and the shortest history that was found.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import platform
import sys
from collections.abc import Sequence

from oneshelf.simulation.many import HASH_SEED, has_fixed_hashes
from oneshelf.telemetry import configure_logging
from simulation import arrivals, clock_rows, engine, ledger, processes, sellout_rows
from simulation.cluster import rounds as cluster

USUAL = ("ledger", "kills", "races", "days", "bugs", "stories", "crashes", "clocks", "arrivals", "rows", "cluster")
PARTS = (*USUAL, *engine.SHAPED, "sellouts")


MACHINE = f"{os.cpu_count()} cores, {platform.system()}, Python {platform.python_version()}"


def main(arguments: Sequence[str]) -> int:
    asked = _asked(arguments)
    configure_logging(level="ERROR")
    for part in asked.only or USUAL:
        say(f"{part}: seeds {asked.seeds[0]} to {asked.seeds[-1]}")
        try:
            _prove(part, asked)
        except AssertionError as disagreement:
            say(f"{part} failed: {disagreement}")
            for note in getattr(disagreement, "__notes__", []):
                say(note)
            return 1
    return 0


def _prove(part: str, asked: argparse.Namespace) -> None:
    match part:
        case "ledger":
            ledger.simulate(asked.seeds, steps=asked.steps, workers=asked.workers, say=say)
        case "kills":
            asyncio.run(processes.kill(asked.seeds, rounds=asked.kills, say=say))
        case "races":
            asyncio.run(processes.race(asked.seeds, runs=asked.races, say=say))
        case "days" | "switched" | "middleware":
            _live(part, asked)
        case "bugs":
            engine.bugs(workers=asked.workers, machine=MACHINE, say=say, names=asked.bug or ())
        case "stories":
            engine.stories(say=say)
        case "crashes":
            engine.crashes(every=asked.every, workers=asked.workers, machine=MACHINE, say=say)
        case "clocks" | "arrivals" | "sellouts":
            _compare(part, asked)
        case "cluster":
            terms = cluster.Terms(lease_s=asked.lease, stop_s=asked.stop)
            rounds = cluster.simulate(asked.seeds, rounds=asked.rounds, seconds=asked.seconds, terms=terms, say=say)
            asyncio.run(rounds)
        case _:
            asyncio.run(processes.write_over(asked.seeds[0], updates=asked.updates, say=say))


def _live(part: str, asked: argparse.Namespace) -> None:
    """The parts that are days."""
    if part == "days":
        engine.days(_days(asked), workers=asked.workers, machine=MACHINE, say=say)
    else:
        engine.shaped(part, asked.seeds, workers=asked.workers, machine=MACHINE, say=say)


def _compare(part: str, asked: argparse.Namespace) -> None:
    """The parts that hold several ways of doing one thing against each other."""
    if part == "clocks":
        clock_rows.simulate(asked.runs, machine=MACHINE, say=say)
    elif part == "arrivals":
        arrivals.simulate(asked.histories, first_seed=asked.seeds[0], say=say)
    else:
        sellout_rows.simulate(asked.sellouts, machine=MACHINE, say=say)


def _days(asked: argparse.Namespace) -> range:
    return range(asked.seeds[0], asked.seeds[0] + asked.days)


def say(line: str) -> None:
    print(line, flush=True)


def _asked(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        "make simulate", description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--seeds", type=_seeds, default="1-8", help="1-8, or 7, or 3,5,8 (make: SEEDS=)")
    parser.add_argument("--steps", type=int, default=1_000_000, help="of the ledger, over all seeds (make: STEPS=)")
    parser.add_argument("--kills", type=int, default=30, help="how often a plug is pulled")
    parser.add_argument("--races", type=int, default=50, help="how many races")
    parser.add_argument("--updates", type=int, default=1_000_000, help="how many balances are written over")
    parser.add_argument("--days", type=int, default=300, help="how many, from the first seed on")
    parser.add_argument("--bug", action="append", help="this planted bug alone; may be repeated")
    parser.add_argument("--every", type=int, default=10, help="of the points of a crash, every so manieth")
    parser.add_argument("--runs", type=int, default=clock_rows.RUNS, help="of each row of the clocks")
    parser.add_argument("--histories", type=int, default=10_000, help="that are told in several orders")
    parser.add_argument("--sellouts", type=int, default=300, help="of each row; what the report has is gone on with")
    parser.add_argument("--rounds", type=int, default=3, help="how many rounds of a cluster")
    parser.add_argument("--seconds", type=float, default=180.0, help="of faults in each of them")
    parser.add_argument("--lease", type=float, default=20.0, help="seconds for which an engine of it takes work")
    parser.add_argument("--stop", type=float, default=30.0, help="seconds for which one of it is stopped")
    parser.add_argument("--workers", type=int, default=2, help="processes that simulate ledgers")
    parser.add_argument("--only", action="append", choices=PARTS, help="this part alone; may be repeated")
    return parser.parse_args(arguments)


def _seeds(text: str) -> list[int]:
    seeds: list[int] = []
    for part in text.split(","):
        first, _, last = part.partition("-")
        seeds += range(int(first), int(last or first) + 1)
    if not seeds:
        raise argparse.ArgumentTypeError("no seed at all")
    return seeds


if __name__ == "__main__":
    if not has_fixed_hashes():
        # Sets of text have another order in each process otherwise, and a seed another run.
        os.environ["PYTHONHASHSEED"] = HASH_SEED
        os.execv(sys.executable, [sys.executable, "-m", "simulation", *sys.argv[1:]])  # noqa: S606  # this program again
    sys.exit(main(sys.argv[1:]))
