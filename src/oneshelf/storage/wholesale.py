"""Rows of `wholesale_orders` and `wholesale_lines`: what customers ordered, and what is held for them."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import date, datetime
from typing import NamedTuple

from psycopg.rows import class_row

from oneshelf.domain.identity import Location, Sku
from oneshelf.domain.ledger import BalanceKey
from oneshelf.domain.policy import Scope
from oneshelf.domain.wholesale import OrderState, WholesaleLine, WholesaleOrder
from oneshelf.storage import arrays
from oneshelf.storage.database import Transaction

_HELD = """
    coalesce((select sum(r.units - r.units_short) from reservations r
              where r.sku = l.sku and r.reservation_id = any(l.reservation_ids) and r.state = 'held'
                and (r.expires_at is null or r.expires_at > (select db_now()))), 0)::bigint
"""


class LineRow(NamedTuple):
    """A line as it is shown. ordered = allocated + backordered + shipped + cancelled."""

    order_id: str
    line_id: str
    sku: Sku
    title: str
    units_ordered: int
    units_allocated: int
    units_shipped: int
    units_cancelled: int

    @property
    def units_backordered(self) -> int:
        return self.units_ordered - self.units_allocated - self.units_shipped - self.units_cancelled


class OrderRow(NamedTuple):
    """An order as it is shown, with its units over all lines."""

    order_id: str
    customer: str
    po_number: str
    version: int
    location: Location
    state: str
    ship_by: date | None
    cancel_after: date | None
    came_by: str
    placed_at: datetime
    changed_at: datetime
    is_late: bool
    units_ordered: int
    units_allocated: int
    units_shipped: int
    units_cancelled: int

    @property
    def units_backordered(self) -> int:
        return self.units_ordered - self.units_allocated - self.units_shipped - self.units_cancelled


class Wanted(NamedTuple):
    """Which orders a list is of. `is_short`: those that wait for units."""

    customer: str | None = None
    states: Collection[OrderState] = tuple(OrderState)
    is_short: bool = False


async def add(tx: Transaction, orders: Iterable[WholesaleOrder]) -> set[str]:
    """Keep new orders, locked, with their lines. Returns their ids, without those of which there is one already."""
    ordered = sorted(orders, key=lambda one: one.order_id)
    if not ordered:
        return set()
    cursor = await tx.execute(
        """
        insert into wholesale_orders (order_id, customer, po_number, version, fingerprint, location, ship_by,
                                      cancel_after, expires_at, state, came_by, placed_at, changed_at)
        select order_id, customer, po_number, version, fingerprint, location, ship_by, cancel_after, expires_at, state,
               came_by, placed_at, placed_at
        from unnest(%(order_ids)s::text[], %(customers)s::text[], %(po_numbers)s::text[], %(versions)s::bigint[],
                    %(fingerprints)s::bytea[], %(locations)s::text[], %(ship_by)s::date[], %(cancel_after)s::date[],
                    %(expires_at)s::timestamptz[], %(states)s::text[], %(came_by)s::text[],
                    %(placed_at)s::timestamptz[])
            as new (order_id, customer, po_number, version, fingerprint, location, ship_by, cancel_after, expires_at,
                    state, came_by, placed_at)
        order by order_id collate "C"
        on conflict do nothing returning order_id
        """,
        {
            "order_ids": [one.order_id for one in ordered],
            "customers": [one.customer for one in ordered],
            "po_numbers": [one.po_number for one in ordered],
            "versions": [one.version for one in ordered],
            "fingerprints": [one.fingerprint for one in ordered],
            "locations": [one.location for one in ordered],
            "ship_by": [one.ship_by for one in ordered],
            "cancel_after": [one.cancel_after for one in ordered],
            "expires_at": [one.expires_at for one in ordered],
            "states": [one.state.value for one in ordered],
            "came_by": [one.came_by for one in ordered],
            "placed_at": [one.placed_at for one in ordered],
        },
    )
    added = {order_id async for (order_id,) in cursor}
    await save_lines(tx, [line for one in ordered if one.order_id in added for line in one.lines])
    return added


async def save(tx: Transaction, orders: Iterable[WholesaleOrder]) -> None:
    """Store these (locked) orders with their lines."""
    for order in sorted(orders, key=lambda one: one.order_id):
        await tx.execute(
            """
            update wholesale_orders set version = %(version)s, fingerprint = %(fingerprint)s, ship_by = %(ship_by)s,
                cancel_after = %(cancel_after)s, expires_at = %(expires_at)s, state = %(state)s, changed_at = db_now()
            where order_id = %(order_id)s
            """,
            _named(order),
        )
        await save_lines(tx, order.lines)


async def lock(tx: Transaction, order_ids: Collection[str]) -> dict[str, WholesaleOrder]:
    """These orders as far as there are any, locked in sorted order, with their lines."""
    cursor = await tx.execute(
        """
        select o.order_id, o.customer, o.po_number, o.version, o.fingerprint, o.location, o.ship_by, o.cancel_after,
               o.state, o.placed_at, o.came_by
        from wholesale_orders o join unnest(%(ids)s::text[]) as wanted (order_id) on o.order_id = wanted.order_id
        order by o.order_id for update of o
        """,
        {"ids": arrays.texts(sorted(order_ids))},
    )
    found = {}
    async for order_id, customer, po_number, version, fingerprint, location, *rest in cursor:
        ship_by, cancel_after, state, placed_at, came_by = rest
        found[order_id] = WholesaleOrder(
            customer=customer,
            po_number=po_number,
            version=version,
            fingerprint=bytes(fingerprint),
            location=Location(location),
            ship_by=ship_by,
            cancel_after=cancel_after,
            state=OrderState(state),
            placed_at=placed_at,
            came_by=came_by,
        )
    for line in await _lines(tx, found):
        found[line.order_id].lines.append(line)
    return found


async def _lines(tx: Transaction, order_ids: Collection[str]) -> list[WholesaleLine]:
    cursor = tx.cursor(row_factory=class_row(WholesaleLine))
    await cursor.execute(
        """
        select l.sku, l.order_id, l.line_id, l.location, l.placed_at, l.units_ordered, l.units_shipped,
               l.units_cancelled, l.reservation_ids
        from unnest(%(ids)s::text[]) as wanted (order_id) join wholesale_lines l on l.order_id = wanted.order_id
        order by l.order_id, l.sku, l.line_id
        """,
        {"ids": arrays.texts(sorted(order_ids))},
    )
    return await cursor.fetchall()


async def save_lines(tx: Transaction, lines: Collection[WholesaleLine]) -> None:
    """Store these lines, of locked orders."""
    ordered = sorted(lines, key=lambda line: (line.sku, line.order_id, line.line_id))
    await tx.execute(
        """
        insert into wholesale_lines (sku, order_id, line_id, location, placed_at, units_ordered, units_shipped,
                                     units_cancelled, reservation_ids)
        select sku, order_id, line_id, location, placed_at, ordered, shipped, cancelled, held::uuid[]
        from unnest(%(skus)s::text[], %(orders)s::text[], %(lines)s::text[], %(locations)s::text[],
                    %(placed)s::timestamptz[], %(ordered)s::bigint[], %(shipped)s::bigint[], %(cancelled)s::bigint[],
                    %(held)s::text[])
            as new (sku, order_id, line_id, location, placed_at, ordered, shipped, cancelled, held)
        on conflict (sku, order_id, line_id) do update set
            units_ordered = excluded.units_ordered, units_shipped = excluded.units_shipped,
            units_cancelled = excluded.units_cancelled, reservation_ids = excluded.reservation_ids
        """,
        {
            "skus": arrays.texts([line.sku for line in ordered]),
            "orders": arrays.texts([line.order_id for line in ordered]),
            "lines": arrays.texts([line.line_id for line in ordered]),
            "locations": arrays.texts([line.location for line in ordered]),
            "placed": arrays.instants([line.placed_at for line in ordered]),
            "ordered": arrays.numbers([line.units_ordered for line in ordered]),
            "shipped": arrays.numbers([line.units_shipped for line in ordered]),
            "cancelled": arrays.numbers([line.units_cancelled for line in ordered]),
            "held": arrays.texts([arrays.uuids(line.reservation_ids) for line in ordered]),
        },
    )


async def look_in(tx: Transaction, lines: Collection[WholesaleLine], *, wait_s: float | None) -> None:
    """See after `wait_s` whether there are units for these lines; None: never again, unless somebody says so."""
    await tx.execute(
        """
        update wholesale_lines l set look_at = db_now() + make_interval(secs => %(wait_s)s::double precision)
        from unnest(%(skus)s::text[], %(orders)s::text[], %(lines)s::text[]) as named (sku, order_id, line_id)
        where l.sku = named.sku and l.order_id = named.order_id and l.line_id = named.line_id
        """,
        {
            "wait_s": wait_s,
            "skus": arrays.texts([line.sku for line in lines]),
            "orders": arrays.texts([line.order_id for line in lines]),
            "lines": arrays.texts([line.line_id for line in lines]),
        },
    )


async def due_balances(tx: Transaction, *, limit: int) -> list[BalanceKey]:
    """Balances for whose units lines wait, those that nobody has looked at for longest first."""
    cursor = await tx.execute(
        """
        select sku, location from wholesale_lines where look_at <= (select db_now())
        group by sku, location order by min(look_at) limit %(limit)s
        """,
        {"limit": limit},
    )
    return [(Sku(sku), Location(location)) async for sku, location in cursor]


async def waiting_at(tx: Transaction, keys: Collection[BalanceKey], *, limit: int) -> list[str]:
    """The orders that wait for units of these balances, the oldest first."""
    cursor = await tx.execute(
        """
        select l.order_id from unnest(%(skus)s::text[], %(locations)s::text[]) as wanted (sku, location)
        join wholesale_lines l on l.sku = wanted.sku and l.location = wanted.location and l.look_at is not null
        group by l.order_id order by min(l.placed_at), l.order_id limit %(limit)s
        """,
        {**arrays.places(keys), "limit": limit},
    )
    return [order_id async for (order_id,) in cursor]


async def overdue(tx: Transaction, *, limit: int) -> list[str]:
    """Orders that nobody wants any more: their last day is over."""
    cursor = await tx.execute(
        """
        select order_id from wholesale_orders where state <> 'closed' and expires_at <= (select db_now())
        order by expires_at limit %(limit)s
        """,
        {"limit": limit},
    )
    return [order_id async for (order_id,) in cursor]


async def allocated(tx: Transaction, keys: Collection[BalanceKey]) -> dict[BalanceKey, int]:
    """Units of these (locked) balances that are allocated, for whomever."""
    cursor = await tx.execute(
        """
        select r.sku, r.location, sum(r.units - r.units_short)::bigint
        from unnest(%(skus)s::text[], %(locations)s::text[]) as wanted (sku, location)
        join reservations r on r.sku = wanted.sku and r.location = wanted.location
        where r.state = 'held' and r.kind = 'allocation' and (r.expires_at is null or r.expires_at > (select db_now()))
        group by 1, 2
        """,
        arrays.places(keys),
    )
    return {(Sku(sku), Location(location)): units async for sku, location, units in cursor}


async def backordered(tx: Transaction, skus: Collection[Sku]) -> dict[BalanceKey, int]:
    """Units of these SKUs that open orders wait for, by balance; none is left out, and none is 0."""
    cursor = await tx.execute(
        f"""
        select sku, location, sum(units)::bigint from (
            select l.sku, l.location, l.units_ordered - l.units_shipped - l.units_cancelled - {_HELD} as units
            from wholesale_lines l join wholesale_orders o using (order_id)
            where l.sku = any(%(skus)s::text[]) and l.look_at is not null and o.state = 'open'
        ) as waiting where units > 0 group by 1, 2
        """,
        {"skus": arrays.texts(sorted(skus))},
    )
    return {(Sku(sku), Location(location)): units async for sku, location, units in cursor}


async def available_in(tx: Transaction, scope: Scope, *, limit: int) -> dict[BalanceKey, int]:
    """What lies free of the SKUs that a rule for this scope reaches, at each of their locations; the first by name."""
    cursor = await tx.execute(
        """
        select b.sku, b.location, b.available from balances b join skus s on s.sku = b.sku
        where (%(sku)s::text is null or b.sku = %(sku)s)
          and (%(sku_group)s::text is null or s.sku_group = %(sku_group)s)
        order by b.sku, b.location limit %(limit)s
        """,
        {"sku": scope.sku, "sku_group": scope.sku_group, "limit": limit},
    )
    return {(Sku(sku), Location(location)): units async for sku, location, units in cursor}


async def listed(tx: Transaction, wanted: Wanted, *, after: str | None = None, limit: int) -> list[OrderRow]:
    """Orders, those that have to leave first at the top; those without a day last. `after`: an order of the list."""
    return await _shown(
        tx,
        """
        (%(customer)s::text is null or o.customer = %(customer)s)
        and o.state = any(%(states)s::text[])
        and (not %(is_short)s or o.units_ordered > o.units_allocated + o.units_shipped + o.units_cancelled)
        and (%(after)s::text is null or (coalesce(o.ship_by, 'infinity'), o.order_id)
             > (select coalesce(a.ship_by, 'infinity'), a.order_id from wholesale_orders a
                where a.order_id = %(after)s))
        """,
        {
            "customer": wanted.customer,
            "states": [state.value for state in wanted.states],
            "is_short": wanted.is_short,
            "after": after,
            "limit": limit,
        },
    )


async def find(tx: Transaction, order_id: str) -> OrderRow | None:
    """One order."""
    found = await _shown(tx, "o.order_id = %(order_id)s", {"order_id": order_id, "limit": 1})
    return found[0] if found else None


async def _shown(tx: Transaction, condition: str, names: Mapping[str, object]) -> list[OrderRow]:
    cursor = tx.cursor(row_factory=class_row(OrderRow))
    await cursor.execute(
        f"""
        select order_id, customer, po_number, version, location, state, ship_by, cancel_after, came_by, placed_at,
               changed_at, coalesce(ship_by < ((select db_now()) at time zone 'UTC')::date, false)
                           and state <> 'closed' as is_late,
               units_ordered, units_allocated, units_shipped, units_cancelled
        from (
            select o.*, sums.* from wholesale_orders o cross join lateral (
                select coalesce(sum(l.units_ordered), 0)::bigint as units_ordered,
                       coalesce(sum({_HELD}), 0)::bigint as units_allocated,
                       coalesce(sum(l.units_shipped), 0)::bigint as units_shipped,
                       coalesce(sum(l.units_cancelled), 0)::bigint as units_cancelled
                from wholesale_lines l where l.order_id = o.order_id
            ) as sums
        ) as o
        where {condition}
        order by coalesce(ship_by, 'infinity'), order_id limit %(limit)s
        """.encode(),
        names,
    )
    return await cursor.fetchall()


async def lines_shown(tx: Transaction, order_ids: Sequence[str]) -> dict[str, list[LineRow]]:
    """The lines of these orders, as the customer numbered them."""
    cursor = tx.cursor(row_factory=class_row(LineRow))
    await cursor.execute(
        f"""
        select l.order_id, l.line_id, l.sku, s.title, l.units_ordered, {_HELD} as units_allocated, l.units_shipped,
               l.units_cancelled
        from wholesale_lines l join skus s on s.sku = l.sku where l.order_id = any(%(ids)s::text[])
        order by l.order_id, length(l.line_id), l.line_id
        """,
        {"ids": arrays.texts(list(order_ids))},
    )
    found: dict[str, list[LineRow]] = {}
    for row in await cursor.fetchall():
        found.setdefault(row.order_id, []).append(row)
    return found


def _named(order: WholesaleOrder) -> dict[str, object]:
    return {
        "order_id": order.order_id,
        "customer": order.customer,
        "po_number": order.po_number,
        "version": order.version,
        "fingerprint": order.fingerprint,
        "location": order.location,
        "ship_by": order.ship_by,
        "cancel_after": order.cancel_after,
        "expires_at": order.expires_at,
        "state": order.state,
    }
