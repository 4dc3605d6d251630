"""Members of eBay's JSON documents, or MalformedError and nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from oneshelf.domain.identity import UNITS_MAX
from oneshelf.errors import MalformedError
from oneshelf.sdk.decoding import a_list, an_object, document_from

WORDS_LENGTH_MAX = 300


def decoded(body: bytes) -> Any:
    """The JSON in a body. Raises MalformedError."""
    return document_from(body, object, what="the answer")


def a_text(value: object, what: str) -> str:
    """Text of at least one character that can be stored: a lone surrogate cannot."""
    if not isinstance(value, str) or not value:
        raise MalformedError(f"{what} must be text, not {type(value).__name__}")
    if not value.isprintable():
        raise MalformedError(f"{what} holds invisible characters")
    return value


def text_in(document: Any, name: str) -> str:
    """A member that is text. Raises MalformedError."""
    return a_text(an_object(document, "the answer").get(name), name)


def list_in(document: Any, name: str) -> list[Any]:
    """A member that is a list. Raises MalformedError."""
    return a_list(an_object(document, "the answer").get(name), name)


def life_in(document: Any, name: str) -> float:
    """A member that is a span in seconds. Raises MalformedError."""
    value = an_object(document, "the answer").get(name)
    if not isinstance(value, int) or isinstance(value, bool) or not 0 < value <= UNITS_MAX:
        raise MalformedError(f"{name} must be a number of seconds")
    return float(value)


def instant_text(instant: datetime) -> str:
    """As eBay writes instants: milliseconds, UTC. Of a fixed width, so that it sorts as the instants do."""
    return instant.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def errors_in(document: Any, name: str = "errors") -> list[Mapping[str, Any]]:
    """The error objects of a document, whatever else it is."""
    found = document.get(name) if isinstance(document, Mapping) else None
    return [error for error in found if isinstance(error, Mapping)] if isinstance(found, list) else []


def words_of(errors: list[Mapping[str, Any]]) -> str:
    """eBay's own words: `25004: Invalid quantity …`."""
    parts = [f"{error.get('errorId')}: {error.get('longMessage') or error.get('message')}" for error in errors]
    return "; ".join(parts)[:WORDS_LENGTH_MAX]


def codes_of(errors: list[Mapping[str, Any]]) -> frozenset[int]:
    """The numbers of these errors."""
    return frozenset(error["errorId"] for error in errors if isinstance(error.get("errorId"), int))


def error_words(body: bytes) -> str:
    """eBay's words in an answer that is no success; the raw beginning where it holds no errors."""
    try:
        words = words_of(errors_in(decoded(body)))
    except MalformedError:
        words = ""
    return words or body.decode("utf-8", "replace")[:WORDS_LENGTH_MAX]
