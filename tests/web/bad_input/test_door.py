"""Who may not ask is told nothing, whichever route: without the token, from another site, by the wrong method."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import httpx2
import pytest
import pytest_asyncio

from web.bad_input.examples import EXAMPLES
from web.bad_input.routes import WRITING, Operation, operations
from web.bad_input.rows import of_rows
from web.bad_input.shelf import Shelf, complaints, open_shelf

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.long(but_one_in=5)]

TOKEN = "a long random text"
# The only routes that ask for no token: two that tell nothing, one that answers a challenge, those that ask for a
# signature or a password of the channel's instead, and those with which a person comes in: by a password, a link that
# is good once, or an issuer.
OPEN = {("GET", "/healthz"), ("GET", "/readyz"), ("GET", "/webhooks/{channel}"), ("POST", "/webhooks/{channel}")}
OPEN |= {("POST", "/checkout/{channel}")}
OPEN |= {("GET", "/login"), ("POST", "/login"), ("GET", "/login/style.css"), ("GET", "/set-up"), ("POST", "/set-up")}
OPEN |= {("GET", "/login/second"), ("POST", "/login/second"), ("GET", "/login/oidc"), ("GET", "/login/oidc/return")}
OPERATIONS = operations()
CLOSED = [one for one in OPERATIONS if (one.method, one.path) not in OPEN]
COMMANDS = [one for one in CLOSED if one.method in WRITING]
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT", "PROPFIND", "X" * 300)
_BODIES = {one.route: one.body for one in EXAMPLES}

# Whoever is refused is written down all the same.
NOTED = ("audit_log",)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def guarded(module_dsn: str) -> AsyncIterator[Shelf]:
    async with open_shelf(module_dsn, api_token=TOKEN) as shelf:
        yield shelf


def address(one: Operation) -> str:
    """A real address of a route."""
    names = {
        "sku": "PLATE",
        "channel": "paper",
        "channel_sku": "plate",
        "reservation_id": "0199c000-0000-7000-8000-000000000000",
        "import_id": "0" * 32,
        "kind": "counts",
        "name": "nobody",
        "drift_id": "0199d000-0000-7000-8000-000000000000",
        "endpoint": "erp",
        "customer": "acme",
        "po_number": "PO-1",
        "task": "C-1",
        "conflict_id": "0199aaaa-0000-7000-8000-000000000001",
    }
    path = one.path
    for name, value in names.items():
        path = path.replace(f"{{{name}}}", value)
    assert "{" not in path, f"{one}: say here what stands for the names in its address"
    return path


async def ask(shelf: Shelf, one: Operation, **headers: Any) -> httpx2.Response:
    body = _BODIES.get((one.method, one.path))
    content = None if body is None else json.dumps(body).encode()
    given = {"authorization": f"Bearer {TOKEN}", "content-type": "application/json", **headers}
    request = httpx2.Request(
        one.method,
        f"http://shelf.localhost{address(one)}",
        content=content,
        headers=[
            (name.replace("_", "-").encode(), _bytes(value)) for name, value in given.items() if value is not None
        ],
    )
    return await shelf.client.send(request)


def _bytes(value: str | bytes) -> bytes:
    return value if isinstance(value, bytes) else value.encode()


async def test_the_open_routes_are_routes() -> None:
    assert {(one.method, one.path) for one in OPERATIONS} >= OPEN


@of_rows(57)
@pytest.mark.parametrize("one", CLOSED, ids=str)
async def test_without_the_right_token_nothing_is_answered(guarded: Shelf, one: Operation, row: str) -> None:
    before = guarded.fingerprint(without=NOTED)
    wrong: dict[str, str | bytes | None] = {
        "none": None,
        "no scheme": TOKEN,
        "another scheme": f"Basic {TOKEN}",
        "half of it": f"Bearer {TOKEN[:-1]}",
        "more of it": f"Bearer {TOKEN}x",
        "another case": f"Bearer {TOKEN.upper()}",
        "two": f"Bearer {TOKEN}, Bearer {TOKEN}",
        "beyond ASCII": b"Bearer \xe4\xff",
        "NUL": b"Bearer \x00",
        "long": "Bearer " + "x" * 20_000,
    }
    failed = []
    for name, presented in wrong.items():
        answer = await ask(guarded, one, authorization=presented)
        failed += [f"{name}: {words}" for words in complaints(answer, 401)]
        assert answer.headers.get("www-authenticate") == "Bearer"
    assert failed == []
    assert guarded.fingerprint(without=NOTED) == before


@of_rows(57)
@pytest.mark.parametrize("one", COMMANDS, ids=str)
async def test_the_cookie_of_a_page_sends_no_command(guarded: Shelf, one: Operation, row: str) -> None:
    welcome = await guarded.client.get("/", params={"token": TOKEN}, headers={"authorization": ""})
    cookie = welcome.headers["set-cookie"].split(";")[0]
    guarded.client.cookies.clear()
    assert complaints(await ask(guarded, one, authorization=None, cookie=cookie), 401) == []


@of_rows(59)
@pytest.mark.parametrize("one", COMMANDS, ids=str)
async def test_another_site_sends_no_command(guarded: Shelf, one: Operation, row: str) -> None:
    before = guarded.fingerprint(without=NOTED)
    foreign: list[dict[str, Any]] = [
        {"sec_fetch_site": "cross-site"},
        {"sec_fetch_site": "same-site"},
        {"sec_fetch_site": "same-site", "origin": "http://shelf.localhost"},
        {"sec_fetch_site": "none of these"},
        {"origin": "https://evil.test"},
        {"origin": "null"},
        {"origin": "http://shelf.localhost.evil.test"},
        {"origin": "http://shelf.localhost:8080"},
        {"origin": "shelf.localhost"},
        {"origin": ""},
        {"origin": b"http://\xff"},
        {"origin": "http://[::1"},
    ]
    for headers in foreign:
        answer = await ask(guarded, one, **headers)
        assert complaints(answer, 403) == [], headers
    assert guarded.fingerprint(without=NOTED) == before


@of_rows(59)
async def test_a_page_of_our_own_is_not_another_site(guarded: Shelf, row: str) -> None:
    [one] = [one for one in COMMANDS if one.path == "/v1/skus"]
    for headers in (
        {"origin": "http://shelf.localhost"},
        {"sec_fetch_site": "same-origin"},
        {"sec_fetch_site": "none"},
    ):
        assert (await ask(guarded, one, **headers)).status_code == 200


@of_rows(59)
@pytest.mark.parametrize("path", sorted({one.path for one in OPERATIONS}))
async def test_only_the_methods_of_an_address_do_anything(guarded: Shelf, path: str, row: str) -> None:
    allowed = {one.method for one in OPERATIONS if one.path == path}
    [some, *_] = [one for one in OPERATIONS if one.path == path]
    before = guarded.fingerprint(without=NOTED)
    for method in METHODS:
        if method in allowed or (method == "HEAD" and "GET" in allowed):
            continue
        answer = await ask(guarded, some._replace(method=method))
        assert answer.status_code == 405, method
        assert method == "HEAD" or complaints(answer, 405) == [], method
        assert set(answer.headers["allow"].split(", ")) - {"HEAD"} <= allowed, method
    assert guarded.fingerprint(without=NOTED) == before


@of_rows(57)
async def test_no_spelling_of_an_address_opens_a_closed_one(guarded: Shelf, row: str) -> None:
    for path in (
        "//v1/skus", "/healthz/../v1/skus", "/healthz/", "/Healthz", "/healthz%2f..%2fv1%2fskus", "/healthz;x",
        "/healthz%00", "/webhooks", "/v1/skus/../../healthz/x",
    ):  # fmt: skip
        request = httpx2.Request("GET", f"http://shelf.localhost{path}")
        assert (await guarded.client.send(request)).status_code in {401, 404}, path
    for path in ("/webhooks/../v1/skus", "/webhooks/%2e%2e/v1/skus", "/webhooks//v1/skus", "/webhooks/"):
        request = httpx2.Request("POST", f"http://shelf.localhost{path}", content=b"{}")
        assert (await guarded.client.send(request)).status_code in {401, 404}, path
