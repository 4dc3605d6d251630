"""A watched folder: complete files are brought in once, whoever dies, and put away with what became of them."""

from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from structlog.testing import capture_logs

from domain.shop import BERLIN
from files.desk import Desk, open_desk
from flow.shelf_world import CLOCK
from flow.test_counts import a_day_passes, receive, sold
from oneshelf.app import watched_folder
from oneshelf.config import Settings
from oneshelf.errors import ConfigurationError, MalformedError
from oneshelf.files import folder as folders
from oneshelf.files import importing, spool
from oneshelf.files.folder import Watched, Watcher
from oneshelf.files.report import Report

pytestmark = pytest.mark.pg

FILE = "sku,location,on_hand\nMUG,BER,7\n"


@pytest_asyncio.fixture
async def desk(dsn: str) -> AsyncIterator[Desk]:
    async with open_desk(dsn) as opened:
        await opened.ledger.ask(receive(10))
        await a_day_passes(opened.ledger)
        yield opened


def watcher(desk: Desk, folder: Path, kind: str = "counts") -> Watcher:
    return Watcher(desk.ledger.database, CLOCK.new_id, Watched(folder=folder, kind=kind, source="erp"))


def lying(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


async def test_a_complete_file_is_brought_in_and_put_away_with_a_report(desk: Desk, tmp_path: Path) -> None:
    (tmp_path / "night.csv").write_text(FILE)
    eye = watcher(desk, tmp_path)
    assert [await eye.look(), await eye.look(), await eye.look()] == [0, 1, 0]
    assert lying(tmp_path) == ["done/night.csv", "done/night.csv.report.json"]
    report = json.loads((tmp_path / "done" / "night.csv.report.json").read_text())
    assert (report["state"], report["applied_count"]) == ("applied", 1)
    assert "oneshelf undo" in report["undo"]
    assert await desk.ledger.figures() == {"available": 7}


async def test_a_file_that_still_grows_or_is_named_as_unfinished_is_left_alone(desk: Desk, tmp_path: Path) -> None:
    eye = watcher(desk, tmp_path)
    for name in ("night.csv.part", ".night.csv", "~night.xlsx", "night.pdf"):
        (tmp_path / name).write_text(FILE)
    for text in (FILE[:10], FILE[:24], FILE):
        (tmp_path / "night.csv").write_text(text)
        assert await eye.look() == 0
    assert await eye.look() == 1


async def test_what_is_refused_is_put_apart_with_the_reason_and_changes_nothing(desk: Desk, tmp_path: Path) -> None:
    (tmp_path / "night.csv").write_text("sku,location,on_hand\nHAT,BER,7\n")
    before = desk.everything()
    eye = watcher(desk, tmp_path)
    await eye.look()
    await eye.look()
    assert lying(tmp_path) == ["refused/night.csv", "refused/night.csv.report.json"]
    report = json.loads((tmp_path / "refused" / "night.csv.report.json").read_text())
    assert report["problems"][0]["value"] == "HAT"
    assert desk.everything() == before


async def test_the_time_of_the_file_is_when_its_figures_were_taken(desk: Desk, tmp_path: Path) -> None:
    file = tmp_path / "night.csv"
    file.write_text(FILE)
    an_hour_ago = CLOCK.now().timestamp() - 3600
    os.utime(file, (an_hour_ago, an_hour_ago))
    await desk.ledger.ask(sold(2))
    eye = watcher(desk, tmp_path)
    await eye.look()
    await eye.look()
    assert await desk.ledger.figures() == {"available": 5}


async def test_the_next_night_may_send_the_same_bytes_under_the_same_name(desk: Desk, tmp_path: Path) -> None:
    eye, file = watcher(desk, tmp_path), tmp_path / "night.csv"
    for age_s in (3600, 1800):
        file.write_text(FILE)
        os.utime(file, (CLOCK.now().timestamp() - age_s,) * 2)
        await eye.look()
        await eye.look()
    done = [name for name in lying(tmp_path) if not name.endswith(".json")]
    assert len(done) == 2
    assert len(await desk.ledger.rows("select from imports")) == 2


async def test_a_delivery_that_is_sent_again_comes_in_once(desk: Desk, tmp_path: Path) -> None:
    eye, file = watcher(desk, tmp_path, "receipts"), tmp_path / "in.csv"
    for age_s in (3600, 1800):
        file.write_text("sku,location,received\nMUG,BER,5\n")
        os.utime(file, (CLOCK.now().timestamp() - age_s,) * 2)
        await eye.look()
        await eye.look()
    assert await desk.ledger.figures() == {"available": 15}


# Dying at each point --------------------------------------------------------------------------------------------------

DYING = """
import asyncio, os, signal, sys
from pathlib import Path
from oneshelf.clock import SystemClock
from oneshelf.files import folder, importing, part
from oneshelf.storage import imports
from oneshelf.storage.database import Database

dsn, directory, where = sys.argv[1:]
calls = 0

def dies(module, name, *, after, on=1):
    real = getattr(module, name)
    def plain(*arguments, **named):
        global calls
        calls += 1
        if not after and calls == on:
            os.kill(os.getpid(), signal.SIGKILL)
        done = real(*arguments, **named)
        if after and calls == on:
            os.kill(os.getpid(), signal.SIGKILL)
        return done
    async def waiting(*arguments, **named):
        global calls
        calls += 1
        if not after and calls == on:
            os.kill(os.getpid(), signal.SIGKILL)
        done = await real(*arguments, **named)
        if after and calls == on:
            os.kill(os.getpid(), signal.SIGKILL)
        return done
    setattr(module, name, waiting if asyncio.iscoroutinefunction(real) else plain)

module, name, when, on = where.split(":")
dies({"imports": imports, "folder": folder, "part": part.Part}[module], name, after=when == "after", on=int(on))

async def main():
    async with Database.open(dsn) as database:
        watched = folder.Watched(folder=Path(directory), kind="counts", source="erp", atomic=importing.Atomic.ROW)
        eye = folder.Watcher(database, SystemClock().new_id, watched)
        await eye.look()
        await eye.look()

asyncio.run(main())
"""
POINTS = (
    "imports:begin:before:1",
    "imports:begin:after:1",
    "part:_post:before:1",
    "part:_post:after:1",
    "part:_post:after:2",
    "imports:end:before:1",
    "imports:end:after:1",
    "folder:bring_in:after:1",
    "folder:rename:before:1",
    "folder:rename:after:1",
    "folder:rename:before:2",
    "folder:rename:after:2",
    "folder:rename:before:3",
    "folder:rename:after:3",
)


@pytest.mark.long(but_one_in=4)
@pytest.mark.parametrize("point", POINTS)
async def test_whoever_is_killed_at_any_point_nothing_is_applied_twice(desk: Desk, tmp_path: Path, point: str) -> None:
    rows = 600  # Two chunks.
    (tmp_path / "night.csv").write_text("sku,location,delta\n" + "MUG,BER,1\n" * rows)
    command = [sys.executable, "-c", DYING, desk.dsn, str(tmp_path), point]
    killed = subprocess.run(command, check=False)  # noqa: ASYNC221  # Nobody else waits.
    assert killed.returncode == -signal.SIGKILL
    eye = watcher(desk, tmp_path)
    await eye.look()
    await eye.look()
    assert [name for name in lying(tmp_path) if not name.startswith("done/.")] == [
        "done/night.csv",
        "done/night.csv.report.json",
    ]
    assert await desk.ledger.figures() == {"available": 10 + rows}
    await desk.ledger.assert_sound()


# What is set --------------------------------------------------------------------------------------------------------


def test_a_folder_is_set_or_there_is_none(tmp_path: Path) -> None:
    assert watched_folder(Settings()) is None
    said = Settings(
        import_folder=str(tmp_path), import_location="BER", import_columns="sku=No, on_hand=Qty", import_ignore="*"
    )
    watched = watched_folder(said)
    assert watched is not None
    assert (watched.kind, watched.source, watched.location) == ("counts", "folder", BERLIN)
    assert watched.reading.names == {"sku": "No", "on_hand": "Qty"}
    assert folders.LOOK_EVERY_S > 0
    with pytest.raises(ConfigurationError, match=r"ONESHELF_IMPORT_FOLDER.*make it"):
        watched_folder(Settings(import_folder=str(tmp_path / "none")))
    with pytest.raises(MalformedError, match="no kind of file 'sales'"):
        watched_folder(Settings(import_folder=str(tmp_path), import_kind="sales"))


async def test_a_file_that_cannot_be_read_keeps_none_of_the_others_waiting(
    desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was tried first for ever, and what came after it was never brought in."""
    (tmp_path / "broken.csv").mkdir()
    (tmp_path / "large.csv").write_text(FILE + "MUG,BER,7\n" * 20)
    (tmp_path / "night.csv").write_text(FILE)
    monkeypatch.setattr(spool, "FILE_BYTES_MAX", 100)
    eye = watcher(desk, tmp_path)
    with capture_logs() as told:
        assert [await eye.look(), await eye.look(), await eye.look()] == [0, 2, 0]
    assert [one["file"] for one in told if one["event"] == "file.unreadable"] == ["broken.csv"]
    assert "done/night.csv" in lying(tmp_path)
    report = json.loads((tmp_path / "refused" / "large.csv.report.json").read_text())
    assert "cut it into several files" in report["detail"]
    assert await desk.ledger.figures() == {"available": 7}


# Others at the folder -------------------------------------------------------------------------------------------------

NEXT = "sku,location,on_hand\nMUG,BER,3\n"


def while_it_is_applied(monkeypatch: pytest.MonkeyPatch, do: Callable[[], Awaitable[object]]) -> None:
    """Something happens once between the reading of a file and its putting away."""
    real = importing.bring_in

    async def slow(*said: Any) -> Report:
        report = await real(*said)
        monkeypatch.setattr(folders, "bring_in", real)
        await do()
        return report

    monkeypatch.setattr(folders, "bring_in", slow)


async def deliver(file: Path, text: str) -> None:
    part = file.with_name(f".{file.name}")
    part.write_text(text)
    os.rename(part, file)


def delivered(folder: Path) -> list[str]:
    """What the files in `done` say, in no order."""
    return sorted(path.read_text() for path in (folder / "done").glob("*.csv"))


async def test_the_next_file_of_a_name_is_read_though_it_comes_while_this_one_is_applied(
    desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was moved to `done/` unread."""
    await deliver(tmp_path / "night.csv", FILE)
    eye = watcher(desk, tmp_path)
    await eye.look()
    while_it_is_applied(monkeypatch, lambda: deliver(tmp_path / "night.csv", NEXT))
    assert [await eye.look(), await eye.look(), await eye.look()] == [1, 0, 1]
    assert delivered(tmp_path) == sorted([FILE, NEXT])
    assert len(list((tmp_path / "done").glob("*.report.json"))) == 2
    assert len(await desk.ledger.rows("select from imports")) == 2


@pytest.mark.parametrize("has_locks", [True, False])
async def test_two_engines_at_one_folder_bring_each_file_in_once(
    desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, has_locks: bool
) -> None:
    if not has_locks:

        def none(_number: int, _how: int) -> None:
            raise OSError(errno.ENOLCK, "No locks available")

        monkeypatch.setattr("fcntl.flock", none)
    await deliver(tmp_path / "night.csv", FILE)
    one, other = watcher(desk, tmp_path), watcher(desk, tmp_path)
    await one.look()
    await other.look()

    async def meanwhile() -> None:
        await other.look()
        await other.look()
        await deliver(tmp_path / "night.csv", NEXT)

    while_it_is_applied(monkeypatch, meanwhile)
    for _ in range(3):
        await one.look()
        await other.look()
    assert delivered(tmp_path) == sorted([FILE, NEXT])
    assert [name for name in lying(tmp_path) if "done" not in name] == []
    assert len(await desk.ledger.rows("select from imports")) == 2


async def test_what_is_written_into_a_file_while_it_is_applied_is_brought_in_too(
    desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "night.csv"
    file.write_text("sku,title\nHAT,Hat\n")
    eye = watcher(desk, tmp_path, "skus")
    await eye.look()
    with file.open("a") as writing:

        async def more() -> None:
            writing.write("BOX,Box\n")
            writing.flush()

        while_it_is_applied(monkeypatch, more)
        assert [await eye.look(), await eye.look(), await eye.look()] == [0, 0, 1]
    assert delivered(tmp_path) == ["sku,title\nHAT,Hat\nBOX,Box\n"]
    assert len(await desk.ledger.rows("select from skus where sku in ('HAT', 'BOX')")) == 2


async def test_nothing_but_a_file_that_lies_there_itself_is_read(desk: Desk, tmp_path: Path) -> None:
    """A link to the keys of the engine was read, and what stands there put into the report and the log."""
    secret, folder = tmp_path / "secrets.key", tmp_path / "folder"
    secret.write_text("SECRET,BER,1\n")
    secrets = tmp_path / "secrets"
    secrets.mkdir()
    (secrets / "all.csv").write_text("SECRET,BER,1\n")
    (folder / ".taking").mkdir(parents=True)
    (folder / ".taking" / "0123").symlink_to(secrets)
    (folder / "link.csv").symlink_to(secret)
    (folder / "dangling.csv").symlink_to(tmp_path / "none")
    (folder / "directory.csv").mkdir()
    os.mkfifo(folder / "pipe.csv")
    (folder / "night.csv").write_text(FILE)
    eye = watcher(desk, folder)
    with capture_logs() as told:
        assert [await eye.look(), await eye.look(), await eye.look()] == [0, 1, 0]
    assert {one["file"] for one in told if one["event"] == "file.unreadable"} == {
        "link.csv",
        "dangling.csv",
        "directory.csv",
        "pipe.csv",
    }
    assert "SECRET" not in str(told)
    assert "put the file itself there" in str(told)
    assert [name for name in lying(folder) if "night" in name] == ["done/night.csv", "done/night.csv.report.json"]
    assert (secrets / "all.csv").exists()


async def test_a_report_is_not_written_through_a_link(desk: Desk, tmp_path: Path) -> None:
    (tmp_path / "done").mkdir()
    victim = tmp_path / "victim.key"
    victim.write_text("as it was")
    (tmp_path / "done" / ".night.csv.report.json.part").symlink_to(victim)
    (tmp_path / "night.csv").write_text(FILE)
    eye = watcher(desk, tmp_path)
    assert [await eye.look(), await eye.look()] == [0, 1]
    assert victim.read_text() == "as it was"


@pytest.mark.parametrize(
    "name",
    [b"a\xff.csv", b"b\nx.csv", b"x" * 251 + b".csv", b"x" * 240 + b".csv", "\N{SNOWMAN}".encode() * 83 + b".csv"],
)
async def test_a_file_may_have_any_name(desk: Desk, tmp_path: Path, name: bytes) -> None:
    """One that is no UTF-8 held up all others for ever; one that was too long was applied at each look."""
    for age_s, file in ((20, tmp_path / os.fsdecode(name)), (10, tmp_path / "night.csv")):
        file.write_text(FILE)
        os.utime(file, (CLOCK.now().timestamp() - age_s,) * 2)
    eye = watcher(desk, tmp_path)
    assert [await eye.look(), await eye.look(), await eye.look()] == [0, 2, 0]
    assert len(list((tmp_path / "done").glob("*.csv"))) == 2
    assert len(list((tmp_path / "done").glob("*.csv.report.json"))) == 2
