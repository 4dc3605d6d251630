"""The four shapes that a shop takes: for each a rule for everything, and how channels are written."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from oneshelf.domain.identity import Channel
from oneshelf.domain.truth import DEFAULT, EQUAL, Scope, Strategy, TruthRule
from oneshelf.errors import MalformedError

LIVE, WATCH = "live", "watch"


class Architecture(StrEnum):
    """Who is asked how many there are."""

    NONE = "none"  # nobody is written: the engine watches and tells
    HUB = "hub"  # a channel rules; its figure is taken, the others follow
    IMS = "ims"  # the engine rules
    MIDDLEWARE = "middleware"  # peers, by rank: an ERP, a warehouse


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """An architecture with the names that it needs: of a hub its channel, of a middleware its systems by rank."""

    architecture: Architecture
    leader: str = ""
    ranks: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if (self.architecture is Architecture.HUB) is not bool(self.leader):
            raise MalformedError("a hub names its leader, the channel that rules; no other architecture does")
        if (self.architecture is Architecture.MIDDLEWARE) is not bool(self.ranks):
            raise MalformedError("a middleware names its ranks, the systems that are asked, the highest first")

    @property
    def rule(self) -> TruthRule | None:
        """The rule for everything; None: none, the engine rules."""
        match self.architecture:
            case Architecture.HUB:
                return TruthRule(strategy=Strategy.LEADER, leader=self.leader)
            case Architecture.MIDDLEWARE:
                return TruthRule(strategy=Strategy.RANKS, ranks=self.ranks)
            case Architecture.NONE | Architecture.IMS:
                return None


@dataclass(frozen=True, slots=True)
class Change:
    """What a switch changes. `what`: the rule for everything, or a channel; `note`: what a person has to do besides."""

    what: str
    before: str
    after: str
    note: str = ""


def named(rules: Sequence[TruthRule], modes: Mapping[Channel, str]) -> Architecture:
    """The shape that these rules and modes have, by the rule for everything; narrower ones are exceptions to it."""
    if modes and LIVE not in modes.values():
        return Architecture.NONE
    rule = whole(rules)
    if rule.strategy is Strategy.ENGINE:
        return Architecture.IMS
    return Architecture.HUB if rule.leader in modes else Architecture.MIDDLEWARE


def whole(rules: Sequence[TruthRule]) -> TruthRule:
    """The rule for everything: without one the engine rules."""
    return next((rule for rule in rules if rule.scope == Scope()), DEFAULT)


def changes(wish: Wish, rules: Sequence[TruthRule], modes: Mapping[Channel, str]) -> list[Change]:
    """What has to change so that the shop has this shape. Raises MalformedError for a hub that is no channel."""
    if wish.leader and wish.leader not in modes:
        raise MalformedError(
            f"a hub's leader is a channel that shows figures; {wish.leader!r} is none. Way out: oneshelf channel list, "
            "or GET /v1/channels"
        )
    held = next((rule for rule in rules if rule.scope == Scope()), None)
    found = []
    if held != wish.rule:
        found.append(Change("rule", str(held or "everything: engine"), str(wish.rule or "everything: engine")))
    for channel, mode in sorted(modes.items()):
        if wish.architecture is Architecture.NONE and mode == LIVE:
            found.append(Change(f"channel {channel}", mode, WATCH))
        elif wish.architecture is not Architecture.NONE and mode != LIVE:
            note = f"not switched: what it would show is signed off first, then oneshelf channel live {channel}"
            found.append(Change(f"channel {channel}", mode, mode, note))
    return found


def peers(ranks: Collection[str]) -> tuple[str, ...]:
    """Ranks as they are typed: `erp|wms` are of one rank. Raises MalformedError for one that names nothing."""
    told = tuple(EQUAL.join(name.strip() for name in entry.split(EQUAL)) for entry in ranks)
    if nameless := next((entry for entry in told if not all(entry.split(EQUAL))), None):
        raise MalformedError(f"each of the ranks names systems, those of one rank as erp|wms; {nameless!r} has a gap")
    return told
