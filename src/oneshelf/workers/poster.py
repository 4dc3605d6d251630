"""Lets the callers of this process share transactions: while one batch of commands commits, the next one fills.

A batch forms by itself, no timer is needed, and a lone caller waits for nobody. Other processes do the same on the
same database; the locks there keep them apart.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from uuid import UUID

from oneshelf.domain.command import Claim, Command, Extend, Release, Reserve
from oneshelf.errors import DatabaseRefusedError, OneshelfError, OverloadedError, StillPostingError
from oneshelf.flow.post import Answered, post_commands
from oneshelf.storage.database import Database

# Commands in one transaction. More would not be faster, and everybody in it would wait longer.
BATCH_MAX = 250
# Commands that may wait. More would only wait until their callers have gone.
QUEUE_MAX = 5_000
# Of them, those that begin with the same SKU: a run on one leaves room for all others.
QUEUE_PER_SKU_MAX = 4_000
# How long a caller waits for the answer.
ANSWER_S_MAX = 2.0
# Two transactions under way: one is decided here while the other is written there. Each costs as much as some forty
# commands, so the second one waits until it is worth that.
LANES = 2
WORTH_A_LANE = 100


class _Request:
    """Commands of one caller, which stay together and in their order."""

    __slots__ = ("answered", "is_taken", "timer", "wanted")

    def __init__(self, wanted: Sequence[Command], answered: asyncio.Future[list[Answered]]) -> None:
        self.wanted = wanted
        self.answered = answered
        self.is_taken = False
        self.timer: asyncio.TimerHandle | None = None

    def fail(self, failure: OneshelfError) -> None:
        if not self.answered.done():
            self.answered.set_exception(failure)

    def give_up(self) -> None:
        """The caller has waited long enough."""
        if self.is_taken:
            self.fail(StillPostingError(f"not answered after {ANSWER_S_MAX:g} s; ask again with the same key"))
        else:
            self.fail(OverloadedError(f"waited {ANSWER_S_MAX:g} s and was not reached; nothing was done"))


class Poster:
    """Answers commands in shared transactions. Something must run `post_next` again and again, in each lane."""

    def __init__(self, database: Database, new_id: Callable[[], UUID], *, queue_max: int = QUEUE_MAX) -> None:
        self._database = database
        self._new_id = new_id
        self._queue_max = queue_max
        # SKU -> requests that begin with it. The order of the SKUs is whose turn it is.
        self._waiting: dict[object, deque[_Request]] = {}
        self._waiting_of: dict[object, int] = {}
        self._waiting_count = 0
        self._under_way = 0
        self._has_work = asyncio.Event()

    @property
    def waiting_count(self) -> int:
        """Commands that wait to be taken into a batch."""
        return self._waiting_count

    async def post(self, wanted: Sequence[Command]) -> list[Answered]:
        """Post commands in the order given; one answer for each, see `flow.post.post_commands`.

        Raises OverloadedError where too many wait already and StillPostingError where the answer takes too long; with
        the same key it is safe to ask again. Raises DatabaseUnavailableError and DatabaseRefusedError as the database
        says.
        """
        if not wanted:
            return []
        turn = _turn(wanted[0])
        of_turn = self._waiting_of.get(turn, 0) + len(wanted)
        is_full = self._waiting_count > 0 and self._waiting_count + len(wanted) > self._queue_max
        if is_full or (of_turn > len(wanted) and of_turn > min(QUEUE_PER_SKU_MAX, self._queue_max)):
            raise OverloadedError(f"{self._waiting_count} commands wait already; nothing was done")
        loop = asyncio.get_running_loop()
        request = _Request(wanted, loop.create_future())
        self._waiting.setdefault(turn, deque()).append(request)
        self._waiting_of[turn] = of_turn
        self._waiting_count += len(wanted)
        self._has_work.set()
        request.timer = loop.call_later(ANSWER_S_MAX, request.give_up)
        try:
            return await request.answered
        finally:
            request.timer.cancel()

    async def post_next(self) -> int:
        """Wait for commands, post one batch of them, and answer its callers. Returns how many commands."""
        while not (batch := self._take()):
            self._has_work.clear()
            await self._has_work.wait()
        self._under_way += 1
        try:
            await self._post(batch)
        finally:
            self._under_way -= 1
            self._has_work.set()
            # A bug or a stop: the callers are not left waiting. What was committed is found under its key.
            for request in batch:
                request.fail(StillPostingError("the engine stopped while it was posting; ask again with the same key"))
        return sum(len(request.wanted) for request in batch)

    def _take(self) -> list[_Request]:
        """The next batch: each SKU's oldest request in turn, as long as there is room; none before it is worth it."""
        batch: list[_Request] = []
        if self._under_way and self._waiting_count < WORTH_A_LANE:
            return batch
        room = BATCH_MAX
        while self._waiting and room > 0:
            turn, requests = next(iter(self._waiting.items()))
            request = requests[0]
            size = len(request.wanted)
            if batch and size > room:
                break
            requests.popleft()
            self._leave(turn, requests, size)
            if not request.answered.done():  # Nobody waits for the others any more.
                request.is_taken = True
                batch.append(request)
                room -= size
        return batch

    def _leave(self, turn: object, requests: deque[_Request], size: int) -> None:
        """Count a request out; the next SKU has its turn."""
        self._waiting_count -= size
        del self._waiting[turn]
        if requests:
            self._waiting[turn] = requests
            self._waiting_of[turn] -= size
        else:
            del self._waiting_of[turn]

    async def _post(self, batch: Sequence[_Request]) -> None:
        try:
            answers = await post_commands(
                self._database, self._new_id, [command for request in batch for command in request.wanted]
            )
        except DatabaseRefusedError as refusal:
            if len(batch) == 1:
                batch[0].fail(refusal)
                return
            # One of them cannot be stored; the others have done nothing wrong.
            for request in batch:
                await self._post([request])
        except OneshelfError as failure:
            for request in batch:
                request.fail(failure)
        else:
            start = 0
            for request in batch:
                end = start + len(request.wanted)
                if not request.answered.done():
                    request.answered.set_result(answers[start:end])
                start = end


def _turn(command: Command) -> object:
    """Whose turn a command waits for: that of its first SKU, or of its reservation."""
    match command:
        case Reserve():
            return command.lines[0].sku
        case Extend() | Claim() | Release():
            return command.reservation_id
        case _:
            return command.sku
