"""Columns of many rows as PostgreSQL array literals, for `unnest`.

The driver's own dumper for lists costs more than all the rest of writing a row; one join for a whole column does not.
Each literal is sent as text and cast by the statement: `%(skus)s::text[]`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from uuid import UUID

_EMPTY = "{}"


def texts(values: Sequence[str | None]) -> str:
    """text[]. The values pass the gate in `domain.identity`, so none holds a NUL character."""
    try:
        whole = '","'.join(values)  # type: ignore[arg-type]  # A missing one raises, and is rare.
    except TypeError:
        return _list(map(_quoted, values))
    if not values:
        return _EMPTY
    if "\\" in whole or whole.count('"') != 2 * (len(values) - 1):
        return _list(map(_quoted, values))
    return f'{{"{whole}"}}'


def places(keys: Iterable[tuple[str, str]]) -> dict[str, str]:
    """The columns `skus` and `locations` of these balances, each once, in the order in which rows are locked."""
    ordered = sorted(set(keys))
    return {"skus": texts([sku for sku, _ in ordered]), "locations": texts([location for _, location in ordered])}


def numbers(values: Iterable[int | None]) -> str:
    """bigint[] and the like."""
    return _list("NULL" if value is None else str(value) for value in values)


def flags(values: Iterable[bool]) -> str:
    """boolean[]."""
    return _list("t" if value else "f" for value in values)


def uuids(values: Iterable[UUID]) -> str:
    """uuid[]."""
    return _list([value.hex for value in values])


def hashes(values: Iterable[bytes]) -> str:
    """bytea[]."""
    return _list([f'"\\\\x{value.hex()}"' for value in values])


def instants(values: Iterable[datetime | None]) -> str:
    """timestamptz[]. A batch has few different instants, so each is written once."""
    written: dict[datetime | None, str] = {None: "NULL"}
    said = []
    for value in values:
        text = written.get(value)
        if text is None and value is not None:
            text = written[value] = f'"{value.isoformat()}"'
        said.append(text or "NULL")
    return _list(said)


def _list(items: Iterable[str]) -> str:
    return "{" + ",".join(items) + "}"


def _quoted(value: str | None) -> str:
    if value is None:
        return "NULL"
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
