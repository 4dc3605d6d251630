"""Policies: what each listing may show of what is available to sell, and which rule says so.

A rule belongs to a scope and states some terms. For each listing, term by term, the narrowest rule that states it
wins; `Scope.rank` is that order, and there is no other. What follows from the terms is worked out in `domain.terms`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields, replace

from oneshelf.domain.identity import UNITS_MAX, Channel, Sku
from oneshelf.domain.pattern import fits, narrowness, one_at_most
from oneshelf.errors import MalformedError

PERCENT_MAX = 100
WEIGHT_MAX = 1_000_000
LOW = "low."


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """What a rule is for. Nothing named: everything. A rule names a SKU, a group or a pattern of SKUs, one of them.

    `pattern`: SKUs that it fits, see `domain.pattern`. Only allocation plans have one.
    """

    sku: Sku | None = None
    sku_group: str | None = None
    channel: Channel | None = None
    pattern: str | None = None

    def __post_init__(self) -> None:
        one_at_most(sku=self.sku, sku_group=self.sku_group, pattern=self.pattern)

    @property
    def rank(self) -> tuple[int, int, str, bool]:
        """How narrow it is, larger is narrower: SKU, group, pattern, everything; of each, with a channel or without.

        Of one rank only one rule can reach a listing, so the order is total.
        """
        what = 3 if self.sku is not None else 2 if self.sku_group is not None else 1 if self.pattern is not None else 0
        return (what, *narrowness(self.pattern or ""), self.channel is not None)

    def reaches(self, *, sku: Sku, sku_group: str | None, channel: Channel) -> bool:
        """Whether a listing of this SKU on this channel is in it."""
        return (
            self.sku in {None, sku}
            and (self.sku_group is None or self.sku_group == sku_group)
            and (self.pattern is None or fits(self.pattern, sku))
            and self.channel in {None, channel}
        )

    def __str__(self) -> str:
        named = {"SKU": self.sku, "group": self.sku_group, "SKUs like": self.pattern, "channel": self.channel}
        return ", ".join(f"{what} {name}" for what, name in named.items() if name is not None) or "everything"


@dataclass(frozen=True, slots=True)
class UnknownChannel:
    """Not done: no such channel is connected."""

    channel: Channel


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What a rule states; None: nothing. `domain.terms` says what each does, and in which order.

    Of the SKU's own units: `buffer_units`, `stop_sell_at`, `low_stock_at`, `allocation_units`, `backorder_units`,
    `preorder_units`. Of what the listing shows (packs, where it sells packs): `cap_units`, `floor_units`, `min_units`.
    Of no listing, but of how much wholesale orders may take: `wholesale_percent`, `wholesale_leaves_units`
    (`domain.wholesale.room`).
    """

    percent: int | None = None
    buffer_units: int | None = None
    computed_buffer: bool | None = None
    allocation_units: int | None = None
    stop_sell_at: int | None = None
    backorder_units: int | None = None
    preorder_units: int | None = None
    min_units: int | None = None
    cap_units: int | None = None
    floor_units: int | None = None
    may_oversell: bool | None = None
    margin_weight: int | None = None
    penalty_weight: int | None = None
    low_stock_at: int | None = None
    wholesale_percent: int | None = None
    wholesale_leaves_units: int | None = None

    def __post_init__(self) -> None:
        for name, value in self.stated().items():
            if name in FLAGS:
                if not isinstance(value, bool):
                    raise MalformedError(f"{name} must be true or false")
            elif isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= MOST[name]:
                raise MalformedError(f"{name} must be a whole number from 0 to {MOST[name]}")
        if self.floor_units and not self.may_oversell:
            raise MalformedError(
                f"floor_units {self.floor_units} shows units that may not be there; say may_oversell as well, or "
                "leave the floor out"
            )
        if self.floor_units is not None and self.cap_units is not None and self.floor_units > self.cap_units:
            raise MalformedError(f"floor_units {self.floor_units} is more than cap_units {self.cap_units}")

    def stated(self) -> dict[str, int | bool]:
        """Name -> value of the terms that are stated, in their order."""
        found = {one.name: getattr(self, one.name) for one in fields(self)}
        return {name: value for name, value in found.items() if value is not None}


FLAGS = frozenset({"computed_buffer", "may_oversell"})
TERMS = tuple(one.name for one in fields(Terms))
MOST: Mapping[str, int] = {
    **{name: UNITS_MAX for name in TERMS if name not in FLAGS},
    "percent": PERCENT_MAX,
    "wholesale_percent": PERCENT_MAX,
    "margin_weight": WEIGHT_MAX,
    "penalty_weight": WEIGHT_MAX,
}
NO_TERMS = Terms()
# What no listing follows from.
OF_WHOLESALE = frozenset({"wholesale_percent", "wholesale_leaves_units"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """What is stated for a scope. `low`: what holds instead, term by term, where little is left (`low_stock_at`)."""

    scope: Scope
    terms: Terms = field(default_factory=Terms)
    low: Terms = field(default_factory=Terms)

    def __post_init__(self) -> None:
        if self.scope.pattern is not None:
            raise MalformedError("a policy is for a SKU, a group or everything; only allocation plans have a pattern")
        if self.low.low_stock_at is not None:
            raise MalformedError("low_stock_at says when the terms in low hold; it cannot be one of them")
        stated = [name for name in self.stated() if name.removeprefix(LOW) in OF_WHOLESALE]
        if stated and self.scope.channel is not None:
            raise MalformedError(
                f"{stated[0]} says what wholesale may take, and a rule for channel {self.scope.channel} is about its "
                "listings; state it for a SKU, a group or everything"
            )

    def stated(self) -> dict[str, int | bool]:
        """Name -> value of all that is stated, those of `low` as `low.percent` and the like."""
        return {**self.terms.stated(), **{LOW + name: value for name, value in self.low.stated().items()}}


def rule_of(scope: Scope, stated: Mapping[str, int | bool]) -> Rule:
    """A rule from names and values as `Rule.stated` gives them. Raises MalformedError, also for unknown names."""
    plain: dict[str, int | bool] = {}
    low: dict[str, int | bool] = {}
    for name, value in stated.items():
        term = name.removeprefix(LOW)
        if term not in TERMS:
            raise MalformedError(f"there is no term {name[:40]!r}; there are: {', '.join(TERMS)}, each also as low.…")
        (low if name.startswith(LOW) else plain)[term] = value
    return Rule(scope=scope, terms=Terms(**plain), low=Terms(**low))  # type: ignore[arg-type]  # Terms looks itself.


def changed(rule: Rule, changes: Mapping[str, int | bool | None]) -> Rule:
    """The rule with some terms said anew; None: nothing is stated of that term any more. Raises MalformedError."""
    stated: dict[str, int | bool | None] = {**rule.stated(), **changes}
    return rule_of(rule.scope, {name: value for name, value in stated.items() if value is not None})


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """What holds for one listing. `said_by`: name of a term, as in `Rule.stated` -> the rule that states it."""

    terms: Terms = NO_TERMS
    low: Terms = NO_TERMS
    said_by: Mapping[str, str] = field(default_factory=dict)

    def at(self, available_to_sell: int) -> Policy:
        """What holds when so many units are available to sell: where that is little, the terms in `low` win."""
        threshold = self.terms.low_stock_at
        if threshold is None or available_to_sell > threshold:
            return self if self.low is NO_TERMS else replace(self, low=NO_TERMS)
        said_by = dict(self.said_by)
        low = self.low.stated()
        for name in low:
            said_by[name] = f"{self.said_by[LOW + name]}, low stock"
        return Policy(terms=_free(self.terms.stated() | low), said_by=said_by)

    def stated(self) -> dict[str, int | bool]:
        """Name -> value of all that is stated, as in `Rule.stated`."""
        return {**self.terms.stated(), **{LOW + name: value for name, value in self.low.stated().items()}}

    @property
    def asks_computed_buffer(self) -> bool:
        """Whether one of its two sets keeps back what was measured."""
        return bool(self.terms.computed_buffer or self.low.computed_buffer)

    @property
    def may_oversell(self) -> bool:
        """Whether one of its two sets shows a floor, whatever is there."""
        return any(terms.floor_units and terms.may_oversell for terms in (self.terms, self.low))

    @property
    def split_weight(self) -> int:
        """What the last units are worth here, for a split of scarce ones: the margin that a sale brings and the penalty
        that a cancellation costs, added up. Nothing stated: 1; a listing of weight 0 gets none while another asks.
        """
        margin, penalty = self.terms.margin_weight, self.terms.penalty_weight
        return 1 if margin is None and penalty is None else (margin or 0) + (penalty or 0)


NO_POLICY = Policy()


def policy_from(stated: Mapping[str, int | bool], said_by: Mapping[str, str]) -> Policy:
    """A policy that was stored, see `Policy.stated`. Nothing is judged: it held once."""
    plain = {name: value for name, value in stated.items() if not name.startswith(LOW)}
    low = {name.removeprefix(LOW): value for name, value in stated.items() if name.startswith(LOW)}
    return Policy(terms=_free(plain), low=_free(low), said_by=dict(said_by))


def effective(rules: Iterable[Rule], *, sku: Sku, sku_group: str | None, channel: Channel) -> Policy:
    """What holds for the listings of a SKU on a channel: term by term, what the narrowest rule says that says it."""
    stated: dict[str, int | bool] = {}
    said_by: dict[str, str] = {}
    reaching = (rule for rule in rules if rule.scope.reaches(sku=sku, sku_group=sku_group, channel=channel))
    for rule in sorted(reaching, key=lambda rule: rule.scope.rank):
        said = rule.stated()
        stated |= said
        said_by |= dict.fromkeys(said, str(rule.scope))
    return policy_from(stated, said_by) if stated else NO_POLICY


def _free(stated: Mapping[str, int | bool]) -> Terms:
    """Terms put together from several rules, each of which was judged alone.

    So a floor can meet a cap below it, or somebody's narrower word that nothing may be oversold; `domain.terms` says
    which of them holds.
    """
    terms = object.__new__(Terms)
    for name in TERMS:
        object.__setattr__(terms, name, stated.get(name))
    return terms
