"""Every command that a way out or a guide names is there."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import typer
from typer.core import TyperGroup

from oneshelf.cli import app

REPOSITORY = Path(__file__).parents[1]
SOURCE = REPOSITORY / "src" / "oneshelf"
GUIDES = sorted([*REPOSITORY.glob("*.md"), *(REPOSITORY / "docs").rglob("*.md")])
# What the marks of code begin; `oneshelf` in prose is the name of the engine.
NAMED = r"oneshelf ([a-z][a-z0-9-]*)(?: ([a-z][a-z0-9-]*)(?![\w/-]|\.\w))?"
QUOTED = re.compile(rf"(?:: |`|<code>|\$ |^|bin/){NAMED}", re.MULTILINE)
IN_SOURCE = re.compile(rf"(?:[Ww]ay out: |: |`|<code>){NAMED}")
FENCE = re.compile(r"^ *```.*?^ *```", re.MULTILINE | re.DOTALL)
INLINE = re.compile(r"`[^`\n]+`")


def strangers(found: Iterable[tuple[str | Any, ...]]) -> set[str]:
    """Those of these commands that nobody registered."""
    root: Any = typer.main.get_command(app)
    return {f"{word} {second or ''}".strip() for word, second in found if not _is_known(root, word, second)}


def _is_known(root: Any, word: str, second: str | None) -> bool:
    named = root.commands.get(word)
    return named is not None and (not isinstance(named, TyperGroup) or second is None or second in named.commands)


def texts(path: Path) -> Iterator[str]:
    """The texts in a module, an f-string as one, and a template as it is."""
    if path.suffix != ".py":
        yield path.read_text()
        return
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.JoinedStr):
            yield "".join(str(part.value) if isinstance(part, ast.Constant) else "{}" for part in node.values)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value


def test_the_commands_that_the_code_names_are_there() -> None:
    files = [path for path in SOURCE.rglob("*") if path.suffix in {".py", ".html"}]
    found = [match.groups() for path in files for text in texts(path) for match in IN_SOURCE.finditer(text)]
    assert len(found) > 100
    assert not strangers(found)


def test_the_commands_that_the_guides_name_are_there() -> None:
    found: list[tuple[str | Any, ...]] = []
    for text in (guide.read_text() for guide in GUIDES):
        code = [match[0].strip("`") for match in (*FENCE.finditer(text), *INLINE.finditer(FENCE.sub("", text)))]
        found += [match.groups() for part in code for match in QUOTED.finditer(part)]
    assert len(found) > 300
    assert not strangers(found)


def test_a_command_that_is_not_there_is_noticed() -> None:
    assert strangers([("parked", "retry"), ("errors", "retry"), ("errors", "mend"), ("status", "now")]) == {
        "parked retry",
        "errors mend",
    }
