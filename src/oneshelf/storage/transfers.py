"""Rows of `transfers`: units on their way between two locations."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import datetime
from typing import NamedTuple

from psycopg.rows import class_row

from oneshelf.domain.identity import Location, Sku
from oneshelf.domain.ledger import Transfer, TransferKey
from oneshelf.storage.database import Transaction

_NAMES = (
    "sku", "transfer_id", "origin", "target", "units_sent", "units_arrived", "units_over", "units_lost", "created_at",
)  # fmt: skip
_COLUMNS = ", ".join(f"t.{name}" for name in _NAMES)


class TransferRow(NamedTuple):
    """One SKU of a transfer as people see it. `is_overdue`: longer under way than whoever asks finds right."""

    created_at: datetime
    transfer_id: str
    sku: Sku
    origin: Location
    target: Location
    units_sent: int
    units_arrived: int
    units_over: int
    units_lost: int
    units_under_way: int
    age_s: float
    is_overdue: bool


class TransferPlace(NamedTuple):
    """Where a list of transfers goes on."""

    created_at: datetime
    transfer_id: str
    sku: Sku


async def load(tx: Transaction, keys: Collection[TransferKey]) -> list[Transfer]:
    """These transfers, as far as they exist. Where they come from and go to never changes."""
    ordered = sorted(keys)
    cursor = tx.cursor(row_factory=class_row(Transfer))
    await cursor.execute(
        f"""
        select {_COLUMNS}
        from unnest(%(skus)s::text[], %(ids)s::text[]) as wanted (sku, transfer_id)
        join transfers t on t.sku = wanted.sku and t.transfer_id = wanted.transfer_id
        """,
        {"skus": [sku for sku, _ in ordered], "ids": [transfer_id for _, transfer_id in ordered]},
    )
    return await cursor.fetchall()


async def save(tx: Transaction, transfers: Iterable[Transfer]) -> None:
    """Store these transfers. The balances at both ends were locked when they began, the target's now."""
    ordered = sorted(transfers, key=lambda transfer: transfer.key)
    if not ordered:
        return
    await tx.execute(
        """
        insert into transfers (sku, transfer_id, origin, target, units_sent, units_arrived, units_over, units_lost,
                               created_at)
        select * from unnest(
            %(sku)s::text[], %(transfer_id)s::text[], %(origin)s::text[], %(target)s::text[], %(units_sent)s::bigint[],
            %(units_arrived)s::bigint[], %(units_over)s::bigint[], %(units_lost)s::bigint[],
            %(created_at)s::timestamptz[])
        on conflict (sku, transfer_id) do update set
            units_arrived = excluded.units_arrived, units_over = excluded.units_over, units_lost = excluded.units_lost
        """,
        {name: [getattr(transfer, name) for transfer in ordered] for name in _NAMES},
    )


async def rows(  # noqa: PLR0913  # what a list may be narrowed to
    tx: Transaction,
    *,
    overdue_s: float,
    only_under_way: bool = True,
    sku: Sku | None = None,
    location: Location | None = None,
    after: TransferPlace | None = None,
    limit: int,
) -> list[TransferRow]:
    """Transfers from or to `location`, those that left first first. `overdue_s`: that much longer is overdue."""
    cursor = tx.cursor(row_factory=class_row(TransferRow))
    await cursor.execute(
        """
        select t.created_at, t.transfer_id, t.sku, t.origin, t.target, t.units_sent, t.units_arrived, t.units_over,
               t.units_lost, t.units_sent - t.units_arrived - t.units_lost as units_under_way,
               extract(epoch from db_now() - t.created_at)::float8 as age_s,
               t.units_arrived + t.units_lost < t.units_sent
                   and t.created_at < db_now() - make_interval(secs => %(overdue_s)s) as is_overdue
        from transfers t
        where (not %(only_under_way)s or t.units_arrived + t.units_lost < t.units_sent)
          and (%(sku)s::text is null or t.sku = %(sku)s)
          and (%(location)s::text is null or %(location)s in (t.origin, t.target))
          and (%(after_at)s::timestamptz is null or (t.created_at, t.transfer_id, t.sku)
               > (%(after_at)s::timestamptz, %(after_id)s::text collate "C", %(after_sku)s::text collate "C"))
        order by t.created_at, t.transfer_id, t.sku limit %(limit)s
        """,
        {
            "overdue_s": overdue_s,
            "only_under_way": only_under_way,
            "sku": sku,
            "location": location,
            "after_at": after.created_at if after else None,
            "after_id": after.transfer_id if after else None,
            "after_sku": after.sku if after else None,
            "limit": limit,
        },
    )
    return await cursor.fetchall()
