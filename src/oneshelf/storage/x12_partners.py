"""Rows of `x12_partners` and `x12_interchanges`: who sends X12 by which name, and what was read."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import NamedTuple

from psycopg.rows import class_row

from oneshelf.domain.identity import Location, Sku
from oneshelf.storage import arrays
from oneshelf.storage.database import Transaction

_COLUMNS = "customer, their_id, our_id, location, version"


class Partner(NamedTuple):
    """A customer who sends X12. `their_id`, `our_id`: QUALIFIER:ID, as in ISA05 to ISA08."""

    customer: str
    their_id: str
    our_id: str
    location: Location
    version: str


async def put(tx: Transaction, partner: Partner) -> None:
    """Know this partner; known before, all but the customer is as said last.

    Raises RowExistsError where another customer goes by that name.
    """
    await tx.execute(
        """
        insert into x12_partners (customer, their_id, our_id, location, version)
        values (%(customer)s, %(their_id)s, %(our_id)s, %(location)s, %(version)s)
        on conflict (customer) do update set their_id = excluded.their_id, our_id = excluded.our_id,
            location = excluded.location, version = excluded.version, set_at = db_now()
        """,
        partner._asdict(),
    )


async def listed(tx: Transaction) -> list[Partner]:
    """All partners."""
    cursor = tx.cursor(row_factory=class_row(Partner))
    await cursor.execute(f"select {_COLUMNS} from x12_partners order by customer")
    return await cursor.fetchall()


async def of(tx: Transaction, *, customer: str = "", their_id: str = "") -> Partner | None:
    """The partner of this customer, or of this name in X12."""
    cursor = tx.cursor(row_factory=class_row(Partner))
    await cursor.execute(
        f"select {_COLUMNS} from x12_partners where customer = %(customer)s or their_id = %(their_id)s",
        {"customer": customer, "their_id": their_id},
    )
    return await cursor.fetchone()


async def next_control(tx: Transaction, customer: str) -> int:
    """The number of the next interchange that is written for a partner; after 999999999 it is 1 again."""
    cursor = await tx.execute(
        """
        update x12_partners set last_control = last_control %% 999999999 + 1 where customer = %(customer)s
        returning last_control
        """,
        {"customer": customer},
    )
    row = await cursor.fetchone()
    return int(row[0]) if row else 0


async def read_before(tx: Transaction, their_id: str, control_number: str) -> tuple[bytes, list[str]] | None:
    """Of an interchange that was read: the digest of its bytes, and its orders."""
    cursor = await tx.execute(
        """
        select digest, order_ids from x12_interchanges
        where their_id = %(their_id)s and control_number = %(control)s
        """,
        {"their_id": their_id, "control": control_number},
    )
    row = await cursor.fetchone()
    return (bytes(row[0]), list(row[1])) if row else None


async def note_read(
    tx: Transaction, their_id: str, control_number: str, *, digest: bytes, order_ids: Sequence[str]
) -> None:
    """This interchange was read, and its orders are kept. Noted twice, the first stays."""
    await tx.execute(
        """
        insert into x12_interchanges (their_id, control_number, digest, order_ids)
        values (%(their_id)s, %(control)s, %(digest)s, %(order_ids)s) on conflict do nothing
        """,
        {"their_id": their_id, "control": control_number, "digest": digest, "order_ids": list(order_ids)},
    )


async def skus_of(tx: Transaction, numbers: Collection[str]) -> set[Sku]:
    """Those of these numbers that are SKUs."""
    cursor = await tx.execute(
        "select sku from skus where sku = any(%(numbers)s::text[])", {"numbers": arrays.texts(sorted(numbers))}
    )
    return {Sku(sku) async for (sku,) in cursor}


async def available_at(tx: Transaction, location: Location) -> list[tuple[Sku, int]]:
    """What lies free at a location, of every SKU that ever lay there."""
    cursor = await tx.execute(
        "select sku, available from balances where location = %(location)s order by sku", {"location": location}
    )
    return [(Sku(sku), units) async for sku, units in cursor]
