"""Makes `docs/reference/bad-input.md` of the rows and of the tests that hold them.

`PYTHONPATH=src:tests python -m web.bad_input.page` writes it.
"""

from __future__ import annotations

import ast
from collections import defaultdict
from importlib import import_module
from pathlib import Path

from web.bad_input.rows import ROWS, Row

ROOT = Path(__file__).parents[3]
PAGE = ROOT / "docs" / "reference" / "bad-input.md"
HERE = Path(__file__).parent
_HEAD = """# Bad input, and the right answer

Whoever sends something wrong is told what, and the way out; and nothing has changed. The tests make the wrong
requests from one right one for each route, by the description in `/openapi.json`, so a new route is covered as soon
as it has an example (`tests/web/bad_input/examples.py`). Each ends with a look at every table of the database: all is
as it was before.

400 means that it cannot be read, 422 that it can be read and means nothing acceptable. A refusal is
`application/problem+json` (RFC 9457) with a sentence in `detail`. It never tells again at length what was sent. What
the server's own parser cannot take for a request, and heads that are late or too large, are told in plain text, and
the connection ends.

This page is made by `PYTHONPATH=src:tests python -m web.bad_input.page`, and a test compares it.

## Keys

A command is done once for its key, however often it is sent. The key is a member `key` of the command; for a single
command the header `Idempotency-Key` will do. It has 1 to 255 visible ASCII characters. Choose one for each thing that
happens (a random UUID, the number of a delivery note), keep it before you send, and send the same key again when you
do not know whether it was done: you get the first answer, with `Idempotent-Replayed: true`. A refusal is an answer
too: to ask again, take a new key. The same key with another command is 422. The figures of an answer are kept for
seven days and the key for ever: after that it is told 409 `already_applied`, and still nothing is done twice. What
was not readable or acceptable is not kept with its key. Naming SKUs and locations, defining a bundle, allowing
backorders, saying how listings share units and beginning a count need no key, since doing it again changes nothing.

## Rows
"""


def page() -> str:
    """The page as it should be."""
    tests = held()
    lines = [_HEAD, "| row | what is sent | what is answered | held by |", "|---|---|---|---|"]
    for number, row in ROWS.items():
        names = [f"`{name.rsplit('::test_', 1)[-1]}`" for name in (*tests[number], *row.elsewhere)]
        answer = "; ".join(filter(None, (row.answer if names else "nothing to ask yet", row.differs)))
        lines.append(f"| {number} | {row.sent} | {answer} | {', '.join(names)} |")
    return "\n".join(lines) + "\n"


def held() -> dict[str, list[str]]:
    """row -> the tests here that say they hold it"""
    found: dict[str, list[str]] = defaultdict(list)
    for file in sorted(HERE.glob("test_*.py")):
        module = import_module(f"web.bad_input.{file.stem}")
        for name, function in vars(module).items():
            if name.startswith("test_") and function.__module__ == module.__name__:
                for row in _rows_of(function):
                    found[row].append(f"tests/web/bad_input/{file.name}::{name}")
    return found


def _rows_of(function: object) -> list[str]:
    marks = getattr(function, "pytestmark", ())
    return [one.values[0] for mark in marks if mark.args and mark.args[0] == "row" for one in mark.args[1]]


def missing(row: Row) -> list[str]:
    """The tests elsewhere that a row names and that are not there."""
    return [name for name in row.elsewhere if name.partition("::")[2] not in _functions(ROOT / name.partition("::")[0])]


def _functions(file: Path) -> set[str]:
    tree = ast.parse(file.read_text())
    return {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}


if __name__ == "__main__":
    PAGE.parent.mkdir(parents=True, exist_ok=True)
    PAGE.write_text(page())
