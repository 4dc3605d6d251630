"""Say what is sold, and how far beyond the shelf: bundles, backorders and preorders.

Reads: names, what has moved. Writes: bundle components, backorders; marks the SKUs whose listings must
be planned again.
Next: post, plan.
"""

from __future__ import annotations

from oneshelf.domain.bundle import BundleRefusal, BundleWish, Defined, may_define, named
from oneshelf.domain.identity import Location, Sku
from oneshelf.domain.ledger import Backorder
from oneshelf.domain.outcome import IsBundle, UnknownLocation, UnknownSku
from oneshelf.storage import backorders, bundles, catalog, touched
from oneshelf.storage.database import Database


async def define_bundle(database: Database, wish: BundleWish) -> Defined | BundleRefusal:
    """Have a SKU sold as these components, or as others than before. Saying it again changes nothing."""
    async with database.transaction() as tx:
        outcome = may_define(wish, await bundles.lock_standing(tx, wish))
        if isinstance(outcome, Defined):
            await touched.mark(tx, await bundles.replace(tx, wish))
    return outcome


async def allow_backorder(
    database: Database, sku: Sku, location: Location, policy: Backorder | None
) -> UnknownSku | UnknownLocation | IsBundle | None:
    """Let so many units be promised beyond what is there; None: no more than what is there. What was promised stays."""
    async with database.transaction() as tx:
        known = await catalog.told_known(await catalog.ask_known(tx, [sku], [location]))
        if sku not in known.skus:
            return UnknownSku(sku)
        if location not in known.locations:
            return UnknownLocation(location)
        if parts := known.bundles.get(sku):
            return IsBundle(sku, named(parts))
        if policy is None:
            await backorders.end(tx, sku, location)
        else:
            await backorders.allow(tx, sku, location, policy)
        await touched.mark(tx, [sku])
    return None
