"""What the listings of some SKUs should show, all from one look at the shelf, the rules and each other."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from oneshelf.domain.availability import Derivation, derive, derive_bundle
from oneshelf.domain.command import Component
from oneshelf.domain.identity import Channel, ChannelSku, Location, Sku
from oneshelf.domain.ledger import Balance, BalanceKey
from oneshelf.domain.policy import NO_POLICY, Policy, Rule, Scope, effective
from oneshelf.domain.pool import Pools
from oneshelf.domain.terms import NOTHING_BEYOND, UNCONDITIONAL, Beyond, Conditions, PoolLimit

OfferKey = tuple[Channel, ChannelSku]


@dataclass(frozen=True, slots=True, kw_only=True)
class Offered:
    """A linked listing: what it sells, in packs of how many, and from where. `components`: of a bundle."""

    channel: Channel
    channel_sku: ChannelSku
    sku: Sku
    location: Location
    pack_units: int
    components: tuple[Component, ...] = ()

    @property
    def key(self) -> OfferKey:
        return (self.channel, self.channel_sku)

    @property
    def counted(self) -> tuple[Sku, ...]:
        """The SKUs whose units it sells."""
        return tuple(part.sku for part in self.components) or (self.sku,)


@dataclass(frozen=True, slots=True, kw_only=True)
class Stock:
    """The counted SKUs at one instant. `in_suspense`: SKU -> units, and how often they changed.

    `pools`: of the balances that an allocation plan reaches, less what is in suspense.
    """

    shelves: Mapping[Sku, Mapping[Location, Balance]]
    in_suspense: Mapping[Sku, tuple[int, int]]
    beyond: Mapping[BalanceKey, Beyond] = field(default_factory=dict)
    pools: Mapping[BalanceKey, Pools] = field(default_factory=dict)


class Rules:
    """Rules that may reach some listings, and SKU -> its group."""

    def __init__(self, rules: Iterable[Rule] = (), groups: Mapping[Sku, str] | None = None) -> None:
        self._by_scope = {rule.scope: rule for rule in rules}
        self._groups = groups or {}

    def policy_of(self, offered: Offered) -> Policy:
        """What holds for a listing."""
        return self.policy_for(offered.sku, offered.channel)

    def policy_for(self, sku: Sku, channel: Channel) -> Policy:
        """What holds for the listings of a SKU on a channel."""
        if not self._by_scope:
            return NO_POLICY
        group = self._groups.get(sku)
        # Looked up: to try all rules for each listing would cost their product.
        scopes = [Scope(), Scope(channel=channel), Scope(sku=sku), Scope(sku=sku, channel=channel)]
        if group is not None:
            scopes += [Scope(sku_group=group), Scope(sku_group=group, channel=channel)]
        reaching = [self._by_scope[scope] for scope in scopes if scope in self._by_scope]
        return effective(reaching, sku=sku, sku_group=group, channel=channel)

    def is_reached(self, offered: Offered, scope: Scope) -> bool:
        """Whether a listing is in this scope."""
        return scope.reaches(sku=offered.sku, sku_group=self._groups.get(offered.sku), channel=offered.channel)

    def with_wish(self, scope: Scope, rule: Rule | None) -> Rules:
        """As if this rule stood for its scope; None: as if none did."""
        others = [one for one in self._by_scope.values() if one.scope != scope]
        return Rules([*others, rule] if rule else others, self._groups)


def derive_all(
    offers: Iterable[Offered], rules: Rules, stock: Stock, *, computed_buffers: Mapping[OfferKey, int] | None = None
) -> dict[OfferKey, Derivation]:
    """The derivation of each of these listings. All listings of a SKU must be among them: they share its allocations.

    `computed_buffers`: listing -> the buffer that was measured for it; 0 where none was.
    """
    listed = [(one, rules.policy_of(one)) for one in offers]
    set_aside: Counter[tuple[Sku, Location]] = Counter()
    for one, policy in listed:
        set_aside[one.sku, one.location] += _set_aside(one, policy, stock)
    buffers = computed_buffers or {}
    found: dict[OfferKey, Derivation] = {}
    alike: dict[tuple[object, ...], Derivation] = {}
    for one, policy in listed:
        buffer, elsewhere = buffers.get(one.key, 0), set_aside[one.sku, one.location]
        pool = _pool(one, stock)
        # Most listings of a SKU show the same for the same reasons.
        why = (one.sku, one.location, one.pack_units, one.components, id(policy), buffer, elsewhere, pool)
        derivation = alike.get(why)
        if derivation is None:
            conditions = Conditions(
                policy=policy, computed_buffer_units=buffer, allocated_elsewhere=elsewhere, pool=pool
            )
            derivation = alike[why] = _derive(one, stock, conditions)
        found[one.key] = derivation
    return found


def _set_aside(one: Offered, policy: Policy, stock: Stock) -> int:
    """Units that a listing has for itself."""
    if policy.terms.allocation_units is None and policy.low.allocation_units is None:
        return 0
    available_to_sell = _derive(one, stock, UNCONDITIONAL).available_to_sell
    return policy.at(available_to_sell).terms.allocation_units or 0


def _pool(one: Offered, stock: Stock) -> PoolLimit | None:
    """What its channel's pool lets it show; of a bundle, of whole bundles, that of its scarcest component."""
    if not stock.pools:
        return None
    if not one.components:
        pools = stock.pools.get((one.sku, one.location))
        return pools.limit(one.channel) if pools is not None else None
    limits = []
    for part in one.components:
        if pools := stock.pools.get((part.sku, one.location)):
            limit = pools.limit(one.channel)
            words = f"{limit.words} of {part.sku}, {part.units} in each"
            limits.append(replace(limit, units=limit.units // part.units, words=words))
    return min(limits, key=lambda limit: limit.units, default=None)


def _derive(one: Offered, stock: Stock, conditions: Conditions) -> Derivation:
    if one.components:
        figures = [(part, _derive(_part(one, part), stock, UNCONDITIONAL)) for part in one.components]
        return derive_bundle(figures, pack_units=one.pack_units, conditions=conditions)
    units, changes = stock.in_suspense.get(one.sku, (0, 0))
    shelf = stock.shelves[one.sku]
    beyond = stock.beyond.get((one.sku, one.location), NOTHING_BEYOND)
    return derive(
        available={place: balance.available for place, balance in shelf.items() if place == one.location},
        ledger_versions={place: balance.version for place, balance in shelf.items()},
        in_suspense=units,
        suspense_version=changes,
        pack_units=one.pack_units,
        conditions=replace(conditions, beyond=beyond),
    )


def _part(one: Offered, part: Component) -> Offered:
    """A component of a bundle, by single units."""
    return replace(one, sku=part.sku, pack_units=1, components=())
