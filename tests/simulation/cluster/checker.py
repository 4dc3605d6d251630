"""Judges a history by what was found in the end. A question of unknown outcome may have happened, or not: both are
accepted, and nothing else is.

Each function returns its complaints, the first of a mark with its part of the history; none means that all is well.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from simulation.cluster.history import Op, Outcome

OPS_SHOWN = 12


def effects(ops: Iterable[Op], found: Mapping[str, int]) -> list[str]:
    """Each acknowledged effect is there once, none was made up. `found`: mark -> how often it is in the ledger."""
    by_mark: dict[str, list[Op]] = defaultdict(list)
    for op in ops:
        by_mark[op.mark].append(op)
    complaints = []
    for mark in sorted({*by_mark, *found}):
        asked = by_mark.get(mark, [])
        least = sum(op.outcome is Outcome.OK for op in asked)
        most = least + sum(op.outcome is Outcome.UNKNOWN for op in asked)
        times = found.get(mark, 0)
        if times < least:
            complaints.append(_with_history(f"lost: {mark} was acknowledged {least} times, found {times} times", asked))
        elif times > most:
            words = f"too much: {mark} can have happened {most} times at most, found {times} times"
            complaints.append(_with_history(words, asked))
    return complaints


@dataclass(frozen=True, slots=True)
class Transfer:
    """What a question does to accounts if it happens: account -> difference."""

    mark: str
    changes: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Sight:
    """What somebody saw at one moment: account -> units."""

    at_s: float
    units: Mapping[str, int]


def bank(
    start: Mapping[str, int],
    transfers: Iterable[Transfer],
    found: Mapping[str, int],
    sights: Iterable[Sight],
    end: Mapping[str, int],
) -> list[str]:
    """Nothing comes or goes, nothing is below zero at any sight, and the end follows from what was found."""
    total = sum(start.values())
    complaints = []
    for sight in [*sights, Sight(at_s=float("inf"), units=end)]:
        if sum(sight.units.values()) != total:
            complaints.append(f"seen at {sight.at_s:.3f}: {dict(sight.units)} are not {total} units in all")
        if any(units < 0 for units in sight.units.values()):
            complaints.append(f"seen at {sight.at_s:.3f}: {dict(sight.units)} is below zero")
    due = dict(start)
    # Several questions may share a mark: then any of them may be the one that had its effect.
    for transfer in {transfer.mark: transfer for transfer in transfers}.values():
        for account, change in transfer.changes.items():
            due[account] = due.get(account, 0) + change * found.get(transfer.mark, 0)
    wrong = {
        account: (due.get(account, 0), end.get(account, 0))
        for account in {*due, *end}
        if due.get(account, 0) != end.get(account, 0)
    }
    if wrong:
        complaints.append(f"the end does not follow from what was found; account: (due, there) {wrong}")
    return complaints


def last_unit(ops: Sequence[Op], *, units: int, granted: Mapping[str, int]) -> list[str]:
    """Of `units`, one a question, none is given twice and none is kept back. `granted`: reservation -> units held.

    The first refusal proves that all of them were gone, so as many questions must have been under way before its end.
    """
    complaints = []
    told = [str(op.figures["reservation_id"]) for op in ops if op.outcome is Outcome.OK]
    unknown_count = sum(op.outcome is Outcome.UNKNOWN for op in ops)
    given = sum(granted.values())
    if len(set(told)) != len(told):
        complaints.append(_with_history("two buyers were told of one reservation", ops))
    if missing := set(told) - set(granted):
        complaints.append(
            _with_history(f"lost: reservations {sorted(missing)} were acknowledged and are not there", ops)
        )
    if given > units or len(told) > units:
        complaints.append(_with_history(f"oversold: {given} given, {len(told)} acknowledged, of {units} units", ops))
    if len(granted) > len(told) + unknown_count:
        complaints.append(_with_history(f"too much: {len(granted)} reservations for {len(told)} buyers", ops))
    refusals = [op for op in ops if op.outcome is Outcome.REFUSED and op.word == "short"]
    if refusals:
        first = min(refusals, key=lambda op: op.ended_s)
        before = sum(op.outcome is not Outcome.REFUSED and op.invoked_s < first.ended_s for op in ops)
        if before < units:
            complaints.append(_with_history(f"refused while {units - before} units were there: {first}", ops))
        if given != units:
            complaints.append(_with_history(f"kept back: {given} of {units} units given, and a buyer refused", ops))
    return complaints


@dataclass(frozen=True, slots=True)
class Hold:
    """Units that somebody surely held from one monotonic second to another."""

    reservation_id: str
    from_s: float
    until_s: float
    units: int


def holds(held: Iterable[Hold], *, units: int, available: int) -> list[str]:
    """At no moment were more units surely held than there are, and in the end all are back."""
    edges: list[tuple[float, int, Hold]] = []
    for hold in held:
        if hold.from_s < hold.until_s:
            edges += [(hold.from_s, hold.units, hold), (hold.until_s, -hold.units, hold)]
    complaints: list[str] = []
    live: dict[str, Hold] = {}
    now_held = 0
    # What ends at an instant has ended before what begins at it.
    for at_s, change, hold in sorted(edges, key=lambda edge: (edge[0], edge[1])):
        now_held += change
        if change < 0:
            live.pop(hold.reservation_id, None)
            continue
        live[hold.reservation_id] = hold
        if now_held > units:
            names = ", ".join(f"{one.reservation_id} ({one.from_s:.3f} to {one.until_s:.3f})" for one in live.values())
            complaints.append(f"a unit in two holds at {at_s:.3f}: {now_held} held of {units}: {names}")
    if available != units:
        complaints.append(f"all holds have ended, and {available} of {units} units are free")
    return complaints


def _with_history(words: str, ops: Sequence[Op]) -> str:
    shown = [f"  {op}" for op in ops[:OPS_SHOWN]]
    rest = [f"  and {len(ops) - OPS_SHOWN} more"] if len(ops) > OPS_SHOWN else []
    return "\n".join([words, *shown, *rest])
