"""Rows of `listing_issues`: what channels say is wrong with listings, as their newest readings told it.

What they said of a write that they refuse stands with the listing itself, see `storage.publishing`.
"""

from __future__ import annotations

from collections.abc import Mapping

from oneshelf.domain.identity import Channel, ChannelSku
from oneshelf.storage import arrays
from oneshelf.storage.database import Transaction


def words_of(row: str) -> str:
    """SQL: what the channel says of the listing that this row names; empty: nothing, or it never tells."""
    return f"""
        coalesce((select i.words from listing_issues i
                  where i.channel = {row}.channel and i.channel_sku = {row}.channel_sku), '')
    """


async def see(tx: Transaction, channel: Channel, told: Mapping[ChannelSku, str]) -> None:
    """Keep what readings tell of known listings, where it is news. Empty words: nothing is wrong any more."""
    if not told:
        return
    known = await _known(tx, channel, told)
    over = sorted(channel_sku for channel_sku in known if not told[channel_sku])
    news = sorted(
        (channel_sku, words) for channel_sku, words in told.items() if words not in ("", known.get(channel_sku))
    )
    if over:
        await tx.execute(
            "delete from listing_issues where channel = %(channel)s and channel_sku = any(%(channel_skus)s::text[])",
            {"channel": channel, "channel_skus": arrays.texts(over)},
        )
    if news:
        await tx.execute(
            """
            insert into listing_issues (channel, channel_sku, words)
            select l.channel, l.channel_sku, new.words
            from unnest(%(channel_skus)s::text[], %(words)s::text[]) as new (channel_sku, words)
            join listings l on l.channel = %(channel)s and l.channel_sku = new.channel_sku
            order by l.channel_sku
            on conflict (channel, channel_sku) do update set words = excluded.words
            """,
            {
                "channel": channel,
                "channel_skus": arrays.texts([channel_sku for channel_sku, _ in news]),
                "words": arrays.texts([words for _, words in news]),
            },
        )


async def parked(tx: Transaction, *, limit: int | None = None) -> list[tuple[Channel, ChannelSku, str]]:
    """Listings that their channel refuses: `(channel, channel_sku, the channel's words)`.

    What it says of the listing itself follows what it said of the write, where that is not the same.
    """
    cursor = await tx.execute(
        f"""
        select l.channel, l.channel_sku,
               l.parked_reason || case when position(said.issues in l.parked_reason) > 0 then ''
                                       else '; of the listing itself: ' || said.issues end
        from channels c cross join lateral (
            select * from listings where channel = c.channel and stage = 'parked' order by channel_sku limit %(limit)s
        ) as l cross join lateral (select {words_of("l")} as issues) as said
        order by l.channel, l.channel_sku limit %(limit)s
        """,
        {"limit": limit},
    )
    return [(Channel(channel), ChannelSku(channel_sku), reason) async for channel, channel_sku, reason in cursor]


async def _known(tx: Transaction, channel: Channel, told: Mapping[ChannelSku, str]) -> dict[ChannelSku, str]:
    """What is kept of these listings, held until this transaction ends."""
    cursor = await tx.execute(
        """
        select channel_sku, words from listing_issues
        where channel = %(channel)s and channel_sku = any(%(channel_skus)s::text[])
        order by channel_sku for update
        """,
        {"channel": channel, "channel_skus": arrays.texts(sorted(told))},
    )
    return {ChannelSku(channel_sku): words async for channel_sku, words in cursor}
