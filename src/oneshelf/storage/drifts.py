"""Rows of `drifts` and `observations`: readings that taught us something, and what nothing in flight explains."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from psycopg.rows import class_row

from oneshelf.domain.drift import Cause, Resolution
from oneshelf.domain.identity import Channel, ChannelSku
from oneshelf.domain.reading import DriftFound
from oneshelf.storage.database import Transaction
from oneshelf.storage.listings import ListingKey


class DriftRow(NamedTuple):
    """A drift as a person reads it."""

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
                observed_units = excluded.observed_units, resolution = ''
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

    A fall whose units are no longer in suspense, and which nobody decided upon, was explained by an order.
    """
    ordered = sorted(keys)
    cursor = await tx.execute(
        """
        update drifts d set resolved_at = %(at)s,
            resolution = case when d.resolution <> '' then d.resolution
                              when d.cause = %(unknown)s then %(explained)s else %(vanished)s end,
            cause = case when d.resolution = '' and d.cause = %(unknown)s then %(unseen_order)s else d.cause end
        from unnest(%(channels)s::text[], %(channel_skus)s::text[]) as seen (channel, channel_sku)
        join listings l on l.channel = seen.channel and l.channel_sku = seen.channel_sku
        where d.channel = seen.channel and d.channel_sku = seen.channel_sku and d.resolved_at is null
          and l.verified_units = l.desired_units and l.suspense_units = 0
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
    return cursor.rowcount


async def claim_undecided(tx: Transaction, *, limit: int) -> list[DriftRow]:
    """Open drifts of live channels that nobody has decided upon, held until this transaction ends."""
    cursor = tx.cursor(row_factory=class_row(DriftRow))
    await cursor.execute(
        """
        select d.* from drifts d join channels c on c.channel = d.channel
        where d.resolved_at is null and d.resolution = '' and c.mode = 'live'
        order by d.opened_at limit %(limit)s for update of d skip locked
        """,
        {"limit": limit},
    )
    return await cursor.fetchall()


async def decide(tx: Transaction, decisions: Mapping[UUID, Cause], resolution: Resolution) -> None:
    """Say how these drifts are being resolved, and what caused them. They close when their listing is verified."""
    await tx.execute(
        """
        update drifts d set resolution = %(resolution)s, cause = new.cause
        from unnest(%(ids)s::uuid[], %(causes)s::text[]) as new (drift_id, cause)
        where d.drift_id = new.drift_id
        """,
        {
            "resolution": resolution.value,
            "ids": list(decisions),
            "causes": [cause.value for cause in decisions.values()],
        },
    )


async def newest(tx: Transaction, *, only_open: bool, limit: int = 500) -> list[DriftRow]:
    """Drifts for a person, open ones first, then the newest."""
    cursor = tx.cursor(row_factory=class_row(DriftRow))
    await cursor.execute(
        """
        select * from drifts where not %(only_open)s or resolved_at is null
        order by resolved_at is not null, opened_at desc limit %(limit)s
        """,
        {"only_open": only_open, "limit": limit},
    )
    return await cursor.fetchall()
