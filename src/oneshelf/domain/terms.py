"""From what is available to sell to the figure of a listing, step by step, by the terms of its policy.

The steps, in this order; each rounds down, and is left out where no rule states its term:

1. `stop_sell_at`: with so many or fewer available to sell the listing shows 0, and no other step follows.
2. `allocation_units`: so many are set aside for this listing, so it shows at most these. Listings of the same SKU that
   have no allocation leave to it what others have set aside. Of an allocation plan: at most what is left in the pool
   of its channel.
3. `percent` of what is left.
4. `buffer_units`, or what was measured where `computed_buffer` says so, the larger of both, is kept back.
5. What may be promised beyond the shelf (a backorder or preorder of the ledger, less what is short already) is offered
   on top, of each kind at most `backorder_units` or `preorder_units`.
6. Whole packs only. From here on a unit is what the listing sells.
7. `min_units`: fewer than that are shown as 0.
8. `floor_units`: at least so many are shown, only where `may_oversell` says so too.
9. `cap_units`: never more than that, whatever the floor says.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from oneshelf.domain.identity import UNITS_MAX
from oneshelf.domain.ledger import BackorderKind
from oneshelf.domain.policy import NO_POLICY, Policy


@dataclass(frozen=True, slots=True)
class Step:
    """One step: the units before and after it, and the rule that said so; "" for what holds without a rule."""

    name: str
    before: int
    after: int
    rule: str = ""


@dataclass(frozen=True, slots=True)
class Beyond:
    """So many units may be promised now beyond the shelf, those already short taken off."""

    units: int = 0
    kind: BackorderKind = BackorderKind.BACKORDER


NOTHING_BEYOND = Beyond()


@dataclass(frozen=True, slots=True)
class PoolLimit:
    """What the pool of a listing's channel lets it show, why in words, and the plan that says so (`domain.pool`)."""

    units: int
    words: str
    rule: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Conditions:
    """What the figure of a listing follows from beside its shelf. `beyond`: units of the SKU, or whole bundles.

    `computed_buffer_units`: what was measured for this listing, 0 when unknown. `allocated_elsewhere`: units that other
    listings of the SKU have set aside. `pool`: what an allocation plan lets it show; None: no plan reaches it.
    """

    policy: Policy = NO_POLICY
    beyond: Beyond = NOTHING_BEYOND
    computed_buffer_units: int = 0
    allocated_elsewhere: int = 0
    pool: PoolLimit | None = None


UNCONDITIONAL = Conditions()


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer(Conditions):
    """What a listing is given to show. `available_to_sell` in units of the SKU, whole bundles of a bundle."""

    available_to_sell: int
    pack_units: int = 1


@dataclass(slots=True)
class _Walk:
    policy: Policy
    units: int
    steps: list[Step] = field(default_factory=list)

    def to(self, units: int, name: str, *terms: str, rule: str = "") -> None:
        """Take a step: to `units`, because of these terms, or of what `rule` says."""
        said = dict.fromkeys(self.policy.said_by[term] for term in terms if term in self.policy.said_by)
        self.steps.append(Step(name, self.units, units, rule or "; ".join(said)))
        self.units = units


def walk(offer: Offer) -> tuple[Step, ...]:
    """The steps from what is available to sell to the figure. None where nothing is said and nothing is packed."""
    policy = offer.policy.at(offer.available_to_sell)
    terms = policy.terms
    way = _Walk(policy, offer.available_to_sell)
    if terms.stop_sell_at is not None and offer.available_to_sell <= terms.stop_sell_at:
        way.to(0, f"stop selling at {terms.stop_sell_at}", "stop_sell_at")
        return tuple(way.steps)
    _of_the_shelf(way, offer)
    _beyond_it(way, offer)
    if offer.pack_units > 1:
        way.to(way.units // offer.pack_units, f"whole packs of {offer.pack_units}")
    _of_the_listing(way)
    if way.units > UNITS_MAX:
        way.to(UNITS_MAX, "the most that is shown anywhere")
    return tuple(way.steps)


def shown(offer: Offer, steps: tuple[Step, ...]) -> int:
    """The figure at the end of the steps, in units of the listing."""
    return steps[-1].after if steps else offer.available_to_sell


def units_beyond(offer: Offer, units: int) -> int:
    """How many units of the SKU a figure shows beyond what is there and what the ledger may promise: its exposure.

    Only a floor can do that, so it is 0 for every listing without one.
    """
    return max(0, units * offer.pack_units - offer.available_to_sell - offer.beyond.units)


def _of_the_shelf(way: _Walk, offer: Offer) -> None:
    terms = way.policy.terms
    if terms.allocation_units is not None:
        way.to(min(way.units, terms.allocation_units), f"set aside {terms.allocation_units}", "allocation_units")
    elif offer.allocated_elsewhere:
        left = max(0, way.units - offer.allocated_elsewhere)
        way.to(left, f"{offer.allocated_elsewhere} are set aside for other listings")
    if offer.pool is not None:
        way.to(min(way.units, offer.pool.units), offer.pool.words, rule=offer.pool.rule)
    if terms.percent is not None:
        way.to(way.units * terms.percent // 100, f"{terms.percent} percent", "percent")
    if terms.buffer_units is not None or terms.computed_buffer:
        computed = offer.computed_buffer_units if terms.computed_buffer else 0
        buffer = max(terms.buffer_units or 0, computed)
        name = f"computed buffer of {buffer}" if terms.computed_buffer and buffer == computed else f"buffer of {buffer}"
        way.to(max(0, way.units - buffer), name, "buffer_units", "computed_buffer")


def _beyond_it(way: _Walk, offer: Offer) -> None:
    if not offer.beyond.units:
        return
    is_preorder = offer.beyond.kind is BackorderKind.PREORDER
    most = way.policy.terms.preorder_units if is_preorder else way.policy.terms.backorder_units
    more = offer.beyond.units if most is None else min(most, offer.beyond.units)
    way.to(way.units + more, f"{more} on {offer.beyond.kind.value}", f"{offer.beyond.kind.value}_units")


def _of_the_listing(way: _Walk) -> None:
    terms = way.policy.terms
    if terms.min_units is not None:
        way.to(way.units if way.units >= terms.min_units else 0, f"at least {terms.min_units} or none", "min_units")
    if terms.floor_units is not None and terms.may_oversell:
        way.to(max(way.units, terms.floor_units), f"floor of {terms.floor_units}", "floor_units", "may_oversell")
    if terms.cap_units is not None:
        way.to(min(way.units, terms.cap_units), f"cap of {terms.cap_units}", "cap_units")
