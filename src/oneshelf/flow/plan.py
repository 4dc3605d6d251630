"""Work out what each listing should show.

Reads: touched SKUs, bundles, balances, policies. Writes: the desired figure of their listings with its derivation.
Next: push.
"""

from __future__ import annotations

from collections.abc import Sequence

from oneshelf.domain.availability import Derivation, at_least
from oneshelf.domain.identity import Sku
from oneshelf.domain.listing import Listing, Phase
from oneshelf.domain.offering import Offered, Rules, Stock, derive_all
from oneshelf.storage import backorders, balances, policies, publications, touched
from oneshelf.storage.database import Database, now

BATCH = 1000


async def plan(database: Database) -> int:
    """Plan one batch of touched SKUs. Returns how many SKUs."""
    async with database.transaction() as tx:
        skus = await touched.claim(tx, limit=BATCH)
        if not skus:
            return 0
        plannable = await publications.lock_for_planning(tx, skus)
        # After the lock: whoever plans a SKU last has read the newest balances, and what is in suspense.
        at = await now(tx)
        counted = {sku for candidate in plannable for sku in _counted(candidate)}
        shelves = await balances.read(tx, counted)
        has_bundle = any(candidate.components for candidate in plannable)
        in_suspense = await publications.in_suspense(tx, counted) if has_bundle else _in_suspense(plannable)
        beyond = await backorders.beyond(tx, counted)
        rules = await policies.rules_of(tx, {(one.listing.sku, one.listing.channel) for one in plannable})
        stock = Stock(shelves=shelves, in_suspense=in_suspense, beyond=beyond)
        await publications.set_desired(tx, _plans(plannable, rules, stock), at=at)
    return len(skus)


def _counted(candidate: publications.Plannable) -> list[Sku]:
    return [part.sku for part in candidate.components] or [candidate.listing.sku]


def _in_suspense(plannable: Sequence[publications.Plannable]) -> dict[Sku, tuple[int, int]]:
    """Where no bundle is near, the locked listings are all that sell these SKUs."""
    found: dict[Sku, tuple[int, int]] = {}
    for candidate in plannable:
        units, changes = found.get(candidate.listing.sku, (0, 0))
        units += candidate.listing.suspense_units * candidate.pack_units
        found[candidate.listing.sku] = (units, changes + candidate.suspense_version)
    return found


def _offered(candidate: publications.Plannable) -> Offered:
    return Offered(
        channel=candidate.listing.channel,
        channel_sku=candidate.listing.channel_sku,
        sku=candidate.listing.sku,
        location=candidate.location,
        pack_units=candidate.pack_units,
        components=candidate.components,
    )


def _plans(
    plannable: Sequence[publications.Plannable],
    rules: Rules,
    stock: Stock,
) -> list[publications.Planned]:
    offers = [_offered(candidate) for candidate in plannable]
    derived = derive_all(offers, rules, stock)
    plans = []
    for candidate in plannable:
        listing, derivation = candidate.listing, derived[candidate.listing.key]
        is_other = listing.desired_units != derivation.units
        # A figure of which nothing is counted yet is not written to a channel: it keeps version 0.
        if (is_other or _has_left(listing, derivation)) and derivation.version > 0:
            derivation = at_least(derivation, listing.desired_version + 1)
        if derivation.version > listing.desired_version or is_other:
            plans.append(publications.Planned(listing, derivation, _is_news(listing, derivation)))
    return plans


def _has_left(listing: Listing, derivation: Derivation) -> bool:
    """Whether the listing showed this figure, and orders have changed that although the balance is what it was.

    So it is when an order is cancelled for which nothing was there: the channel offers its units again, and there are
    none.
    """
    is_all_sent = listing.phase in {Phase.IDLE, Phase.ACCEPTED} and listing.sent_version == listing.desired_version
    return is_all_sent and listing.suspicion is None and listing.belief not in {None, derivation.units}


def _is_news(listing: Listing, derivation: Derivation) -> bool:
    """Whether the channel has to be written or read: not when it is proved to show this very figure already."""
    is_settled = (
        listing.phase is Phase.IDLE
        and listing.suspicion is None
        and listing.verified_version == listing.sent_version == listing.desired_version
    )
    return not (is_settled and listing.verified_units == listing.belief == derivation.units)
