"""Rows of `blind_window_bins`, `blind_windows`, `channel_windows` and `objectives`: how long each part of the way from
a sale to its proof takes.

Counted from the rows of the flow, set-based: each run counts the slots of the last hour again, so that what committed
late, or was proved late, is in them; older slots stay as they are. What a run reads is an hour of orders and figures,
however many there ever were.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import NamedTuple

from psycopg.rows import class_row

from oneshelf.domain.blind_window import BlindWindow, Measured, Objective
from oneshelf.domain.identity import Channel
from oneshelf.storage.database import Transaction, only_row, try_only

HOUR_S, WEEK_S = 3_600, 604_800
# In the order in which a sale goes its way; then the sums.
PARTS: Mapping[str, str] = {
    "seen": "order placed at the channel -> received",
    "seen_by_webhook": "the same, of orders that a webhook brought",
    "seen_by_poll": "the same, of orders that a poll brought",
    "posted": "received -> in the ledger",
    "decided": "in the ledger -> new figure decided for another channel's listing",
    "sent": "figure decided -> sent",
    "accepted": "sent -> accepted by the channel",
    "verified": "accepted -> read back",
    "ingested": "tau in: order placed -> in the ledger",
    "proved": "tau out: figure decided -> this or a later one read back",
    "elsewhere": "order placed -> every other listing of the SKU read back",
}
_KEY = int.from_bytes(b"windows")
# How far back a run catches up after a standstill.
_CATCH_UP_S = 10_800
# Not proved yet: counts as this old once it is older than a slot, or else is left for the next run.
_UNPROVED_S = 600
# A figure that is decided later than this after a sale has another cause.
_DECIDED_S = 60


class Window(NamedTuple):
    """A part of a channel's blind window over the last hour or week (`window_s`), in seconds.

    Percentiles are the upper edges of their bins: up to 10 % more than measured, never less.
    """

    channel: Channel
    part: str
    window_s: int
    sample_count: int
    p50_s: float
    p95_s: float
    p99_s: float


class ChannelWindow(NamedTuple):
    """What the engine reckons with for a channel, and how far its objective is met.

    `sale_count`, `seen_count`: sales of the last week proved everywhere else, and those of them in time.
    `listing_count`, `fresh_count`: live listings, and those proved within `detect_s`.
    """

    channel: Channel
    tau_in_s: float
    is_in_measured: bool
    tau_out_s: float
    is_out_measured: bool
    round_s: float
    is_blind: bool
    seen_s: float
    detect_s: float
    share: float
    sale_count: int
    seen_count: int
    listing_count: int
    fresh_count: int
    measured_at: datetime

    @property
    def blind_window(self) -> BlindWindow:
        """As the domain reckons with it."""
        return BlindWindow(
            self.tau_in_s, self.tau_out_s, self.round_s, self.is_in_measured, self.is_out_measured, self.is_blind
        )


class OwnObjective(NamedTuple):
    """What a person wants of a channel; None: the default."""

    share: float | None = None
    seen_s: float | None = None
    detect_s: float | None = None


async def try_lock(tx: Transaction) -> bool:
    """Be the only one who measures, until this transaction ends."""
    return await try_only(tx, _KEY)


async def begin(tx: Transaction, channels: Collection[Channel], *, every_s: float) -> datetime | None:
    """From which slot on to count; None while the last run is younger than `every_s` and knew all these channels."""
    cursor = await tx.execute(
        """
        select date_bin('10 minutes', greatest(db_now() - make_interval(secs => %(catch_up_s)s),
                   least(db_now() - make_interval(secs => %(hour_s)s), coalesce(max(measured_at), '-infinity'))),
                   timestamptz '2000-01-01'),
               coalesce(max(measured_at) > db_now() - make_interval(secs => %(every_s)s), false)
                   and count(*) filter (where channel = any(%(channels)s::text[])) = cardinality(%(channels)s::text[])
        from channel_windows
        """,
        {"channels": sorted(channels), "every_s": every_s, "hour_s": HOUR_S, "catch_up_s": _CATCH_UP_S},
    )
    since, is_fresh = await only_row(cursor)
    return None if is_fresh else since


_SAMPLES = """
    with placed as materialized (
        select o.channel, o.order_id, o.placed_at, o.seen_at, o.posted_at, i.is_polled
        from orders o
        join channels c on c.channel = o.channel
        -- An order that nobody delivered was claimed: it is no sale that we had to hear of.
        join (select channel, received_at, bool_or(is_polled) as is_polled from inbox
              where received_at >= %(since)s::timestamptz - interval '1 hour' group by channel, received_at) i
          on i.channel = o.channel and i.received_at = o.seen_at
        where o.posted_at >= %(since)s and o.snapshot is not null and o.placed_at >= c.created_at
    ), shown as not materialized (
        select l.channel, l.channel_sku, l.sku, coalesce(c.live_since, '-infinity') as live_since
        from listings l join channels c on c.channel = l.channel
        where c.mode = 'live' and l.phase <> 'parked' and l.note = '' and l.sku is not null
    ), events as (
        select p.channel, p.channel_sku, p.planned_at as at, p.planned_at, p.sent_at, p.accepted_at, p.verified_at,
               null::text as seller, null::text as order_id, null::text as line_id, null::timestamptz as placed_at
        from publications p join shown s on s.channel = p.channel and s.channel_sku = p.channel_sku and s.sku = p.sku
        -- No sale waits for the first figure of a listing, and that waits until it was counted (version 0) and read.
        where p.planned_at >= %(since)s and p.planned_at >= s.live_since
          and exists (select from publications f where f.channel = p.channel and f.channel_sku = p.channel_sku
                      and f.version > 0 and f.version < p.version)
        union all
        select s.channel, s.channel_sku, o.posted_at, null, null, null, null,
               o.channel, o.order_id, n.line_id, o.placed_at
        from placed o
        join order_lines n on n.channel = o.channel and n.order_id = o.order_id
        join skus k on k.sku = n.sku and not k.is_guarded
        join shown s on s.sku = n.sku and (s.channel, s.channel_sku) <> (n.channel, n.channel_sku)
        where n.units_pending + n.units_committed + n.units_shipped > 0 and o.posted_at >= s.live_since
    ), followed as (
        select *, min(planned_at) over way as decided_at, min(verified_at) over way as proved_at
        from events
        window way as (partition by channel, channel_sku order by at, (seller is null)
                       rows between current row and unbounded following)
    ), proofs as (
        select *, coalesce(proved_at, case when at < db_now() - make_interval(secs => %(unproved_s)s)
                                           then db_now() end) as told_at
        from followed
    ), written as (
        -- A figure that the channel's own sale has brought about needs no write: its proof says nothing of one.
        select * from proofs where seller is null and coalesce(sent_at <> accepted_at, true)
    ), sold as (
        select seller, min(at) as at, min(placed_at) as placed_at,
               case when bool_and(told_at is not null) then max(told_at) end as told_at
        from proofs
        where seller is not null and decided_at < at + make_interval(secs => %(decided_s)s)
        group by seller, order_id, line_id
    ), samples (channel, part, at, long) as (
        select channel, 'seen', posted_at, seen_at - placed_at from placed
        union all select channel, case when is_polled then 'seen_by_poll' else 'seen_by_webhook' end, posted_at,
                         seen_at - placed_at from placed where is_polled is not null
        union all select channel, 'posted', posted_at, posted_at - seen_at from placed
        union all select channel, 'ingested', posted_at, posted_at - placed_at from placed
        union all select channel, 'decided', at, decided_at - at from proofs
                  where seller is not null and decided_at < at + make_interval(secs => %(decided_s)s)
        union all select channel, 'sent', at, sent_at - planned_at from written
        union all select channel, 'accepted', at, accepted_at - sent_at from written
        union all select channel, 'verified', at, verified_at - accepted_at from written
        union all select channel, 'proved', at, told_at - planned_at from written
        union all select seller, 'elsewhere', at, told_at - placed_at from sold
    )
"""


async def count(tx: Transaction, *, since: datetime) -> None:
    """Count the samples of all slots from this one on again, and forget those of more than a week ago."""
    await tx.execute(
        "delete from blind_window_bins where slot_at >= %(since)s or slot_at < db_now() - make_interval(secs => %(s)s)",
        {"since": since, "s": WEEK_S + 600},
    )
    await tx.execute(
        _SAMPLES
        + """
        insert into blind_window_bins (channel, part, slot_at, bin, sample_count)
        select channel, part, date_bin('10 minutes', at, timestamptz '2000-01-01'),
               ceil(ln(greatest(extract(epoch from long), 0.001)) / ln(1.1))::int as bin, count(*)
        from samples where long is not null group by 1, 2, 3, 4
        """,
        {"since": since, "unproved_s": _UNPROVED_S, "decided_s": _DECIDED_S},
    )
    await tx.execute("delete from blind_windows")
    await tx.execute(
        """
        with sized as (
            select channel, part, window_s, bin, sum(sample_count) as samples
            from blind_window_bins
            join unnest(%(windows)s::int[]) as w (window_s)
              on slot_at > db_now() - make_interval(secs => window_s + 600)
            group by channel, part, window_s, bin
        ), summed as (
            select *, sum(samples) over (partition by channel, part, window_s order by bin) as upto,
                   sum(samples) over (partition by channel, part, window_s) as total
            from sized
        )
        insert into blind_windows (channel, part, window_s, sample_count, p50_s, p95_s, p99_s)
        select channel, part, window_s, max(total), power(1.1, min(bin) filter (where upto >= 0.50 * total)),
               power(1.1, min(bin) filter (where upto >= 0.95 * total)),
               power(1.1, min(bin) filter (where upto >= 0.99 * total))
        from summed group by channel, part, window_s
        """,
        {"windows": [HOUR_S, WEEK_S]},
    )


async def exact(tx: Transaction, *, since: datetime) -> list[Window]:
    """The same for all samples since then, without bins: for a report over a run. `window_s` is 0."""
    cursor = tx.cursor(row_factory=class_row(Window))
    await cursor.execute(
        _SAMPLES
        + """
        select channel, part, 0 as window_s, count(*) as sample_count,
               percentile_cont(0.50) within group (order by extract(epoch from long)::float8) as p50_s,
               percentile_cont(0.95) within group (order by extract(epoch from long)::float8) as p95_s,
               percentile_cont(0.99) within group (order by extract(epoch from long)::float8) as p99_s
        from samples where long is not null group by channel, part order by channel, part
        """,
        {"since": since, "unproved_s": _UNPROVED_S, "decided_s": _DECIDED_S},
    )
    return await cursor.fetchall()


async def windows(tx: Transaction, *, channel: Channel | None = None) -> list[Window]:
    """What is measured of all parts, or of one channel's."""
    cursor = tx.cursor(row_factory=class_row(Window))
    await cursor.execute(
        """
        select channel, part, window_s, sample_count, p50_s, p95_s, p99_s from blind_windows
        where %(channel)s::text is null or channel = %(channel)s
        order by channel, window_s, array_position(%(parts)s::text[], part)
        """,
        {"channel": channel, "parts": list(PARTS)},
    )
    return await cursor.fetchall()


async def measured(tx: Transaction) -> dict[tuple[Channel, str], Measured]:
    """(channel, part) -> the p99 of the last week."""
    return {
        (one.channel, one.part): Measured(one.p99_s, one.sample_count)
        for one in await windows(tx)
        if one.window_s == WEEK_S
    }


async def own_objectives(tx: Transaction) -> dict[Channel, OwnObjective]:
    """What people have set."""
    cursor = await tx.execute("select channel, share, seen_s, detect_s from objectives")
    return {Channel(row[0]): OwnObjective(*row[1:]) async for row in cursor}


async def set_objective(tx: Transaction, channel: Channel, own: OwnObjective) -> None:
    """Store what a person wants; the engine judges by it from its next measurement on."""
    await tx.execute(
        """
        insert into objectives (channel, share, seen_s, detect_s)
        values (%(channel)s, %(share)s, %(seen_s)s, %(detect_s)s)
        on conflict (channel) do update set
            share = excluded.share, seen_s = excluded.seen_s, detect_s = excluded.detect_s
        """,
        {"channel": channel, **own._asdict()},
    )


async def store(tx: Transaction, reckoned: Mapping[Channel, tuple[BlindWindow, Objective]]) -> None:
    """Store what the engine reckons with, and judge the objectives: sales of the last week, listings at this moment.

    A sale counts as seen in time only where the whole of its bin lies below the objective.
    """
    ordered = sorted(reckoned.items())
    columns: dict[str, list[object]] = {"channel": [channel for channel, _ in ordered]}
    for name in ("is_in_measured", "is_out_measured", "is_blind"):
        columns[name] = [getattr(window, name) for _, (window, _) in ordered]
    for name in ("tau_in_s", "tau_out_s", "round_s"):
        columns[name] = [float(getattr(window, name)) for _, (window, _) in ordered]
    for name in ("seen_s", "detect_s", "share"):
        columns[name] = [float(getattr(objective, name)) for _, (_, objective) in ordered]
    await tx.execute(
        """
        with given as (
            select * from unnest(%(channel)s::text[], %(tau_in_s)s::float8[], %(is_in_measured)s::boolean[],
                %(tau_out_s)s::float8[], %(is_out_measured)s::boolean[], %(round_s)s::float8[],
                %(is_blind)s::boolean[], %(seen_s)s::float8[], %(detect_s)s::float8[], %(share)s::float8[])
                as new (channel, tau_in_s, is_in_measured, tau_out_s, is_out_measured, round_s, is_blind, seen_s,
                        detect_s, share)
        ), sales as (
            select g.channel, sum(b.sample_count) as sale_count,
                   sum(b.sample_count) filter (where power(1.1, b.bin) <= g.seen_s) as seen_count
            from given g join blind_window_bins b on b.channel = g.channel and b.part = 'elsewhere'
            group by g.channel
        ), proofs as (
            select g.channel, count(*) as listing_count,
                   count(*) filter (where l.verified_at > db_now() - make_interval(secs => g.detect_s)) as fresh_count
            from given g join channels c on c.channel = g.channel and c.mode = 'live'
            join listings l on l.channel = g.channel
            where l.sku is not null and l.phase <> 'parked' and l.note = '' group by g.channel
        )
        insert into channel_windows as w
        select g.channel, tau_in_s, is_in_measured, tau_out_s, is_out_measured, round_s, is_blind, seen_s, detect_s,
               share, coalesce(sale_count, 0), coalesce(seen_count, 0), coalesce(listing_count, 0),
               coalesce(fresh_count, 0), db_now()
        from given g left join sales on sales.channel = g.channel left join proofs on proofs.channel = g.channel
        on conflict (channel) do update set
            tau_in_s = excluded.tau_in_s, is_in_measured = excluded.is_in_measured,
            tau_out_s = excluded.tau_out_s, is_out_measured = excluded.is_out_measured,
            round_s = excluded.round_s, is_blind = excluded.is_blind, seen_s = excluded.seen_s,
            detect_s = excluded.detect_s, share = excluded.share, sale_count = excluded.sale_count,
            seen_count = excluded.seen_count, listing_count = excluded.listing_count,
            fresh_count = excluded.fresh_count, measured_at = excluded.measured_at
        """,
        columns,
    )


async def reckoned(tx: Transaction, *, channel: Channel | None = None) -> list[ChannelWindow]:
    """What the engine reckons with; empty before its first measurement."""
    cursor = tx.cursor(row_factory=class_row(ChannelWindow))
    await cursor.execute(
        """
        select * from channel_windows where %(channel)s::text is null or channel = %(channel)s order by channel
        """,
        {"channel": channel},
    )
    return await cursor.fetchall()
