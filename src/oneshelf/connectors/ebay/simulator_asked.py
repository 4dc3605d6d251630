"""Reading a request to the simulated eBay's REST APIs: parameters and bodies, checked by the contracts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
from starlette.requests import Request

from oneshelf.domain.identity import UNITS_MAX


class WrongError(Exception):
    """A value that breaks the contract: the name of the parameter, and what is wrong about it."""

    def __init__(self, name: str, words: str) -> None:
        super().__init__(f"{name}: {words}")
        self.name = name


def whole(request: Request, name: str, *, least: int, most: int, default: int) -> int:
    """A whole number of the query. Raises WrongError beyond the bounds: nothing is cut to what is allowed."""
    text = request.query_params.get(name, str(default))
    if not text.isascii() or not text.isdigit() or not least <= int(text) <= most:
        raise WrongError(name, f"{text[:20]!r} is not between {least} and {most}")
    return int(text)


def body_of(content: bytes) -> dict[str, Any]:
    """The JSON object of a body. Raises WrongError where it is none."""
    try:
        return msgspec.json.decode(content, type=dict[str, Any])
    except msgspec.DecodeError:
        raise WrongError("body", "it is not a JSON object") from None


def rows_of(document: Mapping[str, Any], name: str, *, most: int) -> list[dict[str, Any]]:
    """A list of 1 to `most` objects. Raises WrongError."""
    rows = document.get(name)
    if not isinstance(rows, list) or not 1 <= len(rows) <= most or not all(isinstance(row, dict) for row in rows):
        raise WrongError(name, f"1 to {most} objects are allowed")
    return rows


def units_or_none(value: object) -> int | None:
    """A quantity that eBay takes; None where it does not."""
    is_whole = isinstance(value, int) and not isinstance(value, bool)
    return value if is_whole and isinstance(value, int) and 0 <= value <= UNITS_MAX else None


def base_of(request: Request) -> str:
    """The address under which this server was called, without a slash at the end."""
    return str(request.base_url).rstrip("/")
