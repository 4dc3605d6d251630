"""Where a whole pass gets its readings from: the channel's pages, or a file that it writes for us.

A file is wanted, written, read and forgotten, and each of these can be the last that a process does. What the next one
needs is in the `Place` that each part comes with: it is stored together with the readings.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Protocol

import msgspec

from oneshelf.clock import Clock
from oneshelf.domain.sweep_plan import look_again_s
from oneshelf.errors import MalformedError
from oneshelf.flow.channel import CHANNEL_FAILURES, OpenChannel, words_of
from oneshelf.sdk.contract import WritesStockFile
from oneshelf.sdk.fault import ChannelFault, NeedsPersonError, RefusedError, RetryLaterError
from oneshelf.sdk.message import FileState, StockFile, StockReading
from oneshelf.storage.database import Database, now
from oneshelf.storage.sweep_places import Place

# So much of a sweep is stored at once: readings, or what came within so many seconds.
GATHER_READINGS = 5_000
GATHER_S = 1.0
# The next readings of a file come within this time, or it has broken off.
PIECE_S = 60.0
# A file that breaks off is fetched again after so long, so often in a row.
FETCH_AGAIN_S = 5.0
TRIES_MAX = 3
# As many are written for us as the channel writes at once: ask again then.
BUSY_S = 30.0


class Ending(StrEnum):
    """What comes after a part."""

    MORE = "more"
    LATER = "later"  # more, after a while
    WHOLE = "whole"  # nothing: all listings were told
    PARTIAL = "partial"  # nothing, and some listings were not told
    BY_PAGES = "by pages"  # the source has failed: the pages tell what it did not


@dataclass(slots=True)
class Part:
    """Some readings of a channel's stock, none of them older than `asked_at`. `fault`: why there are no more now.

    `place`: where the pass stands once they are stored; `seen_count` listings were told until then. `later_s`: when to
    go on. `words`: what hinders it.
    """

    asked_at: datetime
    place: Place = field(default_factory=Place)
    readings: list[StockReading] = field(default_factory=list)
    page_count: int = 0
    seen_count: int = 0
    is_from_file: bool = False
    ending: Ending = Ending.MORE
    later_s: float = 0.0
    words: str = ""
    fault: ChannelFault | MalformedError | None = None


class Source(Protocol):
    """Tells the listings of a channel, part by part."""

    async def next_part(self) -> Part: ...

    async def close(self) -> None: ...


class Pages:
    """The channel's pages, as many of them as come in a moment: to store each by itself would take longer.

    `until_count`: after so many listings with more to come, a file is the better way; None: pages are all there is.
    """

    def __init__(
        self, database: Database, channel: OpenChannel, clock: Clock, *, took_s: float | None, until_count: int | None
    ) -> None:
        self._database = database
        self._channel = channel
        self._clock = clock
        self._place = Place(took_s=took_s)
        self._until_count = until_count
        self._cursor: str | None = None
        self._count = 0

    async def next_part(self) -> Part:
        part = Part(await _now(self._database), self._place)
        until = self._clock.monotonic() + GATHER_S
        while part.ending is Ending.MORE and len(part.readings) < GATHER_READINGS and self._clock.monotonic() < until:
            try:
                page = await self._channel.connector.fetch_stock(self._cursor)
            except CHANNEL_FAILURES as fault:
                part.fault = fault
                break
            self._cursor = page.cursor
            self._count += len(page.readings)
            part.page_count += 1
            part.readings += page.readings
            if page.cursor is None:
                part.ending = Ending.WHOLE
            if self.is_too_large:
                break
        part.seen_count = self._count
        return part

    @property
    def is_too_large(self) -> bool:
        """Whether there turned out to be so many listings that a file is the better way."""
        return self._until_count is not None and self._cursor is not None and self._count > self._until_count

    async def close(self) -> None:
        pass


@dataclass(frozen=True, slots=True)
class FileTerms:
    """What is known of a channel's files. `give_up_s`: how long one is waited for. `age_s`: how much older than the
    asking the readings in one may be.
    """

    give_up_s: float
    age_s: float = 0.0


class File:
    """A file that the channel writes: begun or found again, waited for, and read from where the last process got to.

    `covered_until`: no reading of the last whole pass is older.
    """

    def __init__(
        self,
        database: Database,
        connector: WritesStockFile,
        clock: Clock,
        *,
        place: Place,
        terms: FileTerms,
        covered_until: datetime | None,
    ) -> None:
        self._database = database
        self._connector = connector
        self._clock = clock
        self._place = place
        self._give_up_s = terms.give_up_s
        self._age = timedelta(seconds=terms.age_s)
        self._covered_until = covered_until
        self._open: tuple[StockFile, AsyncGenerator[Sequence[StockReading]]] | None = None

    async def next_part(self) -> Part:
        at = await _now(self._database)
        part = Part((self._place.asked_at or at) - self._age, self._place, is_from_file=True)
        try:
            if self._open is None:
                await self._ask(part, at)
            if self._open is not None:
                await self._gather(part, *self._open)
        except RetryLaterError as fault:
            if self._open is None:
                # The channel itself did not answer, and not only the place where the file lies.
                part.fault = fault
            else:
                await self._broke_off(part, words_of(fault))
        except RefusedError as fault:
            if self._open is None:
                self._fails(part, words_of(fault))
            else:
                await self._is_gone(part, words_of(fault))
        except (NeedsPersonError, MalformedError) as fault:
            if self._open is None:
                part.fault = fault
            else:
                self._fails(part, words_of(fault))
        except ChannelFault as fault:
            part.fault = fault
        part.place = self._place
        return part

    async def _ask(self, part: Part, at: datetime) -> None:
        """Open the file. Where it cannot be read yet the part says when to look again, or that it never will be."""
        place = self._place
        if place.file and place.asked_at is not None:
            told = await self._connector.stock_file(StockFile(place.file, FileState.WRITING, place.asked_at))
        else:
            told = await self._connector.begin_stock_file(asked_at=at, since=self._since(at))
        waits_since = place.waits_since or at
        self._keep(file=told.name, asked_at=told.asked_at if told.name else None, waits_since=waits_since)
        part.asked_at, waited_s = told.asked_at - self._age, (at - min(waits_since, told.asked_at)).total_seconds()
        match told.state:
            case FileState.READY | FileState.PARTIAL if waited_s >= self._give_up_s and not self._place.read_count:
                await self._is_gone(part, f"the file was begun {waited_s:.0f} s ago, which is too old")
            case FileState.READY | FileState.PARTIAL:
                self._open = (told, self._connector.read_stock_file(told, after=self._place.read_count))
            case FileState.FAILED:
                self._fails(part, told.words)
            case FileState.GONE:
                await self._is_gone(part, told.words)
            case FileState.WRITING | FileState.BUSY if waited_s >= self._give_up_s:
                if told.name:
                    await self._connector.drop_stock_file(told)
                self._fails(part, f"no file after {waited_s:.0f} s{f': {told.words}' if told.words else ''}")
            case FileState.WRITING:
                part.ending, part.later_s = Ending.LATER, look_again_s(waited_s)
            case FileState.BUSY:
                part.ending, part.later_s, part.words = Ending.LATER, BUSY_S, told.words

    def _since(self, at: datetime) -> datetime | None:
        """A file that was asked for later than this was never read to its end. None: one was, and is not to be had."""
        if self._place.try_count:
            return None
        oldest = at - timedelta(seconds=self._give_up_s)
        return max(oldest, self._covered_until + self._age if self._covered_until else oldest)

    async def _gather(self, part: Part, file: StockFile, readings: AsyncGenerator[Sequence[StockReading]]) -> None:
        """The next readings, as many as come in a moment."""
        until = self._clock.monotonic() + GATHER_S
        while len(part.readings) < GATHER_READINGS and self._clock.monotonic() < until:
            try:
                async with asyncio.timeout(PIECE_S):
                    some = await anext(readings, None)
            except TimeoutError:
                raise RetryLaterError(f"nothing more of the file came within {PIECE_S:.0f} s") from None
            if some is None:
                await self._end(part, file)
                return
            part.readings += some
            part.page_count += 1
            self._keep(read_count=self._place.read_count + len(some), try_count=0)

    async def _end(self, part: Part, file: StockFile) -> None:
        """The file is at its end. What it lacks was not whole, or not delivered whole."""
        promised, came = file.reading_count, self._place.read_count
        if file.state is FileState.PARTIAL:
            self._is_partial(part, file.words)
        elif promised is not None and came < promised:
            await self._broke_off(part, f"the file has {came} readings of {promised}")
        else:
            part.ending, part.seen_count = Ending.WHOLE, came
            took_s = (await _now(self._database) - file.asked_at).total_seconds()
            self._place = Place(took_s=took_s)

    async def _broke_off(self, part: Part, words: str) -> None:
        """It is fetched again from where it broke off, some times; then it has to do as it is."""
        await self.close()
        if self._place.try_count + 1 >= TRIES_MAX:
            self._is_partial(part, words)
            return
        self._keep(try_count=self._place.try_count + 1)
        part.ending, part.later_s, part.words = Ending.LATER, FETCH_AGAIN_S, words

    async def _is_gone(self, part: Part, words: str) -> None:
        """Another one is begun, some times."""
        await self.close()
        if self._place.try_count + 1 >= TRIES_MAX:
            self._fails(part, words)
            return
        self._place = Place(try_count=self._place.try_count + 1, took_s=self._place.took_s)
        part.ending, part.later_s, part.words = Ending.LATER, FETCH_AGAIN_S, words

    def _is_partial(self, part: Part, words: str) -> None:
        part.ending, part.words = Ending.PARTIAL, words
        self._place = Place(by_pages=True, took_s=self._place.took_s)

    def _fails(self, part: Part, words: str) -> None:
        """Nothing more comes of this file. Where nothing has come of it, pages are read in its place."""
        if part.readings or self._place.read_count:
            self._is_partial(part, words)
            return
        part.ending, part.words = Ending.BY_PAGES, words
        self._place = part.place = Place(by_pages=True, took_s=self._place.took_s)

    def _keep(self, **changed: object) -> None:
        self._place = msgspec.structs.replace(self._place, **changed)

    async def close(self) -> None:
        if self._open is not None:
            await self._open[1].aclose()
        self._open = None


async def _now(database: Database) -> datetime:
    async with database.transaction() as tx:
        return await now(tx)
