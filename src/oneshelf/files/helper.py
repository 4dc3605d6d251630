"""Parts of a large file in processes of their own: `python -m oneshelf.files.helper`, which is asked over its pipes.

Reading and deciding a row costs as much as writing it, and one process of Python decides on one core. A helper holds
nothing that is not in the file or in the database: one that dies is as a connection that is lost.
"""

from __future__ import annotations

import asyncio
import gc
import os
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from typing import BinaryIO

import msgspec

from oneshelf.clock import SystemClock
from oneshelf.errors import (
    DatabaseRefusedError,
    DatabaseUnavailableError,
    InvariantError,
    MalformedError,
    OneshelfError,
)
from oneshelf.files.part import TOGETHER, Part, PartOfFile, Step, Work
from oneshelf.flow.post import Keep
from oneshelf.storage.database import Database

HELPERS_MAX = 4
_LENGTH_BYTES = 4
# A helper makes few cycles and many objects: looking for the former among the latter every 700 of them costs a tenth.
_COLLECTED_EVERY = 50_000


class Start(msgspec.Struct, frozen=True, kw_only=True):
    """The first that a helper is told. `dsn` may hold a password, so it is no argument of a command."""

    dsn: str
    kind: str
    work: Work


class Judge(msgspec.Struct, frozen=True, tag=True):
    """Judge your part."""


class Apply(msgspec.Struct, frozen=True, tag=True):
    """Apply your part."""

    keep: Keep


class Ended(msgspec.Struct, frozen=True, tag=True):
    """That was all of it."""


class Failed(msgspec.Struct, frozen=True, tag=True):
    """It cannot go on: the name of the failure, and its text."""

    name: str
    text: str


_Asked = Judge | Apply
_Told = Step | Ended | Failed
_FAILURES: dict[str, type[OneshelfError]] = {
    kind.__name__: kind for kind in (MalformedError, DatabaseUnavailableError, DatabaseRefusedError)
}


def helpers_count() -> int:
    """How many helpers the cores of this machine can feed."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(cores, HELPERS_MAX)


@asynccontextmanager
async def helped(dsn: str, kind: str, works: Sequence[Work]) -> AsyncIterator[list[PartOfFile]]:
    """These parts, each in a process of its own, which ends with the block."""
    async with AsyncExitStack() as stack:
        helpers: list[PartOfFile] = []
        for work in works:
            # Apart from the terminal: what a person types there is for us, and we end our helpers.
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "oneshelf.files.helper", stdin=PIPE, stdout=PIPE, start_new_session=True
            )
            stack.push_async_callback(_end, process)
            helper = _Helper(process)
            await helper.tell(msgspec.json.encode(Start(dsn=dsn, kind=kind, work=work)))
            helpers.append(helper)
        yield helpers


async def _end(process: Process) -> None:
    with suppress(ProcessLookupError):
        process.kill()
    await process.wait()


class _Helper:
    """A part in another process."""

    def __init__(self, process: Process) -> None:
        self._process = process

    def judge(self) -> AsyncIterator[Step]:
        """See `PartOfFile`."""
        return self._asked(Judge())

    def apply(self, keep: Keep) -> AsyncIterator[Step]:
        """See `PartOfFile`."""
        return self._asked(Apply(keep))

    async def _asked(self, asked: _Asked) -> AsyncIterator[Step]:
        await self.tell(msgspec.json.encode(asked))
        while True:
            told: _Told = msgspec.json.decode(await self._heard(), type=_Told)
            match told:
                case Step():
                    yield told
                case Failed(name, text):
                    raise _FAILURES[name](text)
                case Ended():
                    return

    async def tell(self, message: bytes) -> None:
        """Write one message. A helper that is gone is found out by reading."""
        stdin = self._process.stdin
        if stdin is not None:
            with suppress(ConnectionError):
                stdin.write(_framed(message))
                await stdin.drain()

    async def _heard(self) -> bytes:
        stdout = self._process.stdout
        if stdout is None:
            raise InvariantError("a helper without pipes")
        try:
            return await stdout.readexactly(int.from_bytes(await stdout.readexactly(_LENGTH_BYTES)))
        except asyncio.IncompleteReadError:
            raise DatabaseUnavailableError(
                f"a process that brought in rows has ended ({await self._process.wait()}). Bring the file in again: "
                "what was applied is not applied twice"
            ) from None


def main() -> None:
    """Do what is asked on standard input, and say on standard output what became of it."""
    asked, told = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    # Nothing else is written among the answers.
    os.dup2(2, 1)
    gc.set_threshold(_COLLECTED_EVERY, 20, 20)
    # Nobody listens any more: what is not committed is rolled back, and done again when the file comes again.
    with suppress(BrokenPipeError):
        asyncio.run(_serve(asked, told))


async def _serve(asked: BinaryIO, told: BinaryIO) -> None:
    from oneshelf.files.kinds import kind_named

    start = msgspec.json.decode(_read(asked), type=Start)
    async with Database.open(start.dsn, connections_max=TOGETHER, application_name="oneshelf import") as database:
        part = Part(database, SystemClock().new_id, kind_named(start.kind), start.work)
        while message := await asyncio.to_thread(_read, asked):
            await _do(part, msgspec.json.decode(message, type=_Asked), told)


async def _do(part: Part, asked: _Asked, told: BinaryIO) -> None:
    try:
        async for step in part.judge() if isinstance(asked, Judge) else part.apply(asked.keep):
            _write(told, step)
    except (MalformedError, DatabaseUnavailableError, DatabaseRefusedError) as failure:
        name = next(name for name, kind in _FAILURES.items() if isinstance(failure, kind))
        _write(told, Failed(name, str(failure)))
    else:
        _write(told, Ended())


def _read(asked: BinaryIO) -> bytes:
    """The next message; empty where none will come."""
    return asked.read(int.from_bytes(asked.read(_LENGTH_BYTES)))


def _write(told: BinaryIO, message: _Told) -> None:
    told.write(_framed(msgspec.json.encode(message)))
    told.flush()


def _framed(message: bytes) -> bytes:
    return len(message).to_bytes(_LENGTH_BYTES) + message


if __name__ == "__main__":
    main()
