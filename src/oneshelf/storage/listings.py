"""Rows of `listings`: identity and links. How far each listing's figure has got is in `storage.publishing`."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import NamedTuple

from psycopg.rows import class_row

from oneshelf.domain.fulfilment import Link
from oneshelf.domain.identity import Channel, ChannelSku, Location, Sku
from oneshelf.storage import arrays
from oneshelf.storage.bundles import components_of
from oneshelf.storage.database import Transaction, only_row

ListingKey = tuple[Channel, ChannelSku]

# A listing `l` that nobody has linked carries exactly the name of a SKU `s`, and no other of its channel does.
_IS_EXACT = """
    l.sku is null and l.merchant_sku = s.sku and l.note = ''
    and not exists (select from listings twin where twin.channel = l.channel
                    and twin.merchant_sku = l.merchant_sku and twin.channel_sku <> l.channel_sku)
"""


class SeenListing(NamedTuple):
    """A listing as the channel describes it. `title`: empty where it did not tell one now: what is known stays."""

    channel_sku: ChannelSku
    alias: str
    merchant_sku: str
    title: str
    note: str
    group: str = ""


class UnlinkedListing(NamedTuple):
    """A listing that nobody has linked to a SKU. `note`: why it may not be linkable."""

    channel: str
    channel_sku: str
    merchant_sku: str
    title: str
    note: str


async def remember(tx: Transaction, channel: Channel, seen: Iterable[SeenListing]) -> dict[ListingKey, Sku]:
    """Store what the channel says of its listings, and link the unlinked ones whose SKU is exactly one of ours.

    A merchant SKU that two listings of the channel carry links neither: a person has to say which is which.
    Returns the listings that were linked just now, with their SKUs.
    """
    ordered = await _news(tx, channel, sorted(seen))
    if not ordered:
        return {}
    await _hold_off_posting(tx, channel)
    await tx.execute(
        """
        insert into listings (channel, channel_sku, alias, merchant_sku, title, note, channel_group, look_at)
        select %(channel)s, channel_sku, alias, merchant_sku, title, note, channel_group, null
        from unnest(%(channel_skus)s::text[], %(aliases)s::text[], %(merchant_skus)s::text[], %(titles)s::text[],
                    %(notes)s::text[], %(groups)s::text[])
            as new (channel_sku, alias, merchant_sku, title, note, channel_group)
        order by channel_sku collate "C"
        on conflict (channel, channel_sku) do update set
            alias = excluded.alias, merchant_sku = excluded.merchant_sku, note = excluded.note,
            title = coalesce(nullif(excluded.title, ''), listings.title), channel_group = excluded.channel_group
        where (listings.alias, listings.merchant_sku, listings.note, listings.channel_group)
              is distinct from (excluded.alias, excluded.merchant_sku, excluded.note, excluded.channel_group)
           or excluded.title not in ('', listings.title)
        """,
        _columns(channel, ordered),
    )
    cursor = await tx.execute(
        f"""
        update listings l set sku = s.sku
        from skus s
        where l.channel = %(channel)s and l.channel_sku = any(%(channel_skus)s::text[]) and {_IS_EXACT}
        returning l.channel, l.channel_sku, l.sku
        """,
        {"channel": channel, "channel_skus": arrays.texts([listing.channel_sku for listing in ordered])},
    )
    return {(Channel(owner), ChannelSku(channel_sku)): Sku(sku) async for owner, channel_sku, sku in cursor}


async def hold_off_linking(tx: Transaction) -> None:
    """No listing is linked, and no order of any channel is being posted, until this transaction ends.

    Whoever names a SKU does this first: a sweep that did not see the SKU is over then, and what it stored can be seen.
    """
    await tx.execute("select from channels order by channel for update")


async def link_named(tx: Transaction, skus: Collection[Sku]) -> dict[ListingKey, Sku]:
    """Link the unlinked listings of all channels that carry exactly one of these SKUs, by the rule of `remember`.

    They are read at once, as far as their channel shows figures. Linking is held off by the caller. Returns those that
    were linked just now.
    """
    cursor = await tx.execute(
        f"""
        with meant as (
            select l.channel, l.channel_sku, s.sku, c.shows_figures
            from channels c
            cross join unnest(%(skus)s::text[]) as named (sku)
            join skus s on s.sku = named.sku
            join listings l on l.channel = c.channel and l.merchant_sku = named.sku
            where {_IS_EXACT}
            order by l.channel, l.channel_sku for update of l
        )
        update listings l set sku = meant.sku, look_at = case when meant.shows_figures then db_now() end
        from meant where l.channel = meant.channel and l.channel_sku = meant.channel_sku
        returning l.channel, l.channel_sku, l.sku
        """,
        {"skus": arrays.texts(sorted(skus))},
    )
    return {(Channel(owner), ChannelSku(channel_sku)): Sku(sku) async for owner, channel_sku, sku in cursor}


async def _news(tx: Transaction, channel: Channel, seen: Sequence[SeenListing]) -> list[SeenListing]:
    """Those that are new, are described otherwise, or have no link yet: in most sweeps none."""
    cursor = await tx.execute(
        """
        select new.number
        from unnest(%(channel_skus)s::text[], %(aliases)s::text[], %(merchant_skus)s::text[], %(titles)s::text[],
                    %(notes)s::text[], %(groups)s::text[])
            with ordinality as new (channel_sku, alias, merchant_sku, title, note, channel_group, number)
        left join listings l on l.channel = %(channel)s and l.channel_sku = new.channel_sku
        where l.sku is null
           or (l.alias, l.merchant_sku, l.note, l.channel_group)
              <> (new.alias, new.merchant_sku, new.note, new.channel_group)
           or new.title not in ('', l.title)
        order by new.number
        """,
        _columns(channel, seen),
    )
    return [seen[number - 1] for (number,) in await cursor.fetchall()]


def _columns(channel: Channel, seen: Sequence[SeenListing]) -> dict[str, str]:
    return {
        "channel": channel,
        "channel_skus": arrays.texts([listing.channel_sku for listing in seen]),
        "aliases": arrays.texts([listing.alias for listing in seen]),
        "merchant_skus": arrays.texts([listing.merchant_sku for listing in seen]),
        "titles": arrays.texts([listing.title for listing in seen]),
        "notes": arrays.texts([listing.note for listing in seen]),
        "groups": arrays.texts([listing.group for listing in seen]),
    }


async def _hold_off_posting(tx: Transaction, channel: Channel) -> None:
    """No order of this channel is being posted until this transaction ends.

    Whoever found a listing without a link has parked its order by now, where it is found; whoever comes later sees the
    link.
    """
    await tx.execute("select from channels where channel = %(channel)s for update", {"channel": channel})


async def link(tx: Transaction, key: ListingKey, sku: Sku, *, pack_units: int) -> bool:
    """Say which SKU a listing sells. Creates the listing where an order named it before any sweep did.

    Versions are the SKU's: whatever was desired, proved and signed off for another SKU counts for nothing.
    """
    await _hold_off_posting(tx, key[0])
    cursor = await tx.execute(
        """
        insert into listings (channel, channel_sku, sku, pack_units)
        select c.channel, %(channel_sku)s, s.sku, %(pack_units)s
        from channels c, skus s where c.channel = %(channel)s and s.sku = %(sku)s
        on conflict (channel, channel_sku) do update set
            sku = excluded.sku, pack_units = excluded.pack_units,
            desired_version = 0, sent_version = 0, accepted_version = 0, verified_version = 0, released_version = 0,
            signed_off_at = case when (listings.sku, listings.pack_units) = (excluded.sku, excluded.pack_units)
                                 then listings.signed_off_at end
        """,
        {"channel": key[0], "channel_sku": key[1], "sku": sku, "pack_units": pack_units},
    )
    return cursor.rowcount == 1


async def unlinked(tx: Transaction, *, limit: int = 1000) -> list[UnlinkedListing]:
    """Listings that no SKU stands behind."""
    cursor = tx.cursor(row_factory=class_row(UnlinkedListing))
    await cursor.execute(
        """
        select l.channel, l.channel_sku, l.merchant_sku, l.title, l.note from channels c cross join lateral (
            select * from listings where channel = c.channel and stage = 'unlinked' order by channel_sku limit %(limit)s
        ) as l order by l.channel, l.channel_sku limit %(limit)s
        """,
        {"limit": limit},
    )
    return await cursor.fetchall()


async def find(tx: Transaction, channel: Channel, text: str) -> list[ChannelSku]:
    """The listings of a channel that a person means by `text`: the channel's own id, else the seller's SKU."""
    cursor = await tx.execute(
        """
        select channel_sku from listings
        where channel = %(channel)s and (channel_sku = %(text)s or merchant_sku = %(text)s)
        order by channel_sku = %(text)s desc, channel_sku
        """,
        {"channel": channel, "text": text},
    )
    return [ChannelSku(channel_sku) async for (channel_sku,) in cursor]


async def lock_links(tx: Transaction, keys: Collection[ListingKey]) -> dict[ListingKey, Link]:
    """The links of these listings, locked in sorted order. Unlinked and unknown listings are left out.

    They stay so until this transaction ends: no listing of these channels is linked meanwhile.
    """
    ordered = sorted(keys)
    await tx.execute(
        "select from channels where channel = any(%(channels)s::text[]) order by channel for key share",
        {"channels": sorted({channel for channel, _ in ordered})},
    )
    cursor = await tx.execute(
        """
        select l.channel, l.channel_sku, l.sku, c.location, l.pack_units,
               array(select b.component from bundle_components b where b.sku = l.sku order by b.component),
               array(select b.units from bundle_components b where b.sku = l.sku order by b.component)
        from listings l
        join unnest(%(channels)s::text[], %(channel_skus)s::text[]) as wanted (channel, channel_sku)
          on l.channel = wanted.channel and l.channel_sku = wanted.channel_sku
        join channels c on c.channel = l.channel
        where l.sku is not null
        order by l.channel, l.channel_sku
        for update of l
        """,
        {"channels": [channel for channel, _ in ordered], "channel_skus": [sku for _, sku in ordered]},
    )
    return {
        (Channel(channel), ChannelSku(channel_sku)): Link(
            Sku(sku), Location(location), pack_units, components_of(components, units)
        )
        async for channel, channel_sku, sku, location, pack_units, components, units in cursor
    }


class Taken(NamedTuple):
    """What orders took off a listing, less what they gave back, and both added up."""

    units: int
    turnover: int

    def plus(self, units: int, turnover: int) -> Taken:
        """With one more change. `turnover`: what went back and forth for it, where that is more than the change."""
        return Taken(self.units + units, self.turnover + max(turnover, abs(units)))


async def add_net(tx: Transaction, changes: Mapping[ListingKey, Taken]) -> None:
    """Orders have taken units off these (locked) listings, or put them back.

    Units that were in suspense are explained first: the channel showed the fall before, so it is not expected again.
    """
    ordered = sorted((key, change) for key, change in changes.items() if change.turnover > 0)
    if not ordered:
        return
    await tx.execute(
        """
        update listings l set
            net_units = l.net_units + new.change,
            turnover_units = l.turnover_units + new.turnover,
            turnover_at = db_now(),
            base_net = l.base_net + least(greatest(new.change, 0), l.suspense_units),
            op_net = l.op_net + least(greatest(new.change, 0), l.suspense_units),
            suspense_units = l.suspense_units - least(greatest(new.change, 0), l.suspense_units),
            suspense_version = l.suspense_version + (l.suspense_units > 0 and new.change > 0)::int,
            look_at = case when l.suspense_units = 0 or new.change <= 0 then l.look_at
                           when l.suspense_units > new.change then greatest(l.look_at, db_now()) else db_now() end
        from unnest(%(channels)s::text[], %(channel_skus)s::text[], %(changes)s::bigint[], %(turnovers)s::bigint[])
            as new (channel, channel_sku, change, turnover)
        where l.channel = new.channel and l.channel_sku = new.channel_sku
        """,
        {
            "channels": [channel for (channel, _), _ in ordered],
            "channel_skus": [channel_sku for (_, channel_sku), _ in ordered],
            "changes": [change.units for _, change in ordered],
            "turnovers": [change.turnover for _, change in ordered],
        },
    )


async def request_look(
    tx: Transaction, channel: Channel, *, channel_skus: Collection[str] = (), aliases: Collection[str] = ()
) -> None:
    """The channel hints that these listings changed: have them read soon, and remember that it told.

    The second look at units in suspense is not brought forward: it has to be newer than the first.
    """
    await tx.execute(
        """
        update listings l set hinted_at = db_now(),
            look_at = case when l.suspense_units > 0 and l.look_at is not null then l.look_at
                           else least(l.look_at, db_now()) end
        from (
            select channel, channel_sku from listings
            where channel = %(channel)s and sku is not null
              and (look_at is null or look_at > db_now()
                   or hinted_at is null or hinted_at < db_now() - interval '1 second')
              and (channel_sku = any(%(channel_skus)s::text[])
                   or (alias <> '' and alias = any(%(aliases)s::text[])))
            order by channel, channel_sku for update skip locked
        ) as hinted
        where l.channel = hinted.channel and l.channel_sku = hinted.channel_sku
        """,
        {"channel": channel, "channel_skus": sorted(set(channel_skus)), "aliases": sorted(set(aliases))},
    )


async def place_of(tx: Transaction, key: ListingKey) -> tuple[Location, int]:
    """Where the units of a listing lie, and how many of them it sells at once."""
    cursor = await tx.execute(
        """
        select c.location, l.pack_units from listings l join channels c using (channel)
        where l.channel = %(channel)s and l.channel_sku = %(channel_sku)s
        """,
        {"channel": key[0], "channel_sku": key[1]},
    )
    location, pack_units = await only_row(cursor)
    return Location(location), int(pack_units)


async def withdraw_sign_offs(tx: Transaction, channel: Channel) -> None:
    """The channel may be another shop now: whatever was signed off counts for nothing."""
    await tx.execute(
        """
        update listings l set signed_off_at = null, signed_off_by = ''
        from (
            select channel, channel_sku from listings
            where channel = %(channel)s and signed_off_at is not null order by channel_sku for update
        ) as signed
        where l.channel = signed.channel and l.channel_sku = signed.channel_sku
        """,
        {"channel": channel},
    )
