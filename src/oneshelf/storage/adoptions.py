"""Drifts whose channel is right, until the ledger has taken what they strayed by: rows of `drifts`."""

from __future__ import annotations

from collections.abc import Collection
from uuid import UUID

from psycopg.rows import class_row

from oneshelf.domain.drift import Cause
from oneshelf.storage.database import Transaction
from oneshelf.storage.drifts import COLUMNS, DriftRow
from oneshelf.storage.listings import ListingKey


async def undecided_of(tx: Transaction, keys: Collection[ListingKey]) -> list[DriftRow]:
    """Open drifts of these listings that nobody has decided upon."""
    cursor = tx.cursor(row_factory=class_row(DriftRow))
    ordered = sorted(keys)
    await cursor.execute(
        f"""
        select {COLUMNS} from drifts d
        join unnest(%(channels)s::text[], %(channel_skus)s::text[]) as seen (channel, channel_sku)
          on d.channel = seen.channel and d.channel_sku = seen.channel_sku
        where d.resolved_at is null and d.resolution = ''
        """,
        {
            "channels": [channel for channel, _ in ordered],
            "channel_skus": [channel_sku for _, channel_sku in ordered],
        },
    )
    return await cursor.fetchall()


async def begin(tx: Transaction, drift_id: UUID, units: int) -> int:
    """The ledger is to take so many units of the listing for this drift, or what was begun with. Returns them."""
    cursor = await tx.execute(
        """
        update drifts set adopted_units = coalesce(adopted_units, %(units)s) where drift_id = %(drift_id)s
        returning adopted_units
        """,
        {"drift_id": drift_id, "units": units},
    )
    row = await cursor.fetchone()
    return int(row[0]) if row else units


async def give_up(tx: Transaction, drift_id: UUID) -> None:
    """The ledger did not take them."""
    await tx.execute("update drifts set adopted_units = null where drift_id = %(drift_id)s", {"drift_id": drift_id})


async def end(tx: Transaction, drift_id: UUID, *, left: int) -> None:
    """The ledger has taken them, and the drift is over. `left`: what has strayed meanwhile is a drift of its own."""
    await tx.execute(
        """
        update drifts set expected_units = observed_units - adopted_units, resolved_at = db_now(), waiting_for = ''
        where drift_id = %(drift_id)s
        """,
        {"drift_id": drift_id},
    )
    if left:
        await tx.execute(
            """
            insert into drifts (drift_id, channel, channel_sku, sku, cause, expected_units, observed_units, opened_at)
            select md5(drift_id || ' rest')::uuid, channel, channel_sku, sku, %(cause)s, observed_units - %(left)s,
                   observed_units, db_now()
            from drifts where drift_id = %(drift_id)s
            """,
            {
                "drift_id": drift_id,
                "left": left,
                "cause": (Cause.UNKNOWN if left < 0 else Cause.FOREIGN_EDIT).value,
            },
        )
