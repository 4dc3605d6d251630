"""What a sign-off needs to see of `listings`, and who signed off."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection
from typing import Any, NamedTuple

from oneshelf.domain.go_live import Cause, Facts, range_of
from oneshelf.domain.identity import Channel, ChannelSku
from oneshelf.storage import breakers, catalog, listings
from oneshelf.storage.database import Transaction, only_row

FOREIGN_EDIT_DAYS = 7
# So many are read at once: whoever works them out meanwhile keeps neither the database nor the engine waiting.
LISTINGS_READ = 1_000
_STATES = ("on_hand", "available", "committed", "reserved", "damaged", "quality_control", "safety_stock")

_AS_THEY_STAND = """
    select l.channel, l.channel_sku, l.merchant_sku, l.title, l.sku, l.pack_units, l.note,
           case when l.phase = 'parked' then l.parked_reason end,
           l.merchant_sku <> '' and exists (
               select from listings twin where twin.channel = l.channel and twin.merchant_sku = l.merchant_sku
                 and twin.channel_sku <> l.channel_sku),
           coalesce(l.base_units - (l.net_units - l.base_net), l.suspect_units), l.base_units is not null,
           l.desired_units, l.desired_version,
           (c.signs_off = 'channel' and c.mode <> 'watch') or l.signed_off_at is not null, l.signed_off_by,
           (select count(*) from drifts d
            where d.channel = l.channel and d.channel_sku = l.channel_sku and d.cause in ('foreign edit', 'unknown')
              and d.opened_at > db_now() - make_interval(days => %(days)s)),
           b.available + b.committed + b.reserved + b.damaged + b.quality_control + b.safety_stock,
           b.available, b.committed, b.reserved, b.damaged, b.quality_control, b.safety_stock,
           -- Read whole it would be most of the work, for three of its fields.
           p.derivation -> 'components', p.derivation -> 'in_suspense', p.derivation -> 'steps'
    from (
        select * from listings
        where channel = %(channel)s
          and (%(least)s::bigint is null or fright > %(least)s and fright <= %(most)s)
          and (%(after_fright)s::bigint is null or (fright, channel_sku) > (%(after_fright)s, %(after_sku)s))
        order by fright, channel_sku limit %(limit)s
    ) as l
    join channels c on c.channel = l.channel
    left join balances b on b.sku = l.sku and b.location = c.location
    left join lateral (
        select derivation from publications p
        where p.channel = l.channel and p.channel_sku = l.channel_sku and p.sku = l.sku
        order by p.version desc limit 1
    ) as p on true
    order by l.fright, l.channel_sku
"""


class PlanPlace(NamedTuple):
    """Where a listing stands in the plan of its channel: as `go_live.fright_of` says, then by its name."""

    fright: int
    channel_sku: ChannelSku


async def facts(
    tx: Transaction,
    channel: Channel,
    *,
    cause: Cause | None = None,
    after: PlanPlace | None = None,
    limit: int | None = None,
) -> AsyncIterator[Facts]:
    """Listings of a channel as they stand, in the order of its plan: what it shows, and what we would have it show.

    `cause`: those of its rank, of which twins and unlinked listings are one.
    """
    least, most = (None, None) if cause is None else range_of(cause)
    cursor = tx.cursor(name="listings_as_they_stand")
    cursor.itersize = LISTINGS_READ
    # All of them are wanted: not the plan that has the first soonest.
    await tx.execute("set local cursor_tuple_fraction = 1")
    await cursor.execute(
        _AS_THEY_STAND,
        {
            "channel": channel,
            "days": FOREIGN_EDIT_DAYS,
            "least": least,
            "most": most,
            "after_fright": after.fright if after else None,
            "after_sku": after.channel_sku if after else None,
            "limit": limit,
        },
    )
    async with cursor:
        async for row in cursor:
            yield _facts(row)


def _facts(row: tuple[Any, ...]) -> Facts:
    return Facts(
        channel=row[0],
        channel_sku=row[1],
        merchant_sku=row[2],
        title=row[3],
        sku=row[4],
        pack_units=row[5],
        note=row[6],
        parked_reason=row[7],
        has_twin=bool(row[8]),
        shown_units=row[9],
        is_anchored=row[10],
        desired_units=row[11],
        desired_version=row[12],
        is_signed_off=row[13],
        signed_off_by=row[14],
        foreign_edits=row[15],
        balance={state: units or 0 for state, units in zip(_STATES, row[16:23], strict=True)},
        derivation={"components": row[23], "in_suspense": row[24], "steps": row[25]},
    )


async def sign_off_all(tx: Transaction, channel: Channel, *, by: str) -> int:
    """Sign off a channel as a whole, now and for what is linked later, and go live. Returns how many listings.

    What waits now was seen: the breaker counts from here.
    """
    await tx.execute("update channels set signs_off = 'channel' where channel = %(channel)s", {"channel": channel})
    await catalog.set_mode(tx, channel, "live")
    signed = await _sign(tx, channel, None, by=by)
    await breakers.accept(tx, channel)
    return signed


async def sign_off(tx: Transaction, channel: Channel, channel_skus: Collection[ChannelSku], *, by: str) -> int:
    """Sign off these listings and go live; the others wait for theirs, also those that are linked later.

    Returns how many were not signed off before. Where the channel is signed off as a whole they are too, and its mode
    is kept.
    """
    cursor = await tx.execute(
        "select mode, signs_off from channels where channel = %(channel)s for no key update", {"channel": channel}
    )
    mode, signs_off = await only_row(cursor)
    if signs_off == "channel":
        if mode != "watch":
            return await _sign(tx, channel, channel_skus, by=by)
        await listings.withdraw_sign_offs(tx, channel)
    await tx.execute("update channels set signs_off = 'listing' where channel = %(channel)s", {"channel": channel})
    await catalog.set_mode(tx, channel, "live")
    return await _sign(tx, channel, channel_skus, by=by)


async def _sign(tx: Transaction, channel: Channel, channel_skus: Collection[ChannelSku] | None, *, by: str) -> int:
    cursor = await tx.execute(
        """
        with signed as (
            update listings l set signed_off_at = db_now(), signed_off_by = %(by)s
            from (
                select channel, channel_sku from listings
                where channel = %(channel)s and sku is not null and signed_off_at is null
                  and (%(channel_skus)s::text[] is null or channel_sku = any(%(channel_skus)s::text[]))
                order by channel_sku for update
            ) as wanted
            where l.channel = wanted.channel and l.channel_sku = wanted.channel_sku returning l.sku
        ), marked as (
            -- Those whose units are shared with it from now on.
            insert into touched (sku)
            select distinct s.sku from signed
            left join bundle_components b on b.sku = signed.sku
            join skus s on s.sku = coalesce(b.component, signed.sku) and s.mode = 'auto'
        )
        select count(*) from signed
        """,
        {"channel": channel, "by": by, "channel_skus": None if channel_skus is None else sorted(channel_skus)},
    )
    (count,) = await only_row(cursor)
    return int(count)
