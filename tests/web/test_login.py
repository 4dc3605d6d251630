"""People log in with a password that they set by a link, are what their role says, and are out when they should be."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Mapping
from typing import Any

import httpx2
import pytest

from oneshelf.clock import SystemClock
from oneshelf.domain.access import Role
from oneshelf.storage import sessions, users
from web.access import House, open_house

pytestmark = pytest.mark.pg

PASSWORD, OTHER = "seven blue mugs in a row", "another eight mugs there"
OWN = {"origin": "http://shelf.localhost"}
MUG = {"skus": [{"sku": "MUG"}]}


@pytest.fixture
async def house(dsn: str) -> AsyncIterator[House]:
    async with open_house(dsn) as house:
        yield house


async def add(house: House, name: str, role: Role) -> str:
    """A person of this name; the link's secret."""
    async with house.database.transaction() as tx:
        assert await users.add(tx, SystemClock().new_id(), name=name, role=role, created_by="a test")
        link = await users.invite(tx, name)
    house.later()
    return link


async def set_up(house: House, link: str, password: str = PASSWORD, **more: str) -> httpx2.Response:
    fields = {"link": link, "password": password, "again": password, **more}
    return await house.client.post("/set-up", data=fields, headers=OWN)


async def post(house: House, path: str, headers: Mapping[str, str] = OWN, **fields: str) -> httpx2.Response:
    return await house.client.post(path, data=fields, headers=dict(headers))


async def log_in(house: House, name: str = "anna", password: str = PASSWORD, **more: str) -> httpx2.Response:
    return await house.client.post("/login", data={"name": name, "password": password, **more}, headers=OWN)


async def a_person(house: House, name: str = "anna", role: Role = Role.ADMIN) -> None:
    assert (await set_up(house, await add(house, name, role))).status_code == 303


async def is_in(house: House) -> bool:
    answer = await house.client.get("/v1/skus")
    assert answer.status_code in {200, 401}
    return answer.status_code == 200


async def test_a_link_sets_a_password_once(house: House) -> None:
    link = await add(house, "anna", Role.VIEWER)
    page = await house.client.get("/set-up", params={"link": link})
    assert "Set a password for anna" in page.text
    for wrong, said in (("short", "12 to 128"), ("a" * 20, "too easy"), ("annaannaanna" * 20, "12 to 128")):
        answer = await set_up(house, link, wrong)
        assert (answer.status_code, said in answer.text) == (422, True)
        assert wrong not in answer.text
    assert "not the same" in (await set_up(house, link, again=OTHER)).text
    assert (await log_in(house)).status_code == 401
    assert (await set_up(house, link)).headers["location"] == "/login"
    assert (await set_up(house, link, OTHER)).status_code == 410
    assert (await house.client.get("/set-up", params={"link": link})).status_code == 410
    assert (await log_in(house, password=OTHER)).status_code == 401
    assert (await log_in(house, "ANNA")).headers["location"] == "/"
    async with house.database.transaction() as tx:
        [row] = await (await tx.execute("select password_hash from users")).fetchall()
    assert row[0].startswith("$argon2id$v=19$m=19456,t=2,p=1$")


async def test_the_link_of_the_first_start_makes_an_admin_and_closes_the_door(house: House) -> None:
    assert await is_in(house)
    async with house.database.transaction() as tx:
        old, link = await users.invite_first(tx), await users.invite_first(tx)
    assert (await set_up(house, old, name="mallory")).status_code == 410
    assert "first user" in (await house.client.get("/set-up", params={"link": link})).text
    assert (await set_up(house, link, name="Anna")).status_code == 303
    assert (await set_up(house, link, name="mallory")).status_code == 410
    house.later()
    assert not await is_in(house)
    await log_in(house)
    assert (await house.client.post("/v1/skus", json=MUG, headers=OWN)).status_code == 200


@pytest.mark.parametrize(("role", "status"), [(Role.VIEWER, 403), (Role.WAREHOUSE, 200), (Role.ADMIN, 200)])
async def test_a_session_may_what_the_role_may(house: House, role: Role, status: int) -> None:
    await a_person(house, role=role)
    await log_in(house)
    assert (await house.client.get("/v1/skus")).status_code == 200
    assert (await house.client.post("/v1/skus", json=MUG, headers=OWN)).status_code == status


@pytest.mark.parametrize(
    "headers", [{}, {"origin": "https://evil.test"}, {"sec-fetch-site": "cross-site"}, {"origin": "null"}]
)
async def test_another_site_makes_nobodys_browser_do_anything(house: House, headers: dict[str, str]) -> None:
    await a_person(house)
    await log_in(house)
    assert (await house.client.post("/v1/skus", json=MUG, headers=headers)).status_code in {401, 403}
    assert (await post(house, "/logout", headers)).status_code in {401, 403}
    assert await is_in(house)
    if headers:
        assert (await post(house, "/login", headers, name="anna", password=PASSWORD)).status_code == 403


async def test_the_cookie_is_for_this_host_alone_and_no_script_reads_it(house: House) -> None:
    await a_person(house)
    answer = await house.client.post(
        "https://shelf.localhost/login",
        data={"name": "anna", "password": PASSWORD},
        headers={"sec-fetch-site": "same-origin"},
    )
    cookie = answer.headers["set-cookie"]
    assert cookie.startswith("__Host-oneshelf_session=")
    assert {part.strip().lower() for part in cookie.split(";")[1:]} >= {"httponly", "path=/", "samesite=lax", "secure"}
    assert "domain" not in cookie.lower()
    async with house.database.transaction() as tx:
        [row] = await (await tx.execute("select s::text from sessions s")).fetchall()
    session = cookie.split("=", 1)[1].split(";")[0]
    assert len(session) >= 43
    assert session not in row[0]


async def test_each_login_is_a_new_session_in_place_of_the_old_one(house: House) -> None:
    await a_person(house)
    ids = []
    for _ in range(2):
        await log_in(house)
        ids.append(house.client.cookies["oneshelf_session"])
    assert ids[0] != ids[1]
    house.later()
    house.client.cookies.clear()
    answer = await house.client.get("/v1/skus", headers={"cookie": f"oneshelf_session={ids[0]}"})
    assert answer.status_code == 401


async def test_logging_out_ends_the_session_at_once(house: House) -> None:
    await a_person(house)
    await log_in(house)
    session = house.client.cookies["oneshelf_session"]
    assert "Log out" in (await house.client.get("/account")).text
    assert (await post(house, "/logout")).headers["location"] == "/login"
    assert "oneshelf_session" not in house.client.cookies
    assert (await house.client.get("/v1/skus", headers={"cookie": f"oneshelf_session={session}"})).status_code == 401


@pytest.mark.parametrize("column", ["seen_at", "began_at"])
async def test_a_session_ends_when_nobody_is_there_and_after_a_day_of_work(house: House, column: str) -> None:
    await a_person(house)
    await log_in(house)
    assert await is_in(house)
    late = {"seen_at": b"31 minutes", "began_at": b"13 hours"}[column]
    await house.run(b"update sessions set " + column.encode() + b" = db_now() - interval '" + late + b"'")
    house.later()
    assert not await is_in(house)


async def test_a_page_that_refreshes_itself_keeps_nobody_logged_in(house: House) -> None:
    await a_person(house)
    await log_in(house)
    await house.run(b"update sessions set seen_at = db_now() - interval '29 minutes'")

    async def idle_min() -> float:
        async with house.database.transaction() as tx:
            found = await tx.execute("select extract(epoch from db_now() - seen_at)::float8 / 60 from sessions")
            [row] = await found.fetchall()
        return float(row[0])

    house.later(120)
    assert (await house.client.get("/skus", headers={"HX-Request": "true"})).status_code == 200
    assert await idle_min() > 28
    assert (await house.client.get("/v1/skus")).status_code == 200
    assert await idle_min() < 28


async def test_of_two_who_log_in_at_once_nobody_waits_for_the_old_sessions_that_the_other_ends(house: House) -> None:
    await a_person(house)
    for _ in range(3):
        await log_in(house)
        house.client.cookies.clear()
    await house.run(b"update sessions set began_at = db_now() - interval '13 hours'")
    async with house.database.transaction() as tx:
        [(user_id,)] = await (await tx.execute("select user_id from users")).fetchall()
        await sessions.begin(tx, user_id, instead_of="")
        async with house.database.transaction() as other:
            await other.execute("set local lock_timeout = '2s'")
            await sessions.begin(other, user_id, instead_of="")
    async with house.database.transaction() as tx:
        assert len(await (await tx.execute("select from sessions")).fetchall()) == 2


async def test_another_role_a_reset_and_a_disabled_person_end_all_sessions(house: House) -> None:
    await a_person(house)

    async def changed(change: Any) -> None:
        await log_in(house)
        assert await is_in(house)
        async with house.database.transaction() as tx:
            assert await change(tx)
        house.later()
        assert not await is_in(house)

    await changed(lambda tx: users.set_role(tx, "anna", Role.WAREHOUSE))
    await changed(lambda tx: users.set_disabled(tx, "anna", is_disabled=True))
    assert (await log_in(house)).status_code == 401
    async with house.database.transaction() as tx:
        await users.set_disabled(tx, "anna", is_disabled=False)
    links: list[str] = []

    async def reset(tx: Any) -> str:
        links.append(await users.invite(tx, "anna"))
        return links[0]

    await changed(reset)
    assert (await log_in(house)).status_code == 401
    assert (await set_up(house, links[0], OTHER)).status_code == 303
    assert (await log_in(house, password=OTHER)).status_code == 303


async def test_who_is_unknown_and_who_is_wrong_is_told_the_same_and_the_sixth_try_waits(house: House) -> None:
    await a_person(house)
    told = [await log_in(house, name, "a wrong password") for name in ("anna", "nobody") for _ in range(6)]
    assert [answer.status_code for answer in told] == [401] * 5 + [429] + [401] * 5 + [429]
    assert told[0].text.replace("anna", "") == told[6].text.replace("nobody", "")
    assert 1 <= int(told[5].headers["retry-after"]) <= 15 * 60
    # The right one as well, so that trying on is of no use; of another person nothing is known.
    assert (await log_in(house)).status_code == 429
    await a_person(house, "ben")
    assert (await log_in(house, "ben")).status_code == 303


async def test_another_node_counts_the_same_tries(house: House, dsn: str) -> None:
    await a_person(house)
    for _ in range(5):
        assert (await log_in(house, password="a wrong password")).status_code == 401
    async with open_house(dsn) as second:
        assert (await log_in(second)).status_code == 429


async def test_the_right_password_makes_earlier_tries_forgotten(house: House) -> None:
    await a_person(house)
    for _ in range(3):
        for _ in range(3):
            await log_in(house, password="a wrong password")
        assert (await log_in(house)).status_code == 303


async def test_a_browser_is_led_to_the_login_and_back_to_a_page_of_ours(house: House) -> None:
    html = {"accept": "text/html,application/xhtml+xml"}
    assert (await house.client.get("/", headers=html)).status_code == 200
    await a_person(house)
    led = await house.client.get("/skus/MUG?a=b", headers=html)
    assert (led.status_code, led.headers["location"]) == (303, "/login?next=%2Fskus%2FMUG%3Fa%3Db")
    page = await house.client.get(led.headers["location"])
    assert 'value="/skus/MUG?a=b"' in page.text
    assert (await house.client.get("/login/style.css")).status_code == 200
    assert re.findall(r'(?:src|href)="(/static[^"]*)"', page.text) == []
    assert (await log_in(house, next="/skus/MUG?a=b")).headers["location"] == "/skus/MUG?a=b"
    for elsewhere in ("https://evil.test", "//evil.test", "/\\evil.test", "javascript:alert(1)", "/\r\nX: y", ""):
        assert (await log_in(house, next=elsewhere)).headers["location"] == "/"


@pytest.mark.parametrize(
    "body", [b"", b"\xff", b"name=%FF&password=", b"&" * 500, b"name=a%00b&password=%00", b"x" * 20_000]
)
async def test_a_form_that_is_none_is_no_failure(house: House, body: bytes) -> None:
    await a_person(house)
    for path in ("/login", "/set-up"):
        kind = {"content-type": "application/x-www-form-urlencoded"}
        answer = await house.client.post(path, content=body, headers={**OWN, **kind})
        assert answer.status_code in {401, 410, 413}


BROWSER = {**OWN, "accept": "text/html,application/xhtml+xml"}


async def test_a_person_is_told_on_a_page_what_the_role_may_not(house: House) -> None:
    await a_person(house, role=Role.VIEWER)
    await log_in(house)
    for answer in (await post(house, "/stock", BROWSER), await house.client.get("/settings/people", headers=BROWSER)):
        assert (answer.status_code, answer.headers["content-type"]) == (403, "text/html; charset=utf-8")
        assert "Not allowed" in answer.text
        assert "Nothing was done" in answer.text
    page = (await house.client.get("/stock")).text
    assert 'class="only-look"' in page
    assert "takes another role" in page
    assert "only-look" not in (await house.client.get("/account")).text + (await house.client.get("/skus")).text
    program = await post(house, "/stock")
    assert program.json()["needs"] == "stock:write"
    nowhere = await house.client.get("/stokc", headers=BROWSER)
    assert (nowhere.status_code, "Not found" in nowhere.text) == (404, True)
    assert (await house.client.get("/stokc")).json()["status"] == 404


async def test_who_was_logged_out_while_typing_is_told_so_and_what_is_typed_is_sent_again(house: House) -> None:
    await a_person(house)
    await log_in(house)
    async with house.database.transaction() as tx:
        await users.sign_out(tx, "anna")
    house.later()
    answer = await post(house, "/stock", BROWSER, type="receive")
    assert (answer.status_code, "not logged in any more" in answer.text) == (401, True)
    assert 'href="/login?next=%2Fstock"' in answer.text
    refresh = await house.client.get("/stock", headers={"accept": "text/html", "hx-request": "true"})
    assert (refresh.status_code, refresh.json()["status"]) == (401, 401)
    assert (await house.client.get("/stock", headers=BROWSER)).headers["location"] == "/login?next=%2Fstock"
