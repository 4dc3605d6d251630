"""Tell why a listing shows what it shows, now or at a past instant: identity, ledger, policy, publishing.

Reads: listings, balances, movements, policies, publications, drifts. Writes: nothing.
Next: whoever asked.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TypedDict

from oneshelf.domain.availability import Derivation, bounded
from oneshelf.domain.identity import Location, Sku
from oneshelf.domain.ledger import Balance
from oneshelf.domain.rights import Mode
from oneshelf.flow.deriving import derived_now
from oneshelf.storage import devices, explanations, past, views
from oneshelf.storage.database import Database, Transaction, now
from oneshelf.storage.drifts import DriftRow
from oneshelf.storage.listings import ListingKey


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One of the four figures of a listing. `version`: the plan that it belongs to; None where it was never reached."""

    name: str
    units: int | None
    version: int | None
    at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """Everything between a shelf and a listing at one instant.

    `sku`: None for a listing that is not linked, or of which nothing had been published by then; there is nothing to
    tell then. `shelves`: of each SKU that it sells. `derivation`: of a past instant as it was stored with the figure,
    at `derived_at`; of now as it would be planned now. `is_plan_due`: that is not what is desired yet. `issues`: what
    the channel says is wrong with the listing now; empty for a past instant.
    """

    channel: str
    channel_sku: str
    merchant_sku: str
    title: str
    at: datetime
    is_past: bool
    sku: Sku | None = None
    state: str = ""
    shelves: Mapping[Sku, Mapping[Location, Balance]]
    derivation: Derivation | None = None
    derived_at: datetime | None = None
    is_plan_due: bool = False
    figures: tuple[Figure, ...] = ()
    drift: DriftRow | None = None
    issues: str = ""


async def explain(database: Database, key: ListingKey, *, at: datetime | None = None) -> Explanation | None:
    """Why this listing shows what it shows; None for a listing that its channel has never shown.

    Raises MalformedError for an instant that has not come yet.
    """
    async with database.transaction() as tx:
        await views.freeze(tx)
        names = await explanations.names_of(tx, key)
        if names is None:
            return None
        present = await now(tx)
        if at is not None:
            await past.refuse_future(tx, at)
            return await _past(tx, key, names, at)
        return await _now(tx, key, names, present)


async def _now(tx: Transaction, key: ListingKey, names: explanations.ListingNames, present: datetime) -> Explanation:
    drift = await explanations.drift_at(tx, key, present)
    told = _told(key, names)
    if names.sku is None:
        return Explanation(
            **told, at=present, is_past=False, state="unlinked", shelves={}, drift=drift, issues=names.issues
        )
    derived = await derived_now(tx, [names.sku], at=present)
    derivation = derived.figures[key]
    rows = (await views.listings_of(tx, [names.sku]))[names.sku]
    [row] = [one for one in rows if (one.channel, one.channel_sku) == key]
    is_due = derivation.units != row.desired_units
    guards = derived.guards_of(key)
    if row.desired_units is not None and any(guard.is_guarded for guard in guards):
        # How the units are split depends on what each listing may sell meanwhile: the plan is the one that has done it.
        kept = (await devices.allowances(tx)).get(derived.sold[key].location, 0)
        is_frozen = any(guard.mode is Mode.FROZEN for guard in guards)
        derivation, is_due = bounded(derivation, row.desired_units, kept_for_tills=kept, is_frozen=is_frozen), False
    figures = (
        Figure(name="desired", units=row.desired_units, version=row.desired_version, at=row.desired_at),
        Figure(name="sent", units=row.sent_units, version=row.sent_version, at=row.sent_at),
        Figure(name="accepted", units=None, version=row.accepted_version, at=row.accepted_at),
        Figure(name="verified", units=row.verified_units, version=row.verified_version, at=row.verified_at),
    )
    return Explanation(
        **told,
        at=present,
        is_past=False,
        sku=names.sku,
        state=row.state,
        shelves=derived.stock.shelves,
        derivation=derivation,
        derived_at=present,
        is_plan_due=is_due,
        figures=figures,
        drift=drift,
        issues=names.issues,
    )


async def _past(tx: Transaction, key: ListingKey, names: explanations.ListingNames, at: datetime) -> Explanation:
    drift = await explanations.drift_at(tx, key, at)
    published = await explanations.published_at(tx, key, at)
    told = _told(key, names)
    if published is None:
        return Explanation(**told, at=at, is_past=True, state="unpublished", shelves={}, drift=drift)
    derivation = published.derivation
    counted = [one.sku for one in derivation.components] or [published.sku]
    reached = (
        ("desired", published.planned_at),
        ("sent", published.sent_at),
        ("accepted", published.accepted_at),
        ("verified", published.verified_at),
    )
    return Explanation(
        **told,
        at=at,
        is_past=True,
        sku=published.sku,
        state=[name for name, instant in reached if instant is not None][-1],
        shelves={sku: (await past.read(tx, sku, at)).balances for sku in counted},
        derivation=derivation,
        derived_at=published.planned_at,
        figures=tuple(
            Figure(
                name=name,
                units=None if instant is None else derivation.units,
                version=None if instant is None else derivation.version,
                at=instant,
            )
            for name, instant in reached
        ),
        drift=drift,
    )


class _Told(TypedDict):
    channel: str
    channel_sku: str
    merchant_sku: str
    title: str


def _told(key: ListingKey, names: explanations.ListingNames) -> _Told:
    return {"channel": key[0], "channel_sku": key[1], "merchant_sku": names.merchant_sku, "title": names.title}
