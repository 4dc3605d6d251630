"""Work out what each listing should show.

Reads: touched SKUs, bundles, balances, policies, allocation plans, what listings may sell, what wholesale orders wait
for. Writes: the desired figure of their listings with its derivation; whether a SKU is guarded; the pools of its
allocation plan.
Next: push.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from fractions import Fraction
from typing import NamedTuple

from oneshelf.domain.availability import Derivation, at_least, bounded
from oneshelf.domain.demand import Demand, Kept, threshold_while_silent
from oneshelf.domain.identity import Channel, Location, Sku
from oneshelf.domain.ledger import BalanceKey
from oneshelf.domain.listing import Listing, Phase
from oneshelf.domain.offering import Offered, Stock
from oneshelf.domain.rights import Mode, Seller, Standing, desired, is_guarded, scarcest
from oneshelf.domain.terms import Beyond
from oneshelf.flow.deriving import figures_of
from oneshelf.flow.pooling import Shelves, keep_pools
from oneshelf.flow.room import rooms
from oneshelf.storage import (
    backorders,
    balances,
    budgets,
    demand,
    devices,
    hearing,
    policies,
    publications,
    rights,
    touched,
    wholesale,
)
from oneshelf.storage.database import Database, Transaction, now
from oneshelf.storage.listings import ListingKey

BATCH = 1000
# Of a listing that gets none while another one asks.
LEAST_WEIGHT = Fraction(1, 1_000_000)

BeyondShelf = Mapping[BalanceKey, Beyond]
Derived = list[tuple[publications.Plannable, Derivation]]


async def plan(database: Database, *, blind: Collection[Channel] = ()) -> int:
    """Plan one batch of touched SKUs. `blind`: channels that do not compare what is written. Returns how many SKUs."""
    async with database.transaction() as tx:
        skus, has_pools = await touched.claim(tx, limit=BATCH)
        if not skus:
            return 0
        plannable = await publications.lock_for_planning(tx, skus)
        # After the lock: whoever plans a SKU last has read the newest balances, and what is in suspense.
        at = await now(tx)
        counted = {sku for candidate in plannable for sku in candidate.needs}
        shelves = await balances.read(tx, counted)
        has_bundle = any(candidate.components for candidate in plannable)
        in_suspense = await publications.in_suspense(tx, counted) if has_bundle else _in_suspense(plannable)
        beyond = await backorders.beyond(tx, counted)
        pools = await keep_pools(tx, shelves, _whole(plannable, skus), at=at) if has_pools else {}
        stock = Stock(shelves=shelves, in_suspense=in_suspense, beyond=beyond, pools=pools)
        derived = await _derive(tx, plannable, stock)
        shared = await _shared(tx, skus, derived, shelves, beyond)
        bounds = await _guard(tx, shared, derived, shelves, blind)
        await publications.set_desired(tx, _plans(derived, bounds), at=at)
    return len(skus)


def _whole(plannable: Sequence[publications.Plannable], claimed: Collection[Sku]) -> set[Sku]:
    """SKUs of which all listings are here. Of a component that a bundle has brought in they are not."""
    return {*claimed, *(sku for one in plannable if one.listing.sku in claimed for sku in one.needs)}


def _in_suspense(plannable: Sequence[publications.Plannable]) -> dict[Sku, tuple[int, int]]:
    """Where no bundle is near, the locked listings are all that sell these SKUs."""
    found: dict[Sku, tuple[int, int]] = {}
    for candidate in plannable:
        units, changes = found.get(candidate.listing.sku, (0, 0))
        units += candidate.listing.suspense_units * candidate.pack_units
        found[candidate.listing.sku] = (units, changes + candidate.suspense_version)
    return found


def _offer(candidate: publications.Plannable) -> Offered:
    return Offered(
        channel=candidate.listing.channel,
        channel_sku=candidate.listing.channel_sku,
        sku=candidate.listing.sku,
        location=candidate.location,
        pack_units=candidate.pack_units,
        components=candidate.components,
    )


async def _derive(tx: Transaction, plannable: Sequence[publications.Plannable], stock: Stock) -> Derived:
    """What each shows by its policy, and by the buffer that was measured for it."""
    rules = await policies.rules_of(tx, {(one.listing.sku, one.listing.channel) for one in plannable})
    derived = await figures_of(tx, [_offer(one) for one in plannable], rules, stock)
    return [(candidate, derived[candidate.listing.key]) for candidate in plannable]


# Guarded SKUs ---------------------------------------------------------------------------------------------------------


class _Bounds(NamedTuple):
    """Figures of listings that sell a guarded SKU; None: this one stays as it is until its write is settled.

    `tills`: location -> units that tills there may sell unseen.
    """

    figures: dict[ListingKey, int | None]
    frozen: set[Sku]
    tills: Mapping[Location, int]


class _Shared(NamedTuple):
    """SKUs that are not simply pooled, and those of them that are guarded now. `frozen`: nothing of these is sold.

    `tills`: location -> units that tills there may sell unseen.
    """

    guards: Mapping[Sku, rights.Guard]
    guarded: set[Sku]
    frozen: set[Sku]
    tills: Mapping[Location, int]


async def _shared(
    tx: Transaction, claimed: Collection[Sku], derived: Derived, shelves: Shelves, beyond: BeyondShelf
) -> _Shared:
    """How the SKUs of these listings are shared now. `claimed`: those that are planned."""
    counted = {sku for candidate, _ in derived for sku in candidate.needs}
    guards = await rights.guards(tx, counted | {candidate.listing.sku for candidate, _ in derived})
    frozen = {sku for sku, guard in guards.items() if guard.mode is Mode.FROZEN}
    whole = _whole([candidate for candidate, _ in derived], claimed)
    mine = {sku: guard for sku, guard in guards.items() if sku in counted and sku in whole}
    tills = await devices.allowances(tx) if guards else {}
    are_guarded = await _are_guarded(tx, mine, derived, shelves, beyond, tills)
    # A bundle has no units of its own to share: its components have.
    are_guarded.update((sku, sku in frozen) for sku in guards if sku not in counted)
    await rights.set_guarded(tx, {sku: now for sku, now in are_guarded.items() if now is not guards[sku].is_guarded})
    guarded = {sku for sku, guard in guards.items() if are_guarded.get(sku, guard.is_guarded)}
    return _Shared(guards, guarded, frozen, tills)


async def _are_guarded(
    tx: Transaction,
    guards: Mapping[Sku, rights.Guard],
    derived: Derived,
    shelves: Shelves,
    beyond: BeyondShelf,
    tills: Mapping[Location, int],
) -> dict[Sku, bool]:
    """Whether what the listings of each of these SKUs may sell is bounded. All that sell them are in `derived`."""
    if not guards:
        return {}
    channels = await hearing.heard(tx)
    silent = {one.channel: one.silent_s for one in channels if one.silent_s}
    # One more cancellation may cost the channel or the listing: no unit of these is offered twice.
    tight = await budgets.tight_skus(tx, guards) if any(one.is_tight for one in channels) else set()
    unknown = hearing.threshold_of_unknown(channels)
    sold_at: dict[Sku, set[tuple[Channel, Location]]] = defaultdict(set)
    exempt: set[Sku] = set()
    for candidate, derivation in derived:
        for sku in candidate.needs:
            sold_at[sku].add((candidate.listing.channel, candidate.location))
        if candidate.is_watched or derivation.conditions.policy.may_oversell:
            exempt.update(candidate.needs)
    found = {}
    for sku, guard in guards.items():
        places = {place for _, place in sold_at[sku]}
        silent_s = max((silent.get(channel, 0.0) for channel, _ in sold_at[sku]), default=0.0)
        found[sku] = is_guarded(
            guard.mode,
            was_guarded=guard.is_guarded,
            available=scarcest(
                shelves[sku][place].available - tills.get(place, 0) for place in places if place in shelves[sku]
            ),
            threshold=_threshold(guard, unknown, silent_s),
            is_tight=sku in tight,
            is_exempt=sku in exempt or any((sku, place) in beyond for place in places),
        )
    return found


def _threshold(guard: rights.Guard, unknown: Kept, silent_s: float) -> int:
    """Available units at or below which the pool of a SKU in mode auto has to be split."""
    believed, units, window_s = guard.measured or (Demand(), unknown.units, unknown.window_s)
    if not silent_s:
        return units if guard.guard_at_units is None else guard.guard_at_units
    return max(guard.guard_at_units or 0, threshold_while_silent(believed, window_s=window_s, silent_s=silent_s))


async def _guard(
    tx: Transaction, shared: _Shared, derived: Derived, shelves: Shelves, blind: Collection[Channel]
) -> _Bounds:
    """What listings of guarded SKUs should show, so that all of them may sell what is available and no more."""
    guarded, frozen = shared.guarded, shared.frozen
    bound = [(one, by_policy) for one, by_policy in derived if not guarded.isdisjoint((*one.needs, one.listing.sku))]
    if not bound:
        return _Bounds({}, frozen, shared.tills)
    granted = await rights.granted(tx, guarded)
    earmarked = await _earmarked(tx, guarded, shelves)
    rates = await demand.rates(tx, {(one.listing.sku, one.listing.channel) for one, _ in bound})
    figures: dict[ListingKey, int | None] = {}
    for place in sorted({one.location for one, _ in bound}):
        here = [(one, by_policy) for one, by_policy in bound if one.location == place]
        caps = {
            one.listing.key: by_policy.units if frozen.isdisjoint((*one.needs, one.listing.sku)) else 0
            for one, by_policy in here
        }
        sellers = {
            one.listing.key: Seller(
                # What is pooled bounds nobody: others may sell the same units of it.
                needs={sku: each for sku, each in one.needs.items() if sku in guarded},
                rights=one.listing.rights,
                in_suspense=one.listing.suspense_units,
                cap=caps[one.listing.key],
                standing=_standing(one),
                weight=_weight(by_policy, rates[one.listing.sku, one.listing.channel]),
                is_blind=one.listing.channel in blind,
            )
            for one, by_policy in here
            if one.listing.rights is not None and not guarded.isdisjoint(one.needs)
        }
        available = {
            sku: max(
                0,
                balance_of[place].available
                - shared.guards[sku].allowance_units
                - shared.tills.get(place, 0)
                - earmarked.get((sku, place), 0),
            )
            if place in balance_of
            else 0
            for sku, balance_of in shelves.items()
            if sku in guarded
        }
        wanted = desired(sellers, _offered(sellers, available, granted, place))
        figures.update(
            (one.listing.key, _figure(one.listing, sellers.get(one.listing.key), wanted, caps[one.listing.key]))
            for one, _ in here
        )
    return _Bounds(figures, frozen, shared.tills)


async def _earmarked(tx: Transaction, guarded: Collection[Sku], shelves: Shelves) -> dict[BalanceKey, int]:
    """Units of guarded SKUs that wholesale orders wait for and may have: no listing is to sell them.

    They are set aside once no listing may, so listings are cut for them first.
    """
    waiting = await wholesale.backordered(tx, guarded)
    if not waiting:
        return {}
    available = {(sku, at): shelves[sku][at].available for sku, at in waiting if at in shelves.get(sku, {})}
    left = await rooms(tx, available)
    return {key: min(waiting[key], units) for key, units in left.items()}


def _weight(derivation: Derivation, rate_per_s: float) -> Fraction:
    """Its part of the sales, in tenths of units a day, times what a sale there is worth; of a pool, what is left."""
    if derivation.conditions.pool is not None:
        return max(LEAST_WEIGHT, Fraction(derivation.conditions.pool.units))
    return max(1, round(rate_per_s * 864_000)) * max(LEAST_WEIGHT, Fraction(derivation.conditions.policy.split_weight))


def _standing(candidate: publications.Plannable) -> Standing:
    listing = candidate.listing
    if not candidate.is_live or listing.phase is Phase.PARKED:
        return Standing.SHUT
    is_certain = listing.rights == max(0, listing.belief or 0) + listing.suspense_units
    is_settled = listing.phase in {Phase.IDLE, Phase.ACCEPTED} and listing.suspicion is None
    return Standing.OPEN if is_certain and is_settled else Standing.WAITING


def _offered(
    sellers: Mapping[ListingKey, Seller],
    available: Mapping[Sku, int],
    granted: Mapping[tuple[Sku, Location], rights.Granted],
    place: Location,
) -> dict[Sku, int]:
    """What these listings may sell together: what is available, less what others of the same SKUs may sell."""
    mine: dict[Sku, int] = defaultdict(int)
    for seller in sellers.values():
        for sku, units in seller.needs.items():
            mine[sku] += seller.rights * units
    offered = {}
    for sku, units in mine.items():
        all_granted = granted.get((sku, place), rights.Granted(0, has_unread=False))
        free = available[sku] - all_granted.units
        # Where a listing was never read, nobody knows what it sells: nothing is given to the others.
        offered[sku] = units + (min(0, free) if all_granted.has_unread else free)
    return offered


def _figure(listing: Listing, seller: Seller | None, wanted: Mapping[ListingKey, int], cap: int) -> int | None:
    if seller is None or seller.standing is Standing.SHUT:
        return min(cap, listing.rights or 0)
    if seller.standing is Standing.OPEN:
        return wanted[listing.key]
    return cap if listing.desired_units is not None and cap < listing.desired_units else None


# Versions -------------------------------------------------------------------------------------------------------------


def _plans(derived: Derived, bounds: _Bounds) -> list[publications.Planned]:
    plans = []
    for candidate, pooled in derived:
        listing, derivation = candidate.listing, pooled
        is_frozen = not bounds.frozen.isdisjoint((*candidate.needs, listing.sku))
        if listing.key in bounds.figures:
            units = bounds.figures[listing.key]
            if units is None:
                continue
            kept = bounds.tills.get(candidate.location, 0)
            derivation = bounded(pooled, units, kept_for_tills=kept, is_frozen=is_frozen)
        is_other = listing.desired_units != derivation.units
        # A figure of which nothing is counted yet is not written to a channel: it keeps version 0. To sell nothing
        # needs no count.
        may_write = derivation.version > 0 or is_frozen
        if (is_other or _has_left(candidate, derivation)) and may_write:
            derivation = at_least(derivation, listing.desired_version + 1)
        if derivation.version > listing.desired_version or is_other:
            plans.append(publications.Planned(listing, derivation, _is_news(listing, derivation)))
    return plans


def _has_left(candidate: publications.Plannable, derivation: Derivation) -> bool:
    """Whether the listing showed this figure, and orders have changed that although the balance is what it was.

    So it is when an order is cancelled for which nothing was there: the channel offers its units again, and there are
    none. A drift is left to whoever decides upon it, at once or later.
    """
    listing = candidate.listing
    is_all_sent = listing.phase in {Phase.IDLE, Phase.ACCEPTED} and listing.sent_version == listing.desired_version
    is_calm = listing.suspicion is None and not candidate.is_drifting
    return is_all_sent and is_calm and listing.belief not in {None, derivation.units}


def _is_news(listing: Listing, derivation: Derivation) -> bool:
    """Whether the channel has to be written or read: not when it is proved to show this very figure already."""
    is_settled = (
        listing.phase is Phase.IDLE
        and listing.suspicion is None
        and listing.verified_version == listing.sent_version == listing.desired_version
    )
    return not (is_settled and listing.verified_units == listing.belief == derivation.units)
