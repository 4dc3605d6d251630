"""Rows of `reservations`: units set aside, by SKU and location."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any
from uuid import UUID

from psycopg.rows import kwargs_row

from oneshelf.domain.command import ReservationKind
from oneshelf.domain.identity import Location, Sku
from oneshelf.domain.ledger import BalanceKey, Reservation, ReservationState
from oneshelf.storage.database import Transaction

_NAMES = (
    "sku", "reservation_id", "location", "kind", "units", "units_short", "state", "holder", "expires_at", "created_at",
)  # fmt: skip
_COLUMNS = ", ".join(f"r.{name}" for name in _NAMES)


async def balances_of(tx: Transaction, reservation_ids: Collection[UUID]) -> dict[UUID, list[BalanceKey]]:
    """Where these reservations set units aside. That never changes, so it may be read before anything is locked."""
    if not reservation_ids:
        return {}
    cursor = await tx.execute(
        "select reservation_id, sku, location from reservations where reservation_id = any(%(ids)s::uuid[])",
        {"ids": sorted(reservation_ids)},
    )
    found: dict[UUID, list[BalanceKey]] = {}
    async for reservation_id, sku, location in cursor:
        found.setdefault(reservation_id, []).append((Sku(sku), Location(location)))
    return found


async def load(
    tx: Transaction,
    reservation_ids: Collection[UUID],
    *,
    due_at: Collection[BalanceKey],
    all_at: Collection[BalanceKey],
) -> list[Reservation]:
    """The named reservations, the due holds of the (locked) balances `due_at`, and all held ones of `all_at`."""
    due, whole = sorted(due_at), sorted(all_at)
    cursor = tx.cursor(row_factory=kwargs_row(_reservation))
    await cursor.execute(
        f"""
        select {_COLUMNS} from reservations r where r.reservation_id = any(%(ids)s::uuid[])
        union
        select {_COLUMNS}
        from unnest(%(due_skus)s::text[], %(due_locations)s::text[]) as wanted (sku, location)
        join reservations r on r.sku = wanted.sku and r.location = wanted.location
        where r.state = 'held' and r.expires_at <= (select db_now())
        union
        select {_COLUMNS}
        from unnest(%(all_skus)s::text[], %(all_locations)s::text[]) as wanted (sku, location)
        join reservations r on r.sku = wanted.sku and r.location = wanted.location
        where r.state = 'held'
        """,
        {
            "ids": sorted(reservation_ids),
            "due_skus": [sku for sku, _ in due],
            "due_locations": [location for _, location in due],
            "all_skus": [sku for sku, _ in whole],
            "all_locations": [location for _, location in whole],
        },
    )
    return await cursor.fetchall()


async def due(tx: Transaction, *, limit: int) -> list[BalanceKey]:
    """Balances with holds that are past their time, the longest overdue holds first. Waits for nobody."""
    cursor = await tx.execute(
        """
        select distinct sku, location from (
            select sku, location from reservations
            where state = 'held' and expires_at is not null and expires_at <= (select db_now())
            order by expires_at limit %(limit)s
        ) as overdue
        """,
        {"limit": limit},
    )
    return [(Sku(sku), Location(location)) async for sku, location in cursor]


async def save(tx: Transaction, reservations: Iterable[Reservation]) -> None:
    """Store these reservations. Their balances are locked."""
    ordered = sorted(reservations, key=lambda reservation: reservation.key)
    if not ordered:
        return
    await tx.execute(
        """
        insert into reservations (sku, reservation_id, location, kind, units, units_short, state, holder, expires_at,
                                  created_at)
        select * from unnest(
            %(sku)s::text[], %(reservation_id)s::uuid[], %(location)s::text[], %(kind)s::text[], %(units)s::bigint[],
            %(units_short)s::bigint[], %(state)s::text[], %(holder)s::text[], %(expires_at)s::timestamptz[],
            %(created_at)s::timestamptz[])
        on conflict (sku, reservation_id, location) do update set
            kind = excluded.kind, units_short = excluded.units_short, state = excluded.state,
            holder = excluded.holder, expires_at = excluded.expires_at
        """,
        {name: [getattr(reservation, name) for reservation in ordered] for name in _NAMES},
    )


def _reservation(*, kind: str, state: str, **columns: Any) -> Reservation:
    return Reservation(kind=ReservationKind(kind), state=ReservationState(state), **columns)
