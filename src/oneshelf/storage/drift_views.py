"""Drifts in pages, for lists of people. These statements only read."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from psycopg.rows import class_row

from oneshelf.storage.database import Transaction
from oneshelf.storage.drifts import COLUMNS, DriftRow


class DriftPlace(NamedTuple):
    """Where a drift stands in the list; no two stand at the same place."""

    opened_at: datetime
    drift_id: UUID


async def listed(tx: Transaction, *, only_open: bool, before: DriftPlace | None = None, limit: int) -> list[DriftRow]:
    """Drifts that were opened before this place, the newest first."""
    cursor = tx.cursor(row_factory=class_row(DriftRow))
    state = "d.resolved_at is null and" if only_open else ""
    await cursor.execute(
        f"""
        select {COLUMNS} from drifts d
        where {state} (%(at)s::timestamptz is null
                       or (d.opened_at, d.drift_id) < (%(at)s::timestamptz, %(id)s::uuid))
        order by d.opened_at desc, d.drift_id desc limit %(limit)s
        """,
        {"at": before and before.opened_at, "id": before and before.drift_id, "limit": limit},
    )
    return await cursor.fetchall()
