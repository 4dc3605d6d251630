"""How one step is run again and again."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest
from structlog.testing import capture_logs

from oneshelf.errors import DatabaseUnavailableError, InvariantError, OverloadedError, StillPostingError
from oneshelf.storage.database import Database
from oneshelf.workers import runner
from oneshelf.workers.runner import Pulse, Step, run_for_ever

LONG_S = 1000.0


class Work:
    """A step's work with a course that the test writes: units done, or a failure. At the end there is none left."""

    def __init__(self, *course: int | Exception | BaseException) -> None:
        self._course = list(course)
        self.runs = 0
        self._has_run = asyncio.Condition()

    async def __call__(self) -> int:
        async with self._has_run:
            self.runs += 1
            self._has_run.notify_all()
        outcome = self._course.pop(0) if self._course else 0
        if isinstance(outcome, BaseException):
            raise outcome
        return outcome

    async def until(self, runs: int) -> None:
        """Until it has run so many times."""
        async with asyncio.timeout(60), self._has_run:
            await self._has_run.wait_for(lambda: self.runs >= runs)


async def turns() -> None:
    """Let every task come to its next wait."""
    for _ in range(20):
        await asyncio.sleep(0)


@asynccontextmanager
async def running(pulse: Pulse, *steps: Step) -> AsyncIterator[list[asyncio.Task[None]]]:
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(run_for_ever(step, pulse)) for step in steps]
        yield tasks
        for task in tasks:
            task.cancel()


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runner, "FAILURE_PAUSE_S_MAX", 0.01)


def step(work: Callable[[], Awaitable[int]], name: str = "post", *, idle_s: float = LONG_S) -> Step:
    return Step(name, work, idle_s=idle_s)


async def test_a_step_with_work_runs_again_at_once_and_an_idle_one_waits() -> None:
    work = Work(5, 1, 3)
    async with running(Pulse(), step(work)):
        await work.until(4)
        await turns()
        assert work.runs == 4, "three times with work, once to find none"


async def test_an_idle_step_runs_when_it_is_woken() -> None:
    work, pulse = Work(), Pulse()
    async with running(pulse, step(work)):
        for runs in (1, 2, 3):
            await work.until(runs)
            await turns()
            assert work.runs == runs
            pulse.wake(["post"])


async def test_an_idle_step_looks_by_itself_after_a_while() -> None:
    work = Work()
    async with running(Pulse(), step(work, idle_s=0.01)):
        await work.until(3)


async def test_a_wake_up_during_the_work_is_not_lost() -> None:
    pulse = Pulse()
    begun, go_on = asyncio.Event(), asyncio.Event()
    runs = 0

    async def work() -> int:
        nonlocal runs
        runs += 1
        if runs == 2:
            begun.set()
            await go_on.wait()
        return 0

    async with running(pulse, step(work)):
        await turns()
        pulse.wake(["post"])
        await begun.wait()
        pulse.wake(["post"])
        go_on.set()
        await turns()
        assert runs == 3


async def test_a_wake_up_before_the_first_wait_is_not_lost() -> None:
    pulse = Pulse()
    begun, go_on = asyncio.Event(), asyncio.Event()
    runs = 0

    async def work() -> int:
        nonlocal runs
        runs += 1
        begun.set()
        await go_on.wait()
        return 0

    async with running(pulse, step(work)):
        await begun.wait()
        pulse.wake(["post"])
        go_on.set()
        await turns()
        assert runs == 2


async def test_work_that_was_done_wakes_the_steps_that_come_after() -> None:
    pulse = Pulse()
    first, second, other = Work(0, 2), Work(), Work()
    async with running(pulse, Step("post", first, ("plan",), idle_s=LONG_S), step(second, "plan"), step(other, "push")):
        await turns()
        assert (first.runs, second.runs) == (1, 1), "an idle run wakes nobody"
        pulse.wake(["post"])
        await turns()
        assert (first.runs, second.runs, other.runs) == (3, 2, 1)


async def test_a_step_is_woken_at_one_channel_or_at_all() -> None:
    pulse = Pulse()
    shop, market = Work(), Work()
    async with running(pulse, step(shop, "push shop"), step(market, "push market")):
        await turns()
        pulse.wake(["push shop", "confirm market"])
        await turns()
        assert (shop.runs, market.runs) == (2, 1)
        pulse.wake(["push"])
        await turns()
        assert (shop.runs, market.runs) == (3, 2)


async def test_a_failing_step_is_tried_again_and_stops_no_other() -> None:
    pulse = Pulse()
    failing, other = Work(ValueError("first"), ValueError("second"), 1), Work(1, 1)
    with capture_logs() as logs:
        async with running(pulse, step(failing, "plan"), step(other)):
            await failing.until(4)
            assert other.runs == 3
    assert [(line["event"], line["step"], line["failures"]) for line in logs] == [
        ("step.failed", "plan", 1),
        ("step.failed", "plan", 2),
    ]


async def test_a_step_that_fails_is_named_until_it_succeeds() -> None:
    pulse, again, go_on = Pulse(), asyncio.Event(), asyncio.Event()
    runs = 0

    async def work() -> int:
        nonlocal runs
        runs += 1
        if runs == 1:
            raise ValueError("a row that no step can save")
        again.set()
        await go_on.wait()
        return 0

    with capture_logs():
        async with running(pulse, step(work, "book")):
            await again.wait()
            assert pulse.failing == {"book": 1}
            go_on.set()
            await turns()
            assert pulse.failing == {}


async def test_a_bug_stops_everything() -> None:
    pulse = Pulse()
    healthy, buggy = Work(), Work(1, InvariantError("two and two are five"))
    tasks: list[asyncio.Task[None]] = []

    async def engine() -> None:
        async with running(pulse, step(healthy), step(buggy, "plan")) as running_tasks:
            tasks.extend(running_tasks)
            async with asyncio.timeout(60):
                await asyncio.wait(tasks)

    with pytest.raises(BaseExceptionGroup) as caught:
        await engine()
    assert caught.group_contains(InvariantError, match="two and two")
    assert buggy.runs == 2
    assert all(task.done() for task in tasks)
    assert tasks[0].cancelled()


async def test_an_unavailable_database_is_waited_out_and_told_once_when_it_goes_and_once_when_it_is_back() -> None:
    gone = [DatabaseUnavailableError("gone") for _ in range(4)]
    work = Work(1, *gone, 1)
    with capture_logs() as logs:
        async with running(Pulse(), step(work)):
            await work.until(7)
            await turns()
    assert [(line["event"], line["step"]) for line in logs] == [
        ("database.unavailable", "post"),
        ("database.available", "post"),
    ]


@pytest.mark.pg
@pytest.mark.parametrize("late", [StillPostingError("not answered"), OverloadedError("too many")])
async def test_a_step_that_posts_too_much_at_once_asks_again_and_has_not_failed(late: Exception) -> None:
    pulse, work = Pulse(), Work(late, late, 3)
    with capture_logs() as logs:
        async with running(pulse, step(work)):
            await work.until(4)
            assert pulse.failing == {}
    assert [line["event"] for line in logs] == ["step.put_off", "step.put_off"]


async def test_a_step_outlives_the_loss_of_all_its_connections(dsn: str) -> None:
    pulse, done = Pulse(), asyncio.Event()
    failures: list[Exception] = []
    async with Database.open(dsn, connections_max=2) as database, Database.open(dsn) as other:

        async def work() -> int:
            try:
                async with database.transaction() as tx:
                    await tx.execute("select 1")
            except DatabaseUnavailableError as failure:
                failures.append(failure)
                raise
            if failures:
                done.set()
            return 0

        async with running(pulse, step(work, idle_s=0.01)):
            async with other.transaction() as tx:
                await tx.execute(
                    """
                    select pg_terminate_backend(pid, 5000) from pg_stat_activity
                    where datname = current_database() and pid <> all (%(ours)s)
                    """,
                    {"ours": [tx.info.backend_pid]},
                )
            async with asyncio.timeout(60):
                await done.wait()
    assert failures


async def test_a_step_that_is_cancelled_ends() -> None:
    for course in ([], [ValueError("on the way")]):
        work = Work(*course)
        async with running(Pulse(), step(work)) as tasks:
            await work.until(1)
            tasks[0].cancel()
            async with asyncio.timeout(60):
                await asyncio.wait(tasks)
        assert tasks[0].cancelled()


async def test_a_step_ends_also_when_what_it_waited_for_swallowed_the_wish() -> None:
    """As the waiting of the database driver does before Python 3.12, now and then."""
    for outcome in (0, 1, ValueError("and failed")):
        begun = asyncio.Event()

        async def work(outcome: int | Exception = outcome, begun: asyncio.Event = begun) -> int:
            begun.set()
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                if isinstance(outcome, Exception):
                    raise outcome from None
            return outcome if isinstance(outcome, int) else 0

        with capture_logs():
            async with running(Pulse(), step(work)) as tasks:
                await begun.wait()
                tasks[0].cancel()
                await turns()
                assert tasks[0].cancelled()


async def test_the_pause_after_failures_grows_and_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runner, "FAILURE_PAUSE_S_MAX", 0.0)
    work = Work(*(ValueError(str(number)) for number in range(3000)))
    with capture_logs():
        async with running(Pulse(), step(work)):
            await work.until(3001)


async def test_what_a_step_did_is_counted_while_it_runs() -> None:
    work, pulse = Work(5, ValueError("once"), 2), Pulse()
    async with running(pulse, step(work, "plan")):
        await work.until(4)
        await turns()
        assert pulse.done == {"plan": 7}
        assert 0 <= pulse.ages_s()["plan"] < 60
    assert (pulse.done, pulse.ages_s(), pulse.failing) == ({}, {}, {})


async def test_a_step_that_hangs_in_its_first_turn_has_an_age() -> None:
    pulse = Pulse()

    async def hang() -> int:
        await asyncio.Event().wait()
        return 0

    async with running(pulse, step(hang, "plan")):
        await turns()
        assert list(pulse.ages_s()) == ["plan"]
