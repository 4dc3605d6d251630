"""People log in by an account at an issuer: whom an admin has named, once each time they go there, and nobody else."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from html import unescape
from urllib.parse import parse_qs, urlsplit

import httpx2
import pytest
from structlog.testing import capture_logs

from oneshelf.domain.access import Account, Role
from oneshelf.storage import identities, users
from web.issuer import ANNA, CLIENT_SECRET, KEYS, RETURN, TOKEN, Desk, Signing, ec_key, open_desk, rsa_key
from web.test_login import PASSWORD, a_person, add, is_in, log_in, post

pytestmark = pytest.mark.pg

ADDRESS = "anna@shop.example"


@pytest.fixture
async def desk(dsn: str) -> AsyncIterator[Desk]:
    async with open_desk(dsn) as desk:
        yield desk


async def named(desk: Desk, name: str = ADDRESS, role: Role = Role.OPERATOR) -> None:
    """An admin has made a person of this name, who has set no password."""
    await add(desk.house, name, role)


async def test_whoever_is_named_by_a_verified_address_logs_in_and_stays_the_same_person(desk: Desk) -> None:
    await named(desk)
    answer = await desk.log_in("/skus?a=b")
    assert (answer.status_code, answer.headers["location"]) == (303, "/skus?a=b")
    assert await is_in(desk.house)
    assert ADDRESS in (await desk.house.client.get("/account")).text
    async with desk.house.database.transaction() as tx:
        [row] = await users.listed(tx)
    assert (row.state, row.is_linked, row.session_count, row.last_login_at is not None) == ("good", True, 1, True)
    # From now on the subject counts: the address may be another, and verified by nobody.
    desk.issuer.person = {"sub": ANNA["sub"], "email": "anna@elsewhere.example", "email_verified": False}
    assert (await desk.log_in()).status_code == 303
    assert await desk.acts() == [
        (ADDRESS, "user link", "linked"),
        (ADDRESS, "GET /login/oidc/return", "303"),
        (ADDRESS, "GET /login/oidc/return", "303"),
    ]
    # Each time a new session in place of the old one.
    assert await desk.count("sessions") == 1


async def test_a_session_may_what_the_role_may_and_ends_as_any_other(desk: Desk) -> None:
    await named(desk, role=Role.VIEWER)
    await desk.log_in()
    body = {"skus": [{"sku": "MUG"}]}
    refused = await desk.house.client.post("/v1/skus", json=body, headers={"origin": "http://shelf.localhost"})
    assert refused.status_code == 403
    asked = desk.issuer.asked.copy()
    assert (await post(desk.house, "/logout")).headers["location"] == "/login"
    assert not await is_in(desk.house)
    # Of the session at the issuer nothing is said to anybody.
    assert desk.issuer.asked == asked
    await desk.log_in()
    async with desk.house.database.transaction() as tx:
        await users.set_disabled(tx, ADDRESS, is_disabled=True)
    desk.house.later()
    assert not await is_in(desk.house)


async def test_the_second_factor_is_the_issuers_business_and_the_password_still_works(desk: Desk) -> None:
    await a_person(desk.house, ADDRESS)
    assert (await desk.log_in()).headers["location"] == "/"
    desk.house.client.cookies.clear()
    assert (await log_in(desk.house, ADDRESS, PASSWORD)).headers["location"] == "/"


async def test_an_admin_says_whose_an_account_is(desk: Desk) -> None:
    await named(desk, "anna")
    told = await desk.log_in()
    assert (told.status_code, f"oneshelf user link NAME {ANNA['sub']}" in told.text) == (403, True)
    assert not await is_in(desk.house)
    async with desk.house.database.transaction() as tx:
        account = Account(desk.issuer.address, ANNA["sub"])
        assert await identities.link(tx, "anna", account, by="a test")
        assert not await identities.link(tx, "nobody", Account(desk.issuer.address, "other"), by="a test")
        assert not await identities.link(tx, "anna", Account(desk.issuer.address, "other"), by="a test")
    assert (await desk.log_in()).status_code == 303
    assert await is_in(desk.house)


@pytest.mark.parametrize(
    ("subject", "shown"),
    [("auth0|17", "NAME 'auth0|17'"), ("-x", "NAME -- -x"), ("a; rm -rf <b>", "NAME 'a; rm -rf <b>'")],
)
async def test_the_command_for_an_admin_is_one_whatever_the_issuer_calls_somebody(
    desk: Desk, subject: str, shown: str
) -> None:
    desk.issuer.person = {"sub": subject}
    assert f"oneshelf user link {shown}" in unescape((await desk.log_in()).text)


async def test_the_page_leads_there_where_the_issuer_sends_people_back_to(desk: Desk) -> None:
    await a_person(desk.house)
    page = (await desk.house.client.get("/login", params={"next": "/skus?a=b"})).text
    assert 'href="http://shelf.localhost/login/oidc?next=%2Fskus%3Fa%3Db"' in page
    assert "Log in with Shop &amp; Co" in page
    assert 'name="password"' in page
    wrong = await log_in(desk.house, password="a wrong password")
    assert "Log in with Shop &amp; Co" in wrong.text


async def test_without_an_issuer_there_is_no_such_way(desk: Desk) -> None:
    desk.house.app.state.engine = replace(desk.house.app.state.engine, issuer=None)
    assert "Log in with" not in (await desk.house.client.get("/login")).text
    for path in ("/login/oidc", "/login/oidc/return?code=a&state=b"):
        answer = await desk.house.client.get(path)
        assert (answer.status_code, "ONESHELF_OIDC_ISSUER" in answer.text) == (404, True)


async def test_what_goes_there_is_ours_alone_whatever_the_address_asks_for(desk: Desk) -> None:
    left = await desk.house.client.get(
        "/login/oidc", params={"redirect_uri": "https://evil.test", "scope": "all", "client_id": "evil", "state": "s"}
    )
    asked = parse_qs(urlsplit(left.headers["location"]).query)
    assert left.headers["location"].startswith(f"{desk.issuer.address}/authorize?")
    assert (asked["redirect_uri"], asked["scope"]) == ([RETURN], ["openid email"])
    assert asked["code_challenge_method"] == ["S256"]
    assert all(len(asked[name][0]) == 43 for name in ("state", "nonce", "code_challenge"))
    again = parse_qs(urlsplit((await desk.leave()).headers["location"]).query)
    assert all(asked[name] != again[name] for name in ("state", "nonce", "code_challenge"))


@pytest.mark.parametrize(
    "elsewhere", ["https://evil.test", "//evil.test", "/\\evil.test", "javascript:alert(1)", "/\r\nX: y", "/" * 3_000]
)
async def test_nobody_is_led_to_another_site_afterwards(desk: Desk, elsewhere: str) -> None:
    await named(desk)
    assert (await desk.log_in(elsewhere)).headers["location"] == "/"


async def test_what_the_browser_keeps_is_for_this_host_alone_and_short(desk: Desk) -> None:
    left = await desk.house.client.get("https://shelf.localhost/login/oidc")
    cookie = left.headers["set-cookie"]
    assert cookie.startswith("__Host-oneshelf_issuer=")
    parts = {part.strip().lower() for part in cookie.split(";")[1:]}
    assert parts >= {"httponly", "path=/", "samesite=lax", "secure", "max-age=600"}
    assert "domain" not in cookie.lower()
    browser = cookie.split("=", 1)[1].split(";")[0]
    async with desk.house.database.transaction() as tx:
        [row] = await (await tx.execute("select s::text from sign_ins s")).fetchall()
    assert browser not in row[0]
    assert browser not in left.headers["location"]


async def test_another_browser_does_not_come_back_with_it(desk: Desk) -> None:
    await named(desk)
    back = await desk.there(await desk.leave())
    kept = dict(desk.house.client.cookies)
    desk.house.client.cookies.clear()
    for cookies in ({}, {"oneshelf_issuer": "x"}, {"oneshelf_issuer": "\u00e4"}):
        shown = "; ".join(f"{name}={value}" for name, value in cookies.items()).encode("latin-1")
        headers = {b"cookie": shown}
        answer = await desk.house.client.get(back, headers=headers)
        assert (answer.status_code, "not begun in this browser" in answer.text) == (400, True)
    # A third browser, which has begun itself, is given somebody else's code: neither is let in by it.
    await desk.leave()
    stolen = parse_qs(urlsplit(back).query)["code"][0]
    own = parse_qs(urlsplit(await desk.there(await desk.leave())).query)["state"][0]
    answer = await desk.house.client.get(RETURN, params={"code": stolen, "state": own})
    assert (answer.status_code, "does not take the code" in answer.text) == (401, True)
    assert await desk.count("sessions") == 0
    # The one who began is not disturbed by tries; that the code is spent is told.
    desk.house.client.cookies.update(kept)
    assert (await desk.house.client.get(back)).status_code == 401


@pytest.mark.parametrize("state", ["", "another", "\u00e4", "x" * 5_000])
async def test_a_wrong_state_is_refused_and_ends_nothing(desk: Desk, state: str) -> None:
    await named(desk)
    back = await desk.there(await desk.leave())
    code = parse_qs(urlsplit(back).query)["code"][0]
    assert (await desk.house.client.get(RETURN, params={"code": code, "state": state})).status_code == 400
    assert (await desk.house.client.get(RETURN, params={"code": code})).status_code == 400
    assert desk.issuer.asked[TOKEN] == 0
    assert (await desk.house.client.get(back)).status_code == 303


async def test_of_two_tabs_the_one_that_began_last_is_let_in(desk: Desk) -> None:
    await named(desk)
    first, second = [await desk.there(await desk.leave(page)) for page in ("/skus", "/orders")]
    answer = await desk.house.client.get(first)
    assert (answer.status_code, "another one was begun here since" in answer.text) == (400, True)
    assert (await desk.house.client.get(second)).headers["location"] == "/orders"


async def test_one_who_comes_back_twice_is_let_in_once(desk: Desk) -> None:
    await named(desk)
    back = await desk.there(await desk.leave())
    cookie = {"cookie": f"oneshelf_issuer={desk.house.client.cookies['oneshelf_issuer']}"}
    assert (await desk.house.client.get(back)).status_code == 303
    assert "oneshelf_issuer" not in desk.house.client.cookies
    desk.house.client.cookies.clear()
    assert (await desk.house.client.get(back)).status_code == 400
    replayed = await desk.house.client.get(back, headers=cookie)
    assert (replayed.status_code, "over already" in replayed.text) == (410, True)
    assert desk.issuer.asked[TOKEN] == 1
    assert await desk.count("sessions") == 1


async def test_who_stays_away_too_long_begins_anew(desk: Desk) -> None:
    await named(desk)
    back = await desk.there(await desk.leave())
    await desk.house.run(b"update sign_ins set began_at = db_now() - interval '11 minutes'")
    answer = await desk.house.client.get(back)
    assert (answer.status_code, 'href="/login"' in answer.text) == (410, True)
    await desk.leave()
    async with desk.house.database.transaction() as tx:
        assert len(await (await tx.execute("select from sign_ins")).fetchall()) == 1


@pytest.mark.parametrize(
    "person",
    [
        {**ANNA, "email_verified": False},
        {**ANNA, "email_verified": "true"},
        {**ANNA, "email_verified": 1},
        {"sub": "1", "email": ADDRESS},
        {"sub": "1", "email_verified": True},
        {**ANNA, "email": [ADDRESS]},
        {**ANNA, "email": "anna@shop.example.evil.test"},
        # Folds to the same letters as the long s of somebody else's address.
        {**ANNA, "email": "anna@\u017fhop.example"},
        {**ANNA, "email": "anna"},
        {**ANNA, "email": "a" * 400 + "@shop.example"},
        {**ANNA, "email": "anna@shop.example\u0000"},
        {**ANNA, "email": " anna@shop.example"},
        {**ANNA, "email": "anna@shop.example\u200b"},
    ],
)
async def test_an_address_that_nobody_has_verified_or_named_lets_nobody_in(desk: Desk, person: dict[str, str]) -> None:
    await named(desk)
    await named(desk, "anna")
    desk.issuer.person = person
    answer = await desk.log_in()
    assert (answer.status_code, "Nobody here has this account" in answer.text) == (403, True)
    assert (await desk.count("sessions"), await desk.count("identities")) == (0, 0)
    assert await desk.acts() == [("", "GET /login/oidc/return", "403")]


async def test_who_is_unknown_who_is_disabled_and_who_is_somebody_else_is_told_the_same(desk: Desk) -> None:
    await named(desk)
    assert (await desk.log_in()).status_code == 303
    desk.house.client.cookies.clear()
    told = []
    # The address was given to another: the account of before stays the person's.
    desk.issuer.person = {**ANNA, "sub": "another"}
    told.append(await desk.log_in())
    desk.issuer.person = {**ANNA, "sub": "another", "email": "nobody@shop.example"}
    told.append(await desk.log_in())
    async with desk.house.database.transaction() as tx:
        await users.set_disabled(tx, ADDRESS, is_disabled=True)
        await identities.unlink(tx, ADDRESS)
    desk.issuer.person = {**ANNA, "sub": "another"}
    told.append(await desk.log_in())
    assert {(answer.status_code, answer.text) for answer in told} == {(403, told[0].text)}
    assert await desk.count("sessions") == 0


async def test_a_disabled_person_is_not_let_in_by_the_account(desk: Desk) -> None:
    await named(desk)
    await desk.log_in()
    async with desk.house.database.transaction() as tx:
        await users.set_disabled(tx, ADDRESS, is_disabled=True)
    assert (await desk.log_in()).status_code == 403
    async with desk.house.database.transaction() as tx:
        await users.set_disabled(tx, ADDRESS, is_disabled=False)
    assert (await desk.log_in()).status_code == 303


async def test_two_browsers_of_one_person_link_the_account_once(desk: Desk) -> None:
    await named(desk)
    backs = []
    for _ in range(2):
        back = await desk.there(await desk.leave())
        backs.append((back, {"cookie": f"oneshelf_issuer={desk.house.client.cookies['oneshelf_issuer']}"}))
    desk.house.client.cookies.clear()
    answers = await asyncio.gather(*(desk.house.client.get(back, headers=kept) for back, kept in backs))
    assert [answer.status_code for answer in answers] == [303, 303]
    assert (await desk.count("identities"), await desk.count("sessions")) == (1, 2)
    assert [act for _, act, _ in await desk.acts()].count("user link") == 1


async def test_tries_are_counted_with_those_of_passwords(desk: Desk) -> None:
    await a_person(desk.house)
    full = b"insert into access_limits values ('login from 127.0.0.1', db_now() + interval '1 hour')"
    await desk.house.run(full + b" on conflict (key) do update set tat = excluded.tat")
    answer = await desk.leave()
    assert (answer.status_code, "Too many tries" in answer.text) == (429, True)
    assert int(answer.headers["retry-after"]) >= 1
    assert desk.issuer.asked.total() == 0
    assert (await log_in(desk.house)).status_code == 429


async def test_a_page_of_another_site_begins_nothing(desk: Desk) -> None:
    for what in ("image", "iframe", "script", "empty"):
        assert (await desk.leave(**{"sec-fetch-dest": what, "sec-fetch-site": "cross-site"})).status_code == 403
    assert desk.issuer.asked.total() == 0
    assert (await desk.leave(**{"sec-fetch-dest": "document", "sec-fetch-site": "cross-site"})).status_code == 303


async def test_keys_are_read_once_and_anew_where_a_new_one_signs(desk: Desk) -> None:
    await named(desk)
    for _ in range(2):
        assert (await desk.log_in()).status_code == 303
    assert desk.issuer.asked[KEYS] == 1
    for new in (Signing("second", rsa_key("second")), Signing("third", ec_key("third"), "ES256")):
        desk.issuer.signing = [*desk.issuer.signing[-1:], new]
        assert (await desk.log_in()).status_code == 303
    assert desk.issuer.asked[KEYS] == 3
    # What is not published any more is not believed any longer either.
    desk.issuer.sign = Signing("first", rsa_key("first")).sign
    assert (await desk.log_in()).status_code == 401
    assert desk.issuer.asked[KEYS] == 4


async def test_a_single_key_needs_no_name(desk: Desk) -> None:
    await named(desk)
    desk.issuer.signing = [Signing(None, rsa_key("first"))]
    assert (await desk.log_in()).status_code == 303


async def test_the_secret_is_shown_as_the_issuer_wants_it(desk: Desk) -> None:
    await named(desk)
    desk.issuer.configured = {"token_endpoint_auth_methods_supported": ["client_secret_post", "private_key_jwt"]}
    assert (await desk.log_in()).status_code == 303


async def test_no_secret_is_in_a_log_or_on_a_page(desk: Desk) -> None:
    await named(desk)
    with capture_logs() as logs:
        pages = [await desk.log_in()]
        desk.issuer.change = lambda claims: {**claims, "nonce": "another"}
        pages.append(await desk.log_in())
        desk.issuer.change = dict
        desk.set_up(desk.known(client_secret="another that is wrong"))
        pages.append(await desk.log_in())
    assert [answer.status_code for answer in pages] == [303, 401, 503]
    async with desk.house.database.transaction() as tx:
        rows = await (await tx.execute("select l::text from audit_log l")).fetchall()
        kept = await (await tx.execute("select s::text from sign_ins s")).fetchall()
    said = str([logs, rows, kept, [answer.text for answer in pages], repr(desk.known())])
    assert len(logs) == 2
    for secret in (*desk.issuer.shown, CLIENT_SECRET, "another that is wrong"):
        assert secret not in said


async def test_an_admin_links_and_unlinks_an_account_on_the_page(desk: Desk) -> None:
    house, subject = desk.house, ANNA["sub"]
    await a_person(house, "root")
    await named(desk, "anna")
    await log_in(house, "root")
    assert "Link the account" in (await house.client.get("/settings/people")).text
    assert (await post(house, "/settings/people/anna", act="link", subject="")).status_code == 422
    assert (await post(house, "/settings/people/anna", act="link", subject="b\u00e4r")).status_code == 422
    assert (await post(house, "/settings/people/nobody", act="link", subject=subject)).status_code == 404
    linked = await post(house, "/settings/people/anna", act="link", subject=subject)
    assert "whoever has it logs in as anna" in linked.text.replace("&#39;", "'")
    second = await post(house, "/settings/people/anna", act="link", subject="another")
    assert (second.status_code, "has another account there" in second.text) == (404, True)
    page = (await house.client.get("/settings/people")).text
    assert "by the account elsewhere" in page
    admin, house.client.cookies = dict(house.client.cookies), httpx2.Cookies()
    assert (await desk.log_in()).status_code == 303
    annas, house.client.cookies = dict(house.client.cookies), httpx2.Cookies(admin)
    assert "No account elsewhere" in (await post(house, "/settings/people/anna", act="unlink")).text
    assert (await post(house, "/settings/people/anna", act="unlink")).status_code == 404
    house.client.cookies = httpx2.Cookies(annas)
    house.later()
    assert not await is_in(house)
    assert (await desk.log_in()).status_code == 403


async def test_who_is_unlinked_and_named_by_an_address_is_linked_again_until_disabled_and_the_admin_is_told(
    desk: Desk,
) -> None:
    house = desk.house
    await a_person(house, "root")
    await named(desk)
    assert (await desk.log_in()).status_code == 303
    house.client.cookies.clear()
    await log_in(house, "root")
    told = unescape((await post(house, f"/settings/people/{ADDRESS}", act="unlink")).text)
    assert f"To keep {ADDRESS} out: oneshelf user disable {ADDRESS}" in told
    admin, house.client.cookies = dict(house.client.cookies), httpx2.Cookies()
    assert (await desk.log_in()).status_code == 303
    house.client.cookies = httpx2.Cookies(admin)
    await post(house, f"/settings/people/{ADDRESS}", act="unlink")
    await post(house, f"/settings/people/{ADDRESS}", act="disable")
    house.client.cookies.clear()
    assert (await desk.log_in()).status_code == 403
    assert await desk.count("identities") == 0
