"""Bring a file in: read it whole and judge it first, then apply its rows, each once however often it is brought.

Two passes over a copy of the file. The first finds everything that is wrong and changes nothing. The second posts the
good rows, under keys that follow from the bytes of the file and the line: whoever dies in the middle begins again, and
what was applied is answered, not done again. A large file is worked through by several processes.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from enum import StrEnum
from pathlib import Path
from typing import Any, BinaryIO
from uuid import UUID

import msgspec

from oneshelf.domain.breaker import Limits
from oneshelf.domain.file_breaker import Allowance, too_few_rows, too_many_zeros
from oneshelf.errors import MalformedError, broken
from oneshelf.files.helper import helped, helpers_count
from oneshelf.files.kind import SCOPE, Columns, RowKind, Told
from oneshelf.files.part import Part, PartOfFile, Step, Work, opened
from oneshelf.files.report import SHOWN_MAX, Report, State, report_of, undo_command
from oneshelf.files.spool import spooled
from oneshelf.files.table import Reading
from oneshelf.flow.post import Keep
from oneshelf.storage import deeds, imports
from oneshelf.storage.database import Database, Transaction
from oneshelf.storage.imports import ImportRow, Problem, Reason

CHUNK = 500
# All of them are locked until the last one is decided: with more of them, sales would wait for too long.
WHOLE_ROWS_MAX = 20_000
# A smaller file is through before a process has started that could help.
SHARED_FROM_BYTES = 1 << 20
_NOTED_CHUNKS = 10


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
    shared_from_bytes: int = SHARED_FROM_BYTES

    def import_id(self, digest: bytes, *, adds: bool, times_back: int = 0) -> str:
        """The same file, with the same said about it, has the same id for ever, unless it was taken back.

        The same count of another instant is another count; the same delivery, told again later (`adds`), is not.
        """
        taken_at = None if adds else self.told.taken_at
        said: list[object] = [self.kind.name, taken_at, self.told.location, sorted(self.reading.names.items())]
        said += [times_back] * bool(times_back)
        return hashlib.sha256(digest + msgspec.json.encode(said)).hexdigest()[:32]


# Stage, how many rows are through it, and the id of the file.
Tell = Callable[[str, int, str], None]


def silent(stage: str, row_count: int, import_id: str) -> None:
    """Nobody is told how far it is."""


async def bring_in(
    database: Database, new_id: Callable[[], UUID], origin: BinaryIO, wish: Wish, tell: Tell = silent
) -> Report:
    """What became of the file. `tell`: is told how far it is.

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
            if not known or Allowance.AGAIN not in wish.allowed:
                return import_id, known
            done = await deeds.of_commands(tx, f"{import_id}/*", scope=SCOPE)
        if not done or not all(deed.is_undone for deed in done):
            return import_id, known
        times_back += 1


async def _adds(path: Path, wish: Wish) -> bool:
    """Whether its rows say by how much something changes. A file that cannot be read says nothing."""
    try:
        table = await opened(path, wish.reading, wish.kind)
        return wish.kind.adds(Columns(table.header, wish.kind.columns, wish.reading))
    except MalformedError:
        return False


async def stop(database: Database, import_id: str, *, by: str) -> Report | None:
    """Have a file stopped that is being applied: within some thousand rows. What is known of it; None: nothing.

    Asked again it changes nothing, nor where the file had ended.
    """
    async with database.transaction() as tx:
        await imports.ask_to_stop(tx, import_id, by=by)
        row = await imports.find(tx, import_id)
    return report_of(row) if row else None


class _StoppedError(Exception):
    """Somebody wants no more of the file to be applied."""


class _Import:
    """One file under way."""

    def __init__(self, database: Database, new_id: Callable[[], UUID], path: Path, wish: Wish, tell: Tell) -> None:
        self.database = database
        self.new_id = new_id
        self.path = path
        self.wish = wish
        self.tell = tell
        self.sum = Step()

    async def run(self) -> Report:
        """Judge it, and apply it."""
        async with AsyncExitStack() as stack:
            try:
                parts = await stack.enter_async_context(self._parts())
                await self._together("checked", [part.judge() for part in parts])
            except MalformedError as damage:
                return self._report(State.REFUSED, refusal=str(damage))
            if self.wish.is_preview:
                await self._together("tried", [part.apply(Keep.NOTHING) for part in parts])
                return self._report(State.PREVIEWED, refusal=await self._objection())
            if refusal := await self._objection():
                return self._report(State.REFUSED, refusal=refusal)
            if self.wish.atomic is Atomic.FILE:
                return await self._apply_whole(parts)
            async with self.database.transaction() as tx:
                await self._begin(tx)
            try:
                await self._together("applied", [part.apply(Keep.DONE) for part in parts])
            except _StoppedError:
                is_whole = self.sum.through_count + self.sum.problem_count >= self.sum.row_count
                return await self._end(State.APPLIED if is_whole else State.STOPPED)
            return await self._end()

    @asynccontextmanager
    async def _parts(self) -> AsyncIterator[Sequence[PartOfFile]]:
        """The file in one part; a large one in several that are worked through at the same time."""
        wish = self.wish
        chunk = WHOLE_ROWS_MAX if wish.kind.is_whole else wish.chunk
        work = Work(path=str(self.path), told=wish.told, reading=wish.reading, chunk=chunk)
        if await self._is_shared():
            works = [msgspec.structs.replace(work, number=one, count=helpers_count()) for one in range(helpers_count())]
            async with helped(self.database.dsn, wish.kind.name, works) as parts:
                yield parts
        else:
            yield [Part(self.database, self.new_id, wish.kind, work)]

    async def _is_shared(self) -> bool:
        """Whether the file is worth several processes, and its rows can be dealt to them."""
        wish = self.wish
        is_by_rows = (wish.atomic is Atomic.ROW or wish.is_preview) and not wish.kind.is_whole
        is_large = self.path.stat().st_size >= wish.shared_from_bytes
        if not is_by_rows or not is_large or helpers_count() == 1 or not self.database.dsn:
            return False
        table = await opened(self.path, wish.reading, wish.kind)
        return table.is_streamed and wish.kind.about(Columns(table.header, wish.kind.columns, wish.reading)) is not None

    async def _together(self, stage: str, streams: Sequence[AsyncIterator[Step]]) -> None:
        """Have them go on at the same time, and add up what they tell."""
        if len(streams) == 1:
            return await self._follow(stage, streams[0])
        tasks = [asyncio.ensure_future(self._follow(stage, stream)) for stream in streams]
        try:
            await asyncio.gather(*tasks)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _follow(self, stage: str, stream: AsyncIterator[Step]) -> None:
        async for step in stream:
            told_before = self.sum.through_count + self.sum.problem_count
            self.sum.add(step)
            through = self.sum.row_count if stage == "checked" else self.sum.through_count
            self.tell(stage, through, self.wish.told.import_id)
            # Refused rows are told of too: whoever refuses a million of them is at work.
            told = self.sum.through_count + self.sum.problem_count
            noted_every = _NOTED_CHUNKS * self.wish.chunk
            if stage == "applied" and told // noted_every > told_before // noted_every:
                async with self.database.transaction() as tx:
                    is_stopped = await imports.note(tx, self.wish.told.import_id, applied_count=self.sum.through_count)
                if is_stopped:
                    raise _StoppedError

    async def _objection(self) -> str:
        """Why nothing of the file is applied; empty: nothing is to be said against it."""
        wish, found = self.wish, self.sum
        if found.row_count == 0:
            return "the file has a header and no row. Way out: export it again; a file that says nothing is an error"
        async with self.database.transaction() as tx:
            filled = await imports.filled_count(tx, found.locations) if found.zeroed_count else 0
            before = await imports.last(tx, kind=wish.kind.name, source=wish.source)
        zeroes = too_many_zeros(zeroed=found.zeroed_count, filled=filled, limits=Limits())
        if zeroes and Allowance.ZEROS not in wish.allowed:
            return (
                f"it would leave nothing of {found.zeroed_count} of the {filled} SKUs of which something is there. "
                "Look at it with --preview; if it is meant so, say --allow zeros"
            )
        rows_before = before.row_count if before else 0
        if (
            too_few_rows(rows=found.row_count, before=rows_before, limits=Limits())
            and Allowance.FEWER not in wish.allowed
        ):
            return (
                f"it has {found.row_count} rows, and the last one from {wish.source} had {rows_before}: it was "
                "probably cut off. If it is meant so, say --allow fewer"
            )
        if wish.kind.is_whole and found.row_count > WHOLE_ROWS_MAX:
            return (
                f"it has {found.row_count} rows; at most {WHOLE_ROWS_MAX} are applied all or none, as sales wait for "
                f"that long. Way out: cut it into several files, each with whole {wish.kind.name.split('-')[-1]}"
            )
        if wish.kind.is_whole and wish.atomic is Atomic.ROW:
            return f"rows of {wish.kind.name} belong together; leave out --atomic row"
        if found.problem_count and wish.kind.is_whole:
            return f"{found.problem_count} of {found.row_count} rows cannot be applied. Way out: mend them"
        if found.problem_count and wish.atomic is Atomic.FILE:
            return (
                f"{found.problem_count} of {found.row_count} rows cannot be applied. Way out: mend them, or apply the "
                "others with --atomic row"
            )
        if found.problem_count == found.row_count:
            return "no row of it can be applied"
        if wish.atomic is Atomic.FILE and found.row_count > WHOLE_ROWS_MAX:
            return (
                f"it has {found.row_count} rows; at most {WHOLE_ROWS_MAX} are applied all or none, as sales wait for "
                "that long. Way out: --atomic row, which can be repeated and taken back as one"
            )
        return ""

    async def _apply_whole(self, parts: Sequence[PartOfFile]) -> Report:
        """All of it in one transaction, or nothing."""
        [part] = parts
        if not isinstance(part, Part):
            broken("a file that is applied as a whole is in parts")
        everything = [one async for chunk in part.chunks() for one in chunk]
        self.sum.add(await part.apply_chunk(everything, Keep.ALL_OR_NONE))
        if self.sum.problem_count:
            refusal = f"{self.sum.problem_count} of {self.sum.row_count} rows are refused by the ledger"
            return self._report(State.REFUSED, refusal=refusal, applied_count=0)
        self.tell("applied", self.sum.through_count, self.wish.told.import_id)
        async with self.database.transaction() as tx:
            await self._begin(tx)
        return await self._end()

    @property
    def _reasons(self) -> list[Reason]:
        return sorted(self.sum.reasons.values(), key=lambda one: (-one.row_count, one.line))

    @property
    def _listed(self) -> list[Problem]:
        return sorted(self.sum.problems, key=lambda problem: problem.line)[:SHOWN_MAX]

    async def _begin(self, tx: Transaction) -> None:
        wish = self.wish
        await imports.begin(
            tx,
            import_id=wish.told.import_id,
            kind=wish.kind.name,
            source=wish.source,
            file_name=wish.file_name,
            row_count=self.sum.row_count,
        )

    async def _end(self, state: State = State.APPLIED) -> Report:
        async with self.database.transaction() as tx:
            await imports.end(
                tx,
                self.wish.told.import_id,
                applied_count=self.sum.through_count,
                problem_count=self.sum.problem_count,
                problems=self._listed,
                reasons=self._reasons,
            )
        return self._report(
            state,
            undo=undo_command(self.wish.told.import_id, self.wish.kind.name) if self.sum.through_count else "",
        )

    def _report(self, state: State, **more: Any) -> Report:
        figures = {
            "applied_count": self.sum.applied_count,
            "replayed_count": self.sum.replayed_count,
            "problem_count": self.sum.problem_count,
            "zeroed_count": self.sum.zeroed_count,
            "problems": self._listed,
            "reasons": self._reasons,
            "effects": sorted(self.sum.effects, key=lambda effect: effect.line)[:SHOWN_MAX],
            **more,
        }
        return Report(
            import_id=self.wish.told.import_id,
            kind=self.wish.kind.name,
            file_name=self.wish.file_name,
            state=state,
            row_count=self.sum.row_count,
            **figures,
        )
