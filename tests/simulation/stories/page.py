"""The page of the stories: its tables are what the plays showed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from simulation.stories.tales import TALES
from simulation.stories.teller import Row, Told

PAGE = Path(__file__).parents[3] / "docs" / "explanation" / "failure-stories.md"
HEAD = "| minute | what happens | ours | naive |"


def table(ours: Told, naive: Told) -> str:
    """What happened, and what each of the two came to."""
    rows = [
        f"| {mine.minute:g} | {mine.what} | {_cell(mine)} | {_cell(other)} |"
        for mine, other in zip(ours.rows, naive.rows, strict=True)
    ]
    sums = f"| | **oversold** | **{ours.oversold}** | **{naive.oversold}** |"
    return "\n".join([HEAD, "|---:|---|---|---|", *rows, sums])


def _cell(row: Row) -> str:
    shown = ", ".join(f"{channel.title()} {units}" for channel, units in row.shown.items())
    left = f"{row.left} left" if row.left >= 0 else f"**{-row.left} too many sold**"
    return "; ".join(filter(None, (row.came_of_it, shown, left)))


def shown(tale: str) -> str:
    """The table of a tale as the page has it."""
    return "\n".join(_table_lines(PAGE.read_text().split("\n"), tale))


def show(tale: str, new: str) -> None:
    """Have the page show this table."""
    before, heading, after = PAGE.read_text().partition(f"## {TALES[tale].heading}\n")
    PAGE.write_text(before + heading + after.replace(shown(tale), new, 1))


def _table_lines(lines: list[str], tale: str) -> Iterator[str]:
    begin = lines.index(HEAD, lines.index(f"## {TALES[tale].heading}"))
    for line in lines[begin:]:
        if not line.startswith("|"):
            return
        yield line
