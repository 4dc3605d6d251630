"""Files of counts and of receipts: every row is a command to the ledger, with a key that follows from the file."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from hashlib import sha256
from urllib.parse import quote
from uuid import UUID

from oneshelf.domain.command import (
    CLOCK_ERROR_S_MAX,
    KEY_LENGTH_MAX,
    Adjust,
    Command,
    CommandKey,
    Count,
    CountedFigure,
    Receive,
)
from oneshelf.domain.count_outcome import BeforeHistory, CountOutdated, InFuture, NoSuchCount
from oneshelf.domain.identity import UNITS_MAX, Location, Sku, location_from, sku_from
from oneshelf.domain.outcome import Done, Outcome, in_words
from oneshelf.errors import MalformedError
from oneshelf.files.kind import (
    NO_SUCH_SKU,
    SCOPE,
    Applied,
    Checked,
    Columns,
    Told,
    instant_in,
    name_reader,
    named_in,
    text_in,
    units_in,
)
from oneshelf.files.table import CellError, Row
from oneshelf.flow.post import Keep, post_commands
from oneshelf.storage import catalog, imports
from oneshelf.storage.database import Database

FIGURES = tuple(figure.value for figure in CountedFigure)
DELTA = "delta"
# The scope of receipts that have a number of their own, whatever file tells of them.
RECEIPTS = "receipt"
WHEN = (
    "when was it taken? A figure without an instant would erase what was sold since. Way out: a column taken_at, or "
    "--taken-at 2026-11-25T09:00:00Z, or --taken-at now if nothing has moved since"
)
StockItem = Count | Adjust | Receive


class _StockKind:
    """What counts and receipts share: names that have to be known, balances that are locked, answers of the ledger."""

    is_stock = True
    is_whole = False
    is_standing = False
    # The column that says when.
    moment = "taken_at"

    def about(self, columns: Columns) -> Callable[[Row], str]:
        """A SKU. It has balances of its own."""
        return name_reader(columns, "sku", sku_from)

    async def check(self, database: Database, items: Sequence[StockItem]) -> list[Checked]:
        """Each row beside what is known and on hand."""
        keys = {(item.sku, item.location) for item in items}
        async with database.transaction() as tx:
            asked = await catalog.ask_known(tx, {sku for sku, _ in keys}, {location for _, location in keys})
            known = await catalog.told_known(asked)
            on_hand = await imports.on_hand(tx, keys)
        return [self._checked(item, known, on_hand.get((item.sku, item.location), 0)) for item in items]

    def _checked(self, item: StockItem, known: catalog.Known, before: int) -> Checked:
        if item.sku not in known.skus:
            return Checked(CellError("sku", item.sku, NO_SUCH_SKU))
        if item.sku in known.bundles:
            return Checked(CellError("sku", item.sku, "is a bundle; its components are counted"))
        if item.location not in known.locations:
            reason = f"no such location; name it first: oneshelf stock add-location {item.location!r}"
            return Checked(CellError("location", item.location, reason))
        return Checked(None, item.location, before, before > 0 and _left(item, before) <= 0)

    async def apply(
        self, database: Database, new_id: Callable[[], UUID], items: Sequence[StockItem], keep: Keep
    ) -> list[Applied]:
        """Post the commands."""
        commands: Sequence[Command] = items
        answers = []
        for one in await post_commands(database, new_id, commands, keep=keep):
            is_done = isinstance(one.outcome, Done)
            # Of a million rows that are done nobody reads what each has done.
            words = "" if is_done and keep is not Keep.NOTHING else _in_words(one.outcome)
            answers.append(Applied(is_done, words, one.was_replayed, self._column_of(one.outcome)))
        return answers

    def _column_of(self, outcome: Outcome) -> str:
        """The column that has to say something else; "" for a row that cannot be as a whole."""
        if isinstance(outcome, BeforeHistory | CountOutdated | InFuture):
            return self.moment
        return "token" if isinstance(outcome, NoSuchCount) else ""


def _in_words(outcome: Outcome) -> str:
    """The outcome of a row, the same for all rows of which it is true, in words that the file's user has."""
    if not isinstance(outcome, BeforeHistory):
        return in_words(outcome)
    later = "its first movement is later" if outcome.first_at else "no unit of it has moved yet"
    return (
        f"refused: nobody knows what moved since: {later}. Count it now, and bring that in with this cell empty and "
        "--taken-at now (the file is of now)"
    )


def _left(item: StockItem, before: int) -> int:
    match item:
        case Count():
            return item.units
        case Adjust():
            return before + item.delta_units
        case Receive():
            return before + item.units


class Counts(_StockKind):
    """What somebody counted: `on_hand`, `available` or `unshipped` of a SKU at a location; or a difference."""

    name = "counts"
    columns = ("sku", "location", *FIGURES, DELTA, "taken_at", "clock_error_s", "token", "reason")

    def adds(self, columns: Columns) -> bool:
        """Where it states a difference."""
        return DELTA in columns

    def reader(self, columns: Columns, told: Told) -> Callable[[Row], StockItem]:
        """One figure for all rows: a file that mixes them is two statements."""
        columns.need("sku")
        stated = [name for name in (*FIGURES, DELTA) if name in columns]
        if len(stated) != 1:
            raise MalformedError(
                f"the header has {' and '.join(stated) or 'no figure'}; a file states one of "
                f"{', '.join((*FIGURES, DELTA))}. on_hand is all that lies there; unshipped is that without damaged "
                "and quality control; available is what is free to sell; delta is a difference. Way out: --column "
                "on_hand=THEIRS"
            )
        if "taken_at" not in columns and "token" not in columns and not told.says_taken_at:
            raise MalformedError(WHEN)
        place = place_reader(columns, told)
        figure, moment, token = columns.cell(stated[0]), moment_reader(columns, "taken_at", told), columns.cell("token")
        error, reason = columns.cell("clock_error_s"), columns.cell("reason")
        has_token, has_error = "token" in columns, "clock_error_s" in columns
        kind = None if stated[0] == DELTA else CountedFigure(stated[0])

        def read(row: Row) -> StockItem:
            columns.fit(row)
            sku, location = place(row)
            key = CommandKey(scope=SCOPE, key=f"{told.import_id}/{row.line}")
            if kind is None:
                units = units_in(DELTA, figure(row), least=-UNITS_MAX)
                why = text_in("reason", reason(row))[:200] or "file"
                return Adjust(
                    key=key, sku=sku, location=location, delta_units=units, reason=why, happened_at=moment(row)
                )
            units = units_in(kind.value, figure(row))
            quoted = _token(token(row)) if has_token else None
            as_of = None if quoted else moment(row)
            error_s = _error_s(error(row)) if as_of and has_error else None
            return Count(
                key=key,
                sku=sku,
                location=location,
                units=units,
                figure=kind,
                token=quoted,
                as_of=as_of,
                error_s=error_s,
            )

        return read

    def subject(self, item: StockItem) -> str:
        """A balance is counted once in a file; differences add up."""
        return f"{item.sku}\n{item.location}" if isinstance(item, Count) else ""

    def label(self, item: StockItem) -> str:
        """The row in a few words."""
        if isinstance(item, Count):
            return f"{item.sku} at {item.location}: {item.units} {item.figure}"
        difference = item.delta_units if isinstance(item, Adjust) else 0
        return f"{item.sku} at {item.location}: {difference:+}"


class Receipts(_StockKind):
    """What came in. With a `receipt` (the number of a delivery note) a line of it is received once, in whatever file.

    `posted_as` is how an export names what the ledger has already: it is not received again.
    """

    name = "receipts"
    columns = ("sku", "location", "received", "received_at", "receipt", "posted_as")
    moment = "received_at"

    def adds(self, columns: Columns) -> bool:
        """What came in comes in once."""
        del columns
        return True

    def reader(self, columns: Columns, told: Told) -> Callable[[Row], StockItem]:
        """Units in each row, and when they came."""
        columns.need("sku", "received")
        if "received_at" not in columns and not told.says_taken_at:
            raise MalformedError(WHEN.replace("taken_at", "received_at").replace("taken?", "received?"))
        place = place_reader(columns, told)
        units, moment = columns.cell("received"), moment_reader(columns, "received_at", told)
        receipt, posted_as = columns.cell("receipt"), columns.cell("posted_as")

        def read(row: Row) -> StockItem:
            columns.fit(row)
            sku, location = place(row)
            return Receive(
                key=_receipt_key(text_in("receipt", receipt(row)), text_in("posted_as", posted_as(row)), sku, location)
                or CommandKey(scope=SCOPE, key=f"{told.import_id}/{row.line}"),
                sku=sku,
                location=location,
                units=units_in("received", units(row), least=1),
                happened_at=moment(row),
            )

        return read

    def subject(self, item: StockItem) -> str:
        """A line of a delivery note stands in a file once."""
        return "" if item.key.scope == SCOPE else str(item.key)

    def about(self, columns: Columns) -> Callable[[Row], str]:
        """A SKU, or what a row was posted as: of two with the same name one is wrong, whatever SKU they say."""
        sku, posted_as = super().about(columns), columns.cell("posted_as")
        return lambda row: text_in("posted_as", posted_as(row)) or sku(row)

    def label(self, item: StockItem) -> str:
        """The row in a few words."""
        units = item.units if isinstance(item, Receive) else 0
        return f"{item.sku} at {item.location}: {units} received"


def _receipt_key(receipt: str, posted_as: str, sku: Sku, location: Location) -> CommandKey | None:
    """The key of a receipt that has a name of its own; None for one that has none."""
    if posted_as:
        scope, blank, key = posted_as.partition(" ")
        try:
            return CommandKey(scope=scope, key=key if blank else "")
        except MalformedError:
            raise CellError("posted_as", posted_as, "must be as an export of receipts wrote it, or empty") from None
    if not receipt:
        return None
    named = "/".join(quote(part, safe="") for part in (receipt, sku, location))
    return CommandKey(scope=RECEIPTS, key=named if len(named) <= KEY_LENGTH_MAX else sha256(named.encode()).hexdigest())


def place_reader(columns: Columns, told: Told) -> Callable[[Row], tuple[Sku, Location]]:
    """What reads SKU and location of a row. Raises MalformedError where nobody says the location."""
    if "location" not in columns and told.location is None:
        raise MalformedError(
            f"where? The header has no column 'location', but {columns}. Way out: --location NAME for all rows, or "
            "--column location=THEIRS"
        )
    sku, location = columns.cell("sku"), columns.cell("location")
    seen: dict[object, Location] = {}

    def read(row: Row) -> tuple[Sku, Location]:
        where = location(row)
        found = seen.get(where) if isinstance(where, str) else None
        if found is None:
            if told.location is not None and where == "":
                found = told.location
            else:
                found = Location(named_in("location", where, location_from))
            if isinstance(where, str) and len(seen) < 10_000:
                seen[where] = found
        return Sku(named_in("sku", sku(row), sku_from)), found

    return read


def moment_reader(columns: Columns, column: str, told: Told) -> Callable[[Row], datetime | None]:
    """What reads the instant of a row: its own, else the one that was said for all. None: at this instant."""
    cell = columns.cell(column)
    last: tuple[object, datetime | None] = ("", told.taken_at)

    def read(row: Row) -> datetime | None:
        nonlocal last
        value = cell(row)
        if value == "":
            if not told.says_taken_at and column == "taken_at":
                raise CellError(column, value, "is empty; say when it was taken, or --taken-at INSTANT for such rows")
            return told.taken_at
        if value != last[0]:
            last = (value, instant_in(column, value))
        return last[1]

    return read


def _token(value: object) -> UUID | None:
    text = text_in("token", value)
    try:
        return UUID(text) if text else None
    except ValueError:
        raise CellError("token", value, "must be as oneshelf stock count-begin gave it, or empty") from None


def _error_s(value: object) -> int | None:
    text = text_in("clock_error_s", value)
    if not text:
        return None
    if not text.isascii() or not text.isdecimal() or int(text) > CLOCK_ERROR_S_MAX:
        raise CellError("clock_error_s", value, f"must be a whole number of seconds up to {CLOCK_ERROR_S_MAX}")
    return int(text)
