"""Settings on the pages: people, programs, who did what, who is told; each does what the command does, once."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from html import unescape

import httpx2
import pytest

from oneshelf.domain.access import Role, Scope
from oneshelf.storage import second_factors, users
from oneshelf.web.needs import NEEDS
from web.access import House, open_house
from web.test_login import OWN, PASSWORD, a_person, is_in, log_in, set_up

pytestmark = pytest.mark.pg


@pytest.fixture
async def house(dsn: str) -> AsyncIterator[House]:
    async with open_house(dsn) as house:
        yield house


async def post(house: House, path: str, **fields: str) -> httpx2.Response:
    """The form as a browser sends it from its own page."""
    return await house.client.post(path, data=fields, headers=OWN)


def said(answer: httpx2.Response) -> str:
    found = re.search(r'class="said \w+" role="status">.*?</span> (.*?)</p>', answer.text, re.S)
    assert found, answer.text
    return unescape(found[1])


def once(answer: httpx2.Response) -> str:
    [shown] = re.findall(r'<code id="once">(.*?)</code>', answer.text)
    return unescape(shown)


async def test_the_first_person_is_added_by_whoever_is_there_and_then_the_door_closes(house: House) -> None:
    assert "Nobody is told apart yet" in (await house.client.get("/settings/people")).text
    answer = await post(house, "/settings/people", name="Anna", role="admin")
    link = once(answer)
    assert link.startswith("http://shelf.localhost/set-up?link=")
    assert (await set_up(house, link.partition("link=")[2])).status_code == 303
    house.later()
    assert not await is_in(house)
    assert (await log_in(house)).status_code == 303
    page = (await house.client.get("/settings/people")).text
    assert link not in page
    assert 'data-person="anna"' in page


async def test_a_person_is_given_a_role_let_out_and_in_and_signed_out(house: House) -> None:
    await a_person(house)
    await log_in(house)
    link = once(await post(house, "/settings/people", name="ben", role="viewer")).partition("link=")[2]
    again = await post(house, "/settings/people", name="BEN", role="admin")
    assert (again.status_code, "a name is used once" in said(again)) == (409, True)
    assert (await set_up(house, link)).status_code == 303
    for fields, words in (
        ({"act": "role", "role": "operator"}, "ben is operator"),
        ({"act": "disable"}, "let in no more"),
        ({"act": "enable"}, "let in again"),
        ({"act": "sign-out"}, "logged out everywhere"),
    ):
        assert words in said(await post(house, "/settings/people/ben", **fields))
    async with house.database.transaction() as tx:
        [ben] = [row for row in await users.listed(tx) if row.name == "ben"]
    assert (ben.role, ben.state) == ("operator", "good")
    reset = await post(house, "/settings/people/ben", act="reset")
    assert "good no more" in said(reset)
    assert (await set_up(house, once(reset).partition("link=")[2])).status_code == 303


@pytest.mark.parametrize("act", ["role", "disable", "reset", "reset-second-factor", "link", "unlink"])
async def test_nobody_keeps_themselves_out_or_weakens_their_own_way_in(house: House, act: str) -> None:
    await a_person(house)
    await log_in(house)
    answer = await post(house, "/settings/people/anna", act=act, role="viewer")
    assert (answer.status_code, "another admin" in said(answer)) == (409, True)
    async with house.database.transaction() as tx:
        assert [(row.role, row.state) for row in await users.listed(tx)] == [(Role.ADMIN, "good")]


async def test_an_admin_signs_a_person_out_of_every_browser(house: House) -> None:
    await a_person(house)
    await a_person(house, "ben", Role.VIEWER)
    await log_in(house, "ben")
    bens = dict(house.client.cookies)
    house.client.cookies.clear()
    await log_in(house)
    assert "logged out" in said(await post(house, "/settings/people/ben", act="sign-out"))
    assert await is_in(house)
    house.client.cookies.clear()
    house.client.cookies.update(bens)
    house.later()
    assert not await is_in(house)


async def test_an_admin_forgets_a_second_factor(house: House) -> None:
    await a_person(house)
    await a_person(house, "ben", Role.VIEWER)
    async with house.database.transaction() as tx:
        await second_factors.begin(tx, house.database.keyring, "ben", "GEZDGNBVGY3TQOJQ")
        await second_factors.take_step(tx, "ben", 1)
    await log_in(house)
    assert "Forget the second factor" in (await house.client.get("/settings/people")).text
    assert "password alone" in said(await post(house, "/settings/people/ben", act="reset-second-factor"))
    house.client.cookies.clear()
    assert (await log_in(house, "ben")).headers["location"] == "/"


async def test_what_is_wrong_with_a_person_is_said_on_a_page_and_changes_nothing(house: House) -> None:
    for path, fields, status in (
        ("/settings/people", {"name": "", "role": "viewer"}, 422),
        ("/settings/people", {"name": "ben", "role": "boss"}, 422),
        ("/settings/people/ben", {"act": "promote"}, 422),
        ("/settings/people/ben", {"act": "disable"}, 404),
        ("/settings/people/b%00n", {"act": "disable"}, 422),
    ):
        answer = await post(house, path, **fields)
        assert (answer.status_code, answer.headers["content-type"][:9]) == (status, "text/html"), (path, fields)
    async with house.database.transaction() as tx:
        assert await users.listed(tx) == []


async def test_a_token_is_made_with_its_scopes_shown_once_and_revoked(house: House) -> None:
    await a_person(house)
    await log_in(house)
    fields = {"name": "till", "scope": "stock:write", "days": "90", "rate": "20"}
    made = await post(house, "/settings/tokens", **fields)
    token = once(made)
    assert token not in (await house.client.get("/settings/tokens")).text
    again = await post(house, "/settings/tokens", **fields)
    assert (again.status_code, "a name is used once" in said(again)) == (409, True)
    cookies = dict(house.client.cookies)
    house.client.cookies.clear()
    assert (await house.ask("POST", "/v1/skus", token=token, json={"skus": [{"sku": "MUG"}]})).status_code == 200
    assert (await house.ask("PUT", "/v1/policies", token=token, json={})).status_code == 403
    house.client.cookies.update(cookies)
    assert "is revoked" in said(await post(house, "/settings/tokens/till", act="revoke"))
    assert (await post(house, "/settings/tokens/till", act="revoke")).status_code == 404
    house.client.cookies.clear()
    house.later()
    assert (await house.ask("GET", "/v1/skus", token=token)).status_code == 401


@pytest.mark.parametrize(
    "wrong",
    [
        {"scope": "everything"},
        {"scope": ""},
        {"days": "-1"},
        {"days": "many"},
        {"rate": "0"},
        {"rate": "1e9"},
        {"name": ""},
    ],
)
async def test_no_token_is_made_of_what_is_wrong(house: House, wrong: dict[str, str]) -> None:
    fields = {"name": "till", "scope": "read", "days": "90", "rate": "20", **wrong}
    answer = await post(house, "/settings/tokens", **fields)
    assert answer.status_code == 422
    assert 'data-token="till"' not in (await house.client.get("/settings/tokens")).text


async def test_who_did_what_is_found_by_person_way_and_thing(house: House) -> None:
    await a_person(house)
    await log_in(house)
    token = await house.token("till", Scope.READ)
    await post(house, "/settings/people", name="ben", role="viewer")
    await house.ask("PUT", "/v1/policies", token=token, json={}, headers={"cookie": ""})
    for asked, shown, hidden in (
        ("who=anna", "POST /settings/people", "/v1/policies"),
        ("via=token", "/v1/policies", "POST /settings/people"),
        ("about=POLICIES", "PUT /v1/policies", "/settings/people<"),
        ("refused=1", "403", "POST /settings/people"),
    ):
        text = (await house.client.get(f"/settings/activity?{asked}")).text
        assert shown in text, asked
        assert f"<td>{hidden}" not in text, asked
    assert "Nothing is written down that fits" in (await house.client.get("/settings/activity?who=nobody")).text
    for wrong in ("via=door", "after=1.5", "after=" + "9" * 30, "after=" + "9" * 4400):
        assert (await house.client.get(f"/settings/activity?{wrong}")).status_code == 422


async def test_somebody_is_told_paused_given_another_secret_and_forgotten(house: House) -> None:
    fields = {"endpoint": "erp", "url": "https://erp.example/stock", "type": "stock.changed"}
    secret = once(await post(house, "/settings/events", **fields))
    assert secret.startswith("whsec_")
    again = await post(house, "/settings/events", **{**fields, "url": "https://erp.example/other"})
    assert "its secret stays" in said(again)
    for act, words in (
        ("pause", "is paused"),
        ("resume", "is called again"),
        ("rotate", "another secret"),
        ("test", "sends no events"),
        ("remove", "told nothing any more"),
    ):
        assert words in said(await post(house, "/settings/events/erp", act=act))
    assert (await post(house, "/settings/events/erp", act="pause")).status_code == 404
    wrong = await post(house, "/settings/events", endpoint="a/b", url="https://erp.example/")
    assert (wrong.status_code, "Nothing was saved" in said(wrong)) == (422, True)
    wrong = await post(house, "/settings/events", endpoint="erp", url="ftp://erp.example/")
    assert (wrong.status_code, 'data-endpoint="erp"' in wrong.text) == (422, False)


async def test_health_says_what_the_doctor_says(house: House) -> None:
    text = (await house.client.get("/settings")).text
    assert "oneshelf 0." in text
    assert "PostgreSQL" in text
    assert "not audited yet" in text


SETTINGS = [path for path in NEEDS if path.startswith("/settings/")]


@pytest.mark.parametrize("path", SETTINGS)
async def test_no_other_site_changes_a_setting(house: House, path: str) -> None:
    address = re.sub(r"\{\w+\}", "nobody", path)
    for foreign in ({"sec-fetch-site": "cross-site"}, {"origin": "https://elsewhere.test"}):
        fields = {"act": "revoke", "name": "mallory", "role": "admin", "scope": "admin", "days": "1", "rate": "1"}
        assert (await house.client.post(address, data=fields, headers=foreign)).status_code in {403, 405}
    async with house.database.transaction() as tx:
        assert await users.listed(tx) == []


async def test_a_viewer_sees_health_and_no_other_setting(house: House) -> None:
    await a_person(house, role=Role.OPERATOR)
    await log_in(house)
    health = await house.client.get("/settings")
    assert (health.status_code, "/settings/people" in health.text) == (200, False)
    for path in SETTINGS:
        if "GET" in NEEDS[path]:
            assert (await house.client.get(path)).status_code == 403
    assert (await house.client.post("/settings/people", data={"name": "eve"}, headers=OWN)).status_code == 403
    assert PASSWORD not in (await house.client.get("/account")).text


async def test_a_count_is_signed_by_whoever_is_logged_in_and_by_no_name_that_is_typed(house: House) -> None:
    await a_person(house, role=Role.WAREHOUSE)
    await log_in(house)
    for path, body in (
        ("/v1/locations", {"locations": [{"location": "BER"}]}),
        ("/v1/skus", {"skus": [{"sku": "MUG"}]}),
        ("/v1/commands", {"commands": [{"type": "receive", "key": "1", "sku": "MUG", "location": "BER", "units": 5}]}),
    ):
        assert (await house.client.post(path, json=body, headers=OWN)).is_success
    wish = {"task": "w1", "location": "BER", "limit": "9", "threshold_units": "0", "threshold_percent": "0"}
    assert (await post(house, "/stock", type="open", by="ben", **wish)).status_code == 303
    line = {"sku": "MUG", "round": "1", "by": "ben"}
    shown = await post(house, "/stock/counts/w1", act="enter", units="4", **line)
    assert "Signed by anna" in shown.text
    await post(house, "/stock/counts/w1", act="accept", reason="gone", **line)
    told = (await house.client.get("/v1/count-tasks/w1")).json()
    [counted] = told["lines"]
    assert (told["count"]["opened_by"], counted["counted_by"], counted["decided_by"]) == ("anna", "anna", "anna")


async def test_a_rule_and_a_plan_are_put_down_to_whoever_made_them(house: House) -> None:
    await a_person(house, role=Role.OPERATOR)
    await log_in(house)
    assert (await post(house, "/rules", act="save", buffer_units="2")).status_code == 200
    [rule] = (await house.client.get("/v1/policies")).json()["policies"]
    assert rule["set_by"] == "anna"
    assert "anna" in (await house.client.get("/rules/history")).text


async def test_a_token_and_a_person_that_cannot_be_keep_what_was_typed(house: House) -> None:
    await a_person(house)
    await log_in(house)
    token = {"name": "till", "days": "-3", "rate": "7", "scope": "stock:write"}
    wrong = await post(house, "/settings/tokens", **token)
    assert (wrong.status_code, said(wrong)) == (422, "Days must be a whole number from 0 to 3660.")
    for name in ("name", "days", "rate"):
        assert f'name="{name}" value="{token[name]}"' in wrong.text
    assert 'value="stock:write" checked' in wrong.text
    nobody = await post(house, "/settings/people", name="n" * 121, role="viewer")
    assert (nobody.status_code, "n" * 121 in nobody.text, "121 characters" in said(nobody)) == (422, True, True)
