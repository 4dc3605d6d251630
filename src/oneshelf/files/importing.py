"""Bring a file in: read it whole and judge it first, then apply its rows, each once however often it is brought.

Two passes over a copy of the file. The first finds everything that is wrong and changes nothing. The second posts the
good rows, under keys that follow from the bytes of the file and the line: whoever dies in the middle begins again, and
what was applied is answered, not done again.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field, replace
from enum import StrEnum
from pathlib import Path
from typing import Any, BinaryIO
from uuid import UUID

import msgspec

from oneshelf.domain.breaker import Limits
from oneshelf.domain.file_breaker import Allowance, too_few_rows, too_many_zeros
from oneshelf.domain.identity import Location
from oneshelf.errors import DatabaseUnavailableError, MalformedError
from oneshelf.files.kind import SCOPE, Applied, Columns, RowKind, Told
from oneshelf.files.report import SHOWN_MAX, Effect, Report, State, report_of, undo_command
from oneshelf.files.spool import spooled
from oneshelf.files.table import CellError, Reading, Table, open_table
from oneshelf.flow.post import Keep
from oneshelf.storage import deeds, imports
from oneshelf.storage.database import Database, Transaction
from oneshelf.storage.imports import ImportRow, Problem

CHUNK = 500
# Chunks that are posted at the same time.
TOGETHER = 2
# All of them are locked until the last one is decided: with more of them, sales would wait for too long.
WHOLE_ROWS_MAX = 20_000
TRIES_MAX = 5


class Atomic(StrEnum):
    """What is done of a file in which a row is wrong: nothing, or all but that row."""

    FILE = "file"
    ROW = "row"


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """How a file is to be brought in. `source`: who sends such files, which are compared with one another."""

    kind: RowKind[Any]
    file_name: str
    told: Told = field(default_factory=Told)
    reading: Reading = field(default_factory=Reading)
    atomic: Atomic = Atomic.FILE
    source: str = ""
    is_preview: bool = False
    allowed: frozenset[Allowance] = frozenset()
    chunk: int = CHUNK

    def import_id(self, digest: bytes, *, adds: bool, times_back: int = 0) -> str:
        """The same file, with the same said about it, has the same id for ever, unless it was taken back.

        The same count of another instant is another count; the same delivery, told again later (`adds`), is not.
        """
        taken_at = None if adds else self.told.taken_at
        said: list[object] = [self.kind.name, taken_at, self.told.location, sorted(self.reading.names.items())]
        said += [times_back] * bool(times_back)
        return hashlib.sha256(digest + msgspec.json.encode(said)).hexdigest()[:32]


Tell = Callable[[str, int], None]
Numbered = tuple[int, Any]


def silent(stage: str, row_count: int) -> None:
    """Nobody is told how far it is."""


async def bring_in(
    database: Database, new_id: Callable[[], UUID], origin: BinaryIO, wish: Wish, tell: Tell = silent
) -> Report:
    """What became of the file. `tell`: is told the stage and how many rows are through it.

    Raises MalformedError where no use can be made of what was said about the file; a file that is wrong is a report.
    """
    with spooled(origin) as copy:
        import_id, known = await _known(database, wish, copy.digest, adds=await _adds(copy.path, wish))
        named = replace(wish, told=replace(wish.told, import_id=import_id))
        if known and known.is_complete and not wish.is_preview and not wish.kind.is_standing:
            return msgspec.structs.replace(report_of(known), state=State.APPLIED_BEFORE, applied_count=0)
        return await _Import(database, new_id, copy.path, named, tell).run()


async def _known(database: Database, wish: Wish, digest: bytes, *, adds: bool) -> tuple[str, ImportRow | None]:
    """The id of this file, and what is known of it. One that was taken back and is to count again is a new one."""
    times_back = 0
    while True:
        import_id = wish.import_id(digest, adds=adds, times_back=times_back)
        async with database.transaction() as tx:
            known = await imports.find(tx, import_id)
            if not known or not known.is_complete or Allowance.AGAIN not in wish.allowed:
                return import_id, known
            done = await deeds.of_commands(tx, f"{import_id}/*", scope=SCOPE)
        if not done or not all(deed.is_undone for deed in done):
            return import_id, known
        times_back += 1


async def _opened(path: Path, wish: Wish) -> Table:
    """The table in the file. A workbook is read whole, which takes seconds: sales and webhooks go on meanwhile."""
    return await asyncio.to_thread(open_table, path, wish.reading, wish.kind.columns)


async def _adds(path: Path, wish: Wish) -> bool:
    """Whether its rows say by how much something changes. A file that cannot be read says nothing."""
    try:
        table = await _opened(path, wish)
        return wish.kind.adds(Columns(table.header, wish.kind.columns, wish.reading))
    except MalformedError:
        return False


class _Import:
    """One file under way."""

    def __init__(self, database: Database, new_id: Callable[[], UUID], path: Path, wish: Wish, tell: Tell) -> None:
        self.database = database
        self.new_id = new_id
        self.path = path
        self.wish = wish
        self.tell = tell
        self.problems: dict[int, Problem] = {}
        self.problem_count = self.row_count = self.zeroed_count = self.applied_count = self.replayed_count = 0
        self.bad_lines: set[int] = set()
        self.locations: set[Location] = set()
        self.effects: list[Effect] = []

    async def run(self) -> Report:
        """Judge it, and apply it."""
        try:
            await self._judge()
        except MalformedError as damage:
            return self._report(State.REFUSED, refusal=str(damage))
        if self.wish.is_preview:
            await self._preview()
            return self._report(State.PREVIEWED, refusal=await self._objection())
        if refusal := await self._objection():
            return self._report(State.REFUSED, refusal=refusal)
        return await (self._apply_whole() if self.wish.atomic is Atomic.FILE else self._apply_rows())

    async def _judge(self) -> None:
        """The first pass: every row is read and held against what there is."""
        seen: set[bytes] = set()
        async for chunk in self._chunks(notes_problems=True):
            fit = [one for one in chunk if not self._is_doubled(one, seen)]
            checked = await self.wish.kind.check(self.database, [item for _, item in fit])
            for (line, _), one in zip(fit, checked, strict=True):
                if one.problem is not None:
                    self._refuse(line, one.problem)
                elif one.location is not None:
                    self.locations.add(one.location)
                    self.zeroed_count += one.is_zero
            self.tell("checked", self.row_count)

    def _is_doubled(self, numbered: Numbered, seen: set[bytes]) -> bool:
        line, item = numbered
        subject = self.wish.kind.subject(item)
        if not subject:
            return False
        mark = hashlib.blake2b(subject.encode(), digest_size=12).digest()
        if mark not in seen:
            seen.add(mark)
            return False
        reason = "an earlier row of the file says something about the same; nobody knows which one counts"
        self._refuse(line, CellError("", self.wish.kind.label(item), reason))
        return True

    async def _chunks(self, *, notes_problems: bool = False) -> AsyncIterator[list[Numbered]]:
        """The good rows, read anew, with their lines."""
        kind, wish = self.wish.kind, self.wish
        table = await _opened(self.path, wish)
        read = kind.reader(Columns(table.header, kind.columns, wish.reading), wish.told)
        chunk: list[Numbered] = []
        for row in table.rows:
            if notes_problems:
                self.row_count += 1
            elif row.line in self.bad_lines:
                continue
            try:
                chunk.append((row.line, read(row)))
            except CellError as problem:
                self._refuse(row.line, problem)
            if len(chunk) >= (WHOLE_ROWS_MAX if kind.is_whole else wish.chunk):
                yield chunk
                chunk = []
        if chunk:
            yield chunk

    def _refuse(self, line: int, problem: CellError) -> None:
        self.problem_count += 1
        self.bad_lines.add(line)
        if len(self.problems) < SHOWN_MAX:
            self.problems[line] = Problem(line=line, column=problem.column, value=problem.value, reason=problem.reason)

    async def _objection(self) -> str:
        """Why nothing of the file is applied; empty: nothing is to be said against it."""
        wish = self.wish
        if self.row_count == 0:
            return "the file has a header and no row. Way out: export it again; a file that says nothing is an error"
        async with self.database.transaction() as tx:
            filled = await imports.filled_count(tx, self.locations) if self.zeroed_count else 0
            before = await imports.last(tx, kind=wish.kind.name, source=wish.source)
        zeroes = too_many_zeros(zeroed=self.zeroed_count, filled=filled, limits=Limits())
        if zeroes and Allowance.ZEROS not in wish.allowed:
            return (
                f"it would leave nothing of {self.zeroed_count} of the {filled} SKUs of which something is there. "
                "Look at it with --preview; if it is meant so, say --allow zeros"
            )
        rows_before = before.row_count if before else 0
        if (
            too_few_rows(rows=self.row_count, before=rows_before, limits=Limits())
            and Allowance.FEWER not in wish.allowed
        ):
            return (
                f"it has {self.row_count} rows, and the last one from {wish.source} had {rows_before}: it was probably "
                "cut off. If it is meant so, say --allow fewer"
            )
        if wish.kind.is_whole and self.row_count > WHOLE_ROWS_MAX:
            return (
                f"it has {self.row_count} rows; at most {WHOLE_ROWS_MAX} are applied all or none, as sales wait for "
                f"that long. Way out: cut it into several files, each with whole {wish.kind.name.split('-')[-1]}"
            )
        if wish.kind.is_whole and wish.atomic is Atomic.ROW:
            return f"rows of {wish.kind.name} belong together; leave out --atomic row"
        if self.problem_count and wish.kind.is_whole:
            return f"{self.problem_count} of {self.row_count} rows cannot be applied. Way out: mend them"
        if self.problem_count and wish.atomic is Atomic.FILE:
            return (
                f"{self.problem_count} of {self.row_count} rows cannot be applied. Way out: mend them, or apply the "
                "others with --atomic row"
            )
        if self.problem_count == self.row_count:
            return "no row of it can be applied"
        if wish.atomic is Atomic.FILE and self.row_count > WHOLE_ROWS_MAX:
            return (
                f"it has {self.row_count} rows; at most {WHOLE_ROWS_MAX} are applied all or none, as sales wait for "
                "that long. Way out: --atomic row, which can be repeated and taken back as one"
            )
        return ""

    async def _preview(self) -> None:
        """What each good row would do by itself, tried and rolled back."""
        done = 0
        async for chunk in self._chunks():
            answers = await self._post([item for _, item in chunk], Keep.NOTHING)
            self._note(chunk, answers, keeps_effects=True)
            self.tell("tried", done := done + len(chunk))

    async def _apply_rows(self) -> Report:
        async with self.database.transaction() as tx:
            await self._begin(tx)
        subject = self.wish.kind.subject
        together: list[list[Numbered]] = []
        async for chunk in self._chunks():
            # Where rows of two chunks may be about the same thing, the second waits for the first.
            stands_alone = not all(subject(item) for _, item in chunk)
            if stands_alone or len(together) == TOGETHER:
                await self._apply_chunks(together)
                together = []
            together.append(chunk)
            if stands_alone:
                await self._apply_chunks(together)
                together = []
        await self._apply_chunks(together)
        return await self._end()

    async def _apply_chunks(self, chunks: list[list[Numbered]]) -> None:
        """Each in a transaction of its own: while the database writes one, another is decided."""
        posting = [self._post([item for _, item in chunk], Keep.DONE) for chunk in chunks]
        for chunk, answers in zip(chunks, await asyncio.gather(*posting, return_exceptions=True), strict=True):
            if isinstance(answers, BaseException):
                raise answers
            self._note(chunk, answers)
            self.tell("applied", self.applied_count + self.replayed_count)
            if self._through % (10 * CHUNK) < CHUNK:
                async with self.database.transaction() as tx:
                    await imports.note(tx, self.wish.told.import_id, applied_count=self._through)

    async def _apply_whole(self) -> Report:
        everything = [one async for chunk in self._chunks() for one in chunk]
        answers = await self._post([item for _, item in everything], Keep.ALL_OR_NONE)
        self._note(everything, answers)
        if self.problem_count:
            refusal = f"{self.problem_count} of {self.row_count} rows are refused by the ledger"
            return self._report(State.REFUSED, refusal=refusal, applied_count=0)
        async with self.database.transaction() as tx:
            await self._begin(tx)
        return await self._end()

    async def _post(self, items: list[Any], keep: Keep) -> list[Applied]:
        """Have rows applied, again where somebody else was in the way."""
        for remaining in reversed(range(TRIES_MAX)):
            try:
                return await self.wish.kind.apply(self.database, self.new_id, items, keep)
            except DatabaseUnavailableError:
                if not remaining:
                    raise
        return []

    def _note(self, chunk: list[Numbered], answers: list[Applied], *, keeps_effects: bool = False) -> None:
        for (line, item), answer in zip(chunk, answers, strict=True):
            if not answer.is_done:
                self._refuse(line, CellError("", self.wish.kind.label(item), answer.effect.removeprefix("refused: ")))
            elif answer.is_replayed:
                self.replayed_count += 1
            else:
                self.applied_count += 1
            if keeps_effects and len(self.effects) < SHOWN_MAX:
                self.effects.append(Effect(line=line, row=self.wish.kind.label(item), effect=answer.effect))

    @property
    def _listed(self) -> list[Problem]:
        return [self.problems[line] for line in sorted(self.problems)]

    @property
    def _through(self) -> int:
        return self.applied_count + self.replayed_count

    async def _begin(self, tx: Transaction) -> None:
        wish = self.wish
        await imports.begin(
            tx,
            import_id=wish.told.import_id,
            kind=wish.kind.name,
            source=wish.source,
            file_name=wish.file_name,
            row_count=self.row_count,
        )

    async def _end(self) -> Report:
        async with self.database.transaction() as tx:
            await imports.end(
                tx,
                self.wish.told.import_id,
                applied_count=self._through,
                problem_count=self.problem_count,
                problems=self._listed,
            )
        return self._report(
            State.APPLIED, undo=undo_command(self.wish.told.import_id, self.wish.kind.name) if self._through else ""
        )

    def _report(self, state: State, **more: Any) -> Report:
        figures = {
            "applied_count": self.applied_count,
            "replayed_count": self.replayed_count,
            "problem_count": self.problem_count,
            "zeroed_count": self.zeroed_count,
            "problems": self._listed,
            "effects": self.effects,
            **more,
        }
        return Report(
            import_id=self.wish.told.import_id,
            kind=self.wish.kind.name,
            file_name=self.wish.file_name,
            state=state,
            row_count=self.row_count,
            **figures,
        )
