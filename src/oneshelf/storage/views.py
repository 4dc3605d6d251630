"""Questions of people: what the pages, the API and the commands show. These statements only read.

Ages are in seconds by the database's clock, taken when the question is asked.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import NamedTuple

from psycopg.rows import class_row
from psycopg.types.json import Jsonb

from oneshelf.domain.alert import TOLD_S
from oneshelf.domain.identity import Channel, ChannelSku, Sku
from oneshelf.storage import home_views, listing_issues, schedules, tallies
from oneshelf.storage.database import Transaction, now
from oneshelf.storage.listing_states import (
    BELIEF,
    SOURCES,
    STAGES,
    UNDRIFTED,
    UNVERIFIED_SINCE,
    UNVERIFIED_STATES,
    ListingState,
)
from oneshelf.storage.listings import ListingKey
from oneshelf.storage.tallies import LISTING_COUNTS, Tally

# Sorts after every other character, in bytes too: `text` to `text` + this are the names that begin with `text`.
_LAST_CHARACTER = "\U0010ffff"

_ON_HAND = home_views.ON_HAND

# Why a listing is not written: what the channel says of its changes, of the feed that carries it, or of itself.
_WORDS = """
    case when l.only_zero_until > db_now() then l.wait_words
         when l.feed_id is not null then coalesce(
             (select f.words from feeds f where f.feed_id = l.feed_id and f.stuck_at is not null), '')
         else l.parked_reason end
"""


class SkuRow(NamedTuple):
    """A SKU over all its locations, in units. `short`: sold or promised, and no unit is there for it."""

    sku: Sku
    title: str
    on_hand: int
    available: int
    committed: int
    reserved: int
    short: int
    version: int


class ListingRow(NamedTuple):
    """A listing and its four figures: desired, sent, accepted, verified. Units are the listing's own (packs).

    `suspense_units`: fell off the listing, and no order explains it yet: they are offered nowhere.
    `age_s`: since a reading last proved the figure. `unverified_s`: how long the desired figure has waited for its
    proof; None where it has it, or where there is no figure yet. `issues`: what the channel says is wrong with it.
    """

    channel: Channel
    channel_sku: ChannelSku
    merchant_sku: str
    title: str
    sku: Sku | None
    pack_units: int
    phase: str
    state: ListingState
    desired_units: int | None
    desired_version: int
    desired_at: datetime | None
    sent_units: int | None
    sent_version: int
    sent_at: datetime | None
    accepted_version: int
    accepted_at: datetime | None
    verified_units: int | None
    verified_version: int
    verified_at: datetime | None
    belief: int | None
    suspect: int | None
    suspense_units: int
    parked_reason: str
    age_s: float | None
    unverified_s: float | None
    issues: str


class ChannelHealth(NamedTuple):
    """A channel as a person looks at it. `listing_count` is the sum of the five counts after it.

    `is_poll_late`: its orders have not been asked for in three turns of the poll. `poll_back_s`: since they are asked
    for in time again, until that has held; None usually. `failing_s`: since no call has succeeded. `held_s`: since the
    breaker stopped its writes, for `held_reason`; None usually. `fallbacks`: as of `catalog.ChannelRow`. `feed_age_s`:
    of the feed that has not ended, None: there is none; `feed_stuck_s`: since it takes longer than it may;
    `feed_listing_count`: what it still carries; `feed_words`: what the channel says of it. `access_ends`:
    credentials with the day of their end and the way out. `heard_s`: since a device of it told something.
    """

    channel: Channel
    kind: str
    mode: str
    location: str
    shows_figures: bool
    takes_purchase_orders: bool
    heard_s: float | None
    fallbacks: dict[str, dict[str, str]]
    access_ends: list[dict[str, str]]
    paused_s: float | None
    held_s: float | None
    held_reason: str
    held_figures: dict[str, int]
    last_fault: str
    fail_streak: int
    poll_age_s: float | None
    sweep_age_s: float | None
    covered_age_s: float | None
    is_poll_late: bool
    poll_back_s: float | None
    failing_s: float | None
    feed_age_s: float | None
    feed_stuck_s: float | None
    feed_listing_count: int
    feed_words: str
    listing_count: int
    verified_count: int
    unverified_count: int
    parked_count: int
    held_count: int
    unlinked_count: int
    oldest_unverified_s: float | None
    drift_count: int
    detection_p95_s: float | None
    corrected_p95_s: float | None
    cancellation_rate: float | None
    cancellations_left: int | None

    @property
    def is_stale(self) -> bool:
        """Whether people are told that it is not heard: late, or back for too short a time to count on it."""
        return self.is_poll_late or self.poll_back_s is not None

    @property
    def is_failing(self) -> bool:
        """Whether people are told that it fails: no call has succeeded for a while."""
        return self.failing_s is not None and self.failing_s >= TOLD_S


class Overview(NamedTuple):
    """The figures of the whole engine at `read_at`."""

    read_at: datetime
    sku_count: int
    units_on_hand: int
    units_available: int
    units_committed: int
    units_reserved: int
    order_count: int
    inbox_waiting: int
    inbox_oldest_s: float | None
    facts_waiting: int
    facts_oldest_s: float | None
    wanted_orders: int
    wanted_oldest_s: float | None
    parked_deliveries: int
    parked_orders: int
    drift_count: int
    drift_oldest_s: float | None
    short_line_count: int
    short_units: int
    short_oldest_s: float | None
    listing_count: int
    verified_count: int
    unverified_count: int
    parked_count: int
    held_count: int
    unlinked_count: int
    oldest_unverified_s: float | None


async def freeze(tx: Transaction) -> None:
    """All that this transaction reads from now on is of one instant. Call it first.

    Its statements are planned for what they ask: one plan for all filters of a list reads all of it for each.
    """
    await tx.execute("set transaction isolation level repeatable read, read only")
    await tx.execute("set local plan_cache_mode = force_custom_plan")


async def sku_rows(
    tx: Transaction, *, after: str = "", limit: int, prefix: str = "", only: Collection[Sku] | None = None
) -> list[SkuRow]:
    """SKUs in the order of their names, the first after `after`.

    `prefix`: only names that begin so, as it is or in capitals. `only`: of these.
    """
    cursor = tx.cursor(row_factory=class_row(SkuRow))
    await cursor.execute(
        f"""
        select s.sku, s.title, b.on_hand, b.available, b.committed, b.reserved, o.short, b.version
        from (
            select sku, title from skus
            where sku > %(after)s
              and (%(prefix)s::text = '' or (sku >= %(prefix)s and sku < %(prefix_end)s)
                   or (sku >= %(capitals)s and sku < %(capitals_end)s))
              and (%(only)s::text[] is null or sku = any(%(only)s::text[]))
            order by sku limit %(limit)s
        ) as s
        cross join lateral (
            select coalesce(sum({_ON_HAND}), 0)::bigint as on_hand, coalesce(sum(available), 0)::bigint as available,
                   coalesce(sum(committed), 0)::bigint as committed, coalesce(sum(reserved), 0)::bigint as reserved,
                   coalesce(sum(version), 0)::bigint as version
            from balances where sku = s.sku
        ) as b
        cross join lateral (
            select ((select coalesce(sum(units_short), 0) from order_lines where sku = s.sku and units_short > 0)
                    + (select coalesce(sum(units_short), 0) from reservations
                       where sku = s.sku and state = 'held' and units_short > 0))::bigint as short
        ) as o
        order by s.sku
        """,
        {
            "after": after,
            "prefix": prefix,
            "prefix_end": prefix + _LAST_CHARACTER,
            "capitals": prefix.upper(),
            "capitals_end": prefix.upper() + _LAST_CHARACTER,
            "only": None if only is None else sorted(only),
            "limit": limit,
        },
    )
    return await cursor.fetchall()


_LISTING_COLUMNS = f"""
    l.channel, l.channel_sku, l.merchant_sku, l.title, l.sku, l.pack_units, l.phase, how.state,
           l.desired_units, l.desired_version, l.desired_at, l.sent_units, l.sent_version, l.sent_at,
           l.accepted_version, l.accepted_at, l.verified_units, l.verified_version, l.verified_at,
           {BELIEF} as belief, l.suspect_units as suspect, l.suspense_units, {_WORDS} as parked_reason,
           extract(epoch from db_now() - l.verified_at)::float8 as age_s,
           extract(epoch from db_now() - {UNVERIFIED_SINCE})::float8 as unverified_s,
           {listing_issues.words_of("l")} as issues
"""


# What is in a state that is not a drift: by the channels and stages that mean it. `page`: where each of these begins.
_IN_STATE = f"""
    from (
        select c.channel, stage, case when c.channel = %(after_channel)s then %(after)s else '' end as after
        from channels c, unnest(%(stages)s::text[]) as stage
        where {UNDRIFTED} = %(state)s and c.channel >= %(after_channel)s
          and (%(channel)s::text is null or c.channel = %(channel)s)
    ) as place
    cross join lateral (
        select l.channel, l.channel_sku from listings l
        where l.channel = place.channel and l.stage = place.stage and l.channel_sku > place.after
          and (l.stage in ('unlinked', 'parked') or not exists (
              select from drifts d
              where d.channel = l.channel and d.channel_sku = l.channel_sku and d.resolved_at is null))
        order by l.channel_sku limit %(limit)s
    ) as page
"""
_DRIFTING = """
    from drifts page where resolved_at is null and (channel, channel_sku) > (%(after_channel)s, %(after)s)
      and (%(channel)s::text is null or channel = %(channel)s)
      and exists (select from listings l where l.channel = page.channel and l.channel_sku = page.channel_sku
                    and l.stage not in ('unlinked', 'parked'))
"""
_ANY = """
    from listings page where (channel, channel_sku) > (%(after_channel)s, %(after)s)
      and (%(channel)s::text is null or channel = %(channel)s)
"""


async def listing_rows(
    tx: Transaction,
    *,
    channel: Channel | None = None,
    state: ListingState | None = None,
    after: ListingKey | None = None,
    limit: int = 1000,
) -> list[ListingRow]:
    """Listings in the order of channel and channel SKU, the first after `after`."""
    found = {None: _ANY, "drifting": _DRIFTING}.get(state, _IN_STATE)
    cursor = tx.cursor(row_factory=class_row(ListingRow))
    await cursor.execute(
        f"""
        with wanted as materialized (
            select page.channel, page.channel_sku {found} order by 1, 2 limit %(limit)s
        )
        select {_LISTING_COLUMNS} from wanted w, {SOURCES}
        where l.channel = w.channel and l.channel_sku = w.channel_sku
        order by l.channel, l.channel_sku
        """,
        {
            "channel": channel,
            "state": state,
            "stages": list(STAGES),
            "after_channel": after[0] if after else "",
            "after": after[1] if after else "",
            "limit": limit,
            "unverified": list(UNVERIFIED_STATES),
        },
    )
    return await cursor.fetchall()


async def listings_of(tx: Transaction, skus: Collection[Sku]) -> dict[Sku, list[ListingRow]]:
    """The listings of each of these SKUs, in the order of their channels."""
    cursor = tx.cursor(row_factory=class_row(ListingRow))
    await cursor.execute(
        f"""
        select {_LISTING_COLUMNS} from {SOURCES} where l.sku = any(%(skus)s::text[]) order by l.channel, l.channel_sku
        """,
        {"skus": sorted(skus), "unverified": list(UNVERIFIED_STATES)},
    )
    found: dict[Sku, list[ListingRow]] = {sku: [] for sku in skus}
    for row in await cursor.fetchall():
        if row.sku is not None:
            found[row.sku].append(row)
    return found


async def channel_rows(tx: Transaction, *, tally: Tally | None = None) -> list[ChannelHealth]:
    """All connected channels, in the order of their names. `tally`: where the caller has it already."""
    counted = await tallies.read(tx) if tally is None else tally
    cursor = tx.cursor(row_factory=class_row(ChannelHealth))
    await cursor.execute(
        f"""
        with counted as (
            select n.* from jsonb_each(%(counted)s::jsonb) as each,
                jsonb_to_record(each.value) as n (channel text, listing_count bigint, verified_count bigint,
                    unverified_count bigint, parked_count bigint, held_count bigint, unlinked_count bigint,
                    unverified_since timestamptz)
        )
        select c.channel, c.kind, c.mode, c.location, c.shows_figures, c.takes_purchase_orders,
               (select extract(epoch from db_now() - max(d.heard_at))::float8 from devices d
                where d.channel = c.channel) as heard_s,
               c.fallbacks, c.last_fault, c.fail_streak, c.access_ends,
               nullif(greatest(0, extract(epoch from c.paused_until - db_now())::float8), 0) as paused_s,
               extract(epoch from db_now() - c.held_at)::float8 as held_s, c.held_reason, c.held_figures,
               extract(epoch from db_now() - polls.last_done_at)::float8 as poll_age_s,
               extract(epoch from db_now() - sweeps.last_done_at)::float8 as sweep_age_s,
               extract(epoch from db_now() - polls.covered_until)::float8 as covered_age_s,
               coalesce(polls.is_late, false) as is_poll_late, polls.back_s as poll_back_s,
               extract(epoch from db_now() - c.failing_since)::float8 as failing_s,
               extract(epoch from db_now() - f.begun_at)::float8 as feed_age_s,
               extract(epoch from db_now() - f.stuck_at)::float8 as feed_stuck_s,
               (select count(*) from listings l where l.feed_id = f.feed_id) as feed_listing_count,
               coalesce(f.words, '') as feed_words,
               coalesce(n.listing_count, 0) as listing_count, coalesce(n.verified_count, 0) as verified_count,
               coalesce(n.unverified_count, 0) as unverified_count, coalesce(n.parked_count, 0) as parked_count,
               coalesce(n.held_count, 0) as held_count, coalesce(n.unlinked_count, 0) as unlinked_count,
               extract(epoch from db_now() - n.unverified_since)::float8 as oldest_unverified_s,
               (select count(*) from drifts d where d.channel = c.channel and d.resolved_at is null) as drift_count,
               hidden.detection_p95_s, hidden.corrected_p95_s,
               budget.cancelled_count::float8 / nullif(budget.order_count, 0) as cancellation_rate,
               budget.budget_left as cancellations_left
        from channels c
        left join cancellation_budgets budget on budget.channel = c.channel and budget.channel_sku = ''
        left join counted n on n.channel = c.channel
        left join feeds f on f.channel = c.channel and f.ended_at is null
        cross join lateral canary_p95(c.channel) as hidden
        left join {schedules.POLLS} polls on polls.channel = c.channel
        left join schedules sweeps on sweeps.channel = c.channel and sweeps.task = 'stock'
        order by c.channel
        """,
        {"counted": Jsonb(counted.channels)},
    )
    return await cursor.fetchall()


async def overview(tx: Transaction, *, tally: Tally | None = None) -> Overview:
    """The whole engine; what counts all of it is of `read_at`. `tally`: where the caller has it already."""
    tally = await tallies.read(tx) if tally is None else tally
    oldest = tally.unverified_since
    return Overview(
        read_at=tally.counted_at,
        **tally.totals,
        **await home_views.waiting(tx),
        **{name: sum(of[name] for of in tally.channels.values()) for name in LISTING_COUNTS},
        oldest_unverified_s=None if oldest is None else (await now(tx) - oldest).total_seconds(),
    )
