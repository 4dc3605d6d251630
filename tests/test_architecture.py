"""The shape of the house: who may import whom, where SQL lives, and that nothing grows past a screen."""

from __future__ import annotations

import ast
import subprocess
import sys
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "src" / "oneshelf"
FILE_LINES_MAX = 400
FUNCTION_LINES_MAX = 60

# What is larger, and may only shrink: "path" or "path::function" -> lines. Empty is the aim.
LARGER_FILES: Mapping[str, int] = {}
LARGER_FUNCTIONS: Mapping[str, int] = {}

CONTRACTS = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]


@pytest.mark.parametrize("contract", [pytest.param(one["id"], id=one["name"]) for one in CONTRACTS])
def test_import_contract(contract: str) -> None:
    command = [sys.executable, "-c", "from importlinter.cli import lint_imports_command as run; run()"]
    said = subprocess.run(
        [*command, "--contract", contract, "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert said.returncode == 0, said.stdout + said.stderr
    assert "1 kept, 0 broken" in said.stdout


def test_sql_is_executed_in_storage_only() -> None:
    executions = {
        f"{file.relative_to(ROOT)}:{node.lineno}"
        for file, tree in modules()
        if not file.is_relative_to(PACKAGE / "storage")
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr in {"execute", "executemany"}
    }
    assert executions == set()


def test_no_file_grows_past_one_concept() -> None:
    lines = {str(file.relative_to(ROOT)): len(file.read_text().splitlines()) for file in PACKAGE.rglob("*.py")}
    assert lines
    assert grown(lines, LARGER_FILES, lines_max=FILE_LINES_MAX) == []


def test_no_function_grows_past_a_screen() -> None:
    lines = {
        f"{file.relative_to(ROOT)}::{node.name}": (node.end_lineno or 0) - node.lineno + 1
        for file, tree in modules()
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    }
    assert lines
    assert grown(lines, LARGER_FUNCTIONS, lines_max=FUNCTION_LINES_MAX) == []


def modules() -> Iterator[tuple[Path, ast.Module]]:
    for file in sorted(PACKAGE.rglob("*.py")):
        yield file, ast.parse(file.read_text(), filename=str(file))


def grown(lines: Mapping[str, int], larger: Mapping[str, int], *, lines_max: int) -> list[str]:
    """What breaks the ratchet, in words: too long, longer than listed, or listed with more than it has."""
    complaints = [
        f"{name} has {count} lines, {larger.get(name, lines_max)} is the most"
        for name, count in lines.items()
        if count > larger.get(name, lines_max)
    ]
    complaints += [
        f"{name} is listed with {listed} lines and has {lines.get(name, 0)}: the list only shrinks, correct it"
        for name, listed in larger.items()
        if lines.get(name, 0) < listed
    ]
    return complaints
