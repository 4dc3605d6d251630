"""A damaged file says what is wrong, where, and the way out, and changes nothing; the unusual is read right."""

from __future__ import annotations

import zipfile
from datetime import datetime
from typing import Any, NamedTuple

import pytest

from files.desk import open_desk
from files.workbooks import (
    archive,
    far_workbook,
    long_text_in_each_row,
    rewritten,
    with_changed_bytes,
    with_parts,
    workbook,
)
from flow.test_counts import receive
from oneshelf.files.csv_table import LINE_BYTES_MAX
from oneshelf.files.excel_table import UNPACKED_BYTES_MAX
from oneshelf.files.report import Report, State

pytestmark = pytest.mark.pg

HEAD = "sku,location,on_hand\n"
GOOD = HEAD + "MUG,BER,7\n"


class Damage(NamedTuple):
    """`says`: parts of what a person reads, among them the way out."""

    content: str | bytes
    says: tuple[str, ...]
    said: dict[str, Any] = {}  # noqa: RUF012  # Nobody changes it.


DAMAGED = {
    "another encoding": Damage(HEAD.encode() + b"M\xdcG,BER,7\n", ("line 2", "0xDC", "--encoding cp1252")),
    "UTF-16": Damage(GOOD.encode("utf-16"), ("UTF-16", "CSV UTF-8")),
    "a column twice": Damage("sku,location,on_hand,On Hand\nMUG,BER,7,8\n", ("'On Hand' twice",)),
    "mixed separators": Damage(HEAD + "MUG,BER,7\nCAP;BER;4\n", ("line 3", "1 cells and the header 3", "separator")),
    "a date of a spreadsheet": Damage(
        "sku,location,on_hand,taken_at\nMUG,BER,7,11/25/2026\n", ("line 2", "taken_at", "2026-11-25T14:00:00Z")
    ),
    "an instant without a zone": Damage(
        "sku,location,on_hand,taken_at\nMUG,BER,7,2026-11-25T14:00:00\n", ("line 2", "taken_at", "add Z")
    ),
    "an exponent": Damage(HEAD + "MUG,BER,1e3\n", ("line 2", "on_hand", "1e3", "write the digits")),
    "a thousands separator": Damage(HEAD + 'MUG,BER,"1,000"\n', ("line 2", "on_hand", "1,000", "digits only")),
    "a thousands separator of another country": Damage(HEAD + "MUG,BER,1.000\n", ("line 2", "1.000", "digits only")),
    "a sign behind": Damage(HEAD + "MUG,BER,7-\n", ("line 2", "7-", "write it before")),
    "nothing": Damage("", ("empty", "export it again")),
    "a header only": Damage(HEAD, ("a header and no row", "Export it again".lower())),
    "cut off in a row": Damage(HEAD + "MUG,BER,7\nCAP,B", ("line 3", "2 cells and the header 3", "cut off")),
    "a quote that is not closed": Damage(
        HEAD + 'MUG,BER,7\n"CAP,BER,4\nMUG,HAM,3\n', ("line 3", "never closed", "export it again")
    ),
    "a quote inside": Damage(HEAD + '"MU"G",BER,7\n', ("line 2", "write it twice")),
    "ten million columns": Damage("a," * 10_000_000, ("line 1", f"longer than {LINE_BYTES_MAX}", "CSV UTF-8")),
    "many columns": Damage("a," * 300 + "\n", ("line 1", "301 columns", "at most 200")),
    "NUL bytes": Damage(HEAD.encode() + b"M\0G,BER,7\n", ("line 2", "NUL byte", "CSV UTF-8")),
    "no names of columns": Damage("MUG,BER,7\nCAP,BER,4\n", ("'MUG'", "nobody here reads", "--ignore")),
    "a column nobody knows": Damage("sku,location,on_hand,taken\nMUG,BER,7,x\n", ("'taken'", "--column", "--ignore")),
    "a header of merged cells": Damage("sku,,on_hand\nMUG,BER,7\n", ("column 2", "no name", "Merged", "one name")),
    "no figure": Damage("sku,location\nMUG,BER\n", ("no figure", "on_hand", "--column")),
    "two figures": Damage("sku,location,on_hand,available\nMUG,BER,7,7\n", ("on_hand and available", "one of")),
    "no place": Damage("sku,on_hand\nMUG,7\n", ("where?", "--location")),
    "an unknown SKU": Damage(HEAD + "HAT,BER,7\n", ("line 2", "sku", "HAT", "add-sku")),
    "an unknown location": Damage(HEAD + "MUG,OSLO,7\n", ("line 2", "OSLO", "add-location")),
    "a negative count": Damage(HEAD + "MUG,BER,-1\n", ("line 2", "on_hand", "-1", "between 0 and")),
    "too large": Damage(HEAD + "MUG,BER,1000000001\n", ("line 2", "1000000001", "between 0 and 1000000000")),
    "larger than any number": Damage(HEAD + f"MUG,BER,{'9' * 50}\n", ("line 2", "on_hand", "whole number")),
    "a fraction": Damage(HEAD + "MUG,BER,1.5\n", ("line 2", "1.5", "no fraction")),
    "digits of another script": Damage(HEAD + "MUG,BER,\u0667\n", ("line 2", "digits only")),
    "an empty figure": Damage(HEAD + "MUG,BER,\n", ("line 2", "on_hand", "is empty", "nothing there is 0")),
    "an empty SKU": Damage(HEAD + " ,BER,1\n", ("line 2", "sku", "is empty")),
    "an invisible character in a SKU": Damage(HEAD + "MU\u200bG,BER,1\n", ("line 2", "U+200B")),
    "a cell without end": Damage(HEAD + "M" * 5_000 + ",BER,1\n", ("line 2", "sku", "at most 4000")),
    "line ends of carriage returns alone": Damage(
        "sku,location,on_hand\rMUG,BER,7\r", ("carriage return", "LF or CRLF")
    ),
    "the same SKU twice": Damage(HEAD + "MUG,BER,7\nMUG,BER,8\n", ("line 3", "an earlier row")),
    "an old workbook, or one with a password": Damage(
        b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(512), ("password", "save it as .xlsx")
    ),
    "an instant to come": Damage(
        "sku,location,on_hand,taken_at\nMUG,BER,7,2999-01-01T00:00:00Z\n", ("line 2", "still to come")
    ),
    "a wrong token": Damage("sku,location,on_hand,token\nMUG,BER,7,x\n", ("line 2", "token", "count-begin")),
    "a token of no count": Damage(
        "sku,location,on_hand,token\nMUG,BER,7,00000000-0000-7000-8000-000000000007\n", ("line 2", "count-begin")
    ),
    "a first line that tells Excel the separator": Damage(
        "sep=;\nsku;location;on_hand\nMUG;BER;7\n", ("line 1 is 'sep=;'", "delete that")
    ),
    "a sheet of no workbook": Damage(GOOD, ("no workbook", "leave --sheet out"), {"sheet": "Counts"}),
    "an encoding that nobody knows": Damage(GOOD, ("--encoding", "cp1252"), {"encoding": "utf-7"}),
    "a column that is not there": Damage(GOOD, ("sku=No", "no column 'No'"), {"names": {"sku": "No"}}),
}

HEADER = ("sku", "location", "on_hand")
GOOD_BOOK = workbook([HEADER, ("MUG", "BER", 7)])
DAMAGED |= {
    "a workbook that was cut off": Damage(
        GOOD_BOOK[: len(GOOD_BOOK) // 2], ("damaged or was cut off", "save it again")
    ),
    "a workbook whose bytes were changed": Damage(
        GOOD_BOOK.replace(b"xl/worksheets/sheet1.xml", b"xl/worksheets/sheet9.xml"), ("workbook", "save it again")
    ),
    "a zip bomb": Damage(
        with_parts(GOOD_BOOK, {"xl/media/image1.png": bytes(UNPACKED_BYTES_MAX)}), ("unpacks to more", "CSV UTF-8")
    ),
    "a workbook with a cell at the far corner": Damage(
        far_workbook(1_048_575, 16_383), ("needs more than 1024 MiB", "far from the others", "CSV UTF-8")
    ),
    "a workbook that repeats a long text": Damage(
        long_text_in_each_row(1_000_000, 5_000), ("needs more than 1024 MiB", "long texts", "CSV UTF-8")
    ),
    "an archive that is no workbook": Damage(archive({"a.txt": b"a"}), ("no .xlsx workbook", "save it again")),
    "a workbook with macros": Damage(
        with_parts(GOOD_BOOK, {"xl/vbaProject.bin": b"x"}), ("has macros", "save it as .xlsx without")
    ),
    "a workbook with several sheets": Damage(
        workbook([HEADER], [HEADER]), ("several sheets: Sheet1, Sheet2", "--sheet 'Sheet1'")
    ),
    "a sheet that is not there": Damage(GOOD_BOOK, ("no sheet 'June'", "there are: Sheet1"), {"sheet": "June"}),
    "the wrong sheet": Damage(
        workbook([("a note",)], [HEADER, ("MUG", "BER", 7)]), ("'a note'", "nobody here reads"), {"sheet": "Sheet1"}
    ),
    "an empty sheet": Damage(workbook([]), ("the sheet is empty", "--sheet")),
    "a header of merged cells in a sheet": Damage(
        workbook([("sku", "", "on_hand"), ("MUG", "BER", 7)], merged="A1:B1"), ("column 2", "no name", "Merged")
    ),
    "a date in a figure of a sheet": Damage(
        workbook([HEADER, ("MUG", "BER", datetime(2026, 11, 25, 9, 0))]),  # noqa: DTZ001  # A sheet has no zones.
        ("line 2", "on_hand", "made a date", "format the column as a number"),
    ),
    "a date of a sheet without a zone": Damage(
        workbook([(*HEADER, "taken_at"), ("MUG", "BER", 7, datetime(2026, 11, 25, 9, 0))]),  # noqa: DTZ001  # as above
        ("line 2", "taken_at", "no zone", "2026-11-25T14:00:00Z"),
    ),
    "a fraction in a sheet": Damage(workbook([HEADER, ("MUG", "BER", 7.5)]), ("line 2", "on_hand", "7.5")),
    "no number in a sheet": Damage(
        rewritten(GOOD_BOOK, b"<v>7</v>", b"<v>NaN</v>"), ("line 2", "on_hand", "whole number")
    ),
    "more than any number in a sheet": Damage(
        rewritten(GOOD_BOOK, b"<v>7</v>", b"<v>1e400</v>"), ("line 2", "on_hand", "whole number")
    ),
    "a SKU that is no number in a sheet": Damage(
        rewritten(workbook([HEADER, (9, "BER", 7)]), b"<v>9</v>", b"<v>inf</v>"), ("line 2", "sku", "as text")
    ),
    "a workbook packed by a rare method and damaged": Damage(
        with_changed_bytes(rewritten(GOOD_BOOK, compression=zipfile.ZIP_LZMA)), ("damaged", "save it again")
    ),
    "a workbook with a part whose name is no text": Damage(
        with_parts(GOOD_BOOK, {"xl/\u00e9\u00e9": b""}).replace("\u00e9\u00e9".encode(), b"\xff\xfe\xff\xfe"),
        ("damaged", "save it again"),
    ),
    "a truth in a sheet": Damage(workbook([HEADER, (True, "BER", 7)]), ("line 2", "sku", "format the column as text")),
    "a SKU that became a fraction in a sheet": Damage(
        workbook([HEADER, (1.5, "BER", 7)]), ("line 2", "sku", "as text")
    ),
    "an unknown SKU in a sheet, after an empty row": Damage(
        workbook([HEADER, (), ("HAT", "BER", 7)]), ("line 3", "HAT", "add-sku")
    ),
}

UNUSUAL: dict[str, str | bytes] = {
    "a workbook": GOOD_BOOK,
    "a workbook whose figures are text": workbook([HEADER, ("MUG", "BER", "7")]),
    "a workbook with empty rows": workbook([HEADER, (), ("MUG", "BER", 7), ()]),
    "a byte order mark": "\ufeff" + GOOD,
    "line ends of Windows": GOOD.replace("\n", "\r\n"),
    "mixed line ends": "sku,location,on_hand\r\nMUG,BER,7\nMUG,HAM,1\r\n",
    "a quoted newline": 'sku,location,on_hand,reason\nMUG,BER,7,"two\nlines"\n',
    "semicolons": GOOD.replace(",", ";"),
    "tabs": GOOD.replace(",", "\t"),
    "bars": GOOD.replace(",", "|"),
    "quotes everywhere": '"sku","location","on_hand"\n"MUG","BER","7"\n',
    "no newline at the end": GOOD.rstrip("\n"),
    "empty lines between": HEAD + "\nMUG,BER,7\n\n",
    "capitals and blanks in the header": "SKU, Location ,On hand\nMUG,BER,7\n",
    "blanks around": HEAD + " MUG , BER , 7 \n",
    "a sign before": HEAD + "MUG,BER,+7\n",
}


def told(report: Report) -> str:
    rows = "\n".join(f"line {one.line}, {one.column}: {one.value}: {one.reason}" for one in report.problems)
    return f"{report.refusal}\n{rows}"


@pytest.mark.long(but_one_in=5)
@pytest.mark.parametrize("name", DAMAGED)
async def test_a_damaged_file_says_what_is_wrong_and_changes_nothing(dsn: str, name: str) -> None:
    damage = DAMAGED[name]
    said: dict[str, Any] = {"taken_at": None, **damage.said}
    async with open_desk(dsn) as desk:
        await desk.ledger.ask(receive(10))
        before = desk.everything()
        report = await desk.bring(damage.content, **said)
        assert report.state is State.REFUSED
        for words in damage.says:
            assert words in told(report)
        assert desk.everything() == before


@pytest.mark.parametrize("name", UNUSUAL)
async def test_what_is_only_unusual_is_read_right(dsn: str, name: str) -> None:
    async with open_desk(dsn) as desk:
        report = await desk.bring(UNUSUAL[name], taken_at=None)
        assert report.state is State.APPLIED, told(report)
        assert await desk.ledger.figures() == {"available": 7}
