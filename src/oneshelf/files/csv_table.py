"""CSV as programs really write it: separated by comma, semicolon, tab or bar; nothing in it is guessed at."""

from __future__ import annotations

import codecs
import csv
from collections.abc import Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import BinaryIO

from oneshelf.errors import MalformedError
from oneshelf.files.table import COLUMNS_MAX, ROWS_MAX, Reading, Row, Table, normal

DELIMITERS = ",;\t|"
ENCODINGS = ("utf-8", "cp1252", "iso-8859-1", "iso-8859-15", "cp850")
# Longer than any honest row, shorter than what would fill the memory.
LINE_BYTES_MAX = 256 * 1024
_WIDE_MARKS = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE, codecs.BOM_UTF32_BE)


def open_csv(path: Path, reading: Reading, known: Sequence[str]) -> Table:
    """The table in a CSV file. Raises MalformedError, see `table.open_table`."""
    if reading.encoding not in ENCODINGS:
        raise MalformedError(f"--encoding must be one of {', '.join(ENCODINGS)}")
    if reading.sheet:
        raise MalformedError("the file is no workbook, so it has no sheet; leave --sheet out")
    lines = _lines(path, reading.encoding)
    first = next(lines, None)
    if first is None or not first.strip():
        raise MalformedError(
            "the file is empty; its first line must name the columns. Nothing was changed. Way out: export it again"
        )
    if first.casefold().startswith("sep="):
        raise MalformedError(
            f"line 1 is {first.strip()[:10]!r}, which only Excel reads. Way out: delete that line; the separator is "
            "told by itself"
        )
    if '"' in first and first.count('"') % 2:
        raise MalformedError("line 1: a quote is opened and not closed in the header; names of columns need no quotes")
    delimiter = _delimiter(first, {normal(name) for name in known})
    records = _records(chain([first], lines), delimiter)
    return Table([cell.strip() for cell in next(records)[1]], (Row(line, cells) for line, cells in records if cells))


def _delimiter(first: str, known: set[str]) -> str:
    """What separates the cells of the header: what gives the most known names, and of those the most cells."""

    def recognized(delimiter: str) -> tuple[int, int]:
        [cells] = csv.reader([first], delimiter=delimiter)
        return sum(normal(cell) in known for cell in cells), len(cells)

    try:
        return max(DELIMITERS, key=recognized)
    except csv.Error as failure:
        raise MalformedError(_in_words(failure, 1)) from None


def _records(lines: Iterator[str], delimiter: str) -> Iterator[tuple[int, list[str]]]:
    """Line and cells; a record begins on the line after the end of the one before."""
    csv.field_size_limit(LINE_BYTES_MAX)
    records = csv.reader(lines, delimiter=delimiter, strict=True)
    begins, count = 1, 0
    while True:
        try:
            for cells in records:
                if len(cells) > COLUMNS_MAX:
                    raise MalformedError(f"line {begins} has {len(cells)} columns; at most {COLUMNS_MAX} are read")
                if count > ROWS_MAX:
                    raise MalformedError(f"the file has more than {ROWS_MAX} rows; cut it into several files")
                yield begins, cells
                begins, count = records.line_num + 1, count + 1
        except csv.Error as failure:
            raise MalformedError(_in_words(failure, begins)) from None
        return


def _in_words(failure: csv.Error, line: int) -> str:
    said = str(failure)
    if "unexpected end" in said or "field larger" in said:
        return (
            f"line {line}: a quote is opened there and never closed, so the rest of the file is one cell. The file is "
            "damaged or was cut off. Way out: export it again; a quote inside a cell is written twice"
        )
    if "new-line character" in said:
        return (
            f"line {line}: a line ends with a carriage return alone. Way out: save the file with line ends LF or CRLF"
        )
    if "expected after" in said:
        return f"line {line}: a quote stands inside a quoted cell. Way out: write it twice, or export the file again"
    return f"line {line}: {said}. Way out: export the file again"


def _lines(path: Path, encoding: str) -> Iterator[str]:
    """The lines of the file as text. Raises MalformedError for what is no text, and for a line without end."""
    decode = codecs.getdecoder(encoding)
    with path.open("rb") as file:
        for number, line in enumerate(_bytes(file), 1):
            if b"\0" in line:
                raise MalformedError(
                    f"line {number} holds a NUL byte, so the file is damaged or not CSV. Way out: save it as CSV UTF-8"
                )
            try:
                yield decode(line, "strict")[0]
            except UnicodeDecodeError as failure:
                raise MalformedError(
                    f"line {number}: the byte 0x{line[failure.start]:02X} is not {encoding.upper()}. Way out: save the "
                    f"file as CSV UTF-8, or say which encoding it has, such as --encoding cp1252"
                ) from None


def _bytes(file: BinaryIO) -> Iterator[bytes]:
    first = file.readline(LINE_BYTES_MAX)
    if first.startswith(_WIDE_MARKS):
        raise MalformedError("the file is UTF-16 or UTF-32 text. Way out: save it as CSV UTF-8")
    line, number = first.removeprefix(codecs.BOM_UTF8), 1
    while line:
        if len(line) >= LINE_BYTES_MAX:
            raise MalformedError(
                f"line {number} is longer than {LINE_BYTES_MAX} bytes; this is no table of rows, or its lines have no "
                "ends. Way out: save it as CSV UTF-8 with one row a line"
            )
        yield line
        line, number = file.readline(LINE_BYTES_MAX), number + 1
