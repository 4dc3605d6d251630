"""How many updates each way of writing loses, by how wrong clocks are and how late messages: table, picture and report.

`make simulate ARGS="--only clocks"` plays all of it and writes docs/explanation/conflicts.md anew between its marks.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import product
from pathlib import Path
from time import monotonic
from typing import Any

from benchmarks.report import written

from simulation.clock_kinds import KINDS
from simulation.clocks import SHAPES, UPDATES, Cell, run
from simulation.engine import read, stored
from simulation.sellout_picture import Line, lines

Say = Callable[[str], None]
PAGE = Path(__file__).parents[2] / "docs" / "explanation" / "conflicts.md"
PICTURE = PAGE.with_name("conflicts.svg")
SKEWS_S, REORDERS_S = (0.0, 1.0, 2.0), (0.0, 2.0, 5.0, 10.0)
WALL, HYBRID, LEADER, VECTORS, CHANGES = KINDS
LOSE_NOTHING = (LEADER, VECTORS, CHANGES)
RUNS = 1_000
HEAD = (
    "peers",
    "clocks differ by up to",
    "messages come up to",
    "wall clocks: lost",
    "of these, buried knowingly",
    "hybrid clocks: lost",
    "one leader: lost",
    "version vectors: lost",
    "of these runs, left to a person",
    "changes and counts: lost",
)

Row = Mapping[str, Any]


def simulate(runs: int, *, machine: str, say: Say) -> None:
    """Play `runs` seeds of each cell, and have the page show what came of it."""
    rows: list[Row] = []
    began = monotonic()
    for shape, skew_s, reorder_s in product(SHAPES, SKEWS_S, REORDERS_S):
        here = [
            _known(rows, cell) or played(cell, range(1, runs + 1))
            for cell in (Cell(kind, shape, skew_s, reorder_s) for kind in KINDS)
        ]
        rows += here
        lost = ", ".join(f"{row['lost']:,}" for row in here)
        say(f"  {shape}, skew {skew_s:g} s, reordering {reorder_s:g} s: lost of {runs * UPDATES:,}: {lost}")
    seconds = round(monotonic() - began, 1)
    stored("clocks", {"machine": machine, "runs": runs, "updates": UPDATES, "seconds": seconds, "rows": rows})
    judge(rows)
    show(read("clocks"))
    say(f"  {PAGE.name} and {PICTURE.name} are written")


def _known(rows: Sequence[Row], cell: Cell) -> Row | None:
    """Who looks at no clock does the same at every skew: the dice of a seed are the same for all cells."""
    here = (cell.kind, cell.shape, cell.reorder_s)
    for row in rows if cell.kind in LOSE_NOTHING else ():
        if here == (row["kind"], row["shape"], row["reorder_s"]):
            return {**row, "skew_s": cell.skew_s}
    return None


def played(cell: Cell, seeds: Sequence[int]) -> Row:
    """What came of these seeds together. `units_wrong`: how far the figures are off, `runs_open`: left to a person."""
    lost = [run(cell, seed) for seed in seeds]
    return {
        "kind": cell.kind,
        "shape": cell.shape,
        "skew_s": cell.skew_s,
        "reorder_s": cell.reorder_s,
        "updates": len(seeds) * UPDATES,
        "lost": sum(one.count for one in lost),
        "buried": sum(one.buried_count for one in lost),
        "units_wrong": sum(abs(one.units_wrong or 0) for one in lost),
        "runs_open": sum(one.units_wrong is None for one in lost),
    }


def judge(rows: Sequence[Row]) -> None:
    """Raises AssertionError where a kind loses what it promises to keep, or where nothing was put to the test."""
    for row in rows:
        assert row["kind"] not in LOSE_NOTHING or row["lost"] == 0, f"lost: {row}"
        assert row["kind"] not in (LEADER, CHANGES) or row["runs_open"] == row["units_wrong"] == 0, f"wrong: {row}"
        assert row["kind"] == WALL or row["buried"] == 0, f"buried although its stamp is later: {row}"
        assert row["kind"] != WALL or row["skew_s"] == 0 or row["buried"] > 0, f"nothing was put to the test: {row}"


def show(report: Mapping[str, Any]) -> None:
    """Write the table into the page, and the picture beside it."""
    written("\n".join(section(report)), section="clocks", readme=PAGE)
    PICTURE.write_text(picture(report["rows"]))


def section(report: Mapping[str, Any]) -> Iterator[str]:
    """The table, and the picture."""
    runs = report["runs"]
    yield f"{runs:,} seeds for each row and way, {UPDATES} changes in a minute each; {report['machine']},"
    yield f'{report["seconds"]:,.0f} s. `make simulate ARGS="--only clocks"` plays it again.'
    yield ""
    yield f"| {' | '.join(HEAD)} |"
    yield "|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|"
    for shape, skew_s, reorder_s in product(SHAPES, SKEWS_S, REORDERS_S):
        here = {kind: _row(report["rows"], Cell(kind, shape, skew_s, reorder_s)) for kind in KINDS}
        cells = (
            shape,
            f"{skew_s:g} s",
            f"{reorder_s:g} s late",
            f"**{_share(here[WALL], 'lost')}**",
            _share(here[WALL], "buried"),
            f"**{_share(here[HYBRID], 'lost')}**",
            _share(here[LEADER], "lost"),
            _share(here[VECTORS], "lost"),
            f"{here[VECTORS]['runs_open'] / runs:.0%}",
            _share(here[CHANGES], "lost"),
        )
        yield f"| {' | '.join(cells)} |"
    yield ""
    yield f"![Updates lost, in percent]({PICTURE.name})"


def _share(row: Row, name: str) -> str:
    """As a percentage of all updates; none at all is a plain 0."""
    return f"{row[name] / row['updates']:.1%}" if row[name] else "0"


def _row(rows: Sequence[Row], cell: Cell) -> Row:
    wanted = (cell.kind, cell.shape, cell.skew_s, cell.reorder_s)
    return next(row for row in rows if (row["kind"], row["shape"], row["skew_s"], row["reorder_s"]) == wanted)


def picture(rows: Sequence[Row]) -> str:
    """Lost updates by lateness, of peers that tell each other."""

    def line(name: str, kind: str, skew_s: float, *, is_dashed: bool = False) -> Line:
        found = [_row(rows, Cell(kind, "middleware", skew_s, reorder_s)) for reorder_s in REORDERS_S]
        return Line(name, [(row["reorder_s"], 100 * row["lost"] / row["updates"]) for row in found], is_dashed)

    drawn = (
        line("all others", CHANGES, 2.0),
        line("hybrid clocks, 2 s apart", HYBRID, 2.0, is_dashed=True),
        line("wall clocks, 2 s apart", WALL, 2.0),
        line("wall clocks, 1 s apart", WALL, 1.0),
        line("wall clocks, exact", WALL, 0.0, is_dashed=True),
    )
    return lines(drawn, across="seconds by which a message may come late", up="lost updates, %")
