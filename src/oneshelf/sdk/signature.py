"""Signatures of webhooks, compared in constant time over the raw bytes."""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Iterable


def hmac_sha256_base64(secret: str, body: bytes) -> str:
    """The base64 text of HMAC-SHA256, as a sender puts it into a header."""
    return base64.b64encode(hmac.new(secret.encode(), body, hashlib.sha256).digest()).decode()


def is_hmac_sha256_base64(body: bytes, *, signature: str | None, secrets: Iterable[str]) -> bool:
    """Whether `signature` is the base64 HMAC-SHA256 of `body` under one of `secrets` (several during a rotation).

    False, never an error, for a missing, non-ASCII or junk-laden signature.
    """
    if not signature or not signature.isascii():
        return False
    # The texts are compared: a decoder drops junk and spare bits, and one signature would have many spellings.
    matches = [hmac.compare_digest(signature, hmac_sha256_base64(secret, body)) for secret in secrets]
    return any(matches)
