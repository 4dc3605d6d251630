"""A user name and a password in the header `Authorization` (RFC 7617), compared in constant time."""

from __future__ import annotations

import base64
import hmac
from collections.abc import Iterable


def basic(user: str, password: str) -> str:
    """The header of who has them."""
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


def is_basic(authorization: str, *, user: str, passwords: Iterable[str]) -> bool:
    """Whether the header tells this user and one of these passwords (several during a rotation).

    False, never an error, for a missing, non-ASCII or junk-laden header.
    """
    scheme, _, told = authorization.partition(" ")
    if scheme.lower() != "basic" or not told.isascii():
        return False
    # The texts are compared: a decoder drops junk and spare bits, and one header would have many spellings.
    matches = [hmac.compare_digest(told.strip(" "), basic(user, one).partition(" ")[2]) for one in passwords]
    return any(matches)
