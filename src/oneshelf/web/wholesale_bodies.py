"""What the routes of wholesale orders are sent and answer."""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated

from pydantic import BaseModel, Field, PlainValidator, TypeAdapter, WithJsonSchema

from oneshelf.domain.identity import NAME_LENGTH_MAX, day_from, name_from
from oneshelf.domain.wholesale import LINES_MAX, VERSION_MAX, WantedLine, WholesaleWish, order_id_of, version_from
from oneshelf.flow.allocate import Leaving, Shown
from oneshelf.storage.wholesale import LineRow, OrderRow
from oneshelf.web.fields import Input, LocationIn, ReceivedUnitsIn, SkuIn
from oneshelf.web.inputs import parsed


def _number(value: object) -> str:
    return name_from(value, what="number")


def _day(value: object) -> date:
    return day_from(value, what="the day")


_NumberIn = Annotated[
    str,
    PlainValidator(_number),
    WithJsonSchema({"type": "string", "minLength": 1, "maxLength": NAME_LENGTH_MAX}),
]
_DayIn = Annotated[date, PlainValidator(_day), WithJsonSchema({"type": "string", "format": "date"})]
_VersionIn = Annotated[
    int, PlainValidator(version_from), WithJsonSchema({"type": "integer", "minimum": 1, "maximum": VERSION_MAX})
]


class WantedLineIn(Input):
    """A line as the customer numbers it."""

    line_id: _NumberIn
    sku: SkuIn
    units: ReceivedUnitsIn


class WholesaleOrderIn(Input):
    """A purchase order, all of it. A changed order is stated anew under a higher `version`.

    `ship_by`: the day on which it has to leave. After `cancel_after` nothing of it is wanted, and it holds nothing.
    """

    customer: _NumberIn
    po_number: _NumberIn
    version: _VersionIn = 1
    location: LocationIn
    ship_by: _DayIn | None = None
    cancel_after: _DayIn | None = None
    lines: Annotated[list[WantedLineIn], Field(min_length=1, max_length=LINES_MAX)]


class LeavingIn(Input):
    """Units of a line that leave."""

    line_id: _NumberIn
    units: ReceivedUnitsIn


class WholesaleNameIn(Input):
    """An order, by its customer and their number."""

    customer: _NumberIn
    po_number: _NumberIn


class WholesaleShipmentIn(WholesaleNameIn):
    """What leaves, under the number of its delivery note; no lines: all that the order holds."""

    shipment: _NumberIn
    lines: Annotated[tuple[LeavingIn, ...], Field(max_length=LINES_MAX)] = ()


class WholesaleCancelIn(WholesaleNameIn):
    """The lines of which nothing more is shipped; none named: all of the order."""

    lines: Annotated[tuple[_NumberIn, ...], Field(max_length=LINES_MAX)] = ()


BODIES = (WholesaleOrderIn, WholesaleNameIn, WholesaleShipmentIn, WholesaleCancelIn)

_ORDER = TypeAdapter(WholesaleOrderIn)
_SHIPMENT = TypeAdapter(WholesaleShipmentIn)
_CANCEL = TypeAdapter(WholesaleCancelIn)
_NAME = TypeAdapter(WholesaleNameIn)


def wish_from(document: object) -> WholesaleWish:
    """The order of a request. Raises MalformedError."""
    item = parsed(_ORDER, document)
    lines = tuple(WantedLine(line_id=line.line_id, sku=line.sku, units=line.units) for line in item.lines)
    return WholesaleWish(
        customer=item.customer,
        po_number=item.po_number,
        version=item.version,
        location=item.location,
        ship_by=item.ship_by,
        cancel_after=item.cancel_after,
        lines=lines,
    )


def shipment_from(document: object) -> tuple[str, str, list[Leaving]]:
    """The order, the number of a shipment and what leaves with it. Raises MalformedError."""
    item = parsed(_SHIPMENT, document)
    leaving = [Leaving(line_id=line.line_id, units=line.units) for line in item.lines]
    return order_id_of(item.customer, item.po_number), item.shipment, leaving


def cancelled_from(document: object) -> tuple[str, tuple[str, ...]]:
    """The order and its lines that are cancelled. Raises MalformedError."""
    item = parsed(_CANCEL, document)
    return order_id_of(item.customer, item.po_number), item.lines


def named_from(document: object) -> str:
    """The order that is meant. Raises MalformedError."""
    item = parsed(_NAME, document)
    return order_id_of(item.customer, item.po_number)


class WholesaleLineOut(BaseModel):
    """ordered = allocated + backordered + shipped + cancelled."""

    line_id: str
    sku: str
    units_ordered: int
    units_allocated: int
    units_backordered: int
    units_shipped: int
    units_cancelled: int


class WholesaleOrderOut(BaseModel):
    """An order. `state`: `open`, `released` (it waits for nothing), `closed`. `late`: it had to leave before today."""

    customer: str
    po_number: str
    version: int
    location: str
    state: str
    ship_by: date | None
    cancel_after: date | None
    late: bool
    came_by: str
    placed_at: datetime
    changed_at: datetime
    units_ordered: int
    units_allocated: int
    units_backordered: int
    units_shipped: int
    units_cancelled: int
    lines: list[WholesaleLineOut]


class WholesaleOrdersOut(BaseModel):
    """Orders, those that have to leave first at the top. `next`: to be sent as `after` for the following ones."""

    orders: list[WholesaleOrderOut]
    next: str | None


class WholesaleAnswer(BaseModel):
    """The order as it stands now. `replayed`: what was asked had been done before, and nothing was done again."""

    order: WholesaleOrderOut
    replayed: bool


def order_out(row: OrderRow, lines: list[LineRow]) -> WholesaleOrderOut:
    """An order with its lines."""
    told = row._asdict()
    return WholesaleOrderOut(
        **{name: told[name] for name in WholesaleOrderOut.model_fields if name in told},
        late=row.is_late,
        units_backordered=row.units_backordered,
        lines=[_line_out(line) for line in lines],
    )


def answer_out(shown: Shown) -> WholesaleAnswer:
    """What became of what was asked."""
    return WholesaleAnswer(order=order_out(shown.order, list(shown.lines)), replayed=shown.is_replayed)


def _line_out(line: LineRow) -> WholesaleLineOut:
    told = line._asdict()
    return WholesaleLineOut(
        **{name: told[name] for name in WholesaleLineOut.model_fields if name in told},
        units_backordered=line.units_backordered,
    )
