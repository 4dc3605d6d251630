"""The architecture over the API and on its page: shown, foreseen without saving, applied with a reason, once."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator
from html import unescape
from typing import Any

import httpx2
import pytest
from typer.testing import CliRunner

from oneshelf.cli import app as cli
from oneshelf.domain.access import Role
from oneshelf.domain.identity import Channel
from oneshelf.storage import catalog
from web.access import House, open_house
from web.paper import Shop, open_shop
from web.test_deploy import with_a_till
from web.test_login import OWN, a_person, log_in
from web.test_truth_api import available, decide, delta, on_hand, state

pytestmark = pytest.mark.pg

PAGE = "/rules/architecture"
HUB = {"architecture": "hub", "leader": "paper"}
ERP = {"architecture": "middleware", "ranks": ["erp"]}
ENGINE, LED, RANKED = "everything: engine", "everything: leader paper", "everything: ranks erp, the lowest of equals"
MUGS = "SKUs like MU*, figure available: leader erp"


@pytest.fixture
async def shop(dsn: str) -> AsyncIterator[Shop]:
    """The ERP says 12 where the ledger has 10; a narrower rule is there, and two channels are live."""
    async with open_shop(dsn) as shop:
        await shop.connect("paper")
        await shop.connect("market")
        await shop.name_skus("MUG")
        assert (await shop.client.put("/v1/sources", json={"source": "erp"})).status_code == 200
        await state(shop, delta("GR-1", 10), on_hand("S-1", 12, "GR-1"))
        rule = {"pattern": "MU*", "figure": "available", "strategy": "leader", "leader": "erp"}
        assert (await shop.client.put("/v1/truth-rules", json=rule)).status_code == 200
        yield shop


@pytest.fixture
async def house(dsn: str) -> AsyncIterator[House]:
    async with open_house(dsn) as house:
        yield house


async def told(shop: Shop) -> dict[str, Any]:
    answer = await shop.client.get("/v1/architecture")
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def foresee(shop: Shop, wish: dict[str, Any]) -> dict[str, Any]:
    answer = await shop.client.post("/v1/architecture/preview", json=wish)
    assert answer.status_code == 200, answer.text
    seen: dict[str, Any] = answer.json()
    return seen


async def apply(shop: Shop, wish: dict[str, Any], reason: str = "so") -> dict[str, Any]:
    answer = await shop.client.put("/v1/architecture", json={**wish, "reason": reason})
    assert answer.status_code == 200, answer.text
    done: dict[str, Any] = answer.json()
    return done


async def modes(shop: Shop) -> dict[str, str]:
    async with shop.database.transaction() as tx:
        return {row.channel: row.mode for row in await catalog.channels(tx)}


async def all_that_was_said(shop: Shop) -> list[dict[str, Any]]:
    changes: list[dict[str, Any]] = (await shop.client.get("/v1/truth-rules/history")).json()["changes"]
    return changes


# Over the API ---------------------------------------------------------------------------------------------------------


async def test_a_shape_is_foreseen_without_saving_then_applied_and_the_second_time_changes_nothing(shop: Shop) -> None:
    assert await told(shop) == {"architecture": "ims", "rule": ENGINE, "narrower_rules": [MUGS]}
    said = await all_that_was_said(shop)
    seen = await foresee(shop, ERP)
    assert seen["before"] == "ims"
    assert seen["changes"] == [{"what": "rule", "before": ENGINE, "after": RANKED, "note": ""}]
    assert seen["narrower_rules"] == [MUGS]
    [effect] = seen["preview"]["effects"]
    assert (effect["now_by"], effect["would_by"]) == ("the engine", "erp S-1")
    assert (effect["now_units"], effect["would_units"]) == (10, 12)
    assert (seen["preview"]["looked_count"], seen["preview"]["is_whole"]) == (1, True)
    assert await told(shop) == {"architecture": "ims", "rule": ENGINE, "narrower_rules": [MUGS]}
    assert (await all_that_was_said(shop), await available(shop)) == (said, 10)

    shop.woken.clear()
    done = await apply(shop, ERP, "the ERP is counted every night")
    assert done == {name: seen[name] for name in ("before", "changes", "narrower_rules")}
    # What is stated is decided anew by the engine that is running.
    assert "state" in shop.woken
    await decide(shop)
    assert await available(shop) == 12
    assert await told(shop) == {"architecture": "middleware", "rule": RANKED, "narrower_rules": [MUGS]}
    [newest, *_] = said = await all_that_was_said(shop)
    assert (newest["actor"], newest["reason"]) == ("api", "the ERP is counted every night")
    assert newest["scope"] == "everything"
    again = await apply(shop, ERP, "I say it again")
    assert (again["before"], again["changes"]) == ("middleware", [])
    assert await all_that_was_said(shop) == said


async def test_from_none_to_a_hub_and_on_to_ims_narrower_rules_stay_and_nobody_goes_live_by_it(shop: Shop) -> None:
    done = await apply(shop, {"architecture": "none"})
    assert [(one["what"], one["before"], one["after"]) for one in done["changes"]] == [
        ("channel market", "live", "watch"),
        ("channel paper", "live", "watch"),
    ]
    assert await modes(shop) == {"market": "watch", "paper": "watch"}
    assert await told(shop) == {"architecture": "none", "rule": ENGINE, "narrower_rules": [MUGS]}

    done = await apply(shop, HUB)
    rule, *channels = done["changes"]
    assert (rule["before"], rule["after"], rule["note"]) == (ENGINE, LED, "")
    assert [(one["before"], one["after"], "oneshelf channel live" in one["note"]) for one in channels] == [
        ("watch", "watch", True)
    ] * 2
    assert await modes(shop) == {"market": "watch", "paper": "watch"}
    assert await told(shop) == {"architecture": "none", "rule": LED, "narrower_rules": [MUGS]}
    async with shop.database.transaction() as tx:
        for name in ("paper", "market"):
            await catalog.set_mode(tx, Channel(name), "live")
    assert (await told(shop))["architecture"] == "hub"
    assert (await apply(shop, HUB))["changes"] == []

    done = await apply(shop, {"architecture": "ims"})
    assert done["changes"] == [{"what": "rule", "before": LED, "after": ENGINE, "note": ""}]
    assert await told(shop) == {"architecture": "ims", "rule": ENGINE, "narrower_rules": [MUGS]}
    assert await modes(shop) == {"market": "live", "paper": "live"}


@pytest.mark.parametrize(
    ("wish", "status", "words"),
    [
        ({"architecture": "hub", "leader": "nowhere"}, 422, "GET /v1/channels"),
        ({"architecture": "hub", "leader": "erp"}, 422, "a channel that shows figures; 'erp' is none"),
        ({"architecture": "middleware", "ranks": ["sap"]}, 404, "oneshelf source add sap"),
        ({"architecture": "middleware", "ranks": ["erp|sap"]}, 404, "no channel or source 'sap'"),
        ({"architecture": "middleware", "ranks": ["erp | "]}, 422, "'erp|' has a gap"),
        ({"architecture": "middleware", "ranks": ["erp", "erp"]}, 422, "each system once"),
        ({"architecture": "hub"}, 422, "a hub names its leader"),
        ({"architecture": "middleware"}, 422, "a middleware names its ranks"),
        ({"architecture": "ims", "leader": "paper"}, 422, "no other architecture does"),
        ({"architecture": "spokes"}, 422, "architecture"),
        ({"leader": "paper"}, 422, "architecture"),
        ({**HUB, "who": "me"}, 422, "who"),
    ],
)
async def test_what_is_wrong_is_said_with_the_way_out_and_nothing_changes(
    shop: Shop, wish: dict[str, Any], status: int, words: str
) -> None:
    before = (await told(shop), await modes(shop), await all_that_was_said(shop))
    for method, path in (("POST", "/v1/architecture/preview"), ("PUT", "/v1/architecture")):
        answer = await shop.client.request(method, path, json=wish)
        assert answer.status_code == status, answer.text
        assert answer.headers["content-type"] == "application/problem+json"
        assert words in answer.json()["detail"]
    assert (await told(shop), await modes(shop), await all_that_was_said(shop)) == before


async def test_the_reason_of_a_switch_that_changes_no_rule_is_kept_with_the_others(shop: Shop) -> None:
    before = await all_that_was_said(shop)
    await apply(shop, {"architecture": "none"}, reason="the peak is over")
    assert set((await modes(shop)).values()) == {"watch"}
    newest, *others = await all_that_was_said(shop)
    assert others == before
    assert newest["reason"] == "architecture none, market, paper to watch: the peak is over"
    assert (newest["before"], newest["after"]) == ({}, {})
    await apply(shop, {"architecture": "none"}, reason="once more")
    assert (await all_that_was_said(shop))[0] == newest
    assert "the peak is over" in (await shop.client.get(PAGE)).text


async def test_a_till_is_asked_for_no_figure_in_any_shape(shop: Shop) -> None:
    """It is never live, and that keeps no shape from being whole; nor can it lead."""
    await with_a_till(shop)
    for wish in ({"architecture": "ims"}, {"architecture": "hub", "leader": "paper"}, {"architecture": "none"}):
        assert not [one for one in (await foresee(shop, wish))["changes"] if one["what"] == "channel till"], wish
    assert "2 of 2 live" in (await shop.client.get(PAGE)).text
    before = await all_that_was_said(shop)
    leads = await shop.client.put("/v1/architecture", json={"architecture": "hub", "leader": "till"})
    assert (leads.status_code, "a channel that shows figures; 'till' is none" in leads.json()["detail"]) == (422, True)
    ranked = {"architecture": "middleware", "ranks": ["erp|till"]}
    for method, path, body in (
        ("PUT", "/v1/architecture", ranked),
        ("POST", "/v1/architecture/preview", ranked),
        ("PUT", "/v1/truth-rules", {"strategy": "leader", "leader": "till"}),
        ("POST", "/v1/truth-rules/preview", {"strategy": "ranks", "ranks": ["till"]}),
    ):
        refused = await shop.client.request(method, path, json=body)
        assert (refused.status_code, "till tells what it sold" in refused.json()["detail"]) == (422, True), path
    assert await all_that_was_said(shop) == before


async def test_the_command_says_the_same_as_the_api(shop: Shop, dsn: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ONESHELF_DATABASE_URL", dsn)

    async def command(*words: str) -> Any:
        done = await asyncio.to_thread(CliRunner().invoke, cli, ["architecture", *words, "--json"])
        assert done.exit_code == 0, done.output
        return json.loads(done.stdout)

    assert await command("show") == await told(shop)
    assert await command("plan", "middleware", "--rank", "erp") == await foresee(shop, ERP)
    seen = await foresee(shop, {"architecture": "none"})
    del seen["preview"]
    assert await command("apply", "none") == seen
    assert await command("show") == await told(shop)


# On the page ----------------------------------------------------------------------------------------------------------


async def send(shop: Shop, **fields: str) -> httpx2.Response:
    """The form as a browser sends it from its own page."""
    return await shop.client.post(PAGE, data=fields, headers={"Sec-Fetch-Site": "same-origin"})


def said(answer: httpx2.Response) -> str:
    found = re.search(r'class="said \w+" role="status">.*?</span> (.*?)</p>', answer.text, re.S)
    assert found, answer.text
    return unescape(found[1])


def hidden(answer: httpx2.Response) -> dict[str, str]:
    """What the button that applies sends."""
    [inside] = re.findall(r'<form[^>]* id="apply">(.*?)</form>', answer.text, re.S)
    fields = re.findall(r'type="hidden" name="(\w+)" value="([^"]*)"', inside)
    return {name: unescape(value) for name, value in fields}


def checked(answer: httpx2.Response) -> str:
    [value] = re.findall(r'type="radio" name="architecture" value="(\w+)" checked', answer.text)
    return str(value)


async def test_the_page_says_what_the_shop_has_shows_a_plan_and_applies_exactly_that(shop: Shop) -> None:
    page = await shop.client.get(PAGE)
    assert (page.status_code, checked(page)) == (200, "ims")
    text = unescape(page.text)
    assert "the engine is right" in text
    assert "2 of 2 live" in text
    assert MUGS in text
    assert 'id="apply"' not in text
    assert PAGE in (await shop.client.get("/rules")).text
    assert PAGE in (await shop.client.get("/conflicts")).text

    # A leader that was chosen before is not asked for, and does not stand in the way.
    fields = {"architecture": "middleware", "leader": "paper", "ranks": "erp\r\n\r\npaper | market\r\n"}
    seen = await send(shop, **fields, reason="the ERP <counts>", act="preview")
    assert (seen.status_code, checked(seen)) == (200, "middleware")
    assert re.findall(r'data-changes="([^"]+)"', seen.text) == ["rule"]
    assert re.findall(r'data-effect="([^"]+)"', seen.text) == ["MUG"]
    assert "Nothing is saved yet" in seen.text
    assert "Rules for less stay as they are: 1." in seen.text
    assert "<counts>" not in seen.text
    assert (await told(shop))["architecture"] == "ims"
    assert await available(shop) == 10

    sent = hidden(seen)
    assert sent == {
        "architecture": "middleware", "leader": "", "ranks": "erp\npaper|market", "reason": "the ERP <counts>",
    }  # fmt: skip
    shop.woken.clear()
    done = await send(shop, **sent, act="apply")
    assert said(done) == "Done: middleware. What is stated is decided anew."
    assert "state" in shop.woken
    assert (await told(shop))["rule"] == "everything: ranks erp > paper|market, the lowest of equals"
    assert (await all_that_was_said(shop))[0]["reason"] == "the ERP <counts>"
    assert "the ERP &lt;counts&gt;" in done.text
    changes = await all_that_was_said(shop)
    assert said(await send(shop, **sent, act="apply")) == "It was so already."
    assert await all_that_was_said(shop) == changes


async def test_the_page_says_of_channels_that_somebody_has_to_sign_off_first(shop: Shop) -> None:
    assert "Done: none" in said(await send(shop, architecture="none", act="apply"))
    words = said(await send(shop, architecture="hub", leader="paper", act="apply"))
    assert "Not live yet: channel market, channel paper" in words
    assert "once a channel is live" in (await shop.client.get(PAGE)).text
    assert "0 of 2 live" in (await shop.client.get(PAGE)).text
    assert "It was so already. Not live yet" in said(await send(shop, architecture="hub", leader="paper", act="apply"))


@pytest.mark.parametrize("act", ["preview", "apply"])
async def test_what_is_wrong_on_the_page_is_said_beside_what_was_typed(shop: Shop, act: str) -> None:
    before = (await told(shop), await modes(shop), await all_that_was_said(shop))
    reason = "because"
    gone = await send(shop, architecture="hub", leader="nowhere", reason=reason, act=act)
    assert (gone.status_code, checked(gone)) == (422, "hub")
    assert "'nowhere' is none. Way out" in said(gone)
    assert f'value="{reason}"' in gone.text
    nobody = await send(shop, architecture="middleware", ranks="sap", reason=reason, act=act)
    assert (nobody.status_code, "oneshelf source add sap" in said(nobody)) == (404, True)
    assert ">sap</textarea>" in nobody.text
    none = await send(shop, architecture="hub", leader="", act=act)
    assert (none.status_code, "names its leader" in said(none)) == (422, True)
    assert 'name="leader" aria-invalid="true"' in none.text
    for wrong in ({}, {"architecture": "spokes"}, {"architecture": "ims", "reason": "x" * 121}):
        assert (await send(shop, **wrong, act=act)).status_code == 422
    assert (await send(shop, architecture="ims")).status_code == 422
    assert (await told(shop), await modes(shop), await all_that_was_said(shop)) == before


async def test_a_viewer_looks_and_applies_nothing_and_an_operator_is_put_down_by_name(house: House) -> None:
    await a_person(house, "vera", Role.VIEWER)
    await a_person(house, "olga", Role.OPERATOR)
    wish = {"architecture": "middleware", "ranks": ["erp"]}
    form = {"architecture": "middleware", "ranks": "erp", "reason": "so", "act": "apply"}

    await log_in(house, "vera")
    assert "What the shop has now" in (page := await house.client.get(PAGE)).text
    assert "You may look at this page" in page.text
    assert (await house.client.get("/v1/architecture")).status_code == 200
    foreseen = await house.client.post("/v1/architecture/preview", json={"architecture": "ims"}, headers=OWN)
    assert foreseen.status_code == 200
    for answer in (
        await house.client.put("/v1/architecture", json=wish, headers=OWN),
        await house.client.post(PAGE, data=form, headers=OWN),
    ):
        assert answer.status_code == 403

    house.client.cookies.clear()
    await log_in(house, "olga")
    assert (await house.client.put("/v1/sources", json={"source": "erp"}, headers=OWN)).status_code == 200
    assert "Done: middleware" in said(await house.client.post(PAGE, data=form, headers=OWN))
    ims = {"architecture": "ims", "reason": "back again"}
    assert (await house.client.put("/v1/architecture", json=ims, headers=OWN)).status_code == 200
    changes = (await house.client.get("/v1/truth-rules/history")).json()["changes"]
    assert [(one["actor"], one["reason"]) for one in changes] == [("olga", "back again"), ("olga", "so")]
