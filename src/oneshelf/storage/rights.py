"""What the listings of a SKU may sell in all, and whether that is bounded by what is available."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import NamedTuple

from psycopg.rows import class_row

from oneshelf.domain.identity import Channel, ChannelSku, Location, Sku
from oneshelf.domain.ledger import BalanceKey
from oneshelf.domain.rights import Free, Mode
from oneshelf.storage import arrays
from oneshelf.storage.database import Transaction

# As in `views`, which shows such a channel.
LATE_TURNS = 3


class Guard(NamedTuple):
    """How the listings of a SKU share its units.

    `guard_at_units`: a person's threshold of `auto`; None: as measured. `allowance_units`: kept from the listings of a
    guarded SKU, for tills and for reservations by the API.
    """

    mode: Mode
    guard_at_units: int | None
    allowance_units: int
    is_guarded: bool


class Granted(NamedTuple):
    """Units that all listings of a SKU at a location may sell. `has_unread`: nobody knows, one was never read."""

    units: int
    has_unread: bool


async def guards(tx: Transaction, skus: Collection[Sku]) -> dict[Sku, Guard]:
    """Those of these SKUs that are not simply pooled."""
    cursor = await tx.execute(
        """
        select sku, mode, guard_at_units, allowance_units, is_guarded from skus
        where sku = any(%(skus)s::text[]) and (mode <> 'pooled' or is_guarded)
        """,
        {"skus": arrays.texts(sorted(skus))},
    )
    return {
        Sku(sku): Guard(Mode(mode), threshold, allowance, is_now)
        async for sku, mode, threshold, allowance, is_now in cursor
    }


async def guard_of(tx: Transaction, sku: Sku) -> Guard | None:
    """How the listings of this SKU share its units; None where there is no such SKU."""
    cursor = await tx.execute(
        "select mode, guard_at_units, allowance_units, is_guarded from skus where sku = %(sku)s", {"sku": sku}
    )
    row = await cursor.fetchone()
    return Guard(Mode(row[0]), *row[1:]) if row else None


async def set_guarded(tx: Transaction, guarded: Mapping[Sku, bool]) -> None:
    """Store what planning made of the modes. The listings of these SKUs are locked."""
    if guarded:
        await tx.execute(
            """
            with wanted as (
                select s.sku, new.is_guarded
                from skus s join unnest(%(skus)s::text[], %(guarded)s::boolean[]) as new (sku, is_guarded) using (sku)
                where s.is_guarded <> new.is_guarded order by s.sku for no key update of s
            )
            update skus s set is_guarded = wanted.is_guarded from wanted where s.sku = wanted.sku
            """,
            {"skus": sorted(guarded), "guarded": [guarded[sku] for sku in sorted(guarded)]},
        )


async def set_mode(
    tx: Transaction, skus: Collection[Sku], mode: Mode, *, guard_at_units: int | None = None, allowance_units: int = 0
) -> list[Sku]:
    """Say how the listings of these SKUs share their units, and have them planned. Returns those that there are."""
    cursor = await tx.execute(
        """
        with wanted as (
            select sku from skus where sku = any(%(skus)s::text[]) order by sku for no key update
        ), changed as (
            update skus s set mode = %(mode)s, guard_at_units = %(guard_at_units)s,
                allowance_units = %(allowance_units)s
            from wanted where s.sku = wanted.sku returning s.sku
        ), marked as (
            insert into touched (sku) select sku from changed
        )
        select sku from changed order by sku
        """,
        {
            "skus": arrays.texts(sorted(skus)),
            "mode": mode.value,
            "guard_at_units": guard_at_units,
            "allowance_units": allowance_units,
        },
    )
    return [Sku(sku) async for (sku,) in cursor]


async def granted(tx: Transaction, skus: Collection[Sku]) -> dict[BalanceKey, Granted]:
    """What the listings of these counted SKUs may sell."""
    cursor = await tx.execute(
        "select sku, location, units, has_unread from granted where sku = any(%(skus)s::text[])",
        {"skus": arrays.texts(sorted(skus))},
    )
    return {
        (Sku(sku), Location(location)): Granted(units or 0, has_unread)
        async for sku, location, units, has_unread in cursor
    }


async def lock_free(tx: Transaction, channel: Channel, channel_skus: Collection[ChannelSku]) -> Free:
    """What is free of the guarded SKUs that these (locked) listings of a channel sell.

    Free are available units that no listing may sell. Their balances are locked: nobody else grants or promises of them
    until this transaction ends.
    """
    counted = await tx.execute(
        """
        select l.channel_sku, s.sku, l.pack_units * coalesce(b.units, 1), c.location
        from listings l
        join channels c on c.channel = l.channel
        left join bundle_components b on b.sku = l.sku
        join skus s on s.sku = coalesce(b.component, l.sku) and s.is_guarded
        where l.channel = %(channel)s and l.channel_sku = any(%(channel_skus)s::text[])
        """,
        {"channel": channel, "channel_skus": arrays.texts(sorted(channel_skus))},
    )
    needs: dict[ChannelSku, dict[Sku, int]] = {}
    keys: set[BalanceKey] = set()
    async for channel_sku, sku, units, location in counted:
        needs.setdefault(ChannelSku(channel_sku), {})[Sku(sku)] = units
        keys.add((Sku(sku), Location(location)))
    if not needs:
        return Free({}, {})
    await tx.execute(
        """
        select from balances b join unnest(%(skus)s::text[], %(locations)s::text[]) as wanted (sku, location)
          on b.sku = wanted.sku and b.location = wanted.location
        order by b.sku, b.location for update of b
        """,
        arrays.places(keys),
    )
    # Read after the lock. What nobody has ever read may sell anything.
    cursor = await tx.execute(
        """
        select wanted.sku, case when coalesce(g.has_unread, false) then 0
                                else coalesce(b.available, 0) - coalesce(g.units, 0) end
        from unnest(%(skus)s::text[], %(locations)s::text[]) as wanted (sku, location)
        left join balances b on b.sku = wanted.sku and b.location = wanted.location
        left join granted g on g.sku = wanted.sku and g.location = wanted.location
        """,
        arrays.places(keys),
    )
    return Free(needs, {Sku(sku): units async for sku, units in cursor})


class Sharing(NamedTuple):
    """How a SKU is shared by its listings at a location, and the worst case of it.

    `sellable_by_listings`: units that they may sell as far as anyone can know; None: one was never read.
    `exposure_units`: units that could be sold twice now, if every listing sold all that it may.
    """

    sku: Sku
    mode: str
    is_guarded: bool
    guard_at_units: int | None
    allowance_units: int
    location: Location
    available: int
    sellable_by_listings: int | None
    exposure_units: int | None


_SHARING = """
    select s.sku, s.mode, s.is_guarded, s.guard_at_units, s.allowance_units, g.location,
           coalesce(b.available, 0) as available,
           case when not g.has_unread then coalesce(g.units, 0) end as sellable_by_listings,
           case when not g.has_unread
                then greatest(0, coalesce(g.units, 0) + case when s.is_guarded then s.allowance_units else 0 end
                                 - coalesce(b.available, 0)) end as exposure_units
    from granted g
    join skus s on s.sku = g.sku
    left join balances b on b.sku = g.sku and b.location = g.location
"""


async def sharing_of(tx: Transaction, sku: Sku) -> list[Sharing]:
    """How this SKU is shared, by location; of a bundle, see its components."""
    cursor = tx.cursor(row_factory=class_row(Sharing))
    await cursor.execute(f"{_SHARING} where s.sku = %(sku)s order by g.location", {"sku": sku})
    return await cursor.fetchall()


async def exposed(tx: Transaction, *, after: str, limit: int) -> list[Sharing]:
    """SKUs of which units could be sold twice now, or of which nobody knows, in the order of their names."""
    cursor = tx.cursor(row_factory=class_row(Sharing))
    await cursor.execute(
        f"""
        select * from ({_SHARING}) as sharing
        where (exposure_units is null or exposure_units > 0) and sku > %(after)s
        order by sku, location limit %(limit)s
        """,
        {"after": after, "limit": limit},
    )
    return await cursor.fetchall()


class Shown(NamedTuple):
    """How far a listing is with what it should show. `rights_units`: what it may still sell; None: never read."""

    channel: Channel
    channel_sku: ChannelSku
    phase: str
    desired_units: int | None
    verified_units: int | None
    rights_units: int | None
    is_live: bool


async def shown_of(tx: Transaction, skus: Collection[Sku]) -> list[Shown]:
    """The listings that sell these SKUs, directly or in bundles."""
    cursor = tx.cursor(row_factory=class_row(Shown))
    await cursor.execute(
        """
        select l.channel, l.channel_sku, l.phase, l.desired_units, l.verified_units, l.rights_units,
               c.mode = 'live' as is_live
        from listings l join channels c on c.channel = l.channel
        where l.sku = any(%(skus)s::text[])
           or l.sku in (select b.sku from bundle_components b where b.component = any(%(skus)s::text[]))
        order by l.channel, l.channel_sku
        """,
        {"skus": arrays.texts(sorted(skus))},
    )
    return await cursor.fetchall()


# SKUs of mode auto that a live channel sells of which nobody has asked for orders in so many turns: what it sold
# meanwhile is not known, however much is there.
_UNHEARD = """
    select distinct s.sku from channels c
    join schedules p on p.channel = c.channel and p.task = 'orders'
    join listings l on l.channel = c.channel
    left join bundle_components b on b.sku = l.sku
    join skus s on s.sku = coalesce(b.component, l.sku) and s.mode = 'auto'
    where c.mode = 'live'
      and coalesce(p.last_done_at, c.created_at) + make_interval(secs => %(turns)s * p.every_s) < db_now()
"""


async def unheard(tx: Transaction, skus: Collection[Sku]) -> set[Sku]:
    """Those of these SKUs in mode auto that a channel sells of which nothing has been heard for too long."""
    cursor = await tx.execute(
        f"{_UNHEARD} and s.sku = any(%(skus)s::text[])", {"turns": LATE_TURNS, "skus": arrays.texts(sorted(skus))}
    )
    return {Sku(sku) async for (sku,) in cursor}


async def mark_unheard(tx: Transaction) -> None:
    """Have SKUs in mode auto planned that a silent channel sells, or that are guarded and have plenty again.

    One of which no threshold is known stays guarded until something moves.
    """
    await tx.execute(
        f"""
        with unheard as ({_UNHEARD})
        insert into touched (sku)
        select u.sku from unheard u join skus s on s.sku = u.sku where not s.is_guarded
        union
        select s.sku from skus s left join sku_demand d on d.sku = s.sku and d.channel = ''
        where s.mode = 'auto' and s.is_guarded and s.sku not in (select sku from unheard)
          and 2 * (select coalesce(sum(b.available), 0) from balances b where b.sku = s.sku)
              >= 3 * coalesce(s.guard_at_units, d.threshold_units)
        """,
        {"turns": LATE_TURNS},
    )
