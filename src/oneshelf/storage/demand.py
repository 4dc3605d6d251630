"""Rows of `sku_sales` and `sku_demand`: what sells how fast, and the units to keep back for it.

A SKU of which nothing is known is treated by the prior of `domain.demand`: one unit a day, variance twice the mean, in
the blind windows of its channels. Units are base units of the SKU, not packs. Sales of a bundle are its components'.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from psycopg.types.json import Jsonb

from oneshelf.domain.blind_window import BlindWindow, buffer_for
from oneshelf.domain.demand import PRIOR_RATE_PER_S, Demand, Sold
from oneshelf.domain.identity import Channel, Sku
from oneshelf.storage import blind_windows
from oneshelf.storage.blind_windows import HOUR_S, WEEK_S
from oneshelf.storage.database import Transaction

# The key of all channels together.
ALL = Channel("")
DemandKey = tuple[Sku, Channel]


class Selling(NamedTuple):
    """What was sold of a SKU: `all_sold` everywhere, `sold` at each channel that sells or lists it."""

    all_sold: Sold
    sold: Mapping[Channel, Sold]


class Figures(NamedTuple):
    """What follows for a SKU, at one channel or (`ALL`) everywhere. `inputs`: all that it was derived from."""

    sku: Sku
    channel: Channel
    demand: Demand
    buffer_units: int | None
    threshold_units: int | None
    inputs: Mapping[str, Any]


async def count(tx: Transaction, *, since: datetime) -> None:
    """Count what was posted from this slot on again, and forget what is more than a week old.

    Orders of before the channel was connected are left out, what was cancelled within the hour too.
    """
    await tx.execute(
        "delete from sku_sales where slot_at >= %(since)s or slot_at < db_now() - make_interval(secs => %(s)s)",
        {"since": since, "s": WEEK_S},
    )
    await tx.execute(
        """
        insert into sku_sales (sku, channel, slot_at, units, line_count)
        select n.sku, n.channel, date_bin('10 minutes', o.posted_at, timestamptz '2000-01-01'),
               sum(n.units_pending + n.units_committed + n.units_shipped + n.units_short), count(*)
        from orders o
        join channels c on c.channel = o.channel
        join order_lines n on n.channel = o.channel and n.order_id = o.order_id
        where o.posted_at >= %(since)s and o.placed_at >= c.created_at
          and n.units_pending + n.units_committed + n.units_shipped + n.units_short > 0
        group by 1, 2, 3
        """,
        {"since": since},
    )


async def to_refresh(tx: Transaction, *, since: datetime, young_s: float, limit: int) -> list[Sku]:
    """SKUs to work out anew: those that sold since then and are not younger than `young_s`, the longest ago first;
    then those that were worked out the longest ago, since the sales they know of leave the window."""
    cursor = await tx.execute(
        """
        (select s.sku from (select distinct sku from sku_sales where slot_at >= %(since)s) s
         left join sku_demand d on d.sku = s.sku and d.channel = ''
         where d.sku is null or d.measured_at < db_now() - make_interval(secs => %(young_s)s)
         order by d.measured_at nulls first, s.sku limit %(limit)s)
        union
        (select sku from sku_demand
         where channel = '' and measured_at < db_now() - make_interval(secs => %(young_s)s)
         order by measured_at limit %(limit)s / 4)
        """,
        {"since": since, "young_s": young_s, "limit": limit},
    )
    return sorted([Sku(sku) async for (sku,) in cursor])


async def selling(tx: Transaction, skus: Collection[Sku]) -> dict[Sku, Selling]:
    """What was sold of these SKUs in the last week."""
    cursor = await tx.execute(
        """
        with wanted as (
            select k.sku, least(%(week_s)s, extract(epoch from db_now() - k.created_at))::float8 as observed_s
            from unnest(%(skus)s::text[]) as w (sku) join skus k on k.sku = w.sku
        ), aged as (
            -- Hours since then: 0 is the last one, which is still being counted.
            select s.sku, s.channel, s.units, s.line_count,
                   floor(extract(epoch from db_now() - s.slot_at) / %(hour_s)s)::int as age
            from sku_sales s join wanted w on w.sku = s.sku
        ), hourly as (
            select sku, coalesce(channel, '') as channel, age, sum(units) as units, sum(line_count) as line_count
            from aged group by grouping sets ((sku, channel, age), (sku, age))
        ), steps as (
            -- From each whole hour to the one before it; an hour without sales has no row.
            select h.*, case when age < floor(w.observed_s / %(hour_s)s) - 1 then (h.units - older) ^ 2 else 0 end
                        + case when age > 1 and is_after_none then h.units ^ 2 else 0 end as step
            from (
                select *, case when lead(age) over hours = age + 1 then lead(units) over hours else 0 end as older,
                       lag(age) over hours is distinct from age - 1 as is_after_none
                from hourly window hours as (partition by sku, channel order by age)
            ) as h join wanted w on w.sku = h.sku
        ), summed as (
            select sku, channel, sum(units)::bigint as units, sum(line_count)::bigint as line_count,
                   coalesce(sum(units) filter (where age > 0), 0)::bigint as hour_units,
                   coalesce(sum(step) filter (where age > 0), 0)::bigint as hour_steps,
                   coalesce(sum(units) filter (where age = 0), 0)::bigint as recent_units
            from steps group by sku, channel
        ), places as (
            select sku, '' as channel from wanted
            union select l.sku, l.channel from listings l join wanted w on w.sku = l.sku
            union select sku, channel from summed
        )
        select p.sku, p.channel, coalesce(s.units, 0), coalesce(s.line_count, 0), coalesce(s.hour_units, 0),
               coalesce(s.hour_steps, 0), w.observed_s, coalesce(s.recent_units, 0)
        from places p join wanted w on w.sku = p.sku
        left join summed s on s.sku = p.sku and s.channel = p.channel
        """,
        {"skus": sorted(skus), "hour_s": HOUR_S, "week_s": WEEK_S},
    )
    everywhere: dict[Sku, Sold] = {}
    places: dict[Sku, dict[Channel, Sold]] = {}
    async for sku, channel, *figures in cursor:
        sold = Sold(*figures)
        if channel == ALL:
            everywhere[Sku(sku)] = sold
        else:
            places.setdefault(Sku(sku), {})[Channel(channel)] = sold
    return {sku: Selling(sold, places.get(sku, {})) for sku, sold in everywhere.items()}


async def save(tx: Transaction, figures: Sequence[Figures]) -> None:
    """Store what follows. A channel that no longer sells or lists a SKU loses its row."""
    ordered = sorted(figures, key=lambda one: (one.sku, one.channel))
    columns: dict[str, list[object]] = {
        "skus": [one.sku for one in ordered],
        "channels": [one.channel for one in ordered],
        "rates": [one.demand.rate_per_s for one in ordered],
        "factors": [one.demand.variance_factor for one in ordered],
        "buffers": [one.buffer_units for one in ordered],
        "thresholds": [one.threshold_units for one in ordered],
        "inputs": [Jsonb(one.inputs) for one in ordered],
    }
    await tx.execute(
        """
        delete from sku_demand d
        where d.sku = any(%(skus)s::text[]) and not exists (
            select from unnest(%(skus)s::text[], %(channels)s::text[]) as new (sku, channel)
            where new.sku = d.sku and new.channel = d.channel)
        """,
        columns,
    )
    await tx.execute(
        """
        insert into sku_demand (sku, channel, rate_per_s, variance_factor, buffer_units, threshold_units, inputs)
        select * from unnest(%(skus)s::text[], %(channels)s::text[], %(rates)s::float8[], %(factors)s::float8[],
                             %(buffers)s::bigint[], %(thresholds)s::bigint[], %(inputs)s::jsonb[])
        on conflict (sku, channel) do update set
            rate_per_s = excluded.rate_per_s, variance_factor = excluded.variance_factor,
            buffer_units = excluded.buffer_units, threshold_units = excluded.threshold_units,
            inputs = excluded.inputs, measured_at = db_now()
        """,
        columns,
    )


# For planning -------------------------------------------------------------------------------------------------------


async def buffers(tx: Transaction, keys: Collection[DemandKey]) -> dict[DemandKey, int]:
    """Units to keep back from the listings of these SKUs at these channels. Every key is answered.

    Of a SKU of which nothing is known: for the prior at one other channel, the slowest one to be heard of.
    """
    known = await _known(tx, keys, "buffer_units")
    missing = [key for key in keys if key not in known]
    if missing:
        windows = await _windows(tx)
        by_channel = {channel: _prior_buffer(channel, windows) for channel in {channel for _, channel in missing}}
        known.update({key: by_channel[key[1]] for key in missing})
    return {key: int(units) for key, units in known.items()}


async def rates(tx: Transaction, keys: Collection[DemandKey]) -> dict[DemandKey, float]:
    """Units a second of each SKU at each channel, `ALL`: everywhere. Every key is answered; unknown: the prior."""
    known = await _known(tx, keys, "rate_per_s")
    return {key: known.get(key, PRIOR_RATE_PER_S) for key in keys}


async def _known(tx: Transaction, keys: Collection[DemandKey], column: str) -> dict[DemandKey, float]:
    cursor = await tx.execute(
        """
        select d.sku, d.channel, case %(column)s when 'buffer_units' then d.buffer_units else d.rate_per_s end
        from sku_demand d
        join unnest(%(skus)s::text[], %(channels)s::text[]) as wanted (sku, channel)
          on wanted.sku = d.sku and wanted.channel = d.channel
        """,
        {"column": column, "skus": [sku for sku, _ in keys], "channels": [channel for _, channel in keys]},
    )
    return {(Sku(sku), Channel(channel)): value async for sku, channel, value in cursor if value is not None}


async def _windows(tx: Transaction) -> dict[Channel, BlindWindow]:
    return {one.channel: one.blind_window for one in await blind_windows.reckoned(tx)}


def _prior_buffer(channel: Channel, windows: Mapping[Channel, BlindWindow]) -> int:
    others = [other for other in windows if other != channel]
    if channel not in windows or not others:
        return 0
    slowest = max(others, key=lambda other: windows[other].tau_in_s)
    return buffer_for(channel, windows, {slowest: Demand()}).units
