"""What a file of this project must not contain, and which figures have to agree."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]

# Put together from pieces, so that this file does not contain what it looks for.
REGISTRIES = re.compile(
    r"\b(?:" + "|".join(("py" + "pi", "python" + "hosted", "npm" + "js", "deb" + "ian")) + r")\.(?:org|com)\b", re.I
)
PRIVATE_PLACES = re.compile(
    "|".join((r"/ho" + r"me/\w+/", r"/Us" + r"ers/\w+/", r"/ro" + r"ot/\w", r"/wo" + r"rk/(?:main|shared)\b"))
)


def project_files() -> Iterator[tuple[Path, str]]:
    """Every text file that is, or is about to be, under version control."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        cwd=ROOT,
        capture_output=True,
        check=False,
    )
    names = listed.stdout.decode().split("\0") if listed.returncode == 0 else []
    paths = [ROOT / name for name in names if name] or [*(ROOT / "src").rglob("*"), *(ROOT / "tests").rglob("*")]
    for path in paths:
        if path.is_file():
            try:
                yield path.relative_to(ROOT), path.read_text(encoding="utf-8")
            except UnicodeDecodeError:  # An image or the like.
                continue


@pytest.mark.parametrize("pattern", [REGISTRIES, PRIVATE_PLACES], ids=["registry", "private place"])
def test_no_file_names_the_host_of_a_package_registry_or_a_place_on_somebodys_machine(
    pattern: re.Pattern[str],
) -> None:
    hits = [
        f"{path}:{number}: {line.strip()[:120]}"
        for path, text in project_files()
        if pattern.search(text)
        for number, line in enumerate(text.splitlines(), 1)
        if pattern.search(line)
    ]
    assert hits == []


@pytest.mark.parametrize("lock", sorted((ROOT / "requirements").glob("*.txt")), ids=lambda lock: lock.name)
def test_a_lock_pins_by_hash_and_holds_no_address(lock: Path) -> None:
    text = lock.read_text()
    assert "://" not in text
    pins = [line for line in text.splitlines() if re.match(r"[a-z0-9]", line)]
    assert pins
    assert all(re.match(r"[a-z0-9._-]+==\S+ .*\\$", pin) for pin in pins)
    assert text.count("--hash=sha256:") >= len(pins)


def test_the_locks_agree_on_every_version() -> None:
    """They are installed together, so one package has one version."""
    pins = {
        line.split(" ")[0]
        for lock in (ROOT / "requirements").glob("*.txt")
        for line in lock.read_text().splitlines()
        if "==" in line.split(" ")[0]
    }
    names = [pin.split("==")[0] for pin in pins]
    assert sorted(names) == sorted(set(names))


@pytest.mark.parametrize(
    ("lock", "declared"),
    [
        ("base.in", PROJECT["dependencies"]),
        ("embedded.in", PROJECT["optional-dependencies"]["embedded"]),
        ("traces.in", PROJECT["optional-dependencies"]["traces"]),
        ("oidc.in", PROJECT["optional-dependencies"]["oidc"]),
    ],
)
def test_what_a_user_installs_is_what_was_locked(lock: str, declared: list[str]) -> None:
    asked = {name(line) for line in (ROOT / "requirements" / lock).read_text().split("\n") if line and line[0] != "-"}
    assert asked == {name(line) for line in declared}


def name(requirement: str) -> str:
    """The package with its extras, without version and marker."""
    return re.split(r"[<>=;~! ]", requirement, maxsplit=1)[0]


def test_the_newest_version_in_the_changelog_is_the_packages() -> None:
    changelog = (ROOT / "CHANGELOG.md").read_text()
    versions = re.findall(r"^## \[(\d+\.\d+\.\d+)\] - (Unreleased|\d{4}-\d\d-\d\d)$", changelog, re.M)
    assert versions[0][0] == PROJECT["version"]
    assert len(versions) == len(re.findall(r"^## ", changelog, re.M)), "a heading that is not [version] - date"


def test_the_wheel_ships_every_file_of_the_package(tmp_path: Path) -> None:
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)],
        cwd=ROOT,
        capture_output=True,
        check=True,
    )
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        shipped = {member for member in archive.namelist() if member.startswith("oneshelf/")}
    here = {str(path.relative_to("src")) for path, _ in project_files() if path.is_relative_to("src/oneshelf")}
    assert {Path(file).suffix for file in here} >= {".py", ".sql"}
    assert here <= shipped


# Put together from pieces too.
SILENCED = re.compile("# (?:no" + r"qa|type: ig" + r"nore)\b")
WITH_A_REASON = re.compile("# (?:no" + r"qa: [A-Z0-9]+(?:, [A-Z0-9]+)*|type: ig" + r"nore\[[a-z, -]+\])  # \S")


@pytest.mark.parametrize("place", ["src", "tests", "benchmarks"])
def test_whoever_silences_a_checker_names_the_rule_and_says_why(place: str) -> None:
    hits = [
        f"{path}:{number}: {line.strip()[:120]}"
        for path in sorted((ROOT / place).rglob("*.py"))
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if len(SILENCED.findall(line)) != len(WITH_A_REASON.findall(line))
    ]
    assert hits == []
