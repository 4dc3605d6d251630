"""A table in a file: a header, and numbered rows of as many cells; whatever the format, and never all at once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from oneshelf.errors import MalformedError

COLUMNS_MAX = 200
ROWS_MAX = 2_000_000
CELL_LENGTH_MAX = 4_000
SHOWN_LENGTH_MAX = 60

# What a spreadsheet would calculate, where a cell begins with it (OWASP, CSV Injection, read 2026-11-26).
FORMULA_SIGNS = ("=", "+", "-", "@", "\t", "\r")
GUARD = "'"


class Row(NamedTuple):
    """One row. `line`: where a person finds it in the file. Cells are text, but for what a spreadsheet typed itself."""

    line: int
    cells: Sequence[object]


class CellError(MalformedError):
    """One cell cannot be taken as it is. The rest of the file can be."""

    def __init__(self, column: str, value: object, reason: str) -> None:
        super().__init__(f"{column}: {reason}")
        self.column = column
        self.value = shown(value)
        self.reason = reason


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What a person says of a file beside what it holds. `names`: our column -> how the file calls it.

    `ignored`: columns of the file that nobody reads; a star stands for all that are not known.
    """

    encoding: str = "utf-8"
    sheet: str = ""
    names: Mapping[str, str] = field(default_factory=dict)
    ignored: frozenset[str] = frozenset()


class Table(NamedTuple):
    """`header`: the file's own names, as they stand there. The rows can be read once.

    `is_streamed`: they are read as they are needed, and not all at once before.
    """

    header: list[str]
    rows: Iterator[Row]
    is_streamed: bool = True


def shown(value: object) -> str:
    """A cell as it is repeated to a person: short, and without invisible characters."""
    text = str(value)
    short = text if len(text) <= SHOWN_LENGTH_MAX else text[:SHOWN_LENGTH_MAX] + "…"
    return "".join(character if character.isprintable() else " " for character in short)


def guarded(text: str) -> str:
    """The text as a cell that no spreadsheet calculates; `unguarded` takes it back."""
    return GUARD + text if text.lstrip(GUARD).startswith(FORMULA_SIGNS) else text


def unguarded(text: str) -> str:
    """The text that `guarded` was given."""
    if text.startswith(GUARD) and text.lstrip(GUARD).startswith(FORMULA_SIGNS):
        return text[1:]
    return text


def open_table(path: Path, reading: Reading, known: Sequence[str]) -> Table:
    """The table in a file of whatever format it is. `known`: columns that may be in it.

    Raises MalformedError, also while rows are read, for a file that is damaged or no table: nothing of it can be used.
    """
    from oneshelf.files import csv_table, excel_table

    with path.open("rb") as file:
        first = file.read(8)
    if first.startswith(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"):
        raise MalformedError(
            "the file is a workbook that a password protects, or one of the old format .xls. Way out: open it, take "
            "the password off, and save it as .xlsx or as CSV UTF-8"
        )
    if first.startswith(b"PK\x03\x04"):
        return excel_table.open_workbook(path, reading)
    return csv_table.open_csv(path, reading, known)


def normal(name: str) -> str:
    """The name of a column as names are compared: `Taken At` is `taken_at`."""
    return "_".join(name.strip().casefold().replace("-", " ").replace("_", " ").split())
