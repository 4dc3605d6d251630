"""Files of wholesale orders: a line of an order in each row. The rows of an order state all of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date
from uuid import UUID

from oneshelf.domain.identity import Location, Sku, day_from, name_from
from oneshelf.domain.wholesale import VERSION_MAX, Refusal, WantedLine, WholesaleWish
from oneshelf.errors import MalformedError
from oneshelf.files.kind import NO_SUCH_SKU, Applied, Checked, Columns, Told, named_in, text_in, units_in
from oneshelf.files.stock_rows import place_reader
from oneshelf.files.table import CellError, Row
from oneshelf.flow import allocate
from oneshelf.flow.post import Keep
from oneshelf.storage import catalog
from oneshelf.storage.database import Database

# What all rows of an order say alike.
_OF_ORDER = ("location", "version", "ship_by", "cancel_after")


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderedLine:
    """A row: an order with one line of it."""

    order: WholesaleWish

    @property
    def line(self) -> WantedLine:
        return self.order.lines[0]


class WholesaleOrders:
    """Purchase orders. The same again changes nothing; a change states the whole order under a higher version."""

    name = "wholesale-orders"
    columns = ("customer", "po_number", "line_id", "sku", "units", "location", "version", "ship_by", "cancel_after")
    is_stock = False
    is_whole = True
    is_standing = False

    def adds(self, columns: Columns) -> bool:
        """It says what is wanted in all."""
        del columns
        return False

    def reader(self, columns: Columns, told: Told) -> Callable[[Row], OrderedLine]:
        """Lines; one without a number of its own is numbered as it stands in its order."""
        columns.need("customer", "po_number", "sku", "units")
        cells = {name: columns.cell(name) for name in self.columns}
        place = place_reader(columns, told)
        firsts: dict[str, WholesaleWish] = {}
        counted: Counter[str] = Counter()

        def read(row: Row) -> OrderedLine:
            columns.fit(row)
            said = {name: cell(row) for name, cell in cells.items()}
            sku, location = place(row)
            line_id = text_in("line_id", said["line_id"])
            customer, po_number = (_name(name, said[name]) for name in ("customer", "po_number"))
            counted[f"{customer}/{po_number}"] += 1
            line = WantedLine(
                line_id=_name("line_id", line_id or str(counted[f"{customer}/{po_number}"])),
                sku=sku,
                units=units_in("units", said["units"], least=1),
            )
            try:
                order = WholesaleWish(
                    customer=customer,
                    po_number=po_number,
                    location=location,
                    lines=(line,),
                    version=_version(said["version"]),
                    ship_by=_day("ship_by", said["ship_by"]),
                    cancel_after=_day("cancel_after", said["cancel_after"]),
                )
            except CellError:
                raise
            except MalformedError as failure:
                raise CellError("", "", str(failure)) from None
            _agree(firsts.setdefault(order.order_id, order), order)
            return OrderedLine(order=order)

        return read

    def subject(self, item: OrderedLine) -> str:
        """A line stands in its order once."""
        return f"{item.order.order_id}\n{item.line.line_id}"

    def about(self, columns: Columns) -> None:
        """All of them have to do with one another."""
        del columns

    def label(self, item: OrderedLine) -> str:
        """The row in a few words."""
        return f"{item.order.order_id} line {item.line.line_id}: {item.line.units} of {item.line.sku}"

    async def check(self, database: Database, items: Sequence[OrderedLine]) -> list[Checked]:
        """Each row beside the SKUs and locations there are."""
        skus = {item.line.sku for item in items}
        async with database.transaction() as tx:
            known = await catalog.told_known(await catalog.ask_known(tx, skus, {one.order.location for one in items}))
        return [self._checked(item.line.sku, item.order.location, known) for item in items]

    def _checked(self, sku: Sku, location: Location, known: catalog.Known) -> Checked:
        if sku not in known.skus:
            return Checked(CellError("sku", sku, NO_SUCH_SKU))
        if sku in known.bundles:
            return Checked(CellError("sku", sku, "is a bundle; order its components"))
        if location not in known.locations:
            reason = f"no such location; name it first: oneshelf stock add-location {location!r}"
            return Checked(CellError("location", location, reason))
        return Checked()

    async def apply(
        self, database: Database, new_id: Callable[[], UUID], items: Sequence[OrderedLine], keep: Keep
    ) -> list[Applied]:
        """Keep the orders, all or none of them, and set aside what is there for them."""
        wishes = _whole(items)
        is_trial = keep is Keep.NOTHING
        answers = dict(
            zip(
                wishes,
                await allocate.keep(database, new_id, list(wishes.values()), came_by="file", is_trial=is_trial),
                strict=True,
            )
        )
        if not is_trial and not any(isinstance(answer, Refusal) for answer in answers.values()):
            await allocate.allocate(database, new_id, keys={(item.line.sku, item.order.location) for item in items})
        return [_applied(item, answers[item.order.order_id]) for item in items]


def _applied(item: OrderedLine, answer: bool | Refusal) -> Applied:
    if isinstance(answer, Refusal):
        return Applied(False, answer.words)
    words = f"{item.line.units} are wanted" if answer else "was ordered before"
    return Applied(True, words, not answer)


def _whole(items: Iterable[OrderedLine]) -> dict[str, WholesaleWish]:
    """Order id -> the order with all of its lines."""
    lines: dict[str, list[WantedLine]] = {}
    orders: dict[str, WholesaleWish] = {}
    for item in items:
        orders.setdefault(item.order.order_id, item.order)
        lines.setdefault(item.order.order_id, []).append(item.line)
    return {name: replace(order, lines=tuple(lines[name])) for name, order in orders.items()}


def _agree(first: WholesaleWish, order: WholesaleWish) -> None:
    for name in _OF_ORDER:
        said, before = getattr(order, name), getattr(first, name)
        if said != before:
            raise CellError(name, str(said), f"an earlier row of {order.order_id} says {before}; an order says one")


def _name(column: str, value: object) -> str:
    return named_in(column, value, lambda text: name_from(text, what=column))


def _version(value: object) -> int:
    text = text_in("version", value)
    if not text:
        return 1
    if not text.isascii() or not text.isdecimal() or not 1 <= int(text) <= VERSION_MAX:
        raise CellError("version", value, f"must be a whole number from 1 to {VERSION_MAX}, or empty for 1")
    return int(text)


def _day(column: str, value: object) -> date | None:
    if value == "":
        return None
    # What a spreadsheet has made a date of says the same day.
    if isinstance(value, date):
        value = value.isoformat()[:10]
    try:
        return day_from(text_in(column, value), what="it")
    except CellError:
        raise
    except MalformedError as failure:
        raise CellError(column, value, str(failure)) from None
