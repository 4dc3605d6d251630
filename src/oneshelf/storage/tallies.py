"""What reads the whole catalogue to be told: listings by their state, plans by their causes, units, the worst case.
Linked listings of channels that show no figure are not counted: there is nothing to write to them, nor to prove.

A small catalogue is counted whenever somebody asks. Of a large one the last count is told, with its age: the step
`survey` keeps it in `tallies`.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, NamedTuple

from psycopg.types.json import Jsonb

from oneshelf.domain.go_live import WRITTEN, Cause, Totals
from oneshelf.domain.identity import Channel
from oneshelf.storage import home_views
from oneshelf.storage.database import Transaction, now, only_row, try_only
from oneshelf.storage.home_views import Exposed, Exposure
from oneshelf.storage.listing_states import BELIEF, SOURCES, UNVERIFIED_SINCE, UNVERIFIED_STATES
from oneshelf.storage.on_call_views import ZERO_FAILS

EXPOSED_KEPT = 5
# So many listings, and so many SKUs, are counted whenever somebody asks.
ALWAYS_COUNTED = 25_000
SECONDS_KEPT_OF_A_MILLION = 20.0
# Any number that nobody else locks.
_KEY = 7_366_102_511_904_212_071

_COUNT = f"""
    with each as (
        select l.channel, how.state, {UNVERIFIED_SINCE} as since,
               l.sku is null and l.merchant_sku <> '' and exists (
                   select from listings t where t.channel = l.channel and t.merchant_sku = l.merchant_sku
                     and t.channel_sku <> l.channel_sku) as is_twin,
               ((l.fright - 1) >> 40) + 1 as rank, greatest(0, {BELIEF}) as shown, l.desired_units,
               (c.signs_off = 'channel' and c.mode <> 'watch') or l.signed_off_at is not null as is_signed_off,
               case when l.sku is not null then l.rights_units * l.pack_units end as may_sell,
               {ZERO_FAILS} as zero_fails
        from {SOURCES}
        where c.shows_figures or l.sku is null
    ), counted as (
        select channel, count(*) as listing_count,
               count(*) filter (where state = 'verified') as verified_count,
               count(*) filter (where state = any(%(unverified)s::text[])) as unverified_count,
               count(*) filter (where state = 'parked') as parked_count,
               count(*) filter (where state = 'held') as held_count,
               count(*) filter (where state = 'unlinked') as unlinked_count,
               min(since) as unverified_since,
               count(*) filter (where rank = 1) as zero, count(*) filter (where rank = 2) as cut,
               count(*) filter (where rank = 3) as raise, count(*) filter (where rank = 4) as parked,
               count(*) filter (where rank = 5 and is_twin) as twins,
               count(*) filter (where rank = 5 and not is_twin) as unlinked,
               count(*) filter (where rank = 6) as unread, count(*) filter (where rank = 7) as uncounted,
               count(*) filter (where rank = 8) as same,
               coalesce(sum(shown) filter (where rank in (1, 2, 3, 8)), 0)::bigint as units_now,
               coalesce(sum(desired_units) filter (where rank in (1, 2, 3, 8)), 0)::bigint as units_then,
               count(*) filter (where is_signed_off) as signed_off,
               coalesce(sum(may_sell), 0)::bigint as rights_units,
               count(*) filter (where zero_fails) as zeros_failing
        from each group by channel
    )
    select db_now(), coalesce(jsonb_object_agg(channel, to_jsonb(counted)), '{{}}') from counted
"""


LISTING_COUNTS = (
    "listing_count",
    "verified_count",
    "unverified_count",
    "parked_count",
    "held_count",
    "unlinked_count",
)


class Tally(NamedTuple):
    """One count. `channels`: channel -> its figures by name, as `_COUNT` names them."""

    counted_at: datetime
    channels: dict[str, dict[str, Any]]
    totals: dict[str, Any]
    exposure: Exposure

    @property
    def kept_s(self) -> float:
        """How long this is good enough."""
        row_count = sum(of["listing_count"] for of in self.channels.values()) + self.totals["sku_count"]
        return float(row_count / 1e6 * SECONDS_KEPT_OF_A_MILLION)

    def age_s(self, now: datetime) -> float:
        """How old it is."""
        return max(0.0, (now - self.counted_at).total_seconds())

    @property
    def unverified_since(self) -> datetime | None:
        """Since when the figure waits that has waited longest for its proof."""
        said = [of["unverified_since"] for of in self.channels.values() if of["unverified_since"]]
        return min(map(datetime.fromisoformat, said), default=None)

    def figure(self, channel: Channel, name: str) -> int:
        """One figure of a channel; 0 where it has no listings."""
        return int(self.channels.get(channel, {}).get(name, 0))

    def plan_of(self, channel: Channel) -> Totals:
        """The figures of a channel's plan."""
        of = self.channels.get(channel, {})
        counts: dict[Cause, int] = {cause: of.get(cause.value, 0) for cause in Cause}
        return Totals(
            counts={cause: counts[cause] for cause in Cause if counts[cause]},
            written=sum(counts[cause] for cause in WRITTEN),
            signed_off=of.get("signed_off", 0),
            units_now=of.get("units_now", 0),
            units_then=of.get("units_then", 0),
        )


async def read(tx: Transaction) -> Tally:
    """The last count of a large catalogue, where one is kept; else a new one."""
    kept = await _kept(tx) if await is_large(tx) else None
    return await count(tx) if kept is None else kept


async def count(tx: Transaction) -> Tally:
    """Count everything now."""
    cursor = await tx.execute(_COUNT, {"unverified": list(UNVERIFIED_STATES)})
    counted_at, channels = await only_row(cursor)
    totals = await home_views.totals(tx)
    return Tally(counted_at, channels, totals, await home_views.exposure(tx, limit=EXPOSED_KEPT))


async def is_large(tx: Transaction) -> bool:
    """Whether counting would let people wait."""
    cursor = await tx.execute(
        """
        select (select count(*) from (select from listings limit %(more)s) as few) = %(more)s
            or (select count(*) from (select from skus limit %(more)s) as few) = %(more)s
        """,
        {"more": ALWAYS_COUNTED + 1},
    )
    (is_so,) = await only_row(cursor)
    return bool(is_so)


async def is_due(tx: Transaction) -> bool:
    """Whether the catalogue is large, and its last count is no longer good enough."""
    if not await is_large(tx):
        return False
    kept = await _kept(tx)
    return kept is None or kept.counted_at + timedelta(seconds=kept.kept_s) <= await now(tx)


async def try_lock(tx: Transaction) -> bool:
    """Be the only one who counts, until this transaction ends."""
    return await try_only(tx, _KEY)


async def store(tx: Transaction, tally: Tally) -> None:
    """Keep this count."""
    exposure = tally.exposure._asdict() | {"worst": [list(one) for one in tally.exposure.worst]}
    figures = {"channels": tally.channels, "totals": tally.totals, "exposure": exposure}
    await tx.execute(
        """
        insert into tallies (counted_at, figures) values (%(counted_at)s, %(figures)s)
        on conflict (is_only) do update set counted_at = excluded.counted_at, figures = excluded.figures
        """,
        {"counted_at": tally.counted_at, "figures": Jsonb(figures)},
    )


async def _kept(tx: Transaction) -> Tally | None:
    row = await (await tx.execute("select counted_at, figures from tallies")).fetchone()
    if row is None:
        return None
    counted_at, figures = row
    of = figures["exposure"]
    exposure = Exposure(**of | {"worst": [Exposed(*one) for one in of["worst"]]})
    return Tally(counted_at, figures["channels"], figures["totals"], exposure)
