"""Sources of truth: who decides what a SKU's figure at a location is, where two systems say different things.

A rule belongs to a scope and is taken whole: the narrowest that reaches a figure decides, `Scope.rank` is the order,
and of two patterns alike the one with more letters of its own, then the first by the alphabet. Where no rule reaches,
the engine rules: facts move stock, and what anybody states is only held against it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from oneshelf.domain.command import CountedFigure
from oneshelf.domain.identity import UNITS_MAX, Location, Sku, name_from
from oneshelf.domain.pattern import fits, narrowness, one_at_most
from oneshelf.errors import MalformedError

ENGINE = "engine"
EQUAL = "|"
RANKS_MAX = 20


class Strategy(StrEnum):
    """How a figure is decided that several systems state."""

    ENGINE = "engine"  # the ledger is right; what others state is an observation
    LEADER = "leader"  # one channel or one external system is right, in its own order of numbers
    LAST_WRITE_WINS = "last_write_wins"  # the latest statement, by the instant that it is of
    RANKS = "ranks"  # of statements that have not seen each other, that of the highest rank


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """What a rule is for. Nothing named: everything. Of `sku`, `sku_group` and `pattern` one at most.

    `pattern`: SKUs that it fits, see `domain.pattern`.
    """

    sku: Sku | None = None
    sku_group: str | None = None
    pattern: str | None = None
    figure: CountedFigure | None = None
    location: Location | None = None

    def __post_init__(self) -> None:
        one_at_most(sku=self.sku, sku_group=self.sku_group, pattern=self.pattern)

    @property
    def rank(self) -> tuple[int, bool, bool, int, str]:
        """How narrow it is, larger is narrower: SKU, group, pattern, everything; then by location, then by state."""
        what = 3 if self.sku is not None else 2 if self.sku_group is not None else 1 if self.pattern is not None else 0
        return (what, self.location is not None, self.figure is not None, *narrowness(self.pattern or ""))

    def reaches(self, *, sku: Sku, sku_group: str | None, figure: CountedFigure, location: Location) -> bool:
        """Whether this figure of the SKU there is in it."""
        return (
            self.sku in {None, sku}
            and (self.sku_group is None or self.sku_group == sku_group)
            and (self.pattern is None or fits(self.pattern, sku))
            and self.figure in {None, figure}
            and self.location in {None, location}
        )

    def __str__(self) -> str:
        named = {
            "SKU": self.sku,
            "group": self.sku_group,
            "SKUs like": self.pattern,
            "figure": self.figure and self.figure.value,
            "location": self.location,
        }
        return ", ".join(f"{what} {name}" for what, name in named.items() if name is not None) or "everything"


@dataclass(frozen=True, slots=True, kw_only=True)
class TruthRule:
    """Who decides in a scope. `ranks`: the highest first, those of one rank as one entry (`erp|wms`); who is not named
    never rules.

    `tolerance_units`: a statement that is no further off than this is taken for the same figure, and nothing moves.
    `conservative`: of statements that have not seen each other and are of one rank, the lowest figure, not the latest.
    """

    scope: Scope = field(default_factory=Scope)
    strategy: Strategy = Strategy.ENGINE
    leader: str = ""
    ranks: tuple[str, ...] = ()
    tolerance_units: int = 0
    conservative: bool = True

    def __post_init__(self) -> None:
        if (self.strategy is Strategy.LEADER) is not bool(self.leader):
            raise MalformedError(f"strategy leader names a leader, and no other does: this one is {self.strategy}")
        if (self.strategy is Strategy.RANKS) is not bool(self.ranks):
            raise MalformedError(f"strategy ranks names ranks, and no other does: this one is {self.strategy}")
        if len(set(self._ranked())) != len(self._ranked()) or len(self._ranked()) > RANKS_MAX:
            raise MalformedError(f"ranks name each system once, and at most {RANKS_MAX} of them")
        if not 0 <= self.tolerance_units <= UNITS_MAX:
            raise MalformedError(f"tolerance_units is {self.tolerance_units}; it must be 0 to {UNITS_MAX}")

    @property
    def names(self) -> set[str]:
        """The channels and sources that it names."""
        return {name for name in (self.leader, *self._ranked()) if name and name != ENGINE}

    def _ranked(self) -> list[str]:
        return [name for entry in self.ranks for name in entry.split(EQUAL)]

    def rank_of(self, source: str) -> int:
        """The rank of a system, larger is higher; 0 for one that is not named."""
        places = (place for place, entry in enumerate(self.ranks) if source in entry.split(EQUAL))
        return len(self.ranks) - next(places, len(self.ranks))

    def leads(self, name: str) -> bool:
        """Whether this channel's own figure is right by this rule, whatever the ledger says."""
        return name in {self.leader, *(self.ranks[0].split(EQUAL) if self.ranks else ())} - {"", ENGINE}

    def stated(self) -> dict[str, Any]:
        """Name -> value of all that it says, without its scope."""
        said: dict[str, Any] = {"strategy": self.strategy.value}
        if self.leader:
            said["leader"] = self.leader
        if self.ranks:
            said["ranks"] = list(self.ranks)
        return said | {"tolerance_units": self.tolerance_units, "conservative": self.conservative}

    def __str__(self) -> str:
        who = self.leader or " > ".join(self.ranks)
        tolerance = f", within {self.tolerance_units} units the same" if self.tolerance_units else ""
        lowest = ", the lowest of equals" if self.conservative and self.strategy is Strategy.RANKS else ""
        return f"{self.scope}: {self.strategy}{f' {who}' if who else ''}{lowest}{tolerance}"


DEFAULT = TruthRule()


def rule_from(scope: Scope, stated: Mapping[str, Any]) -> TruthRule:
    """A rule from names and values, as `TruthRule.stated` gives them. Raises MalformedError."""
    left = dict(stated)
    strategy, tolerance = left.pop("strategy", None), left.pop("tolerance_units", 0)
    leader, ranks, conservative = left.pop("leader", ""), left.pop("ranks", ()), left.pop("conservative", True)
    if left:
        raise MalformedError(f"a rule says nothing of {sorted(left)[0][:40]!r}")
    if strategy not in set(Strategy):
        raise MalformedError(f"strategy must be one of {', '.join(Strategy)}")
    if isinstance(tolerance, bool) or not isinstance(tolerance, int) or not isinstance(conservative, bool):
        raise MalformedError("tolerance_units is a whole number of units, conservative is true or false")
    if not isinstance(ranks, list | tuple):
        raise MalformedError("ranks is a list of names, the highest first")
    return TruthRule(
        scope=scope,
        strategy=Strategy(strategy),
        leader=name_from(leader, what="leader") if leader else "",
        ranks=tuple(name_from(name, what="rank") for name in ranks),
        tolerance_units=tolerance,
        conservative=conservative,
    )


def deciding(
    rules: Iterable[TruthRule], *, sku: Sku, sku_group: str | None, figure: CountedFigure, location: Location
) -> TruthRule:
    """The narrowest rule that reaches this figure; where none does, the engine rules."""
    reaching = [
        rule for rule in rules if rule.scope.reaches(sku=sku, sku_group=sku_group, figure=figure, location=location)
    ]
    return max(reaching, key=lambda rule: rule.scope.rank, default=DEFAULT)
