"""AWS Signature Version 4: who holds the keys of an AWS account signs each request with them.

Rule: https://docs.aws.amazon.com/IAM/latest/UserGuide/create-signed-request.html (checked 2026-11-26).
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from urllib.parse import parse_qsl, quote, urlsplit

ALGORITHM = "AWS4-HMAC-SHA256"


@dataclass(frozen=True, slots=True)
class AwsKeys:
    """The keys of an AWS user. They never appear in a `repr`."""

    access_key_id: str = field(repr=False)
    secret_access_key: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Signer:
    """Who signs, and for which service in which region."""

    keys: AwsKeys
    region: str
    service: str

    def scope(self, at: datetime) -> str:
        """What a signature of the day of `at` is good for, as it is signed."""
        return f"{at.astimezone(UTC):%Y%m%d}/{self.region}/{self.service}/aws4_request"


def amz_date(at: datetime) -> str:
    """The instant as AWS writes it."""
    return at.astimezone(UTC).strftime("%Y%m%dT%H%M%SZ")


def signed(
    method: str, url: str, headers: Mapping[str, str], body: bytes, *, signer: Signer, at: datetime
) -> dict[str, str]:
    """The headers to send: the given ones with the instant and the signature. All given ones are signed, and the host.

    `url`: with a path in which nothing needs an escape.
    """
    sent = {**headers, "X-Amz-Date": amz_date(at)}
    canonical = {"host": urlsplit(url).netloc, **{name.lower(): value for name, value in sent.items()}}
    proof = signature(method, url, canonical, body, signer=signer, at=at)
    credential = f"{signer.keys.access_key_id}/{signer.scope(at)}"
    names = ";".join(sorted(canonical))
    return {**sent, "Authorization": f"{ALGORITHM} Credential={credential}, SignedHeaders={names}, Signature={proof}"}


def signature(method: str, url: str, headers: Mapping[str, str], body: bytes, *, signer: Signer, at: datetime) -> str:
    """The signature in hexadecimal over exactly these headers, whose names are in lower case."""
    at = at.astimezone(UTC)
    parts = urlsplit(url)
    query = sorted((quote(name, safe="-_.~"), quote(value, safe="-_.~")) for name, value in _parameters(parts.query))
    request = "\n".join(
        (
            method,
            parts.path or "/",
            "&".join(f"{name}={value}" for name, value in query),
            *(f"{name}:{' '.join(headers[name].split())}" for name in sorted(headers)),
            "",
            ";".join(sorted(headers)),
            hashlib.sha256(body).hexdigest(),
        )
    )
    digest = hashlib.sha256(request.encode()).hexdigest()
    told = "\n".join((ALGORITHM, amz_date(at), signer.scope(at), digest))
    key = f"AWS4{signer.keys.secret_access_key}".encode()
    for part in (f"{at:%Y%m%d}", signer.region, signer.service, "aws4_request"):
        key = hmac.digest(key, part.encode(), "sha256")
    return hmac.new(key, told.encode(), "sha256").hexdigest()


def _parameters(query: str) -> list[tuple[str, str]]:
    return parse_qsl(query, keep_blank_values=True)
