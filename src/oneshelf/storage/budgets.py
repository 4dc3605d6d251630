"""Rows of `cancellation_budgets`: how much of what a channel forgives of cancellations is used up."""

from __future__ import annotations

from collections.abc import Collection
from typing import NamedTuple

from oneshelf.domain.identity import Channel, ChannelSku, Sku
from oneshelf.domain.seller_metric import SellerRule, budget_left, is_nearly_used_up, is_run_nearly_full
from oneshelf.storage.database import Transaction

WHOLE_CHANNEL = ChannelSku("")


class Budget(NamedTuple):
    """Cancellations at a channel, or of one listing of it (else ''), and how many more it forgives.

    `run_count`: the listing's newest orders in a row that were cancelled.
    """

    channel: Channel
    channel_sku: ChannelSku
    order_count: int
    cancelled_count: int
    run_count: int
    budget_left: int
    is_tight: bool


async def measure(tx: Transaction, channel: Channel, rule: SellerRule) -> list[Budget]:
    """Count the cancellations of a channel's windows, and of its listings that have any in a row now."""
    whole = await tx.execute(
        """
        select count(*), count(*) filter (where exists (
            select from jsonb_array_elements(o.snapshot -> 'lines') as line
            where (line ->> 'units_cancelled')::bigint > 0))
        from orders o where o.channel = %(channel)s and o.snapshot is not null
          and o.placed_at > db_now() - make_interval(secs => %(window_s)s)
        """,
        {"channel": channel, "window_s": rule.window_s},
    )
    [(order_count, cancelled_count)] = await whole.fetchall()
    counts = {"order_count": order_count, "cancelled_count": cancelled_count}
    found = [
        Budget(
            channel,
            WHOLE_CHANNEL,
            order_count,
            cancelled_count,
            0,
            budget_left(rule, **counts),
            is_nearly_used_up(rule, **counts),
        )
    ]
    if rule.run_max is None:
        return found
    runs = await tx.execute(
        """
        with sold as (
            select line ->> 'channel_sku' as channel_sku, o.placed_at,
                   (line ->> 'units_cancelled')::bigint > 0 as is_cancelled
            from orders o cross join lateral jsonb_array_elements(o.snapshot -> 'lines') as line
            where o.channel = %(channel)s and o.snapshot is not null
              and o.placed_at > db_now() - make_interval(secs => %(window_s)s)
        ), dated as (
            select *, coalesce(max(placed_at) filter (where not is_cancelled) over (partition by channel_sku),
                               '-infinity') as kept_at
            from sold
        )
        select channel_sku, count(*), count(*) filter (where is_cancelled),
               count(*) filter (where is_cancelled and placed_at > kept_at)
        from dated group by channel_sku having count(*) filter (where is_cancelled and placed_at > kept_at) > 0
        order by channel_sku
        """,
        {"channel": channel, "window_s": rule.run_window_s},
    )
    async for channel_sku, orders, cancelled, run in runs:
        left, is_tight = rule.run_max - run, is_run_nearly_full(rule, run)
        found.append(Budget(channel, ChannelSku(channel_sku), orders, cancelled, run, left, is_tight))
    return found


async def store(tx: Transaction, channels: Collection[Channel], measured: Collection[Budget]) -> None:
    """These budgets replace all that were known of these channels, one engine's after the other's."""
    await tx.execute(
        "select from channels where channel = any(%(channels)s::text[]) order by channel for no key update",
        {"channels": sorted(channels)},
    )
    await tx.execute(
        "delete from cancellation_budgets where channel = any(%(channels)s::text[])", {"channels": sorted(channels)}
    )
    ordered = sorted(measured)
    await tx.execute(
        """
        insert into cancellation_budgets
            (channel, channel_sku, order_count, cancelled_count, run_count, budget_left, is_tight, measured_at)
        select *, db_now() from unnest(
            %(channel)s::text[], %(channel_sku)s::text[], %(order_count)s::bigint[], %(cancelled_count)s::bigint[],
            %(run_count)s::bigint[], %(budget_left)s::bigint[], %(is_tight)s::boolean[])
        """,
        {name: [getattr(one, name) for one in ordered] for name in Budget._fields},
    )


async def listed(tx: Transaction) -> list[Budget]:
    """What was measured last, by channel and listing."""
    cursor = await tx.execute(
        """
        select channel, channel_sku, order_count, cancelled_count, run_count, budget_left, is_tight
        from cancellation_budgets order by channel, channel_sku
        """
    )
    return [Budget(*row) async for row in cursor]


async def tight_skus(tx: Transaction, skus: Collection[Sku] | None = None) -> set[Sku]:
    """Of these SKUs (None: of all) those of mode `auto` that a listing sells which has no cancellation to spare.

    Also as a part of a bundle. Either the listing's own run or the budget of its whole channel is nearly used up.
    """
    cursor = await tx.execute(
        """
        select distinct s.sku from cancellation_budgets b
        join listings l on l.channel = b.channel and b.channel_sku in ('', l.channel_sku)
        left join bundle_components part on part.sku = l.sku
        join skus s on s.sku in (l.sku, part.component) and s.mode = 'auto'
        where b.is_tight and (%(skus)s::text[] is null or s.sku = any(%(skus)s::text[]))
        """,
        {"skus": None if skus is None else sorted(skus)},
    )
    return {Sku(sku) async for (sku,) in cursor}
