"""Commands for wholesale by EDI X12: partners, purchase orders in, acknowledgments and inventory advice out."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from oneshelf.cli.common import on_database, show_json, show_rows, typed
from oneshelf.cli.wholesale import Json, Order, as_document, show_order

if TYPE_CHECKING:
    from oneshelf.storage.database import Database
    from oneshelf.storage.x12_partners import Partner

_PARTNERS = ("customer", "their_id", "our_id", "location", "version")
Out = Annotated[Path | None, typer.Option(metavar="FILE", help="Write it there; else it is printed.")]


def register(app: typer.Typer) -> None:
    """Add the commands of this file."""
    app.command()(partner)
    app.command("partners")(partners)
    app.command("read-x12")(read_x12)
    app.command()(acknowledge)
    app.command()(advice)


def partner(
    customer: Annotated[str, typer.Argument(help="Who sends orders.")],
    theirs: Annotated[str, typer.Option(metavar="QUALIFIER:ID", help="What they go by (ISA05, ISA06), as ZZ:ACME.")],
    ours: Annotated[str, typer.Option(metavar="QUALIFIER:ID", help="What we go by to them (ISA07, ISA08).")],
    location: Annotated[str, typer.Option(help="Where their orders ship from.")],
    x12_version: Annotated[str, typer.Option("--x12-version", help="What we write: 004010 or 005010.")] = "004010",
    as_json: Json = False,
) -> None:
    """Know who sends X12 by which name; said again, it is as said last."""
    from oneshelf.domain.identity import location_from, name_from
    from oneshelf.files.x12_orders import know_partner
    from oneshelf.storage.x12_partners import Partner

    known = Partner(
        customer=name_from(customer, what="CUSTOMER"),
        their_id=typed(theirs, what="--theirs"),
        our_id=typed(ours, what="--ours"),
        location=location_from(location),
        version=x12_version,
    )
    on_database(lambda database: know_partner(database, known))
    if as_json:
        show_json(known._asdict())
    else:
        typer.echo(f"{known.customer} goes by {known.their_id}, and we by {known.our_id}; ships from {known.location}")


def partners(as_json: Json = False) -> None:
    """Who sends X12."""
    from oneshelf.storage import x12_partners

    async def read(database: Database) -> list[Partner]:
        async with database.transaction() as tx:
            return await x12_partners.listed(tx)

    show_rows(on_database(read), _PARTNERS, as_json=as_json, empty="nobody sends X12")


def read_x12(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="An interchange with purchase orders (850).")],
    answer: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Where to write the answer: a 997, and an 855 for each order.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Bring in purchase orders (850), all of the file or nothing. The same file again changes nothing."""
    from oneshelf.clock import SystemClock
    from oneshelf.errors import ConfigurationError
    from oneshelf.files.x12_orders import bring_in
    from oneshelf.sdk.x12 import BYTES_MAX

    try:
        with file.open("rb") as opened:
            content = opened.read(BYTES_MAX + 1)
    except OSError as failure:
        raise ConfigurationError(f"{file}: {failure.strerror}") from None
    brought = on_database(lambda database: bring_in(database, SystemClock().new_id, content))
    if answer is not None and brought.answer:
        _write(answer, brought.answer)
    if as_json:
        show_json(
            {
                "is_test": brought.is_test,
                "is_replayed": brought.is_replayed,
                "orders": [as_document(one) for one in brought.orders],
                "answer": brought.answer,
            }
        )
        return
    if brought.is_test:
        typer.echo("a test (ISA15 T): it can be read, and nothing of it is kept")
    elif brought.is_replayed:
        typer.echo("this interchange was read before; nothing was changed")
    for one in brought.orders:
        show_order(one, as_json=False)


def acknowledge(order: Order, to: Out = None, as_json: Json = False) -> None:
    """Write an acknowledgment (855): what of each line is accepted, waits for units, or is refused."""
    from oneshelf.files.x12_orders import acknowledge as written

    name = typed(order, what="CUSTOMER/PO")
    _out(on_database(lambda database: written(database, name)), to, as_json=as_json)


def advice(customer: Annotated[str, typer.Argument(help="A partner.")], to: Out = None, as_json: Json = False) -> None:
    """Write inventory advice (846): what wholesale may still take of each SKU at the partner's location."""
    from oneshelf.files.x12_orders import advise

    name = typed(customer, what="CUSTOMER")
    _out(on_database(lambda database: advise(database, name)), to, as_json=as_json)


def _out(text: str, to: Path | None, *, as_json: bool) -> None:
    if to is not None:
        _write(to, text)
    if as_json:
        show_json({"x12": text})
    elif to is None:
        typer.echo(text, nl=False)
    else:
        typer.echo(f"written to {to}")


def _write(file: Path, text: str) -> None:
    from oneshelf.errors import ConfigurationError

    # Whoever waits for the file finds a whole one or none.
    part = file.with_name(f".{file.name}.part")
    try:
        part.write_text(text, encoding="utf-8")
        part.replace(file)
    except OSError as failure:
        raise ConfigurationError(f"{file}: {failure.strerror}") from None
    finally:
        part.unlink(missing_ok=True)
