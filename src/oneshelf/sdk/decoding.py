"""Bytes from outside become a typed document, or MalformedError and nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, TypeVar

import msgspec

from oneshelf.errors import MalformedError
from oneshelf.sdk.fault import RetryLaterError

Document = TypeVar("Document")
WORDS_LENGTH_MAX = 200


def document_from(body: bytes, kind: type[Document], *, what: str) -> Document:
    """The JSON in `body` as a `kind`, such as a msgspec struct. `what` names it in the message.

    Raises MalformedError: msgspec itself raises other things for text that is not UTF-8, and for lists within lists.
    """
    try:
        return msgspec.json.decode(body, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError) as problem:
        raise MalformedError(f"{what} cannot be read: {str(problem)[:WORDS_LENGTH_MAX]}") from None
    except RecursionError:
        raise MalformedError(f"{what} is nested too deeply") from None


def answer_from(body: bytes, kind: type[Document], *, what: str) -> Document:
    """The same of a channel's answer: one that cannot be read is none. Raises RetryLaterError."""
    try:
        return document_from(body, kind, what=what)
    except MalformedError as problem:
        raise RetryLaterError(str(problem)) from None


def an_object(value: Any, what: str) -> Mapping[str, Any]:
    """Raises MalformedError for anything else."""
    if not isinstance(value, Mapping):
        raise MalformedError(f"{what} must be an object, not {type(value).__name__}")
    return value


def a_list(value: Any, what: str) -> list[Any]:
    """Raises MalformedError for anything else."""
    if not isinstance(value, list):
        raise MalformedError(f"{what} must be a list, not {type(value).__name__}")
    return value


def an_instant(value: object, what: str) -> datetime:
    """An ISO 8601 instant with an offset, in UTC. Raises MalformedError for anything else."""
    try:
        instant = datetime.fromisoformat(value) if isinstance(value, str) else None
        if instant is not None and instant.tzinfo is not None:
            return instant.astimezone(UTC)
    except (ValueError, OverflowError):
        pass
    raise MalformedError(f"{what} must be an ISO 8601 instant with an offset, not {str(value)[:40]!r}")


def part_of(value: Any, kept: Mapping[str, Any] | None) -> Any:
    """The kept members of a document, in lists too; `kept`: member -> what is kept of it, None for all.

    A value of another type stays, for the reader to refuse.
    """
    if kept is None:
        return value
    if isinstance(value, list):
        return [part_of(member, kept) for member in value]
    if isinstance(value, Mapping):
        return {name: part_of(value[name], inner) for name, inner in kept.items() if name in value}
    return value
