"""Begin to count: note where balances stand, so that the count can say what it had seen.

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
