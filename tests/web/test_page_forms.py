"""What a person does on the pages: each form does what the API does, once, and says what became of it."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator
from html import unescape

import httpx2
import pytest

from oneshelf.domain.identity import ChannelSku
from web.paper import Shop, open_shop

MUG = ChannelSku("MUG")


@pytest.fixture
async def shop(dsn: str) -> AsyncIterator[Shop]:
    async with open_shop(dsn) as shop:
        yield shop


async def a_mug(shop: Shop, *, mode: str = "live", units: int = 10) -> None:
    connector = await shop.connect("paper", mode=mode)
    await shop.name_skus("MUG")
    connector.books[MUG] = 0
    await shop.command("first", type="receive", sku="MUG", units=units)
    await shop.settle()


async def sent(shop: Shop, path: str, fields: dict[str, str | list[str]], **headers: str) -> httpx2.Response:
    """The form as a browser sends it from its own page."""
    return await shop.client.post(path, data=fields, headers={"Sec-Fetch-Site": "same-origin", **headers})


def said(answer: httpx2.Response) -> str:
    found = re.search(r'class="said \w+" role="status">.*?</span> (.*?)</p>', answer.text, re.S)
    assert found, answer.text
    return unescape(found[1])


async def available(shop: Shop, sku: str = "MUG") -> int:
    return int((await shop.client.get(f"/v1/skus/{sku}")).json()["available"])


async def form_fields(shop: Shop, path: str, form: str) -> dict[str, str]:
    """The hidden fields of a form of a page."""
    page = (await shop.client.get(path)).text
    [inside] = re.findall(rf'<form[^>]* id="{form}">(.*?)</form>', page, re.S)
    return dict(re.findall(r'type="hidden" name="(\w+)" value="([^"]*)"', inside))


async def test_a_receipt_sent_twice_with_the_same_form_moves_its_units_once(shop: Shop) -> None:
    await a_mug(shop)
    fields = await form_fields(shop, "/stock?sku=MUG", "receive")
    fields |= {"sku": "MUG", "location": "BERLIN", "units": "7"}
    first = await sent(shop, "/stock", {**fields})
    assert (first.status_code, await available(shop)) == (200, 17)
    again = await sent(shop, "/stock", {**fields})
    assert "nothing moved again" in said(again)
    assert await available(shop) == 17


@pytest.mark.parametrize(
    ("form", "fields", "left"),
    [
        ("adjust", {"location": "BERLIN", "delta_units": "-3", "reason": "broken"}, 7),
        ("move", {"location": "BERLIN", "units": "4", "origin": "available", "target": "damaged"}, 6),
        ("count", {"type": "count", "location": "BERLIN", "units": "12", "figure": "on_hand"}, 12),
    ],
)
async def test_each_form_is_its_command(shop: Shop, form: str, fields: dict[str, str], left: int) -> None:
    await a_mug(shop)
    hidden = await form_fields(shop, "/stock", form)
    answer = await sent(shop, "/stock", {**hidden, "sku": "MUG", **fields})
    assert answer.status_code == 200, said(answer)
    assert await available(shop) == left


async def test_a_count_that_was_begun_keeps_what_moves_until_it_is_entered(shop: Shop) -> None:
    await a_mug(shop)
    hidden = await form_fields(shop, "/stock", "count")
    begun = await sent(shop, "/stock", {**hidden, "type": "begin", "sku": "MUG", "location": "BERLIN"})
    [token] = re.findall(r'name="token" value="([^"]+)"', begun.text)
    [key] = re.findall(r'name="key" value="([^"]+)"><input type="hidden" name="token"', begun.text)
    await shop.order("paper", "1", MUG=2)
    await shop.settle()
    fields: dict[str, str | list[str]] = {"type": "count", "figure": "on_hand", "units": "10"}
    answer = await sent(shop, "/stock", {**fields, "key": key, "token": token, "sku": "MUG", "location": "BERLIN"})
    assert answer.status_code == 200
    assert await available(shop) == 8


async def test_a_refusal_says_its_figures_and_moves_nothing(shop: Shop) -> None:
    await a_mug(shop)
    hidden = await form_fields(shop, "/stock", "adjust")
    answer = await sent(shop, "/stock", {**hidden, "sku": "MUG", "location": "BERLIN", "delta_units": "-11"})
    assert answer.status_code == 409
    assert "10" in said(answer)
    assert await available(shop) == 10


@pytest.mark.parametrize("typed", ["", "1.5", "ten", "١٢", "1e3", "9" * 30])
async def test_what_is_no_number_is_refused_on_a_page_that_leads_on(shop: Shop, typed: str) -> None:
    await a_mug(shop)
    hidden = await form_fields(shop, "/stock", "receive")
    answer = await sent(shop, "/stock", {**hidden, "sku": "MUG", "location": "BERLIN", "units": typed})
    assert answer.status_code == 422
    assert answer.headers["content-type"].startswith("text/html")
    assert "units" in answer.text
    assert 'href="/"' in answer.text
    assert await available(shop) == 10


FORMS = ["/connect/shopify", "/settings/people", "/settings/tokens", "/settings/events", f"/files/{'0' * 32}"]
FORMS += [f"/conflicts/{'0' * 32}", "/settings/people/eve", "/settings/tokens/till", "/settings/events/erp"]
FORMS += ["/stock", "/errors", "/rules", "/rules/pools", "/skus/MUG", "/go-live/paper", "/channels/paper"]
FORMS += [f"/drifts/{'0' * 32}", "/rules/architecture"]


@pytest.mark.long(but_one_in=3)
@pytest.mark.parametrize("path", FORMS)
async def test_no_other_site_may_send_a_form(shop: Shop, path: str) -> None:
    await a_mug(shop)
    for foreign in ({"Sec-Fetch-Site": "cross-site"}, {"Origin": "https://elsewhere.test"}):
        answer = await shop.client.post(path, data={"act": "retry", "mode": "frozen"}, headers=foreign)
        assert answer.status_code == 403
    assert (await shop.client.get("/v1/skus/MUG/sharing")).json()["mode"] == "auto"


@pytest.mark.long(but_one_in=3)
@pytest.mark.parametrize("path", FORMS)
async def test_what_is_no_form_of_ours_is_refused(shop: Shop, path: str) -> None:
    await a_mug(shop)
    assert (await shop.client.post(path, json={})).status_code == 415
    kind = {"Content-Type": "application/x-www-form-urlencoded"}
    for body, status in ((b"\xff=\xfe", 400), (b"a=1&" * 2_001, 400), (b"a=" + b"x" * 300_000, 413), (b"", None)):
        answer = await shop.client.post(path, content=body, headers=kind)
        assert answer.status_code == status or (status is None and answer.status_code < 500)


async def test_a_drift_is_resolved_by_a_person_and_says_why_it_is_one(shop: Shop) -> None:
    await a_mug(shop)
    shop.connectors["paper"].books[MUG] = 13
    await shop.sweep()
    await shop.settle()
    await shop.judge_suspicions()
    text = (await shop.client.get("/drifts")).text
    [drift_id] = re.findall(r'data-drift="([^"]+)"', text)
    shown = (await shop.client.get(f"/drifts/{drift_id}")).text
    assert "Foreign edit" in shown
    assert "What becomes of it" in shown
    answer = await sent(shop, f"/drifts/{drift_id}", {"how": "adopt"})
    assert answer.status_code == 200
    assert await available(shop) == 13
    answer = await sent(shop, f"/drifts/{drift_id}", {"how": "adopt"})
    assert "nothing was done again" in said(answer)
    assert await available(shop) == 13


async def test_a_parked_order_is_tried_again_or_dismissed(shop: Shop) -> None:
    paper = await shop.connect("paper")
    paper.books |= {ChannelSku("CUP"): 5, ChannelSku("POT"): 5}
    await shop.settle()
    await shop.order("paper", "1", CUP=1)
    await shop.order("paper", "2", POT=1)
    await shop.settle()
    ids = re.findall(r'data-parked="(o\d+)"', (await shop.client.get("/errors")).text)
    assert len(ids) == 2
    assert "Nothing was ticked" in said(await sent(shop, "/errors", {"act": "dismiss"}))
    assert said(await sent(shop, "/errors", {"act": "dismiss", "id": ids[:1]})).startswith("1 is dismissed")
    assert said(await sent(shop, "/errors", {"act": "retry", "which": "all"})).startswith("1 is being tried again")
    await shop.settle()
    assert re.findall(r'data-parked="(o\d+)"', (await shop.client.get("/errors")).text) == ids[1:]


async def test_an_order_that_was_told_of_again_stands_once_among_the_errors_and_is_tried_as_a_whole(shop: Shop) -> None:
    paper = await shop.connect("paper")
    paper.books |= {ChannelSku("CUP"): 5, ChannelSku("POT"): 5}
    await shop.settle()
    await shop.order("paper", "1", CUP=1)
    again = {"order": "1", "placed_at": shop.clock.now().isoformat(), "lines": {"CUP": 2}}
    await shop.deliver("paper", json.dumps(again).encode(), delivery_id="1, again")
    await shop.order("paper", "2", POT=1)
    await shop.settle()
    page = (await shop.client.get("/errors")).text
    assert re.findall(r'data-parked="o\d+".*?order (\d)', page, re.S) == ["2", "1"]
    assert page.count("told 2 times") == 1
    told = (await shop.client.get("/v1/errors")).json()["orders"]
    assert [(one["order_id"], one["snapshot_count"]) for one in told] == [("2", 1), ("1", 2)]
    assert said(await sent(shop, "/errors", {"act": "dismiss", "id": [f"o{told[1]['fact_id']}"]})).startswith("1 is")
    assert [one["order_id"] for one in (await shop.client.get("/v1/errors")).json()["orders"]] == ["2"]


async def test_a_rule_shows_its_effect_before_it_is_saved_and_keeps_terms_without_a_field(shop: Shop) -> None:
    await a_mug(shop)
    before = {"sku": "MUG", "terms": {"low_stock_at": 3}, "low": {"percent": 50}}
    assert (await shop.client.put("/v1/policies", json=before)).status_code == 200
    wish: dict[str, str | list[str]] = {"sku": "MUG", "buffer_units": "4"}
    shown = await sent(shop, "/rules", {**wish, "act": "preview"})
    assert re.search(r'data-effect="paper/MUG".*?>10</td><td class="n strong">6</td>', shown.text, re.S)
    [kept] = (await shop.client.get("/v1/policies")).json()["policies"]
    assert kept["terms"] == {"low_stock_at": 3}
    assert "Saved" in said(await sent(shop, "/rules", {**wish, "act": "save"}))
    [kept] = (await shop.client.get("/v1/policies")).json()["policies"]
    assert (kept["terms"], kept["low"]) == ({"low_stock_at": 3, "buffer_units": 4}, {"percent": 50})
    assert "buffer units" in (await shop.client.get("/rules/history")).text
    assert "has ended" in said(await sent(shop, "/rules", {"sku": "MUG", "act": "end"}))
    assert (await shop.client.get("/v1/policies")).json()["policies"] == []


async def test_a_plan_shows_its_pools_before_it_is_saved_and_keeps_its_order(shop: Shop) -> None:
    await a_mug(shop)
    wish: dict[str, str | list[str]] = {"sku": "MUG", "share paper": "80%", "kind paper": "soft", "refill": "manual"}
    shown = await sent(shop, "/rules/pools", {**wish, "act": "preview"})
    assert re.search(r'data-would="MUG/paper".*?<td class="n strong">8</td>', shown.text, re.S)
    assert re.search(r'data-effect="paper/MUG".*?>10</td><td class="n strong">8</td>', shown.text, re.S)
    assert (await shop.client.get("/v1/policies/allocations")).json()["allocations"] == []
    assert "Saved" in said(await sent(shop, "/rules/pools", {**wish, "act": "save"}))
    await shop.settle()
    page = (await shop.client.get("/rules/pools?sku=MUG")).text
    assert re.search(r'data-pool="paper".*?<td class="n strong">8</td>', page, re.S)
    assert 'value="80%"' in page
    assert "paper" in (await shop.client.get("/rules/history")).text
    assert "shared anew" in said(await sent(shop, "/rules/pools", {"sku": "MUG", "act": "refill"}))
    assert "has ended" in said(await sent(shop, "/rules/pools", {"sku": "MUG", "act": "end"}))
    for wrong, words in (
        ({"share paper": "most"}, "80%"),
        ({}, "channel has a share"),
        ({"share paper": "80%", "refill": "daily"}, "03:00"),
        ({"share paper": "80%", "rebalance_points": "ten"}, "Follow sales by"),
    ):
        answer = await sent(shop, "/rules/pools", {"sku": "MUG", **wrong, "act": "save"})
        assert (answer.status_code, words in said(answer)) == (422, True), answer.text
        [form] = re.findall(r'<form[^>]* id="form">(.*?)</form>', answer.text, re.S)
        assert 'name="sku" value="MUG"' in form
        for name, typed in wrong.items():
            assert re.search(rf'name="{name}" value="{typed}"|value="{typed}" selected', form), (name, form)
    assert re.search(r'name="rebalance_points"[^>]*aria-invalid', form)


async def test_a_plan_of_a_channel_that_is_no_share_points_to_its_field(shop: Shop) -> None:
    await a_mug(shop)
    answer = await sent(shop, "/rules/pools", {"sku": "MUG", "share paper": "-1", "act": "preview"})
    assert "Share paper is '-1'; it must be a percentage such as 80%" in said(answer)
    assert re.search(r'name="share paper" value="-1"[^>]*aria-invalid', answer.text)
    nobody = await sent(shop, "/rules/pools", {"sku": "NOBODY", "share paper": "1", "act": "preview"})
    assert (nobody.status_code, "no SKU NOBODY" in said(nobody)) == (404, True)
    assert 'name="share paper" value="1"' in nobody.text


async def test_a_rule_with_what_is_no_number_is_refused_by_the_name_of_its_field(shop: Shop) -> None:
    await a_mug(shop)
    answer = await sent(shop, "/rules", {"sku": "MUG", "buffer_units": "some", "act": "save"})
    assert answer.status_code == 422
    assert "Buffer" in said(answer)
    assert 'name="buffer_units" inputmode="numeric" value="some"' in answer.text


async def test_a_channel_goes_live_by_what_a_person_ticked_and_signed(shop: Shop) -> None:
    await a_mug(shop, mode="watch")
    plan = (await shop.client.get("/go-live/paper")).text
    assert re.findall(r'data-line="([^"]+)"', plan) == ["MUG"]
    assert "raise 1" in plan
    assert (await sent(shop, "/go-live/paper", {"listing": ["MUG"], "by": ""})).status_code == 422
    assert "Nothing was ticked" in said(await sent(shop, "/go-live/paper", {"by": "Ada"}))
    assert said(await sent(shop, "/go-live/paper", {"listing": ["MUG"], "by": "Ada"})).startswith("1 listing was")
    await shop.settle()
    assert shop.connectors["paper"].books == {MUG: 10}
    assert "Ada" in (await shop.client.get("/go-live/paper")).text


async def test_a_sku_is_stopped_everywhere_and_it_shows_when_that_is_verified(shop: Shop) -> None:
    await a_mug(shop)
    answer = await sent(shop, "/skus/MUG", {"mode": "frozen"})
    assert "nothing is sold anywhere" in said(answer)
    await shop.settle()
    assert shop.connectors["paper"].books == {MUG: 0}
    assert "verified</span>" in (await shop.client.get("/skus/MUG")).text


async def test_writing_to_a_channel_is_paused_and_its_page_says_so(shop: Shop) -> None:
    await a_mug(shop)
    answer = await sent(shop, "/channels/paper", {"act": "mode", "mode": "paused"})
    assert "a person has paused writing" in said(answer)
    await shop.command("more", type="receive", sku="MUG", units=5)
    await shop.settle()
    assert shop.connectors["paper"].books == {MUG: 10}
    assert (await sent(shop, "/channels/paper", {"act": "mode", "mode": "live"})).status_code == 422


async def test_explain_tells_the_four_layers_now_and_then(shop: Shop) -> None:
    await a_mug(shop)
    then = shop.clock.now().isoformat()
    await shop.command("more", type="receive", sku="MUG", units=5)
    await shop.settle()
    for at, units in (("", 15), (then, 10)):
        asked = {"channel": "paper", "listing": "MUG", "at": at}
        text = (await shop.client.get("/explain", params=asked)).text
        assert re.findall(r'<section class="layer" aria-labelledby="(\w+)"', text) == [
            *("identity", "ledger", "policy", "publish"),
        ]
        assert f"<strong>{units}</strong>;" in text


@pytest.mark.long(but_one_in=3)
@pytest.mark.parametrize(
    "path",
    [
        *("/drifts/nothing", "/drifts?after=x", "/short?after=x", "/orders?after=x", "/rules?after=x"),
        *("/rules/history?after=x", "/explain?channel=paper&listing=NOBODY", "/explain?channel=a/b&listing=x"),
        *("/channels/nobody", "/go-live/nobody", "/explain?channel=paper&listing=MUG&at=yesterday"),
    ],
)
async def test_what_cannot_be_shown_is_a_page_with_the_way_out(shop: Shop, path: str) -> None:
    await a_mug(shop)
    answer = await shop.client.get(path)
    assert answer.status_code in {404, 422}, answer.text
    assert answer.headers["content-type"].startswith("text/html")
    assert 'href="/"' in answer.text


async def test_lists_go_on_where_the_page_before_ended(shop: Shop) -> None:
    await a_mug(shop, units=10)
    shop.connectors["paper"].books[MUG] = 1_000
    for number in range(60):
        await shop.order("paper", f"{number:03}", MUG=1)
    await shop.settle()
    for path, found in (("/orders", r'data-order="paper/(\d+)"'), ("/short", r'data-short="order paper/(\d+)/0"')):
        seen: list[str] = []
        address: str | None = path
        while address:
            text = (await shop.client.get(address)).text
            seen += re.findall(found, text)
            links = re.findall(r'href="([^"]+)" rel="next"', text)
            address = unescape(links[0]) if links else None
        assert len(seen) == len(set(seen)) == (60 if path == "/orders" else 50)
