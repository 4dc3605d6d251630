"""What the listings of a SKU may sell in all, and whether that is bounded by what is available."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import NamedTuple

from psycopg.rows import class_row

from oneshelf.domain.demand import Demand
from oneshelf.domain.identity import Channel, ChannelSku, Location, Sku
from oneshelf.domain.ledger import BalanceKey
from oneshelf.domain.rights import Free, Mode
from oneshelf.storage import arrays
from oneshelf.storage.database import Transaction, only_row

# SKUs whose mode is changed in one transaction: their planning waits for it.
BATCH = 10_000
# Of SKUs that could be oversold, so many are looked at for a page.
SKUS_LOOKED_AT = 500


class Measured(NamedTuple):
    """The demand for a SKU everywhere, the units at which its pool has to be split, and the window these are for."""

    demand: Demand
    threshold_units: int
    window_s: float


class Guard(NamedTuple):
    """How the listings of a SKU share its units.

    `guard_at_units`: a person's threshold of `auto`; None: as measured. `allowance_units`: kept from the listings of a
    guarded SKU, for tills and for reservations by the API. `measured`: None where nothing is known.
    """

    mode: Mode
    guard_at_units: int | None
    allowance_units: int
    is_guarded: bool
    measured: Measured | None = None


class Granted(NamedTuple):
    """Units that all listings of a SKU at a location may sell. `has_unread`: nobody knows, one was never read."""

    units: int
    has_unread: bool


async def guards(tx: Transaction, skus: Collection[Sku]) -> dict[Sku, Guard]:
    """Those of these SKUs that are not simply pooled."""
    cursor = await tx.execute(
        """
        select s.sku, s.mode, s.guard_at_units, s.allowance_units, s.is_guarded,
               d.rate_per_s, d.variance_factor, d.threshold_units, (d.inputs -> 'kept' ->> 'window_s')::float8
        from skus s
        left join sku_demand d on d.sku = s.sku and d.channel = '' and s.mode = 'auto' and d.threshold_units is not null
        where s.sku = any(%(skus)s::text[]) and (s.mode <> 'pooled' or s.is_guarded)
        """,
        {"skus": arrays.texts(sorted(skus))},
    )
    found = {}
    async for sku, mode, guard_at, allowance, is_now, rate, factor, threshold, window_s in cursor:
        measured = None if threshold is None else Measured(Demand(rate, factor), threshold, window_s or 0.0)
        found[Sku(sku)] = Guard(Mode(mode), guard_at, allowance, is_now, measured)
    return found


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


class Changed(NamedTuple):
    """How many SKUs share otherwise now, how many stay frozen, and the last one of this batch; '': it was empty."""

    changed_count: int
    frozen_count: int
    last: str


async def set_mode_of_batch(
    tx: Transaction,
    mode: Mode,
    *,
    sku_group: str | None,
    guard_at_units: int | None,
    allowance_units: int,
    after: str,
) -> Changed:
    """The same for the next SKUs there are, or for those of a group. What is frozen is thawed by its name alone."""
    cursor = await tx.execute(
        """
        with batch as (
            select sku, mode, guard_at_units, allowance_units from skus
            where sku > %(after)s and (%(sku_group)s::text is null or sku_group = %(sku_group)s)
            order by sku limit %(limit)s for no key update
        ), changed as (
            update skus s set mode = %(mode)s, guard_at_units = %(guard_at_units)s,
                allowance_units = %(allowance_units)s
            from batch b
            where s.sku = b.sku and b.mode <> 'frozen'
              and (b.mode, b.guard_at_units, b.allowance_units)
                  is distinct from (%(mode)s, %(guard_at_units)s::bigint, %(allowance_units)s::bigint)
            returning s.sku
        ), marked as (
            insert into touched (sku) select sku from changed order by sku
        )
        select (select count(*) from changed),
               (select count(*) from batch where mode = 'frozen' and %(mode)s <> 'frozen'),
               coalesce((select max(sku) from batch), '')
        """,
        {
            "mode": mode.value,
            "sku_group": sku_group,
            "guard_at_units": guard_at_units,
            "allowance_units": allowance_units,
            "after": after,
            "limit": BATCH,
        },
    )
    return Changed(*await only_row(cursor))


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
    `till_allowance_units`: what tills there may sell before we hear of it. `exposure_units`: units that could be sold
    twice now, if every listing, and every till, sold all that it may.
    """

    sku: Sku
    mode: str
    is_guarded: bool
    guard_at_units: int | None
    allowance_units: int
    till_allowance_units: int
    location: Location
    available: int
    sellable_by_listings: int | None
    exposure_units: int | None


_SHARING = """
    select s.sku, s.mode, s.is_guarded, s.guard_at_units, s.allowance_units,
           coalesce(t.units, 0) as till_allowance_units, g.location,
           coalesce(b.available, 0) as available,
           case when not g.has_unread then coalesce(g.units, 0) end as sellable_by_listings,
           case when not g.has_unread
                then greatest(0, coalesce(g.units, 0) + case when s.is_guarded then s.allowance_units else 0 end
                                 + coalesce(t.units, 0) - coalesce(b.available, 0)) end as exposure_units
    from granted g
    join skus s on s.sku = g.sku
    left join till_allowances t on t.location = g.location
    left join balances b on b.sku = g.sku and b.location = g.location
"""


async def sharing_of(tx: Transaction, sku: Sku) -> list[Sharing]:
    """How this SKU is shared, by location; of a bundle, see its components."""
    cursor = tx.cursor(row_factory=class_row(Sharing))
    await cursor.execute(f"{_SHARING} where s.sku = %(sku)s order by g.location", {"sku": sku})
    return await cursor.fetchall()


async def exposed(tx: Transaction, *, after: str, limit: int) -> tuple[list[Sharing], Sku | None]:
    """SKUs of which units could be sold twice now, or of which nobody knows, in the order of their names.

    `limit`: SKUs, each with all its places. Only so many are looked at; where that ends before the last one, the second
    is the name to go on behind.
    """
    cursor = await tx.execute(
        "select sku from skus where sku > %(after)s order by sku limit %(limit)s",
        {"after": after, "limit": SKUS_LOOKED_AT},
    )
    looked_at = [Sku(sku) async for (sku,) in cursor]
    rows = tx.cursor(row_factory=class_row(Sharing))
    await rows.execute(
        f"""
        select * from ({_SHARING} where g.sku = any(%(skus)s::text[])) as sharing
        where exposure_units is null or exposure_units > 0
        order by sku, location
        """,
        {"skus": arrays.texts(looked_at)},
    )
    found = await rows.fetchall()
    names = list(dict.fromkeys(row.sku for row in found))
    if len(names) > limit:
        return [row for row in found if row.sku <= names[limit - 1]], names[limit - 1]
    return found, looked_at[-1] if len(looked_at) == SKUS_LOOKED_AT else None


class Shown(NamedTuple):
    """How far a listing is with what it should show. `rights_units`: what it may still sell; None: never read.

    `shows_figures`: False where the channel, a till, sells what it has in hand.
    """

    channel: Channel
    channel_sku: ChannelSku
    phase: str
    desired_units: int | None
    verified_units: int | None
    rights_units: int | None
    is_live: bool
    shows_figures: bool


async def shown_of(tx: Transaction, skus: Collection[Sku]) -> list[Shown]:
    """The listings that sell these SKUs, directly or in bundles."""
    cursor = tx.cursor(row_factory=class_row(Shown))
    await cursor.execute(
        """
        select l.channel, l.channel_sku, l.phase, l.desired_units, l.verified_units, l.rights_units,
               c.mode = 'live' as is_live, c.shows_figures
        from listings l join channels c on c.channel = l.channel
        where l.sku = any(%(skus)s::text[])
           or l.sku in (select b.sku from bundle_components b where b.component = any(%(skus)s::text[]))
        order by l.channel, l.channel_sku
        """,
        {"skus": arrays.texts(sorted(skus))},
    )
    return await cursor.fetchall()
