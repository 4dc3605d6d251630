"""Rows of `stock_states`: what channels show beside the units on sale, and what of it has been accounted for."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any, NamedTuple

import msgspec

from oneshelf.domain.account import StockState
from oneshelf.domain.identity import Channel, ChannelSku
from oneshelf.domain.state_change import Rule, States
from oneshelf.storage import arrays
from oneshelf.storage.database import Transaction
from oneshelf.storage.listings import ListingKey


class SeenStates(NamedTuple):
    """What is shown since `shown_at`, and what of it is accounted for: state -> units of the listing.

    `accounted_at`: when the channel was asked that first showed what is accounted for. A reading is old by the
    channel's `stale_s` at most: one that was asked for so long after it cannot be from before.
    """

    shown: States
    shown_at: datetime
    accounted: States
    accounted_at: datetime


async def see(tx: Transaction, channel: Channel, shown: Mapping[ChannelSku, States], *, asked_at: datetime) -> None:
    """Keep what readings show of linked listings, where it is news. The first reading of a listing is accounted for.

    `asked_at`: just before the channel was asked. An older reading than the one that is kept is left out.
    """
    if not shown:
        return
    ordered = sorted(shown.items())
    await tx.execute(
        """
        insert into stock_states as s (channel, channel_sku, shown, shown_at, accounted, accounted_at)
        select l.channel, l.channel_sku, new.shown, %(asked_at)s, new.shown, %(asked_at)s
        from unnest(%(channel_skus)s::text[], %(shown)s::jsonb[]) as new (channel_sku, shown)
        join listings l on l.channel = %(channel)s and l.channel_sku = new.channel_sku and l.sku is not null
        left join stock_states old on old.channel = l.channel and old.channel_sku = l.channel_sku
        where old.shown is distinct from new.shown
        order by l.channel, l.channel_sku
        on conflict (channel, channel_sku) do update set shown = excluded.shown, shown_at = excluded.shown_at
        where s.shown_at < excluded.shown_at and s.shown <> excluded.shown
        """,
        {
            "channel": channel,
            "asked_at": asked_at,
            "channel_skus": arrays.texts([channel_sku for channel_sku, _ in ordered]),
            "shown": arrays.texts([_text(states) for _, states in ordered]),
        },
    )


async def read(tx: Transaction, keys: Collection[ListingKey], *, locked: bool = False) -> dict[ListingKey, SeenStates]:
    """What is kept of these listings; `locked`: held until this transaction ends."""
    ordered = sorted(keys)
    cursor = await tx.execute(
        f"""
        select s.channel, s.channel_sku, s.shown, s.shown_at, s.accounted, s.accounted_at
        from stock_states s
        join unnest(%(channels)s::text[], %(channel_skus)s::text[]) as wanted (channel, channel_sku)
          on s.channel = wanted.channel and s.channel_sku = wanted.channel_sku
        order by s.channel, s.channel_sku {"for update of s" if locked else ""}
        """,
        {
            "channels": arrays.texts([channel for channel, _ in ordered]),
            "channel_skus": arrays.texts([channel_sku for _, channel_sku in ordered]),
        },
    )
    return {
        (Channel(channel), ChannelSku(channel_sku)): SeenStates(_states(shown), shown_at, _states(known), known_at)
        async for channel, channel_sku, shown, shown_at, known, known_at in cursor
    }


async def account(tx: Transaction, accounted: Mapping[ListingKey, States]) -> None:
    """So much of what these listings show in other states has been taken into account."""
    ordered = sorted(accounted.items())
    await tx.execute(
        """
        update stock_states s set accounted = new.accounted, accounted_at = s.shown_at
        from unnest(%(channels)s::text[], %(channel_skus)s::text[], %(accounted)s::jsonb[])
            as new (channel, channel_sku, accounted)
        where s.channel = new.channel and s.channel_sku = new.channel_sku
        """,
        {
            "channels": arrays.texts([channel for (channel, _), _ in ordered]),
            "channel_skus": arrays.texts([channel_sku for (_, channel_sku), _ in ordered]),
            "accounted": arrays.texts([_text(states) for _, states in ordered]),
        },
    )


async def settle(tx: Transaction, channel: Channel, *, after_s: float, known_until: datetime) -> int:
    """What has moved no unit on sale is accounted for: `after_s` later the listing was proved to show what it should.

    Somebody corrected that state alone. Until all news of that time are known, an order or a return that is still on
    its way may have hidden a move; once one is posted, a reading has to show that nothing is missing. `known_until`:
    until when every order of the channel is posted. Returns how many listings.
    """
    cursor = await tx.execute(
        """
        with quiet as (
            select s.channel, s.channel_sku
            from stock_states s join listings l using (channel, channel_sku)
            where s.channel = %(channel)s and s.shown <> s.accounted
              and l.suspense_units = 0 and l.suspect_at is null and l.phase = 'idle'
              and l.verified_at > s.shown_at + make_interval(secs => %(after_s)s)
              and %(known_until)s >= s.shown_at + make_interval(secs => %(after_s)s)
              and (l.turnover_at is null or l.verified_at > l.turnover_at)
              and not exists (select from drifts d where d.channel = s.channel and d.channel_sku = s.channel_sku
                              and (d.resolved_at is null or d.resolution = 'booked' and d.booked_at is null))
            order by s.channel, s.channel_sku for update of s skip locked
        )
        update stock_states s set accounted = s.shown, accounted_at = s.shown_at
        from quiet where s.channel = quiet.channel and s.channel_sku = quiet.channel_sku
        """,
        {"channel": channel, "after_s": after_s, "known_until": known_until},
    )
    return cursor.rowcount


async def rules(tx: Transaction) -> dict[Channel, Rule]:
    """What becomes of units that were moved at each channel."""
    cursor = await tx.execute("select channel, state_changes from channels")
    return {Channel(channel): Rule(rule) async for channel, rule in cursor}


async def set_rule(tx: Transaction, channel: Channel, rule: Rule) -> None:
    """Say what becomes of units that somebody moves at this channel."""
    await tx.execute(
        "update channels set state_changes = %(rule)s where channel = %(channel)s",
        {"channel": channel, "rule": rule.value},
    )


def _text(states: States) -> str:
    return msgspec.json.encode(states, order="deterministic").decode()


def _states(kept: Mapping[str, Any]) -> States:
    return {StockState(state): int(units) for state, units in kept.items()}
