"""Announced deliveries: units are announced, come in parts, short or over, and a person settles the rest."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated

import typer

from oneshelf.cli.common import choice_in, day_in, instant_in, on_database, show_rows, units_in, words_in
from oneshelf.cli.posting import NEGATIVE, HappenedAt, Json, Key, Location_, Sku_, Units, post, post_all

if TYPE_CHECKING:
    from oneshelf.domain.command import Command, CommandKey
    from oneshelf.domain.identity import Sku
    from oneshelf.storage.shipments import ShipmentRow

Shipment_ = Annotated[
    str, typer.Argument(metavar="SHIPMENT", help="The number of the shipment, such as that of the purchase order.")
]
Lines = Annotated[list[str], typer.Argument(metavar="SKU UNITS…", help="Each SKU and how many of it.")]
_COLUMNS = (
    *("expected_on", "shipment_id", "sku", "location", "units_announced", "units_received", "units_open"),
    *("units_over", "units_held", "units_sent_back", "units_cancelled", "days_late", "close_reason"),
)
ROWS_MAX = 1_000


def register(app: typer.Typer) -> None:
    """Add the commands of this file."""
    for command in (announce, unload, settle_over, close_shipment, write_off):
        app.command(command.__name__.replace("_", "-"), context_settings=NEGATIVE)(command)
    app.command("shipments")(shipments)


def announce(
    shipment: Shipment_,
    location: Location_,
    expected_on: Annotated[str, typer.Argument(metavar="DAY", help="When it is expected, such as 2026-12-01.")],
    lines: Lines,
    tolerance_percent: Annotated[
        str, typer.Option(metavar="PERCENT", help="So much more than announced is taken without asking. Default: 0.")
    ] = "0",
    key: Key = "",
    as_json: Json = False,
) -> None:
    """A supplier announces a delivery: oneshelf stock announce PO-7 BER 2026-12-01 MUG 12 CAP 5. All of it, or none."""
    from oneshelf.domain.identity import location_from, name_from
    from oneshelf.domain.warehouse_command import Announce

    number, place, day = name_from(shipment, what="shipment"), location_from(location), day_in(expected_on, what="DAY")
    percent = units_in(tolerance_percent, what="--tolerance-percent")

    def announced(sku: Sku, units: int) -> Callable[[CommandKey], Command]:
        return lambda key: Announce(
            key=key,
            shipment_id=number,
            sku=sku,
            location=place,
            units=units,
            expected_on=day,
            tolerance_percent=percent,
        )

    post_all(key, [announced(sku, units) for sku, units in _lines_in(lines)], as_json=as_json)


def unload(
    shipment: Shipment_, lines: Lines, key: Key = "", happened_at: HappenedAt = "", as_json: Json = False
) -> None:
    """Units of a shipment are there: oneshelf stock unload PO-7 MUG 12. What comes beyond its tolerance is held."""
    from oneshelf.domain.identity import name_from
    from oneshelf.domain.warehouse_command import Unload

    number, at = name_from(shipment, what="shipment"), instant_in(happened_at, what="--happened-at")

    def unloaded(sku: Sku, units: int) -> Callable[[CommandKey], Command]:
        return lambda key: Unload(key=key, shipment_id=number, sku=sku, units=units, happened_at=at)

    post_all(key, [unloaded(sku, units) for sku, units in _lines_in(lines)], as_json=as_json)


def close_shipment(
    shipment: Shipment_,
    sku: Sku_,
    reason: Annotated[str, typer.Option(help="Why nothing more comes.")],
    key: Key = "",
    as_json: Json = False,
) -> None:
    """Nothing more comes of a SKU: what is still to come is cancelled."""
    from oneshelf.domain.identity import name_from, sku_from
    from oneshelf.domain.warehouse_command import CloseShipment

    number, name, why = name_from(shipment, what="shipment"), sku_from(sku), name_from(reason, what="--reason")
    post(key, lambda key: CloseShipment(key=key, shipment_id=number, sku=name, reason=why), as_json=as_json)


def settle_over(
    shipment: Shipment_,
    sku: Sku_,
    units: Units,
    into: Annotated[
        str,
        typer.Option(help="available, damaged, sent_back to the supplier, or settled where they were moved by hand."),
    ],
    key: Key = "",
    as_json: Json = False,
) -> None:
    """You have looked at units that came beyond the tolerance, and say where they go."""
    from oneshelf.domain.identity import name_from, sku_from
    from oneshelf.domain.warehouse_command import OverInto, SettleOver

    number, name, whole = name_from(shipment, what="shipment"), sku_from(sku), units_in(units, least=1)
    where = choice_in(into, OverInto, what="--into")
    post(
        key,
        lambda key: SettleOver(key=key, shipment_id=number, sku=name, units=whole, into=where),
        as_json=as_json,
    )


def write_off(
    sku: Sku_,
    location: Location_,
    units: Units,
    origin: Annotated[str, typer.Argument(metavar="STATE", help="How they lie there: damaged, quality_control …")],
    reason: Annotated[str, typer.Option(help="Why.")] = "",
    key: Key = "",
    as_json: Json = False,
) -> None:
    """Units are thrown away as they lie: oneshelf stock write-off MUG BER 2 damaged --reason broken."""
    from oneshelf.domain.account import StockState
    from oneshelf.domain.identity import location_from, sku_from
    from oneshelf.domain.warehouse_command import WriteOff

    name, place, whole = sku_from(sku), location_from(location), units_in(units, least=1)
    state, why = choice_in(origin, StockState, what="the state"), words_in(reason, what="reason")
    post(
        key,
        lambda key: WriteOff(key=key, sku=name, location=place, units=whole, origin=state, reason=why),
        as_json=as_json,
    )


def shipments(
    shipment: Annotated[str, typer.Argument(metavar="[SHIPMENT]", help="This one only.")] = "",
    sku: Annotated[str, typer.Option(help="Of this SKU only.")] = "",
    location: Annotated[str, typer.Option(help="To this location only.")] = "",
    shows_all: Annotated[bool, typer.Option("--all", help="Those too that are done.")] = False,
    as_json: Json = False,
) -> None:
    """Announced deliveries that are still to come or wait for a person, the earliest first, and how late they are."""
    from oneshelf.domain.identity import location_from, name_from, sku_from
    from oneshelf.storage import shipments as stored
    from oneshelf.storage.database import Database

    number = name_from(shipment, what="shipment") if shipment else None
    of, at = sku_from(sku) if sku else None, location_from(location) if location else None

    async def read(database: Database) -> list[ShipmentRow]:
        async with database.transaction() as tx:
            return await stored.rows(
                tx,
                shipment_id=number,
                sku=of,
                location=at,
                only_to_do=not shows_all and number is None,
                limit=ROWS_MAX,
            )

    empty = "nothing is announced" if shows_all or number else "nothing is to come, and nothing waits for a person"
    show_rows(on_database(read), _COLUMNS, as_json=as_json, empty=empty)


def _lines_in(texts: list[str]) -> list[tuple[Sku, int]]:
    from oneshelf.domain.identity import sku_from
    from oneshelf.errors import MalformedError

    if len(texts) % 2:
        raise MalformedError(f"{len(texts)} words for lines; each is a SKU and how many units of it")
    lines = [(sku_from(sku), units_in(units, least=1)) for sku, units in zip(texts[::2], texts[1::2], strict=True)]
    if len({sku for sku, _ in lines}) != len(lines):
        raise MalformedError("a SKU is named twice; say each once, with all its units")
    return lines
