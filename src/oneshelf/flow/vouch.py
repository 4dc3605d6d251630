"""Say whether what a buyer is about to pay for can still be sold, by the ledger as it is now.

Reads: listings, balances, policies, pools, what listings may sell. Writes: nothing, and holds nothing back.
Next: whoever asked.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import NamedTuple

from oneshelf.domain.availability import Derivation, recompute
from oneshelf.domain.identity import Channel, Sku
from oneshelf.domain.offering import OfferKey
from oneshelf.domain.rights import Mode
from oneshelf.flow.deriving import Derived, derived_now
from oneshelf.sdk.checkout import CheckoutAnswer, CheckoutOutcome, CheckoutQuestion
from oneshelf.storage import offers, views
from oneshelf.storage.database import Database, now


class Vouched(NamedTuple):
    """An answer for each question, in their order, all as of `at`."""

    answers: list[CheckoutAnswer]
    at: datetime


async def vouch(database: Database, channel: Channel, questions: Sequence[CheckoutQuestion]) -> Vouched:
    """How many can be sold now of each listing that is asked about: what it would show if it were planned now.

    What is asked in one call may be one order, so it is a yes where there is enough for all of it: of one SKU it is
    added up, and of units that several listings sell (packs, bundles) what the others take is gone. Of several listings
    with one SKU nobody says which is bought: the one with the fewest counts.
    """
    asked: Counter[str] = Counter()
    for question in questions:
        if question.is_here:
            asked[question.sku] += question.units
    async with database.transaction() as tx:
        await views.freeze(tx)
        at = await now(tx)
        found = await offers.asked_of(tx, channel, asked) if asked else []
        derived = await derived_now(tx, {one.sku for one in found if one.is_live}, at=at)
    named: defaultdict[str, list[offers.Asked]] = defaultdict(list)
    for one in found:
        for name in {str(one.key[1]), one.merchant_sku}:
            named[name].append(one)
    chosen = {
        name: min(live, key=lambda one: _sellable(one, derived, {}))
        for name in asked
        if (live := [one for one in named[name] if one.is_live])
    }
    taken = {name: _taken(one, derived, units=asked[name]) for name, one in chosen.items()}
    all_taken: Counter[Sku] = Counter()
    for units in taken.values():
        all_taken.update(units)

    def answer(name: str) -> CheckoutAnswer:
        one = chosen.get(name)
        if one is None:
            return CheckoutAnswer(CheckoutOutcome.NOT_LIVE if named[name] else CheckoutOutcome.UNKNOWN)
        others = {sku: all_taken[sku] - units for sku, units in taken[name].items()}
        is_enough = asked[name] <= _sellable(one, derived, others)
        outcome = CheckoutOutcome.AVAILABLE if is_enough else CheckoutOutcome.TOO_FEW
        return CheckoutAnswer(outcome, _sellable(one, derived, {}))

    told = {name: answer(name) for name in asked}
    answers = [
        told[question.sku] if question.is_here else CheckoutAnswer(CheckoutOutcome.ELSEWHERE) for question in questions
    ]
    return Vouched(answers, at)


def _taken(one: offers.Asked, derived: Derived, *, units: int) -> Counter[Sku]:
    """The units that so many of a listing are counted as."""
    sold = derived.sold[one.key]
    parts = {part.sku: part.units for part in sold.components} or {sold.sku: 1}
    return Counter({sku: units * sold.pack_units * each for sku, each in parts.items()})


def _sellable(one: offers.Asked, derived: Derived, gone: Mapping[Sku, int]) -> int:
    """How many of a listing can be sold once these units are gone."""
    guards, units = derived.guards_of(one.key), derived.figures[one.key].units
    if any(gone.get(sku) for sku in derived.sold[one.key].counted):
        units = recompute(_without(derived, one.key, gone))
    if any(guard.mode is Mode.FROZEN for guard in guards):
        return 0
    if any(guard.is_guarded for guard in guards):
        # Its part, once it is planned and once it is granted: what is taken from it need not be written yet, and what
        # is given to it another listing may still sell.
        return min(units, one.desired_units or 0, one.rights_units or 0)
    return units


def _without(derived: Derived, key: OfferKey, gone: Mapping[Sku, int]) -> Derivation:
    """What a listing's figure follows from once these units are gone."""
    sold, figure = derived.sold[key], derived.figures[key]
    parts = {part.sku: part.units for part in sold.components} or {sold.sku: 1}
    pool = figure.conditions.pool
    if pool is not None:
        left = [
            (pools.limit(key[0]).units - gone.get(sku, 0)) // each
            for sku, each in parts.items()
            if (pools := derived.stock.pools.get((sku, sold.location)))
        ]
        pool = replace(pool, units=max(0, min(left)))
    if not figure.components:
        figure = _less(figure, gone.get(sold.sku, 0))
    components = tuple(replace(part, figure=_less(part.figure, gone.get(part.sku, 0))) for part in figure.components)
    return replace(figure, components=components, conditions=replace(figure.conditions, pool=pool))


def _less(figure: Derivation, units: int) -> Derivation:
    """A SKU of which so many units are gone: from the shelf first, then of what may be promised beyond it."""
    of_the_shelf = min(units, figure.available_to_sell)
    beyond = figure.conditions.beyond
    beyond = replace(beyond, units=max(0, beyond.units - (units - of_the_shelf)))
    return replace(
        figure,
        available={place: there - of_the_shelf for place, there in figure.available.items()},
        conditions=replace(figure.conditions, beyond=beyond),
    )
