"""Bytes from outside become a typed document, or MalformedError and nothing else."""

from __future__ import annotations

from typing import TypeVar

import msgspec

from oneshelf.errors import MalformedError

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
