"""Who may do what over HTTP: every route by every scope, and tokens from their first request to their last."""

from __future__ import annotations

import asyncio
import math
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from itertools import pairwise
from typing import Any

import httpx2
import pytest

from oneshelf.domain.access import SCOPES_OF, Role, Scope, whole
from oneshelf.storage import sessions, users
from oneshelf.web.event_stream import STILL_LET_IN_S
from oneshelf.web.needs import NEEDS, OPEN, each_route
from web.access import House, open_house

pytestmark = pytest.mark.pg

PROBLEM = "application/problem+json"
SOME = {
    "sku": "PLATE",
    "channel": "paper",
    "channel_sku": "plate",
    "reservation_id": "0199c000-0000-7000-8000-000000000000",
    "endpoint": "erp",
    "customer": "acme",
    "po_number": "PO-1",
    "task": "C-1",
    "import_id": "0199f000-0000-7000-8000-000000000000",
    "kind": "skus",
    "name": "nobody",
    "conflict_id": "0199e000-0000-7000-8000-000000000000",
    "drift_id": "0199d000-0000-7000-8000-000000000000",
}


@pytest.fixture
async def house(dsn: str) -> AsyncIterator[House]:
    async with open_house(dsn) as house:
        yield house


def declared() -> list[tuple[str, str, Scope | None]]:
    return [(method, path, need) for path, needs in NEEDS.items() for method, need in needs.items()]


def address(path: str) -> str:
    """One that is answered: events have no end, unless they are asked for wrongly."""
    if path == "/v1/events":
        return f"{path}?after=nothing"
    return re.sub(r"\{(\w+)\}", lambda name: SOME[name[1]], path)


async def test_every_route_says_what_it_needs_and_nothing_else_does(house: House) -> None:
    routes = {(method, path) for route, path in each_route(house.app.routes) for method in route.methods - {"HEAD"}}
    assert {(method, path) for method, path, _ in declared()} == routes
    document = (await house.client.get("/openapi.json")).json()
    described = {(method.upper(), path) for path, methods in document["paths"].items() for method in methods}
    assert described <= routes


async def judge(house: House, has: frozenset[Scope], ask: Callable[[str, str], Awaitable[httpx2.Response]]) -> int:
    """Ask every route, and compare with what it says it needs. How many refused."""
    refused = 0
    for method, path, need in declared():
        answer = await ask(method, address(path))
        what = f"{method} {path} with {sorted(has)}: {answer.status_code} {answer.text[:200]}"
        assert answer.status_code < 500 or path == "/readyz", what
        if need is OPEN:
            assert answer.status_code != 403, what
        elif need in has:
            assert answer.status_code not in {401, 403}, what
        else:
            refused += 1
            assert (answer.status_code, answer.headers["content-type"]) == (403, PROBLEM), what
            told = answer.json()
            assert (told["type"], told["needs"]) == ("urn:oneshelf:problem:not-allowed", need.value)
            assert set(told["has"]) == {one.value for one in has}
    return refused


@pytest.mark.long
@pytest.mark.parametrize("scope", Scope)
async def test_every_route_is_refused_to_a_token_that_has_too_little_and_to_no_other(
    house: House, scope: Scope
) -> None:
    token = await house.token("a program", scope)
    refused = await judge(house, whole({scope}), lambda method, path: house.ask(method, path, token=token))
    assert (refused > 0) is (scope is not Scope.ADMIN)


@pytest.mark.long
@pytest.mark.parametrize("role", Role)
async def test_every_route_is_refused_to_a_role_that_has_too_little_and_to_no_other(house: House, role: Role) -> None:
    user_id = house.clock.new_id()
    async with house.database.transaction() as tx:
        await users.add(tx, user_id, name="anna", role=role, created_by="a test")

    async def ask(method: str, path: str) -> httpx2.Response:
        # Each time anew: one of the routes ends it.
        async with house.database.transaction() as tx:
            session = await sessions.begin(tx, user_id, instead_of="")
        headers = {"cookie": f"oneshelf_session={session}", "origin": "http://shelf.localhost"}
        return await house.ask(method, path, headers=headers)

    refused = await judge(house, SCOPES_OF[role], ask)
    assert (refused > 0) is (role is not Role.ADMIN)


async def test_without_a_token_every_route_that_is_not_open_is_closed(house: House) -> None:
    await house.token("any", Scope.READ)
    for method, path, need in declared():
        answer = await house.ask(method, address(path))
        if need is OPEN:
            assert answer.status_code != 403, path
            assert "www-authenticate" not in answer.headers, path
        else:
            assert (answer.status_code, answer.headers["content-type"]) == (401, PROBLEM), path
            assert answer.headers["www-authenticate"] == "Bearer"


def test_each_role_may_do_all_that_the_one_before_may() -> None:
    roles = [SCOPES_OF[role] for role in Role]
    assert all(less < more for less, more in pairwise(roles))
    assert SCOPES_OF[Role.VIEWER] == {Scope.READ}
    assert SCOPES_OF[Role.ADMIN] == set(Scope)


async def test_while_nobody_is_known_everybody_on_this_machine_may_ask_and_then_nobody_else(house: House) -> None:
    named: dict[str, Any] = {"json": {"skus": [{"sku": "MUG"}]}}
    assert (await house.ask("POST", "/v1/skus", **named)).status_code == 200
    token = await house.token("till", Scope.STOCK_WRITE)
    assert (await house.ask("POST", "/v1/skus", **named)).status_code == 401
    assert (await house.ask("POST", "/v1/skus", token=token, **named)).status_code == 200
    assert await house.revoke("till")
    house.later()
    # The last one being revoked does not open the door again.
    for shown in ("", token):
        assert (await house.ask("POST", "/v1/skus", token=shown, **named)).status_code == 401


async def test_a_token_ends_when_it_is_revoked_and_when_its_time_is_over(house: House) -> None:
    await house.token("other", Scope.READ)
    short = await house.token("short", Scope.READ, lives_s=3600)
    assert (await house.ask("GET", "/v1/skus", token=short)).status_code == 200
    await house.run(b"update api_tokens set expires_at = db_now() where name = 'short'")
    house.later()
    assert (await house.ask("GET", "/v1/skus", token=short)).status_code == 401


async def test_only_the_whole_token_is_the_token(house: House) -> None:
    token = await house.token("till", Scope.READ)
    prefix, token_id, secret = token.split("_", 2)
    for wrong in (
        *(secret, token[:-1], f"{token}x", f"{prefix}_{token_id}_", f"{prefix}_{token_id}", f"{prefix}__{secret}"),
        *(
            f"{prefix}_{'0' * 12}_{secret}",
            token.upper(),
            f"os_{token_id}_{secret}",
            f"{token}\u00e4",
            "_",
            "oneshelf_",
        ),
    ):
        answer = await house.client.get("/v1/skus", headers={b"authorization": f"Bearer {wrong}".encode("latin-1")})
        assert answer.status_code == 401, wrong
    assert (await house.ask("GET", "/v1/skus", token=token)).status_code == 200


async def test_of_a_token_only_a_hash_is_kept_and_when_it_was_used(house: House) -> None:
    token = await house.token("till", Scope.READ)
    await house.ask("GET", "/v1/skus", token=token)
    async with house.database.transaction() as tx:
        [row] = await (await tx.execute("select t::text, last_used_at is not null from api_tokens t")).fetchall()
    assert token.split("_", 2)[2] not in row[0]
    assert row[1]


async def test_the_token_of_the_settings_may_do_everything(dsn: str) -> None:
    async with open_house(dsn, api_token="of the settings") as house:
        weak = await house.token("weak", Scope.READ)
        body: dict[str, Any] = {"json": {"skus": [{"sku": "MUG"}]}}
        assert (await house.ask("POST", "/v1/skus", token="of the settings", **body)).status_code == 200
        assert (await house.ask("POST", "/v1/skus", token=weak, **body)).status_code == 403
        assert (await house.ask("GET", "/v1/skus", token=weak)).status_code == 200
        assert (await house.ask("GET", "/v1/skus")).status_code == 401


async def test_a_token_that_asks_too_fast_is_told_when_to_come_back(house: House) -> None:
    # So slow that no machine is slow enough to see it filled again.
    token = await house.token("eager", Scope.READ, rate_per_s=1e-3)
    other = await house.token("calm", Scope.READ)
    answers = [await house.ask("GET", "/v1/skus", token=token) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [200, 429, 429]
    told = answers[-1]
    assert told.headers["content-type"] == PROBLEM
    assert 1 <= int(told.headers["retry-after"]) <= math.ceil(1 / 1e-3)
    assert (await house.ask("GET", "/v1/skus", token=other)).status_code == 200


async def test_nodes_share_the_rate_of_a_token(house: House, dsn: str) -> None:
    token = await house.token("eager", Scope.READ, rate_per_s=1e-3)
    assert (await house.ask("GET", "/v1/skus", token=token)).status_code == 200
    async with open_house(dsn) as second:
        assert (await second.ask("GET", "/v1/skus", token=token)).status_code == 429


NAMES_OF_THIS_MACHINE = ("127.0.0.1:8080", "localhost", "shelf.localhost:8080", "[::1]:8080", "192.168.1.7")
OTHER_NAMES = (
    "evil.test",
    "evil.test:8080",
    "evil_one.test",
    "localhost.evil.test",
    "127.0.0.1.evil.test",
    "[::1",
    "a b",
)


async def test_as_long_as_nobody_is_known_a_site_whose_name_leads_here_is_not_answered(house: House) -> None:
    """A browser takes such a site and us for one (DNS rebinding): it would read and write everything."""
    same_site = {"sec-fetch-site": "same-origin"}
    for host in NAMES_OF_THIS_MACHINE:
        assert (await house.ask("GET", "/v1/skus", headers={"host": host, **same_site})).status_code == 200, host
    for host in OTHER_NAMES:
        for method, path in (("GET", "/v1/skus"), ("POST", "/v1/locations"), ("GET", "/")):
            answer = await house.ask(method, path, headers={"host": host, **same_site, "accept": "text/html"})
            assert (answer.status_code, answer.json()["type"].rpartition(":")[2]) == (403, "not-this-machine"), host
            assert "oneshelf user add" in answer.json()["detail"]


async def test_from_the_first_user_on_the_engine_has_any_name(house: House) -> None:
    async with house.database.transaction() as tx:
        await users.add(tx, house.clock.new_id(), name="ann", role=Role.ADMIN, created_by="test")
    house.later()
    answer = await house.ask("GET", "/v1/skus", headers={"host": "shelf.example"})
    assert answer.status_code == 401
    assert (await house.ask("GET", "/login", headers={"host": "shelf.example"})).status_code == 200


async def test_a_stream_of_events_ends_with_the_token_that_asked_for_it(house: House) -> None:
    names = ("first", "second")
    tokens = [await house.token(name, Scope.READ) for name in names]
    feed = house.app.state.engine.feed
    readers: list[int] = []

    async def revoke_one_by_one() -> None:
        for name in names:
            while feed.reader_count != len(names) - len(readers):  # noqa: ASYNC110  # Nobody tells of it.
                await asyncio.sleep(0)
            await house.revoke(name)
            readers.append(feed.reader_count)
            house.later(2 * STILL_LET_IN_S)

    async with asyncio.timeout(60):
        streams = asyncio.gather(*(house.ask("GET", "/v1/events", token=token) for token in tokens))
        answers, _ = await asyncio.gather(streams, revoke_one_by_one())
    assert [answer.status_code for answer in answers] == [200, 200]
    assert readers == [2, 1]
    assert (await house.ask("GET", "/v1/events", token=tokens[0])).status_code == 401
