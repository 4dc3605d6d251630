"""What an issuer says of somebody: signed by one of the issuer's own keys, for us, for this log-in, and just now.

OpenID Connect Core 1.0, section 3.1.3.7. Only where the extra `oidc` is installed.
"""

from __future__ import annotations

from base64 import urlsafe_b64decode
from datetime import datetime
from typing import Any

import msgspec
from joserfc import jwt
from joserfc.errors import ClaimError, InvalidKeyIdError, JoseError
from joserfc.jwk import ECKey, Key, KeySet, RSAKey
from joserfc.jws import JWSRegistry
from joserfc.jwt import JWTClaimsRegistry

from oneshelf.domain.access import Account
from oneshelf.errors import IdentityRefusedError, MalformedError
from oneshelf.sdk.decoding import document_from
from oneshelf.web.passwords import subject_from

# No `none`, and no secret that both sides have: a public key would pass for one.
ALGORITHMS = ("RS256", "ES256")
RSA_BITS = range(2048, 8193)
# What two clocks may differ by.
LEEWAY_S = 60
EMAIL_LENGTH_MAX = 320
_WRONG = {
    "iss": "it is of another issuer",
    "aud": "it is for another application",
    "exp": "its time is over; the clock of this machine may be wrong",
    "iat": "its time has not come; the clock of this machine may be wrong",
    "nbf": "its time has not come; the clock of this machine may be wrong",
    "nonce": "it is of another log-in",
    "sub": "it does not say of whom it is",
}


class UnknownKeyError(IdentityRefusedError):
    """The key is not among those that were read: the issuer may have others by now."""


class _Key(msgspec.Struct):
    """What is read of a key. Whatever else is written there (certificates, addresses) is believed of nobody."""

    kty: str
    kid: str | None = None
    use: str | None = None
    alg: str | None = None
    n: str = ""
    e: str = ""
    crv: str = ""
    x: str = ""
    y: str = ""


class _Keys(msgspec.Struct):
    keys: list[Any]


def keys_from(body: bytes) -> KeySet:
    """The keys by which an issuer may sign; one of another kind, or too weak, is none. Raises MalformedError."""
    document = document_from(body, _Keys, what="the key set")
    return KeySet([key for key in map(_key, document.keys) if key is not None])


def claims_of(token: str, keys: KeySet) -> dict[str, Any]:
    """What a token says, where one of these keys has signed it. Raises UnknownKeyError and IdentityRefusedError."""
    registry = JWSRegistry(algorithms=ALGORITHMS, strict_check_header=False)
    try:
        return jwt.decode(token, keys, registry=registry).claims
    except InvalidKeyIdError:
        raise UnknownKeyError("it is signed by a key that the issuer does not publish") from None
    except (JoseError, ValueError, TypeError, RecursionError) as failure:
        raise IdentityRefusedError(f"its signature does not hold ({type(failure).__name__})") from None


def account_from(claims: dict[str, Any], *, issuer: str, client_id: str, nonce: str, now: datetime) -> Account:
    """Who it is. Raises IdentityRefusedError, which repeats nothing of the token."""
    needed = JWTClaimsRegistry(
        now=int(now.timestamp()),
        leeway=LEEWAY_S,
        iss={"essential": True, "value": issuer},
        aud={"essential": True, "value": client_id},
        nonce={"essential": True, "value": nonce},
        exp={"essential": True},
        iat={"essential": True},
        sub={"essential": True},
    )
    try:
        needed.validate(claims)
    except ClaimError as failure:
        raise IdentityRefusedError(_WRONG.get(failure.claim, "it lacks what it has to say")) from None
    party, audience = claims.get("azp"), claims["aud"]
    is_for_several = isinstance(audience, list) and len(audience) > 1
    if party != client_id and (party is not None or is_for_several):
        raise IdentityRefusedError("it was given to another application")
    try:
        subject = subject_from(claims["sub"])
    except MalformedError:
        raise IdentityRefusedError(_WRONG["sub"]) from None
    return Account(
        issuer, subject, _address_in(claims.get("email")), is_email_verified=claims.get("email_verified") is True
    )


def _address_in(told: object) -> str:
    """The address, whole; "" for what is none."""
    return told if isinstance(told, str) and len(told) <= EMAIL_LENGTH_MAX and told.isprintable() else ""


def _key(told: object) -> Key | None:
    try:
        key = msgspec.convert(told, _Key)
        named = {"kid": key.kid, "use": key.use, "alg": key.alg}
        about = {name: value for name, value in named.items() if value is not None}
        if key.use not in {None, "sig"}:
            return None
        if key.kty == "RSA" and _bits(key.n) in RSA_BITS:
            return RSAKey.import_key({"kty": "RSA", "n": key.n, "e": key.e, **about})
        if key.kty == "EC" and key.crv == "P-256":
            return ECKey.import_key({"kty": "EC", "crv": key.crv, "x": key.x, "y": key.y, **about})
    except (msgspec.ValidationError, JoseError, ValueError):
        return None
    return None


def _bits(modulus: str) -> int:
    return int.from_bytes(urlsafe_b64decode(modulus + "=" * (-len(modulus) % 4))).bit_length()
