"""What the API answers. Units are whole numbers, instants are ISO 8601 in UTC, ages are seconds."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from pydantic import BaseModel, ConfigDict

from oneshelf.storage.drifts import DriftRow, as_shown
from oneshelf.storage.views import ListingRow


class _Output(BaseModel):
    model_config = ConfigDict(from_attributes=True, frozen=True)


class CommandAnswer(_Output):
    """What became of one command. `outcome` is `posted` or the name of a refusal; `figures` are its numbers."""

    outcome: str
    detail: str
    figures: dict[str, int | str | list[dict[str, int | str]] | None]
    replayed: bool


class CommandAnswers(_Output):
    """One answer for each command, in the same order."""

    answers: list[CommandAnswer]


class CountBegunOut(_Output):
    """Quote the `token` with each count of these SKUs at this location: what moves from now on is added to it."""

    token: UUID
    location: str
    begun_at: datetime
    sku_count: int


class Added(_Output):
    """How many of the names are new. A known one keeps its title."""

    added: int
    known: int


class SkusAdded(Added):
    """`linked`: listings that waited for one of these names, and are linked now."""

    linked: int


class SkuOut(_Output):
    """A SKU over all its locations. `short`: sold, and no unit is there for it."""

    sku: str
    title: str
    on_hand: int
    available: int
    committed: int
    reserved: int
    short: int
    version: int


class SkusOut(_Output):
    """`next`: give it as `after` for the next page; null on the last one."""

    skus: list[SkuOut]
    next: str | None


class BalanceOut(_Output):
    """Where the units of a SKU are at one location. A unit is in exactly one state."""

    location: str
    on_hand: int
    available: int
    committed: int
    reserved: int
    damaged: int
    quality_control: int
    safety_stock: int
    incoming: int
    version: int


class FigureOut(_Output):
    """A figure of a listing, the ledger's version it was derived from, and when it came to be."""

    units: int | None
    version: int
    at: datetime | None
    age_s: float | None


class ListingOut(_Output):
    """A listing and how far its figure has got. Accepted is not applied: only `verified` was read back.

    `unverified_s`: how long the desired figure has waited for its proof; null where it has it. `suspense_units`:
    fell off the listing, and no order explains it yet: they are offered nowhere. `issues`: what the channel itself says
    is wrong with the listing; empty where nothing is, or where it does not tell.
    """

    channel: str
    channel_sku: str
    merchant_sku: str
    title: str
    sku: str | None
    pack_units: int
    state: str
    phase: str
    desired: FigureOut
    sent: FigureOut
    accepted: FigureOut
    verified: FigureOut
    believed_units: int | None
    suspect_units: int | None
    suspense_units: int
    parked_reason: str
    unverified_s: float | None
    issues: str


class ListingsOut(_Output):
    listings: list[ListingOut]
    next: str | None


class DriftOut(_Output):
    """A reading that nothing in flight explains. `size`: observed less expected.

    `explained_by`: the orders that came late, as channel/order. `waiting_for`: why a person has to decide; empty where
    the engine goes on by itself, but at a channel that is not live.
    """

    drift_id: UUID
    channel: str
    channel_sku: str
    sku: str
    cause: str
    expected_units: int
    observed_units: int
    size: int
    opened_at: datetime
    age_s: float
    resolved_at: datetime | None
    resolution: str
    explained_by: str
    heal_count: int
    waiting_for: str
    wait_until: datetime | None


class DriftsOut(_Output):
    drifts: list[DriftOut]


class ComponentOut(_Output):
    """Units of a SKU in one bundle or kit."""

    sku: str
    units: int


class SkuDetailOut(SkuOut):
    """`components`: what a bundle is made of, and counted as; empty for what is counted itself."""

    components: list[ComponentOut]
    balances: list[BalanceOut]
    listings: list[ListingOut]
    drifts: list[DriftOut]


class HeldOut(_Output):
    """Units committed or reserved for an order line or a reservation. Below zero: a count took them from others."""

    source: str
    location: str
    state: str
    units: int


class PublishedOut(_Output):
    """A listing's newest figure at that instant, and how far it had got by then."""

    channel: str
    channel_sku: str
    units: int
    version: int
    planned_at: datetime
    sent_at: datetime | None
    accepted_at: datetime | None
    verified_at: datetime | None


class SkuPastOut(_Output):
    """A SKU as it was: all that had been posted by then. `outside`: account -> units that came from or went there."""

    sku: str
    at: datetime
    balances: list[BalanceOut]
    outside: dict[str, int]
    held: list[HeldOut]
    listings: list[PublishedOut]


class MovementOut(_Output):
    """Units that went from one account to another. Outside accounts have no location."""

    movement_id: UUID
    posted_at: datetime
    units: int
    from_account: str
    from_location: str | None
    to_account: str
    to_location: str | None
    reason: str
    source: str


class MovementsOut(_Output):
    """Newest first. `next`: give it as `before` for the next page."""

    movements: list[MovementOut]
    next: UUID | None


class BundleOut(_Output):
    """What is sold as one and counted as its components."""

    sku: str
    components: list[ComponentOut]


class BundlesOut(_Output):
    bundles: list[BundleOut]


class KitOut(_Output):
    """What one kit is made of, by the recipe that is kept."""

    sku: str
    components: list[ComponentOut]


class KitsOut(_Output):
    kits: list[KitOut]


class EndedKitOut(_Output):
    """`ended`: the recipe that was kept until now; null: none was."""

    ended: KitOut | None


class BackorderOut(_Output):
    """How many units may be short at once, and how many are."""

    sku: str
    location: str
    kind: str
    cap_units: int
    units_short: int


class BackordersOut(_Output):
    backorders: list[BackorderOut]


class LocationOut(_Output):
    location: str
    title: str


class LocationsOut(_Output):
    locations: list[LocationOut]


class OrderOut(_Output):
    """An order in units of the ledger. `units_short`: sold, and no unit is there for them."""

    channel: str
    order_id: str
    placed_at: datetime
    seen_at: datetime
    is_pending: bool
    line_count: int
    units_pending: int
    units_committed: int
    units_shipped: int
    units_short: int
    skus_short: list[str]


class OrdersOut(_Output):
    orders: list[OrderOut]
    next: str | None


class ParkedDeliveryOut(_Output):
    """A delivery that could not be read."""

    inbox_id: int
    channel: str
    topic: str
    received_at: datetime
    reason: str


class ParkedOrderOut(_Output):
    """An order that could not be posted, or not wholly: the newest that was told of it.

    `snapshot_count`: how often it was told of, each time in vain.
    """

    fact_id: int
    channel: str
    order_id: str
    received_at: datetime
    reason: str
    snapshot_count: int


class ParkedListingOut(_Output):
    """A listing that its channel refuses, in the channel's own words."""

    channel: str
    channel_sku: str
    reason: str


class ErrorsOut(_Output):
    """All that waits for a person."""

    deliveries: list[ParkedDeliveryOut]
    orders: list[ParkedOrderOut]
    listings: list[ParkedListingOut]


def listing_out(row: ListingRow, *, now: datetime) -> ListingOut:
    """A listing with the ages of its figures."""
    is_sent_accepted = row.accepted_version == row.sent_version
    return ListingOut(
        channel=row.channel,
        channel_sku=row.channel_sku,
        merchant_sku=row.merchant_sku,
        title=row.title,
        sku=row.sku,
        pack_units=row.pack_units,
        state=row.state,
        phase=row.phase,
        desired=_figure(row.desired_units, row.desired_version, row.desired_at, now),
        sent=_figure(row.sent_units, row.sent_version, row.sent_at, now),
        accepted=_figure(row.sent_units if is_sent_accepted else None, row.accepted_version, row.accepted_at, now),
        verified=_figure(row.verified_units, row.verified_version, row.verified_at, now),
        believed_units=row.belief,
        suspect_units=row.suspect,
        suspense_units=row.suspense_units,
        parked_reason=row.parked_reason,
        unverified_s=row.unverified_s,
        issues=row.issues,
    )


def drift_out(row: DriftRow, *, now: datetime) -> DriftOut:
    """A drift with its size and age. That of a resolved one stopped when it was resolved."""
    return DriftOut(**as_shown(row, now=now))


def _figure(units: int | None, version: int, at: datetime | None, now: datetime) -> FigureOut:
    return FigureOut(units=units, version=version, at=at, age_s=None if at is None else (now - at).total_seconds())
