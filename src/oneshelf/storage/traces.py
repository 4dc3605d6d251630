"""Rows of `traces`: orders whose trace was given away. The other instants of a trace are in the rows of the flow."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection
from datetime import datetime

from oneshelf.domain.identity import Channel, ChannelSku, Sku
from oneshelf.domain.journey import Figure, Journey, Leg
from oneshelf.storage import arrays
from oneshelf.storage.database import Transaction, now, try_only
from oneshelf.storage.orders import OrderKey

# An order that was posted longer ago is not told of any more: nobody took traces for so long.
HORIZON_S = 3_600.0
_KEY = int.from_bytes(b"traces")


async def try_lock(tx: Transaction) -> bool:
    """Be the only one who looks for traces, until this transaction ends."""
    return await try_only(tx, _KEY)


async def untold(tx: Transaction, *, limit: int) -> list[Journey]:
    """Orders of the last hour whose trace nobody has, the oldest first, and how far each of their listings got.

    An order that nobody delivered was claimed over HTTP, and is none of these.
    """
    at = await now(tx)
    cursor = await tx.execute(
        """
        select o.channel, o.order_id, o.placed_at, o.seen_at, o.read_at, o.posted_at,
               (select bool_or(i.is_polled) from inbox i where i.received_at = o.seen_at and i.channel = o.channel)
                   as is_polled
        from orders o
        left join traces t on t.channel = o.channel and t.order_id = o.order_id
        where o.posted_at >= %(at)s - make_interval(secs => %(horizon_s)s) and o.snapshot is not null
          and o.read_at is not null and (t.order_id is null or t.given_at is null and t.held_until < %(at)s)
        order by o.posted_at limit %(limit)s
        """,
        {"at": at, "horizon_s": HORIZON_S, "limit": limit},
    )
    orders = await cursor.fetchall()
    if not orders:
        return []
    legs = await _legs(tx, [(row[0], row[1]) for row in orders], since=min(row[5] for row in orders))
    return [
        Journey(channel, order_id, placed, seen, read, posted, is_polled, at, tuple(legs[channel, order_id]))
        for channel, order_id, placed, seen, read, posted, is_polled in orders
    ]


async def _legs(tx: Transaction, keys: Collection[OrderKey], *, since: datetime) -> dict[OrderKey, list[Leg]]:
    """The live listings of what each order took, also as a part of a bundle, with their figures since then."""
    cursor = await tx.execute(
        """
        with taken as (
            select distinct n.channel, n.order_id, n.sku
            from unnest(%(channels)s::text[], %(orders)s::text[]) as wanted (channel, order_id)
            join order_lines n on n.channel = wanted.channel and n.order_id = wanted.order_id
        ), sold as (
            select * from taken
            union
            select t.channel, t.order_id, b.sku from taken t join bundle_components b on b.component = t.sku
        )
        select s.channel, s.order_id, l.channel, l.channel_sku, l.sku,
               exists (select from touched w where w.sku = l.sku)
        from sold s
        join listings l on l.sku = s.sku and l.phase <> 'parked' and l.note = ''
        join channels c on c.channel = l.channel and c.mode = 'live'
        order by s.channel, s.order_id, l.channel, l.channel_sku
        """,
        {
            "channels": arrays.texts([channel for channel, _ in keys]),
            "orders": arrays.texts([order_id for _, order_id in keys]),
        },
    )
    rows = await cursor.fetchall()
    figures = await _figures(tx, {tuple(row[2:5]) for row in rows}, since=since)
    legs: dict[OrderKey, list[Leg]] = defaultdict(list)
    for seller, order_id, channel, channel_sku, sku, is_to_plan in rows:
        told = tuple(figures[channel, channel_sku, sku])
        legs[seller, order_id].append(Leg(Channel(channel), ChannelSku(channel_sku), Sku(sku), is_to_plan, told))
    return legs


async def _figures(
    tx: Transaction, shown: Collection[tuple[str, ...]], *, since: datetime
) -> dict[tuple[str, str, str], list[Figure]]:
    """(channel, listing, SKU) -> its figures since then, the oldest first."""
    ordered = sorted(shown)
    cursor = await tx.execute(
        """
        select p.channel, p.channel_sku, p.sku,
               p.version, p.units, p.planned_at, p.sent_at, p.accepted_at, p.verified_at
        from publications p
        join unnest(%(channels)s::text[], %(channel_skus)s::text[], %(skus)s::text[])
            as wanted (channel, channel_sku, sku)
          on p.channel = wanted.channel and p.channel_sku = wanted.channel_sku and p.sku = wanted.sku
        where p.planned_at >= %(since)s
        order by p.channel, p.channel_sku, p.sku, p.version
        """,
        {
            "channels": arrays.texts([one[0] for one in ordered]),
            "channel_skus": arrays.texts([one[1] for one in ordered]),
            "skus": arrays.texts([one[2] for one in ordered]),
            "since": since,
        },
    )
    figures: dict[tuple[str, str, str], list[Figure]] = defaultdict(list)
    async for channel, channel_sku, sku, *figure in cursor:
        figures[channel, channel_sku, sku].append(Figure(*figure))
    return figures


async def hold(tx: Transaction, keys: Collection[OrderKey], *, lease_s: float) -> None:
    """Have nobody else give these away for a while."""
    await tx.execute(
        """
        insert into traces (channel, order_id, held_until)
        select channel, order_id, db_now() + make_interval(secs => %(lease_s)s)
        from unnest(%(channels)s::text[], %(orders)s::text[]) as held (channel, order_id)
        on conflict (channel, order_id) do update set held_until = excluded.held_until
        """,
        {
            "channels": arrays.texts([channel for channel, _ in keys]),
            "orders": arrays.texts([order_id for _, order_id in keys]),
            "lease_s": lease_s,
        },
    )


async def given(tx: Transaction, keys: Collection[OrderKey]) -> None:
    """Somebody has these now. What is too old to be looked for is forgotten."""
    await tx.execute(
        """
        update traces t set given_at = db_now()
        from unnest(%(channels)s::text[], %(orders)s::text[]) as done (channel, order_id)
        where t.channel = done.channel and t.order_id = done.order_id
        """,
        {
            "channels": arrays.texts([channel for channel, _ in keys]),
            "orders": arrays.texts([order_id for _, order_id in keys]),
        },
    )
    await tx.execute(
        "delete from traces where given_at < db_now() - make_interval(secs => %(kept_s)s)", {"kept_s": 2 * HORIZON_S}
    )
