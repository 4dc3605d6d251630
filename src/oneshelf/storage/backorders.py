"""Rows of `backorders`: how far units of a balance may be promised beyond those that are there."""

from __future__ import annotations

from collections.abc import Collection
from typing import NamedTuple

from psycopg.rows import class_row

from oneshelf.domain.identity import Location, Sku
from oneshelf.domain.ledger import Backorder, BackorderKind, BalanceKey
from oneshelf.domain.terms import Beyond
from oneshelf.storage import arrays
from oneshelf.storage.database import Transaction

# Units of the balance of `b` that were promised and are not there.
_SHORT = """
    (select coalesce(sum(l.units_short), 0)::bigint from order_lines l
     where l.sku = b.sku and l.location = b.location and l.units_short > 0)
    + (select coalesce(sum(r.units_short), 0)::bigint from reservations r
       where r.sku = b.sku and r.location = b.location and r.state = 'held' and r.units_short > 0)
"""


class BackorderRow(NamedTuple):
    """A policy, and how many units of its balance are short now, over order lines and held reservations."""

    sku: Sku
    location: Location
    kind: str
    cap_units: int
    units_short: int


async def allow(tx: Transaction, sku: Sku, location: Location, policy: Backorder) -> None:
    """From now on so many units of this balance may be short. SKU and location must exist."""
    await tx.execute(
        """
        insert into backorders (sku, location, kind, cap_units)
        values (%(sku)s, %(location)s, %(kind)s, %(cap)s)
        on conflict (sku, location) do update set
            kind = excluded.kind, cap_units = excluded.cap_units, set_at = excluded.set_at
        """,
        {"sku": sku, "location": location, "kind": policy.kind, "cap": policy.cap_units},
    )


async def end(tx: Transaction, sku: Sku, location: Location) -> bool:
    """Promise nothing more beyond what is there; what was promised stays so. False where nothing was allowed."""
    cursor = await tx.execute(
        "delete from backorders where sku = %(sku)s and location = %(location)s", {"sku": sku, "location": location}
    )
    return cursor.rowcount == 1


async def listed(tx: Transaction) -> list[BackorderRow]:
    """All policies, by SKU and location."""
    cursor = tx.cursor(row_factory=class_row(BackorderRow))
    await cursor.execute(
        f"""
        select b.sku, b.location, b.kind, b.cap_units,
               {_SHORT}
               as units_short
        from backorders b order by b.sku, b.location
        """
    )
    return await cursor.fetchall()


async def beyond(tx: Transaction, skus: Collection[Sku]) -> dict[BalanceKey, Beyond]:
    """Of these SKUs, where a policy allows it: how many units may be promised now beyond the shelf."""
    cursor = await tx.execute(
        f"""
        select b.sku, b.location, b.kind, greatest(0, b.cap_units - ({_SHORT}))::bigint
        from backorders b where b.sku = any(%(skus)s::text[])
        """,
        {"skus": arrays.texts(sorted(skus))},
    )
    return {
        (Sku(sku), Location(location)): Beyond(units, BackorderKind(kind))
        async for sku, location, kind, units in cursor
    }
