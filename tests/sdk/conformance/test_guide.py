"""The guide to connectors is the example, file by file, and whoever follows it has a channel that works."""

from __future__ import annotations

import re
import subprocess
import sys
import zipfile
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path

import pytest

from cli.test_drift_guide import TIME_S_MAX, run_guide

ROOT = Path(__file__).parents[3]
GUIDE = ROOT / "docs" / "how-to" / "write-a-connector.md"
EXAMPLE = ROOT / "examples" / "corner"


def files_of(text: str) -> Mapping[str, str]:
    """The files that a guide spells out: name -> text. A file that comes in parts is put together."""
    parts = defaultdict(list)
    for name, part in re.findall(r"^```(?:python|toml) (\S+)\n(.*?)^```$", text, re.S | re.M):
        parts[name].append(part)
    return {name: "".join(some) for name, some in parts.items()}


def test_the_guide_and_the_example_do_not_differ() -> None:
    told = files_of(GUIDE.read_text(encoding="utf-8"))
    there = {
        str(path.relative_to(EXAMPLE)): path.read_text(encoding="utf-8")
        for path in EXAMPLE.rglob("*")
        if path.suffix in {".py", ".toml"} and path.is_file()
    }
    assert set(told) == set(there)
    for name, text in there.items():
        assert told[name] == text, f"{name} is another one in the guide"


def test_the_example_is_small() -> None:
    sizes = {path.name: len(path.read_text().splitlines()) for path in EXAMPLE.rglob("*.py")}
    assert sizes["connector.py"] < 200
    assert sum(sizes.values()) < 500


@pytest.mark.long
@pytest.mark.pg
@pytest.mark.timeout(TIME_S_MAX + 60)
def test_whoever_follows_the_guide_has_a_channel_that_works(dsn: str, tmp_path: Path) -> None:
    """Built from the guide's own text, and installed as a wheel: entry point, quality.toml and all."""
    here, packages = tmp_path / "corner", tmp_path / "packages"
    for name, text in files_of(GUIDE.read_text(encoding="utf-8")).items():
        (here / name).parent.mkdir(parents=True, exist_ok=True)
        (here / name).write_text(text, encoding="utf-8")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(command, cwd=here, capture_output=True, check=True)
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(packages)
    said = run_guide(GUIDE, dsn, tmp_path, packages=packages)
    assert re.search(r"corner: \d+ run, \d+ exempt, 0 failed", said)
    assert "my-corner" in said
