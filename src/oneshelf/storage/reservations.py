"""Rows of `reservations`: units set aside, by SKU and location."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any, LiteralString
from uuid import UUID

from psycopg import AsyncCursor
from psycopg.rows import kwargs_row

from oneshelf.domain.command import ReservationKind
from oneshelf.domain.identity import Location, Sku
from oneshelf.domain.ledger import BalanceKey, Reservation, ReservationKey, ReservationState
from oneshelf.storage import arrays
from oneshelf.storage.database import Transaction

Asked = AsyncCursor[Reservation]

_NAMES = (
    "sku", "reservation_id", "location", "kind", "units", "units_short", "units_lost", "state", "holder", "expires_at",
    "created_at",
)  # fmt: skip
_COLUMNS = ", ".join(f"r.{name}" for name in _NAMES)


async def balances_of(tx: Transaction, reservation_ids: Collection[UUID]) -> dict[UUID, list[BalanceKey]]:
    """Where these reservations set units aside. That never changes, so it may be read before anything is locked."""
    if not reservation_ids:
        return {}
    cursor = await tx.execute(
        "select reservation_id, sku, location from reservations where reservation_id = any(%(ids)s::uuid[])",
        {"ids": arrays.uuids(sorted(reservation_ids))},
    )
    found: dict[UUID, list[BalanceKey]] = {}
    async for reservation_id, sku, location in cursor:
        found.setdefault(reservation_id, []).append((Sku(sku), Location(location)))
    return found


async def ask_due(tx: Transaction, keys: Collection[BalanceKey]) -> Asked:
    """Ask for the holds at these (locked) balances that are past their time, and for all that wait for units there,
    to be read with `told`.
    """
    return await _ask(
        tx,
        f"""
        select {_COLUMNS}
        from unnest(%(skus)s::text[], %(locations)s::text[]) as wanted (sku, location)
        join reservations r on r.sku = wanted.sku and r.location = wanted.location
        where r.state = 'held' and r.expires_at <= (select db_now())
        union all
        select {_COLUMNS}
        from unnest(%(skus)s::text[], %(locations)s::text[]) as wanted (sku, location)
        join reservations r on r.sku = wanted.sku and r.location = wanted.location
        where r.state = 'held' and r.units_short > 0
        """,
        arrays.places(keys),
    )


async def ask_held(tx: Transaction, keys: Collection[BalanceKey]) -> Asked:
    """Ask for all that is held at these (locked) balances, to be read with `told`."""
    return await _ask(
        tx,
        f"""
        select {_COLUMNS}
        from unnest(%(skus)s::text[], %(locations)s::text[]) as wanted (sku, location)
        join reservations r on r.sku = wanted.sku and r.location = wanted.location
        where r.state = 'held'
        """,
        arrays.places(keys),
    )


async def ask_named(tx: Transaction, reservation_ids: Collection[UUID]) -> Asked:
    """Ask for these reservations, whose balances are locked, to be read with `told`."""
    return await _ask(
        tx,
        f"select {_COLUMNS} from reservations r where r.reservation_id = any(%(ids)s::uuid[])",
        {"ids": arrays.uuids(sorted(reservation_ids))},
    )


async def told(*asked: Asked) -> list[Reservation]:
    """The reservations that were asked for, each once."""
    found: dict[ReservationKey, Reservation] = {}
    for cursor in asked:
        for reservation in await cursor.fetchall():
            found[reservation.key] = reservation
    return list(found.values())


async def _ask(tx: Transaction, statement: LiteralString, names: dict[str, str]) -> Asked:
    cursor = tx.cursor(row_factory=kwargs_row(_reservation))
    await cursor.execute(statement, names)
    return cursor


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
    ordered = sorted(reservations, key=lambda one: (one.sku, one.reservation_id.int, one.location))
    if not ordered:
        return
    await tx.execute(
        """
        insert into reservations (sku, reservation_id, location, kind, units, units_short, units_lost, state, holder,
                                  expires_at, created_at)
        select * from unnest(
            %(sku)s::text[], %(reservation_id)s::uuid[], %(location)s::text[], %(kind)s::text[], %(units)s::bigint[],
            %(units_short)s::bigint[], %(units_lost)s::bigint[], %(state)s::text[], %(holder)s::text[],
            %(expires_at)s::timestamptz[], %(created_at)s::timestamptz[])
        on conflict (sku, reservation_id, location) do update set
            kind = excluded.kind, units = excluded.units, units_short = excluded.units_short,
            units_lost = excluded.units_lost, state = excluded.state, holder = excluded.holder,
            expires_at = excluded.expires_at
        """,
        {
            "sku": arrays.texts([one.sku for one in ordered]),
            "reservation_id": arrays.uuids([one.reservation_id for one in ordered]),
            "location": arrays.texts([one.location for one in ordered]),
            "kind": arrays.texts([one.kind for one in ordered]),
            "units": arrays.numbers([one.units for one in ordered]),
            "units_short": arrays.numbers([one.units_short for one in ordered]),
            "units_lost": arrays.numbers([one.units_lost for one in ordered]),
            "state": arrays.texts([one.state for one in ordered]),
            "holder": arrays.texts([one.holder for one in ordered]),
            "expires_at": arrays.instants([one.expires_at for one in ordered]),
            "created_at": arrays.instants([one.created_at for one in ordered]),
        },
    )


def _reservation(*, kind: str, state: str, **columns: Any) -> Reservation:
    return Reservation(kind=ReservationKind(kind), state=ReservationState(state), **columns)
