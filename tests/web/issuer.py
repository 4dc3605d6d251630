"""An issuer of OpenID Connect over real HTTP, which signs by another library than ours checks with.

It checks what a careful issuer checks (who asks, where the browser goes back to, PKCE, each code once), and may be told
to answer damaged.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
import secrets
import socket
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any, NamedTuple
from urllib.parse import unquote_plus, urlencode

import httpx2
import jwt
import uvicorn
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from jwt.algorithms import ECAlgorithm, RSAAlgorithm
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route

from oneshelf.web.issuer import Issuer, Registration
from web.access import HOST, House, open_house

CLIENT_ID, CLIENT_SECRET = "the shelf", "hush: +ä secret of the shelf"
RETURN = f"{HOST}/login/oidc/return"
ANNA: dict[str, Any] = {"sub": "8f2a-anna", "email": "Anna@shop.example", "email_verified": True}
DISCOVERY, KEYS, TOKEN = "/.well-known/openid-configuration", "/keys", "/token"

Claims = dict[str, Any]
Key = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey


@cache
def rsa_key(name: str, bits: int = 2048) -> rsa.RSAPrivateKey:
    """One key for each name: making one takes long."""
    del name
    return rsa.generate_private_key(public_exponent=65537, key_size=bits)


@cache
def ec_key(name: str) -> ec.EllipticCurvePrivateKey:
    del name
    return ec.generate_private_key(ec.SECP256R1())


class Signing(NamedTuple):
    """A key and the name under which it is published."""

    kid: str | None
    key: Key
    alg: str = "RS256"

    def public(self) -> dict[str, Any]:
        public = self.key.public_key()
        made = (
            RSAAlgorithm.to_jwk(public, as_dict=True)
            if isinstance(public, rsa.RSAPublicKey)
            else ECAlgorithm.to_jwk(public, as_dict=True)
        )
        named = {} if self.kid is None else {"kid": self.kid}
        return {**made, **named, "use": "sig", "alg": self.alg}

    def sign(self, claims: Claims, **header: Any) -> str:
        named = {} if self.kid is None else {"kid": self.kid}
        return jwt.encode(claims, self.key, algorithm=self.alg, headers={**named, **header})


def by_hand(header: dict[str, Any], claims: Claims, sign: Callable[[bytes], bytes] = lambda _: b"") -> str:
    """A token that no library would make."""
    parts = [json.dumps(part).encode() for part in (header, claims)]
    text = b".".join(base64.urlsafe_b64encode(part).rstrip(b"=") for part in parts)
    return (text + b"." + base64.urlsafe_b64encode(sign(text)).rstrip(b"=")).decode()


def by_secret(key: bytes, kid: str) -> Callable[[Claims], str]:
    """A token signed by a secret that is none, such as a public key."""
    return lambda claims: by_hand({"alg": "HS256", "kid": kid}, claims, lambda text: hmac.digest(key, text, "sha256"))


def pem(key: Key) -> bytes:
    return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


class Asked(NamedTuple):
    """What a code is good for."""

    nonce: str
    challenge: str
    redirect_uri: str
    claims: Claims


@dataclass
class Vouching:
    """The issuer. `person`: who logs in there next. `change` and `sign` make what is signed, and the token of it.

    `answers`: what is answered at a path instead. `silent`: paths at which nobody is answered. `configured`: what it
    says of itself beside the usual.
    """

    address: str = ""
    person: Claims = field(default_factory=lambda: dict(ANNA))
    signing: list[Signing] = field(default_factory=lambda: [Signing("first", rsa_key("first"))])
    published: list[dict[str, Any]] | None = None
    change: Callable[[Claims], Claims] = dict
    sign: Callable[[Claims], str] | None = None
    answers: dict[str, Response] = field(default_factory=dict)
    silent: set[str] = field(default_factory=set)
    configured: dict[str, Any] = field(default_factory=dict)
    names_itself: str | None = None
    asked: Counter[str] = field(default_factory=Counter)
    codes: dict[str, Asked] = field(default_factory=dict)
    shown: list[str] = field(default_factory=list)

    @property
    def app(self) -> Starlette:
        return Starlette(
            routes=[
                Route(DISCOVERY, self._told(self._discovery)),
                Route("/authorize", self._told(self._authorize)),
                Route(TOKEN, self._told(self._token), methods=["POST"]),
                Route(KEYS, self._told(self._published)),
            ]
        )

    def _told(self, answer: Callable[[Request], Any]) -> Callable[[Request], Any]:
        async def told(request: Request) -> Response:
            path = request.url.path
            self.asked[path] += 1
            while path in self.silent:
                if (await request.receive())["type"] == "http.disconnect":
                    return Response()
            found: Response = self.answers[path] if path in self.answers else await answer(request)
            return found

        return told

    async def _discovery(self, _request: Request) -> Response:
        return JSONResponse(
            {
                "issuer": self.address,
                "authorization_endpoint": f"{self.address}/authorize",
                "token_endpoint": self.address + TOKEN,
                "jwks_uri": self.address + KEYS,
                "response_types_supported": ["code"],
                "id_token_signing_alg_values_supported": ["RS256", "ES256"],
                **self.configured,
            }
        )

    async def _authorize(self, request: Request) -> Response:
        asked = request.query_params
        is_right = (
            asked["response_type"] == "code"
            and asked["client_id"] == CLIENT_ID
            and asked["redirect_uri"] == RETURN
            and "openid" in asked["scope"].split()
            and asked["code_challenge_method"] == "S256"
        )
        if not is_right:
            return PlainTextResponse("this application is not registered so", 400)
        code = secrets.token_urlsafe(16)
        self.codes[code] = Asked(asked["nonce"], asked["code_challenge"], asked["redirect_uri"], dict(self.person))
        named = {} if self.names_itself is None else {"iss": self.names_itself}
        return RedirectResponse(f"{RETURN}?{urlencode({'code': code, 'state': asked['state'], **named})}", 302)

    async def _token(self, request: Request) -> Response:
        form = {name: str(value) for name, value in (await request.form()).items()}
        if not self._is_client(request, form):
            return JSONResponse({"error": "invalid_client"}, 401)
        asked = self.codes.pop(form.get("code", ""), None)
        challenge = hashlib.sha256(form.get("code_verifier", "").encode()).digest()
        if (
            asked is None
            or form.get("redirect_uri") != asked.redirect_uri
            or form.get("grant_type") != "authorization_code"
            or base64.urlsafe_b64encode(challenge).rstrip(b"=").decode() != asked.challenge
        ):
            return JSONResponse({"error": "invalid_grant"}, 400)
        now = int(time.time())  # noqa: TID251  # the issuer's own clock
        whole = {
            "iss": self.address, "aud": CLIENT_ID, "iat": now, "exp": now + 300, "nonce": asked.nonce, **asked.claims
        }  # fmt: skip
        claims = self.change(whole)
        token = self.sign(claims) if self.sign is not None else self.signing[-1].sign(claims)
        self.shown += [form["code"], form["code_verifier"], token, asked.nonce]
        return JSONResponse({"access_token": "a", "token_type": "Bearer", "expires_in": 300, "id_token": token})

    def _is_client(self, request: Request, form: dict[str, str]) -> bool:
        methods = self.configured.get("token_endpoint_auth_methods_supported", ["client_secret_basic"])
        if "client_secret_basic" in methods:
            scheme, _, pair = request.headers.get("authorization", "").partition(" ")
            name, _, secret = base64.b64decode(pair).decode().partition(":")
            return (scheme, unquote_plus(name), unquote_plus(secret)) == ("Basic", CLIENT_ID, CLIENT_SECRET)
        return (form.get("client_id"), form.get("client_secret")) == (CLIENT_ID, CLIENT_SECRET)

    async def _published(self, _request: Request) -> Response:
        keys = [one.public() for one in self.signing] if self.published is None else self.published
        return JSONResponse({"keys": keys})


@asynccontextmanager
async def vouching() -> AsyncIterator[Vouching]:
    """An issuer on a port of this machine."""
    issuer = Vouching()
    listener = socket.create_server(("127.0.0.1", 0))
    issuer.address = f"http://127.0.0.1:{listener.getsockname()[1]}"
    server = uvicorn.Server(
        uvicorn.Config(issuer.app, lifespan="off", ws="none", log_config=None, timeout_graceful_shutdown=0)
    )
    async with asyncio.TaskGroup() as group:
        group.create_task(server.serve(sockets=[listener]))
        try:
            yield issuer
        finally:
            server.should_exit = True


@dataclass
class Desk:
    """A shop whose people log in at an issuer, and the browser of one of them."""

    house: House
    issuer: Vouching
    browser: httpx2.AsyncClient

    def known(self, **changed: Any) -> Registration:
        usual = Registration(self.issuer.address, CLIENT_ID, CLIENT_SECRET, public_url=HOST, name="Shop & Co")
        return replace(usual, **changed)

    def set_up(self, registration: Registration | None = None, *, deadline_s: float = 10.0) -> None:
        """As the engine does at its start."""
        state = self.house.app.state
        ours = Issuer(self.browser, self.house.clock, registration or self.known(), deadline_s=deadline_s)
        state.engine = replace(state.engine, issuer=ours)

    async def leave(self, following: str = "/", **headers: str) -> httpx2.Response:
        return await self.house.client.get("/login/oidc", params={"next": following}, headers=headers)

    async def there(self, left: httpx2.Response) -> str:
        """Somebody logs in at the issuer: where the browser is sent back to."""
        assert left.status_code == 303, left.text
        answer = await self.browser.get(left.headers["location"])
        assert answer.status_code == 302, answer.text
        return str(answer.headers["location"])

    async def log_in(self, following: str = "/") -> httpx2.Response:
        return await self.house.client.get(await self.there(await self.leave(following)))

    async def acts(self) -> list[tuple[str, str, str]]:
        """What is written down of logging in: who, what, and what came of it."""
        async with self.house.database.transaction() as tx:
            found = await tx.execute("select who, act, result from audit_log where via = 'issuer' order by entry_id")
            return [(row[0], row[1], row[2]) for row in await found.fetchall()]

    async def count(self, table: str) -> int:
        counted = {"sessions": b"select count(*) from sessions", "identities": b"select count(*) from identities"}
        async with self.house.database.transaction() as tx:
            [row] = await (await tx.execute(counted[table])).fetchall()
        return int(row[0])


@asynccontextmanager
async def open_desk(dsn: str) -> AsyncIterator[Desk]:
    async with open_house(dsn) as house, vouching() as issuer, httpx2.AsyncClient(trust_env=False) as browser:
        desk = Desk(house, issuer, browser)
        desk.set_up()
        yield desk
        # Before the server stops: it waits for open connections.
        await browser.aclose()
