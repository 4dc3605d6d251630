"""What each short order or reservation can do: who holds units of the same SKU, and where others lie."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from oneshelf.domain.identity import Channel, Location, Sku
from oneshelf.domain.last_unit import Advice, Claimant, advise, cost_of
from oneshelf.storage import arrays
from oneshelf.storage.database import Transaction
from oneshelf.storage.detail_views import ShortRow


class Advised(NamedTuple):
    """The advice for a short row; its channel and what that still forgives, where it is an order and that is known."""

    advice: Advice
    channel: Channel | None
    budget_left: int | None


class _Found(NamedTuple):
    sku: Sku
    location: Location
    channel: Channel | None
    budget_left: int | None
    claimant: Claimant


async def advised(tx: Transaction, rows: Sequence[ShortRow]) -> dict[tuple[str, Sku, Location], Advised]:
    """`(source, SKU, location)` of these rows -> what can be done, best read in one snapshot with them."""
    skus = sorted({row.sku for row in rows})
    if not skus:
        return {}
    found = await _claimants(tx, skus)
    elsewhere, incoming = await _supply(tx, skus)
    told: dict[tuple[str, Sku, Location], Advised] = {}
    for sku in skus:
        left = dict(elsewhere.get(sku, {}))
        for location in sorted({one.location for one in found if one.sku == sku}):
            here = {one.claimant.source: one for one in found if (one.sku, one.location) == (sku, location)}
            others: dict[str, int] = {place: units for place, units in left.items() if place != location}
            ways, rest = advise(
                [one.claimant for one in here.values()],
                elsewhere=others,
                incoming=incoming.get((sku, location), 0),
            )
            left |= {Location(place): units for place, units in rest.items()}
            for source, advice in ways.items():
                told[source, sku, location] = Advised(advice, here[source].channel, here[source].budget_left)
    return told


def as_shown(row: ShortRow, advice: Mapping[tuple[str, Sku, Location], Advised]) -> dict[str, Any]:
    """A short row with its way out."""
    told = advice[row.source, row.sku, row.location]
    return {
        **row._asdict(),
        "loses": told.advice.loses,
        "way_out": told.advice.way.value,
        "through": list(told.advice.through),
        "cost": told.advice.cost,
        "cancellations_left": told.budget_left,
    }


async def _claimants(tx: Transaction, skus: Sequence[Sku]) -> list[_Found]:
    """All that hold or want units where something is short."""
    cursor = await tx.execute(
        """
        with places as (
            select sku, location from order_lines where units_short > 0 and sku = any(%(skus)s::text[])
            union
            select sku, location from reservations
            where state = 'held' and units_short > 0 and sku = any(%(skus)s::text[])
        )
        select l.sku, l.location, 'order ' || l.channel || '/' || l.order_id || '/' || l.line_id,
               'order ' || l.channel || '/' || l.order_id, l.channel, c.kind, c.cancellation_cost, b.budget_left,
               l.placed_at, not l.is_pending or l.units_shipped > 0, l.units_pending + l.units_committed, l.units_short,
               l.handed_over_at is not null
        from places join order_lines l using (sku, location)
        left join channels c on c.channel = l.channel
        left join cancellation_budgets b on b.channel = l.channel and b.channel_sku = ''
        where l.units_pending + l.units_committed + l.units_short > 0
        union all
        select r.sku, r.location, 'reservation ' || r.reservation_id, r.holder, null, '', null, null, r.created_at,
               r.kind in ('lock', 'allocation'), r.units - r.units_short, r.units_short, false
        from places join reservations r using (sku, location) where r.state = 'held'
        """,
        {"skus": arrays.texts(skus)},
    )
    return [
        _Found(
            Sku(sku),
            Location(location),
            channel and Channel(channel),
            budget,
            Claimant(
                source=source,
                promised_to=promised_to,
                is_locked=is_locked,
                cancellation_cost=cost_of(kind or "", cost),
                placed_at=placed_at,
                units_held=held,
                units_short=short,
                has_left=has_left,
            ),
        )
        for (
            sku,
            location,
            source,
            promised_to,
            channel,
            kind,
            cost,
            budget,
            placed_at,
            is_locked,
            held,
            short,
            has_left,
        ) in await cursor.fetchall()
    ]


async def _supply(
    tx: Transaction, skus: Sequence[Sku]
) -> tuple[dict[Sku, dict[Location, int]], dict[tuple[Sku, Location], int]]:
    """Available units by SKU and location, and those announced."""
    cursor = await tx.execute(
        "select sku, location, available, incoming from balances where sku = any(%(skus)s::text[])",
        {"skus": arrays.texts(skus)},
    )
    free: dict[Sku, dict[Location, int]] = {}
    coming: dict[tuple[Sku, Location], int] = {}
    async for sku, location, available, incoming in cursor:
        free.setdefault(Sku(sku), {})[Location(location)] = max(0, available)
        coming[Sku(sku), Location(location)] = incoming
    return free, coming
