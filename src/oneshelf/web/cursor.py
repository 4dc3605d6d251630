"""Where a list goes on, as one word for an address: the names that its order is made of."""

from __future__ import annotations

import binascii
from base64 import urlsafe_b64decode, urlsafe_b64encode

import msgspec

from oneshelf.domain.identity import printable
from oneshelf.errors import MalformedError

# Names of 120 characters, an order's three, of up to four bytes each, and base64.
CURSOR_LENGTH_MAX = 4_000


def cursor_of(*names: str) -> str:
    """A word that `names_from` reads."""
    return urlsafe_b64encode(msgspec.json.encode(names)).decode().rstrip("=")


def names_from(cursor: str, *, count: int) -> list[str]:
    """The names in a cursor. Raises MalformedError for one that no page gave."""
    try:
        padded = cursor.encode("ascii") + b"=" * (-len(cursor) % 4)
        names = msgspec.json.decode(urlsafe_b64decode(padded), type=list[str])
    except (UnicodeEncodeError, binascii.Error, msgspec.DecodeError):
        names = []
    if len(names) != count or any(printable(name, length_max=len(name)) != name for name in names):
        raise MalformedError("after must be the `next` of another page")
    return names
