"""What is open of one SKU, for its page: reservations that hold units, and order lines that hold or want them.

Like `views`, these statements only read. Each walks an index that begins with the SKU.
"""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from psycopg.rows import class_row

from oneshelf.domain.identity import Location, Sku
from oneshelf.storage.database import Transaction


class HeldRow(NamedTuple):
    """A reservation that holds units of the SKU. `expires_at`: None for what does not end by itself."""

    reservation_id: UUID
    location: Location
    kind: str
    units: int
    units_short: int
    holder: str
    created_at: datetime
    expires_at: datetime | None


class OpenLine(NamedTuple):
    """An order line that holds units, or waits for them."""

    channel: str
    order_id: str
    line_id: str
    location: Location
    placed_at: datetime
    units_pending: int
    units_committed: int
    units_shipped: int
    units_short: int


_LINE = """
    channel, order_id, line_id, location, placed_at, units_pending, units_committed, units_shipped, units_short
"""


async def held(tx: Transaction, sku: Sku, *, limit: int) -> list[HeldRow]:
    """Reservations of a SKU that are held, those that end soonest first."""
    cursor = tx.cursor(row_factory=class_row(HeldRow))
    await cursor.execute(
        """
        select reservation_id, location, kind, units, units_short, holder, created_at, expires_at
        from reservations where sku = %(sku)s and state = 'held'
        order by expires_at, created_at, reservation_id limit %(limit)s
        """,
        {"sku": sku, "limit": limit},
    )
    return await cursor.fetchall()


async def open_lines(tx: Transaction, sku: Sku, *, limit: int) -> list[OpenLine]:
    """Order lines of a SKU that are not done, those that wait for units first, then the oldest."""
    cursor = tx.cursor(row_factory=class_row(OpenLine))
    await cursor.execute(
        f"""
        select * from (
            select {_LINE} from order_lines where sku = %(sku)s and units_short > 0
            union
            select {_LINE} from order_lines where sku = %(sku)s and units_committed + units_pending > 0
        ) as line
        order by units_short = 0, placed_at, channel, order_id, line_id limit %(limit)s
        """,
        {"sku": sku, "limit": limit},
    )
    return await cursor.fetchall()
