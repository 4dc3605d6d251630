"""Allocation plans: which part of a SKU's units each channel may sell, what the rest is for, when pools are refilled.

A plan belongs to a SKU, a group, a pattern of SKUs or everything; the narrowest that reaches a SKU holds, taken whole.
What its pools hold as units are sold is worked out in `domain.pool`.
"""

from __future__ import annotations

from collections.abc import Collection, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from fractions import Fraction
from functools import lru_cache
from typing import Any, TypeVar

from oneshelf.domain.identity import UNITS_MAX, Channel, channel_from
from oneshelf.domain.policy import Scope
from oneshelf.domain.rights import split
from oneshelf.errors import MalformedError

PARTS_MAX = 100
PERCENT_MAX = 100
# Shares follow sales only once so many order lines of the last week speak for them.
SALES_LINES_MIN = 20
MINUTES_OF_DAY = 24 * 60

Key = TypeVar("Key", bound=Hashable)
Choice = TypeVar("Choice", bound=StrEnum)


class PoolKind(StrEnum):
    """What happens to a pool when another one is empty."""

    HARD = "hard"  # it lends to nobody and borrows of nobody: sold out is sold out until a refill
    SOFT = "soft"  # sold out it takes half of what another soft pool has left, and lends likewise


class Refill(StrEnum):
    """When pools get units."""

    RECEIPTS = "receipts"  # whatever comes in is shared at once
    DAILY = "daily"  # at one time of the day all that is available is shared anew; what comes in waits for that
    MANUAL = "manual"  # somebody says so; what comes in waits for that


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """What a plan gives one channel: a percentage or a fixed number of units, one of the two."""

    channel: Channel
    percent: int | None = None
    units: int | None = None
    kind: PoolKind = PoolKind.HARD

    def __post_init__(self) -> None:
        if (self.percent is None) is (self.units is None):
            raise MalformedError(f"pool {self.channel}: say percent or units, one of the two")
        for name, value, most in (("percent", self.percent, PERCENT_MAX), ("units", self.units, UNITS_MAX)):
            is_whole = isinstance(value, int) and not isinstance(value, bool)
            if value is not None and not (is_whole and 0 <= value <= most):
                raise MalformedError(f"pool {self.channel}: {name} must be a whole number from 0 to {most}")

    @property
    def is_soft(self) -> bool:
        return self.kind is PoolKind.SOFT

    def __str__(self) -> str:
        return f"{self.percent}% {self.kind}" if self.units is None else f"{self.units} units {self.kind}"


@dataclass(frozen=True, slots=True, kw_only=True)
class AllocationPlan:
    """The pools of a scope, in their order. What no part names is the rest: kept back as a buffer, or, where `overflow`
    names a channel, on sale there too once its own pool is empty.

    `refill_minute`: of the day, in UTC, of a daily refill. `rebalance_points`: at a refill each percentage moves
    towards the channel's part of the sales, by at most so many points; 0: it stays as stated.
    """

    scope: Scope
    parts: tuple[Part, ...]
    overflow: Channel | None = None
    refill: Refill = Refill.RECEIPTS
    refill_minute: int | None = None
    rebalance_points: int = 0

    def __post_init__(self) -> None:
        if self.scope.channel is not None:
            raise MalformedError(
                "an allocation plan is for a SKU, a group, a pattern or everything; its pools name the channels"
            )
        names = [part.channel for part in self.parts]
        if not 1 <= len(names) <= PARTS_MAX:
            raise MalformedError(f"an allocation plan has 1 to {PARTS_MAX} pools, not {len(names)}")
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise MalformedError(f"pool {twice[0]} is stated twice; state each channel once")
        if (total := self.percent_total) > PERCENT_MAX:
            raise MalformedError(f"the pools take {total} percent together; at most {PERCENT_MAX} are there")
        if self.overflow is not None and self.overflow not in names:
            raise MalformedError(
                f"overflow names {self.overflow}, which has no pool; give it one, of 0 percent at least"
            )
        if (self.refill is Refill.DAILY) is not (self.refill_minute is not None):
            raise MalformedError('a daily refill says at which time (refill_at, such as "03:00" in UTC), no other does')
        if self.refill_minute is not None and not 0 <= self.refill_minute < MINUTES_OF_DAY:
            raise MalformedError("refill_at is a time of the day from 00:00 to 23:59, in UTC")
        points = self.rebalance_points
        if isinstance(points, bool) or not isinstance(points, int) or not 0 <= points <= PERCENT_MAX:
            raise MalformedError(f"rebalance_points must be a whole number from 0 to {PERCENT_MAX}")

    @property
    def percent_total(self) -> int:
        return sum(part.percent or 0 for part in self.parts)

    @property
    def rest_percent(self) -> int:
        """What no part takes of the percentages."""
        return PERCENT_MAX - self.percent_total

    def parts_of(self, channels: Collection[Channel]) -> tuple[Part, ...]:
        """The parts of these channels, in the order of the plan."""
        return tuple(part for part in self.parts if part.channel in channels)

    def next_refill(self, after: datetime) -> datetime | None:
        """The first time of a daily refill after that instant; None: nothing but units or a person refills it."""
        if self.refill_minute is None:
            return None
        midnight = after.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
        today = midnight + timedelta(minutes=self.refill_minute)
        return today if today > after else today + timedelta(days=1)

    def stated(self) -> dict[str, Any]:
        """The plan without its scope, as it is stored and told; `plan_of` reads it."""
        found: dict[str, Any] = {
            "pools": [
                {
                    "channel": str(part.channel),
                    **({"percent": part.percent} if part.units is None else {"units": part.units}),
                    "kind": part.kind.value,
                }
                for part in self.parts
            ],
            "refill": self.refill.value,
        }
        if self.overflow is not None:
            found["overflow"] = str(self.overflow)
        if self.refill_minute is not None:
            found["refill_at"] = "{:02}:{:02}".format(*divmod(self.refill_minute, 60))
        if self.rebalance_points:
            found["rebalance_points"] = self.rebalance_points
        return found

    def in_words(self) -> dict[str, str | int]:
        """The plan by names and plain values, for the history of the rules."""
        pools = {f"pool {part.channel}": str(part) for part in self.parts}
        return pools | {name: value for name, value in self.stated().items() if name != "pools"}

    def __str__(self) -> str:
        return " ".join(f"{name.removeprefix('pool ')}={value}" for name, value in self.in_words().items())


def plan_of(scope: Scope, stated: Mapping[str, Any]) -> AllocationPlan:
    """A plan from what `AllocationPlan.stated` tells. Raises MalformedError, which names what is wrong."""
    _refuse_null(stated)
    if unknown := stated.keys() - {"pools", "refill", "overflow", "refill_at", "rebalance_points"}:
        raise MalformedError(f"an allocation plan has no {sorted(unknown)[0][:40]!r}")
    pools = stated.get("pools")
    if not isinstance(pools, list):
        raise MalformedError("pools must be a list of channels, each with a percentage or units")
    overflow, refill_at = stated.get("overflow"), stated.get("refill_at")
    return AllocationPlan(
        scope=scope,
        parts=tuple(map(_part_of, pools)),
        overflow=None if overflow is None else channel_from(overflow),
        refill=_choice(Refill, stated.get("refill", Refill.RECEIPTS), what="refill"),
        refill_minute=None if refill_at is None else minute_from(refill_at),
        rebalance_points=stated.get("rebalance_points", 0),
    )


def _part_of(stated: Any) -> Part:
    if not isinstance(stated, dict) or stated.keys() - {"channel", "percent", "units", "kind"}:
        raise MalformedError("a pool has a channel, percent or units, and a kind")
    _refuse_null(stated)
    return Part(
        channel=channel_from(stated.get("channel")),
        percent=stated.get("percent"),
        units=stated.get("units"),
        kind=_choice(PoolKind, stated.get("kind", PoolKind.HARD), what="kind"),
    )


def _refuse_null(stated: Mapping[str, Any]) -> None:
    if empty := [name for name, value in stated.items() if value is None]:
        raise MalformedError(f"{empty[0]} is null; leave out what is not stated")


def _choice(kind: type[Choice], value: object, *, what: str) -> Choice:
    if value not in [one.value for one in kind]:
        raise MalformedError(f"{what} must be one of {', '.join(one.value for one in kind)}, not {str(value)[:40]!r}")
    return kind(value)


def minute_from(text: object) -> int:
    """The minute of the day that `HH:MM` names. Raises MalformedError."""
    hours, colon, minutes = text.partition(":") if isinstance(text, str) else ("", "", "")
    is_time = colon and all(len(part) == 2 and part.isascii() and part.isdigit() for part in (hours, minutes))
    if not is_time or int(hours) > 23 or int(minutes) > 59:
        raise MalformedError(f"a time of the day is said as HH:MM in UTC, such as 03:00, not {str(text)[:40]!r}")
    return int(hours) * 60 + int(minutes)


def part_from(text: str) -> Part:
    """A part as it is said in one word: `my-shop=80%`, `my-amz=20`, each also with `:soft`. Raises MalformedError."""
    name, equals, said = text.rpartition("=")
    amount, _, kind = said.partition(":")
    digits = amount.removesuffix("%")
    if not equals or not (digits.isascii() and digits.isdigit() and len(digits) <= len(str(UNITS_MAX))):
        raise MalformedError(
            f"a pool is said as CHANNEL=80% or CHANNEL=20 (units), with :soft after it if it is soft; not {text[:60]!r}"
        )
    share = {"percent" if amount.endswith("%") else "units": int(digits)}
    return Part(channel=channel_from(name), kind=_choice(PoolKind, kind or "hard", what="kind"), **share)


def narrowest(plans: Iterable[AllocationPlan]) -> AllocationPlan | None:
    """The plan that holds where all of these reach."""
    return max(plans, key=lambda plan: plan.scope.rank, default=None)


def dealt(units: int, weights: Mapping[Key, int]) -> dict[Key, int]:
    """Whole units in proportion to weights above 0, dealt one by one in an order that is always the same.

    After each unit everybody is less than one unit away from their exact part, and nobody has less than before it. No
    rounding of each figure by itself does both: largest remainders take a unit away as more come, and Webster's method
    (`domain.rights.split`) strays further where shares are many. The order is Tijdeman's (The chairman assignment
    problem, Discrete Mathematics 32, 1980); it begins anew with each `sum(weights)` units.
    """
    total = sum(weights.values())
    rounds, rest = divmod(units, total)
    turns = _turns(tuple(weights.values()))[:rest]
    return {key: weight * rounds + turns.count(place) for place, (key, weight) in enumerate(weights.items())}


@lru_cache(maxsize=1024)
def _turns(weights: tuple[int, ...]) -> tuple[int, ...]:
    """Whose turn it is, for one round: among those who lack enough the one whose unit is due first."""
    total, least = sum(weights), Fraction(1, 2 * len(weights) - 2) if len(weights) > 1 else Fraction(0)
    given = [0] * len(weights)
    turns = []
    for units in range(1, total + 1):
        lacks = [Fraction(weight * units, total) - has for weight, has in zip(weights, given, strict=True)]
        due = [((1 - least - lack) / weights[place], place) for place, lack in enumerate(lacks) if lack >= least]
        turns.append(min(due)[1])
        given[turns[-1]] += 1
    return tuple(turns)


def rebalanced(parts: Sequence[Part], sold: Mapping[Channel, int], *, points: int) -> dict[Channel, int]:
    """The percentages of these parts, moved towards their parts of the sales by at most `points` each.

    Their sum stays what it was: nothing is taken from the rest or from fixed pools. `sold`: channel -> units of one
    and the same while.
    """
    stated = {part.channel: part.percent for part in parts if part.percent is not None}
    if not points or not sum(sold.get(channel, 0) for channel in stated):
        return stated
    total, total_sold = sum(stated.values()), sum(sold.get(channel, 0) for channel in stated)
    least = {channel: max(0, percent - points) for channel, percent in stated.items()}
    goals = {channel: Fraction(total * sold.get(channel, 0), total_sold) - least[channel] for channel in stated}
    # What is above the least of each goes to whoever sells more than that; what nobody's sales ask for to the others.
    weights = {channel: max(Fraction(1, 1_000_000), goal) for channel, goal in goals.items()}
    caps = {channel: min(PERCENT_MAX, stated[channel] + points) - least[channel] for channel in stated}
    more = split(total - sum(least.values()), weights, caps)
    return {channel: least[channel] + more[channel] for channel in stated}
