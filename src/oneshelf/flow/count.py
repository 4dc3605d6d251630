"""Begin to count: note where balances stand, so that the count can say what it had seen; and forget old notes.

Reads: balances. Writes: counts.
Next: post, once somebody has counted and quotes the token.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from oneshelf.domain.identity import Location, Sku
from oneshelf.domain.outcome import UnknownLocation, UnknownSku
from oneshelf.storage import catalog, counts
from oneshelf.storage.database import Database, now

# A count that takes longer is begun again: by then nobody knows any more what lay where.
BEGUN_KEPT_S = 30 * 86_400.0
ENDED_EVERY_S = 3_600.0
ENDED_MAX = 5_000


@dataclass(frozen=True, slots=True)
class CountBegun:
    """The token to quote with each count of these SKUs at this location."""

    token: UUID
    location: Location
    begun_at: datetime
    sku_count: int


async def begin_count(
    database: Database, new_id: Callable[[], UUID], location: Location, skus: Collection[Sku] = ()
) -> CountBegun | UnknownSku | UnknownLocation:
    """A token for counting these SKUs at a location; for all SKUs where none is named."""
    async with database.transaction() as tx:
        known = await catalog.told_known(await catalog.ask_known(tx, skus, [location]))
        if unknown := sorted(set(skus) - known.skus):
            return UnknownSku(unknown[0])
        if location not in known.locations:
            return UnknownLocation(location)
        token = new_id()
        sku_count = await counts.begin(tx, token, location, skus or None)
        return CountBegun(token, location, await now(tx), sku_count)


async def end_old_counts(database: Database, *, kept_s: float = BEGUN_KEPT_S, every_s: float = ENDED_EVERY_S) -> int:
    """Forget counts that began longer ago than `kept_s`, one batch, at most every `every_s`. Returns how many notes."""
    async with database.transaction() as tx:
        return await counts.end_old(tx, kept_s=kept_s, every_s=every_s, limit=ENDED_MAX)
