"""Rows of `bundle_components`: what is sold as one, and counted as its components."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from oneshelf.domain.bundle import Bundles, BundleWish, Standing
from oneshelf.domain.command import Component
from oneshelf.domain.identity import Sku
from oneshelf.storage import arrays
from oneshelf.storage.database import Transaction, only_row


def components_of(components: Sequence[str], units: Sequence[int]) -> tuple[Component, ...]:
    """Two columns of rows as components."""
    return tuple(Component(sku=Sku(sku), units=each) for sku, each in zip(components, units, strict=True))


async def listed(tx: Transaction, *, sku: Sku | None = None) -> Bundles:
    """All bundles, in the order of their SKUs; or the one of this SKU, if it is a bundle."""
    cursor = await tx.execute(
        """
        select sku, array_agg(component order by component), array_agg(units order by component)
        from bundle_components where %(sku)s::text is null or sku = %(sku)s group by sku order by sku
        """,
        {"sku": sku},
    )
    return {Sku(sku): components_of(components, units) async for sku, components, units in cursor}


async def components(tx: Transaction, skus: Collection[Sku]) -> Bundles:
    """Those of these SKUs that are bundles."""
    cursor = await tx.execute(
        """
        select sku, array_agg(component order by component), array_agg(units order by component)
        from bundle_components where sku = any(%(skus)s::text[]) group by sku
        """,
        {"skus": arrays.texts(sorted(skus))},
    )
    return {Sku(sku): components_of(components, units) async for sku, components, units in cursor}


async def lock_standing(tx: Transaction, wish: BundleWish) -> Standing:
    """What is known of the SKUs that this wish names; nobody changes it until the transaction ends.

    The listings first, as whoever posts their orders has them locked; then the SKUs, so that no balance of them is
    made meanwhile; then the balances.
    """
    named = {"sku": wish.sku, "skus": sorted({wish.sku, *(component.sku for component in wish.components)})}
    await tx.execute("select from listings where sku = %(sku)s order by channel, channel_sku for update", named)
    cursor = await tx.execute("select sku from skus where sku = any(%(skus)s::text[]) order by sku for update", named)
    skus = [Sku(sku) async for (sku,) in cursor]
    await tx.execute("select from balances where sku = %(sku)s order by location for update", named)
    cursor = await tx.execute(
        """
        select array(select distinct sku from bundle_components where sku = any(%(skus)s::text[])),
               array(select sku from bundle_components where component = %(sku)s),
               exists (select from movements where sku = %(sku)s)
               or exists (select from order_lines where sku = %(sku)s)
               or exists (select from reservations where sku = %(sku)s)
               or exists (select from ruling_counts where sku = %(sku)s)
               or exists (select from kit_components where %(sku)s in (sku, component))
        """,
        named,
    )
    bundles, used_by, has_history = await only_row(cursor)
    return Standing(skus=skus, bundles=bundles, used_by=used_by, has_history=has_history)


async def replace(tx: Transaction, bundle: BundleWish) -> set[Sku]:
    """Store what this bundle is made of now; its SKU is locked. Returns the SKUs whose figures change by that."""
    named = {
        "sku": bundle.sku,
        "components": [component.sku for component in bundle.components],
        "units": [component.units for component in bundle.components],
    }
    cursor = await tx.execute("delete from bundle_components where sku = %(sku)s returning component", named)
    before = {Sku(component) async for (component,) in cursor}
    # Empty ones: of a refused command, from when it was no bundle.
    await tx.execute("delete from balances where sku = %(sku)s", named)
    await tx.execute(
        """
        insert into bundle_components (sku, component, units)
        select %(sku)s, component, units
        from unnest(%(components)s::text[], %(units)s::int[]) as new (component, units)
        """,
        named,
    )
    return before | {bundle.sku, *(component.sku for component in bundle.components)}
