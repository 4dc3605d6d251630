"""The shape of the house: who may import whom, where SQL lives, and that nothing grows past a screen."""

from __future__ import annotations

import ast
import re
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

# Where the database is spoken to. The simulation drives it, and its auditor shares no statement with the engine.
SPEAK_SQL = (PACKAGE / "storage", PACKAGE / "simulation")

CONTRACTS = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]


@pytest.mark.parametrize("contract", [pytest.param(one["id"], id=one["name"]) for one in CONTRACTS])
def test_import_contract(contract: str) -> None:
    command = [sys.executable, "-c", "from importlinter.cli import lint_imports_command as run; run()"]
    said = subprocess.run(
        [*command, "--contract", contract, "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert said.returncode == 0, said.stdout + said.stderr
    assert "1 kept, 0 broken" in said.stdout


@pytest.mark.long
def test_sql_is_executed_in_storage_only() -> None:
    executions = {
        f"{file.relative_to(ROOT)}:{node.lineno}"
        for file, tree in modules()
        if not any(file.is_relative_to(place) for place in SPEAK_SQL)
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr in {"execute", "executemany", "copy", "stream"}
        and not _is_something_else(node.func)
    }
    assert executions == set()


def _is_something_else(function: ast.Attribute) -> bool:
    """`shutil.copy`, `client.stream` and the like have no database behind them."""
    return function.attr in {"copy", "stream"} and not (
        isinstance(function.value, ast.Name) and function.value.id in {"tx", "connection", "cursor"}
    )


@pytest.mark.long
def test_no_text_outside_storage_is_a_statement() -> None:
    """Also none that is only handed on to somebody who executes it."""
    statements = {
        f"{file.relative_to(ROOT)}:{line}: {text.strip()[:60]}"
        for file, tree in modules()
        if not any(file.is_relative_to(place) for place in SPEAK_SQL)
        for line, text in _texts(tree)
        if STATEMENT.match(text)
    }
    assert statements == set()
    assert STATEMENT.match("\n  WITH due AS (select 1) delete from touched")
    assert STATEMENT.match("select 1")
    assert not STATEMENT.match("Update the figures")


@pytest.mark.long
def test_only_storage_knows_the_driver() -> None:
    """`config` lets it read an address, and that is all."""
    importers = {
        f"{file.relative_to(PACKAGE)}: {module}"
        for file, tree in modules()
        if not any(file.is_relative_to(place) for place in SPEAK_SQL)
        for node in ast.walk(tree)
        for module in _imported(node)
        if module.split(".")[0] in {"psycopg", "psycopg_pool"}
    }
    assert importers == {"config.py: psycopg", "config.py: psycopg.conninfo"}


# The beginning of a statement, and enough behind it to be none of the words of a person.
STATEMENT = re.compile(
    r"\s*(?:select\s+(?:\*|\d|count\(|from\b|\w+(?:\.\w+)?(?:\s*,|\s+from\b|\())|insert\s+into\s|delete\s+from\s"
    r"|update\s+\w+\s+(?:\w+\s+)?set\s|with\s+\w+\s+as\s*\(|(?:create|alter|drop)\s+(?:table|index|function)\s"
    r"|truncate\s+\w|lock\s+table\s)",
    re.I,
)


def _texts(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """All texts that are no docstring, with their lines."""
    docstrings = {
        id(node.body[0].value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
        and node.body
        and isinstance(node.body[0], ast.Expr)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docstrings:
            yield node.lineno, node.value


def _imported(node: ast.AST) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    return [node.module] if isinstance(node, ast.ImportFrom) and node.module and node.level == 0 else []


def test_no_file_grows_past_one_concept() -> None:
    lines = {str(file.relative_to(ROOT)): len(file.read_text().splitlines()) for file in PACKAGE.rglob("*.py")}
    assert lines
    assert grown(lines, LARGER_FILES, lines_max=FILE_LINES_MAX) == []


@pytest.mark.long
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
