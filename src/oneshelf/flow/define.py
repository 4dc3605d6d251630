"""Say what is sold, and how far beyond the shelf: bundles, backorders and preorders; and what kits are made of.

Reads: names, what has moved. Writes: bundle components, the recipes of kits, backorders; marks the SKUs whose listings
must be planned again.
Next: post, plan.
"""

from __future__ import annotations

from oneshelf.domain.bundle import BundleRefusal, BundleWish, Defined, may_define, named
from oneshelf.domain.command import Component, require_components
from oneshelf.domain.identity import Location, Sku
from oneshelf.domain.ledger import Backorder
from oneshelf.domain.outcome import IsBundle, UnknownLocation, UnknownSku
from oneshelf.errors import MalformedError
from oneshelf.storage import backorders, bundles, catalog, kits, touched
from oneshelf.storage.database import Database


async def define_bundle(database: Database, wish: BundleWish) -> Defined | BundleRefusal:
    """Have a SKU sold as these components, or as others than before. Saying it again changes nothing."""
    async with database.transaction() as tx:
        outcome = may_define(wish, await bundles.lock_standing(tx, wish))
        if isinstance(outcome, Defined):
            await touched.mark(tx, await bundles.replace(tx, wish))
    return outcome


async def keep_recipe(database: Database, sku: Sku, components: tuple[Component, ...]) -> UnknownSku | IsBundle | None:
    """Have kits of this SKU made of these components. Saying it again changes nothing. Raises MalformedError."""
    require_components("kit", sku, components)
    wanted = [sku, *(component.sku for component in components)]
    async with database.transaction() as tx:
        await kits.lock(tx, wanted)
        known = await catalog.told_known(await catalog.ask_known(tx, wanted, ()))
        for name in wanted:
            if name not in known.skus:
                return UnknownSku(name)
            if parts := known.bundles.get(name):
                return IsBundle(name, named(parts))
        if sku in await kits.made_of(tx, wanted[1:]):
            raise MalformedError(
                f"kit {sku} would be made of itself: a component of it is made of it; oneshelf stock kits"
            )
        await kits.keep(tx, sku, components)
    return None


async def end_recipe(database: Database, sku: Sku) -> tuple[Component, ...] | UnknownSku:
    """Keep no recipe of this kit any more. The one that was kept; empty where none was."""
    async with database.transaction() as tx:
        await kits.lock(tx, [sku])
        if not await catalog.known_skus(tx, [sku]):
            return UnknownSku(sku)
        recipe = (await kits.recipes(tx, [sku])).get(sku, ())
        await kits.keep(tx, sku, ())
    return recipe


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
