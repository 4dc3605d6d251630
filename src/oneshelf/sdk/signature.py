"""Signatures of webhooks, compared in constant time over the raw bytes."""

from __future__ import annotations

import base64
import binascii
import contextlib
import hashlib
import hmac
from collections.abc import Iterable, Mapping

_SIGNATURES_MAX = 20


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


def standard_signature(headers: Mapping[str, str], body: bytes, *, secret: str) -> str:
    """What Standard Webhooks 1.0.0 puts into `webhook-signature` for these headers and bytes.

    A secret that begins with `whsec_` is the base64 of its key; any other one is the key itself.
    """
    content = b".".join((headers.get("webhook-id", "").encode(), headers.get("webhook-timestamp", "").encode(), body))
    return "v1," + base64.b64encode(hmac.new(_key_of(secret), content, hashlib.sha256).digest()).decode()


def is_standard_webhook(headers: Mapping[str, str], body: bytes, *, secrets: Iterable[str]) -> bool:
    """Whether one of the signatures in the headers is that of `body` under one of `secrets`.

    False, never an error, for missing, non-ASCII or junk-laden headers. The age of the timestamp is not judged.
    """
    told = headers.get("webhook-signature", "")
    names = (headers.get("webhook-id", ""), headers.get("webhook-timestamp", ""))
    if not told.isascii() or not all(name and name.isascii() for name in names):
        return False
    wanted = [standard_signature(headers, body, secret=secret) for secret in secrets]
    matches = [hmac.compare_digest(one, other) for one in told.split(" ")[:_SIGNATURES_MAX] for other in wanted]
    return any(matches)


def _key_of(secret: str) -> bytes:
    key = b""
    if secret.startswith("whsec_"):
        with contextlib.suppress(binascii.Error, ValueError):
            key = base64.b64decode(secret.removeprefix("whsec_"), validate=True)
    return key or secret.encode()
