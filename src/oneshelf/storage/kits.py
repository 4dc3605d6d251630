"""Rows of `kit_components`: the kept recipes of kits, which are made beforehand and counted themselves."""

from __future__ import annotations

from collections.abc import Collection

from oneshelf.domain.bundle import Bundles
from oneshelf.domain.command import Component
from oneshelf.domain.identity import Sku
from oneshelf.storage import arrays
from oneshelf.storage.bundles import components_of
from oneshelf.storage.database import Transaction


async def recipes(tx: Transaction, skus: Collection[Sku] | None = None, *, limit: int | None = None) -> Bundles:
    """The kept recipes of these SKUs, None: of all, in the order of the SKUs."""
    cursor = await tx.execute(
        """
        select sku, array_agg(component order by component), array_agg(units order by component)
        from kit_components where %(skus)s::text[] is null or sku = any(%(skus)s::text[]) group by sku order by sku
        limit %(limit)s
        """,
        {"skus": None if skus is None else arrays.texts(sorted(skus)), "limit": limit},
    )
    return {Sku(sku): components_of(components, units) async for sku, components, units in cursor}


async def made_of(tx: Transaction, skus: Collection[Sku]) -> set[Sku]:
    """All that these SKUs are made of by the kept recipes, through any number of kits; and these SKUs."""
    cursor = await tx.execute(
        """
        with recursive part as (
            select unnest(%(skus)s::text[]) collate "C" as component
            union select k.component from part join kit_components k on k.sku = part.component
        )
        select component from part
        """,
        {"skus": arrays.texts(sorted(skus))},
    )
    return {Sku(sku) async for (sku,) in cursor}


async def lock(tx: Transaction, skus: Collection[Sku]) -> None:
    """Until the transaction ends none of these SKUs becomes a bundle, and nobody else keeps a recipe."""
    await tx.execute("lock table kit_components in share row exclusive mode")
    await tx.execute(
        "select from skus where sku = any(%(skus)s::text[]) order by sku for update",
        {"skus": arrays.texts(sorted(skus))},
    )


async def keep(tx: Transaction, sku: Sku, components: Collection[Component]) -> None:
    """Keep this recipe of a kit in place of its last one; no components: none. Its SKUs are locked."""
    named = {
        "sku": sku,
        "components": [component.sku for component in components],
        "units": [component.units for component in components],
    }
    await tx.execute("delete from kit_components where sku = %(sku)s", named)
    await tx.execute(
        """
        insert into kit_components (sku, component, units)
        select %(sku)s, component, units
        from unnest(%(components)s::text[], %(units)s::int[]) as new (component, units)
        """,
        named,
    )
