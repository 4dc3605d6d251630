"""Patterns of SKUs, as people write them: `*` any letters, `?` one, `[ab]` one of these, `[!ab]` none; case counts."""

from __future__ import annotations

from collections.abc import Iterator
from fnmatch import fnmatchcase

from oneshelf.domain.identity import Sku
from oneshelf.errors import MalformedError

_SPECIAL = frozenset(r"\.^$*+?{}[]()|-!#&~/@%<>=:,;'\"` _")
_NEVER = "(?!.?)"


def fits(pattern: str, sku: Sku) -> bool:
    """Whether the pattern fits the whole SKU."""
    return fnmatchcase(sku, pattern)


def narrowness(pattern: str) -> tuple[int, str]:
    """How narrow it is, larger is narrower: more letters of its own; of two alike the first by the alphabet."""
    own = sum(letter not in "*?[]" for letter in pattern)
    # Of two patterns that are as narrow the first by the alphabet wins: its letters are turned round.
    return (own, "".join(chr(0x10FFFF - ord(letter)) for letter in pattern))


def one_at_most(*, sku: Sku | None, sku_group: str | None, pattern: str | None) -> None:
    """Which SKUs a rule is for is said in one way. Raises MalformedError."""
    if sum(name is not None for name in (sku, sku_group, pattern)) > 1:
        raise MalformedError("a rule is for a SKU, a group or a pattern, and only one of them; write two rules")


def as_expression(pattern: str) -> str:
    """The regular expression of PostgreSQL that matches what the pattern fits."""
    return "^" + "".join(_expressions(pattern)) + "$"


def _expressions(pattern: str) -> Iterator[str]:
    at = 0
    while at < len(pattern):
        letter = pattern[at]
        at += 1
        if letter == "*":
            yield ".*"
        elif letter == "?":
            yield "."
        elif letter == "[" and (end := _end_of_set(pattern, at)):
            yield _set(pattern[at:end])
            at = end + 1
        else:
            yield _plain(letter)


def _end_of_set(pattern: str, begin: int) -> int:
    """Where the bracket is closed; 0: nowhere, so it stands for itself. One that comes first stands for itself too."""
    first = begin + pattern.startswith("!", begin)
    return max(0, pattern.find("]", first + pattern.startswith("]", first)))


def _set(inside: str) -> str:
    is_other, letters = inside.startswith("!"), inside.removeprefix("!")
    found, at = [], 0
    while at < len(letters):
        if letters[at + 1 : at + 2] == "-" and at + 2 < len(letters):
            low, high = letters[at], letters[at + 2]
            found += [f"{_plain(low)}-{_plain(high)}"] if low <= high else []
            at += 3
        else:
            found.append(_plain(letters[at]))
            at += 1
    if not found:
        return "." if is_other else _NEVER
    return f"[{'^' if is_other else ''}{''.join(found)}]"


def _plain(letter: str) -> str:
    return f"\\{letter}" if letter in _SPECIAL else letter
