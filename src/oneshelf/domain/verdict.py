"""Who rules among statements of one figure: a pure function of the set of them, in whatever order they came."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import assert_never

from oneshelf.domain.statement import Standing
from oneshelf.domain.truth import Strategy, TruthRule


@dataclass(frozen=True, slots=True)
class Verdict:
    """`winner`: the ledger follows it; None: the engine rules. `beaten`: nobody who rules had seen these; they are
    shown. `superseded`: a later statement has seen them.
    """

    winner: Standing | None
    beaten: tuple[Standing, ...]
    superseded: tuple[Standing, ...]
    why: str


def decide(rule: TruthRule, standing: Collection[Standing]) -> Verdict:
    """Who rules by this rule. A statement that a person favoured wins until a later one has seen it."""
    live = [one for one in standing if not any(other is not one and other.has_seen(one) for other in standing)]
    if not live:  # They say that each has seen another: none of them is believed to be later.
        live = list(standing)
    ordered = sorted(live, key=_name)
    gone = tuple(sorted((one for one in standing if one not in live), key=_name))
    favoured = [one for one in ordered if one.is_favoured]
    winner = max(favoured, key=_latest) if favoured else _by_rule(rule, ordered)
    why = "a person decided" if favoured else _why(rule, winner, ordered)
    return Verdict(winner, tuple(one for one in ordered if one is not winner), gone, why)


def _by_rule(rule: TruthRule, live: list[Standing]) -> Standing | None:
    match rule.strategy:
        case Strategy.ENGINE:
            return None
        case Strategy.LEADER:
            return _first(rule, [one for one in live if one.statement.source == rule.leader])
        case Strategy.LAST_WRITE_WINS:
            return max(live, key=_latest, default=None)
        case Strategy.RANKS:
            named = [one for one in live if rule.rank_of(one.statement.source)]
            highest = max((rule.rank_of(one.statement.source) for one in named), default=0)
            return _first(rule, [one for one in named if rule.rank_of(one.statement.source) == highest])
        case _:
            assert_never(rule.strategy)


def _first(rule: TruthRule, equals: list[Standing]) -> Standing | None:
    if rule.conservative:
        return min(equals, key=lambda one: (one.value, _name(one)), default=None)
    return max(equals, key=_latest, default=None)


def _why(rule: TruthRule, winner: Standing | None, live: list[Standing]) -> str:
    if winner is None:
        return f"{rule}; what is stated is held against the ledger" if live else str(rule)
    return str(rule)


def _latest(one: Standing) -> tuple[object, ...]:
    """The latest by the instant it is of. Clocks of two systems are no order; a tie ends the same everywhere."""
    return (one.instant, *_name(one))


def _name(one: Standing) -> tuple[str, str]:
    return (one.statement.source, one.statement.document)
