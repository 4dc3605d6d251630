"""What is to be told: SKUs whose units moved, rows of `untold`, and the position in the movements.

A movement carries the number of its transaction, which says nothing of when that commits. So the position is a whole
snapshot: new is what the present statement sees and the last one did not, whoever committed late. A greatest number, or
a serial one, would pass by what is still under way.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any, NamedTuple

from oneshelf.storage import arrays
from oneshelf.storage.database import Transaction, only_row, try_only

_KEY = int.from_bytes(b"events")
# SKUs of a restored or new log that are compared in one run, and rows of `untold` that are taken.
COMPARED_MAX = 2_000
TAKEN_MAX = 2_000


class Position(NamedTuple):
    """How far the telling is. `compared_sku`: None where every SKU has been compared since the beginning."""

    snapshot: str
    position: int
    compared_sku: str | None


class Moved(NamedTuple):
    """SKUs whose units moved since the position, and the snapshot in which they were found."""

    skus: list[str]
    snapshot: str


class Taken(NamedTuple):
    """What happened and is to be told. `name`: of an order, a listing, a drift or a SKU."""

    untold_id: int
    event_type: str
    channel: str
    name: str
    detail: dict[str, Any]
    happened_at: datetime


async def try_lock(tx: Transaction) -> bool:
    """Be the only one that tells, until this transaction ends. False: another does.

    The lock is given back after the commit can be seen, so positions come to light in their order.
    """
    return await try_only(tx, _KEY)


async def position(tx: Transaction) -> Position:
    """How far the telling is. At the very first time, and in another cluster than before, it begins with every SKU."""
    cursor = await tx.execute(
        """
        select case when is_same then p.snapshot else pg_current_snapshot() end::text, coalesce(p.position, 0),
               case when is_same then p.compared_sku else '' end
        from pg_control_system() c
        left join event_position p on true
        cross join lateral (select coalesce(p.cluster = c.system_identifier, false) as is_same) as same
        """
    )
    return Position(*await only_row(cursor))


async def moved(tx: Transaction, at: Position) -> Moved:
    """Which SKUs moved since, by one statement: the snapshot that it gives is the one that it looked with."""
    cursor = await tx.execute(
        """
        select coalesce(array_agg(distinct m.sku order by m.sku), '{}'), pg_current_snapshot()::text
        from movements m
        where m.xid >= %(xmin)s and not pg_visible_in_snapshot(m.xid::text::xid8, %(snapshot)s::pg_snapshot)
        """,
        {"xmin": int(at.snapshot.partition(":")[0]), "snapshot": at.snapshot},
    )
    return Moved(*await only_row(cursor))


async def compared(tx: Transaction, at: Position) -> list[str]:
    """The next SKUs of which a new or restored log has to be made sure, in their order; none: all are compared."""
    if at.compared_sku is None:
        return []
    cursor = await tx.execute(
        "select distinct sku from balances where sku > %(after)s order by sku limit %(limit)s",
        {"after": at.compared_sku, "limit": COMPARED_MAX},
    )
    return [sku async for (sku,) in cursor]


async def taken(tx: Transaction) -> list[Taken]:
    """The oldest of what happened. Only one tells at a time, so nobody else has them, see `remove`."""
    cursor = await tx.execute(
        """
        select untold_id, event_type, channel, name, detail, happened_at
        from untold order by untold_id limit %(limit)s
        """,
        {"limit": TAKEN_MAX},
    )
    return [Taken(*row) async for row in cursor]


async def remove(tx: Transaction, taken: Iterable[Taken]) -> None:
    """These are told."""
    await tx.execute(
        "delete from untold where untold_id = any(%(ids)s::bigint[])",
        {"ids": arrays.numbers(one.untold_id for one in taken)},
    )


async def store(tx: Transaction, at: Position) -> None:
    """The telling is here now."""
    await tx.execute(
        """
        insert into event_position (snapshot, cluster, position, compared_sku, told_at)
        select %(snapshot)s::pg_snapshot, system_identifier, %(position)s, %(compared)s, db_now()
        from pg_control_system()
        on conflict (is_only) do update set
            snapshot = excluded.snapshot, cluster = excluded.cluster, position = excluded.position,
            compared_sku = excluded.compared_sku, told_at = excluded.told_at
        """,
        {"snapshot": at.snapshot, "position": at.position, "compared": at.compared_sku},
    )
