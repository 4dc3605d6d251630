"""What a till may show: the units of each SKU at its location."""

from __future__ import annotations

from typing import NamedTuple

from psycopg.rows import class_row

from oneshelf.domain.identity import Location, Sku
from oneshelf.storage.database import Transaction


class TillStock(NamedTuple):
    """A SKU at a location. `sellable_by_listings`: what other channels may sell of it; None: one was never read."""

    sku: Sku
    title: str
    available: int
    sellable_by_listings: int | None


async def stock_at(tx: Transaction, location: Location, *, after: str, limit: int) -> list[TillStock]:
    """The SKUs that were ever counted at a location, in the order of their names."""
    cursor = tx.cursor(row_factory=class_row(TillStock))
    await cursor.execute(
        """
        with page as (
            select sku, available from balances
            where location = %(location)s and sku > %(after)s order by sku limit %(limit)s
        )
        select page.sku, s.title, page.available,
               case when not coalesce(g.has_unread, false) then coalesce(g.units, 0) end as sellable_by_listings
        from page join skus s on s.sku = page.sku
        left join granted g on g.sku = page.sku and g.location = %(location)s
        order by page.sku
        """,
        {"location": location, "after": after, "limit": limit},
    )
    return await cursor.fetchall()
