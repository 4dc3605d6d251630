"""Work out what each listing should show.

Reads: touched SKUs, balances. Writes: the desired figure of their listings with its derivation.
Next: push.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from oneshelf.domain.availability import Derivation, derive
from oneshelf.domain.identity import Location, Sku
from oneshelf.domain.ledger import Balance
from oneshelf.domain.listing import Listing, Phase
from oneshelf.storage import balances, publications, touched
from oneshelf.storage.database import Database, now

BATCH = 1000


async def plan(database: Database) -> int:
    """Plan one batch of touched SKUs. Returns how many SKUs."""
    async with database.transaction() as tx:
        skus = await touched.claim(tx, limit=BATCH)
        if not skus:
            return 0
        plannable = await publications.lock_for_planning(tx, skus)
        # After the lock: whoever plans a SKU last has read the newest balances.
        at = await now(tx)
        shelves = await balances.read(tx, skus)
        await publications.set_desired(tx, _plans(plannable, shelves), at=at)
    return len(skus)


def _plans(
    plannable: Sequence[publications.Plannable], shelves: Mapping[Sku, Mapping[Location, Balance]]
) -> list[publications.Planned]:
    plans = []
    in_suspense: Counter[Sku] = Counter()
    suspense_versions: Counter[Sku] = Counter()
    for candidate in plannable:
        in_suspense[candidate.listing.sku] += candidate.listing.suspense_units * candidate.pack_units
        suspense_versions[candidate.listing.sku] += candidate.suspense_version
    for listing, location, pack_units, _suspense_version in plannable:
        shelf = shelves[listing.sku]
        derivation = derive(
            available={place: balance.available for place, balance in shelf.items() if place == location},
            ledger_versions={place: balance.version for place, balance in shelf.items()},
            in_suspense=in_suspense[listing.sku],
            suspense_version=suspense_versions[listing.sku],
            pack_units=pack_units,
        )
        if derivation.version > listing.desired_version or listing.desired_units != derivation.units:
            plans.append(publications.Planned(listing, derivation, _is_news(listing, derivation)))
    return plans


def _is_news(listing: Listing, derivation: Derivation) -> bool:
    """Whether the channel has to be written or read: not when it is proved to show this very figure already."""
    is_settled = (
        listing.phase is Phase.IDLE
        and listing.suspicion is None
        and listing.verified_version == listing.sent_version == listing.desired_version
    )
    return not (is_settled and listing.verified_units == listing.belief == derivation.units)
