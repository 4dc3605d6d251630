"""A folder into which another system puts files: each complete one is brought in once, and moved out of the way.

`FOLDER/nightly.csv` becomes `FOLDER/done/nightly.csv` or `FOLDER/refused/nightly.csv`, with what became of it beside it
as `….report.json`. The order is: apply, write the report, move. Whoever dies in between finds the file again, and the
file is known by its bytes and its time, so nothing is applied twice.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from os import replace as rename
from os import stat_result
from pathlib import Path
from uuid import UUID

import msgspec

from oneshelf.domain.identity import Location
from oneshelf.errors import MalformedError
from oneshelf.files.importing import Atomic, Wish, bring_in
from oneshelf.files.kind import Told
from oneshelf.files.kinds import kind_named
from oneshelf.files.report import Report, State, in_words
from oneshelf.files.table import Reading
from oneshelf.storage.database import Database
from oneshelf.telemetry import get_logger

DONE, REFUSED = "done", "refused"
# As long as a file has to stay as it is.
LOOK_EVERY_S = 2.0
SUFFIXES = (".csv", ".txt", ".tsv", ".xlsx")

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
        self._seen: dict[Path, tuple[int, int, int]] = {}
        self._unread: dict[Path, tuple[int, int, int]] = {}

    async def look(self) -> int:
        """Bring in the files that are complete, the oldest first. Returns how many."""
        found = self._found()
        complete = [path for path, state in found.items() if self._seen.get(path) == _state(state)]
        self._seen = {path: _state(state) for path, state in found.items()}
        complete.sort(key=lambda path: (found[path].st_mtime_ns, path.name))
        taken = 0
        for path in complete:
            try:
                await self._take(path, found[path])
                taken += 1
            except OSError as failure:
                # The others do not wait for it. It is tried again at each look, and told of once.
                state = _state(found[path])
                if self._unread.get(path) != state:
                    log.warning("file.unreadable", file=path.name, words=str(failure)[:300])
                self._unread[path] = state
        self._unread = {path: state for path, state in self._unread.items() if path in found}
        return taken

    def _found(self) -> dict[Path, stat_result]:
        """Files that may be meant: those whose name says that they are still being written are not."""
        folder = self._watched.folder
        if not folder.is_dir():
            return {}
        return {
            path: path.stat()
            for path in sorted(folder.iterdir())
            if path.suffix.casefold() in SUFFIXES and not path.name.startswith((".", "~")) and path.is_file()
        }

    async def _take(self, path: Path, state: stat_result) -> None:
        written_at = datetime.fromtimestamp(state.st_mtime, UTC)
        told = Told(taken_at=written_at, says_taken_at=True, actor=self._watched.source)
        wish = Wish(
            kind=kind_named(self._watched.kind),
            file_name=path.name[:200],
            told=replace(told, location=self._watched.location),
            reading=self._watched.reading,
            atomic=self._watched.atomic,
            source=self._watched.source,
        )
        # Another engine may look into the same folder, and have put it away by now.
        with suppress(FileNotFoundError):
            with path.open("rb") as origin:
                try:
                    report = await bring_in(self._database, self._new_id, origin, wish)
                except MalformedError as failure:
                    report = Report(
                        import_id="unread",
                        kind=wish.kind.name,
                        file_name=wish.file_name,
                        state=State.REFUSED,
                        refusal=str(failure),
                    )
            self._put_away(path, report)
            self._say(path, report)

    def _say(self, path: Path, report: Report) -> None:
        say = log.info if report.is_done else log.warning
        say("file.taken", file=path.name, source=self._watched.source, state=report.state, words=in_words(report)[:300])

    def _put_away(self, path: Path, report: Report) -> None:
        """The report first: a file that lies in one of the two has one."""
        is_left = report.state in {State.REFUSED, State.STOPPED}
        folder = self._watched.folder / (REFUSED if is_left else DONE)
        folder.mkdir(exist_ok=True)
        target = folder / path.name
        if target.exists():
            target = folder / f"{path.stem}.{report.import_id[:8]}{path.suffix}"
        document = {"detail": in_words(report), **msgspec.to_builtins(report)}
        beside = target.with_name(target.name + ".report.json")
        part = beside.with_name(f".{beside.name}.part")
        part.write_bytes(msgspec.json.format(msgspec.json.encode(document), indent=2) + b"\n")
        rename(part, beside)
        rename(path, target)
        self._seen.pop(path, None)


def _state(state: stat_result) -> tuple[int, int, int]:
    return state.st_size, state.st_mtime_ns, state.st_ino
