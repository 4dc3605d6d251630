"""Rows of `canaries`: edits made on purpose at a channel, and when each was found as a drift."""

from __future__ import annotations

from typing import NamedTuple
from uuid import UUID

from oneshelf.domain.detection import objective_s, quantile
from oneshelf.domain.identity import Channel
from oneshelf.storage.database import Transaction
from oneshelf.storage.listings import ListingKey

# What is older says little of how the channel is read today.
KEPT_DAYS = 90


class Detection(NamedTuple):
    """How long canaries stayed hidden at a channel, in seconds. `missed`: whoever measured gave up on so many."""

    channel: Channel
    measured: int
    missed: int
    p50_s: float | None
    p95_s: float | None
    objective_s: float | None


async def shown_units(tx: Transaction, key: ListingKey) -> int | None:
    """What a listing is proved to show; None: nothing is proved now, or there is no such listing."""
    cursor = await tx.execute(
        """
        select verified_units from listings
        where channel = %(channel)s and channel_sku = %(channel_sku)s and phase = 'idle' and suspect_at is null
          and verified_version = desired_version and verified_units = base_units - (net_units - base_net)
          and not exists (select from drifts d where d.channel = listings.channel
                          and d.channel_sku = listings.channel_sku and d.resolved_at is null)
        """,
        {"channel": key[0], "channel_sku": key[1]},
    )
    row = await cursor.fetchone()
    return row[0] if row else None


async def inject(tx: Transaction, canary_id: UUID, key: ListingKey, *, units_before: int, units_injected: int) -> None:
    """Somebody edits this listing at its channel from now on."""
    await tx.execute(
        """
        insert into canaries (canary_id, channel, channel_sku, units_before, units_injected, injected_at)
        values (%(canary_id)s, %(channel)s, %(channel_sku)s, %(before)s, %(injected)s, db_now())
        """,
        {
            "canary_id": canary_id,
            "channel": key[0],
            "channel_sku": key[1],
            "before": units_before,
            "injected": units_injected,
        },
    )


async def detected(tx: Transaction, canary_id: UUID) -> tuple[UUID, float] | None:
    """The drift that this canary was found as, and after how many seconds; None: not yet."""
    cursor = await tx.execute(
        """
        update canaries c set detected_at = coalesce(c.detected_at, found.opened_at)
        from (
            select d.drift_id, d.opened_at from drifts d join canaries x
              on x.channel = d.channel and x.channel_sku = d.channel_sku
            where x.canary_id = %(canary_id)s and d.opened_at >= x.injected_at order by d.opened_at limit 1
        ) as found
        where c.canary_id = %(canary_id)s
        returning found.drift_id, extract(epoch from c.detected_at - c.injected_at)::float8
        """,
        {"canary_id": canary_id},
    )
    row = await cursor.fetchone()
    return (row[0], row[1]) if row else None


async def give_up(tx: Transaction, canary_id: UUID) -> None:
    """Nobody waits for it any more: it was missed."""
    await tx.execute(
        "update canaries set given_up_at = db_now() where canary_id = %(canary_id)s and detected_at is null",
        {"canary_id": canary_id},
    )


async def detections(tx: Transaction) -> list[Detection]:
    """What was measured at each channel within the last 90 days, and its objective."""
    cursor = await tx.execute(
        """
        select c.channel, stock.every_s, orders.every_s,
               array(select extract(epoch from k.detected_at - k.injected_at)::float8 from canaries k
                     where k.channel = c.channel and k.detected_at is not null
                       and k.injected_at > db_now() - make_interval(days => %(days)s)),
               (select count(*) from canaries k where k.channel = c.channel and k.detected_at is null
                and k.given_up_at is not null and k.injected_at > db_now() - make_interval(days => %(days)s))
        from channels c
        left join schedules stock on stock.channel = c.channel and stock.task = 'stock'
        left join schedules orders on orders.channel = c.channel and orders.task = 'orders'
        order by c.channel
        """,
        {"days": KEPT_DAYS},
    )
    return [
        Detection(
            Channel(channel),
            len(seconds),
            missed,
            quantile(seconds, 0.5),
            quantile(seconds, 0.95),
            None if sweep_s is None or poll_s is None else objective_s(sweep_stock_s=sweep_s, poll_orders_s=poll_s),
        )
        async for channel, sweep_s, poll_s, seconds, missed in cursor
    ]
