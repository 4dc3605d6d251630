"""The newest events in memory, for all who read them here: one of them looks into the database, for all of them."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence

from oneshelf.clock import Clock
from oneshelf.domain.event import Event, Wanted
from oneshelf.storage import events
from oneshelf.storage.database import Database

LOOK_EVERY_S = 0.25
KEPT_MAX = 2_000
PAGE = 200


class EventFeed:
    """A reader holds nothing but its cursor. Who falls behind what is kept here reads pages from the database."""

    def __init__(self, database: Database, clock: Clock, *, kept_max: int = KEPT_MAX) -> None:
        self._database = database
        self._clock = clock
        self._kept: deque[Event] = deque()
        self._kept_max = kept_max
        self._looking = asyncio.Lock()
        self._looked_at = float("-inf")
        # All events after `_floor` and up to `_head` were kept when they came.
        self._floor: int | None = None
        self._head = 0
        self.reader_count = 0
        self.look_count = 0

    async def start(self, cursor: int | None) -> int:
        """Where a reader begins: after what it has seen; None: after all there is now.

        A position beyond the log is of a log that was there before a restore: it begins with the first event.
        """
        await self._look(at_once=True)
        return self._head if cursor is None else cursor if cursor <= self._head else 0

    async def read(self, wanted: Wanted, cursor: int) -> tuple[Sequence[Event], int]:
        """The next events that a reader wants, a page at most, and its new cursor."""
        await self._look()
        if cursor >= self._head:
            return (), cursor
        if self._floor is None or cursor < self._floor:
            return await self._from_database(wanted, cursor)
        found = [event for event in self._kept if event.position > cursor and wanted.takes(event)][:PAGE]
        return found, found[-1].position if len(found) == PAGE else self._head

    async def _from_database(self, wanted: Wanted, cursor: int) -> tuple[Sequence[Event], int]:
        head = self._head
        async with self._database.transaction() as tx:
            page = await events.page(tx, wanted, after=cursor, limit=PAGE)
        if len(page) == PAGE:
            return page, page[-1].position
        return page, max(head, page[-1].position if page else 0)

    async def _look(self, *, at_once: bool = False) -> None:
        """Look for new events, unless somebody has just done so."""
        async with self._looking:
            if not at_once and self._clock.monotonic() - self._looked_at < LOOK_EVERY_S:
                return
            async with self._database.transaction() as tx:
                self.look_count += 1
                if self._floor is None:
                    self._floor = self._head = (await events.bounds(tx)).last
                found = await events.page(tx, Wanted(), after=self._head, limit=self._kept_max)
            self._kept.extend(found)
            self._head = found[-1].position if found else self._head
            while len(self._kept) > self._kept_max:
                self._floor = self._kept.popleft().position
            self._looked_at = self._clock.monotonic()
