"""Drifts of which it was decided that the ledger moves their units, until it has: rows of `drifts`."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from uuid import UUID

from psycopg.rows import class_row

from oneshelf.domain.drift import Cause, Resolution
from oneshelf.storage import drifts
from oneshelf.storage.database import Transaction


async def claim(tx: Transaction, *, limit: int) -> list[drifts.DriftRow]:
    """Drifts of which it was decided that the ledger moves their units, and it has not; held until the end of this.

    One that is over by now is among them: its units lie in another state all the same.
    """
    cursor = tx.cursor(row_factory=class_row(drifts.DriftRow))
    await cursor.execute(
        f"""
        select {drifts.COLUMNS} from drifts d where d.resolution = %(booked)s and d.booked_at is null
        order by d.opened_at limit %(limit)s for update of d skip locked
        """,
        {"booked": Resolution.BOOKED.value, "limit": limit},
    )
    return await cursor.fetchall()


async def done(tx: Transaction, whole: Collection[UUID], part: Mapping[UUID, int]) -> None:
    """The ledger moved what was to be moved for these drifts.

    `part`: drift -> units of the listing that were moved of those that are missing. The rest is decided upon anew.
    """
    await tx.execute(
        """
        update drifts set booked_at = db_now(), booking_count = booking_count + 1
        where drift_id = any(%(ids)s::uuid[])
        """,
        {"ids": list(whole)},
    )
    await tx.execute(
        """
        update drifts d set resolution = '', booking_count = booking_count + 1,
            expected_units = d.expected_units - new.units,
            cause = case when d.observed_units < d.expected_units then %(unknown)s else %(foreign)s end
        from unnest(%(ids)s::uuid[], %(units)s::bigint[]) as new (drift_id, units) where d.drift_id = new.drift_id
        """,
        {
            "ids": list(part),
            "units": list(part.values()),
            "unknown": Cause.UNKNOWN.value,
            "foreign": Cause.FOREIGN_EDIT.value,
        },
    )
