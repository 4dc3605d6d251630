"""What explains a listing's figure: what was published at an instant, from what, and what drifted then."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

from psycopg.rows import class_row

from oneshelf.domain.availability import Derivation
from oneshelf.domain.identity import Sku
from oneshelf.storage import listing_issues
from oneshelf.storage.database import Transaction
from oneshelf.storage.derivations import derivation_from
from oneshelf.storage.drifts import COLUMNS, DriftRow
from oneshelf.storage.listings import ListingKey


class Published(NamedTuple):
    """The newest figure of a listing at an instant, what it was derived from, and how far it had got by then."""

    sku: Sku
    derivation: Derivation
    planned_at: datetime
    sent_at: datetime | None
    accepted_at: datetime | None
    verified_at: datetime | None


class ListingNames(NamedTuple):
    """A listing as its channel describes it, its SKU of today, and what the channel says is wrong with it now."""

    merchant_sku: str
    title: str
    sku: Sku | None
    issues: str


async def names_of(tx: Transaction, key: ListingKey) -> ListingNames | None:
    """None for a listing that the channel has never shown."""
    cursor = tx.cursor(row_factory=class_row(ListingNames))
    await cursor.execute(
        f"""
        select merchant_sku, title, sku, {listing_issues.words_of("l")} as issues
        from listings l where channel = %(channel)s and channel_sku = %(channel_sku)s
        """,
        {"channel": key[0], "channel_sku": key[1]},
    )
    return await cursor.fetchone()


async def published_at(tx: Transaction, key: ListingKey, at: datetime) -> Published | None:
    """None where nothing had been published by then."""
    cursor = await tx.execute(
        """
        select sku, derivation, units, version, planned_at,
               case when sent_at <= %(at)s then sent_at end, case when accepted_at <= %(at)s then accepted_at end,
               case when verified_at <= %(at)s then verified_at end
        from publications where channel = %(channel)s and channel_sku = %(channel_sku)s and planned_at <= %(at)s
        order by planned_at desc, version desc limit 1
        """,
        {"channel": key[0], "channel_sku": key[1], "at": at},
    )
    row = await cursor.fetchone()
    if row is None:
        return None
    sku, stored, units, version, *instants = row
    return Published(Sku(sku), derivation_from(stored, units=units, version=version), *instants)


async def drift_at(tx: Transaction, key: ListingKey, at: datetime) -> DriftRow | None:
    """The drift of a listing that was open at an instant."""
    cursor = tx.cursor(row_factory=class_row(DriftRow))
    await cursor.execute(
        f"""
        select {COLUMNS} from drifts d
        where channel = %(channel)s and channel_sku = %(channel_sku)s and opened_at <= %(at)s
          and (resolved_at is null or resolved_at > %(at)s)
        order by opened_at desc limit 1
        """,
        {"channel": key[0], "channel_sku": key[1], "at": at},
    )
    return await cursor.fetchone()
