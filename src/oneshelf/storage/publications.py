"""Rows of `publications`: every figure that was ever desired for a listing, and what it was derived from."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime
from typing import NamedTuple

from oneshelf.domain.availability import Derivation
from oneshelf.domain.command import Component
from oneshelf.domain.identity import Channel, ChannelSku, Location, Sku
from oneshelf.domain.listing import Listing
from oneshelf.storage import arrays, derivations
from oneshelf.storage.bundles import components
from oneshelf.storage.database import Transaction
from oneshelf.storage.listings import ListingKey
from oneshelf.storage.publishing import LISTING_COLUMNS, listing_from_row


class Plannable(NamedTuple):
    """A linked listing and where its units come from; of a bundle, from which components.

    `is_watched`: nobody has signed it off, so it sells what its channel says and is never written. `is_drifting`: what
    it shows is a drift that is not over, and whoever decides upon that has it written.
    """

    listing: Listing
    location: Location
    pack_units: int
    suspense_version: int
    is_live: bool
    is_watched: bool
    is_drifting: bool
    components: tuple[Component, ...] = ()

    @property
    def needs(self) -> dict[Sku, int]:
        """Counted SKU -> units of it in one unit of the listing."""
        if self.components:
            return {part.sku: part.units * self.pack_units for part in self.components}
        return {self.listing.sku: self.pack_units}


class Planned(NamedTuple):
    """A listing with its new desired figure. `is_news`: the figure has to reach the channel and be proved."""

    listing: Listing
    derivation: Derivation
    is_news: bool


async def lock_for_planning(tx: Transaction, skus: Collection[Sku]) -> list[Plannable]:
    """The listings whose figures these SKUs can change, locked in sorted order. Read the balances after this.

    Those of the SKUs themselves and of the bundles that contain them; and where one of them is a bundle, of its
    components and of all that contain these, since what a bundle's listing has in suspense is missing there too.
    """
    cursor = await tx.execute(
        f"""
        with moved as (
            select unnest(%(skus)s::text[]) collate "C" as sku
            union select component from bundle_components where sku = any(%(skus)s::text[])
        ), reached as (
            select sku from moved
            union select b.sku from bundle_components b join moved on moved.sku = b.component
        )
        select {LISTING_COLUMNS}, c.location, l.pack_units, l.suspense_version, c.mode = 'live',
               c.mode = 'watch' or (c.signs_off = 'listing' and l.signed_off_at is null),
               exists (select from drifts d
                       where d.channel = l.channel and d.channel_sku = l.channel_sku and d.resolved_at is null)
        from listings l join channels c on c.channel = l.channel join reached on reached.sku = l.sku
        where c.shows_figures
        order by l.channel, l.channel_sku
        for update of l
        """,
        {"skus": arrays.texts(sorted(skus))},
    )
    found = await cursor.fetchall()
    bundles = await components(tx, {row[2] for row in found})
    return [
        Plannable(
            listing=listing_from_row(row),
            location=Location(row[-6]),
            pack_units=row[-5],
            suspense_version=row[-4],
            is_live=row[-3],
            is_watched=row[-2],
            is_drifting=row[-1],
            components=bundles.get(row[2], ()),
        )
        for row in found
    ]


async def in_suspense(tx: Transaction, skus: Collection[Sku]) -> dict[Sku, tuple[int, int]]:
    """Of each of these counted SKUs: units in suspense over all listings that sell it, and how often they changed.

    A listing of a bundle that has fallen may have sold of each component.
    """
    cursor = await tx.execute(
        """
        select sku, sum(units)::bigint, sum(changes)::bigint from (
            select sku, suspense_units * pack_units as units, suspense_version as changes
            from listings where sku = any(%(skus)s::text[])
            union all
            select b.component, l.suspense_units * l.pack_units * b.units, l.suspense_version
            from bundle_components b join listings l on l.sku = b.sku where b.component = any(%(skus)s::text[])
        ) as held group by sku
        """,
        {"skus": sorted(skus)},
    )
    return {Sku(sku): (units, changes) async for sku, units, changes in cursor}


async def set_desired(tx: Transaction, planned: Iterable[Planned], *, at: datetime) -> None:
    """Store desired figures. One that is no news keeps what was sent and verified, under the new version."""
    ordered = sorted(planned, key=lambda plan: plan.listing.key)
    if not ordered:
        return
    columns = {
        "channels": arrays.texts([plan.listing.channel for plan in ordered]),
        "channel_skus": arrays.texts([plan.listing.channel_sku for plan in ordered]),
        "units": arrays.numbers(plan.derivation.units for plan in ordered),
        "versions": arrays.numbers(plan.derivation.version for plan in ordered),
        "is_news": arrays.flags(plan.is_news for plan in ordered),
    }
    await tx.execute(
        """
        update listings l set
            desired_units = new.units, desired_version = new.version, desired_at = %(at)s,
            sent_version = case when new.is_news then sent_version else new.version end,
            accepted_version = case when new.is_news then accepted_version else new.version end,
            verified_version = case when new.is_news then verified_version else new.version end
        from unnest(%(channels)s::text[], %(channel_skus)s::text[], %(units)s::bigint[], %(versions)s::bigint[],
                    %(is_news)s::boolean[]) as new (channel, channel_sku, units, version, is_news)
        where l.channel = new.channel and l.channel_sku = new.channel_sku
        """,
        {**columns, "at": at},
    )
    await _publish(tx, [plan for plan in ordered if plan.is_news], at)


async def _publish(tx: Transaction, news: Sequence[Planned], at: datetime) -> None:
    # Listings of a SKU mostly share their derivation: it is written out, and sent, once.
    places = {id(plan.derivation): plan.derivation for plan in news}
    numbers = {key: number for number, key in enumerate(places, 1)}
    await tx.execute(
        """
        insert into publications (channel, channel_sku, version, sku, units, derivation, planned_at)
        select channel, channel_sku, version, sku, units, said.derivation, %(at)s
        from unnest(%(channels)s::text[], %(channel_skus)s::text[], %(versions)s::bigint[], %(skus)s::text[],
                    %(units)s::bigint[], %(numbers)s::bigint[])
            as new (channel, channel_sku, version, sku, units, number)
        join unnest(%(derivations)s::jsonb[]) with ordinality as said (derivation, number) using (number)
        order by channel, channel_sku
        on conflict do nothing
        """,
        {
            "channels": arrays.texts([plan.listing.channel for plan in news]),
            "channel_skus": arrays.texts([plan.listing.channel_sku for plan in news]),
            "versions": arrays.numbers(plan.derivation.version for plan in news),
            "skus": arrays.texts([plan.listing.sku for plan in news]),
            "units": arrays.numbers(plan.derivation.units for plan in news),
            "numbers": arrays.numbers(numbers[id(plan.derivation)] for plan in news),
            "derivations": arrays.texts([derivations.written(one) for one in places.values()]),
            "at": at,
        },
    )


async def sent_since(tx: Transaction, keys: Collection[ListingKey], *, since: datetime) -> dict[ListingKey, set[int]]:
    """The figures that were sent to these listings since then."""
    ordered = sorted(keys)
    cursor = await tx.execute(
        """
        select p.channel, p.channel_sku, p.units from publications p
        join unnest(%(channels)s::text[], %(channel_skus)s::text[]) as wanted (channel, channel_sku)
          on p.channel = wanted.channel and p.channel_sku = wanted.channel_sku
        where p.sent_at >= %(since)s
        """,
        {
            "channels": [channel for channel, _ in ordered],
            "channel_skus": [channel_sku for _, channel_sku in ordered],
            "since": since,
        },
    )
    sent: dict[ListingKey, set[int]] = {}
    async for channel, channel_sku, units in cursor:
        sent.setdefault((Channel(channel), ChannelSku(channel_sku)), set()).add(units)
    return sent
