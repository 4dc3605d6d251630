"""What a probe tried at a channel and saw, and what that says of the abilities that its connector declares."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum


class Ability(StrEnum):
    """What a connector may declare of writes, and an account may lack: a proxy or the channel itself ignores it."""

    COMPARE = "compare"  # a write is refused unless the channel shows the compared figure
    KEY = "key"  # a write that comes twice under one key is done once


class Verdict(StrEnum):
    """What a check shows."""

    HOLDS = "holds"
    FAILS = "fails"
    UNKNOWN = "unknown"  # nobody can tell: no answer, no budget, or something was sold meanwhile


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One thing that was tried. `ability`: what it shows of that; None: of none. `took_ms`: with the channel's answer.

    `seen` also says what to do where it fails.
    """

    what: str
    tried: str
    seen: str
    verdict: Verdict
    took_ms: float
    ability: Ability | None = None


def shown(checks: Iterable[Check]) -> Mapping[Ability, Check]:
    """Which abilities are shown to hold or to fail, with the check that says so.

    One check that fails outweighs all that hold: who ignores the compared figure now and then cannot be relied on. An
    ability of which one check could not be done, and none failed, is left out: what was known of it stays.
    """
    found: dict[Ability, Check] = {}
    open_: set[Ability] = set()
    for check in checks:
        if check.ability is None:
            continue
        known = found.get(check.ability)
        if check.verdict is Verdict.UNKNOWN:
            open_.add(check.ability)
        elif known is None or known.verdict is Verdict.HOLDS:
            found[check.ability] = check
    return {
        ability: check for ability, check in found.items() if check.verdict is Verdict.FAILS or ability not in open_
    }
