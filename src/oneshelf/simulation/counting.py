"""A merchant who counts at the channel that rules, and what nobody can tell of it."""

from __future__ import annotations

import asyncio
from random import Random
from typing import TYPE_CHECKING, Any

from psycopg import Connection

from oneshelf.connectors.shopify.simulator import ShopifySimulator
from oneshelf.simulation.faults import OFF
from oneshelf.simulation.shapes import HUB

if TYPE_CHECKING:
    from oneshelf.simulation.world import World

# Seconds between two figures that are typed, on average.
COUNT_S = 4.0


async def counts(world: World, merchant: Random) -> None:
    """Type what is there, whoever is buying at that moment, also where the last figure was not taken yet.

    Only of what the engine has once proved to show its figure, beyond doubt: what was typed before that is in it. And
    not where the channel shows less than nothing: who types 0 there may mean that there is none, or enough.
    """
    shop = world.channels[HUB]
    while isinstance(shop, ShopifySimulator) and not world.is_closed:
        await asyncio.sleep(merchant.expovariate(1 / COUNT_S))
        article = merchant.choice(shop.shop.articles)
        shown = article.units["available"]
        if world.shape.is_hub and shown >= 0 and world.known(HUB, article.variant_id).was_proved:
            units = max(0, shown + merchant.choice((-3, -1, 1, 2, 5)))
            world.shape.typed.types(article.variant_id, article.sku.partition("/")[0], units - shown)
            world.faults.saw("a figure was typed at the channel that rules")
            world.edit(HUB, article.variant_id, units)


def untold(world: World) -> set[str]:
    """SKUs of which nobody can say what the ledger has to follow, since that changed while figures were typed.

    Where an order may come so late that a figure was written over what it explains, that is any.
    """
    if not world.shape.is_switched or world.is_guarded:
        return set()
    if world.faults.grades["order_late"] != OFF:
        return set(world.skus)
    sold = {one.channel_sku: one.merchant_sku.partition("/")[0] for one in world.channels[HUB].listings()}
    return {sold[channel_sku] for name, channel_sku in world.edited if name == HUB}


def look_at_typed(world: World, session: Connection[tuple[Any, ...]]) -> None:
    """Whether what was typed can still be told."""
    shop = world.channels.get(HUB)
    if shop is not None and not world.shape.is_ordinary:
        shown = {listing.channel_sku: listing.units for listing in shop.listings()}
        if world.shape.typed.look(session, HUB, shown):
            world.faults.saw("a figure was typed while a write had no answer")
