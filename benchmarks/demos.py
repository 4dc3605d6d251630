"""The demo with many seeds, one after the other, each on a database of its own: `make demos`.

Every run has the whole choir of faults, and is judged by its own report: every sale counted once, the ledger balanced,
every listing proved, or parked in its channel's own words. Ends with 1 where one run is not so.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from typing import Any

from benchmarks.report import written
from oneshelf.demo.children import any_free_port

HEADINGS = (
    *("seed", "orders", "missing", "double", "ledger violations", "oversold, at worst", "verified"),
    *("parked", "in stuck feeds", "faults hit", "s to proof"),
)


def main() -> None:
    """Run them all, and write what they said into `benchmarks/README.md`."""
    parser = argparse.ArgumentParser(prog="make demos", description=__doc__)
    parser.add_argument("--seeds", default="1-10", help="from one to another: 1-10")
    parser.add_argument("--seconds", type=int, default=60, help="of shopping, each")
    options = parser.parse_args()
    first, _, last = options.seeds.partition("-")
    told = [_ran(seed, options.seconds) for seed in range(int(first), int(last or first) + 1)]
    written(_words(told, options.seconds), section="demos")
    bad = [f"seed {one['seed']}: {problem}" for one in told for problem in one["problems"]]
    sys.exit("\n".join(bad) or 0)


def _ran(seed: int, seconds: int) -> dict[str, Any]:
    """The report of one run."""
    with tempfile.TemporaryDirectory() as directory:
        asked = {"--seed": seed, "--seconds": seconds, "--port": any_free_port(), "--data-dir": directory}
        arguments = [str(part) for pair in asked.items() for part in pair]
        said = subprocess.run(
            [sys.executable, "-m", "oneshelf.cli", "demo", "--json", *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            check=False,
            env={name: value for name, value in os.environ.items() if not name.startswith("ONESHELF_")},
        )
    if not said.stdout:
        sys.exit(f"the demo with seed {seed} ended with {said.returncode} and no report")
    report: dict[str, Any] = json.loads(said.stdout)
    print(_row(report), flush=True)
    return report


def _row(report: dict[str, Any]) -> str:
    stuck = sum(one["write_count"] for one in report["feeds"] if one["stuck_after_s"])
    cells = (
        report["seed"],
        report["orders_placed"],
        len(report["orders_missing"]),
        len(report["orders_doubled"]),
        len(report["ledger_violations"]),
        f"{report['units_short_at_end']}, {report['units_short_peak']}",
        f"{report['listings_verified']} of {report['listings']}",
        len(report["parked"]),
        stuck,
        sum(count for hits in report["faults_hit"].values() for count in hits.values()),
        report["settle_s"],
    )
    return "| " + " | ".join(str(cell) for cell in cells) + " |"


def _words(told: Sequence[dict[str, Any]], seconds: int) -> str:
    good = sum(one["is_good"] for one in told)
    orders = sum(one["orders_placed"] for one in told)
    kinds = {f"{kind} {name}" for one in told for kind, hits in one["faults_hit"].items() for name in hits}
    parked = [f"- seed {one['seed']}, {words}" for one in told for words in one["parked"]]
    lines = [
        f"{len(told)} runs of `oneshelf demo --seconds {seconds}`, one after the other, with other work beside them: "
        f"{good} of {len(told)} ended well, with {orders:,} orders and {len(kinds)} kinds of faults. `make demos`",
        "",
        "| " + " | ".join(HEADINGS) + " |",
        "|" + "---:|" * len(HEADINGS),
        *(_row(one) for one in told),
        "",
        "Oversold: units for which nothing was there at the end, and at the worst moment. In stuck feeds: figures in a "
        "feed that Amazon never worked through, which were let go of and written one by one, but for those that are "
        "parked. S to proof: from the last sale until every listing was proved.",
    ]
    if parked:
        lines += ["", "Parked, in the words of the channel:", "", *parked]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
