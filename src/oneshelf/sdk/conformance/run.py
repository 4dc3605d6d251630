"""Runs checks, each on a bench of its own in a virtual time of its own. Needs no pytest."""

from __future__ import annotations

import traceback
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from enum import StrEnum
from pathlib import Path

from oneshelf.errors import InvariantError
from oneshelf.sdk.capability import Capability
from oneshelf.sdk.conformance import (
    devices,
    faults,
    feed,
    house,
    moves,
    orders,
    parsing,
    polling,
    signatures,
    stock,
    stock_file,
    writes,
)
from oneshelf.sdk.conformance.bench import Bench, opened
from oneshelf.sdk.conformance.check import CHECKS, CannotHappenError, Check, Violation
from oneshelf.sdk.contract import ConnectorKind
from oneshelf.sdk.quality import PROVED_BY, Quality, quality_of
from oneshelf.sdk.virtual_time import StalledError, VirtualClock, run_virtually

# Imported for the checks that they add.
MODULES = (parsing, signatures, polling, orders, stock, stock_file, writes, moves, feed, devices, faults, house)
SEED = 7


class Verdict(StrEnum):
    """What came of a check."""

    RUN = "run"
    EXEMPT = "exempt"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Result:
    """One line of the table at the end. `words`: why it is exempt, or what is wrong."""

    check: Check
    verdict: Verdict
    words: str = ""


def checks_of(*rules: str) -> list[Check]:
    """All checks, or those of some rules."""
    return [check for check in CHECKS.values() if not rules or check.rule in rules]


def run_check(kind: ConnectorKind, check: Check, *, seed: int = SEED, quality: Quality | None = None) -> Result:
    """Run one check. An exemption needs a reason that follows from what is declared, or stands in `quality.toml`.

    A reason that is not needed, because the situation can happen after all, is a failure: it hides nothing today, and
    something tomorrow.
    """
    quality = quality_of(kind) if quality is None else quality
    declared_reason = quality.cannot_happen.get(check.name, "")
    follows = check.exemption(kind.capability)
    if follows:
        return Result(check, Verdict.EXEMPT, follows)
    try:
        sent = [_sent(kind, check, seed) for _ in range(2 if check.is_repeated else 1)]
    except CannotHappenError as situation:
        if declared_reason:
            return Result(check, Verdict.EXEMPT, declared_reason)
        words = f"it could not be tried, and quality.toml gives no reason under cannot_happen: {situation}"
        return Result(check, Verdict.FAILED, words)
    except Violation as violation:
        return Result(check, Verdict.FAILED, str(violation))
    except StalledError:
        return Result(check, Verdict.FAILED, "the connector waits for something that will never happen")
    except (Exception, InvariantError) as failure:
        return Result(check, Verdict.FAILED, f"{type(failure).__name__}: {failure!s:.300}, raised {_place(failure)}")
    if any(requests != sent[0] for requests in sent):
        return Result(check, Verdict.FAILED, _difference(sent[0], sent[1]))
    if declared_reason:
        return Result(check, Verdict.FAILED, f"quality.toml says that it cannot happen, and it does: {declared_reason}")
    return Result(check, Verdict.RUN)


def run(
    kind: ConnectorKind, checks: Iterable[Check] | None = None, *, seed: int = SEED, quality: Quality | None = None
) -> list[Result]:
    """Run checks, all by default."""
    return [run_check(kind, check, seed=seed, quality=quality) for check in checks or checks_of()]


def untried(kind: ConnectorKind, quality: Quality | None = None) -> list[str]:
    """The members of `Capability` that no check tries which applies to this kind, and no reason explains."""
    quality = quality_of(kind) if quality is None else quality
    left = []
    for ability in (one.name for one in fields(Capability)):
        proving = [check for check in checks_of() if ability in check.proves]
        tried = [c for c in proving if not c.exemption(kind.capability) and c.name not in quality.cannot_happen]
        follows = proving and all(check.exemption(kind.capability) for check in proving)
        if not tried and not follows:
            left.append(ability)
    return left


def hollow(kind: ConnectorKind, quality: Quality | None = None) -> list[str]:
    """The rules that are said to be done although the checks that prove them do not apply to this kind."""
    quality = quality_of(kind) if quality is None else quality
    return [
        rule
        for rule, names in PROVED_BY.items()
        if quality.standing(rule).status == "done"
        and any(CHECKS[name].exemption(kind.capability) or name in quality.cannot_happen for name in names)
    ]


def _sent(kind: ConnectorKind, check: Check, seed: int) -> list[bytes]:
    """Run it once; all that was sent."""
    clock = VirtualClock(f"{kind.name}:{seed}")

    async def live() -> list[bytes]:
        async with opened(kind, clock=clock, seed=seed) as bench:
            await check.run(bench)
            return _requests(bench)

    return run_virtually(clock, live())


def _place(failure: BaseException) -> str:
    """Where it was raised."""
    last = traceback.extract_tb(failure.__traceback__)[-1]
    return f"at {Path(last.filename).name}:{last.lineno} in {last.name}"


def _requests(bench: Bench) -> list[bytes]:
    return [sent.bytes_sent for sent in bench.wire.sent]


def _difference(one: Sequence[bytes], other: Sequence[bytes]) -> str:
    for at, (left, right) in enumerate(zip(one, other, strict=False)):
        if left != right:
            return f"two runs of one seed differ at request {at + 1}: {left[:300]!r} and {right[:300]!r}"
    return f"two runs of one seed sent {len(one)} and {len(other)} requests"
