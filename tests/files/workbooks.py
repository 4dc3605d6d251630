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
