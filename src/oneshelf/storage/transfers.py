"""Rows of `transfers`: units on their way between two locations."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from psycopg.rows import class_row

from oneshelf.domain.ledger import Transfer, TransferKey
from oneshelf.storage.database import Transaction

_NAMES = (
    "sku", "transfer_id", "origin", "target", "units_sent", "units_arrived", "units_over", "units_lost", "created_at",
)  # fmt: skip
_COLUMNS = ", ".join(f"t.{name}" for name in _NAMES)


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
