"""A kind of file: which columns it has, what a row says, and how rows are held against what there is and applied."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple, Protocol, TypeVar
from uuid import UUID

from oneshelf.domain.identity import Location, instant_from, units_from
from oneshelf.errors import MalformedError
from oneshelf.files.table import CELL_LENGTH_MAX, CellError, Reading, Row, normal, shown, unguarded
from oneshelf.flow.post import Keep
from oneshelf.storage.database import Database

SCOPE = "import"
# The same for all of them: what is equal is counted.
NO_SUCH_SKU = "no such SKU; name it first: oneshelf stock add-sku, or a file of SKUs"

_WHOLE = re.compile(r"[+-]?[0-9]{1,18}", re.ASCII)
_GROUPED = re.compile(r"[+-]?[0-9]{1,3}([ .,'\u00a0\u202f][0-9]{3})+", re.ASCII)
_TRAILING_SIGN = re.compile(r"[0-9]+[+-]")
_EXPONENT = re.compile(r"[+-]?[0-9.,]+[eE][+-]?[0-9]+", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What a person says once for all rows of a file. `taken_at`: None is at this instant; it is asked whether said."""

    import_id: str = ""
    taken_at: datetime | None = None
    says_taken_at: bool = False
    location: Location | None = None
    actor: str = "import"


class Checked(NamedTuple):
    """A row beside what there is now. `problem`: why it cannot be applied. `place`: where something may become nothing.

    `units_before`: on hand there; `is_zero`: nothing would be left.
    """

    problem: CellError | None = None
    location: Location | None = None
    units_before: int = 0
    is_zero: bool = False


class Applied(NamedTuple):
    """What became of a row. `is_replayed`: it was applied before, and nothing was done again.

    `effect`: in words; of stock that has moved only where nothing is kept. `column`: the one that is refused.
    """

    is_done: bool
    effect: str
    is_replayed: bool = False
    column: str = ""


Item = TypeVar("Item")


class RowKind(Protocol[Item]):
    """How the rows of one kind of file are read, checked and applied."""

    @property
    def name(self) -> str: ...

    @property
    def columns(self) -> Sequence[str]:
        """All that may be in the header."""
        ...

    @property
    def is_stock(self) -> bool:
        """Whether its rows lock balances while they are applied."""
        ...

    @property
    def is_whole(self) -> bool:
        """Whether rows belong together, so that a file is applied as a whole or not at all."""
        ...

    @property
    def is_standing(self) -> bool:
        """Whether a row says what is so from now on: said again after something else, it is so again."""
        ...

    def adds(self, columns: Columns) -> bool:
        """Whether a row says by how much something changes, so that the same file later is the same news."""
        ...

    def reader(self, columns: Columns, told: Told) -> Callable[[Row], Item]:
        """What makes an item of a row; it raises CellError. Raises MalformedError for columns that do not do."""
        ...

    def subject(self, item: Item) -> str:
        """What the row is about, as a person would say it. Empty: several rows may be about the same."""
        ...

    def about(self, columns: Columns) -> Callable[[Row], str] | None:
        """What tells, before a row is read, what it is about: rows about different things do not touch one another, so
        they may be applied at the same time. It raises CellError. None: they may not.
        """
        ...

    def label(self, item: Item) -> str:
        """The row in a few words."""
        ...

    async def check(self, database: Database, items: Sequence[Item]) -> list[Checked]:
        """Each item beside what there is."""
        ...

    async def apply(
        self, database: Database, new_id: Callable[[], UUID], items: Sequence[Item], keep: Keep
    ) -> list[Applied]:
        """Do what the rows say, in one transaction."""
        ...


class Columns:
    """The columns of a file by our names. Raises MalformedError for missing, unknown, empty and doubled ones."""

    def __init__(self, header: Sequence[str], known: Sequence[str], reading: Reading) -> None:
        self.count = len(header)
        self._header = header
        ours = {normal(theirs): name for name, theirs in reading.names.items()}
        if strange := sorted(set(reading.names) - set(known)):
            raise MalformedError(
                f"--column {strange[0]}=…: there is no such column here; there are: {', '.join(known)}"
            )
        ignored = {normal(name) for name in reading.ignored}
        self._at: dict[str, int] = {}
        for at, name in enumerate(header):
            self._take(at, name, ours, known, ignored, ignores_all="*" in reading.ignored)
        there = {normal(name) for name in header}
        for name, theirs in reading.names.items():
            if normal(theirs) not in there:
                raise MalformedError(f"--column {name}={theirs}: the header has no column {theirs!r}, but {self}")

    def _take(
        self, at: int, name: str, ours: Mapping[str, str], known: Sequence[str], ignored: set[str], *, ignores_all: bool
    ) -> None:
        plain = normal(name)
        column = ours.get(plain, plain)
        if not plain:
            raise MalformedError(
                f"column {at + 1} of the header has no name. Merged cells in the header read so too. Way out: give "
                "every column one name in the first row"
            )
        if plain in ignored:
            return
        if column in self._at:
            raise MalformedError(f"the header has the column {shown(name)!r} twice; nobody knows which one counts")
        if column in known:
            self._at[column] = at
        elif not ignores_all:
            raise MalformedError(
                f"the header has a column {shown(name)!r} that nobody here reads; there are: {', '.join(known)}. "
                f"Way out: --ignore {shown(name)!r}, or --column NAME={shown(name)} if it is one of ours"
            )

    def __contains__(self, column: str) -> bool:
        return column in self._at

    def __str__(self) -> str:
        return ", ".join(map(shown, self._header))

    def need(self, *names: str) -> None:
        """Raise MalformedError unless all of these are there."""
        for name in names:
            if name not in self._at:
                raise MalformedError(
                    f"the header has no column {name!r}, but {self}. Way out: name it so, or say which one it is: "
                    f"--column {name}=THEIRS"
                )

    def cell(self, name: str) -> Callable[[Row], object]:
        """What reads one column of a row; the empty text where the file has no such column, or the cell is empty."""
        at = self._at.get(name)
        if at is None:
            return lambda row: ""

        def read(row: Row) -> object:
            value = row.cells[at]
            if isinstance(value, str):
                if len(value) > CELL_LENGTH_MAX:
                    raise CellError(name, value, f"has {len(value)} characters; at most {CELL_LENGTH_MAX} are read")
                return unguarded(value) if value[:1] == "'" else value
            return value

        return read

    def fit(self, row: Row) -> None:
        """Raise CellError unless the row has as many cells as the header."""
        if len(row.cells) != self.count:
            raise CellError(
                "",
                " | ".join(map(str, row.cells)),
                f"the row has {len(row.cells)} cells and the header {self.count}: a separator inside a cell needs "
                "quotes around it, and rows that are cut off or use another separator are damaged",
            )


def text_in(column: str, value: object) -> str:
    """What a cell says as text. Raises CellError for a number that is no whole one, and for a date."""
    if isinstance(value, str):
        return value.strip()
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise CellError(column, value, "the spreadsheet has made a date or a truth of it; format the column as text")
    # Neither is what no number is, or what is larger than any.
    if isinstance(value, float) and not value.is_integer():
        raise CellError(column, value, "the spreadsheet has made a number of it; format the column as text")
    return str(int(value))


def name_reader(columns: Columns, column: str, gate: Callable[[object], str]) -> Callable[[Row], str]:
    """What reads a name that passes the gate in a row, or perhaps one that does not: see `RowKind.about`."""
    cell = columns.cell(column)

    def read(row: Row) -> str:
        value = cell(row)
        # Nearly all of them are so, and pass the gate as they are, or not at all.
        return value.strip() if isinstance(value, str) and value.isascii() else named_in(column, value, gate)

    return read


def named_in(column: str, value: object, gate: Callable[[object], str]) -> str:
    """A name that passes the gate. Raises CellError."""
    try:
        return gate(text_in(column, value))
    except CellError:
        raise
    except MalformedError as failure:
        raise CellError(column, value, str(failure)) from None


def units_in(column: str, value: object, *, least: int = 0) -> int:
    """Units in a cell. Raises CellError, which says how to write it."""
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        value = int(value)
    if isinstance(value, str):
        text = value.strip()
        if not _WHOLE.fullmatch(text):
            raise CellError(column, value, _why_no_units(text))
        value = int(text)
    elif isinstance(value, bool) or not isinstance(value, int | float):
        raise CellError(
            column, value, "the spreadsheet has made a date or a truth of it; format the column as a number"
        )
    try:
        return units_from(value, what=column, least=least)
    except MalformedError as failure:
        raise CellError(column, value, str(failure).removeprefix(f"{column} ")) from None


def _why_no_units(text: str) -> str:
    if not text:
        return "is empty; a row that says nothing is left out of the file, and nothing there is 0"
    if _GROUPED.fullmatch(text):
        return "is written with a separator, which is a thousand in one country and a fraction in another; digits only"
    if _TRAILING_SIGN.fullmatch(text):
        return "has its sign behind the digits; write it before them"
    if _EXPONENT.fullmatch(text):
        return "is written with an exponent, as spreadsheets do; write the digits, as 1000 for 1e3"
    return "is no whole number; write digits only, such as 1200: no fraction, no unit, no separator"


def instant_in(column: str, value: object) -> datetime:
    """An instant in a cell. Raises CellError."""
    if not isinstance(value, str):
        raise CellError(
            column, value, "is a date of a spreadsheet, which has no zone; write text such as 2026-11-25T14:00:00Z"
        )
    try:
        return instant_from(value.strip(), what="it")
    except MalformedError as failure:
        raise CellError(column, value, str(failure)) from None
