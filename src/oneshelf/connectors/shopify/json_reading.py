"""JSON from outside becomes numbers, names and instants here, or is refused with a reason."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import NoReturn

from oneshelf.errors import MalformedError

_ID_MAX = 2**63 - 1
_GID = re.compile(r"gid://shopify/([A-Za-z]{1,60})/([0-9]{1,19})(?:\?[^\s]{0,200})?", re.ASCII)
_NUMBER = re.compile(r"[0-9]{1,19}", re.ASCII)


def decoded(body: bytes) -> object:
    """The JSON in `body`. A name that occurs twice is refused: which of the two would be the truth?

    Raises MalformedError.
    """
    try:
        return json.loads(body.decode("utf-8"), object_pairs_hook=_without_duplicates, parse_constant=_refuse_constant)
    except UnicodeDecodeError:
        raise MalformedError("the body is not UTF-8") from None
    except RecursionError:
        raise MalformedError("the body is nested too deeply") from None
    except ValueError as problem:
        raise MalformedError(f"the body is not JSON: {str(problem)[:120]}") from None


def _without_duplicates(pairs: list[tuple[str, object]]) -> dict[str, object]:
    names = dict(pairs)
    if len(names) != len(pairs):
        twice, _count = Counter(name for name, _ in pairs).most_common(1)[0]
        raise MalformedError(f"the name {twice[:40]!r} occurs twice in one object")
    return names


def _refuse_constant(name: str) -> NoReturn:
    raise MalformedError(f"{name} is not a JSON number")


def part(parent: Mapping[str, object], name: str, what: str) -> object:
    """A member that has to be there; it may be null."""
    try:
        return parent[name]
    except KeyError:
        raise MalformedError(f"{what} has no {name!r}") from None


def an_object(value: object, what: str) -> Mapping[str, object]:
    if not isinstance(value, dict):
        raise MalformedError(f"{what} must be an object, not {type(value).__name__}")
    return value


def a_list(value: object, what: str) -> list[object]:
    if not isinstance(value, list):
        raise MalformedError(f"{what} must be a list, not {type(value).__name__}")
    return value


def a_flag(value: object, what: str) -> bool:
    if not isinstance(value, bool):
        raise MalformedError(f"{what} must be true or false, not {type(value).__name__}")
    return value


def a_text(value: object, what: str) -> str:
    if not isinstance(value, str):
        raise MalformedError(f"{what} must be text, not {type(value).__name__}")
    return value


def a_number_id(value: object, what: str) -> str:
    """A numeric id as text without leading zeros. Ids are beyond 2**53, so a fraction has already lost digits."""
    if isinstance(value, bool) or not isinstance(value, int) or not 0 < value <= _ID_MAX:
        raise MalformedError(f"{what} must be a whole number from 1 to 2**63 - 1")
    return str(value)


def number_in_gid(value: object, kind: str) -> str:
    """The number in `gid://shopify/<kind>/<number>`, as text."""
    match = _GID.fullmatch(value) if isinstance(value, str) else None
    if match is None or match[1] != kind:
        raise MalformedError(f"{str(value)[:60]!r} is not the id of a Shopify {kind}")
    return a_number_id(int(match[2]), f"number of {kind}")


def number_in(text: str) -> str | None:
    """The id in a text of digits, None where it is no such text. `007` is no id: each id has one spelling."""
    if _NUMBER.fullmatch(text) is None or text.startswith("0") or int(text) > _ID_MAX:
        return None
    return text


def gid(kind: str, number: str) -> str:
    return f"gid://shopify/{kind}/{number}"


def sortable_instant(instant: datetime) -> str:
    """UTC text of fixed width, so that the order of texts is the order of instants."""
    return instant.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
