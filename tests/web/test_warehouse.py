"""Work of the warehouse over HTTP and on the page Stock: each form does what the API does, once."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from html import unescape
from typing import Any

import httpx2
import pytest

from web.paper import BERLIN, Shop, open_shop

pytestmark = pytest.mark.pg


@pytest.fixture
async def shop(dsn: str) -> AsyncIterator[Shop]:
    async with open_shop(dsn) as shop:
        await shop.connect("paper")
        await shop.name_skus("MUG", "CAP", "SET")
        for sku in ("MUG", "CAP"):
            await shop.command(f"first-{sku}", type="receive", sku=sku, units=10)
        await shop.client.post("/v1/locations", json={"locations": [{"location": "HAM"}]})
        yield shop


async def get(shop: Shop, path: str, **asked: Any) -> Any:
    answer = await shop.client.get(path, params=asked)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def post(shop: Shop, path: str, status: int = 200, **body: Any) -> Any:
    answer = await shop.client.post(path, json=body)
    assert answer.status_code == status, answer.text
    return answer.json()


async def commands(shop: Shop, *wanted: dict[str, Any]) -> list[str]:
    numbered = [{"key": f"k{shop.clock.new_id()}", **one} for one in wanted]
    told = await post(shop, "/v1/commands", commands=numbered)
    return [one["outcome"] for one in told["answers"]]


def announce(name: str, sku: str = "MUG", units: int = 12, day: str = "2026-01-02") -> dict[str, Any]:
    where = {"shipment_id": name, "sku": sku, "location": BERLIN}
    return {"type": "announce", **where, "units": units, "expected_on": day}


# Over HTTP -----------------------------------------------------------------------------------------------------------


async def test_a_delivery_is_announced_unloaded_settled_and_closed(shop: Shop) -> None:
    unload = {"type": "unload", "shipment_id": "PO-7", "sku": "MUG"}
    assert await commands(shop, announce("PO-7"), {**unload, "units": 5}) == ["posted", "unloaded"]
    [row] = (await get(shop, "/v1/shipments"))["shipments"]
    assert (row["units_open"], row["days_late"] > 0) == (7, True)
    assert (await get(shop, "/v1/skus/MUG"))["balances"][0]["incoming"] == 7
    assert await commands(shop, {**unload, "units": 9}) == ["unloaded"]
    settle = {"type": "settle_over", "shipment_id": "PO-7", "sku": "MUG", "units": 2, "into": "sent_back"}
    close = {"type": "close_shipment", "shipment_id": "PO-7", "sku": "MUG", "reason": "done"}
    assert await commands(shop, settle, close) == ["posted", "posted"]
    assert (await get(shop, "/v1/shipments"))["shipments"] == []
    [row] = (await get(shop, "/v1/shipments", only_to_do=False, shipment_id="PO-7"))["shipments"]
    assert (row["units_received"], row["units_sent_back"], row["close_reason"]) == (12, 2, "done")
    assert (await get(shop, "/v1/skus/MUG"))["available"] == 22


async def test_lists_go_on_where_a_page_ended(shop: Shop) -> None:
    await commands(shop, *(announce(f"PO-{number}", day=f"2026-01-0{1 + number % 3}") for number in range(5)))
    send = {"type": "dispatch", "sku": "MUG", "origin": BERLIN, "target": "HAM", "units": 1}
    await commands(shop, *({**send, "transfer_id": f"t{number}"} for number in range(3)))
    for sku in ("MUG", "CAP"):
        move = {"type": "move", "sku": sku, "location": BERLIN, "units": 1, "origin": "available", "target": "damaged"}
        await commands(shop, move)
    for path, name, count in (
        ("shipments", "shipments", 5),
        ("transfers", "transfers", 3),
        ("inspections",) * 2 + (2,),
    ):
        whole = await get(shop, f"/v1/{path}")
        assert (len(whole[name]), whole["next"]) == (count, None)
        found, after = [], ""
        while after is not None:
            page = await get(shop, f"/v1/{path}", limit=1, **({"after": after} if after else {}))
            found += page[name]
            after = page["next"]
        assert [{**one, "age_s": 0} for one in found] == [{**one, "age_s": 0} for one in whole[name]]


async def test_a_count_is_opened_entered_and_ruled(shop: Shop) -> None:
    opened = await post(shop, "/v1/count-tasks", task="w1", location=BERLIN, threshold_percent=10, by="Ben")
    assert (opened["line_count"], opened["open_count"]) == (2, 2)
    told = await get(shop, "/v1/count-tasks/w1")
    assert [line["units_expected"] for line in told["lines"]] == [None, None]
    within = await post(shop, "/v1/count-tasks/w1/entries", sku="CAP", units=9, by="Ada", round=1)
    assert (within["state"], within["variance_units"]) == ("posted", -1)
    beyond = await post(shop, "/v1/count-tasks/w1/entries", sku="MUG", units=4, by="Ada")
    assert (beyond["state"], beyond["units_expected"]) == ("review", 10)
    assert (await get(shop, "/v1/skus/MUG"))["available"] == 10
    said: dict[str, Any] = {"sku": "MUG", "by": "Ben", "reason": "found them"}
    ruled = await post(shop, "/v1/count-tasks/w1/decisions", **said, ruling="accept", round=1)
    assert ruled["state"] == "posted"
    assert (await get(shop, "/v1/skus/MUG"))["available"] == 4
    assert (await get(shop, "/v1/count-tasks"))["tasks"] == []
    [task] = (await get(shop, "/v1/count-tasks", only_to_do=False))["tasks"]
    assert task["posted_count"] == 2
    refused = await post(shop, "/v1/count-tasks/w1/decisions", 409, **said, ruling="drop")
    assert refused["type"].endswith("not-countable")


async def test_what_is_low_follows_its_rules(shop: Shop) -> None:
    answer = await shop.client.put("/v1/reorder-rules", json={"sku": "MUG", "units": 12, "by": "Ben"})
    assert [rule["sku"] for rule in answer.json()["rules"]] == ["MUG"]
    [low] = (await get(shop, "/v1/low-stock"))["low"]
    assert (low["sku"], low["available"], low["reorder_at"]) == ("MUG", 10, 12)
    answer = await shop.client.request("DELETE", "/v1/reorder-rules", json={"sku": "MUG"})
    assert answer.json() == {"rules": []}
    assert (await get(shop, "/v1/low-stock"))["low"] == []


# On the page ---------------------------------------------------------------------------------------------------------


async def sent(shop: Shop, path: str, **fields: str) -> httpx2.Response:
    """The form as a browser sends it from its own page."""
    return await shop.client.post(path, data=fields, headers={"Sec-Fetch-Site": "same-origin"})


def said(answer: httpx2.Response) -> str:
    found = re.search(r'class="said \w+" role="status">.*?</span> (.*?)</p>', answer.text, re.S)
    assert found, answer.text
    return unescape(found[1])


async def filled(shop: Shop, form: str, **fields: str) -> httpx2.Response:
    """A form of the page Stock, with its own hidden fields."""
    page = (await shop.client.get("/stock")).text
    [inside] = re.findall(rf'<form[^>]* id="{form}">(.*?)</form>', page, re.S)
    hidden = dict(re.findall(r'type="hidden" name="(\w+)" value="([^"]*)"', inside))
    answer = await sent(shop, "/stock", **{**hidden, **fields})
    assert answer.status_code in {200, 303}, answer.text
    return answer


def beside(answer: httpx2.Response, form: str) -> tuple[str, dict[str, str], str]:
    """What a form that was sent says now, what stands in its fields, and which field it points to."""
    [inside] = re.findall(rf'<form[^>]* id="{form}">(.*?)</form>', answer.text, re.S)
    found = re.search(rf'id="said-{form}" class="said bad" role="status">.*?</span> (.*?)</p>', inside, re.S)
    assert found, inside
    fields = re.findall(r'<input[^>]* name="(\w+)"[^>]* value="([^"]*)"|<input name="(\w+)" value="([^"]*)"', inside)
    stands = {one or other: unescape(value or same) for one, value, other, same in fields}
    stands |= dict(re.findall(r'<select name="(\w+)"[^>]*>.*?value="([^"]*)" selected', inside))
    wrong = re.search(r'name="(\w+)"[^>]*aria-invalid', inside)
    return unescape(found[1]), stands, wrong[1] if wrong else ""


async def test_a_form_that_was_refused_says_why_beside_its_field_and_keeps_what_was_typed(shop: Shop) -> None:
    line = {"shipment_id": "PO-7", "sku": "MUG", "units": "7.5"}
    wrong = await sent(shop, "/stock", type="unload", key="k1", **line)
    words, stands, field = beside(wrong, "unload")
    assert (wrong.status_code, words) == (422, "Units must be a whole number of units, not '7.5'.")
    assert (stands | line == stands, field) == (True, "units")
    assert wrong.text.count('class="said') == 1
    unknown = await sent(shop, "/stock", type="unload", key="k2", **{**line, "units": "7"})
    words, stands, _ = beside(unknown, "unload")
    assert (unknown.status_code, "no MUG was announced as shipment PO-7" in words) == (409, True)
    assert stands["units"] == "7"
    send = {"sku": "CAP", "origin": BERLIN, "target": BERLIN, "units": "4", "transfer_id": "t1"}
    words, stands, _ = beside(await sent(shop, "/stock", type="dispatch", key="k3", **send), "dispatch")
    assert "goes nowhere" in words
    assert (stands["origin"], stands["target"]) == (BERLIN, BERLIN)
    many = {"task": "a/b", "location": BERLIN, "limit": "20", "threshold_units": "0", "threshold_percent": "0"}
    words, stands, _ = beside(await sent(shop, "/stock", type="open", **many, by="Ben"), "open")
    assert "stands in addresses" in words
    assert (stands["task"], stands["by"]) == ("a/b", "Ben")


async def test_a_count_that_was_begun_is_not_lost_by_a_figure_that_is_none(shop: Shop) -> None:
    begun = await sent(shop, "/stock", type="begin", sku="MUG", location=BERLIN)
    [token] = re.findall(r'name="token" value="([^"]*)"', begun.text)
    fields = {"sku": "MUG", "location": BERLIN, "figure": "on_hand", "token": token}
    wrong = await sent(shop, "/stock", type="count", key="k1", **fields, units="")
    assert beside(wrong, "count")[1]["token"] == token
    nobody = await sent(shop, "/stock", type="begin", sku="NOBODY", location=BERLIN)
    assert (nobody.status_code, "no SKU NOBODY" in beside(nobody, "count")[0]) == (404, True)


@pytest.mark.long
async def test_the_page_shows_what_waits_and_its_forms_do_it(shop: Shop) -> None:
    line = {"shipment_id": "PO-7", "sku": "MUG"}
    await filled(shop, "announce", **line, location=BERLIN, units="5", expected_on="2026-01-02", tolerance_percent="0")
    page = (await shop.client.get("/stock")).text
    assert 'data-shipment="PO-7/MUG"' in page
    assert "days late" in page
    await filled(shop, "unload", **line, units="7")
    assert 'data-inspection="MUG/BERLIN"' in (await shop.client.get("/stock")).text
    await filled(shop, "settle_over", **line, units="2", into="available")
    await filled(shop, "close_shipment", **line, reason="done")
    assert "data-shipment" not in (await shop.client.get("/stock")).text
    move = {"sku": "MUG", "location": BERLIN, "units": "3"}
    await filled(shop, "move", **move, origin="available", target="quality_control")
    await filled(shop, "write_off", sku="MUG", location=BERLIN, units="1", origin="quality_control", reason="broken")
    send = {"sku": "MUG", "origin": BERLIN, "target": "HAM", "transfer_id": "t1"}
    await filled(shop, "dispatch", **send, units="4")
    await filled(shop, "arrive", sku="MUG", transfer_id="t1", units="1", more_to_come="1")
    assert 'data-transfer="t1/MUG"' in (await shop.client.get("/stock")).text
    assert "3 lost" in said(await filled(shop, "arrive", sku="MUG", transfer_id="t1", units="0"))
    await filled(shop, "assemble", sku="SET", location=BERLIN, units="2", components="MUG 2\r\n\r\nCAP 1\r\n")
    await filled(shop, "disassemble", sku="SET", location=BERLIN, units="1", components="MUG 2\r\nCAP 1")
    assert (await get(shop, "/v1/skus/SET"))["available"] == 1
    wrong = await sent(
        shop, "/stock", type="assemble", key="k", sku="SET", location=BERLIN, units="1", components="MUG"
    )
    assert wrong.status_code == 422
    assert "such as MUG 2" in wrong.text
    empty = await sent(shop, "/stock", type="assemble", key="k", sku="SET", location=BERLIN, units="1", components="")
    assert "no recipe of SET is kept" in empty.text
    kept = await sent(shop, "/stock", type="kit", sku="SET", components="MUG 2\r\nCAP 1")
    assert "SET is made of CAP=1 MUG=2." in kept.text
    assert "Kept: SET of CAP=1 MUG=2." in kept.text
    await filled(shop, "disassemble", sku="SET", location=BERLIN, units="1")
    assert (await get(shop, "/v1/skus/SET"))["available"] == 0
    other = {"sku": "SET", "location": BERLIN, "units": "1", "components": "CAP 1"}
    assert "not of CAP=1" in (await sent(shop, "/stock", type="assemble", key="k2", **other)).text
    await filled(shop, "assemble", **other, other_recipe="1")
    assert "is kept any more" in (await sent(shop, "/stock", type="end_kit", sku="SET")).text
    unknown = await sent(shop, "/stock", type="kit", sku="NOBODY", components="CAP 1")
    assert "no SKU NOBODY" in unknown.text


async def test_a_customer_sends_units_back_by_the_form(shop: Shop) -> None:
    lines = [{"sku": "MUG", "location": BERLIN, "units": 2}]
    held = await post(shop, "/v1/reservations", key="r1", kind="lock", lines=lines)
    order = {"channel": "till", "order_id": "7"}
    await post(shop, f"/v1/reservations/{held['figures']['reservation_id']}/claim", key="c1", order=order)
    await commands(shop, {"type": "ship", "order": order, "sku": "MUG", "location": BERLIN, "units": 2})
    await filled(shop, "return", **order, sku="MUG", location=BERLIN, units="1", into="quality_control")
    page = (await shop.client.get("/stock")).text
    assert 'data-inspection="MUG/BERLIN"' in page


async def test_a_count_is_made_on_its_page_without_seeing_the_figure(shop: Shop) -> None:
    fields = {"limit": "20", "threshold_units": "0", "threshold_percent": "0", "by": "Ben"}
    opened = await filled(shop, "open", type="open", task="w1", location=BERLIN, pattern="M*", **fields)
    assert opened.headers["location"] == "/stock/counts/w1"
    assert 'data-count="w1"' in (await shop.client.get("/stock")).text
    page = (await shop.client.get("/stock/counts/w1")).text
    assert 'data-enter="MUG"' in page
    assert ">10<" not in page
    told = {"sku": "MUG", "round": "1", "by": "Ada"}
    entered = await sent(shop, "/stock/counts/w1", act="enter", units="8", **told)
    assert "look at the difference" in said(entered)
    assert 'data-rule="MUG"' in entered.text
    again = await sent(shop, "/stock/counts/w1", act="recount", reason="look behind", **told)
    assert "counted again" in said(again)
    stale = await sent(shop, "/stock/counts/w1", act="enter", units="9", **told)
    assert (stale.status_code, "round 2, not 1" in stale.text) == (409, True)
    wrong = await sent(shop, "/stock/counts/w1", act="enter", units="9,5", **{**told, "round": "2"})
    assert (wrong.status_code, 'value="9,5"' in wrong.text, "whole number" in wrong.text) == (422, True, True)
    await sent(shop, "/stock/counts/w1", act="enter", units="9", **{**told, "round": "2"})
    done = await sent(shop, "/stock/counts/w1", act="accept", reason="one was stolen", **{**told, "round": "2"})
    assert "1 units moved, 9 available" in said(done)
    assert 'data-done="MUG"' in done.text
    assert "round 2, not 1" in stale.text[stale.text.index('data-enter="MUG"') :]
    assert (await shop.client.get("/stock/counts/NOBODY")).status_code == 404
    assert (await sent(shop, "/stock/counts/NOBODY", act="enter", units="9", **told)).status_code == 404
    assert (await sent(shop, "/stock/counts/w1", act="forget", **told)).status_code == 422


async def test_a_count_has_a_number_that_a_browser_can_ask_for(shop: Shop) -> None:
    for number in (".", "..", "a/b"):
        answer = await post(shop, "/v1/count-tasks", 422, task=number, location=BERLIN, by="Ben")
        assert "stands in addresses" in answer["detail"]


async def test_skus_and_locations_are_named_and_low_stock_is_ruled_on_the_page(shop: Shop) -> None:
    def answered(answer: httpx2.Response) -> str:
        return unescape(re.findall(r'class="said good" role="status">.*?</span> (.*?)</p>', answer.text, re.S)[0])

    assert answered(await sent(shop, "/stock", type="add_sku", sku="TEAPOT", title="Tea pot")) == "TEAPOT is named."
    assert "was named before" in answered(await sent(shop, "/stock", type="add_sku", sku="TEAPOT"))
    assert answered(await sent(shop, "/stock", type="add_location", location="KIEL")) == "KIEL is named."
    assert (await get(shop, "/v1/skus/TEAPOT"))["title"] == "Tea pot"
    assert "empty" in beside(await sent(shop, "/stock", type="add_location", location=" "), "add_location")[0]
    rule = {"type": "reorder", "sku": "MUG", "by": "Ben"}
    said_now = await sent(shop, "/stock", **rule, units="12")
    assert 'data-low="MUG"' in said_now.text
    assert "SKU MUG at 12 units" in said_now.text
    both = await sent(shop, "/stock", **rule, units="12", cover_days="3")
    words, stands, _ = beside(both, "reorder")
    assert (both.status_code, "one of them" in words, stands["cover_days"]) == (422, True, "3")
    nobody = await sent(shop, "/stock", **{**rule, "sku": "NOBODY"}, units="12")
    assert (nobody.status_code, "no SKU NOBODY" in beside(nobody, "reorder")[0]) == (404, True)
    assert "Nobody has said when" in (await sent(shop, "/stock", **{**rule, "type": "end_reorder"})).text


async def test_what_is_low_is_on_the_page(shop: Shop) -> None:
    assert "Nobody has said when" in (await shop.client.get("/stock")).text
    await shop.client.put("/v1/reorder-rules", json={"units": 10, "by": "Ben"})
    page = (await shop.client.get("/stock")).text
    assert {'data-low="MUG"', 'data-low="CAP"'} <= set(re.findall(r'data-low="\w+"', page))
