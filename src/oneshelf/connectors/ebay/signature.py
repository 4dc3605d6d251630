"""Who sent a notification: eBay's signature, its keys, and the challenge of an address.

Rules: https://developer.ebay.com/develop/guides-v2/communication-and-notifications (checked 2026-11-26), and the way in
which eBay's own SDK for Node checks (event-notification-nodejs-sdk 1.0.1): over the document written anew without
blanks. The key is eBay's, the same for all sellers and applications.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import re
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import TypeVar

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA1, SHA256, HashAlgorithm
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from oneshelf.clock import Clock
from oneshelf.connectors.ebay.api import PUBLIC_KEY, EbayApi, document_of
from oneshelf.connectors.ebay.json_reading import a_text, decoded, text_in
from oneshelf.errors import MalformedError
from oneshelf.sdk.decoding import an_object
from oneshelf.sdk.fault import ChannelFault, RetryLaterError, SignatureError

HEADER = "x-ebay-signature"
HEADER_LENGTH_MAX = 4096
# "Cache it for an hour": the same page.
KEY_LIFE_S = 3600.0
KEYS_MAX = 16
# Ids that eBay does not know. Whoever makes up more of them than this only makes us ask again, within the budget.
UNKNOWN_MAX = 256
_KEY_ID = re.compile(r"[A-Za-z0-9_-]{8,64}", re.ASCII)
_DIGESTS: Mapping[str, type[HashAlgorithm]] = {"SHA1": SHA1, "SHA256": SHA256}
_PEM = re.compile(r"-----BEGIN PUBLIC KEY-----(.*)-----END PUBLIC KEY-----", re.DOTALL)


Held = TypeVar("Held")


@dataclass(frozen=True, slots=True)
class Signature:
    """What the header says."""

    key_id: str
    value: bytes
    digest: str


def signature_from(header: str | None) -> Signature:
    """The signature in the header. Raises SignatureError."""
    if not header or len(header) > HEADER_LENGTH_MAX:
        raise SignatureError("an eBay notification without its signature")
    try:
        raw = base64.b64decode(header, validate=True)
        told = an_object(decoded(raw), "the signature")
        key_id, digest = text_in(told, "kid"), text_in(told, "digest").upper()
        value = base64.b64decode(text_in(told, "signature"), validate=True)
    except (MalformedError, binascii.Error, ValueError):
        raise SignatureError("the signature of this eBay notification cannot be read") from None
    # One signature has one spelling.
    is_canonical = base64.b64encode(raw).decode() == header
    is_known = _KEY_ID.fullmatch(key_id) is not None and digest in _DIGESTS and told.get("alg") in {"ecdsa", "ECDSA"}
    if not (is_canonical and is_known):
        raise SignatureError("this eBay notification is signed in a way that is not known")
    return Signature(key_id, value, digest)


def key_from(pem: str) -> ec.EllipticCurvePublicKey:
    """eBay's public key, which comes without the line breaks that a PEM has. Raises MalformedError."""
    found = _PEM.search(pem)
    body = "".join((found[1] if found else pem).split())
    lines = "\n".join(body[at : at + 64] for at in range(0, len(body), 64))
    try:
        key = load_pem_public_key(f"-----BEGIN PUBLIC KEY-----\n{lines}\n-----END PUBLIC KEY-----\n".encode())
    except (ValueError, UnsupportedAlgorithm):
        raise MalformedError("eBay's public key cannot be read") from None
    if not isinstance(key, ec.EllipticCurvePublicKey):
        raise MalformedError("eBay's public key is of another kind than ECDSA")
    return key


def is_signed(body: bytes, signature: Signature, key: ec.EllipticCurvePublicKey) -> bool:
    """Whether the owner of the key signed the body: its bytes, or the same document without blanks.

    What stands around the document was never signed, so a body with blanks around it is none of eBay's.
    """
    if _verifies(body, signature, key):
        return True
    try:
        compact = json.dumps(json.loads(body), separators=(",", ":"), ensure_ascii=False).encode()
    except (ValueError, RecursionError):
        return False
    return body == body.strip() and compact != body and _verifies(compact, signature, key)


def _verifies(body: bytes, signature: Signature, key: ec.EllipticCurvePublicKey) -> bool:
    try:
        key.verify(signature.value, body, ec.ECDSA(_DIGESTS[signature.digest]()))
    except InvalidSignature:
        return False
    return True


def challenge_response(code: str, *, verification_token: str, address: str) -> str:
    """What eBay wants to hear: the SHA-256, in hexadecimal, of code, token and address as registered, in this order."""
    return hashlib.sha256(f"{code}{verification_token}{address}".encode()).hexdigest()


class Keys:
    """eBay's public keys, by their id. Known ones are asked for anew after an hour, unknown ones not again."""

    def __init__(self, fetch: Callable[[str], Awaitable[str | None]], *, clock: Clock) -> None:
        self._fetch = fetch
        self._clock = clock
        self._known: OrderedDict[str, tuple[ec.EllipticCurvePublicKey, float]] = OrderedDict()
        self._unknown: OrderedDict[str, None] = OrderedDict()

    def key(self, key_id: str) -> ec.EllipticCurvePublicKey | None:
        """The key; None: it was not learned, or there is none."""
        found = self._known.get(key_id)
        return found[0] if found else None

    async def learn(self, key_id: str) -> None:
        """Have the key at hand, if it exists. Raises RetryLaterError and other ChannelFaults."""
        found = self._known.get(key_id)
        is_fresh = found is not None and self._clock.monotonic() - found[1] < KEY_LIFE_S
        if is_fresh or key_id in self._unknown:
            return
        try:
            pem = await self._fetch(key_id)
        except ChannelFault:
            if found is None:
                raise
            # An id never has another key, so the one at hand is still good.
            return
        if pem is None:
            self._known.pop(key_id, None)
            _put(self._unknown, key_id, None, most=UNKNOWN_MAX)
            return
        _put(self._known, key_id, (key_from(pem), self._clock.monotonic()), most=KEYS_MAX)


def _put(held: OrderedDict[str, Held], name: str, value: Held, *, most: int) -> None:
    held[name] = value
    held.move_to_end(name)
    while len(held) > most:
        held.popitem(last=False)


def keys_of(api: EbayApi, *, clock: Clock) -> Keys:
    """The keys as the Notification API hands them out."""

    async def fetch(key_id: str) -> str | None:
        path = f"/commerce/notification/v1/public_key/{key_id}"
        reply = await api.read("getPublicKey", "GET", path, budget=PUBLIC_KEY, is_app=True)
        if reply.status in {400, 404}:
            return None
        try:
            return a_text(text_in(document_of("getPublicKey", reply), "key"), "key")
        except MalformedError as problem:
            raise RetryLaterError(f"getPublicKey: {problem}") from None

    return Keys(fetch, clock=clock)
