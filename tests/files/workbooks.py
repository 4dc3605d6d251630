"""Workbooks as programs write them, and as they are damaged."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import xlsxwriter


def workbook(*sheets: Sequence[Sequence[object]], merged: str = "") -> bytes:
    """One sheet for each table of cells; `merged`: a range whose cells are one."""
    file = io.BytesIO()
    with xlsxwriter.Workbook(file) as book:
        dated = book.add_format({"num_format": "yyyy-mm-dd hh:mm"})
        for rows in sheets:
            sheet: Any = book.add_worksheet()
            for at, row in enumerate(rows):
                for column, cell in enumerate(row):
                    if isinstance(cell, datetime):
                        sheet.write_datetime(at, column, cell, dated)
                    else:
                        sheet.write(at, column, cell)
            if merged:
                sheet.merge_range(merged, "sku")
    return file.getvalue()


def with_parts(content: bytes, parts: Mapping[str, bytes]) -> bytes:
    """The workbook with more parts in it."""
    file = io.BytesIO(content)
    with zipfile.ZipFile(file, "a", zipfile.ZIP_DEFLATED) as archive:
        for name, part in parts.items():
            archive.writestr(name, part)
    return file.getvalue()


def archive(parts: Mapping[str, bytes]) -> bytes:
    """A zip file of these."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as made:
        for name, part in parts.items():
            made.writestr(name, part)
    return file.getvalue()


def far_workbook(row: int, column: int) -> bytes:
    """A workbook of a few KB with one cell far from the others: whoever lays out the rectangle needs all memory."""
    file = io.BytesIO()
    with xlsxwriter.Workbook(file) as book:
        sheet: Any = book.add_worksheet()
        sheet.write(0, 0, "sku")
        sheet.write(row, column, 7)
    return file.getvalue()


def long_text_in_each_row(length: int, rows: int) -> bytes:
    """A workbook of a few KB in which every row shows the same long text, which is kept once."""
    file = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(far_workbook(1, 0))) as whole, zipfile.ZipFile(file, "w", 8) as made:
        for name in whole.namelist():
            part = whole.read(name)
            if name.endswith("sharedStrings.xml"):
                part = part.replace(b"<si><t>sku</t></si>", b"<si><t>%s</t></si>" % (b"M" * length))
            if name.endswith("sheet1.xml"):
                cells = b"".join(b'<row r="%d"><c r="A%d" t="s"><v>0</v></c></row>' % (at, at) for at in range(3, rows))
                part = part.replace(b"</sheetData>", cells + b"</sheetData>")
            made.writestr(name, part)
    return file.getvalue()


def rewritten(content: bytes, old: bytes = b"", new: bytes = b"", *, compression: int = zipfile.ZIP_DEFLATED) -> bytes:
    """The workbook with other words in its first sheet, packed by another method."""
    file = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as whole, zipfile.ZipFile(file, "w", compression) as made:
        for name in whole.namelist():
            part = whole.read(name)
            made.writestr(name, part.replace(old, new) if name.endswith("sheet1.xml") and old else part)
    return file.getvalue()


def with_changed_bytes(content: bytes) -> bytes:
    """The workbook with every byte between a fifth and two fifths of it turned over."""
    first, last = len(content) // 5, 2 * len(content) // 5
    return content[:first] + bytes(byte ^ 0x55 for byte in content[first:last]) + content[last:]
