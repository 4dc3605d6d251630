"""A part of the rows of a file: judged first, which changes nothing, then applied, a chunk at a time.

A file is one part. The rows of a large one are dealt to several, each in a process of its own (`files.helper`). What is
about the same thing is in the same part, where it is done in the order of the file.
"""

from __future__ import annotations

import asyncio
import hashlib
import zlib
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any, Protocol
from uuid import UUID

import msgspec

from oneshelf.domain.identity import Location
from oneshelf.errors import DatabaseUnavailableError
from oneshelf.files.kind import Applied, Columns, RowKind, Told
from oneshelf.files.report import SHOWN_MAX, Effect
from oneshelf.files.table import CellError, Reading, Row, Table, open_table
from oneshelf.flow.post import Keep
from oneshelf.storage.database import Database
from oneshelf.storage.imports import Problem, Reason

# Chunks that are posted at the same time.
TOGETHER = 2
TRIES_MAX = 5

Numbered = tuple[int, Any]


class Work(msgspec.Struct, frozen=True, kw_only=True):
    """What a part has to know: the file, what was said about it, and which of `count` parts it is."""

    path: str
    told: Told
    reading: Reading
    chunk: int
    number: int = 0
    count: int = 1


class Step(msgspec.Struct, kw_only=True, tag=True):
    """What became of some rows. Steps add up to what became of all. `zeroed_count`: nothing would be left there."""

    row_count: int = 0
    problem_count: int = 0
    zeroed_count: int = 0
    applied_count: int = 0
    replayed_count: int = 0
    locations: set[Location] = msgspec.field(default_factory=set)
    problems: list[Problem] = msgspec.field(default_factory=list)
    reasons: dict[str, Reason] = msgspec.field(default_factory=dict)
    effects: list[Effect] = msgspec.field(default_factory=list)

    @property
    def through_count(self) -> int:
        return self.applied_count + self.replayed_count

    def add(self, other: Step) -> None:
        """That has become of more rows."""
        self.row_count += other.row_count
        self.problem_count += other.problem_count
        self.zeroed_count += other.zeroed_count
        self.applied_count += other.applied_count
        self.replayed_count += other.replayed_count
        self.locations |= other.locations
        self.problems += other.problems
        self.effects += other.effects
        for reason in other.reasons.values():
            self.count(reason)

    def count(self, more: Reason) -> None:
        """So many more rows are refused for this reason. Of a file of any size so many reasons are told apart."""
        name = f"{more.column}\n{more.reason}"
        known = self.reasons.get(name)
        if known is not None:
            rows, line = known.row_count + more.row_count, min(known.line, more.line)
            self.reasons[name] = msgspec.structs.replace(known, row_count=rows, line=line)
        elif len(self.reasons) < SHOWN_MAX:
            self.reasons[name] = more


class PartOfFile(Protocol):
    """A part, in this process or in another. It is judged once, and then applied once."""

    def judge(self) -> AsyncIterator[Step]:
        """Read every row and hold it against what there is. Raises MalformedError where the file is damaged."""
        ...

    def apply(self, keep: Keep) -> AsyncIterator[Step]:
        """Do what the good rows say, each chunk in a transaction of its own."""
        ...


async def opened(path: Path, reading: Reading, kind: RowKind[Any]) -> Table:
    """The table in the file. A workbook is read whole, which takes seconds: sales and webhooks go on meanwhile."""
    return await asyncio.to_thread(open_table, path, reading, kind.columns)


class Part:
    """A part in this process."""

    def __init__(self, database: Database, new_id: Callable[[], UUID], kind: RowKind[Any], work: Work) -> None:
        self.database = database
        self.new_id = new_id
        self.kind = kind
        self.work = work
        self._left_out: set[int] = set()
        self._problems_told = self._effects_told = 0

    async def judge(self) -> AsyncIterator[Step]:
        """See `PartOfFile`."""
        rows, read = await self._rows()
        seen: set[bytes] = set()
        step, fit = Step(), list[Numbered]()
        for row in rows:
            step.row_count += 1
            try:
                item = read(row)
                self._refuse_doubled(item, seen)
            except CellError as problem:
                self._refuse(step, row.line, problem)
            else:
                fit.append((row.line, item))
            if step.row_count >= self.work.chunk:
                await self._check(step, fit)
                yield step
                step, fit = Step(), []
        await self._check(step, fit)
        yield step

    async def _check(self, step: Step, fit: list[Numbered]) -> None:
        checked = await self.kind.check(self.database, [item for _, item in fit]) if fit else []
        for (line, _), one in zip(fit, checked, strict=True):
            if one.problem is not None:
                self._refuse(step, line, one.problem)
            elif one.location is not None:
                step.locations.add(one.location)
                step.zeroed_count += one.is_zero

    async def apply(self, keep: Keep) -> AsyncIterator[Step]:
        """See `PartOfFile`. While the database writes one chunk, another is decided."""
        subject = self.kind.subject
        together: list[list[Numbered]] = []
        async for chunk in self.chunks():
            # Where rows of two chunks may be about the same thing, the second waits for the first.
            stands_alone = not all(subject(item) for _, item in chunk)
            if stands_alone or len(together) == TOGETHER:
                for step in await self._apply_chunks(together, keep):
                    yield step
                together = []
            together.append(chunk)
            if stands_alone:
                for step in await self._apply_chunks(together, keep):
                    yield step
                together = []
        for step in await self._apply_chunks(together, keep):
            yield step

    async def _apply_chunks(self, chunks: list[list[Numbered]], keep: Keep) -> list[Step]:
        posting = [self.apply_chunk(chunk, keep) for chunk in chunks]
        steps = await asyncio.gather(*posting, return_exceptions=True)
        for step in steps:
            if isinstance(step, BaseException):
                raise step
        return [step for step in steps if isinstance(step, Step)]

    async def apply_chunk(self, chunk: list[Numbered], keep: Keep) -> Step:
        """Do what these rows say in one transaction."""
        answers, step = await self._post([item for _, item in chunk], keep), Step()
        for (line, item), answer in zip(chunk, answers, strict=True):
            if not answer.is_done:
                words = answer.effect.removeprefix("refused: ")
                problem = CellError(answer.column, self.kind.label(item), words)
                self._refuse(step, line, problem)
            elif answer.is_replayed:
                step.replayed_count += 1
            else:
                step.applied_count += 1
            if keep is Keep.NOTHING and self._effects_told < SHOWN_MAX:
                self._effects_told += 1
                step.effects.append(Effect(line=line, row=self.kind.label(item), effect=answer.effect))
        return step

    async def chunks(self) -> AsyncIterator[list[Numbered]]:
        """The good rows, read anew, with their lines."""
        rows, read = await self._rows()
        chunk: list[Numbered] = []
        for row in rows:
            if row.line not in self._left_out:
                chunk.append((row.line, read(row)))
            if len(chunk) >= self.work.chunk:
                yield chunk
                chunk = []
        if chunk:
            yield chunk

    async def _rows(self) -> tuple[Iterator[Row], Callable[[Row], Any]]:
        """The rows of this part, and what reads one."""
        work = self.work
        table = await opened(Path(work.path), work.reading, self.kind)
        columns = Columns(table.header, self.kind.columns, work.reading)
        read = self.kind.reader(columns, work.told)
        about = self.kind.about(columns)
        if work.count == 1 or about is None:
            return table.rows, read
        return (row for row in table.rows if _dealt(row, columns, about) % work.count == work.number), read

    async def _post(self, items: list[Any], keep: Keep) -> list[Applied]:
        """Have rows applied, again where somebody else was in the way."""
        for remaining in reversed(range(TRIES_MAX)):
            try:
                return await self.kind.apply(self.database, self.new_id, items, keep)
            except DatabaseUnavailableError:
                if not remaining:
                    raise
        return []

    def _refuse_doubled(self, item: Any, seen: set[bytes]) -> None:
        """Raise CellError where an earlier row was about the same."""
        subject = self.kind.subject(item)
        if subject:
            mark = hashlib.blake2b(subject.encode(), digest_size=12).digest()
            if mark in seen:
                reason = "an earlier row of the file says something about the same; nobody knows which one counts"
                raise CellError("", self.kind.label(item), reason)
            seen.add(mark)

    def _refuse(self, step: Step, line: int, problem: CellError) -> None:
        step.problem_count += 1
        self._left_out.add(line)
        # As the file calls it.
        column = self.work.reading.names.get(problem.column, problem.column)
        step.count(Reason(column=column, reason=problem.reason, row_count=1, line=line))
        if self._problems_told < SHOWN_MAX:
            self._problems_told += 1
            step.problems.append(Problem(line=line, column=column, value=problem.value, reason=problem.reason))


def _dealt(row: Row, columns: Columns, about: Callable[[Row], str]) -> int:
    """The same number for rows about the same, else any; 0 for a row that cannot be read."""
    try:
        columns.fit(row)
        return zlib.crc32(about(row).encode())
    except CellError:
        return 0
