"""Rows of `shipments`: announced units of a SKU, and what has become of them."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import date, datetime
from typing import NamedTuple

from psycopg.rows import class_row

from oneshelf.domain.identity import Location, Sku
from oneshelf.domain.ledger import BalanceKey
from oneshelf.domain.shipment import Shipment, ShipmentKey
from oneshelf.storage import arrays
from oneshelf.storage.database import Transaction

_NAMES = (
    "sku", "shipment_id", "location", "units_announced", "expected_on", "tolerance_percent", "created_at",
    "units_received", "units_over", "units_held", "units_sent_back", "units_cancelled", "closed_at", "close_reason",
)  # fmt: skip
_COLUMNS = ", ".join(f"s.{name}" for name in _NAMES)
_TO_DO = "(s.units_received + s.units_cancelled < s.units_announced or s.units_held > 0)"


class ShipmentRow(NamedTuple):
    """One SKU of a shipment as people see it. `days_late`: 0 where it is not late, or nothing more is to come."""

    expected_on: date
    shipment_id: str
    sku: Sku
    location: Location
    units_announced: int
    units_received: int
    units_open: int
    units_over: int
    units_held: int
    units_sent_back: int
    units_cancelled: int
    tolerance_percent: int
    days_late: int
    created_at: datetime
    closed_at: datetime | None
    close_reason: str


class ShipmentPlace(NamedTuple):
    """Where a list of shipments goes on."""

    expected_on: date
    shipment_id: str
    sku: Sku


async def load(tx: Transaction, keys: Collection[ShipmentKey], places: Collection[BalanceKey]) -> list[Shipment]:
    """These shipments as far as they exist, and all that are still to bring units to these places.

    Where a shipment goes never changes; all else is guarded by the lock of its balance.
    """
    ordered = sorted(keys)
    cursor = tx.cursor(row_factory=class_row(Shipment))
    await cursor.execute(
        f"""
        select {_COLUMNS}
        from unnest(%(wanted)s::text[], %(ids)s::text[]) as wanted (sku, shipment_id)
        join shipments s on s.sku = wanted.sku and s.shipment_id = wanted.shipment_id
        union
        select {_COLUMNS}
        from unnest(%(skus)s::text[], %(locations)s::text[]) as place (sku, location)
        join shipments s on s.sku = place.sku and s.location = place.location
        where s.units_received + s.units_cancelled < s.units_announced
        """,
        {
            "wanted": arrays.texts([sku for sku, _ in ordered]),
            "ids": arrays.texts([shipment_id for _, shipment_id in ordered]),
            **arrays.places(places),
        },
    )
    return await cursor.fetchall()


async def save(tx: Transaction, shipments: Iterable[Shipment]) -> None:
    """Store these shipments. Their balances must be locked."""
    ordered = sorted(shipments, key=lambda shipment: shipment.key)
    if not ordered:
        return
    await tx.execute(
        """
        insert into shipments (sku, shipment_id, location, units_announced, expected_on, tolerance_percent, created_at,
                               units_received, units_over, units_held, units_sent_back, units_cancelled, closed_at,
                               close_reason)
        select * from unnest(
            %(sku)s::text[], %(shipment_id)s::text[], %(location)s::text[], %(units_announced)s::bigint[],
            %(expected_on)s::date[], %(tolerance_percent)s::int[], %(created_at)s::timestamptz[],
            %(units_received)s::bigint[], %(units_over)s::bigint[], %(units_held)s::bigint[],
            %(units_sent_back)s::bigint[], %(units_cancelled)s::bigint[], %(closed_at)s::timestamptz[],
            %(close_reason)s::text[])
        on conflict (sku, shipment_id) do update set
            units_received = excluded.units_received, units_over = excluded.units_over,
            units_held = excluded.units_held, units_sent_back = excluded.units_sent_back,
            units_cancelled = excluded.units_cancelled, closed_at = excluded.closed_at,
            close_reason = excluded.close_reason
        """,
        {name: [getattr(shipment, name) for shipment in ordered] for name in _NAMES},
    )


async def rows(  # noqa: PLR0913  # what a list may be narrowed to
    tx: Transaction,
    *,
    shipment_id: str | None = None,
    sku: Sku | None = None,
    location: Location | None = None,
    only_to_do: bool = True,
    after: ShipmentPlace | None = None,
    limit: int,
) -> list[ShipmentRow]:
    """Shipments by the day on which they are expected, the earliest first.

    `only_to_do`: of which units are still to come, or wait for a person.
    """
    cursor = tx.cursor(row_factory=class_row(ShipmentRow))
    await cursor.execute(
        f"""
        select s.expected_on, s.shipment_id, s.sku, s.location, s.units_announced, s.units_received,
               s.units_announced - s.units_received - s.units_cancelled as units_open, s.units_over, s.units_held,
               s.units_sent_back, s.units_cancelled, s.tolerance_percent,
               case when s.units_received + s.units_cancelled < s.units_announced
                    then greatest(0, (db_now() at time zone 'UTC')::date - s.expected_on) else 0 end as days_late,
               s.created_at, s.closed_at, s.close_reason
        from shipments s
        where (not %(only_to_do)s or {_TO_DO})
          and (%(shipment_id)s::text is null or s.shipment_id = %(shipment_id)s)
          and (%(sku)s::text is null or s.sku = %(sku)s)
          and (%(location)s::text is null or s.location = %(location)s)
          and (%(after_on)s::date is null or (s.expected_on, s.shipment_id, s.sku)
               > (%(after_on)s::date, %(after_id)s::text collate "C", %(after_sku)s::text collate "C"))
        order by s.expected_on, s.shipment_id, s.sku limit %(limit)s
        """,
        {
            "only_to_do": only_to_do,
            "shipment_id": shipment_id,
            "sku": sku,
            "location": location,
            "after_on": after.expected_on if after else None,
            "after_id": after.shipment_id if after else None,
            "after_sku": after.sku if after else None,
            "limit": limit,
        },
    )
    return await cursor.fetchall()
