"""Write what there is into a file: as of one instant, in the columns that an import reads, page by page."""

from __future__ import annotations

import csv
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Any, Protocol, TextIO

from oneshelf.domain.policy import Rule
from oneshelf.errors import MalformedError
from oneshelf.files.rule_rows import ALL_TERMS
from oneshelf.files.table import guarded
from oneshelf.storage import exports, policies, views
from oneshelf.storage.database import Database, Transaction, now

Cells = Sequence[str | int]
SHEET_ROWS_MAX = 1_048_576


class Format(StrEnum):
    """How a file is written."""

    CSV = "csv"
    XLSX = "xlsx"

    @property
    def media_type(self) -> str:
        if self is Format.CSV:
            return "text/csv; charset=utf-8"
        return "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"


class Writer(Protocol):
    """Takes one row after the other."""

    def __call__(self, cells: Cells) -> None: ...


async def _skus(tx: Transaction) -> AsyncIterator[Cells]:
    async for sku, title in exports.names(tx, table="skus"):
        yield (sku, title)


async def _locations(tx: Transaction) -> AsyncIterator[Cells]:
    async for location, title in exports.names(tx, table="locations"):
        yield (location, title)


async def _counts(tx: Transaction) -> AsyncIterator[Cells]:
    taken_at = _written(await now(tx))
    async for sku, location, on_hand in exports.on_hand(tx):
        yield (sku, location, on_hand, taken_at)


async def _links(tx: Transaction) -> AsyncIterator[Cells]:
    async for channel, channel_sku, sku, pack_units in exports.links(tx):
        yield (channel, channel_sku, sku, pack_units)


async def _receipts(tx: Transaction) -> AsyncIterator[Cells]:
    async for sku, location, units, happened_at, source, _ in exports.receipts(tx):
        yield (sku, location, units, _written(happened_at) if happened_at else "", source)


async def _policies(tx: Transaction) -> AsyncIterator[Cells]:
    rows = await policies.listed(tx, limit=exports.PAGE)
    while rows:
        for row in rows:
            yield _rule_cells(row.rule)
        scope = rows[-1].rule.scope
        after = (scope.channel or "", scope.sku_group or "", scope.sku or "")
        rows = await policies.listed(tx, after=after, limit=exports.PAGE) if len(rows) == exports.PAGE else []


def _rule_cells(rule: Rule) -> Cells:
    stated = rule.stated()
    said = [stated.get(name, "") for name in ALL_TERMS]
    words = [("yes" if one else "no") if isinstance(one, bool) else one for one in said]
    return (rule.scope.sku or "", rule.scope.sku_group or "", rule.scope.channel or "", *words)


EXPORTS: Mapping[str, tuple[tuple[str, ...], Callable[[Transaction], AsyncIterator[Cells]]]] = {
    "skus": (("sku", "title"), _skus),
    "locations": (("location", "title"), _locations),
    "listings": (("channel", "channel_sku", "sku", "pack_units"), _links),
    "counts": (("sku", "location", "on_hand", "taken_at"), _counts),
    "receipts": (("sku", "location", "received", "received_at", "posted_as"), _receipts),
    "policies": (("sku", "group", "channel", *ALL_TERMS), _policies),
}


async def write_out(database: Database, kind: str, path: Path, form: Format) -> int:
    """Write all there is of a kind, as of one instant. Returns how many rows. Raises MalformedError for no kind."""
    if kind not in EXPORTS:
        raise MalformedError(f"there is no kind of file {kind[:40]!r}; there are: {', '.join(EXPORTS)}")
    header, rows = EXPORTS[kind]
    count = 0
    with _csv(path) if form is Format.CSV else _xlsx(path, kind) as write:
        write(header)
        async with database.transaction() as tx:
            await views.freeze(tx)
            async for cells in rows(tx):
                write([guarded(cell) if isinstance(cell, str) else cell for cell in cells])
                count += 1
    return count


@contextmanager
def _csv(path: Path) -> Iterator[Writer]:
    with path.open("w", encoding="utf-8", newline="") as file:
        yield _csv_writer(file)


def _csv_writer(file: TextIO) -> Writer:
    writer = csv.writer(file, lineterminator="\n")

    def write(cells: Cells) -> None:
        writer.writerow(cells)

    return write


@contextmanager
def _xlsx(path: Path, kind: str) -> Iterator[Writer]:
    """Row by row, so that no more than one is in memory. Text is written as text, whatever it looks like."""
    import xlsxwriter

    with xlsxwriter.Workbook(str(path), {"constant_memory": True}) as book:
        sheet: Any = book.add_worksheet(kind)
        sheet.freeze_panes(1, 0)
        at = 0

        def write(cells: Cells) -> None:
            nonlocal at
            if at >= SHEET_ROWS_MAX:
                raise MalformedError(f"a sheet holds at most {SHEET_ROWS_MAX} rows; write a .csv file instead")
            for column, cell in enumerate(cells):
                if isinstance(cell, str):
                    sheet.write_string(at, column, cell)
                else:
                    sheet.write_number(at, column, cell)
            at += 1

        yield write


def _written(instant: datetime) -> str:
    return instant.isoformat().replace("+00:00", "Z")
