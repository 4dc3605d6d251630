"""Commands for wholesale orders: what customers order by the hundred, what is held for them, and what leaves."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from oneshelf.cli.common import (
    EXIT_REFUSED,
    PlainErrors,
    on_database,
    pairs_in,
    show_json,
    show_rows,
    typed,
    units_in,
)

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from datetime import date

    from oneshelf.domain.wholesale import Refusal
    from oneshelf.flow.allocate import Shown
    from oneshelf.flow.ordering import NewId
    from oneshelf.storage.database import Database
    from oneshelf.storage.wholesale import LineRow, OrderRow

app = typer.Typer(cls=PlainErrors, help="Orders of wholesale customers.", no_args_is_help=True)

Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Order = Annotated[str, typer.Argument(metavar="CUSTOMER/PO", help="The order: who sent it, and their number.")]
UNITS = ("units_ordered", "units_allocated", "units_backordered", "units_shipped", "units_cancelled")
_ORDERS = ("order_id", "location", "state", "ship_by", "cancel_after", "is_late", *UNITS)
_LINES = ("line_id", "sku", *UNITS)


@app.command()
def order(
    customer: Annotated[str, typer.Argument(help="Who orders.")],
    po_number: Annotated[str, typer.Argument(metavar="PO", help="Their number of the order.")],
    location: Annotated[str, typer.Argument(help="Where it ships from.")],
    lines: Annotated[list[str], typer.Argument(metavar="SKU=UNITS...", help="A line for each.")],
    ship_by: Annotated[str, typer.Option(metavar="DAY", help="When it has to leave, such as 2026-12-01.")] = "",
    cancel_after: Annotated[
        str, typer.Option(metavar="DAY", help="After this day nothing of it is wanted; what it holds is free again.")
    ] = "",
    version: Annotated[str, typer.Option(help="A changed order is stated anew, under a higher one.")] = "1",
    as_json: Json = False,
) -> None:
    """Take an order, and set aside what the policy leaves for it. The rest waits for units."""
    from oneshelf.domain.identity import location_from, name_from, sku_from
    from oneshelf.domain.wholesale import WantedLine, WholesaleWish
    from oneshelf.flow import allocate

    pairs = [next(iter(pairs_in([text], option="SKU=UNITS").items())) for text in lines]
    wish = WholesaleWish(
        customer=name_from(customer, what="CUSTOMER"),
        po_number=name_from(po_number, what="PO"),
        location=location_from(location),
        lines=tuple(
            WantedLine(line_id=str(number), sku=sku_from(sku), units=units_in(units, least=1))
            for number, (sku, units) in enumerate(pairs, 1)
        ),
        version=units_in(version, what="--version", least=1),
        ship_by=_day(ship_by, "--ship-by"),
        cancel_after=_day(cancel_after, "--cancel-after"),
    )
    _do(lambda database, new_id: allocate.place(database, new_id, wish, came_by="cli"), as_json=as_json)


@app.command("list")
def list_(
    customer: Annotated[str, typer.Option(help="Of this customer only.")] = "",
    short: Annotated[bool, typer.Option("--short", help="Only what waits for units.")] = False,
    closed: Annotated[bool, typer.Option("--closed", help="Those that are shipped or cancelled, too.")] = False,
    limit: Annotated[str, typer.Option(help="At most so many.")] = "200",
    as_json: Json = False,
) -> None:
    """Orders, those that have to leave first at the top."""
    from oneshelf.domain.wholesale import OrderState
    from oneshelf.storage import wholesale

    states = tuple(OrderState) if closed else (OrderState.OPEN, OrderState.RELEASED)
    wanted = wholesale.Wanted(typed(customer, what="--customer") or None, states, short)
    most = units_in(limit, what="--limit", least=1)

    async def read(database: Database) -> list[OrderRow]:
        async with database.transaction() as tx:
            return await wholesale.listed(tx, wanted, limit=most)

    rows = [_flat(row) for row in on_database(read)]
    show_rows(rows, _ORDERS, as_json=as_json, empty="no wholesale order is open")


@app.command()
def show(order: Order, as_json: Json = False) -> None:
    """One order with its lines."""
    from oneshelf.flow import allocate

    name = _order_in(order)
    _do(lambda database, _: allocate.show(database, name), as_json=as_json)


@app.command()
def ship(
    order: Order,
    shipment: Annotated[str, typer.Argument(help="Its number, such as that of the delivery note. It happens once.")],
    lines: Annotated[
        list[str] | None, typer.Argument(metavar="[LINE=UNITS...]", help="What leaves; all that is held by default.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Units leave for the customer."""
    from oneshelf.domain.identity import name_from
    from oneshelf.flow import allocate
    from oneshelf.flow.allocate import Leaving

    name, number = _order_in(order), name_from(shipment, what="SHIPMENT")
    pairs = pairs_in(lines or (), option="LINE=UNITS")
    leaving = [Leaving(line_id=line, units=units_in(units, least=1)) for line, units in pairs.items()]
    _do(lambda database, new_id: allocate.ship(database, new_id, name, leaving, shipment=number), as_json=as_json)


@app.command()
def release(order: Order, as_json: Json = False) -> None:
    """What the order holds is free again, and it waits for nothing until it is resumed."""
    from oneshelf.flow import allocate

    name = _order_in(order)
    _do(lambda database, new_id: allocate.release(database, new_id, name), as_json=as_json)


@app.command()
def resume(order: Order, as_json: Json = False) -> None:
    """A released order waits for units again, in its old place."""
    from oneshelf.flow import allocate

    name = _order_in(order)
    _do(lambda database, new_id: allocate.resume(database, new_id, name), as_json=as_json)


@app.command()
def cancel(
    order: Order,
    line: Annotated[list[str] | None, typer.Option("--line", help="Only this line; again for one more.")] = None,
    as_json: Json = False,
) -> None:
    """Nothing more of the order is shipped; what it holds is free again."""
    from oneshelf.flow import allocate

    name, line_ids = _order_in(order), [typed(one, what="--line") for one in line or ()]
    _do(lambda database, new_id: allocate.end(database, new_id, name, line_ids=line_ids), as_json=as_json)


def _do(work: Callable[[Database, NewId], Awaitable[Shown | Refusal]], *, as_json: bool) -> None:
    """Do it, and show the order as it stands; exits with 1 where it is refused."""
    from oneshelf.clock import SystemClock
    from oneshelf.domain.wholesale import Refusal

    answer = on_database(lambda database: work(database, SystemClock().new_id))
    if isinstance(answer, Refusal):
        if as_json:
            show_json({"refused": answer.kind.value, "detail": answer.words})
        else:
            typer.echo(f"refused: {answer.words}", err=True)
        raise typer.Exit(EXIT_REFUSED)
    show_order(answer, as_json=as_json)


def show_order(shown: Shown, *, as_json: bool) -> None:
    """Print an order with its lines."""
    if as_json:
        show_json(as_document(shown))
        return
    row = shown.order
    days = "".join(f", {what} {day}" for what, day in (("ship by", row.ship_by), ("until", row.cancel_after)) if day)
    late = ", late" if row.is_late else ""
    replayed = " (done before)" if shown.is_replayed else ""
    typer.echo(f"{row.order_id} version {row.version} at {row.location}: {row.state}{days}{late}{replayed}")
    show_rows([_line(line) for line in shown.lines], _LINES, as_json=False, empty="no line")


def as_document(shown: Shown) -> dict[str, object]:
    """An order with its lines, as JSON has it."""
    told = {**_flat(shown.order), "version": shown.order.version, "came_by": shown.order.came_by}
    return {**told, "is_replayed": shown.is_replayed, "lines": [_line(line) for line in shown.lines]}


def _flat(row: OrderRow) -> dict[str, object]:
    days = {name: str(day) if (day := getattr(row, name)) else "" for name in ("ship_by", "cancel_after")}
    return {**{name: getattr(row, name) for name in _ORDERS}, **days}


def _line(line: LineRow) -> dict[str, object]:
    return {name: getattr(line, name) for name in _LINES}


def _order_in(text: str) -> str:
    from oneshelf.domain.wholesale import order_id_of
    from oneshelf.errors import MalformedError

    customer, slash, po_number = text.partition("/")
    if not slash:
        raise MalformedError("an order is CUSTOMER/PO: who sent it, a slash, and their number")
    return order_id_of(customer, po_number)


def _day(text: str, what: str) -> date | None:
    from oneshelf.domain.identity import day_from

    return day_from(text, what=what) if text else None
