"""Asks an issuer of OpenID Connect: how it is set up, which keys it signs by, and whom a code is about.

The issuer is named by the operator, so it may be inside the house. What it names is called over https alone, as it is
itself, or on this machine where it is there too. No redirect is followed, and little is read.
"""

from __future__ import annotations

import asyncio
import re
from base64 import b64encode
from dataclasses import dataclass, field
from typing import TypeVar
from urllib.parse import quote_plus, urlencode, urlsplit

import httpx2
import msgspec
from joserfc.jwk import KeySet

from oneshelf.clock import Clock
from oneshelf.domain.access import Account
from oneshelf.domain.identity import printable
from oneshelf.errors import IdentityRefusedError, IssuerUnavailableError, MalformedError, invariant
from oneshelf.sdk.address import is_loopback, may_download
from oneshelf.sdk.decoding import document_from
from oneshelf.telemetry import is_inside_transaction
from oneshelf.web import id_token
from oneshelf.web.oidc import BACK

WELL_KNOWN = "/.well-known/openid-configuration"
DEADLINE_S = 10.0
READ_BYTES_MAX = 256 * 1024
# So long what an issuer says of itself is believed. Its keys are read again at once where a new one is used.
BELIEVED_S = 600.0
SCOPES = "openid email"
NAME_SHOWN_MAX = 200
_ERROR = re.compile(r"[a-z_]{1,40}", re.ASCII)

Document = TypeVar("Document")


@dataclass(frozen=True, slots=True)
class Registration:
    """How we are known at an issuer. `name`: what people call it. `public_url`: where their browsers find us."""

    issuer: str
    client_id: str
    client_secret: str = field(repr=False)
    public_url: str
    name: str

    @property
    def redirect_uri(self) -> str:
        """Where the issuer sends a browser back to; it is registered there, and never another."""
        return self.public_url + BACK


class Discovery(msgspec.Struct, frozen=True):
    """What an issuer says of itself (OpenID Connect Discovery 1.0, section 3), as far as it is needed."""

    issuer: str
    authorization_endpoint: str
    token_endpoint: str
    jwks_uri: str
    token_endpoint_auth_methods_supported: tuple[str, ...] = ("client_secret_basic",)
    # RFC 9207: it names itself when it sends a browser back, so that no other one passes for it.
    authorization_response_iss_parameter_supported: bool = False


class _Tokens(msgspec.Struct):
    id_token: str


class _Error(msgspec.Struct):
    error: str


class Issuer:
    """One issuer. Whatever is wrong with its answers is an IssuerUnavailableError with words that hold no secret."""

    def __init__(
        self, client: httpx2.AsyncClient, clock: Clock, registration: Registration, *, deadline_s: float = DEADLINE_S
    ) -> None:
        self.registration = registration
        self._client = client
        self._clock = clock
        self._deadline_s = deadline_s
        self._is_here = is_loopback(urlsplit(registration.issuer).hostname or "")
        self._discovered: tuple[Discovery, float] | None = None
        self._keys: tuple[KeySet, float] | None = None

    async def address(self, *, state: str, nonce: str, challenge: str) -> str:
        """Where a browser goes to log in. Raises IssuerUnavailableError."""
        place = (await self.discovery()).authorization_endpoint
        asked = {
            "response_type": "code",
            "client_id": self.registration.client_id,
            "redirect_uri": self.registration.redirect_uri,
            "scope": SCOPES,
            "state": state,
            "nonce": nonce,
            "code_challenge": challenge,
            "code_challenge_method": "S256",
        }
        return f"{place}{'&' if urlsplit(place).query else '?'}{urlencode(asked)}"

    async def account(self, code: str, *, verifier: str, nonce: str, named: str | None) -> Account:
        """Who came back with this code, which is good once. `named`: the issuer that the browser says it comes from.

        Raises IdentityRefusedError, IssuerUnavailableError.
        """
        discovery = await self.discovery()
        is_named = named is not None or discovery.authorization_response_iss_parameter_supported
        if is_named and named != self.registration.issuer:
            raise IdentityRefusedError("the browser does not come from this issuer")
        token = await self._exchanged(discovery, code, verifier)
        keys = await self.keys()
        try:
            claims = id_token.claims_of(token, keys)
        except id_token.UnknownKeyError:
            claims = id_token.claims_of(token, await self.keys(anew=True))
        return id_token.account_from(
            claims,
            issuer=self.registration.issuer,
            client_id=self.registration.client_id,
            nonce=nonce,
            now=self._clock.now(),
        )

    async def discovery(self) -> Discovery:
        """What the issuer says of itself. Raises IssuerUnavailableError."""
        if self._discovered is not None and self._discovered[1] > self._clock.monotonic():
            return self._discovered[0]
        issuer, what = self.registration.issuer, "the issuer's configuration"
        found = _read(await self._got(issuer.rstrip("/") + WELL_KNOWN, what=what), Discovery, what=what)
        if found.issuer != issuer:
            told = printable(found.issuer, length_max=NAME_SHOWN_MAX)
            raise IssuerUnavailableError(
                f"{issuer} calls itself {told!r}; if that is right, set ONESHELF_OIDC_ISSUER to it, to the letter"
            )
        for place in (found.authorization_endpoint, found.token_endpoint, found.jwks_uri):
            if not may_download(place, is_on_this_machine=self._is_here):
                raise IssuerUnavailableError(f"{what} names an address that is not https")
        self._discovered = (found, self._clock.monotonic() + BELIEVED_S)
        return found

    async def keys(self, *, anew: bool = False) -> KeySet:
        """The keys by which it signs; `anew`: whatever was read before. Raises IssuerUnavailableError."""
        if self._keys is not None and self._keys[1] > self._clock.monotonic() and not anew:
            return self._keys[0]
        body = await self._got((await self.discovery()).jwks_uri, what="the issuer's keys")
        try:
            found = id_token.keys_from(body)
        except MalformedError as problem:
            raise IssuerUnavailableError(f"the issuer's keys: {problem}") from None
        self._keys = (found, self._clock.monotonic() + BELIEVED_S)
        return found

    async def _exchanged(self, discovery: Discovery, code: str, verifier: str) -> str:
        """The token that the code is good for."""
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": self.registration.redirect_uri,
            "code_verifier": verifier,
        }
        headers = {"content-type": "application/x-www-form-urlencoded"}
        if "client_secret_basic" in discovery.token_endpoint_auth_methods_supported:
            headers["authorization"] = self._credentials()
        else:
            form |= {"client_id": self.registration.client_id, "client_secret": self.registration.client_secret}
        status, body = await self._asked(
            "POST", discovery.token_endpoint, what="the issuer's tokens", headers=headers, form=form
        )
        if status == 200:
            return _read(body, _Tokens, what="the issuer's token").id_token
        error = _error_in(body)
        if error == "invalid_grant":
            raise IdentityRefusedError("the issuer does not take the code (any more)")
        if 400 <= status < 500 and status != 429:
            raise IssuerUnavailableError(
                f"the issuer refuses this engine ({status} {error or 'without a reason'}); compare "
                "ONESHELF_OIDC_CLIENT_ID, ONESHELF_OIDC_CLIENT_SECRET and ONESHELF_PUBLIC_URL with what it has of them"
            )
        raise IssuerUnavailableError(f"the issuer's tokens: it answered {status}")

    def _credentials(self) -> str:
        # RFC 6749, section 2.3.1: each is form-encoded before.
        pair = f"{quote_plus(self.registration.client_id)}:{quote_plus(self.registration.client_secret)}"
        return f"Basic {b64encode(pair.encode()).decode()}"

    async def _got(self, url: str, *, what: str) -> bytes:
        status, body = await self._asked("GET", url, what=what)
        if status != 200:
            raise IssuerUnavailableError(f"{what}: it answered {status}")
        return body

    async def _asked(
        self,
        method: str,
        url: str,
        *,
        what: str,
        headers: dict[str, str] | None = None,
        form: dict[str, str] | None = None,
    ) -> tuple[int, bytes]:
        """One call with a deadline from the first byte to the last: the status, and the body as far as it may be."""
        invariant(not is_inside_transaction(), "an issuer would be asked inside a transaction")
        try:
            async with asyncio.timeout(self._deadline_s):
                request = self._client.build_request(
                    method,
                    url,
                    content=urlencode(form).encode() if form is not None else None,
                    headers={"accept": "application/json", "accept-encoding": "identity", **(headers or {})},
                    timeout=httpx2.Timeout(self._deadline_s),
                )
                response = await self._client.send(request, stream=True, follow_redirects=False)
                try:
                    return response.status_code, await _capped(response, what=what)
                finally:
                    await response.aclose()
        except (TimeoutError, httpx2.TimeoutException):
            raise IssuerUnavailableError(f"{what}: no answer within {self._deadline_s:g} s") from None
        except (httpx2.RequestError, httpx2.InvalidURL, OSError, UnicodeError) as failure:
            # Not chained: its text may have what was sent.
            raise IssuerUnavailableError(
                f"{what}: not reached, or no whole answer ({type(failure).__name__})"
            ) from None


async def _capped(response: httpx2.Response, *, what: str) -> bytes:
    read = bytearray()
    async for piece in response.aiter_raw():
        read += piece
        if len(read) > READ_BYTES_MAX:
            raise IssuerUnavailableError(f"{what}: more than {READ_BYTES_MAX} bytes")
    return bytes(read)


def _read(body: bytes, kind: type[Document], *, what: str) -> Document:
    try:
        return document_from(body, kind, what=what)
    except MalformedError as problem:
        raise IssuerUnavailableError(str(problem)) from None


def _error_in(body: bytes) -> str:
    """The word of RFC 6749, section 5.2; "" for whatever else."""
    try:
        told = document_from(body, _Error, what="the refusal").error
    except MalformedError:
        return ""
    return told if _ERROR.fullmatch(told) else ""
