"""What an issuer says is taken only where it holds, and an issuer that says nothing of use is told with the way out."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

import httpx2
import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from starlette.applications import Starlette
from starlette.responses import JSONResponse, PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route

from oneshelf.app import open_issuer
from oneshelf.cli.doctor import examine
from oneshelf.clock import SystemClock
from oneshelf.config import Settings, load_settings
from oneshelf.domain.access import Role
from oneshelf.errors import ConfigurationError
from web.issuer import (
    CLIENT_ID,
    CLIENT_SECRET,
    DISCOVERY,
    KEYS,
    TOKEN,
    Claims,
    Desk,
    Signing,
    by_hand,
    by_secret,
    ec_key,
    open_desk,
    pem,
    rsa_key,
)
from web.test_login import a_person, add, log_in

pytestmark = pytest.mark.pg

FIRST = rsa_key("first")
WAY_OUT = 'href="/login"'


@pytest.fixture
async def desk(dsn: str) -> AsyncIterator[Desk]:
    async with open_desk(dsn) as desk:
        await add(desk.house, "anna@shop.example", Role.OPERATOR)
        yield desk


def now() -> int:
    return int(time.time())  # noqa: TID251  # the issuer's own clock


async def refused(desk: Desk, words: str) -> None:
    """Nobody is let in, that is written down, and the page says why and where to go on."""
    answer = await desk.log_in()
    assert (answer.status_code, words in answer.text, WAY_OUT in answer.text) == (401, True, True), answer.text
    assert "oneshelf_session" not in desk.house.client.cookies
    assert (await desk.count("sessions"), await desk.count("identities")) == (0, 0)
    assert await desk.acts() == [("", "GET /login/oidc/return", "401")]


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"nonce": "another"}, "another log-in"),
        ({"nonce": None}, "another log-in"),
        ({"nonce": ""}, "another log-in"),
        ({"iss": "https://evil.test"}, "another issuer"),
        ({"iss": None}, "another issuer"),
        ({"aud": "another"}, "another application"),
        ({"aud": ["another"]}, "another application"),
        ({"aud": [CLIENT_ID, "another"]}, "another application"),
        ({"aud": [CLIENT_ID, "another"], "azp": "another"}, "another application"),
        ({"aud": CLIENT_ID, "azp": "another"}, "another application"),
        ({"aud": {CLIENT_ID: 1}}, "another application"),
        ({"aud": None}, "another application"),
        ({"exp": -120}, "time is over"),
        ({"exp": None}, "time is over"),
        ({"exp": True}, "time is over"),
        ({"exp": float("nan")}, "time is over"),
        ({"exp": "9999999999"}, "time is over"),
        ({"iat": 120}, "time has not come"),
        ({"iat": None}, "time has not come"),
        ({"nbf": 300}, "time has not come"),
        ({"sub": None}, "of whom"),
        ({"sub": ""}, "of whom"),
        ({"sub": 17}, "of whom"),
        ({"sub": "x" * 256}, "of whom"),
        ({"sub": "b\u00e4r"}, "of whom"),
        ({"sub": "a\u0000b"}, "of whom"),
    ],
)
async def test_a_claim_that_does_not_hold_is_refused(desk: Desk, changed: Claims, words: str) -> None:
    def change(claims: Claims) -> Claims:
        timed = {
            name: value + now() if name in {"exp", "iat", "nbf"} and type(value) is int else value
            for name, value in changed.items()
        }
        return {name: value for name, value in {**claims, **timed}.items() if value is not None}

    desk.issuer.change = change
    desk.issuer.sign = _signed
    await refused(desk, words)


def _signed(claims: Claims, *, key: RSAPrivateKey = FIRST) -> str:
    """By hand: the library that signs refuses some claims, and keys that are weak."""
    return by_hand(
        {"alg": "RS256", "kid": "first"}, claims, lambda text: key.sign(text, padding.PKCS1v15(), hashes.SHA256())
    )


@pytest.mark.parametrize(
    "changed", [{"aud": [CLIENT_ID]}, {"azp": CLIENT_ID}, {"aud": [CLIENT_ID, "other"], "azp": CLIENT_ID}]
)
async def test_what_is_for_us_too_is_taken(desk: Desk, changed: Claims) -> None:
    desk.issuer.change = lambda claims: {**claims, **changed}
    desk.issuer.sign = _signed
    assert (await desk.log_in()).status_code == 303


@pytest.mark.parametrize(("changed", "status"), [({"exp": -30}, 303), ({"iat": 30}, 303), ({"exp": -90}, 401)])
async def test_two_clocks_may_differ_by_a_minute(desk: Desk, changed: dict[str, int], status: int) -> None:
    desk.issuer.change = lambda claims: {**claims, **{name: now() + by for name, by in changed.items()}}
    assert (await desk.log_in()).status_code == status


def _tampered(claims: Claims) -> str:
    head, _, signature = Signing("first", FIRST).sign(claims).split(".")
    body = by_hand({}, {**claims, "email": "root@shop.example"}).split(".")[1]
    return f"{head}.{body}.{signature}"


TOKENS: dict[str, Callable[[Claims], str]] = {
    "no algorithm": lambda claims: by_hand({"alg": "none", "kid": "first"}, claims),
    "NONE": lambda claims: by_hand({"alg": "NONE"}, claims),
    "no algorithm at all": lambda claims: by_hand({"kid": "first"}, claims),
    "an algorithm that is none": lambda claims: by_hand({"alg": ["RS256"], "kid": "first"}, claims),
    "the public key for a secret": by_secret(pem(FIRST), "first"),
    "our own secret": by_secret(CLIENT_SECRET.encode(), "first"),
    "an empty secret": by_secret(b"", "first"),
    "an algorithm that is not on the list": Signing("first", FIRST, "RS512").sign,
    "PSS": Signing("first", FIRST, "PS256").sign,
    "somebody else's key by that name": Signing("first", rsa_key("of somebody else")).sign,
    "other claims": _tampered,
    "no signature": lambda claims: Signing("first", FIRST).sign(claims).rpartition(".")[0] + ".",
    "half a signature": lambda claims: Signing("first", FIRST).sign(claims)[:-100],
    "a key of its own": lambda claims: Signing("first", rsa_key("of somebody else")).sign(
        claims, jwk=Signing(None, rsa_key("of somebody else")).public()
    ),
    "something critical that nobody knows": lambda claims: Signing("first", FIRST).sign(claims, crit=["exp2"], exp2=1),
    "crit that is none": lambda claims: by_hand({"alg": "RS256", "kid": "first", "crit": 5}, claims),
    "a name that is none": lambda claims: by_hand({"alg": "RS256", "kid": 17}, claims),
    "five parts": lambda _claims: "a.b.c.d.e",
    "no token": lambda _claims: "no token",
    "nothing": lambda _claims: "",
    "depth": lambda _claims: by_hand({"alg": "RS256"}, {}).replace(".", "." + "W1tb" * 20_000, 1),
    "beyond ASCII": lambda _claims: "\u00e4.\u00e4.\u00e4",
}


@pytest.mark.parametrize("name", TOKENS)
async def test_a_signature_that_does_not_hold_is_refused(desk: Desk, name: str) -> None:
    desk.issuer.sign = TOKENS[name]
    await refused(desk, "its signature does not hold")


@pytest.mark.parametrize(
    "sign",
    [Signing("hidden", rsa_key("of somebody else")).sign, Signing("first", ec_key("of somebody else"), "ES256").sign],
    ids=["by another name", "of another kind"],
)
async def test_a_key_that_is_not_published_is_looked_for_once_more_and_then_refused(
    desk: Desk, sign: Callable[[Claims], str]
) -> None:
    desk.issuer.sign = sign
    await refused(desk, "a key that the issuer does not publish")
    assert desk.issuer.asked[KEYS] == 2


async def test_of_several_keys_one_has_to_be_named(desk: Desk) -> None:
    desk.issuer.signing = [Signing("first", FIRST), Signing("second", rsa_key("second"))]
    desk.issuer.sign = Signing(None, rsa_key("second")).sign
    await refused(desk, "a key that the issuer does not publish")


async def test_a_weak_or_foreign_key_is_none(desk: Desk) -> None:
    weak, other = Signing("first", rsa_key("weak", 1024)), Signing("first", ec.generate_private_key(ec.SECP384R1()))
    public = Signing("first", FIRST).public()
    desk.issuer.published = [
        weak.public(),
        {**other.public(), "alg": "ES256"},
        {**public, "use": "enc"},
        {**public, "kty": "oct", "k": "c2VjcmV0"},
        {**public, "n": "!"},
        {**public, "e": "AA"},
        {**public, "kty": ["RSA"]},
        {"kty": "EC", "crv": "P-256", "x": "AA", "y": "AA", "kid": "first"},
        {},
        17,  # type: ignore[list-item]  # wrong on purpose
    ]
    desk.issuer.sign = lambda claims: _signed(claims, key=rsa_key("weak", 1024))
    await refused(desk, "a key that the issuer does not publish")


@pytest.mark.parametrize("query", ["error=access_denied", "", "code=", f"code={'x' * 5_000}", "error=%3Cscript%3E"])
async def test_who_comes_back_without_a_code_was_not_let_in_there(desk: Desk, query: str) -> None:
    back = await desk.there(await desk.leave())
    state = back.partition("state=")[2]
    answer = await desk.house.client.get(f"/login/oidc/return?{query}&state={state}")
    assert (answer.status_code, "nobody has logged in there" in answer.text) == (401, True)
    assert ("access_denied" in answer.text) is (query == "error=access_denied")
    assert "script" not in answer.text
    assert desk.issuer.asked[TOKEN] == 0


async def test_an_issuer_that_names_itself_has_to_be_the_one(desk: Desk) -> None:
    desk.issuer.names_itself = "https://evil.test"
    await refused(desk, "does not come from this issuer")
    assert desk.issuer.asked[TOKEN] == 0
    desk.issuer.names_itself = desk.issuer.address
    assert (await desk.log_in()).status_code == 303
    desk.set_up()
    desk.issuer.configured = {"authorization_response_iss_parameter_supported": True}
    assert (await desk.log_in()).status_code == 303
    desk.issuer.names_itself = None
    assert (await desk.log_in()).status_code == 401


ANSWERS: dict[str, Callable[[], Response]] = {
    "500": lambda: PlainTextResponse("no", 500),
    "503": lambda: PlainTextResponse("no", 503),
    "429": lambda: JSONResponse({}, 429),
    "404": lambda: PlainTextResponse("no", 404),
    "elsewhere": lambda: RedirectResponse("http://127.0.0.1:1/", 302),
    "a page": lambda: PlainTextResponse("<html>", 200),
    "nothing": lambda: Response(b""),
    "a list": lambda: JSONResponse([]),
    "other types": lambda: JSONResponse(
        {"issuer": 5, "authorization_endpoint": 5, "token_endpoint": 5, "jwks_uri": 5, "keys": 5, "id_token": 5}
    ),
    "no UTF-8": lambda: Response(b'{"issuer": "\xff"}'),
    "depth": lambda: Response(b"[" * 100_000),
    "too much": lambda: Response(b" " * 300_000),
    "a refusal that is none": lambda: JSONResponse({"error": ["<b>"]}, 400),
    "an engine that it does not know": lambda: JSONResponse({"error": "invalid_client"}, 401),
}


@pytest.mark.long
@pytest.mark.parametrize("path", [DISCOVERY, KEYS, TOKEN])
async def test_an_issuer_that_answers_nothing_of_use_is_told_with_the_way_out(desk: Desk, path: str) -> None:
    await a_person(desk.house)
    for name, made in ANSWERS.items():
        desk.set_up()
        desk.issuer.answers = {path: made()}
        answer = await desk.leave() if path == DISCOVERY else await desk.log_in()
        assert (answer.status_code, WAY_OUT in answer.text) == (503, True), name
        assert "oneshelf doctor" in answer.text
    assert await desk.count("sessions") == 0
    assert (await log_in(desk.house)).status_code == 303
    desk.issuer.answers = {}
    assert (await desk.log_in()).status_code == 303


@pytest.mark.parametrize("path", [DISCOVERY, KEYS, TOKEN])
async def test_an_issuer_that_does_not_answer_is_given_up(desk: Desk, path: str) -> None:
    if path != DISCOVERY:
        back = await desk.there(await desk.leave())
    desk.set_up(deadline_s=0.3)
    desk.issuer.silent = {path}
    answer = await desk.leave() if path == DISCOVERY else await desk.house.client.get(back)
    assert (answer.status_code, WAY_OUT in answer.text) == (503, True)


async def test_an_issuer_that_is_not_there_is_told(desk: Desk) -> None:
    desk.set_up(desk.known(issuer="http://127.0.0.1:1"))
    assert (await desk.leave()).status_code == 503


@pytest.mark.parametrize(
    "told",
    [
        {"issuer": "https://evil.test"},
        {"issuer": "{address}/"},
        {"token_endpoint": "http://10.0.0.1/token"},
        {"token_endpoint": "http://evil.test/token"},
        {"jwks_uri": "http://169.254.169.254/keys"},
        {"jwks_uri": "file:///etc/passwd"},
        {"authorization_endpoint": "javascript:alert(1)"},
        {"authorization_endpoint": "//evil.test"},
        {"token_endpoint": "http://[::1"},
    ],
)
async def test_an_issuer_that_calls_itself_otherwise_or_names_unsafe_addresses_is_not_used(
    desk: Desk, told: dict[str, str]
) -> None:
    desk.issuer.configured = {name: value.format(address=desk.issuer.address) for name, value in told.items()}
    assert (await desk.leave()).status_code == 503
    assert desk.issuer.asked == {DISCOVERY: 1}


async def test_an_issuer_elsewhere_names_nothing_on_this_machine(desk: Desk) -> None:
    """Its own address is safe by TLS; what is on this machine would be asked without."""
    found = {
        "issuer": "https://id.example",
        "authorization_endpoint": "https://id.example/a",
        "token_endpoint": f"{desk.issuer.address}/token",
        "jwks_uri": "https://id.example/k",
    }
    route = Route(DISCOVERY, lambda _request: JSONResponse(found))
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(Starlette(routes=[route]))) as client:
        desk.browser, real = client, desk.browser
        desk.set_up(desk.known(issuer="https://id.example"))
        assert (await desk.leave()).status_code == 503
        found |= {"token_endpoint": "https://id.example/t"}
        assert (await desk.leave()).status_code == 303
        desk.browser = real
    assert desk.issuer.asked.total() == 0


def settings(desk: Desk, **changed: Any) -> Settings:
    usual = {
        "oidc_issuer": desk.issuer.address, "oidc_client_id": CLIENT_ID, "oidc_client_secret": CLIENT_SECRET,
        "public_url": "https://shelf.example",
    }  # fmt: skip
    return Settings(**{**usual, **changed})


async def test_the_settings_open_it_and_what_is_missing_is_named(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    async with open_issuer(settings(desk), SystemClock()) as issuer:
        assert issuer is not None
        assert issuer.registration.redirect_uri == "https://shelf.example/login/oidc/return"
        assert (await issuer.discovery()).issuer == desk.issuer.address
    assert CLIENT_SECRET not in repr(settings(desk))
    async with open_issuer(Settings(), SystemClock()) as issuer:
        assert issuer is None
    for name in ("oidc_client_id", "oidc_client_secret", "public_url"):
        with pytest.raises(ConfigurationError, match=f"ONESHELF_{name.upper()}"):
            async with open_issuer(settings(desk, **{name: ""}), SystemClock()):
                pass
    monkeypatch.setitem(sys.modules, "oneshelf.web.issuer", None)
    with pytest.raises(ConfigurationError, match=r"oneshelf\[oidc\]"):
        async with open_issuer(settings(desk), SystemClock()):
            pass


@pytest.mark.parametrize("address", ["id.example", "http://id.example", "https://me:hush@id.example", "https://a?b=c"])
def test_an_issuer_that_is_none_is_refused_and_not_repeated(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ONESHELF_OIDC_ISSUER", address)
    with pytest.raises(ConfigurationError, match="ONESHELF_OIDC_ISSUER: must be the issuer") as caught:
        load_settings()
    assert "hush" not in str(caught.value)


async def test_the_doctor_says_whether_the_issuer_answers(desk: Desk, dsn: str) -> None:
    async def found(**changed: Any) -> tuple[bool, str] | None:
        findings = await asyncio.to_thread(examine, settings(desk, database_url=dsn, **changed))
        return next(((one.is_good, one.detail) for one in findings if one.what == "issuer of log-ins"), None)

    assert await found() == (True, f"{desk.issuer.address} answers, keys: 1")
    assert await found(oidc_issuer="") is None
    desk.issuer.published = []
    assert await found() == (False, "it has no key for RS256 or ES256; have it sign by one of these")
    desk.issuer.configured = {"issuer": f"{desk.issuer.address}/"}
    is_good, words = await found() or (True, "")
    assert (is_good, f"calls itself '{desk.issuer.address}/'" in words) == (False, True)
    assert await found(oidc_client_id="") == (
        False,
        "ONESHELF_OIDC_ISSUER needs ONESHELF_OIDC_CLIENT_ID as well, or is left out",
    )
