"""What is known about drifts, read from the tables that know it: readings, writes, orders, bundles, announcements."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any, TypeVar
from uuid import UUID

from oneshelf.domain.attribution import ORDERS_MAX, Evidence, LateOrder, Part, RecentWrite, SeenReading
from oneshelf.domain.identity import Channel
from oneshelf.domain.state_change import moves_behind
from oneshelf.storage import listing_issues, stock_states
from oneshelf.storage.database import Transaction
from oneshelf.storage.drifts import DriftRow

READINGS_KEPT = 10
WRITES_KEPT = 10
# A bundle that a channel takes apart lowers its parts at once; we see that within a sweep or two.
TOGETHER_S = 1800
BEFORE_S = 3600

_Kept = TypeVar("_Kept")
_WANTED = """
    select d.* from drifts d where d.drift_id = any(%(ids)s::uuid[])
"""


async def gather(
    tx: Transaction, found: Sequence[DriftRow], *, silent_states: Mapping[Channel, Collection[str]]
) -> dict[UUID, Evidence]:
    """The evidence of each of these drifts. `silent_states`: as each channel's connector declares them."""
    ids = [drift.drift_id for drift in found]
    readings = await _by_drift(tx, _READINGS, ids, SeenReading, limit=READINGS_KEPT)
    writes = await _by_drift(tx, _WRITES, ids, RecentWrite, limit=WRITES_KEPT)
    orders = await _by_drift(tx, _ORDERS, ids, LateOrder, limit=ORDERS_MAX)
    parts = await _by_drift(tx, _PARTS, ids, Part, limit=ORDERS_MAX)
    circumstances = await _circumstances(tx, ids)
    states = await stock_states.read(tx, {(drift.channel, drift.channel_sku) for drift in found})
    return {
        drift.drift_id: Evidence(
            expected_units=drift.expected_units,
            observed_units=drift.observed_units,
            found=drift.cause,
            readings=readings[drift.drift_id],
            writes=writes[drift.drift_id],
            orders=orders[drift.drift_id],
            parts=parts[drift.drift_id],
            silent_states=tuple(silent_states.get(drift.channel, ())),
            **circumstances[drift.drift_id],
            **_moved(drift, states.get((drift.channel, drift.channel_sku))),
        )
        for drift in found
    }


def _moved(drift: DriftRow, seen: stock_states.SeenStates | None) -> dict[str, Any]:
    """What the readings show of the other states, and what of it explains the drift."""
    if seen is None:
        return {}
    return {
        "states_before": seen.accounted,
        "states_after": seen.shown,
        "states_at": seen.shown_at,
        "moved": moves_behind(seen.accounted, seen.shown, fall=drift.unexplained_units),
    }


async def with_unread_news(tx: Transaction, within_s: Mapping[UUID, float]) -> set[UUID]:
    """Those of these drifts that news of their channel may explain which could not be read or posted.

    `within_s`: drift -> how long before it the news may have come. Of a delivery nobody knows what it says; of an order
    that is not, or not wholly, posted it is known whether it sold the listing, or a bundle of its SKU.
    """
    if not within_s:
        return set()
    cursor = await tx.execute(
        """
        select d.drift_id
        from unnest(%(ids)s::uuid[], %(seconds)s::float8[]) as asked (drift_id, seconds)
        join drifts d using (drift_id)
        cross join lateral (select d.opened_at - make_interval(secs => asked.seconds) as since) as time
        where exists (
            select from inbox i where i.state = 'parked' and i.channel = d.channel and i.received_at >= time.since
        ) or exists (
            select from facts f
            cross join jsonb_array_elements(f.snapshot -> 'lines') as line
            join listings l on l.channel = f.channel and l.channel_sku = line ->> 'channel_sku'
            where f.state = 'parked' and f.channel = d.channel and f.received_at >= time.since
              and (l.channel_sku = d.channel_sku
                   or l.sku = any(d.sku || array(select b.sku from bundle_components b where b.component = d.sku)))
        )
        """,
        {"ids": list(within_s), "seconds": list(within_s.values())},
    )
    return {drift_id async for (drift_id,) in cursor}


async def _by_drift(
    tx: Transaction, query: str, ids: Sequence[UUID], kind: type[_Kept], *, limit: int
) -> dict[UUID, tuple[_Kept, ...]]:
    """The rows of each drift, as `kind`: the first column is the drift, the others are its fields by name."""
    cursor = await tx.execute(
        query.encode(), {"ids": list(ids), "limit": limit, "before_s": BEFORE_S, "together_s": TOGETHER_S}
    )
    names = [column.name for column in cursor.description or ()][1:]
    rows: dict[UUID, list[_Kept]] = {drift_id: [] for drift_id in ids}
    async for drift_id, *values in cursor:
        rows[drift_id].append(kind(**dict(zip(names, values, strict=True))))
    return {drift_id: tuple(kept) for drift_id, kept in rows.items()}


_READINGS = f"""
    select d.drift_id, seen.* from ({_WANTED}) as d cross join lateral (
        select o.observed_at as at, o.units, o.believed, o.source from observations o
        where o.channel = d.channel and o.channel_sku = d.channel_sku
          and o.observed_at > d.opened_at - make_interval(secs => %(before_s)s)
        order by o.observed_at desc limit %(limit)s
    ) as seen order by d.drift_id, seen.at
"""

# Figures that were published, and what was sent without an answer, zeroes before a raise among them.
_WRITES = f"""
    select d.drift_id, sent.* from ({_WANTED}) as d cross join lateral (
        (select p.units, p.sent_at, p.accepted_at, p.verified_at from publications p
         where p.channel = d.channel and p.channel_sku = d.channel_sku and p.sku = d.sku and p.sent_at is not null
         order by p.version desc limit %(limit)s)
        union
        (select w.units, w.sent_at, null, null from lost_writes w
         where w.channel = d.channel and w.channel_sku = d.channel_sku
           and w.sent_at > d.opened_at - make_interval(secs => %(before_s)s)
         order by w.sent_at desc limit %(limit)s)
    ) as sent order by d.drift_id, sent.sent_at, sent.units
"""

# Of a bundle's line there is a row for each component; it took the bundle off the listing once. Clocks differ by 5 s.
_ORDERS = f"""
    select d.drift_id, late.* from ({_WANTED}) as d cross join lateral (
        select each.channel || '/' || each.order_id as order, sum(each.units)::bigint as units,
               min(each.placed_at) as placed_at, min(o.seen_at) as seen_at, bool_or(each.is_unpaid) as is_unpaid
        from (
            select l.channel, l.order_id, l.line_id, max(l.units_off_listing) as units, min(l.placed_at) as placed_at,
                   bool_or(l.is_pending) as is_unpaid
            from order_lines l
            where l.sku = any(d.sku || array(select b.component from bundle_components b where b.sku = d.sku))
              and l.channel = d.channel and l.channel_sku = d.channel_sku
              and l.placed_at <= d.opened_at + interval '5 seconds'
              and l.placed_at > d.opened_at - interval '35 days'
            group by l.channel, l.order_id, l.line_id
        ) as each join orders o on o.channel = each.channel and o.order_id = each.order_id
        where o.posted_at > d.opened_at
        group by each.channel, each.order_id order by min(each.placed_at) limit %(limit)s
    ) as late order by d.drift_id, late.placed_at
"""

# The listed components of every bundle that this SKU is a part of, and how far each drifts at the same channel.
_PARTS = f"""
    select d.drift_id, b.sku as bundle, b.component as sku, b.units as bundle_units,
           coalesce((select sum((x.observed_units - x.expected_units) * l.pack_units) from drifts x
                     join listings l on l.channel = x.channel and l.channel_sku = x.channel_sku
                     where x.channel = d.channel and x.sku = b.component
                       and abs(extract(epoch from x.opened_at - d.opened_at)) < %(together_s)s), 0)::bigint as size
    from ({_WANTED}) as d
    join bundle_components own on own.component = d.sku
    join bundle_components b on b.sku = own.sku
    where exists (select from listings l where l.channel = d.channel and l.sku = b.component)
    order by d.drift_id, b.sku, b.component limit %(limit)s * cardinality(%(ids)s::uuid[])
"""


async def _circumstances(tx: Transaction, ids: Sequence[UUID]) -> dict[UUID, dict[str, Any]]:
    """Whether the channel told of it, how often the same figure came back within an hour, and what is wrong with it."""
    cursor = await tx.execute(
        f"""
        select d.drift_id, coalesce(l.hinted_at > coalesce(l.verified_at, '-infinity'), false),
               exists (select from listings h where h.channel = d.channel
                       and h.hinted_at > d.opened_at - interval '1 day'),
               (select count(*) from drifts x where x.channel = d.channel and x.channel_sku = d.channel_sku
                and x.opened_at between d.opened_at - interval '1 hour' and d.opened_at and x.drift_id <> d.drift_id
                and x.observed_units = d.observed_units and x.resolution = 'republished'),
               {listing_issues.words_of("d")}
        from ({_WANTED}) as d left join listings l on l.channel = d.channel and l.channel_sku = d.channel_sku
        """,
        {"ids": list(ids)},
    )
    return {
        drift_id: {"is_announced": announced, "hears_announcements": hears, "same_count": count, "issues": issues}
        async for drift_id, announced, hears, count, issues in cursor
    }
