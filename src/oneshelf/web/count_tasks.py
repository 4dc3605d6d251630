"""`/v1/count-tasks`: cycle counts, entered without seeing the figure, and looked at where they differ."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from fastapi import APIRouter, Depends
from pydantic import BaseModel, ConfigDict
from starlette.requests import Request

from oneshelf.domain.command import Command
from oneshelf.domain.count_task import (
    CountTaskRefusal,
    CountWish,
    Decision,
    Entry,
    NoSuchTask,
    NotInTask,
    task_in_words,
)
from oneshelf.domain.identity import Sku, sku_from
from oneshelf.domain.outcome import Outcome, UnknownLocation, UnknownSku, in_words
from oneshelf.flow import count
from oneshelf.storage import count_tasks
from oneshelf.web import described
from oneshelf.web.api import After, Limit
from oneshelf.web.bodies import read_json
from oneshelf.web.engine import Engine, EngineOf
from oneshelf.web.problems import DOCUMENTED, ProblemError
from oneshelf.web.questions import only_known_questions
from oneshelf.web.warehouse_inputs import count_wish_from, decision_from, entry_from, task_from

router = APIRouter(prefix="/v1", tags=["warehouse"], responses=DOCUMENTED, dependencies=[Depends(only_known_questions)])


class _Output(BaseModel):
    model_config = ConfigDict(from_attributes=True, frozen=True)


class CountTaskOut(_Output):
    """A count and how far it has got: SKUs to be counted, to be looked at, to be counted again, and posted."""

    task: str
    location: str
    opened_at: datetime
    opened_by: str
    threshold_units: int
    threshold_percent: int
    line_count: int
    open_count: int
    review_count: int
    refused_count: int
    posted_count: int


class CountTasksOut(_Output):
    """By their numbers. `next`: give it as `after` for the next page; null on the last one."""

    tasks: list[CountTaskOut]
    next: str | None


class CountLineOut(_Output):
    """One SKU of a count. `state`: open, review, accepted, posted, refused (count it again) or dropped.

    `units_expected`: what the ledger had; null until a figure is entered. `is_doubtful`: units moved meanwhile, and the
    figure fits neither what was there before nor after. `answer`: the ledger's own words.
    """

    sku: str
    title: str
    location: str
    round: int
    state: str
    units_counted: int | None
    units_expected: int | None
    variance_units: int | None
    is_doubtful: bool
    counted_by: str
    counted_at: datetime | None
    decided_by: str
    reason: str
    answer: str


class CountLinesOut(_Output):
    """A count and its SKUs. `next`: give it as `after` for the next page; null on the last one."""

    count: CountTaskOut
    lines: list[CountLineOut]
    next: str | None


@router.get("/count-tasks")
async def list_tasks(engine: EngineOf, only_to_do: bool = True, after: After = "", limit: Limit = 100) -> CountTasksOut:
    """Counts of which something is to be counted or to be looked at; or all."""
    start = task_from(after) if after else ""
    async with engine.database.transaction() as tx:
        rows = await count_tasks.tasks(tx, only_to_do=only_to_do, after=start, limit=limit + 1)
    return CountTasksOut(
        tasks=[CountTaskOut.model_validate(row) for row in rows[:limit]],
        next=rows[limit - 1].task if len(rows) > limit else None,
    )


@router.post("/count-tasks", openapi_extra=described.body("CountTaskIn"))
async def open_task(request: Request, engine: EngineOf) -> CountTaskOut:
    """Open a count. What is on hand now is noted and not told; the same again is the same count."""
    wish, by = count_wish_from(await read_json(request))
    await opened(engine, wish, by=by)
    async with engine.database.transaction() as tx:
        [row] = await count_tasks.tasks(tx, only_to_do=False, name=wish.task, limit=1)
    return CountTaskOut.model_validate(row)


@router.get("/count-tasks/{task}")
async def show_task(engine: EngineOf, task: str, after: After = "", limit: Limit = 100) -> CountLinesOut:
    """The SKUs of a count by name. What the ledger had is told once a figure is entered, and not before."""
    name, start = task_from(task), sku_from(after) if after else ""
    async with engine.database.transaction() as tx:
        found = await count_tasks.tasks(tx, only_to_do=False, name=name, limit=1)
        rows = await count_tasks.lines(tx, name, after=start, limit=limit + 1)
    if not found:
        raise _refused(NoSuchTask(name))
    return CountLinesOut(
        count=CountTaskOut.model_validate(found[0]),
        lines=[CountLineOut.model_validate(row) for row in rows[:limit]],
        next=rows[limit - 1].sku if len(rows) > limit else None,
    )


@router.post("/count-tasks/{task}/entries", openapi_extra=described.body("CountEntryIn"))
async def enter(request: Request, engine: EngineOf, task: str) -> CountLineOut:
    """Enter what was counted. The ledger follows at once, or the difference waits for a person.

    The same figure again for the same round changes nothing; another one is refused: have it counted again.
    """
    return await entered(engine, entry_from(task_from(task), await read_json(request)))


@router.post("/count-tasks/{task}/decisions", openapi_extra=described.body("CountDecisionIn"))
async def decide(request: Request, engine: EngineOf, task: str) -> CountLineOut:
    """Say what becomes of a difference. The same said again of the same round changes nothing."""
    return await decided(engine, decision_from(task_from(task), await read_json(request)))


async def opened(engine: Engine, wish: CountWish, *, by: str) -> int:
    """Open a count, over the API or on its page. Returns how many SKUs it is of. Raises ProblemError."""
    outcome = await count.open_task(engine.database, engine.clock.new_id, wish, by=by)
    if isinstance(outcome, int):
        return outcome
    raise _refused(outcome)


async def entered(engine: Engine, entry: Entry) -> CountLineOut:
    """Enter a figure, over the API or on its page; what is accepted is posted. Raises ProblemError."""
    outcome = await count.enter(engine.database, engine.clock.new_id, entry)
    if isinstance(outcome, CountTaskRefusal):
        raise _refused(outcome)
    return await _posted(engine, entry.task, entry.sku)


async def decided(engine: Engine, decision: Decision) -> CountLineOut:
    """Do the same for what a person says of a difference. Raises ProblemError."""
    outcome = await count.decide(engine.database, engine.clock.new_id, decision)
    if isinstance(outcome, CountTaskRefusal):
        raise _refused(outcome)
    return await _posted(engine, decision.task, decision.sku)


async def _posted(engine: Engine, task: str, sku: Sku) -> CountLineOut:
    async def post(commands: Sequence[Command]) -> list[Outcome]:
        return [answered.outcome for answered in await engine.post(commands)]

    if await count.post_accepted(engine.database, post, task=task, sku=sku):
        engine.wake(["plan"])
    async with engine.database.transaction() as tx:
        [row] = await count_tasks.lines(tx, task, sku=sku, limit=1)
    return CountLineOut.model_validate(row)


def _refused(refusal: CountTaskRefusal | UnknownSku | UnknownLocation) -> ProblemError:
    match refusal:
        case UnknownSku():
            return ProblemError(404, in_words(refusal), kind="unknown-sku")
        case UnknownLocation():
            return ProblemError(404, in_words(refusal), kind="unknown-location")
        case NoSuchTask():
            return ProblemError(404, task_in_words(refusal), kind="unknown-count")
        case NotInTask():
            return ProblemError(404, task_in_words(refusal), kind="not-in-count")
        case _:
            return ProblemError(409, task_in_words(refusal), kind="not-countable")
