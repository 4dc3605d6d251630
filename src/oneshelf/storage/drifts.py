"""Rows of `drifts` and `observations`: readings that taught us something, and what nothing in flight explains."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

import msgspec
from psycopg.rows import class_row
from psycopg.types.json import Jsonb

from oneshelf.domain.attribution import Attribution, Evidence
from oneshelf.domain.drift import Cause, Resolution
from oneshelf.domain.identity import Channel, ChannelSku, Sku
from oneshelf.domain.reading import DriftFound
from oneshelf.storage.database import Transaction
from oneshelf.storage.listings import ListingKey

# Of `drifts d`.
COLUMNS = """
    d.drift_id, d.channel, d.channel_sku, d.sku, d.cause, d.expected_units, d.observed_units, d.opened_at,
    d.resolved_at, d.resolution, d.explained_by, d.heal_count, d.waiting_for, d.wait_until, d.booking_count,
    d.adopted_units,
    coalesce((select l.suspense_units from listings l
              where l.channel = d.channel and l.channel_sku = d.channel_sku), 0) as suspense_units,
    coalesce((select l.risen_units - l.suspense_units from listings l
              where l.channel = d.channel and l.channel_sku = d.channel_sku), 0) as stray_units
"""
# Orders are looked for that come this late: a payment may take three weeks, and longer is not remembered anyway.
EXPLAINED_LATE_DAYS = 35


class DriftRow(NamedTuple):
    """A drift as a person reads it. `waiting_for`: why the engine does nothing more by itself; empty: it goes on.

    `booking_count`: how often units were moved in the ledger for it. `suspense_units`: what its listing holds back now.
    `adopted_units`: what the ledger is taking or has taken of the listing for it; None: nothing.
    `stray_units`: by how many units the listing has strayed now, see `domain.straying`.
    """

    drift_id: UUID
    channel: Channel
    channel_sku: ChannelSku
    sku: str
    cause: str
    expected_units: int
    observed_units: int
    opened_at: datetime
    resolved_at: datetime | None
    resolution: str
    explained_by: str = ""
    heal_count: int = 0
    waiting_for: str = ""
    wait_until: datetime | None = None
    booking_count: int = 0
    adopted_units: int | None = None
    suspense_units: int = 0
    stray_units: int = 0

    @property
    def key(self) -> ListingKey:
        return (self.channel, self.channel_sku)

    @property
    def unexplained_units(self) -> int:
        """Units that are missing on sale and no order explains; below zero: too many.

        Of a write that seems lost nothing is held back: all that it lacks may have been moved after it was applied.
        """
        is_held_back = self.size < 0 and self.cause not in {Cause.LOST_WRITE.value, Cause.LATE_WRITE.value}
        return self.suspense_units if is_held_back else -self.size

    @property
    def size(self) -> int:
        """Units observed less expected."""
        return self.observed_units - self.expected_units

    @property
    def is_decided(self) -> bool:
        return self.resolved_at is not None or self.resolution != ""


class Decision(NamedTuple):
    """Why a drift is thought to be what it is."""

    attribution: Attribution
    evidence: Evidence


class OpenDrifts(NamedTuple):
    """Open drifts of one cause, how many of them wait for a person, and how old the oldest is."""

    cause: str
    drift_count: int
    waiting_count: int
    oldest_s: float


class Observation(NamedTuple):
    """A reading that was not simply what we believed. `source`: push, confirm or reconcile."""

    channel: Channel
    channel_sku: ChannelSku
    units: int
    believed: int | None
    source: str


async def observe(tx: Transaction, observations: Sequence[Observation], *, at: datetime) -> None:
    """Keep these readings."""
    if observations:
        await tx.execute(
            """
            insert into observations (channel, channel_sku, observed_at, units, believed, source)
            select channel, channel_sku, %(at)s, units, believed, source
            from unnest(%(channels)s::text[], %(channel_skus)s::text[], %(units)s::bigint[], %(believed)s::bigint[],
                        %(sources)s::text[]) as new (channel, channel_sku, units, believed, source)
            on conflict do nothing
            """,
            {
                "at": at,
                "channels": [observation.channel for observation in observations],
                "channel_skus": [observation.channel_sku for observation in observations],
                "units": [observation.units for observation in observations],
                "believed": [observation.believed for observation in observations],
                "sources": [observation.source for observation in observations],
            },
        )


async def open_all(tx: Transaction, found: Sequence[tuple[UUID, DriftFound]], *, at: datetime) -> None:
    """Open drifts. A listing that has an open one keeps it, with the newest figures."""
    if found:
        await tx.execute(
            """
            insert into drifts (drift_id, channel, channel_sku, sku, cause, expected_units, observed_units, opened_at)
            select drift_id, channel, channel_sku, sku, cause, expected_units, observed_units, %(at)s
            from unnest(%(ids)s::uuid[], %(channels)s::text[], %(channel_skus)s::text[], %(skus)s::text[],
                        %(causes)s::text[], %(expected)s::bigint[], %(observed)s::bigint[])
                as new (drift_id, channel, channel_sku, sku, cause, expected_units, observed_units)
            on conflict (channel, channel_sku) where resolved_at is null do update set
                cause = excluded.cause, expected_units = excluded.expected_units,
                observed_units = excluded.observed_units, resolution = '', waiting_for = '', attributed_at = null,
                wait_until = case when drifts.waiting_for = '' then drifts.wait_until end, booked_at = null,
                adopted_units = case when drifts.resolution = '' then drifts.adopted_units end
            """,
            {
                "at": at,
                "ids": [drift_id for drift_id, _ in found],
                "channels": [drift.listing.channel for _, drift in found],
                "channel_skus": [drift.listing.channel_sku for _, drift in found],
                "skus": [drift.listing.sku for _, drift in found],
                "causes": [drift.cause.value for _, drift in found],
                "expected": [drift.expected_units for _, drift in found],
                "observed": [drift.observed_units for _, drift in found],
            },
        )


async def close_verified(tx: Transaction, keys: Collection[ListingKey], *, at: datetime) -> int:
    """These listings were just verified: drifts of those that show the desired figure are over. Returns how many.

    So is one for which the ledger has moved its units: the channel was right, whatever is desired by now. What has
    strayed is nobody's then.
    A fall whose units are no longer in suspense, and which nobody decided upon, was explained by an order.
    """
    ordered = sorted(keys)
    cursor = await tx.execute(
        """
        with over as (
            update drifts d set resolved_at = %(at)s, waiting_for = '',
                resolution = case when d.resolution <> '' then d.resolution
                                  when d.cause = %(unknown)s then %(explained)s else %(vanished)s end,
                cause = case when d.resolution = '' and d.cause = %(unknown)s then %(unseen_order)s else d.cause end
            from unnest(%(channels)s::text[], %(channel_skus)s::text[]) as seen (channel, channel_sku)
            join listings l on l.channel = seen.channel and l.channel_sku = seen.channel_sku
            where d.channel = seen.channel and d.channel_sku = seen.channel_sku and d.resolved_at is null
              and l.suspense_units = 0 and (l.verified_units = l.desired_units or d.booked_at is not null)
            returning d.channel, d.channel_sku
        ), forgotten as (
            update listings l set risen_units = 0, strayed_at = null from over
            where l.channel = over.channel and l.channel_sku = over.channel_sku
              and (l.risen_units <> 0 or l.strayed_at is not null)
        )
        select count(*) from over
        """,
        {
            "at": at,
            "vanished": Resolution.VANISHED.value,
            "explained": Resolution.EXPLAINED.value,
            "unknown": Cause.UNKNOWN.value,
            "unseen_order": Cause.UNSEEN_ORDER.value,
            "channels": [channel for channel, _ in ordered],
            "channel_skus": [channel_sku for _, channel_sku in ordered],
        },
    )
    row = await cursor.fetchone()
    return int(row[0]) if row else 0


async def claim_undecided(tx: Transaction, *, limit: int) -> list[DriftRow]:
    """Open drifts of live channels that wait for nobody's decision but ours, held until this transaction ends.

    And those that wait for a person to do something else, when it is time to see whether it is done.
    """
    cursor = tx.cursor(row_factory=class_row(DriftRow))
    await cursor.execute(
        f"""
        select {COLUMNS} from drifts d join channels c on c.channel = d.channel
        where d.resolved_at is null and d.resolution = '' and c.mode = 'live'
          and case when d.wait_until is null then d.waiting_for = '' else d.wait_until <= db_now() end
        order by d.opened_at limit %(limit)s for update of d skip locked
        """,
        {"limit": limit},
    )
    return await cursor.fetchall()


async def claim_explainable(tx: Transaction, *, limit: int) -> list[DriftRow]:
    """Drifts that were decided or are over, with orders from before them that were posted since we last looked.

    Falls, and what was taken for an edit.
    """
    cursor = tx.cursor(row_factory=class_row(DriftRow))
    await cursor.execute(
        f"""
        select {COLUMNS} from drifts d
        where d.opened_at > db_now() - make_interval(days => %(days)s)
          and (d.observed_units < d.expected_units or d.cause = %(edit)s)
          and d.explained_by = '' and d.cause = any(%(causes)s::text[]) and d.booking_count = 0
          and (d.resolved_at is not null or d.resolution <> '')
          and exists (
              select from order_lines l join orders o on o.channel = l.channel and o.order_id = l.order_id
              where l.sku = any(d.sku || array(select b.component from bundle_components b where b.sku = d.sku))
                and l.channel = d.channel and l.channel_sku = d.channel_sku
                and l.placed_at <= d.opened_at + interval '5 seconds'
                and o.posted_at > greatest(d.opened_at, d.attributed_at))
        order by d.opened_at limit %(limit)s for update of d skip locked
        """,
        {
            "limit": limit,
            "days": EXPLAINED_LATE_DAYS,
            "edit": Cause.FOREIGN_EDIT.value,
            "causes": [
                cause.value
                for cause in (Cause.UNKNOWN, Cause.FOREIGN_EDIT, Cause.SILENT_STATE_CHANGE, Cause.UNSEEN_ORDER)
            ],
        },
    )
    return await cursor.fetchall()


async def decide(tx: Transaction, decisions: Mapping[UUID, Decision], resolution: Resolution) -> None:
    """Say how these drifts are being resolved, and what caused them. They close when their listing is verified."""
    await attribute(tx, decisions)
    await tx.execute(
        """
        update drifts set resolution = %(resolution)s, waiting_for = '', wait_until = null,
            heal_count = heal_count + (%(resolution)s = %(republished)s)::int, booked_at = null
        where drift_id = any(%(ids)s::uuid[])
        """,
        {
            "ids": list(decisions),
            "resolution": resolution.value,
            "republished": Resolution.REPUBLISHED.value,
        },
    )


async def attribute(tx: Transaction, decisions: Mapping[UUID, Decision]) -> None:
    """Keep what caused these drifts, and the evidence."""
    await tx.execute(
        """
        update drifts d set cause = new.cause, explained_by = new.explained_by, attributed_at = db_now(),
            evidence = new.evidence
        from unnest(%(ids)s::uuid[], %(causes)s::text[], %(orders)s::text[], %(evidence)s::jsonb[])
            as new (drift_id, cause, explained_by, evidence)
        where d.drift_id = new.drift_id
        """,
        {
            "ids": list(decisions),
            "causes": [decision.attribution.cause.value for decision in decisions.values()],
            "orders": [", ".join(decision.attribution.explained_by) for decision in decisions.values()],
            "evidence": [Jsonb(as_told(decision)) for decision in decisions.values()],
        },
    )


async def wait_for_a_person(tx: Transaction, reasons: Mapping[UUID, str], *, again_s: int | None = None) -> None:
    """Leave these open drifts to a person: drift -> why. `again_s`: they are claimed again after so many seconds."""
    await tx.execute(
        """
        update drifts d set waiting_for = new.reason, wait_until = db_now() + make_interval(secs => %(again_s)s)
        from unnest(%(ids)s::uuid[], %(reasons)s::text[]) as new (drift_id, reason) where d.drift_id = new.drift_id
        """,
        {"ids": list(reasons), "reasons": list(reasons.values()), "again_s": again_s},
    )


async def put_off(tx: Transaction, drift_id: UUID, *, wait_s: int) -> None:
    """Decide about this drift after so many seconds, anew."""
    await tx.execute(
        """
        update drifts set wait_until = db_now() + make_interval(secs => %(wait_s)s), waiting_for = '', heal_count = 0
        where drift_id = %(drift_id)s
        """,
        {"drift_id": drift_id, "wait_s": wait_s},
    )


async def close(tx: Transaction, drift_id: UUID) -> None:
    """It is over without a write: nobody writes its channel."""
    await tx.execute("update drifts set resolved_at = db_now() where drift_id = %(drift_id)s", {"drift_id": drift_id})


async def find(tx: Transaction, drift_id: UUID, *, locked: bool = False) -> DriftRow | None:
    """One drift; `locked`: held until this transaction ends."""
    cursor = tx.cursor(row_factory=class_row(DriftRow))
    await cursor.execute(
        f"select {COLUMNS} from drifts d where drift_id = %(drift_id)s {'for update of d' if locked else ''}",
        {"drift_id": drift_id},
    )
    return await cursor.fetchone()


async def evidence_kept(tx: Transaction, drift_id: UUID) -> dict[str, Any]:
    """What was looked at when the drift was last attributed, see `as_told`; empty: nobody decided yet."""
    cursor = await tx.execute("select evidence from drifts where drift_id = %(drift_id)s", {"drift_id": drift_id})
    row = await cursor.fetchone()
    return dict(row[0]) if row else {}


def unchanged(drift: DriftRow) -> Attribution:
    """The cause stays as it is: what has come since does not explain it."""
    return Attribution(cause=Cause(drift.cause), why="orders came since, and do not add up to it")


def as_shown(drift: DriftRow, *, now: datetime) -> dict[str, Any]:
    """A drift with its size (observed less expected) and its age in s; that of a resolved one has stopped."""
    return {
        **drift._asdict(),
        "size": drift.size,
        "age_s": ((drift.resolved_at or now) - drift.opened_at).total_seconds(),
    }


def as_told(decision: Decision) -> dict[str, Any]:
    """A decision as it is stored and shown: `why` in words, then the evidence."""
    return {"why": decision.attribution.why, **msgspec.to_builtins(decision.evidence)}


async def newest(tx: Transaction, *, only_open: bool, limit: int = 500) -> list[DriftRow]:
    """Drifts for a person, open ones first, then the newest."""
    cursor = tx.cursor(row_factory=class_row(DriftRow))
    await cursor.execute(
        f"""
        select {COLUMNS} from drifts d where not %(only_open)s or resolved_at is null
        order by resolved_at is not null, opened_at desc limit %(limit)s
        """,
        {"only_open": only_open, "limit": limit},
    )
    return await cursor.fetchall()


async def open_by_cause(tx: Transaction) -> list[OpenDrifts]:
    """What is open now, by cause. A channel that is not live leaves all its drifts to a person."""
    cursor = tx.cursor(row_factory=class_row(OpenDrifts))
    await cursor.execute(
        """
        select d.cause, count(*) as drift_count,
               count(*) filter (where d.waiting_for <> '' or c.mode <> 'live') as waiting_count,
               extract(epoch from db_now() - min(d.opened_at))::float8 as oldest_s
        from drifts d join channels c on c.channel = d.channel where d.resolved_at is null
        group by d.cause order by d.cause
        """
    )
    return await cursor.fetchall()


async def open_of(tx: Transaction, sku: Sku) -> list[DriftRow]:
    """The open drifts of the listings of a SKU, oldest first."""
    cursor = tx.cursor(row_factory=class_row(DriftRow))
    await cursor.execute(
        f"select {COLUMNS} from drifts d where resolved_at is null and sku = %(sku)s order by opened_at", {"sku": sku}
    )
    return await cursor.fetchall()
