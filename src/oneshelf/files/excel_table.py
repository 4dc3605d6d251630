"""Workbooks: one sheet of an .xlsx file, looked over before it is unpacked. What it would calculate is never run."""

from __future__ import annotations

import lzma
import subprocess
import sys
import zipfile
import zlib
from collections.abc import Iterator
from datetime import time
from pathlib import Path

from oneshelf.errors import MalformedError
from oneshelf.files.table import COLUMNS_MAX, Reading, Row, Table

# A sheet is read whole: this much XML is about 400,000 rows of four cells, and as many MB in memory again.
UNPACKED_BYTES_MAX = 128 * 2**20
PARTS_MAX = 1_000
# What such a sheet takes, and the process around it.
SHEET_BYTES_MAX = 2**30
TRIAL_S_MAX = 120
_PART = 1 << 20
# What reading a damaged archive raises; ValueError for the name of a part that is no text.
_DAMAGES = (
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    EOFError,
    NotImplementedError,
    RuntimeError,
    OSError,
    ValueError,
)
AGAIN = "Way out: open it, and save it again as .xlsx or as CSV UTF-8"


def open_workbook(path: Path, reading: Reading) -> Table:
    """The table in one sheet. Raises MalformedError for a workbook that is damaged, too large, or has macros."""
    _look_over(path)
    import python_calamine

    try:
        book = python_calamine.CalamineWorkbook.from_path(str(path))
        name = _chosen(book.sheet_names, reading.sheet)
        _try(path, name)
        sheet = book.get_sheet_by_name(name)
        rows = _rows(sheet)
        first = next(rows, None)
    except (python_calamine.CalamineError, OSError, ValueError) as failure:
        raise MalformedError(f"the workbook cannot be read: {str(failure)[:200]}. {AGAIN}") from None
    if first is None:
        raise MalformedError("the sheet is empty; its first row must name the columns. Way out: --sheet NAME")
    header = [str(cell).strip() for cell in first.cells]
    if len(header) > COLUMNS_MAX:
        raise MalformedError(f"row {first.line} has {len(header)} columns; at most {COLUMNS_MAX} are read")
    return Table(header, rows, is_streamed=False)


def _look_over(path: Path) -> None:
    """Unpack it to nowhere, and count: what it says of its own size may be a lie."""
    total = 0
    try:
        with zipfile.ZipFile(path) as archive:
            parts = archive.infolist()
            names = {part.filename for part in parts}
            if "xl/workbook.xml" not in names:
                raise MalformedError(f"the file is an archive and no .xlsx workbook. {AGAIN}")
            if any("vbaproject" in name.casefold() for name in names):
                raise MalformedError(
                    "the workbook has macros, which nobody here runs. Way out: save it as .xlsx without"
                )
            if len(parts) > PARTS_MAX:
                raise MalformedError(f"the workbook has {len(parts)} parts; no honest one has so many. {AGAIN}")
            for part in parts:
                with archive.open(part) as file:
                    while piece := file.read(_PART):
                        total += len(piece)
                        if total > UNPACKED_BYTES_MAX:
                            raise MalformedError(
                                f"the workbook unpacks to more than {UNPACKED_BYTES_MAX // 2**20} MiB. Way out: save "
                                "it as CSV UTF-8, which is read row by row, or leave the other sheets out"
                            )
    except _DAMAGES as failure:
        raise MalformedError(f"the workbook is damaged or was cut off: {str(failure)[:100]}. {AGAIN}") from None


def _try(path: Path, name: str) -> None:
    """Have it read elsewhere first: what small parts make of it when they are put together is known only then."""
    trial = [sys.executable, "-P", "-m", "oneshelf.files.sheet_trial", str(path), name, str(SHEET_BYTES_MAX)]
    try:
        ended = subprocess.run(trial, check=False, capture_output=True, timeout=TRIAL_S_MAX)  # noqa: S603  # Ours.
        is_readable = ended.returncode == 0
    except subprocess.TimeoutExpired:
        is_readable = False
    if not is_readable:
        raise MalformedError(
            f"the sheet {name!r} needs more than {SHEET_BYTES_MAX // 2**20} MiB to be read: a cell lies far from the "
            "others, or long texts are repeated. Way out: save it as CSV UTF-8, which is read row by row"
        )


def _chosen(names: list[str], wanted: str) -> str:
    if wanted in names:
        return wanted
    if wanted:
        raise MalformedError(f"the workbook has no sheet {wanted!r}; there are: {', '.join(names)}")
    if len(names) != 1:
        raise MalformedError(f"the workbook has several sheets: {', '.join(names)}. Way out: --sheet {names[0]!r}")
    return names[0]


def _rows(sheet: object) -> Iterator[Row]:
    """The rows that hold something, numbered as the spreadsheet numbers them."""
    for line, cells in enumerate(sheet.to_python(skip_empty_area=False), 1):  # type: ignore[attr-defined]  # no stubs
        if any(cell != "" for cell in cells):
            yield Row(line, [_plain(cell) for cell in cells])


def _plain(cell: object) -> object:
    """Numbers that are whole as such; what the spreadsheet dated stays what it is, and is refused where it stands."""
    if isinstance(cell, float) and cell.is_integer() and abs(cell) < 1e15:
        return int(cell)
    return str(cell) if isinstance(cell, time) else cell
