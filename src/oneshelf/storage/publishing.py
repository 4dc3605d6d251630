"""Rows of `listings`: how far each listing's figure has got with its channel."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from oneshelf.domain.identity import Channel, ChannelSku
from oneshelf.domain.listing import Doubt, Listing, Operation, Phase, Suspicion
from oneshelf.storage import arrays
from oneshelf.storage.database import Transaction
from oneshelf.storage.listings import ListingKey

LISTING_COLUMNS = """
    l.channel, l.channel_sku, l.sku, l.phase, l.parked_reason, l.desired_units, l.desired_version,
    l.sent_units, l.sent_version, l.sent_at, l.accepted_version, l.accepted_at,
    l.verified_units, l.verified_version, l.verified_at, l.net_units, l.base_units, l.base_net, l.suspense_units,
    l.op_id, l.op_units, l.op_expected, l.op_net, l.op_tries,
    l.suspect_units, l.suspect_belief, l.suspect_net, l.suspect_at, l.may_anchor, l.look_at, l.next_at,
    l.op_rights, l.op_is_strict, l.turnover_units, l.suspect_turnover,
    l.turnover_at, l.feed_id, l.risen_units, l.strayed_at, l.doubt_net, l.doubt_turnover
"""


def listing_from_row(row: Sequence[Any]) -> Listing:
    """A listing from the columns of `LISTING_COLUMNS`, in that order."""
    operation = None
    if row[19] is not None:
        operation = Operation(
            op_id=row[19], units=row[20], expected=row[21], net=row[22], rights=row[31], is_strict=row[32]
        )
    suspicion = None
    if row[27] is not None:
        suspicion = Suspicion(units=row[24], belief=row[25], net=row[26], turnover=row[34], seen_at=row[27])
    return Listing(
        channel=row[0],
        channel_sku=row[1],
        sku=row[2],
        phase=Phase(row[3]),
        parked_reason=row[4],
        desired_units=row[5],
        desired_version=row[6],
        sent_units=row[7],
        sent_version=row[8],
        sent_at=row[9],
        accepted_version=row[10],
        accepted_at=row[11],
        verified_units=row[12],
        verified_version=row[13],
        verified_at=row[14],
        net_units=row[15],
        turnover_units=row[33],
        turnover_at=row[35],
        base_units=row[16],
        base_net=row[17],
        suspense_units=row[18],
        operation=operation,
        op_tries=row[23],
        suspicion=suspicion,
        may_anchor=row[28],
        look_at=row[29],
        next_at=row[30],
        feed_id=row[36],
        risen_units=row[37],
        strayed_at=row[38],
        doubt=None if row[39] is None else Doubt(net=row[39], turnover=row[40]),
    )


async def claim_to_push(
    tx: Transaction, channel: Channel, *, phases: Collection[Phase], limit: int, lease: UUID, lease_s: float
) -> list[Listing]:
    """Listings whose desired figure has not been sent, cuts first, the scarcest first. The lease keeps others off.

    A listing whose writer died in the middle of sending is among them, in phase `sending`; one that a feed carries is
    not. The index
    `listings_to_push` has them in this order, so nothing is sorted, and what waits behind the batch is not read.
    """
    cursor = await tx.execute(
        f"""
        with due as (
            select l.channel, l.channel_sku from listings l
            where l.channel = %(channel)s and l.sku is not null
              and (l.desired_version > l.sent_version or (l.phase = 'sending' and l.feed_id is null))
              and (l.phase = any(%(phases)s::text[]) or (l.phase = 'sending' and l.feed_id is null))
              and l.base_units is not null and l.next_at <= db_now()
              and (l.raise_after is null or l.raise_after <= db_now() or not l.is_raise)
              and (l.only_zero_until is null or l.only_zero_until <= db_now() or l.desired_units = 0)
              and (l.lease_until is null or l.lease_until < db_now())
              and (l.signed_off_at is not null
                   or (select c.signs_off = 'channel' from channels c where c.channel = %(channel)s))
              and (select c.mode = 'live' and (c.paused_until is null or c.paused_until <= db_now())
                   from channels c where c.channel = %(channel)s)
            order by l.is_raise, l.desired_units, l.channel_sku
            limit %(limit)s
            for update of l skip locked
        )
        update listings l set lease = %(lease)s, lease_until = db_now() + make_interval(secs => %(lease_s)s)
        from due where l.channel = due.channel and l.channel_sku = due.channel_sku
        returning {LISTING_COLUMNS}
        """,
        {
            "channel": channel,
            "phases": [phase.value for phase in phases],
            "limit": limit,
            "lease": lease,
            "lease_s": lease_s,
        },
    )
    return [listing_from_row(row) async for row in cursor]


async def claim_to_look(tx: Transaction, channel: Channel, *, limit: int, lease: UUID, lease_s: float) -> list[Listing]:
    """Listings whose figure at the channel is due to be read."""
    cursor = await tx.execute(
        f"""
        with due as (
            select l.channel, l.channel_sku from listings l join channels c on c.channel = l.channel
            where l.channel = %(channel)s and l.look_at <= db_now() and l.sku is not null and l.phase <> 'sending'
              and (l.lease_until is null or l.lease_until < db_now())
              and (c.paused_until is null or c.paused_until <= db_now())
            order by l.look_at limit %(limit)s
            for update of l skip locked
        )
        update listings l set lease = %(lease)s, lease_until = db_now() + make_interval(secs => %(lease_s)s)
        from due where l.channel = due.channel and l.channel_sku = due.channel_sku
        returning {LISTING_COLUMNS}
        """,
        {"channel": channel, "limit": limit, "lease": lease, "lease_s": lease_s},
    )
    return [listing_from_row(row) async for row in cursor]


async def claim_suspicious(tx: Transaction, channel: Channel, *, seen_before: datetime) -> list[Listing]:
    """Listings with a suspicious reading from before this instant, held until this transaction ends."""
    cursor = await tx.execute(
        f"""
        select {LISTING_COLUMNS} from listings l
        where l.channel = %(channel)s and l.suspect_at < %(seen_before)s and l.phase <> 'sending'
          and (l.lease_until is null or l.lease_until < db_now())
        order by l.channel, l.channel_sku limit 500 for update of l skip locked
        """,
        {"channel": channel, "seen_before": seen_before},
    )
    return [listing_from_row(row) async for row in cursor]


async def lock(tx: Transaction, keys: Collection[ListingKey], *, lease: UUID | None) -> list[Listing]:
    """These linked listings, locked in sorted order; with a lease, only those that still carry it."""
    ordered = sorted(keys)
    cursor = await tx.execute(
        f"""
        select {LISTING_COLUMNS} from listings l
        join unnest(%(channels)s::text[], %(channel_skus)s::text[]) as wanted (channel, channel_sku)
          on l.channel = wanted.channel and l.channel_sku = wanted.channel_sku
        where l.sku is not null and (%(lease)s::uuid is null or l.lease = %(lease)s::uuid)
        order by l.channel, l.channel_sku
        for update of l
        """,
        {
            "channels": [channel for channel, _ in ordered],
            "channel_skus": [channel_sku for _, channel_sku in ordered],
            "lease": lease,
        },
    )
    return [listing_from_row(row) async for row in cursor]


_SAVED: Mapping[str, str] = {
    "phase": "text",
    "parked_reason": "text",
    "sent_units": "bigint",
    "sent_version": "bigint",
    "sent_at": "timestamptz",
    "accepted_version": "bigint",
    "accepted_at": "timestamptz",
    "verified_units": "bigint",
    "verified_version": "bigint",
    "verified_at": "timestamptz",
    "base_units": "bigint",
    "base_net": "bigint",
    "suspense_units": "bigint",
    "risen_units": "bigint",
    "strayed_at": "timestamptz",
    "op_id": "uuid",
    "op_units": "bigint",
    "op_expected": "bigint",
    "op_net": "bigint",
    "op_rights": "bigint",
    "op_is_strict": "boolean",
    "op_tries": "int",
    "suspect_units": "bigint",
    "suspect_belief": "bigint",
    "suspect_net": "bigint",
    "suspect_turnover": "bigint",
    "suspect_at": "timestamptz",
    "may_anchor": "boolean",
    "doubt_net": "bigint",
    "doubt_turnover": "bigint",
    "look_at": "timestamptz",
    "next_at": "timestamptz",
    "feed_id": "uuid",
}
# Where a listing of a guarded SKU may sell less than before, the others may have what is free now; and one that was
# read for the first time, or of which a write or a doubt is settled, can be given another figure.
_SAVE = f"""
    with saved as (
        update listings l set
            {", ".join(f"{column} = new.{column}" for column in _SAVED)},
            suspense_version = l.suspense_version + (l.suspense_units <> new.suspense_units)::int,
            lease = case when %(keeps_lease)s then l.lease end,
            lease_until = case when %(keeps_lease)s then l.lease_until end
        from unnest(%(channel)s::text[], %(channel_sku)s::text[],
                    {", ".join(f"%({column})s::{kind}[]" for column, kind in _SAVED.items())})
            as new (channel, channel_sku, {", ".join(_SAVED)})
        join listings old on old.channel = new.channel and old.channel_sku = new.channel_sku
        where l.channel = new.channel and l.channel_sku = new.channel_sku
        returning l.sku, old.rights_units as before, l.rights_units as after,
                  (old.phase in ('sending', 'unknown', 'parked') or old.suspect_at is not null)
                  and l.phase in ('idle', 'accepted') and l.suspect_at is null as is_settled
    )
    insert into touched (sku)
    select distinct saved.sku from saved
    cross join lateral (
        select saved.sku as counted union all select b.component from bundle_components b where b.sku = saved.sku
    ) as part
    join skus s on s.sku = part.counted and s.is_guarded
    where after < before or before is null and after is not null or is_settled
"""


async def save(tx: Transaction, listings: Iterable[Listing], *, keeps_lease: bool = False) -> None:
    """Store listings that are locked, and when their present figure was sent, accepted and verified."""
    ordered = sorted(listings, key=lambda listing: listing.key)
    if not ordered:
        return
    rows = [_row(listing) for listing in ordered]
    await tx.execute(_SAVE, {**{name: [row[name] for row in rows] for name in rows[0]}, "keeps_lease": keeps_lease})
    await tx.execute(
        """
        update publications p set
            sent_at = coalesce(p.sent_at, case when l.sent_version = p.version then l.sent_at end),
            accepted_at = coalesce(p.accepted_at, case when l.accepted_version = p.version then l.accepted_at end),
            verified_at = coalesce(p.verified_at, case when l.verified_version = p.version then l.verified_at end)
        from listings l
        join unnest(%(channel)s::text[], %(channel_sku)s::text[]) as new (channel, channel_sku)
          on l.channel = new.channel and l.channel_sku = new.channel_sku
        where p.channel = l.channel and p.channel_sku = l.channel_sku and p.sku = l.sku
          and p.version in (l.sent_version, l.accepted_version, l.verified_version)
          and p.verified_at is null
        """,
        {name: [row[name] for row in rows] for name in ("channel", "channel_sku")},
    )
    await _keep_lost(tx, [listing for listing in ordered if listing.phase is Phase.UNKNOWN])


async def _keep_lost(tx: Transaction, listings: Sequence[Listing]) -> None:
    """Remember the writes without an answer: they may be applied when nobody waits for them any more."""
    if not listings:
        return
    await tx.execute(
        """
        insert into lost_writes (op_id, channel, channel_sku, units, sent_at)
        select l.op_id, l.channel, l.channel_sku, l.op_units, l.sent_at
        from listings l
        join unnest(%(channels)s::text[], %(channel_skus)s::text[]) as lost (channel, channel_sku)
          on l.channel = lost.channel and l.channel_sku = lost.channel_sku
        where l.op_id is not null and l.sent_at is not null
        order by l.channel, l.channel_sku
        on conflict do nothing
        """,
        {
            "channels": [listing.channel for listing in listings],
            "channel_skus": [listing.channel_sku for listing in listings],
        },
    )


def _row(listing: Listing) -> dict[str, object]:
    operation, suspicion, doubt = listing.operation, listing.suspicion, listing.doubt
    nested: dict[str, object] = {
        "op_id": operation and operation.op_id,
        "op_units": operation and operation.units,
        "op_expected": operation and operation.expected,
        "op_net": operation and operation.net,
        "op_rights": operation and operation.rights,
        "op_is_strict": operation is not None and operation.is_strict,
        "suspect_units": suspicion and suspicion.units,
        "suspect_belief": suspicion and suspicion.belief,
        "suspect_net": suspicion and suspicion.net,
        "suspect_turnover": suspicion and suspicion.turnover,
        "suspect_at": suspicion and suspicion.seen_at,
        "doubt_net": doubt and doubt.net,
        "doubt_turnover": doubt and doubt.turnover,
    }
    plain = {name: getattr(listing, name) for name in _SAVED if name not in nested}
    return {
        "channel": listing.channel,
        "channel_sku": listing.channel_sku,
        **plain,
        **nested,
        "phase": listing.phase.value,
    }


async def release(tx: Transaction, channel: Channel, *, lease: UUID, retry_after_s: float) -> None:
    """Give back every listing held under this lease, untouched, to be taken again after a while."""
    await tx.execute(
        """
        update listings set lease = null, lease_until = null,
            next_at = greatest(next_at, db_now() + make_interval(secs => %(after_s)s)),
            look_at = case when look_at is not null
                           then greatest(look_at, db_now() + make_interval(secs => %(after_s)s)) end
        where channel = %(channel)s and lease = %(lease)s
        """,
        {"channel": channel, "lease": lease, "after_s": retry_after_s},
    )


# Of a listing and the units that a snapshot shows of it.
_DIFFERS = """
    (l.sku is not null and l.phase <> 'sending'
     and (l.look_at is null or l.suspense_units = 0 and l.look_at > db_now())
     and seen.units is distinct from l.base_units - (l.net_units - l.base_net))
"""
_IS_PROVED = """
    (l.phase = 'idle' and l.verified_version = l.desired_version and l.verified_units = seen.units
     and l.verified_units = l.base_units - (l.net_units - l.base_net)
     and l.verified_at < %(asked_at)s and l.sent_at < %(asked_at)s)
"""


async def compare(tx: Transaction, channel: Channel, shown: Mapping[ChannelSku, int], *, asked_at: datetime) -> None:
    """Compare a snapshot `listing -> units` with what we believe: what differs is to be looked at, listing by listing.

    `asked_at`: just before the channel was asked. A listing that shows its desired, verified figure, and that nothing
    was sent to since, is verified again. The second look at units in suspense is not brought forward.
    """
    ordered = sorted(shown.items())
    await tx.execute(
        f"""
        with seen as materialized (
            select l.channel, l.channel_sku,
                   {_DIFFERS} as is_different,
                   {_IS_PROVED} as is_proved
            from unnest(%(channel_skus)s::text[], %(units)s::bigint[]) as seen (channel_sku, units)
            join listings l on l.channel = %(channel)s and l.channel_sku = seen.channel_sku
            where {_DIFFERS} or {_IS_PROVED}
            order by l.channel, l.channel_sku for update of l skip locked
        )
        update listings l set
            look_at = case when seen.is_different then db_now() else l.look_at end,
            verified_at = case when seen.is_proved then %(asked_at)s else l.verified_at end
        from seen where l.channel = seen.channel and l.channel_sku = seen.channel_sku
        """,
        {
            "channel": channel,
            "channel_skus": arrays.texts([channel_sku for channel_sku, _ in ordered]),
            "units": arrays.numbers(units for _, units in ordered),
            "asked_at": asked_at,
        },
    )


async def look_at_unseen(tx: Transaction, channel: Channel, *, before: datetime) -> int:
    """Have those listings read that were last proved before the present pass began, and that nobody looks at anyway.

    Returns how many.
    """
    cursor = await tx.execute(
        """
        update listings l set look_at = db_now()
        from (
            select channel, channel_sku from listings
            where channel = %(channel)s and sku is not null and phase = 'idle' and note = '' and look_at is null
              and verified_at < %(before)s
            order by channel, channel_sku for update skip locked
        ) as unseen
        where l.channel = unseen.channel and l.channel_sku = unseen.channel_sku
        """,
        {"channel": channel, "before": before},
    )
    return cursor.rowcount
