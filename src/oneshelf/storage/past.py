"""One SKU at a past instant, recomputed from what was posted: where its units were, for whom, and what was published.

An instant holds what the ledger had posted by its own clock: all movements whose `posted_at` is not later. Movements
of one batch share their instant, so between them there is none. What happened earlier and was told later counts from
when it was told.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from psycopg.rows import class_row

from oneshelf.domain.account import StockState
from oneshelf.domain.identity import Location, Sku
from oneshelf.domain.ledger import Balance
from oneshelf.errors import MalformedError
from oneshelf.storage.database import Transaction, now


class Held(NamedTuple):
    """Units that lay in `state` for an order line or a reservation.

    Less than nothing: a count took them from the promises of others, and its movement does not say from whose.
    """

    source: str
    location: Location
    state: str
    units: int


class PublishedRow(NamedTuple):
    """The newest figure of a listing at that instant, and how far it had got by then. Units are the listing's own."""

    channel: str
    channel_sku: str
    units: int
    version: int
    planned_at: datetime
    sent_at: datetime | None
    accepted_at: datetime | None
    verified_at: datetime | None


class PastMovement(NamedTuple):
    """A movement, and what was available at its location after it; None where it touched no location."""

    posted_at: datetime
    units: int
    from_account: str
    from_location: str | None
    to_account: str
    to_location: str | None
    reason: str
    source: str
    movement_id: UUID
    available_after: int | None


class Past(NamedTuple):
    """A SKU as it was. `outside`: units in transit, with customers, … by account; those of suppliers below zero."""

    at: datetime
    balances: dict[Location, Balance]
    outside: dict[str, int]
    held: list[Held]
    listings: list[PublishedRow]


async def refuse_future(tx: Transaction, at: datetime) -> None:
    """Raise MalformedError for an instant that has not come yet by the database's clock."""
    present = await now(tx)
    if at > present:
        raise MalformedError(f"at is {at.isoformat()}, which has not come yet: it is {present.isoformat()}")


async def read(tx: Transaction, sku: Sku, at: datetime) -> Past:
    """This SKU as it was then. The transaction should see one instant, see `views.freeze`."""
    balances, outside = await _accounts(tx, sku, at)
    return Past(at, balances, outside, await _held(tx, sku, at), await _published(tx, sku, at))


async def _accounts(tx: Transaction, sku: Sku, at: datetime) -> tuple[dict[Location, Balance], dict[str, int]]:
    cursor = await tx.execute(
        """
        with legs as (
            select to_location as location, to_account as account, units, version from movements
            where sku = %(sku)s and posted_at <= %(at)s
            union all
            select from_location, from_account, -units, version from movements
            where sku = %(sku)s and posted_at <= %(at)s
        )
        select location, account, sum(units)::bigint, max(version) from legs group by 1, 2 order by 1, 2
        """,
        {"sku": sku, "at": at},
    )
    balances: dict[Location, Balance] = {}
    outside: dict[str, int] = {}
    async for location, account, units, version in cursor:
        if location is None:
            outside[account] = units
            continue
        balance = balances.setdefault(Location(location), Balance())
        balance.units[StockState(account)] = units
        balance.version = max(balance.version, version)
    return balances, {account: units for account, units in outside.items() if units}


async def _held(tx: Transaction, sku: Sku, at: datetime) -> list[Held]:
    cursor = await tx.execute(
        """
        with legs as (
            select source, to_location as location, to_account as account, units from movements
            where sku = %(sku)s and posted_at <= %(at)s and to_account in ('committed', 'reserved')
            union all
            select source, from_location, from_account, -units from movements
            where sku = %(sku)s and posted_at <= %(at)s and from_account in ('committed', 'reserved')
        ), summed as (
            select source, location, account, sum(units)::bigint as units from legs group by 1, 2, 3
            having sum(units) <> 0
        )
        select s.source, s.location, s.account, s.units, r.holder
        from summed s
        left join reservations r on r.sku = %(sku)s and r.location = s.location and r.state = 'claimed'
            and s.source = 'reservation ' || r.reservation_id
        order by s.location, s.account, s.source
        """,
        {"sku": sku, "at": at},
    )
    rows = [(Held(*held), holder) async for *held, holder in cursor]
    return _handed_over([held for held, _ in rows], {(held.source, held.location): holder for held, holder in rows})


def _handed_over(held: Sequence[Held], holders: dict[tuple[str, Location], str | None]) -> list[Held]:
    """What an order took over from the reservation that was claimed for it lies no longer with the reservation."""
    units = {(one.source, one.location, one.state): one.units for one in held}
    for (source, location), holder in holders.items():
        key = (source, location, "reserved")
        for taker in [one for one in units if holder and one[0].startswith(f"{holder}/") and one[1:] == key[1:]]:
            handed = min(units.get(key, 0), -units[taker])
            if handed > 0:
                units[key] -= handed
                units[taker] += handed
    return [Held(*key, left) for key, left in units.items() if left]


async def _published(tx: Transaction, sku: Sku, at: datetime) -> list[PublishedRow]:
    """Of a listing that sold another SKU by then, nothing."""
    cursor = tx.cursor(row_factory=class_row(PublishedRow))
    await cursor.execute(
        """
        select distinct on (p.channel, p.channel_sku) p.channel, p.channel_sku, p.units, p.version, p.planned_at,
               case when p.sent_at <= %(at)s then p.sent_at end as sent_at,
               case when p.accepted_at <= %(at)s then p.accepted_at end as accepted_at,
               case when p.verified_at <= %(at)s then p.verified_at end as verified_at
        from publications p
        where p.sku = %(sku)s and p.planned_at <= %(at)s
          and not exists (
              select from publications other
              where other.channel = p.channel and other.channel_sku = p.channel_sku and other.sku <> p.sku
                and other.planned_at > p.planned_at and other.planned_at <= %(at)s)
        order by p.channel, p.channel_sku, p.version desc
        """,
        {"sku": sku, "at": at},
    )
    return await cursor.fetchall()


async def movements(tx: Transaction, sku: Sku, past: Past, *, limit: int) -> list[PastMovement]:
    """The latest movements up to this past of the SKU, newest first, and what was available after each."""
    cursor = await tx.execute(
        """
        select posted_at, units, from_account, from_location, to_account, to_location, reason, source, movement_id
        from movements where sku = %(sku)s and posted_at <= %(at)s
        order by posted_at desc, version desc, movement_id desc limit %(limit)s
        """,
        {"sku": sku, "at": past.at, "limit": limit},
    )
    available = {str(location): balance.available for location, balance in past.balances.items()}
    told = []
    async for row in cursor:
        moved = PastMovement._make((*row, None))
        place = moved.to_location or moved.from_location
        if place is None:
            told.append(moved)
            continue
        told.append(moved._replace(available_after=available[place]))
        available[place] -= moved.units * ((moved.to_account == "available") - (moved.from_account == "available"))
    return told
