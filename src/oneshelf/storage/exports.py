"""What is written into files, page by page in the order of its key, all of it as of one instant."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Mapping
from typing import Any, NamedTuple

from oneshelf.domain.identity import Channel, ChannelSku, Sku
from oneshelf.storage import arrays
from oneshelf.storage.database import Transaction
from oneshelf.storage.listings import ListingKey

PAGE = 5_000
_ON_HAND = "available + committed + reserved + damaged + quality_control + safety_stock"


class Linked(NamedTuple):
    """What a listing sells; `sku` None: nobody has said."""

    sku: Sku | None
    pack_units: int


async def names(tx: Transaction, *, table: str) -> AsyncIterator[tuple[Any, ...]]:
    """Name and title of all SKUs, or of all locations."""
    column = {"skus": "sku", "locations": "location"}[table]
    statement = f"""
        select {column}, title from {table} where {column} > %(after_0)s order by {column} limit %(limit)s
    """
    async for row in _pages(tx, statement, ("",), key=lambda row: row[:1]):
        yield row


async def on_hand(tx: Transaction) -> AsyncIterator[tuple[Any, ...]]:
    """SKU, location and units on hand, wherever a unit has ever moved."""
    statement = f"""
        select sku, location, {_ON_HAND} from balances
        where version > 0 and (sku, location) > (%(after_0)s, %(after_1)s) order by sku, location limit %(limit)s
    """
    async for row in _pages(tx, statement, ("", ""), key=lambda row: row[:2]):
        yield row


async def links(tx: Transaction) -> AsyncIterator[tuple[Any, ...]]:
    """Channel, the channel's id, SKU and pack size of all listings that are linked."""
    statement = """
        select channel, channel_sku, sku, pack_units from listings
        where sku is not null and (channel, channel_sku) > (%(after_0)s, %(after_1)s)
        order by channel, channel_sku limit %(limit)s
    """
    async for row in _pages(tx, statement, ("", ""), key=lambda row: row[:2]):
        yield row


async def receipts(tx: Transaction) -> AsyncIterator[tuple[Any, ...]]:
    """SKU, location, units, when they came if that was told late, scope and key of the command, and the movement."""
    statement = """
        select sku, to_location, units, happened_at, source, movement_id::text from movements
        where reason = 'received' and to_location is not null
          and (sku, movement_id) > (%(after_0)s, %(after_1)s::uuid) order by sku, movement_id limit %(limit)s
    """
    async for row in _pages(
        tx, statement, ("", "00000000-0000-0000-0000-000000000000"), key=lambda row: (row[0], row[5])
    ):
        yield row


async def _pages(
    tx: Transaction, statement: str, first: tuple[str, ...], *, key: Any
) -> AsyncIterator[tuple[Any, ...]]:
    after = first
    while True:
        wanted: Mapping[str, object] = {"limit": PAGE, **{f"after_{at}": value for at, value in enumerate(after)}}
        rows = await (await tx.execute(statement, wanted)).fetchall()
        for row in rows:
            yield row
        if len(rows) < PAGE:
            return
        after = key(rows[-1])


async def linked(tx: Transaction, keys: Collection[ListingKey]) -> dict[ListingKey, Linked]:
    """What these listings sell, those that nobody knows left out."""
    ordered = sorted(keys)
    cursor = await tx.execute(
        """
        select l.channel, l.channel_sku, l.sku, l.pack_units from listings l
        join unnest(%(channels)s::text[], %(channel_skus)s::text[]) as wanted (channel, channel_sku)
          on l.channel = wanted.channel and l.channel_sku = wanted.channel_sku
        """,
        {
            "channels": arrays.texts([channel for channel, _ in ordered]),
            "channel_skus": arrays.texts([channel_sku for _, channel_sku in ordered]),
        },
    )
    return {
        (Channel(channel), ChannelSku(channel_sku)): Linked(Sku(sku) if sku else None, pack_units)
        for channel, channel_sku, sku, pack_units in await cursor.fetchall()
    }
