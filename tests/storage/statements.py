"""The statements that the engine really sends, caught on their way, and what PostgreSQL would do for each."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import psycopg
from psycopg import AsyncCursor, ClientCursor, sql

import oneshelf.storage

STORAGE = str(Path(oneshelf.storage.__file__).parent)
LEDGER_TABLES = {
    "balances", "skus", "movements", "reservations", "orders", "order_lines", "commands", "transfers",
    "ruling_counts", "backorders", "bundle_components",
}  # fmt: skip
PLACEHOLDER = re.compile(r"%\((\w+)\)s|%%")


class Statement(NamedTuple):
    """A text of `storage`, and the parameters it was sent with."""

    text: str
    parameters: Mapping[str, Any]

    @property
    def size(self) -> int:
        return max((len(value) for value in self.parameters.values() if isinstance(value, list)), default=0)


class Scan(NamedTuple):
    """A table, or an index of one, that a plan reads from end to end."""

    name: str
    text: str
    size: int
    how: str


@contextmanager
def caught_statements(caught: list[Statement]) -> Iterator[None]:
    """Note every statement with parameters that a module of `storage` sends; it is sent all the same."""
    execute = AsyncCursor.execute

    async def noted(self: Any, query: Any, params: Any = None, **kwargs: Any) -> Any:
        if isinstance(query, str) and params and _is_from_storage():
            caught.append(Statement(query, params))
        return await execute(self, query, params, **kwargs)

    AsyncCursor.execute = noted  # type: ignore[method-assign]  # replaced on purpose
    try:
        yield
    finally:
        AsyncCursor.execute = execute  # type: ignore[method-assign]  # replaced on purpose


def _is_from_storage() -> bool:
    """Whether the caller is a module of `storage`: directly, or by way of `connection.execute`."""
    caller = sys._getframe(2)
    return any(frame is not None and frame.f_code.co_filename.startswith(STORAGE) for frame in (caller, caller.f_back))


def largest_of_each(statements: list[Statement]) -> list[Statement]:
    """For each text the smallest and the largest parameters that it was sent with."""
    sizes: dict[str, list[Statement]] = {}
    for one in statements:
        sizes.setdefault(one.text, []).append(one)
    return [pick for same in sizes.values() for pick in {one.size: one for one in _ends(same)}.values()]


def _ends(same: list[Statement]) -> tuple[Statement, Statement]:
    return min(same, key=lambda one: one.size), max(same, key=lambda one: one.size)


def whole_scans(
    connection: psycopg.Connection[Any], statements: list[Statement], *, tables: Collection[str] = LEDGER_TABLES
) -> list[Scan]:
    """Every scan over a whole one of these tables, as the planner plans for these parameters and for any."""
    found = []
    for one in statements:
        for how, plan in plans(connection, one).items():
            found += [Scan(name, one.text, one.size, how) for name in _scanned(plan) if _is_of(tables, name)]
    return found


def _is_of(tables: Collection[str], name: str) -> bool:
    return any(name == table or name.startswith(f"{table}_") for table in tables)


def plans(connection: psycopg.Connection[Any], statement: Statement) -> dict[str, Any]:
    """How the statement is planned for its parameters (custom) and, prepared, for any (generic)."""
    names: list[str] = []

    def numbered(found: re.Match[str]) -> str:
        name = found[1]
        if name is None:
            return "%"
        if name not in names:
            names.append(name)
        return f"${names.index(name) + 1}"

    text = PLACEHOLDER.sub(numbered, statement.text)
    found = {}
    cursor = ClientCursor(connection)
    values = sql.SQL(", ").join([sql.Placeholder()] * len(names))
    for how in ("custom", "generic"):
        cursor.execute(f"set local plan_cache_mode = force_{how}_plan".encode())
        cursor.execute(b"prepare asked as " + text.encode())
        explain = sql.SQL("explain (format json) execute asked") + (
            sql.SQL(" ({})").format(values) if names else sql.SQL("")
        )
        cursor.execute(explain, [statement.parameters[name] for name in names])
        row = cursor.fetchone()
        assert row is not None
        found[how] = row[0] if isinstance(row[0], list) else json.loads(row[0])
        cursor.execute(b"deallocate asked")
    return found


def _reads_a_whole_index(node: dict[str, Any]) -> bool:
    """As of a merge join, which reads a table from end to end in the order of an index."""
    kind = node.get("Node Type")
    return kind in {"Index Scan", "Index Only Scan", "Bitmap Index Scan"} and "Index Cond" not in node


def _scanned(plan: Any) -> Iterator[str]:
    """The tables that this plan, or any part of it, scans as a whole."""
    if isinstance(plan, list):
        for part in plan:
            yield from _scanned(part)
    elif isinstance(plan, dict):
        if plan.get("Node Type") == "Seq Scan" or _reads_a_whole_index(plan):
            yield plan.get("Relation Name") or plan["Index Name"]
        for part in plan.values():
            yield from _scanned(part)
