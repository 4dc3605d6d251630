"""`oneshelf stock import`, as a person types it."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest
from typer.testing import Result

from cli.test_how_to import commands
from oneshelf.files.exporting import EXPORTS
from oneshelf.files.kinds import KINDS

pytestmark = pytest.mark.pg

Run = Callable[..., Result]


@pytest.fixture
def counted(run: Run, tmp_path: Path) -> Path:
    """A file of two counts. The mug and Berlin are known, and the cap."""
    names = tmp_path / "skus.csv"
    names.write_text("sku,title\nMUG,A mug\nCAP,A cap\n")
    run("stock", "import", str(names), "--as", "skus")
    run("stock", "add-location", "BER")
    file = tmp_path / "counts.csv"
    file.write_text("sku,location,on_hand\nMUG,BER,7\nCAP,BER,4\n")
    return file


def on_hand(run: Run) -> dict[str, int]:
    return {row["sku"]: row["on_hand"] for row in json.loads(run("stock", "list", "--json").stdout)}


def told(result: Result) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(result.stdout)
    return document


def test_a_file_is_looked_at_applied_once_and_taken_back(run: Run, counted: Path) -> None:
    seen = run("stock", "import", str(counted), "--taken-at", "now", "--preview")
    assert "MUG at BER: 7 on_hand" in seen.output
    assert "2 of 2 rows would be applied" in seen.output
    assert on_hand(run) == {}
    first = told(run("stock", "import", str(counted), "--taken-at", "now", "--json"))
    assert (first["state"], first["applied_count"]) == ("applied", 2)
    assert on_hand(run) == {"CAP": 4, "MUG": 7}
    assert "was applied before" in run("stock", "import", str(counted), "--taken-at", "now").output
    run("undo", "--scope", "import", "--command", f"{first['import_id']}/*", "--yes")
    assert on_hand(run) == {"CAP": 0, "MUG": 0}


def test_a_bad_row_is_named_with_line_column_and_value(run: Run, counted: Path) -> None:
    counted.write_text("sku,location,on_hand\nMUG,BER,1e3\n")
    result = run("stock", "import", str(counted), "--taken-at", "now", exits=1)
    assert "1e3" in result.output
    assert "--atomic row" in result.output
    [problem] = told(run("stock", "import", str(counted), "--taken-at", "now", "--json", exits=1))["problems"]
    assert (problem["line"], problem["column"], problem["value"]) == (2, "on_hand", "1e3")


def test_many_rows_that_are_wrong_in_the_same_way_are_counted(run: Run, counted: Path) -> None:
    counted.write_text("sku,location,on_hand\n" + "".join(f"NEW-{number},BER,1\n" for number in range(30)))
    result = run("stock", "import", str(counted), "--taken-at", "now", exits=1)
    assert result.output.count("NEW-") == 5
    assert "and 25 more rows (sku): no such SKU; name it first" in result.output
    assert len(told(run("stock", "import", str(counted), "--taken-at", "now", "--json", exits=1))["problems"]) == 30


MUGS, CAPS = 7_000, 5_000
WAIT_S_MAX = 120.0


@contextmanager
def held_in_the_middle(importing: subprocess.Popen[str], dsn: str) -> Iterator[None]:
    """The file is under way, some of it is applied and noted, and it comes no further before this is left.

    A person's part has to lie within the ten seconds for which the engine waits for a lock.
    """
    deadline = time.monotonic() + WAIT_S_MAX
    with psycopg.connect(dsn, autocommit=True) as connection, connection.transaction():
        connection.execute("select from skus where sku = 'CAP' for update")
        with psycopg.connect(dsn, autocommit=True) as other:
            while not other.execute(
                """
                select from imports, pg_stat_activity
                where kind = 'counts' and applied_count > 0
                  and datname = current_database() and wait_event_type = 'Lock'
                """
            ).rowcount:
                assert importing.poll() is None, "it was done before anybody could end it"
                assert time.monotonic() < deadline, f"not within {WAIT_S_MAX} s: the mugs are applied, the caps wait"
        yield


@pytest.fixture
def large(counted: Path) -> Path:
    """A file of so many mugs, one a row, and of caps after them."""
    counted.write_text("sku,location,delta\n" + "MUG,BER,1\n" * MUGS + "CAP,BER,1\n" * CAPS)
    return counted


@pytest.mark.long
def test_who_ends_it_in_the_middle_is_told_how_far_it_came_and_how_to_go_on(run: Run, large: Path, dsn: str) -> None:
    typed = ["stock", "import", str(large), "--taken-at", "now", "--atomic", "row"]
    # However this test was started: ctrl-C is a KeyboardInterrupt there.
    begin = "import signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler); from oneshelf.cli import app"
    importing = subprocess.Popen(
        [sys.executable, "-c", f"{begin}; app({typed!r})"],
        env={**os.environ, "ONESHELF_DATABASE_URL": dsn},
        stderr=subprocess.PIPE,
        text=True,
    )
    with held_in_the_middle(importing, dsn):
        importing.send_signal(signal.SIGINT)
        _, words = importing.communicate(timeout=WAIT_S_MAX)
    assert importing.returncode == 130, words
    assert "rows or some more are applied. The same command again does the rest, and nothing twice" in words
    assert re.search(r"take it back: oneshelf undo --scope import --command '[0-9a-f]{32}/\*'", words)
    assert "Traceback" not in words
    rest = told(run(*typed, "--json"))
    assert (rest["applied_count"] + rest["replayed_count"], rest["replayed_count"]) == (MUGS + CAPS, MUGS)
    assert on_hand(run) == {"MUG": MUGS, "CAP": CAPS}


@pytest.mark.long
def test_a_file_under_way_is_listed_and_stopped_and_goes_on_when_it_is_brought_again(
    run: Run, large: Path, dsn: str
) -> None:
    rows = MUGS + CAPS
    typed = ["stock", "import", str(large), "--taken-at", "now", "--atomic", "row"]
    importing = subprocess.Popen(
        [sys.executable, "-m", "oneshelf.cli", *typed],
        env={**os.environ, "ONESHELF_DATABASE_URL": dsn},
        stdout=subprocess.PIPE,
        text=True,
    )
    with held_in_the_middle(importing, dsn):
        file, *_ = json.loads(run("stock", "imports", "--json").stdout)
        said = run("stock", "import-stop", file["import_id"]).output
    words, _ = importing.communicate(timeout=WAIT_S_MAX)
    assert (file["file_name"], file["state"], file["row_count"]) == ("counts.csv", "under_way", rows)
    assert "had it stopped: it ends within some thousand rows" in said
    assert (importing.returncode, f"stopped: of {rows} rows" in words) == (1, True), words
    stopped = told(run("stock", "import-stop", file["import_id"], "--json"))
    assert (stopped["state"], MUGS <= stopped["applied_count"] < rows) == ("stopped", True)
    rest = told(run(*typed, "--json"))
    assert (rest["applied_count"] + rest["replayed_count"], on_hand(run)) == (rows, {"MUG": MUGS, "CAP": CAPS})
    assert "nothing was to be stopped" in run("stock", "import-stop", file["import_id"]).output
    assert "Way out: oneshelf stock imports" in run("stock", "import-stop", "nobody", exits=2).output


def test_what_was_typed_wrong_is_said_in_one_line(run: Run, counted: Path) -> None:
    for typed, said in (
        (("--as", "sales"), "there is no kind of file 'sales'; there are: skus"),
        (("--taken-at", "yesterday"), "--taken-at must be an instant"),
        (("--atomic", "table"), "--atomic must be one of file, row"),
        (("--allow", "all"), "--allow must be one of zeros, fewer"),
        (("--column", "sku"), "--column takes name=value"),
    ):
        assert said in run("stock", "import", str(counted), *typed, exits=2).output
    assert "No such file" in run("stock", "import", str(counted.parent / "none.csv"), exits=2).output


GUIDE = Path(__file__).parents[2] / "docs" / "how-to" / "import-and-export-files.md"


def test_the_guide_does_what_it_says(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = GUIDE.read_text(encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    for name, content in re.findall(r"```csv (\S+)\n(.*?)```", text, re.S):
        (tmp_path / name).write_text(content)
    steps = list(commands(GUIDE.name))
    assert len(steps) > 6
    for arguments, said in steps:
        output = [re.sub(r"\s+", " ", line).strip() for line in run(*arguments).output.splitlines()]
        for line in said:
            assert line in output, f"{arguments} did not say {line!r} but {output}"


def test_the_guide_names_every_kind_and_column() -> None:
    text = GUIDE.read_text(encoding="utf-8")
    for kind in KINDS.values():
        assert f"`{kind.name}`" in text
        if kind.name != "policies":
            assert [name for name in kind.columns if f"`{name}`" not in text and name != "posted_as"] == []


@pytest.mark.long
def test_what_is_exported_can_be_imported(run: Run, counted: Path) -> None:
    run("stock", "import", str(counted), "--taken-at", "now")
    for kind in EXPORTS:
        for form in ("csv", "xlsx"):
            file = counted.parent / f"{kind}.{form}"
            written = told(run("stock", "export", kind, str(file), "--json"))
            if written["row_count"]:
                run("stock", "import", str(file), "--as", kind)
    assert "must end in .csv or .xlsx" in run("stock", "export", "skus", "skus.pdf", exits=2).output
    assert [path.name for path in counted.parent.iterdir() if path.name.endswith(".part")] == []
