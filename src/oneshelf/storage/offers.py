"""What listings sell and from which units, read without a lock: for previews and explanations, never for a write."""

from __future__ import annotations

from collections.abc import Collection
from typing import NamedTuple

from oneshelf.domain.identity import Channel, ChannelSku, Location, Sku
from oneshelf.domain.offering import Offered, Stock
from oneshelf.domain.pattern import as_expression
from oneshelf.domain.policy import Scope
from oneshelf.storage import arrays, backorders, balances, publications
from oneshelf.storage.bundles import components_of
from oneshelf.storage.database import Transaction, after_key, only_row
from oneshelf.storage.listings import ListingKey

_IN_SCOPE = """
    listings l join skus s on s.sku = l.sku
    where (%(channel)s::text is null or l.channel = %(channel)s)
      and (%(sku)s::text is null or l.sku = %(sku)s)
      and (%(sku_group)s::text is null or s.sku_group = %(sku_group)s)
      and (%(expression)s::text is null or l.sku ~ %(expression)s)
"""


async def in_scope(
    tx: Transaction, scope: Scope, *, after: ListingKey | None = None, limit: int
) -> list[tuple[ListingKey, Sku]]:
    """The linked listings that a rule for this scope can reach, by channel and channel SKU, the first after `after`."""
    cursor = await tx.execute(
        f"""
        select l.channel, l.channel_sku, l.sku from {_IN_SCOPE}
          and (l.channel, l.channel_sku) > (%(after_channel)s, %(after)s)
        order by l.channel, l.channel_sku limit %(limit)s
        """,
        {**_names(scope), "limit": limit, **after_key(after)},
    )
    return [((Channel(channel), ChannelSku(name)), Sku(sku)) async for channel, name, sku in cursor]


async def count_in_scope(tx: Transaction, scope: Scope, *, after: ListingKey | None = None) -> int:
    """How many listings `in_scope` would find after `after`, without a limit."""
    cursor = await tx.execute(
        f"select count(*) from {_IN_SCOPE} and (l.channel, l.channel_sku) > (%(after_channel)s, %(after)s)",
        {**_names(scope), **after_key(after)},
    )
    (count,) = await only_row(cursor)
    return int(count)


async def of_skus(tx: Transaction, skus: Collection[Sku]) -> list[Offered]:
    """All listings of these SKUs, by channel and channel SKU."""
    cursor = await tx.execute(
        """
        select l.channel, l.channel_sku, l.sku, c.location, l.pack_units,
               array(select b.component from bundle_components b where b.sku = l.sku order by b.component),
               array(select b.units from bundle_components b where b.sku = l.sku order by b.component)
        from listings l join channels c on c.channel = l.channel
        where l.sku = any(%(skus)s::text[]) order by l.channel, l.channel_sku
        """,
        {"skus": arrays.texts(sorted(skus))},
    )
    return [
        Offered(
            channel=Channel(channel),
            channel_sku=ChannelSku(channel_sku),
            sku=Sku(sku),
            location=Location(location),
            pack_units=pack_units,
            components=components_of(components, units),
        )
        async for channel, channel_sku, sku, location, pack_units, components, units in cursor
    ]


class Asked(NamedTuple):
    """A linked listing by the names that a channel asks by. Units are the listing's own.

    `rights_units`: what it may sell; None: it was never read. `is_live`: it is signed off, and its channel not paused.
    """

    key: ListingKey
    merchant_sku: str
    sku: Sku
    desired_units: int | None
    rights_units: int | None
    is_live: bool


async def asked_of(tx: Transaction, channel: Channel, names: Collection[str]) -> list[Asked]:
    """The listings of the channel that it calls so, or that have such a SKU of the seller's."""
    cursor = await tx.execute(
        """
        select l.channel_sku, l.merchant_sku, l.sku, l.desired_units, l.rights_units,
               c.mode = 'live' and (c.signs_off <> 'listing' or l.signed_off_at is not null)
        from listings l join channels c on c.channel = l.channel
        where l.channel = %(channel)s and l.sku is not null
          and (l.channel_sku = any(%(names)s::text[]) or l.merchant_sku = any(%(names)s::text[]))
        order by l.channel_sku
        """,
        {"channel": channel, "names": arrays.texts(sorted(names))},
    )
    return [
        Asked((channel, ChannelSku(channel_sku)), merchant_sku, Sku(sku), desired, allowed, is_live)
        async for channel_sku, merchant_sku, sku, desired, allowed, is_live in cursor
    ]


async def stock_of(tx: Transaction, offers: Collection[Offered]) -> Stock:
    """The units that these listings sell, as they are now. The transaction should see one instant."""
    counted = {sku for one in offers for sku in one.counted}
    return Stock(
        shelves=await balances.read(tx, counted),
        in_suspense=await publications.in_suspense(tx, counted),
        beyond=await backorders.beyond(tx, counted),
    )


def _names(scope: Scope) -> dict[str, str | None]:
    expression = as_expression(scope.pattern) if scope.pattern is not None else None
    return {"channel": scope.channel, "sku": scope.sku, "sku_group": scope.sku_group, "expression": expression}
