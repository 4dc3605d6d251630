"""The figures that events tell, as they are when they are told. These statements only read."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any, NamedTuple

from oneshelf.domain.event import EventType
from oneshelf.storage import arrays
from oneshelf.storage.database import Transaction
from oneshelf.storage.untold import Taken


class News(NamedTuple):
    """One event without its number. `slot`: of a level, the row that its newest figures replace; '': a fact.

    `untold_id`: of the row that says that it happened; the lower one was first.
    """

    untold_id: int
    event_type: str
    subject: str
    slot: str
    figures: Mapping[str, Any]
    happened_at: datetime
    channels: tuple[str, ...] = ()
    skus: tuple[str, ...] = ()


_WANTED = """
    unnest(%(ids)s::bigint[], %(types)s::text[], %(channels)s::text[], %(names)s::text[], %(at)s::timestamptz[])
        as w (untold_id, event_type, channel, name, happened_at)
"""


def _slot(kind: str, subject: str) -> str:
    return f"{kind} {subject}"


async def stock(tx: Transaction, skus: Collection[str]) -> list[News]:
    """The levels of these SKUs over all locations, of those that are not what was last told."""
    cursor = await tx.execute(
        """
        with level as (
            select b.sku, jsonb_build_object(
                'sku', b.sku, 'version', sum(b.version),
                'on_hand', sum(available + committed + reserved + damaged + quality_control + safety_stock),
                'available', sum(available), 'ats', sum(greatest(available, 0)),
                'locations', jsonb_agg(jsonb_build_object(
                    'location', location, 'version', b.version,
                    'on_hand', available + committed + reserved + damaged + quality_control + safety_stock,
                    'available', available, 'ats', greatest(available, 0), 'committed', committed,
                    'reserved', reserved, 'damaged', damaged, 'quality_control', quality_control,
                    'safety_stock', safety_stock, 'incoming', incoming) order by location)) as figures
            from balances b where b.sku = any(%(skus)s::text[]) group by b.sku
        )
        select l.sku, l.figures, db_now() from level l
        left join events e on e.slot = 'stock.changed sku ' || l.sku
        where e.body is distinct from l.figures order by l.sku
        """,
        {"skus": arrays.texts(sorted(skus))},
    )
    kind = EventType.STOCK_CHANGED.value
    return [
        News(0, kind, f"sku {sku}", _slot(kind, f"sku {sku}"), figures, at, skus=(sku,))
        async for sku, figures, at in cursor
    ]


async def oversold(tx: Transaction, taken: Collection[Taken]) -> list[News]:
    """Units of these SKUs that were sold and are not there, where that is not what was last told; 0: over."""
    cursor = await tx.execute(
        f"""
        with level as (
            select w.sku, w.untold_id, w.happened_at, jsonb_build_object(
                'sku', w.sku, 'units_short', coalesce(sum(l.units_short), 0), 'line_count', count(l.line_id)
            ) as figures, array_remove(array_agg(distinct l.channel::text), null) as channels
            from (select name as sku, max(untold_id) as untold_id, max(happened_at) as happened_at
                  from {_WANTED} group by name) as w
            left join order_lines l on l.sku = w.sku and l.units_short > 0
            group by w.sku, w.untold_id, w.happened_at
        )
        select l.untold_id, l.sku, l.figures, l.happened_at, l.channels from level l
        left join events e on e.slot = 'stock.oversold sku ' || l.sku
        where e.body is distinct from l.figures and (e.slot is not null or (l.figures ->> 'units_short')::bigint > 0)
        """,
        _columns(taken),
    )
    kind = EventType.STOCK_OVERSOLD.value
    return [
        News(number, kind, f"sku {sku}", _slot(kind, f"sku {sku}"), figures, at, tuple(channels), (sku,))
        async for number, sku, figures, at, channels in cursor
    ]


async def low(tx: Transaction, taken: Collection[Taken]) -> list[News]:
    """Whether these SKUs are low, and what is there and on its way, over all locations."""
    cursor = await tx.execute(
        f"""
        select w.untold_id, w.sku, w.happened_at, jsonb_build_object(
                'sku', w.sku, 'is_low', l.sku is not null, 'reorder_at', l.reorder_at,
                'available', coalesce(b.available, 0), 'incoming', coalesce(b.incoming, 0))
        from (select name as sku, max(untold_id) as untold_id, max(happened_at) as happened_at
              from {_WANTED} group by name) as w
        left join low_stocks l on l.sku = w.sku
        left join lateral (
            select sum(available) as available, sum(incoming) as incoming from balances where sku = w.sku
        ) as b on true
        """,
        _columns(taken),
    )
    kind = EventType.STOCK_LOW.value
    return [
        News(number, kind, f"sku {sku}", _slot(kind, f"sku {sku}"), figures, at, skus=(sku,))
        async for number, sku, at, figures in cursor
    ]


async def orders(tx: Transaction, taken: Collection[Taken]) -> list[News]:
    """The orders as they are now, each type of each once: what their lines hold of the ledger. No buyer."""
    cursor = await tx.execute(
        f"""
        select max(w.untold_id), w.event_type, w.channel, w.name, min(w.happened_at), jsonb_build_object(
                'channel', w.channel, 'order_id', w.name, 'placed_at', max(o.placed_at),
                'units_short', coalesce(max(lines.short), 0), 'lines', coalesce(max(lines.told::text), '[]')::jsonb),
               max(lines.skus)
        from {_WANTED}
        join orders o on o.channel = w.channel and o.order_id = w.name
        left join lateral (
            select sum(units_short) as short, array_agg(distinct sku::text) as skus, jsonb_agg(jsonb_build_object(
                'line_id', line_id, 'sku', sku, 'listing', channel_sku, 'location', location,
                'units_pending', units_pending, 'units_committed', units_committed, 'units_shipped', units_shipped,
                'units_returned', units_returned, 'units_short', units_short) order by line_id, sku) as told
            from order_lines l where l.channel = w.channel and l.order_id = w.name
        ) as lines on true
        group by w.event_type, w.channel, w.name
        """,
        _columns(taken),
    )
    return [
        News(number, kind, f"order {channel}/{name}", "", figures, at, (channel,), tuple(skus or ()))
        async for number, kind, channel, name, at, figures, skus in cursor
    ]


async def listings(tx: Transaction, taken: Collection[Taken]) -> list[News]:
    """How far the figures of these listings have got, and the channel's words where it refuses one."""
    cursor = await tx.execute(
        f"""
        select max(w.untold_id), w.event_type, w.channel, w.name, l.sku, max(w.happened_at), jsonb_build_object(
                'channel', l.channel, 'listing', l.channel_sku, 'sku', l.sku, 'pack_units', l.pack_units,
                'desired_units', l.desired_units, 'desired_version', l.desired_version,
                'verified_units', l.verified_units, 'verified_version', l.verified_version,
                'verified_at', l.verified_at, 'reason', l.parked_reason)
        from {_WANTED}
        join listings l on l.channel = w.channel and l.channel_sku = w.name
        group by w.event_type, w.channel, w.name, l.channel, l.channel_sku
        """,
        _columns(taken),
    )
    return [
        News(
            number,
            kind,
            f"listing {channel}/{name}",
            _slot(kind, f"listing {channel}/{name}"),
            figures,
            at,
            (channel,),
            (sku,) if sku else (),
        )
        async for number, kind, channel, name, sku, at, figures in cursor
    ]


async def drifts(tx: Transaction, taken: Collection[Taken]) -> list[News]:
    """These drifts, with the newest that is known of them."""
    cursor = await tx.execute(
        f"""
        select w.untold_id, w.event_type, d.drift_id::text, d.channel, d.sku, w.happened_at, jsonb_build_object(
                'drift_id', d.drift_id, 'channel', d.channel, 'listing', d.channel_sku, 'sku', d.sku,
                'cause', d.cause, 'expected_units', d.expected_units, 'observed_units', d.observed_units,
                'opened_at', d.opened_at, 'resolved_at', d.resolved_at, 'resolution', d.resolution)
        from {_WANTED}
        join drifts d on d.drift_id = w.name::uuid
        """,
        _columns(taken),
    )
    return [
        News(number, kind, f"drift {drift_id}", "", figures, at, (channel,), (sku,))
        async for number, kind, drift_id, channel, sku, at, figures in cursor
    ]


def breakers(taken: Collection[Taken]) -> list[News]:
    """Channels whose writes are held, or written to again."""
    return [
        News(
            one.untold_id,
            one.event_type,
            f"breaker {one.channel}",
            "",
            {"channel": one.channel, **one.detail},
            one.happened_at,
            (one.channel,),
        )
        for one in taken
    ]


def alerts(taken: Collection[Taken]) -> list[News]:
    """What opened, and what is over, as it was then. Of one alert in its order."""
    return [
        News(
            one.untold_id,
            one.event_type,
            f"alert {one.event_type} {one.detail['alert_id']}",
            "",
            one.detail,
            one.happened_at,
            (one.channel,) if one.channel else (),
            (one.detail["sku"],) if one.detail.get("sku") else (),
        )
        for one in taken
    ]


def _columns(taken: Collection[Taken]) -> dict[str, str]:
    return {
        "ids": arrays.numbers(one.untold_id for one in taken),
        "types": arrays.texts([one.event_type for one in taken]),
        "channels": arrays.texts([one.channel for one in taken]),
        "names": arrays.texts([one.name for one in taken]),
        "at": arrays.instants(one.happened_at for one in taken),
    }
