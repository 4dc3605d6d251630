"""A folder into which another system puts files: each complete one is brought in once, and moved out of the way.

`FOLDER/nightly.csv` becomes `FOLDER/done/nightly.csv` or `FOLDER/refused/nightly.csv`, with what became of it beside it
as `….report.json`. The order is: claim, apply, write the report, move. A claim is a rename to `.taking/ID/`, out of the
way of the next file of that name: what is put away is what was read. Whoever dies in between leaves a claim, which is
taken up again, and the file is known by its bytes and its time, so nothing is applied twice.
"""

from __future__ import annotations

import fcntl
import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from os import replace as rename
from pathlib import Path
from typing import BinaryIO
from uuid import UUID

import msgspec

from oneshelf.domain.identity import Location, printable
from oneshelf.errors import DatabaseUnavailableError, MalformedError, OneshelfError
from oneshelf.files.importing import Atomic, Wish, bring_in
from oneshelf.files.kind import Told
from oneshelf.files.kinds import kind_named
from oneshelf.files.report import Report, State, in_words
from oneshelf.files.table import Reading
from oneshelf.storage.database import Database
from oneshelf.telemetry import get_logger

DONE, REFUSED, TAKING = "done", "refused", ".taking"
# A name has 255 bytes at most; what is added to one that is put away is shorter than the rest.
NAME_BYTES_MAX = 200
# As long as a file has to stay as it is.
LOOK_EVERY_S = 2.0
SUFFIXES = (".csv", ".txt", ".tsv", ".xlsx")

# Size, time and inode: a file of which these are the same is the same.
Shape = tuple[int, int, int]

log = get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Watched:
    """One folder. The figures of a file are taken when it was last written, where its rows do not say it themselves."""

    folder: Path
    kind: str
    source: str
    atomic: Atomic = Atomic.FILE
    reading: Reading = field(default_factory=Reading)
    location: Location | None = None

    def __post_init__(self) -> None:
        kind_named(self.kind)


class Watcher:
    """Looks into a folder again and again. A file that has not changed between two looks is complete."""

    def __init__(self, database: Database, new_id: Callable[[], UUID], watched: Watched) -> None:
        self._database = database
        self._new_id = new_id
        self._watched = watched
        self._seen: dict[Path, Shape] = {}
        self._unread: dict[Path, Shape] = {}

    async def look(self) -> int:
        """Bring in the files that are complete, the oldest first. Returns how many; none while another looks."""
        if not self._watched.folder.is_dir():
            return 0
        with _alone(self._watched.folder) as is_alone:
            return await self._look() if is_alone else 0

    async def _look(self) -> int:
        found = self._found()
        complete = [path for path, shape in found.items() if self._seen.get(path) == shape]
        self._seen = found
        taken = 0
        for path in sorted(complete, key=lambda path: (found[path][1], path.name)):
            try:
                taken += await self._take(path, found[path])
            except DatabaseUnavailableError:
                raise
            except (OSError, ValueError, OverflowError, OneshelfError) as failure:
                # The others do not wait for it. It is tried again at each look, and told of once.
                if self._unread.get(path) != found[path]:
                    name = printable(path.name, length_max=200)
                    log.warning("file.unreadable", file=name, words=str(failure)[:300])
                self._unread[path] = found[path]
        self._unread = {path: shape for path, shape in self._unread.items() if path in found}
        return taken

    def _found(self) -> dict[Path, Shape]:
        """Files that may be meant, and those that were claimed by whoever died.

        Those whose name says that they are still being written are not.
        """
        folder = self._watched.folder
        paths = [path for path in folder.iterdir() if not path.name.startswith((".", "~"))]
        for claim in _below(folder / TAKING):
            paths += _below(claim)
            with suppress(OSError):
                # Whoever died between the two steps of a claim leaves it empty.
                claim.rmdir()
        found = {}
        for path in sorted(paths):
            with suppress(FileNotFoundError):
                if path.suffix.casefold() in SUFFIXES:
                    found[path] = _shape(path.lstat())
        return found

    async def _take(self, path: Path, shape: Shape) -> bool:
        """Whether this file is done with. One that is another by now, or is written to meanwhile, is left for later."""
        # Another engine may look into the same folder where nothing can be locked, and have put it away by now.
        with suppress(FileNotFoundError), _opened(self._watched.folder, path) as origin:
            if _shape(os.fstat(origin.fileno())) != shape:
                return False
            claimed = self._claim(path) if path.parent == self._watched.folder else path
            if _shape(claimed.lstat()) != shape:
                return False
            report = await self._bring_in(origin, printable(path.name, length_max=200))
            if _shape(os.fstat(origin.fileno())) != shape:
                return False
            self._put_away(claimed, report)
            self._say(report)
            return True
        return False

    def _claim(self, path: Path) -> Path:
        """Where the file lies now: nobody writes another one there."""
        claim = self._watched.folder / TAKING / self._new_id().hex
        claim.mkdir(parents=True)
        claimed = claim / path.name
        rename(path, claimed)
        return claimed

    async def _bring_in(self, origin: BinaryIO, file_name: str) -> Report:
        watched = self._watched
        written_at = datetime.fromtimestamp(os.fstat(origin.fileno()).st_mtime, UTC)
        told = Told(taken_at=written_at, says_taken_at=True, actor=watched.source)
        wish = Wish(
            kind=kind_named(watched.kind),
            file_name=file_name,
            told=replace(told, location=watched.location),
            reading=watched.reading,
            atomic=watched.atomic,
            source=watched.source,
        )
        try:
            return await bring_in(self._database, self._new_id, origin, wish)
        except MalformedError as failure:
            return Report(
                import_id="unread",
                kind=wish.kind.name,
                file_name=file_name,
                state=State.REFUSED,
                refusal=str(failure),
            )

    def _say(self, report: Report) -> None:
        say = log.info if report.is_done else log.warning
        words = in_words(report)[:300]
        say("file.taken", file=report.file_name, source=self._watched.source, state=report.state, words=words)

    def _put_away(self, claimed: Path, report: Report) -> None:
        """The report first: a file that lies in one of the two has one."""
        is_left = report.state in {State.REFUSED, State.STOPPED}
        folder = self._watched.folder / (REFUSED if is_left else DONE)
        folder.mkdir(exist_ok=True)
        stem = claimed.stem
        while len(os.fsencode(stem)) > NAME_BYTES_MAX:
            stem = stem[:-1]
        target = folder / f"{stem}{claimed.suffix}"
        if os.path.lexists(target):
            target = folder / f"{stem}.{claimed.parent.name[-12:]}{claimed.suffix}"
        document = {"detail": in_words(report), **msgspec.to_builtins(report)}
        beside = target.with_name(target.name + ".report.json")
        part = beside.with_name(f".{beside.name}.part")
        part.unlink(missing_ok=True)
        with part.open("xb") as writing:
            writing.write(msgspec.json.format(msgspec.json.encode(document), indent=2) + b"\n")
        rename(part, beside)
        rename(claimed, target)
        with suppress(OSError):
            claimed.parent.rmdir()


@contextmanager
def _alone(folder: Path) -> Iterator[bool]:
    """Whether nobody else looks into the folder for as long as the block lasts. Whoever dies holds nobody up.

    Where the file system has no locks, two may look: what they do twice counts once.
    """
    held = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        is_alone = True
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            is_alone = False
        except OSError:
            pass
        yield is_alone
    finally:
        os.close(held)


def _below(folder: Path) -> list[Path]:
    """What lies in a folder of our own; nothing where there is none, or where a link to another stands for it."""
    try:
        return list(folder.iterdir()) if stat.S_ISDIR(folder.lstat().st_mode) else []
    except FileNotFoundError:
        return []


@contextmanager
def _opened(folder: Path, path: Path) -> Iterator[BinaryIO]:
    """A file below the folder. Raises OSError for what only stands for one: a link may lead to the engine's secrets."""
    *claims, name = path.relative_to(folder).parts
    held = [os.open(folder, os.O_RDONLY | os.O_DIRECTORY)]
    try:
        for claim in claims:
            held.append(os.open(claim, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=held[-1]))
        if not stat.S_ISREG(os.stat(name, dir_fd=held[-1], follow_symlinks=False).st_mode):
            raise OSError("it is a link, a directory or a pipe, and no file. Way out: put the file itself there")
        # A pipe that took its place just now would keep everybody waiting.
        number = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=held[-1])
    finally:
        for one in held:
            os.close(one)
    with os.fdopen(number, "rb") as origin:
        yield origin


def _shape(state: os.stat_result) -> Shape:
    return state.st_size, state.st_mtime_ns, state.st_ino
