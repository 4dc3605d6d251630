"""Rows of `probes`: what was tried at channels; and of `channels`, what each was shown to lack."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from psycopg.rows import class_row
from psycopg.types.json import Jsonb

from oneshelf.domain.identity import Channel, ChannelSku
from oneshelf.domain.listing import Listing, Phase
from oneshelf.domain.probing import Ability, Check, Verdict
from oneshelf.storage.database import Transaction
from oneshelf.storage.listings import ListingKey
from oneshelf.storage.publishing import LISTING_COLUMNS, listing_from_row


class Target(NamedTuple):
    """A listing that is to be tried. `is_guarded`: of a SKU of which no unit may be sold twice."""

    listing: Listing
    is_guarded: bool
    is_leased: bool
    channel_mode: str

    @property
    def is_at_rest(self) -> bool:
        """Whether nobody is at it and no write of it is under way."""
        return not self.is_leased and self.listing.operation is None and self.listing.phase is not Phase.SENDING


class ProbeRow(NamedTuple):
    """A probe as it was kept, its checks as they were made."""

    probe_id: UUID
    channel: Channel
    channel_sku: ChannelSku
    has_written: bool
    checks: list[dict[str, Any]]
    probed_at: datetime


async def find(tx: Transaction, key: ListingKey) -> Target | None:
    """The listing, locked until this transaction ends; None where the engine does not know it."""
    cursor = await tx.execute(
        f"""
        select {LISTING_COLUMNS}, exists (
                   select from skus s left join bundle_components b on b.sku = l.sku
                   where s.sku = coalesce(b.component, l.sku) and s.is_guarded),
               coalesce(l.lease_until > db_now(), false), c.mode
        from listings l join channels c on c.channel = l.channel
        where l.channel = %(channel)s and l.channel_sku = %(channel_sku)s for no key update of l
        """,
        {"channel": key[0], "channel_sku": key[1]},
    )
    row = await cursor.fetchone()
    return Target(listing_from_row(row), *row[-3:]) if row else None


async def lease(tx: Transaction, key: ListingKey, *, lease: UUID, lease_s: float) -> None:
    """Keep the engine off this (locked) listing for a while."""
    await tx.execute(
        """
        update listings set lease = %(lease)s, lease_until = db_now() + make_interval(secs => %(lease_s)s)
        where channel = %(channel)s and channel_sku = %(channel_sku)s
        """,
        {"channel": key[0], "channel_sku": key[1], "lease": lease, "lease_s": lease_s},
    )


async def record(
    tx: Transaction,
    probe_id: UUID,
    key: tuple[Channel, ChannelSku | None],
    checks: Sequence[Check],
    shown: Mapping[Ability, Check],
    *,
    has_written: bool,
) -> None:
    """Keep what was seen. From now on the channel lacks what was shown to fail, and has again what was shown to hold.

    What has failed before keeps the instant since which it is known.
    """
    channel, channel_sku = key
    await tx.execute(
        """
        insert into probes (probe_id, channel, channel_sku, has_written, checks)
        values (%(probe_id)s, %(channel)s, %(channel_sku)s, %(has_written)s, %(checks)s)
        """,
        {
            "probe_id": probe_id,
            "channel": channel,
            "channel_sku": channel_sku or "",
            "has_written": has_written,
            "checks": Jsonb([as_told(check) for check in checks]),
        },
    )
    lost = {ability: check for ability, check in shown.items() if check.verdict is Verdict.FAILS}
    await tx.execute(
        """
        update channels set fallbacks = fallbacks - %(shown)s::text[] || coalesce((
            select jsonb_object_agg(new.ability, jsonb_build_object('reason', new.reason, 'since',
                       coalesce(fallbacks -> new.ability -> 'since', to_jsonb(db_now()))))
            from unnest(%(lost)s::text[], %(reasons)s::text[]) as new (ability, reason)), '{}')
        where channel = %(channel)s and (%(lost)s::text[] <> '{}' or fallbacks ?| %(shown)s::text[])
        """,
        {
            "channel": channel,
            "shown": [ability.value for ability in shown],
            "lost": [ability.value for ability in lost],
            "reasons": [check.seen for check in lost.values()],
        },
    )


def as_told(check: Check) -> dict[str, Any]:
    """A check as it is kept and shown."""
    return {
        "what": check.what,
        "tried": check.tried,
        "seen": check.seen,
        "verdict": check.verdict.value,
        "took_ms": round(check.took_ms, 1),
        "ability": check.ability.value if check.ability else None,
    }


async def newest(tx: Transaction, *, has_written: bool) -> dict[Channel, ProbeRow]:
    """The newest probe of each channel; `has_written`: of those that tried to write."""
    cursor = tx.cursor(row_factory=class_row(ProbeRow))
    await cursor.execute(
        """
        select distinct on (channel) probe_id, channel, channel_sku, has_written, checks, probed_at from probes
        where has_written or not %(has_written)s order by channel, probed_at desc
        """,
        {"has_written": has_written},
    )
    return {row.channel: row for row in await cursor.fetchall()}
