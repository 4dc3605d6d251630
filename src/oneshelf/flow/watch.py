"""Watch what runs low: a SKU that falls to its reorder point is told of once, and once more when it is well above it.

Reads: reorder rules, balances, what was sold. Writes: reorder rules, what is low now.
Next: tell.
"""

from __future__ import annotations

from oneshelf.domain.outcome import UnknownSku
from oneshelf.domain.reorder import ReorderRule, ReorderScope
from oneshelf.storage import catalog, low_stocks
from oneshelf.storage.database import Database

EVERY_S = 15.0


async def watch(database: Database) -> int:
    """Look at every SKU that a rule reaches. Returns how many became low, or are so no more."""
    async with database.transaction() as tx:
        return await low_stocks.watch(tx)


async def set_rule(database: Database, scope: ReorderScope, rule: ReorderRule, *, by: str) -> UnknownSku | None:
    """Say when a SKU, a group or everything is low. What follows is seen at once."""
    async with database.transaction() as tx:
        if scope.sku is not None and not await catalog.known_skus(tx, [scope.sku]):
            return UnknownSku(scope.sku)
        await low_stocks.set_rule(tx, scope, rule, by=by)
        await low_stocks.watch(tx)
    return None


async def end_rule(database: Database, scope: ReorderScope) -> UnknownSku | None:
    """Nothing is said of this scope any more; said again, nothing changes."""
    async with database.transaction() as tx:
        if scope.sku is not None and not await catalog.known_skus(tx, [scope.sku]):
            return UnknownSku(scope.sku)
        await low_stocks.end_rule(tx, scope)
        await low_stocks.watch(tx)
    return None
