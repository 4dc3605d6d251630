"""Rows of `canaries`: edits made on purpose at a channel, and when each was found as a drift."""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple
from uuid import UUID

from oneshelf.domain.detection import objective_s, quantile
from oneshelf.domain.identity import Channel
from oneshelf.storage.database import Transaction
from oneshelf.storage.listings import ListingKey

# What is older says little of how the channel is read today.
KEPT_DAYS = 90


class Act(StrEnum):
    """What a canary does at a channel."""

    EDIT = "edit"  # one unit less is shown
    MOVE = "move"  # one unit goes from sale to another state, and nothing is announced


class Detection(NamedTuple):
    """How long canaries of one kind stayed hidden at a channel, in seconds. `missed`: whoever measured gave up on them.

    `corrected_p50_s`, `corrected_p95_s`: until every other listing of the SKU was proved to show the corrected figure;
    measured of what was moved.
    """

    channel: Channel
    act: Act
    measured: int
    missed: int
    p50_s: float | None
    p95_s: float | None
    objective_s: float | None
    corrected_p50_s: float | None
    corrected_p95_s: float | None


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


async def inject(
    tx: Transaction, canary_id: UUID, key: ListingKey, *, act: Act, units_before: int, units_injected: int
) -> None:
    """Somebody does this to the listing at its channel from now on."""
    await tx.execute(
        """
        insert into canaries (canary_id, channel, channel_sku, act, units_before, units_injected, injected_at)
        values (%(canary_id)s, %(channel)s, %(channel_sku)s, %(act)s, %(before)s, %(injected)s, db_now())
        """,
        {
            "act": act.value,
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


async def corrected(tx: Transaction, canary_id: UUID) -> float | None:
    """After how many seconds every other listing of the SKU was proved to show what follows; None: not yet.

    The drift has to be over and planned. A listing whose figure did not change was right from the detection on.
    """
    cursor = await tx.execute(
        """
        update canaries c set corrected_at = coalesce(c.corrected_at, greatest(c.detected_at, others.proved_at))
        from (
            select max(p.verified_at) as proved_at,
                   bool_and(o.verified_version = o.desired_version and o.verified_units = o.desired_units
                            and o.suspense_units = 0) as are_right
            from canaries x
            join listings own on own.channel = x.channel and own.channel_sku = x.channel_sku
            left join listings o on o.sku = own.sku and o.sku is not null
                 and (o.channel, o.channel_sku) <> (own.channel, own.channel_sku)
                 and exists (select from channels n where n.channel = o.channel and n.mode = 'live')
            left join publications p on p.channel = o.channel and p.channel_sku = o.channel_sku and p.sku = o.sku
                 and p.version = o.verified_version
            where x.canary_id = %(canary_id)s
              and not exists (select from touched t where t.sku = own.sku)
              and not exists (select from drifts d where d.channel = x.channel and d.channel_sku = x.channel_sku
                              and d.resolved_at is null)
        ) as others
        where c.canary_id = %(canary_id)s and c.detected_at is not null and coalesce(others.are_right, true)
          and exists (select from drifts d where d.channel = c.channel and d.channel_sku = c.channel_sku
                      and d.opened_at >= c.injected_at and d.resolved_at is not null)
        returning extract(epoch from c.corrected_at - c.injected_at)::float8
        """,
        {"canary_id": canary_id},
    )
    row = await cursor.fetchone()
    return row[0] if row else None


async def give_up(tx: Transaction, canary_id: UUID) -> None:
    """Nobody waits for it any more: it was missed."""
    await tx.execute(
        "update canaries set given_up_at = db_now() where canary_id = %(canary_id)s and detected_at is null",
        {"canary_id": canary_id},
    )


async def detections(tx: Transaction) -> list[Detection]:
    """What was measured at each channel within the last 90 days, and its objective. Moves only where some were made."""
    cursor = await tx.execute(
        """
        select c.channel, kinds.act, stock.every_s, orders.every_s,
               array(select extract(epoch from k.detected_at - k.injected_at)::float8 from canaries k
                     where k.channel = c.channel and k.act = kinds.act and k.detected_at is not null
                       and k.injected_at > db_now() - make_interval(days => %(days)s)),
               (select count(*) from canaries k where k.channel = c.channel and k.act = kinds.act
                and k.detected_at is null
                and k.given_up_at is not null and k.injected_at > db_now() - make_interval(days => %(days)s)),
               array(select extract(epoch from k.corrected_at - k.injected_at)::float8 from canaries k
                     where k.channel = c.channel and k.act = kinds.act and k.corrected_at is not null
                       and k.injected_at > db_now() - make_interval(days => %(days)s))
        from channels c
        cross join (values ('edit'), ('move')) as kinds (act)
        left join schedules stock on stock.channel = c.channel and stock.task = 'stock'
        left join schedules orders on orders.channel = c.channel and orders.task = 'orders'
        where kinds.act = 'edit' or exists (
            select from canaries k where k.channel = c.channel and k.act = kinds.act
              and k.injected_at > db_now() - make_interval(days => %(days)s))
        order by c.channel, kinds.act
        """,
        {"days": KEPT_DAYS},
    )
    return [
        Detection(
            Channel(channel),
            Act(act),
            len(seconds),
            missed,
            quantile(seconds, 0.5),
            quantile(seconds, 0.95),
            None if sweep_s is None or poll_s is None else objective_s(sweep_stock_s=sweep_s, poll_orders_s=poll_s),
            quantile(corrected, 0.5),
            quantile(corrected, 0.95),
        )
        async for channel, act, sweep_s, poll_s, seconds, missed, corrected in cursor
    ]
