"""Rows of `movements`: what happened to units. Append only."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from psycopg.rows import class_row

from oneshelf.domain.identity import Sku
from oneshelf.domain.movement import Movement
from oneshelf.storage import arrays
from oneshelf.storage.database import Transaction


class MovementRow(NamedTuple):
    """A movement as a person reads it. Outside accounts have no location."""

    posted_at: datetime
    units: int
    from_account: str
    from_location: str | None
    to_account: str
    to_location: str | None
    reason: str
    source: str
    movement_id: UUID


async def append(tx: Transaction, movements: Sequence[Movement], *, posted_at: datetime) -> None:
    """Write movements whose balances are locked, and were at `posted_at`: all of a transaction have one instant."""
    if not movements:
        return
    ordered = sorted(movements, key=lambda movement: (movement.sku, movement.movement_id.int))
    await tx.execute(
        """
        insert into movements
            (sku, movement_id, posted_at, units, from_account, from_location, to_account, to_location, reason, source,
             version, happened_at)
        select sku, movement_id, %(posted_at)s, units, from_account, from_location, to_account, to_location, reason,
               source, version, happened_at
        from unnest(
            %(skus)s::text[], %(ids)s::uuid[], %(units)s::bigint[], %(origins)s::text[], %(origin_locations)s::text[],
            %(targets)s::text[], %(target_locations)s::text[], %(reasons)s::text[], %(sources)s::text[],
            %(versions)s::bigint[], %(happened_at)s::timestamptz[])
            as new (sku, movement_id, units, from_account, from_location, to_account, to_location, reason, source,
                    version, happened_at)
        """,
        {
            "posted_at": posted_at,
            "skus": arrays.texts([movement.sku for movement in ordered]),
            "ids": arrays.uuids([movement.movement_id for movement in ordered]),
            "units": arrays.numbers([movement.units for movement in ordered]),
            "origins": arrays.texts([movement.origin.name for movement in ordered]),
            "origin_locations": arrays.texts([movement.origin.location for movement in ordered]),
            "targets": arrays.texts([movement.target.name for movement in ordered]),
            "target_locations": arrays.texts([movement.target.location for movement in ordered]),
            "reasons": arrays.texts([movement.reason for movement in ordered]),
            "sources": arrays.texts([movement.source for movement in ordered]),
            "versions": arrays.numbers([movement.version for movement in ordered]),
            "happened_at": arrays.instants([movement.happened_at for movement in ordered]),
        },
    )


async def newest(
    tx: Transaction, sku: Sku, *, limit: int, before: UUID | None = None, at: datetime | None = None
) -> list[MovementRow]:
    """The latest movements of a SKU, newest first; older than `before` for the next page; posted by `at`.

    Ids begin with the time of the node that made them, so that of a bit later than `at` is where to begin to look.
    """
    cursor = tx.cursor(row_factory=class_row(MovementRow))
    await cursor.execute(
        """
        select posted_at, units, from_account, from_location, to_account, to_location, reason, source, movement_id
        from movements
        where sku = %(sku)s and (%(before)s::uuid is null or movement_id < %(before)s::uuid)
          and (%(at)s::timestamptz is null or posted_at <= %(at)s::timestamptz and movement_id < (lpad(to_hex((extract(
               epoch from %(at)s::timestamptz + interval '1 hour') * 1000)::bigint), 12, '0') || repeat('f', 20))::uuid)
        order by movement_id desc limit %(limit)s
        """,
        {"sku": sku, "before": before, "at": at, "limit": limit},
    )
    return await cursor.fetchall()
