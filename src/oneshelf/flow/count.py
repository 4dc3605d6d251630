"""Begin to count: note where balances stand, so that the count can say what it had seen; and forget old notes.

Reads: balances, what was sold, open drifts. Writes: counts, count tasks and their lines.
Next: post, once somebody has counted and quotes the token, or once a line of a task is accepted.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import msgspec

from oneshelf.domain.command import Command
from oneshelf.domain.count_task import (
    MAY_RULE,
    CountWish,
    Decision,
    EnteredBefore,
    Entry,
    LineState,
    NoSuchTask,
    NothingToCount,
    NotInTask,
    NotToRule,
    OtherRound,
    Ruling,
    TaskExists,
    count_of,
    judge,
)
from oneshelf.domain.identity import Location, Sku
from oneshelf.domain.outcome import Done, Outcome, UnknownLocation, UnknownSku, in_words
from oneshelf.storage import catalog, count_tasks, counts
from oneshelf.storage.count_tasks import Line
from oneshelf.storage.database import Database, Transaction, now

Post = Callable[[Sequence[Command]], Awaitable[Sequence[Outcome]]]

# A count that takes longer is begun again: by then nobody knows any more what lay where.
BEGUN_KEPT_S = 30 * 86_400.0
ENDED_EVERY_S = 3_600.0
ENDED_MAX = 5_000
POSTED_MAX = 500


@dataclass(frozen=True, slots=True)
class CountBegun:
    """The token to quote with each count of these SKUs at this location."""

    token: UUID
    location: Location
    begun_at: datetime
    sku_count: int


async def begin_count(
    database: Database, new_id: Callable[[], UUID], location: Location, skus: Collection[Sku] = ()
) -> CountBegun | UnknownSku | UnknownLocation:
    """A token for counting these SKUs at a location; for all SKUs where none is named."""
    async with database.transaction() as tx:
        known = await catalog.told_known(await catalog.ask_known(tx, skus, [location]))
        if unknown := sorted(set(skus) - known.skus):
            return UnknownSku(unknown[0])
        if location not in known.locations:
            return UnknownLocation(location)
        token = new_id()
        sku_count = await counts.begin(tx, token, location, skus or None)
        return CountBegun(token, location, await now(tx), sku_count)


async def end_old_counts(database: Database, *, kept_s: float = BEGUN_KEPT_S, every_s: float = ENDED_EVERY_S) -> int:
    """Forget counts that began longer ago than `kept_s`, one batch, at most every `every_s`. Returns how many notes."""
    async with database.transaction() as tx:
        return await counts.end_old(tx, kept_s=kept_s, every_s=every_s, limit=ENDED_MAX)


async def open_task(
    database: Database, new_id: Callable[[], UUID], wish: CountWish, *, by: str
) -> int | UnknownSku | UnknownLocation | TaskExists | NothingToCount:
    """Open a count, and note where its balances stand. Returns how many SKUs it is of; asked again, the same."""
    told = msgspec.json.decode(msgspec.json.encode(wish))  # As it is stored.
    async with database.transaction() as tx:
        known = await count_tasks.task(tx, wish.task)
        if known is not None:
            return await _opened_before(tx, known, told)
        names = await catalog.told_known(await catalog.ask_known(tx, wish.skus, [wish.location]))
        if unknown := sorted(set(wish.skus) - names.skus):
            return UnknownSku(unknown[0])
        if wish.location not in names.locations:
            return UnknownLocation(wish.location)
        skus = await count_tasks.chosen(tx, wish)
        if not skus:
            return NothingToCount(wish.location)
        token = new_id()
        await counts.begin(tx, token, wish.location, skus)
        if not await count_tasks.open_task(tx, wish, told, by=by, token=token, skus=skus):
            return TaskExists(
                wish.task, wish.location
            )  # Somebody was faster; asked again, it says whether it is this one.
    return len(skus)


async def _opened_before(tx: Transaction, known: count_tasks.Task, told: object) -> int | TaskExists:
    if known.wish != told:
        return TaskExists(known.task, known.location)
    [row] = await count_tasks.tasks(tx, only_to_do=False, name=known.task, limit=1)
    return row.line_count


async def enter(
    database: Database, new_id: Callable[[], UUID], entry: Entry
) -> LineState | NoSuchTask | NotInTask | EnteredBefore | OtherRound:
    """Somebody has counted a SKU of a task. Returns whether it is to be posted, or looked at.

    The same figure again for the same round changes nothing.
    """
    async with database.transaction() as tx:
        task = await count_tasks.task(tx, entry.task)
        line = await count_tasks.lock_line(tx, entry.task, entry.sku)
        if task is None or line is None:
            return NoSuchTask(entry.task) if task is None else NotInTask(entry.task, entry.sku)
        if entry.round not in (None, line.round):
            return OtherRound(line.task, line.sku, asked=entry.round or 0, round=line.round)
        if line.state != LineState.OPEN:
            is_same = line.units_counted == entry.units
            counted = line.units_counted
            return LineState(line.state) if is_same else EnteredBefore(line.task, line.sku, line.round, counted)
        token, there = await _snapshot(tx, new_id, line)
        judged = judge(
            units_counted=entry.units, units_begun=line.units_begun, units_entered=there, threshold=task.threshold
        )
        await count_tasks.enter(tx, line, entry, token=token, units_entered=there, judged=judged)
    return LineState.ACCEPTED if judged.passes else LineState.REVIEW


_AFTER = {Ruling.ACCEPT: LineState.ACCEPTED, Ruling.RECOUNT: LineState.OPEN, Ruling.DROP: LineState.DROPPED}


async def decide(
    database: Database, new_id: Callable[[], UUID], decision: Decision
) -> LineState | NoSuchTask | NotInTask | OtherRound | NotToRule:
    """A person has looked at a difference. The same said again of the same round changes nothing."""
    after = _AFTER[decision.ruling]
    async with database.transaction() as tx:
        line = await count_tasks.lock_line(tx, decision.task, decision.sku)
        if line is None:
            is_task = await count_tasks.task(tx, decision.task)
            return NotInTask(decision.task, decision.sku) if is_task else NoSuchTask(decision.task)
        if decision.round not in (None, line.round):
            is_said = after is LineState.OPEN and decision.round == line.round - 1
            if is_said and line.state == LineState.OPEN:
                return LineState.OPEN
            return OtherRound(line.task, line.sku, asked=decision.round or 0, round=line.round)
        if line.state not in MAY_RULE[decision.ruling]:
            is_said = line.state == after or (after is LineState.ACCEPTED and line.state == LineState.POSTED)
            return LineState(line.state) if is_said else NotToRule(line.task, line.sku, decision.ruling, line.state)
        if decision.ruling is Ruling.RECOUNT:
            token, there = await _snapshot(tx, new_id, line)
            await count_tasks.begin_round(tx, line, decision, token=token, units=there)
        else:
            await count_tasks.rule(tx, line, decision, state=after)
    return after


async def _snapshot(tx: Transaction, new_id: Callable[[], UUID], line: Line) -> tuple[UUID, int]:
    """A token for what is seen of this SKU now, and what is on hand."""
    token = new_id()
    await counts.begin(tx, token, line.location, [line.sku])
    return token, await count_tasks.on_hand_begun(tx, token, line.sku)


async def post_accepted(database: Database, post: Post, *, task: str | None = None, sku: Sku | None = None) -> int:
    """Have the ledger follow what was counted and accepted, one batch. Returns how many lines.

    Whatever dies in between, and whoever does the same beside it, each is posted once: its key follows from its names.
    """
    async with database.transaction() as tx:
        waiting = await count_tasks.accepted(tx, task=task, sku=sku, limit=POSTED_MAX)
    if not waiting:
        return 0
    outcomes = await post(
        [
            count_of(
                task=one.task,
                sku=one.sku,
                round_=one.round,
                location=one.location,
                units=one.units_counted,
                token=one.token,
            )
            for one in waiting
        ]
    )
    done = [(one, isinstance(told, Done), in_words(told)) for one, told in zip(waiting, outcomes, strict=True)]
    async with database.transaction() as tx:
        await count_tasks.finish(tx, done)
    return len(waiting)
